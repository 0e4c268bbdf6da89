"""What the second paper says beside its figures of errors: Fig. 3, Eqs. 49 to 58, near and far told apart."""

import cmath
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import engine
from engine import Streams, Sweep
from scenarios import ris
from scenarios.figures.claims import CONTRADICTED, NOT_JUDGED, REPRODUCED, UNDECIDED, judged
from scenarios.figures.comparisons import ABOVE, BELOW, INSIDE, UNKNOWN, MeanRatio, Region, Share
from scenarios.figures.somewhere import Somewhere
from scenarios.ris import RisLocalization, RisPower, RisSampledPlaces, remark1
from scenarios.ris import power as power_sweep
from scenarios.ris.power import Power, claims, powers
from scenarios.ris.remark1 import Parts
from scenarios.ris.told_apart import shares_called_near, told_apart_table

C = 299_792_458


def outcomes(claimed: Any) -> dict[str, str]:
    return {one.claim: one.outcome for one in judged(claimed)}


# --- Eqs. 56 to 58


def test_powers_element_by_element() -> None:
    scene = RisPower(elements_per_side=6, elements_upwards=4, range_min_m=0.3, users="far", n_users=2, n_scatterers=1,
                     scatterer_db=-3.0, n_cycles=1, subcarrier_hz=0.0)  # fmt: skip
    faded = scene.draw(Streams(2, 0), 3)
    found, drawn = scene.prepare(np)(faded)["received_power"][1], faded.scene
    k = 2 * math.pi * 28e9 / C
    for trial in range(3):
        channels: dict[str, list[complex]] = {"Rayleigh": [], "paths": []}
        for i in range(6):
            for j in range(4):
                n, y, z = 4 * i + j, (i - 2.5) * 0.005, (j - 1.5) * 0.005
                channels["Rayleigh"].append(faded.fading_to_user[trial, n] * faded.fading_to_base[trial, n])
                total = 0j
                for name, gain in (("user", 1.0), ("scatterer", 10 ** (-3 / 20))):
                    place = [getattr(drawn, f"{name}_{p}")[trial, 0] for p in ("range_m", "polar_rad", "azimuth_rad")]
                    u = (math.sin(place[1]) * math.cos(place[2]), math.sin(place[1]) * math.sin(place[2]),
                         math.cos(place[1]))  # fmt: skip
                    apart = math.dist([place[0] * part for part in u], (0, y, z)) - place[0]
                    phase = drawn.user_phase_rad[trial, 0] if name == "user" else drawn.scatterer_phase_rad[trial, 0, 0]
                    total += gain * cmath.exp(1j * (phase - k * apart))
                base = cmath.exp(-1j * k * (math.dist((3, -4, 1), (0, y, z)) - math.sqrt(26)))
                channels["paths"].append(total * base / math.sqrt(1 + 10**-0.3))
        for c, channel in enumerate(("Rayleigh", "paths")):
            values = channels[channel]
            turned = zip(values, drawn.surface_phase_rad[trial, 0], strict=True)
            expected = (
                abs(sum(values)) ** 2,
                abs(sum(value * cmath.exp(1j * phase) for value, phase in turned)) ** 2,
                sum(abs(value) for value in values) ** 2,
            )
            np.testing.assert_allclose(found[trial, c], expected, rtol=1e-8)
    assert list(scene.coordinates()) == ["channel", "phases"]


def test_fading_has_unit_power_and_is_new_for_every_element_and_channel() -> None:
    drawn = RisPower(elements_per_side=5, range_min_m=0.6, users="far", n_users=1, n_scatterers=0, n_cycles=1).draw(
        Streams(0, 0), 4000
    )
    for values in (drawn.fading_to_user, drawn.fading_to_base):
        assert abs((np.abs(values) ** 2).mean() - 1) < 4 / math.sqrt(values.size)
        assert abs((values**2).mean()) < 4 / math.sqrt(values.size)  # no phase is more likely: both parts are their own
        assert abs((np.abs(values) ** 4).mean() - 2) < 20 / math.sqrt(values.size)
    assert abs((drawn.fading_to_user * drawn.fading_to_base.conj()).mean()) < 4 / math.sqrt(values.size)
    assert abs((drawn.fading_to_user[:, 0] * drawn.fading_to_user[:, 1].conj()).mean()) < 4 / math.sqrt(4000)


