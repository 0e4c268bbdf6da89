"""What is read and drawn of power, of an error's parts, and of sampled places: every number against plain loops."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

from scenarios.figures.claims import judged
from scenarios.ris import RisLocalization, RisSampledPlaces
from scenarios.ris import power as power_sweep
from scenarios.ris import remark1 as remark1_sweep
from scenarios.ris.power import Power
from scenarios.ris.remark1 import Parts
from scenarios.ris.sampled import fig3

C = 299_792_458


def described(scene: Any, **coords: Any) -> xarray.Dataset:
    name = f"{type(scene).__module__}:{type(scene).__name__}"
    attrs = {"scenario_class": name, "scenario": scene.model_dump_json(), "axes": "{}"}
    return xarray.Dataset(coords=coords, attrs=attrs)


def intervals(panel: Any, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, middles (n,) and ends (n, 2) of the points of this label."""
    (one,) = (one for one in panel.containers if one.get_label() == label)
    line, _, (bars,) = one
    ends = np.array([[segment[0, 1], segment[-1, 1]] for segment in bars.get_segments()])
    return np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata()), ends


def curve(panel: Any, label: str) -> tuple[np.ndarray, np.ndarray]:
    (line,) = (line for line in panel.lines if line.get_label() == label)
    return np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)


# --- power


def test_powers_are_read_by_size_channel_and_phases() -> None:
    random = np.random.default_rng(0)
    values = random.random((2, 3, 4, 2))
    stored = xarray.Dataset(
        {"received_power": (("elements_per_side", "phases", "realization", "channel"), values.copy())},
        {"elements_per_side": [3, 7]},
    )
    stored.received_power[1, 2, 3, 0] = np.nan  # not drawn yet
    found = power_sweep.summary(stored)  # type: ignore[misc]
    assert [one[:3] for one in found] == [
        (n, channel, phases)
        for n in (9, 49) for channel in ("Rayleigh", "paths") for phases in ("zero", "random", "aligned")
    ]  # fmt: skip
    for one in found:
        i, k = (9, 49).index(one.n_elements), ("zero", "random", "aligned").index(one.phases)
        here = values[i, k, :, ("Rayleigh", "paths").index(one.channel)]
        np.testing.assert_array_equal(one.samples, here[:3] if one[:3] == (49, "Rayleigh", "aligned") else here)


def test_mean_powers_are_drawn_with_their_intervals_beside_both_equations() -> None:
    random = np.random.default_rng(1)
    found = [
        Power(n, channel, phases, random.gamma(2.0, n, 0 if (n, phases) == (49, "random") else 6))
        for n in (9, 49, 16) for channel in ("Rayleigh", "paths") for phases in ("zero", "random", "aligned")
    ]  # fmt: skip
    found.append(Power(25, "paths", "zero", np.array([7.0])))  # one sample has a mean, and an interval of no width
    figure = power_sweep.figure(xarray.Dataset(coords={"realization": range(6)}), found)  # type: ignore[misc]
    for panel, channel in zip(figure.axes, ("Rayleigh", "paths"), strict=True):
        beside = []
        for phases in ("zero", "random", "aligned"):
            here = [one for one in found if one[1:3] == (channel, phases) and len(one.samples)]
            at, middle, ends = intervals(panel, f"{phases} phases")
            beside.append(at[0] / here[0].n_elements)
            np.testing.assert_allclose(at, [one.n_elements * beside[-1] for one in here])
            for one, mean, (low, high) in zip(here, middle, ends, strict=True):
                n = len(one.samples)
                own = sum(one.samples) / n
                reach = 1.96 * math.sqrt(sum((value - own) ** 2 for value in one.samples) / n / n)
                assert (mean, low, high) == pytest.approx((own, own - reach, own + reach))
        assert beside[1] == pytest.approx(1)
        assert 0.9 < beside[0] < 0.99 < 1.01 < beside[2] < 1.1  # seen beside each other, and at their size
        sizes = [9, 16, 25, 49]
        for label, expected in (
            ("Eq. (57): N", sizes), ("Eq. (58): N² π²/16", [(n * math.pi / 4) ** 2 for n in sizes])
        ):  # fmt: skip
            at, values = curve(panel, label)
            np.testing.assert_allclose((at, values), (sizes, expected))
        np.testing.assert_allclose(panel.get_xticks(), sizes)
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["Rayleigh channels", "a few paths, Eqs. (3) to (9)"]
    assert figure.axes[0].get_ylabel() == "mean power over that by one element"
    assert figure.get_suptitle().endswith("6 realizations a point")
    plt.close("all")


