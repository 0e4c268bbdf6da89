"""Family B's figures: small versions of all of them are run, drawn and judged; nothing stored is no claim."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import engine
from engine import Sweep
from jobs.show.presentation import with_times
from scenarios import ris
from scenarios.figures.claims import OUTCOMES
from scenarios.ris import RisLocalization
from scenarios.ris.figures import titled_by
from scenarios.ris.rows import summary

SMALL: dict[str, Any] = {
    "elements_per_side": 9, "range_min_m": 0.15, "range_max_m": 3.0, "n_users": 2, "near_range_max_m": None,
    "angle_step_rad": 0.06,
}  # fmt: skip
AXES = {
    "range_max_m": (2.0, 3.0), "angle_step_rad": (0.12, 0.09, 0.06), "elements_per_side": (7, 9), "n_cycles": (6, 12),
    "model": ("ff", "hybrid", "nf"),
}  # fmt: skip


def small(sweep: Sweep, path: Path) -> Any:
    scene = sweep.scenario
    assert isinstance(scene, RisLocalization)
    cycles = {"n_cycles": 10, "recorded_cycles": tuple(c for c in scene.recorded_cycles if c <= 10)}
    axes = {name: AXES[name] for name in sweep.axes}
    methods = tuple(
        method if method.random_cycles == 1 else method.model_copy(
            update={"random_cycles": 6 if "n_cycles" in axes else 8})
        for method in scene.methods
    )  # fmt: skip
    changed = scene.replace(**SMALL, **cycles, methods=methods)
    engine.run(sweep.replace(scenario=changed, axes=axes, realizations=4, block=4, chunk=4, name=""), path, serial=True)
    return with_times(engine.open_results(path).load(), str(path))


@pytest.mark.parametrize(
    "name", [*(f"fig{n}" for n in range(4, 12)), *(f"fig{n}_as_printed" for n in (4, 5, 6, 7, 8, 10)), "remark1"]
)
def test_every_figure_is_drawn_and_every_claim_judged(name: str, tmp_path: Path) -> None:
    sweep = getattr(ris, name)
    results = small(sweep, tmp_path / "small.zarr")
    found = sweep.summary(results)
    sweep.figure(results, found).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    claims, *tables = sweep.report(results, found)
    assert all(len(row) == len(table.headings) for table in (*tables, claims) for row in table.rows)
    assert tables[0].rows
    assert claims.rows
    assert all(any(row[-1].startswith(one) for one in OUTCOMES) for row in claims.rows)
    ours = [row for row in claims.rows if "ours" in row[1]]
    assert all(row[-1].startswith("not judged here") for row in claims.rows if row not in ours)  # not the paper's scene
    numbers = results.drop_vars("user_field")
    nothing = numbers.where(numbers.realization < 0).assign(user_field=results.user_field)
    times = {name: results[name] * np.nan for name in ("seconds_per_realization", "seconds_of_tasks")}
    nothing = nothing.assign_coords(times)
    nothing = nothing.assign_attrs(results.attrs)
    found = sweep.summary(nothing)
    sweep.figure(nothing, found)
    assert not any(row[-1] == "reproduced" for row in sweep.report(nothing, found)[0].rows)


NAMED = {name: sweep for name, sweep in vars(ris).items() if isinstance(sweep, Sweep)}


@pytest.mark.parametrize("name", [name for name, sweep in NAMED.items() if hasattr(sweep.figure, "__self__")])
def test_titles_have_the_runs_own_numbers(name: str) -> None:
    """A surface of 9 × 9 elements was drawn below \"25 × 25 elements, 20 cycles\"."""
    title = NAMED[name].figure.__self__.title  # type: ignore[union-attr]
    assert not re.search(r"\d", re.sub(r"\{\w+\}|(Fig\.|Eqs?\.) \d+", "", title)), title
    results = xarray.Dataset(attrs={"scenario": NAMED[name].scenario.model_dump_json()})
    assert "{" not in titled_by(title, results)


def test_a_title_of_one_thing_changed() -> None:
    scene = ris.fig4.scenario.replace(**SMALL | {"elements_upwards": 7}, n_cycles=9, snr_db=(-5.0, 7.5))
    results = xarray.Dataset(attrs={"scenario": scene.model_dump_json()})
    title = ris.fig4.figure.__self__.title  # type: ignore[union-attr]
    assert titled_by(title, results) == "Localization through a surface of 9 × 7 elements, 9 cycles"
    assert titled_by("{snr_db} dB", results) == "−5, 7.5 dB"


def test_one_user_at_one_ratio_is_drawn(tmp_path: Path) -> None:
    """Methods beside each other, not on top of each other; a panel of no users says so, and has no numbers."""
    scene = ris.fig4.scenario.replace(**SMALL | {"n_users": 1, "n_scatterers": 0}, n_cycles=6, snr_db=(20.0,))
    scene = scene.replace(methods=[one for one in scene.methods if one.name in ("hybrid", "nf", "NOMP")])
    sweep = ris.fig4.replace(scenario=scene, realizations=2, block=2, chunk=2)
    results = engine.run(sweep, tmp_path / "one.zarr", serial=True).load()
    figure = sweep.figure(results, sweep.summary(results))
    for column in range(3):
        panels = figure.axes[column::3]
        said = [text.get_text() for text in panels[0].texts]
        assert said == (["no such users"] if column == 0 else [])
        if column:
            assert len({float(line[0].get_xdata()[0]) for line in panels[0].containers}) == 3
        else:
            assert not any(panel.get_yticks().size for panel in panels)


def test_the_summary_counts_users_of_each_field(tmp_path: Path) -> None:
    results = small(ris.fig4, tmp_path / "small.zarr")
    rows = summary(results)
    far = results.isel(user=1).sel(estimator="hybrid", snr_db=10.0)
    squared = far.squared_error_angle_rad2.values[:, 0]
    (row,) = [
        row for row in rows
        if (row.estimator, row.group, row.quantity, row.point["snr_db"]) == ("hybrid", "far", "angle", 10.0)
    ]  # fmt: skip
    lost = far.direction_error_beams.values[:, 0] > 0.75
    assert row.samples == 4
    assert row.rmse.value == pytest.approx(np.sqrt(squared.mean()))
    assert row.root_median == pytest.approx(np.sqrt(np.median(squared)))
    assert row.lost.value == lost.mean()
    if not lost.all():
        assert row.found.value == pytest.approx(np.sqrt(squared[~lost].mean()))
    assert row.root_bound == pytest.approx(np.sqrt(far.bound_angle_rad2.values.mean()))


def test_tables_show_how_many_lost_users_a_method_states_itself(tmp_path: Path) -> None:
    results = small(ris.fig4, tmp_path / "small.zarr")
    (row,) = [
        row for row in summary(results)
        if (row.estimator, row.group, row.quantity, row.point["snr_db"]) == ("NOMP", "far", "angle", 10.0)
    ]  # fmt: skip
    stated = results.isel(user=1).sel(estimator="NOMP", snr_db=10.0).lost_probability.values
    assert row.lost_stated == pytest.approx(stated.mean())
    assert 0 <= row.lost_stated <= 1
    table = ris.fig4.report(results, ris.fig4.summary(results))[1]  # type: ignore[misc]
    at = table.headings.index("lost, as stated")
    stated_by = {row[table.headings.index("method")]: row[at] for row in table.rows}
    assert stated_by["NOMP"].endswith("%")
    assert stated_by["hybrid"] == "–"  # on a grid, none is stated