def as_proposition_3(scale: float = 1.0, order: float = 0.0) -> list[Power]:
    """Powers at four sizes, exponential where phases do not know the channel; scale and N^order off the equations."""
    random = np.random.default_rng(0)
    found = []
    for n in (25, 100, 400, 900):
        for channel in ("Rayleigh", "paths"):
            for phases in ("zero", "random", "aligned"):
                mean = (n * math.pi / 4) ** 2 if phases == "aligned" else n
                shape = 400 if phases == "aligned" else 1
                samples = random.gamma(shape, 1 / shape, 40_000) * mean * scale * (n / 100) ** order
                found.append(Power(n, channel, phases, samples))
    return found


def test_claims_of_power_hold_and_fail() -> None:
    assert set(outcomes(claims(as_proposition_3())).values()) == {REPRODUCED}
    off = outcomes(claims(as_proposition_3(scale=1.25)))
    assert {verdict for claim, verdict in off.items() if "order" not in claim} == {CONTRADICTED}
    assert {verdict for claim, verdict in off.items() if "order" in claim} == {REPRODUCED}
    low = outcomes(claims(as_proposition_3(scale=0.8)))
    assert {verdict for claim, verdict in low.items() if "order" not in claim} == {CONTRADICTED}
    for order in (0.2, -0.2):
        grown = outcomes(claims(as_proposition_3(order=order)))
        assert {verdict for claim, verdict in grown.items() if "order" in claim} == {CONTRADICTED}
    two_sizes = [one for one in as_proposition_3() if one.n_elements < 400]
    assert {v for claim, v in outcomes(claims(two_sizes)).items() if "order" in claim} == {NOT_JUDGED}


def test_small_runs_of_power_and_of_fig3_are_drawn(tmp_path: Path) -> None:
    for sweep, axes in ((power_sweep, {"elements_per_side": (3, 5, 7)}), (ris.fig3, {})):
        small = sweep.replace(axes=axes, realizations=20, block=10, chunk=10, name="")
        results = engine.run(small, tmp_path / f"{sweep.name[4:]}.zarr", serial=True).load()
        found = sweep.summary(results)  # type: ignore[misc]
        sweep.figure(results, found).savefig(tmp_path / "figure.png")  # type: ignore[misc]
        assert (tmp_path / "figure.png").stat().st_size > 10_000
        for table in sweep.report(results, found):  # type: ignore[misc]
            assert table.rows
            assert all(len(row) == len(table.headings) for row in table.rows)
    sizes = {one.n_elements for one in powers(engine.open_results(tmp_path / "power.zarr").load())}
    assert sizes == {9, 25, 49}


# --- Fig. 3