# --- an error's parts


def some_parts() -> tuple[xarray.Dataset, dict[str, np.ndarray]]:
    """Stored in another order of dimensions than they are read in; the last method is on no grid."""
    random = np.random.default_rng(2)
    dims = ("user", "cycle", "estimator", "snr_db", "realization")
    shape = (5, 3, 3, 3, 4)
    users = ["near", "far", "near", "far", "far"]
    stored = {
        f"squared_{part}_{quantity}_{unit}": random.gamma(1.0, 1.0, shape)
        for part in ("mismatch", "misjudgment", "error") for quantity, unit in (("angle", "rad2"), ("range", "m2"))
    }  # fmt: skip
    for name, values in stored.items():
        if "error" not in name:
            values[:, :, 2] = np.nan
        elif "range" in name:
            values[[1, 3, 4]] = np.nan
    stored["squared_misjudgment_angle_rad2"][:, :, :2][random.random((5, 3, 2, 3, 4)) < 0.4] = 0.0
    stored["direction_error_beams"] = random.choice([0.1, 0.74, 0.75, 0.7501, 2.0], shape)
    scene = RisLocalization(snr_db=(0.0, 5.0, 10.0))
    coords = {
        "cycle": [4, 9, 20], "estimator": ["a", "b", "c"], "snr_db": [0.0, 5.0, 10.0], "realization": range(4),
        "user_field": ("user", users),
    }  # fmt: skip
    results = described(scene, **coords)
    return results.assign({name: (dims, values) for name, values in stored.items()}), stored


def test_parts_are_those_of_the_last_ratio_user_by_user() -> None:
    results, stored = some_parts()
    found = remark1_sweep.summary(results)  # type: ignore[misc]
    expected = [
        (quantity, field, method, cycle)
        for field, quantity in (("far", "angle"), ("near", "angle"), ("near", "range"))
        for method in "ab" for cycle in (4, 9, 20)
    ]  # fmt: skip
    assert [one[:4] for one in found] == expected
    for one in found:
        m, c, unit = "ab".index(one.method), (4, 9, 20).index(one.cycle), "rad2" if one.quantity == "angle" else "m2"
        users = [0, 2] if one.field == "near" else [1, 3, 4]
        moved = known = 0
        sums: dict[str, list[float]] = {"mismatch": [], "misjudgment": [], "error": []}
        for trial in range(4):
            for i, user in enumerate(users):
                at = (user, c, m, 2, trial)
                lost = stored["direction_error_beams"][at] > 0.75
                assert one.found[trial, i] == (not lost)
                for part, kept in sums.items():
                    value = stored[f"squared_{part}_{one.quantity}_{unit}"][at]
                    np.testing.assert_array_equal(getattr(one, part)[trial, i], value)
                    if not lost and math.isfinite(value):
                        kept.append(value)
                value = stored[f"squared_misjudgment_{one.quantity}_{unit}"][at]
                moved, known = moved + (value > 0), known + 1
        assert one.misjudged == (moved, known)
        for part, kept in sums.items():
            root = math.sqrt(sum(kept) / len(kept)) if kept else math.nan
            assert one.root(getattr(one, part)) == pytest.approx(root, nan_ok=True)


def test_parts_are_drawn_for_the_users_found_and_misjudgments_for_all() -> None:
    results, _ = some_parts()
    found = remark1_sweep.summary(results)  # type: ignore[misc]
    figure = remark1_sweep.figure(results, found)  # type: ignore[misc]
    grid = np.array(figure.axes).reshape(2, 3)
    for column, (field, quantity) in enumerate((("far", "angle"), ("near", "angle"), ("near", "range"))):
        above, below = grid[:, column]
        assert above.get_title() == f"{quantity}, {field}-field users"
        assert above.get_ylabel().endswith("(m)" if quantity == "range" else "(rad)")
        assert above.get_yscale() == "log"
        assert len(below.lines) == 2
        for method, shares in zip("ab", below.lines, strict=True):
            mine = [one for one in found if one[:3] == (quantity, field, method)]
            for part in ("error", "misjudgment", "mismatch"):
                cycles, roots = curve(above, f"{method}: {part}")
                np.testing.assert_array_equal(cycles, [4, 9, 20])
                np.testing.assert_allclose(roots, [one.root(getattr(one, part)) for one in mine])
            expected = [100 * moved / of for moved, of in (one.misjudged for one in mine)]
            np.testing.assert_allclose(shares.get_ydata(), expected)
            np.testing.assert_array_equal(shares.get_xdata(), [4, 9, 20])
        assert below.get_ylim()[0] < 0
        assert below.get_ylim()[1] > 100
    expected_labels = [f"{method}: {part}" for method in "ab" for part in ("error", "misjudgment", "mismatch")]
    one_field = remark1_sweep.figure(results, [one for one in found if one.field == "near"])  # type: ignore[misc]
    for shown in (figure, one_field):
        assert [text.get_text() for text in shown.legends[0].get_texts()] == expected_labels
    assert figure.get_suptitle().endswith("4 realizations")
    empty = remark1_sweep.figure(results, [])  # type: ignore[misc]
    assert not empty.legends
    assert {panel.get_yscale() for panel in empty.axes} == {"linear"}
    plt.close("all")


