"""What a reader sees of Figs. 7, 9 and 11: seconds and operations at every point, and claims that follow from them."""

import itertools
import json
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

from scenarios.figures.claims import CONTRADICTED, NOT_JUDGED, REPRODUCED, UNDECIDED, Judged, judged
from scenarios.ris import RisLocalization, fig7, fig9, fig11
from scenarios.ris.times import Times, claims

CLASS = "scenarios.ris.localization:RisLocalization"
MODELS = ["ff", "hybrid", "nf"]
SMALL: dict[str, Any] = {"elements_per_side": 9, "range_min_m": 0.15, "range_max_m": 3.0, "near_range_max_m": None}
Values = dict[str, list[Any]]


def scene_of(**fields: Any) -> RisLocalization:
    return RisLocalization(**({"snr_db": (10.0,), "angle_step_rad": 0.06} | fields))


def measured(
    axes: Values, seconds: Any, *, tasks: int = 5, spread: float = 0.01, realizations: int = 7, **fields: Any
) -> Any:
    """Results whose tasks took about these seconds a realization, over the axes."""
    mean = xarray.DataArray(np.broadcast_to(seconds, [len(one) for one in axes.values()]).astype(float), axes)
    scatter = np.exp(spread * np.random.default_rng(1).standard_normal((*mean.shape, tasks)))
    results = xarray.Dataset(
        {"seconds_of_tasks": ((*axes, "task"), mean.values[..., None] * scatter)},
        {**axes, "task": np.arange(tasks), "realization": np.arange(realizations)},
        {"scenario_class": CLASS, "scenario": scene_of(**fields).model_dump_json(),
         "axes": json.dumps(axes)},
    )  # fmt: skip
    return results.assign_coords(seconds_per_realization=mean)


def verdicts(results: Any) -> dict[str, Judged]:
    """Operations: as the square of the number of cycles."""
    seconds = results.seconds_per_realization
    cycles = results.n_cycles if "n_cycles" in seconds.dims else 1.0
    return {one.claim: one for one in judged(claims(results, Times(seconds, 0 * seconds + cycles**2)))}


def test_every_point_has_its_own_operations_and_a_line_in_the_table() -> None:
    axes: Values = {"angle_step_rad": [0.12, 0.06], "n_cycles": [6, 12], "model": MODELS[:2]}
    seconds = np.array([0.012345, 1.0, 234.56, 0.5, 1, 2, 3, 4]).reshape(2, 2, 2)
    words = iter(["0.0123", "1", "235", "0.5", "1", "2", "3", "4"])
    results = measured(axes, seconds, **SMALL)
    times = fig9.summary(results)
    tables = fig9.report(results, times)  # type: ignore[misc]
    assert [table.headings[0] for table in tables] == ["claim", "angle_step_rad", "of"]
    assert tables[1].headings == ("angle_step_rad", "n_cycles", "model", "seconds", "multiplications")
    lines = iter(tables[1].rows)
    for step, cycles, model in itertools.product(*axes.values()):
        count = scene_of(**SMALL, angle_step_rad=step, n_cycles=cycles, model=model).printed_operations()
        assert times.operations.sel(angle_step_rad=step, n_cycles=cycles, model=model) == count
        assert next(lines) == (str(step), str(cycles), model, next(words), f"{count:.2g}")
    assert next(lines, None) is None