@pytest.mark.parametrize("model", ["hybrid", "nf", "ff"])
def test_sampled_places_and_what_they_miss(model: Any) -> None:
    scene = RisSampledPlaces(n_cycles=1, n_scatterers=0, n_users=2, model=model)
    assert [scene.grid(one).size for one in ("ff", "hybrid", "nf")] == [2704, 55808, 105456]  # specification, 3
    drawn = scene.draw(Streams(1, 0), 5)
    found = {name: values for name, (_, values, _) in scene.prepare(np)(drawn).items()}
    places = scene.grid().candidates()
    k = 2 * math.pi * 28e9 / C
    step = (np.arange(25) - 12) * 0.005
    y, z = (part.ravel() for part in np.meshgrid(step, step, indexing="ij"))

    def wave(kappa: float, polar: float, azimuth: float) -> np.ndarray:
        u = np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
        if kappa == 0:
            return np.exp(1j * k * (y * u[1] + z * u[2]))
        at = u / kappa
        apart = np.sqrt(at[0] ** 2 + (at[1] - y) ** 2 + (at[2] - z) ** 2) - 1 / kappa
        return np.exp(-1j * k * apart)

    for trial, user in np.ndindex(5, 2):
        range_m, polar, azimuth = (float(part[trial, user]) for part in drawn[:3])
        off = (places.polar_rad - polar) ** 2 + (places.azimuth_rad - azimuth) ** 2
        row = off <= off.min() * (1 + 1e-9)
        kappas = places.inverse_range_per_m[row]
        spherical = kappas[kappas > 0]
        plane = model == "ff" or (model == "hybrid" and user == 1)
        kappa = 0.0 if plane else min(spherical, key=lambda value: abs(1 / value - range_m))
        at = (trial, user)
        np.testing.assert_allclose(found["squared_mismatch_angle_rad2"][at], off.min() / 2)
        expected = math.nan if plane else (1 / kappa - range_m) ** 2
        np.testing.assert_allclose(found["squared_mismatch_range_m2"][at], expected, atol=1e-14)
        next_wave = wave(kappa, float(places.polar_rad[row][0]), float(places.azimuth_rad[row][0]))
        kept = abs(np.vdot(next_wave, wave(1 / range_m, polar, azimuth)) / 625) ** 2
        np.testing.assert_allclose(found["share_kept"][at], kept, rtol=1e-9)
        np.testing.assert_allclose(found["user_range_m"][at], range_m)


def test_the_mismatch_of_uniform_users_is_that_of_uniform_cells(tmp_path: Path) -> None:
    sweep = ris.fig3.replace(realizations=400, chunk=400)
    results = engine.run(sweep, tmp_path / "x.zarr", serial=True).load()
    found = sweep.summary(results)  # type: ignore[misc]
    cell_rad, step_m = math.pi / 3 / 52, 0.25
    for field in ("near", "far"):  # 800 users, 1600 angles: the square of a uniform one varies by 0.894 of its mean
        assert found.angle_rad[field] == pytest.approx(cell_rad / math.sqrt(12), rel=4 * 0.894 / 2 / math.sqrt(1600))
    assert found.miss_m["near"] == pytest.approx(step_m / math.sqrt(12), rel=0.08)  # the last step of a row is longer
    assert math.isnan(found.miss_m["far"])
    assert found.near.sum() == 800
    assert np.all(found.range_m[found.near] < 5.4)


# --- Eqs. 49 to 55, Remark 1


def parts(cycle: int, mismatch: float, misjudgment: float, error: float, *, wrong: float, method: str = "m") -> Parts:
    random = np.random.default_rng(cycle)
    shape = (2000, 2)
    judged_wrong = random.random(shape) < wrong
    return Parts(
        "angle", "far", method, cycle,
        mismatch**2 * random.gamma(8, 1 / 8, shape),
        np.where(judged_wrong, misjudgment**2 * random.gamma(8, 1 / 8, shape), 0.0),
        error**2 * random.gamma(8, 1 / 8, shape),
        np.ones(shape, dtype=bool),
    )  # fmt: skip


@pytest.fixture
def results() -> xarray.Dataset:
    scene = remark1.scenario
    return xarray.Dataset(attrs={
        "scenario_class": "scenarios.ris.localization:RisLocalization", "scenario": scene.model_dump_json(),
        "axes": "{}",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "errors", "expected"),
    [
        (0.001, (2e-2, 6.6e-3, 6.2e-3), [REPRODUCED] * 3),
        (0.03, (2e-2, 6.6e-3, 6.2e-3), [CONTRADICTED, REPRODUCED, REPRODUCED]),
        (0.001, (2e-2, 1.2e-2, 9e-3), [REPRODUCED, CONTRADICTED, CONTRADICTED]),
        (0.001, (5e-3, 6e-3, 6e-3), [REPRODUCED, REPRODUCED, CONTRADICTED]),
    ],
)
def test_claims_of_remark_1(
    results: xarray.Dataset, wrong: float, errors: tuple[float, ...], expected: list[str]
) -> None:
    from scenarios.ris.remark1 import claims as of_parts

    curve = [parts(cycle, 6e-3, 2e-2, error, wrong=wrong) for cycle, error in zip((4, 20, 40), errors, strict=True)]
    found = judged(of_parts(results, curve))
    assert [one.outcome for one in found] == expected
    assert all(one.verdict.endswith("[here: our SNR, far waves spherical, random phases, 13 random cycles]")
               for one in found)  # fmt: skip
    assert len(judged(of_parts(results, curve[:1]))) == 2