def test_users_lost_at_either_count_are_left_out_of_remark_1_one_by_one() -> None:
    """A sample is a realization's sum over the users found at both; one without any is none."""
    random = np.random.default_rng(6)
    shape = (40, 3)

    def made(cycle: int) -> Parts:
        squares = [random.gamma(2.0, 1.0, shape) for _ in range(3)]
        squares[2][random.random(shape) < 0.2] = np.nan
        squares[0][random.random(shape) < 0.2] = np.nan
        return Parts("angle", "near", "m", cycle, *squares, random.random(shape) < 0.5)  # type: ignore[call-arg]

    three = [made(cycle) for cycle in (4, 9, 20)]
    claimed = remark1_sweep.report(described(RisLocalization(snr_db=(10.0,))), three)[0]  # type: ignore[misc]
    assert len(claimed.rows) == 3
    from scenarios.ris.remark1 import claims

    _, mismatch, falls = claims(described(RisLocalization(snr_db=(10.0,))), three)
    last = three[2]
    pairs = [
        (mismatch.comparisons[0], last, last.error, last, last.mismatch),
        (falls.comparisons[0], last, last.error, three[0], three[0].error),
        (falls.comparisons[1], last, last.error, three[1], three[1].error),
    ]
    for comparison, over, a, under, b in pairs:
        for trial in range(40):
            kept = [
                (a[trial, user], b[trial, user])
                for user in range(3)
                if over.found[trial, user] and under.found[trial, user]
                and math.isfinite(a[trial, user]) and math.isfinite(b[trial, user])
            ]  # fmt: skip
            sums = [sum(values) for values in zip(*kept, strict=True)] or [math.nan] * 2
            assert (comparison.over[trial], comparison.under[trial]) == pytest.approx(tuple(sums), nan_ok=True)  # type: ignore[attr-defined]
    assert {one.outcome for one in judged([mismatch])}


# --- sampled places


def near_end(scene: RisSampledPlaces, azimuth: float, polar: float) -> float:
    """Where a plane wave is wrong by π/8 at some element, by bisection."""
    n, k = scene.elements_per_side, 2 * math.pi * scene.carrier_hz / C
    u = (math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar))
    spots = [
        ((i - (n - 1) / 2) * scene.spacing_m, (j - (n - 1) / 2) * scene.spacing_m) for i in range(n) for j in range(n)
    ]
    low, high = 0.01, 100.0
    for _ in range(60):
        r = math.sqrt(low * high)
        wrong = max(
            k * abs(math.dist([r * part for part in u], (0, y, z)) - (r - u[1] * y - u[2] * z)) for y, z in spots
        )
        low, high = (r, high) if wrong > math.pi / 8 else (low, r)
    return low