@pytest.mark.parametrize(
    ("sweep", "x", "values", "words", "scale"),
    [
        (fig7, "n_cycles", [6, 8, 12], "cycles", "linear"),
        (fig9, "angle_step_rad", [0.12, 0.09, 0.06], "angle spacing of the dictionary (rad)", "log"),
        (fig11, "elements_per_side", [7, 9], "elements along a side of the surface", "linear"),
    ],
)
def test_seconds_are_left_and_operations_right_over_the_papers_axis(
    sweep: Any, x: str, values: list[Any], words: str, scale: str
) -> None:
    """A curve a model, in both; measured in seconds, which a legend names; ticks where there are points."""
    axes: Values = {"model": MODELS, x: values}
    results = measured(axes, np.multiply.outer([1.0, 2.0, 3.0], np.arange(1, len(values) + 1)), **SMALL)
    times = sweep.summary(results)
    figure = sweep.figure(results, times)
    assert len(figure.axes) == 2
    for panel, shown, title, of in zip(
        figure.axes, times, ("measured here", "the algorithm as printed"),
        ("seconds of one core, a realization", "complex multiplications, a realization"), strict=True,
    ):  # fmt: skip
        assert [line.get_label() for line in panel.lines] == ["far-field model", "hybrid model", "near-field model"]
        for line, model in zip(panel.lines, MODELS, strict=True):
            np.testing.assert_allclose(line.get_xdata(), values)
            np.testing.assert_allclose(line.get_ydata(), shown.sel(model=model))
        assert (panel.get_title(), panel.get_ylabel(), panel.get_xlabel()) == (title, of, words)
        assert (panel.get_xscale(), panel.get_yscale()) == (scale, "log")
        np.testing.assert_allclose(np.sort(panel.get_xticks()), np.sort(values))
        for looks in ("get_color", "get_marker"):
            assert len({getattr(line, looks)() for line in panel.lines}) == 3
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "far-field model", "hybrid model", "near-field model",
    ]  # fmt: skip
    assert figure.get_suptitle() == sweep.figure.__self__.title
    plt.close("all")


def test_a_curve_is_one_along_x_at_every_other_value() -> None:
    """Whatever the order of the dimensions, and with more curves than colours."""
    axes: Values = {"n_cycles": [6, 12], "n_users": [2, 3, 4], "model": MODELS}
    results = measured(axes, np.arange(1.0, 19).reshape(2, 3, 3), **SMALL)
    times = fig7.summary(results)
    panel = fig7.figure(results, times).axes[0]  # type: ignore[misc]
    assert len(panel.lines) == 9
    shown = {line.get_label(): line.get_ydata() for line in panel.lines}
    np.testing.assert_allclose(shown["2, near-field model"], times.seconds.sel(n_users=2, model="nf"))


def test_nothing_measured_is_drawn_without_a_logarithm() -> None:
    results = measured({"model": MODELS, "n_cycles": [6, 12]}, np.nan, **SMALL)
    figure = fig7.figure(results, fig7.summary(results))  # type: ignore[misc]
    assert [panel.get_yscale() for panel in figure.axes] == ["linear", "log"]


def test_time_rises_with_size_and_falls_with_the_dictionarys_step() -> None:
    """The smallest step is the hardest; whatever the order in which values are stored."""
    for values in ([0.06, 0.12, 0.09], [0.12, 0.06, 0.09]):
        steps = measured({"model": MODELS, "angle_step_rad": values}, 1 / np.array(values) ** 2, spread=1e-3)
        one = verdicts(steps)["time of the nf model with angle_step_rad"]
        assert (one.paper, one.outcome) == ("falls", REPRODUCED)
        assert one.ours.startswith("time at 0.06 over that at 0.12: 4.00 [3.99, 4.01]")
    sizes = measured({"model": ["nf"], "elements_per_side": [25, 15]}, np.array([3.0, 1.0]), spread=1e-3)
    one = verdicts(sizes)["time of the nf model with elements_per_side"]
    assert (one.paper, one.outcome) == ("rises", REPRODUCED)
    assert one.ours.startswith("time at 25 over that at 15: 3.00 [")
    cheaper = measured({"model": ["nf"], "elements_per_side": [15, 25]}, np.array([1.0, 0.9]))
    assert verdicts(cheaper)["time of the nf model with elements_per_side"].outcome == CONTRADICTED
    alike = measured({"model": ["nf"], "elements_per_side": [15, 25]}, 1.0, spread=0.1)
    assert verdicts(alike)["time of the nf model with elements_per_side"].outcome == UNDECIDED


def test_growth_is_along_one_axis_at_the_last_of_the_others() -> None:
    seconds = np.array([[1.0, 5.0, 1.0], [3.0, 2.0, 4.0], [0.5, 6.0, 7.0]])  # (n_users, n_cycles)
    found = verdicts(measured({"model": ["nf"], "n_users": [1, 2, 4], "n_cycles": [14, 16, 20]}, seconds, spread=1e-4))
    assert "time at 20 over that at 14: 14.00 [" in found["time of the nf model with n_cycles"].ours
    assert "time at 4 over that at 1: 7.00 [" in found["time of the nf model with n_users"].ours


def test_one_value_along_an_axis_is_nothing_to_compare() -> None:
    found = verdicts(measured({"model": ["nf", "ff"], "n_cycles": [20]}, 1.0))
    assert set(found) == {f"time of the {model} model with n_cycles" for model in ("nf", "ff")}
    assert {one.verdict for one in found.values()} == {f"{NOT_JUDGED} (needed two points to compare)"}