def test_parts_are_read_of_the_users_and_cycles_that_they_are_of(tmp_path: Path) -> None:
    scene = remark1.scenario
    assert isinstance(scene, RisLocalization)
    scene = scene.replace(elements_per_side=9, range_min_m=0.15, range_max_m=3.0, angle_step_rad=0.06, n_users=2,
                          n_cycles=16, recorded_cycles=(8, 16))  # fmt: skip
    sweep = remark1.replace(scenario=scene, realizations=6, block=3, chunk=3, name="")
    stored = engine.run(sweep, tmp_path / "x.zarr", serial=True).load()
    found = sweep.summary(stored)  # type: ignore[misc]
    assert {(one.field, one.quantity) for one in found} == {("far", "angle"), ("near", "angle"), ("near", "range")}
    assert len(found) == 3 * 2 * 2
    one = next(p for p in found if p[:4] == ("range", "near", "hybrid, optimised", 16))
    here = stored.sel(estimator="hybrid, optimised", cycle=16).isel(snr_db=0, user=[0])
    np.testing.assert_array_equal(one.misjudgment, here.squared_misjudgment_range_m2.values)
    np.testing.assert_array_equal(one.mismatch, here.squared_mismatch_range_m2.values)
    np.testing.assert_array_equal(one.error, here.squared_error_range_m2.values)
    lost = here.direction_error_beams.values > 0.75
    np.testing.assert_array_equal(one.found, ~lost)
    moved = int((here.squared_misjudgment_range_m2.values > 0).sum())
    assert one.misjudged == (moved, 6)
    if one.found.any():
        kept = here.squared_error_range_m2.values[~lost]
        assert one.root(one.error) == pytest.approx(math.sqrt(kept.mean()))