def test_what_fig3_says_is_of_the_users_that_have_numbers() -> None:
    random = np.random.default_rng(4)
    scene = RisSampledPlaces(n_cycles=1, n_scatterers=0, elements_per_side=9, range_min_m=0.15, range_max_m=3.0,
                             angle_step_rad=0.12, n_users=5)  # fmt: skip
    users = np.array(["near", "far", "near", "far", "near"])
    values = {
        "user_range_m": random.random((5, 7)), "share_kept": random.random((5, 7)),
        "squared_mismatch_angle_rad2": random.random((5, 7)), "squared_mismatch_range_m2": random.random((5, 7)),
    }  # fmt: skip
    values["squared_mismatch_range_m2"][users == "far"] = np.nan
    for array in values.values():
        array[0, :2] = np.nan  # not drawn yet
    results = described(scene).assign({name: (("user", "realization"), array) for name, array in values.items()})
    found = fig3.summary(results)  # type: ignore[misc]
    counts, misses = fig3.report(results, found)  # type: ignore[misc]
    sizes = {model: scene.grid(model).size for model in ("ff", "hybrid", "nf")}
    assert found.sizes == sizes
    assert sizes["ff"] < sizes["hybrid"] < sizes["nf"]
    assert counts.rows == [(model, str(size), f"{size / sizes['nf']:.2f}") for model, size in sizes.items()]
    for line, field in zip(misses.rows, ("near", "far"), strict=True):
        mine = [(i, j) for i in range(5) if users[i] == field for j in range(7) if i or j > 1]
        ours = found.near == (field == "near")
        for name, told in (("user_range_m", found.range_m), ("share_kept", found.kept)):
            assert sorted(told[ours]) == sorted(values[name][at] for at in mine)
        angle = math.sqrt(np.mean([values["squared_mismatch_angle_rad2"][at] for at in mine]))
        assert found.angle_rad[field] == pytest.approx(angle)
        kept = [values["share_kept"][at] for at in mine]
        expected = "–"
        if field == "near":
            in_range = math.sqrt(np.mean([values["squared_mismatch_range_m2"][at] for at in mine]))
            assert found.miss_m[field] == pytest.approx(in_range)
            expected = f"{in_range:.2g}"
        fifth = f"{np.percentile(kept, 5):.3f}"
        assert line == (field, f"{angle:.2g}", expected, f"{np.mean(kept):.3f}", fifth)
    nothing = results.where(results.share_kept > 2)
    empty = fig3.summary(nothing.assign_attrs(results.attrs))  # type: ignore[misc]
    assert [row[2:] for row in fig3.report(results, empty)[1].rows] == [("–", "–", "–")] * 2  # type: ignore[misc]


@pytest.mark.parametrize("model", ["hybrid", "ff"])
def test_fig3_draws_directions_from_where_their_near_field_ends(model: Any) -> None:
    """A dictionary of plane waves alone has them from the view's start; what is drawn is level with the surface."""
    scene = RisSampledPlaces(n_cycles=1, n_scatterers=0, elements_per_side=9, range_min_m=0.15, range_max_m=3.0,
                             angle_step_rad=0.13, n_users=2, model=model)  # fmt: skip
    values = {name: (("realization", "user"), np.full((1, 2), 0.5)) for name in (
        "user_range_m", "share_kept", "squared_mismatch_angle_rad2", "squared_mismatch_range_m2")}  # fmt: skip
    results = described(scene).assign(values)
    plan, share = fig3.figure(results, fig3.summary(results)).axes  # type: ignore[misc]
    polar = math.pi / 2 + math.pi / 3 / 16  # of eight rows two are next to level, by half a cell, and as far from above
    azimuths = [-math.pi / 6 + math.pi / 3 * (i + 0.5) / 8 for i in range(8)]
    lines = [line for line in plan.lines if len(line.get_xdata()) == 2 and line.get_marker() != "."]
    assert len(lines) == 8
    for line, azimuth in zip(lines, azimuths, strict=True):
        start = near_end(scene, azimuth, polar) if model == "hybrid" else 0.15
        expected = math.sin(polar) * np.outer([math.sin(azimuth), math.cos(azimuth)], [start, 3.0])
        np.testing.assert_allclose((line.get_xdata(), line.get_ydata()), expected, rtol=1e-6, atol=1e-9)
    dots = [line for line in plan.lines if line.get_marker() == "." and len(line.get_xdata())]
    assert bool(dots) == (model == "hybrid")
    for shown, label in ((lines, "plane waves: directions only"), (dots, "spherical waves, near field")):
        (named,) = (line for line in plan.lines if line.get_label() == label)
        assert {line.get_color() for line in shown} <= {named.get_color()}
    across, ahead = curve(plan, "end of the near field")
    angles = np.arctan2(across, ahead)
    assert (angles[0], angles[-1]) == pytest.approx((-math.pi / 6, math.pi / 6))
    assert np.all(np.diff(angles) < 0.02)
    for i in (0, 31, 70, -1):
        assert math.hypot(across[i], ahead[i]) == pytest.approx(near_end(scene, angles[i], math.pi / 2), rel=1e-6)
    assert [line.get_label() for line in share.lines] == ["near users", "far users"]
    assert len({line.get_color() for line in share.lines}) == 2
    assert share.get_ylim()[0] == 0
    assert 1 < share.get_ylim()[1] < 1.1
    plt.close("all")