def test_models_are_compared_where_it_is_hardest() -> None:
    """At the largest surface and the finest dictionary; two in disorder contradict."""
    axes: Values = {"model": MODELS, "angle_step_rad": [0.06, 0.12], "elements_per_side": [9, 7]}
    seconds = np.full((3, 2, 2), 1.0) * np.array([9.0, 4.0, 1.0])[:, None, None]
    seconds[:, 0, 0] = 1, 2, 4
    claim = "time: far-field model < hybrid < near-field model"
    one = verdicts(measured(axes, seconds))[claim]
    assert one.outcome == REPRODUCED
    assert one.ours.startswith("time of ff over hybrid 0.50 [0.")
    assert ", hybrid over nf 0.50 [0." in one.ours
    seconds[2, 0, 0] = 1.5
    assert verdicts(measured(axes, seconds))[claim].outcome == CONTRADICTED
    assert claim not in verdicts(measured({"model": MODELS[:2], "n_cycles": [14, 20]}, 1.0))


@pytest.mark.parametrize(("power", "outcome"), [(1.7, "better than the paper"), (1.8, REPRODUCED), (2.2, REPRODUCED),
                                                (2.3, CONTRADICTED)])  # fmt: skip
def test_the_order_in_cycles_is_two_within_a_quarter(power: float, outcome: str) -> None:
    cycles = [8, 10, 14, 20, 28]
    for axes, seconds in (
        ({"model": MODELS, "n_cycles": cycles}, np.asarray(cycles, float) ** power),
        ({"n_cycles": cycles, "model": MODELS}, np.asarray(cycles, float)[:, None] ** power),
    ):
        results = measured(axes, seconds, spread=1e-4)
        one = verdicts(results)["complexity order in the number of cycles C"]
        assert (one.paper, one.outcome) == ("C²", outcome)
        assert one.ours.startswith(f"time here as C^{power:.2f} [{power:.2f}, {power:.2f}]; ")
        assert "operations of the algorithm as printed C^2.0" in one.ours
        more = measured(
            {"n_users": [1, 2, 4], "n_cycles": cycles, "model": MODELS},
            np.stack([np.ones(5), np.ones(5), np.asarray(cycles, float) ** power])[..., None], spread=1e-4,
        )  # fmt: skip
        assert verdicts(more)["complexity order in the number of cycles C"].ours == one.ours
    assert not any("order in" in name for name in verdicts(measured({"model": MODELS, "n_users": [2, 3]}, 1.0)))
    assert not any("order in" in name for name in verdicts(measured({"model": ["nf"], "n_cycles": [8, 9, 20]}, 1.0)))


@pytest.mark.parametrize(("realizations", "tasks", "a_task"), [(7, 3, 3), (9, 3, 3), (7, 1, 7), (0, 1, 0), (7, 0, 7)])
def test_a_needed_number_is_of_realizations_of_which_a_task_has_several(
    realizations: int, tasks: int, a_task: int
) -> None:
    axes: Values = {"model": ["nf"], "n_users": [1, 4]}
    results = measured(axes, np.array([1.0, 1.001]), tasks=tasks, spread=0.02, realizations=realizations)
    operations = 0 * results.seconds_per_realization
    (one,) = claims(results, Times(operations, operations))
    assert one.a_sample == a_task
    (unknown,) = claims(results.drop_vars("realization"), Times(operations, operations))
    assert unknown.a_sample == 1


def test_no_task_measured_is_no_number() -> None:
    nothing = measured({"model": ["nf"], "n_users": [1, 4], "n_cycles": [8, 9, 20]}, 1.0, tasks=0)
    assert {one.ours for one in verdicts(nothing).values()} == {"no numbers"}


def test_times_of_another_surface_are_not_judged() -> None:
    results = measured({"model": MODELS, "n_cycles": [8, 14, 20]}, 1.0, elements_per_side=9)
    assert {one.outcome for one in verdicts(results).values()} == {NOT_JUDGED}
    judged_here = measured({"model": MODELS, "elements_per_side": [9, 25]}, 1.0, elements_per_side=9)
    assert NOT_JUDGED not in {one.outcome for one in verdicts(judged_here).values()}  # an axis is as it is