def test_the_figure_of_sampled_places_shows_them_and_its_table_tells_near_from_far(tmp_path: Path) -> None:
    from scenarios.ris.sampled import draw, report, summary

    scene = RisSampledPlaces(n_cycles=1, n_scatterers=0, elements_per_side=9, range_min_m=0.15, range_max_m=3.0,
                             angle_step_rad=0.12, n_users=2)  # fmt: skip
    stored = engine.run(Sweep(scene, {}, realizations=6, block=3, name="t"), tmp_path / "x.zarr", serial=True).load()
    found = summary(stored)
    lines = {row[0]: row for row in report(stored, found)[1].rows}
    for user, field in enumerate(stored.user_field.values.tolist()):
        kept = stored.share_kept.isel(user=user).values
        assert lines[field][3:] == (f"{kept.mean():.3f}", f"{np.percentile(kept, 5):.3f}")
        off = stored.isel(user=user)
        range_m = math.sqrt(float(off.squared_mismatch_range_m2.mean()))
        assert lines[field][1] == f"{math.sqrt(float(off.squared_mismatch_angle_rad2.mean())):.2g}"
        assert lines[field][2] == ("–" if math.isnan(range_m) else f"{range_m:.2g}")
        (points,) = (one for one in draw(stored, found).axes[1].lines if one.get_label() == f"{field} users")
        np.testing.assert_allclose(sorted(points.get_ydata()), sorted(kept))
    assert lines["near"][3:] != lines["far"][3:]
    drawn = [
        place
        for line in draw(stored, found).axes[0].lines
        if line.get_marker() == "." and len(line.get_xdata())
        for place in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    places = scene.grid()
    row = int(np.argmin(np.abs(places.polar_rad - np.pi / 2)))
    expected = [
        (np.sin(places.polar_rad[row]) / kappa * np.sin(phi), np.sin(places.polar_rad[row]) / kappa * np.cos(phi))
        for level, kappa in enumerate(places.inverse_range_per_m)
        for column, phi in enumerate(places.azimuth_rad)
        if kappa > 0 and places.allowed[row, column, level]
    ]
    assert len(expected) > 10
    np.testing.assert_allclose(sorted(drawn), sorted(expected))


# --- near and far told apart


def test_shares_called_near() -> None:
    random = np.random.default_rng(3)
    rate = np.array([[0.9, 0.3], [0.6, 0.0]])  # method, field
    users = ["near", "far", "near", "far"]
    drawn = random.random((500, 2, 3, 4)) < np.tile(rate, (1, 2))[None, :, None, :]
    data = xarray.Dataset(
        {"labelled_near": (("realization", "estimator", "snr_db", "user"), drawn.astype(float))},
        {"estimator": ["a", "b"], "snr_db": [0.0, 10.0, 20.0], "user_field": ("user", users)},
    )
    shares = {(one.x, one.method, one.field): one for one in shares_called_near(data, "snr_db")}
    assert len(shares) == 3 * 2 * 2
    for m, method in enumerate("ab"):
        for level, snr_db in enumerate((0.0, 10.0, 20.0)):
            for f, field in enumerate(("near", "far")):
                one = shares[snr_db, method, field]
                assert one.near.value == pytest.approx(drawn[:, m, level, f::2].mean())
                assert one.near.low <= rate[m, f] <= one.near.high or abs(one.near.value - rate[m, f]) < 0.06
                assert one.users == 1000
    of_cycles = xarray.concat([1 - data.labelled_near, 0 * data.labelled_near, data.labelled_near], "cycle")
    assert list(shares.values()) == shares_called_near(data.assign(labelled_near=of_cycles), "snr_db")  # after the last
    lines = {row[:2]: row[2:] for row in told_apart_table(data, "snr_db").rows}
    assert lines["0", "b"][1].startswith("0 % (0–0")
    assert lines["20", "a"][0].startswith(f"{100 * drawn[:, 0, 2, ::2].mean():.0f} % (")
    only_far = data.isel(user=[1, 3])
    assert {row[2] for row in told_apart_table(only_far, "snr_db").rows} == {"–"}


# --- a number somewhere


def test_somewhere_is_inside_if_any_is_and_outside_if_all_are() -> None:
    def at(events: int, trials: int = 4000) -> Share:
        return Share(f"{events}", events, trials, Region(high=0.1))

    assert Somewhere("x", (at(2000), at(40), at(2000))).judged(0.01).side == INSIDE
    assert Somewhere("x", (at(2000), at(40), at(2000))).judged(0.01).where == "40"
    assert Somewhere("x", (at(2000), at(1500))).judged(0.01).side == ABOVE
    assert Somewhere("x", (at(2000), at(400))).judged(0.01).side == UNKNOWN
    assert Somewhere("x", (at(2000), at(400))).judged(0.01).value == pytest.approx(0.1)
    nothing = MeanRatio("none", np.array([]), np.array([]), Region(high=0.1))
    assert Somewhere("x", (nothing, at(400))).judged(0.01).value == pytest.approx(0.1)
    low = Share("low", 10, 4000, Region(low=0.5))
    assert Somewhere("x", (low,)).judged(0.01).side == BELOW
    # Each part has its share of what may go wrong: alone this one would be inside.
    tail = 2e-3
    events = next(n for n in range(400, 0, -1) if at(n).judged(tail).side == INSIDE)
    assert Somewhere("x", (at(events),)).judged(tail).side == INSIDE
    assert Somewhere("x", (at(events), *[at(2000)] * 20)).judged(tail).side == UNKNOWN


def test_descriptions_are_kept(tmp_path: Path) -> None:
    for sweep in (ris.fig3, ris.power, ris.remark1, ris.fig4_as_printed):
        again = json.loads(sweep.scenario.model_dump_json())
        assert type(sweep.scenario).model_validate(again) == sweep.scenario


def test_undecided_is_still_said() -> None:
    few = [one._replace(samples=one.samples[:20]) for one in as_proposition_3()]
    assert UNDECIDED in set(outcomes(claims(few)).values())
