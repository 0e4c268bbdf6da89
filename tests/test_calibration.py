"""Ranks of the truth: the judge against made-up ranks, cells against every place, and the study on a small scene."""

import math
from pathlib import Path

import numpy as np
import pytest
import xarray

import engine
from engine import InputError, Streams, Sweep
from engine.estimators import Observations, PosteriorMean, Workbench
from engine.estimators.likelihood import Likelihood
from engine.estimators.peaks import STEPS
from engine.estimators.posterior_cells import cells
from engine.estimators.rivals import rivals
from scenarios.figures.claims import UNDECIDED
from scenarios.leakage import LeakageBound, calibration, fig3_calibration, sensors
from scenarios.leakage.calibration import (
    CALIBRATED,
    EXACT,
    SHIFTED,
    UNCALIBRATED,
    WIDER,
    Judged,
    Ranks,
    distance,
    judged,
    summary,
)
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.posterior_ranks import calibration_of

SMALL = LeakageEstimation(
    n_elements=10,
    carrier_hz=28e9,
    n_sensors=4,
    leakage="spherical",
    user_range_min_m=0.1,
    user_range_max_m=0.6,
    user_range_draw="beta",
    prior_alpha=1.5,
    prior_beta=2.5,
    sensor_range_min_m=20.0,
    sensor_range_max_m=40.0,
    noise_dbm=(-50.0, -66.0),
    n_snapshots=(2,),
    estimators=(PosteriorMean(),),
)


def of_each_point(name: str, values: np.ndarray, quantity: str = "range") -> list[Ranks]:
    return [Ranks(name, quantity, f"point {i}", part) for i, part in enumerate(values)]


def wrong_on_purpose(draws: int, quantity: str = "range") -> list[Ranks]:
    """Of a Gaussian posterior, at four points, as `PosteriorRanks` makes them."""
    from scipy.special import ndtr

    normal = np.random.default_rng(1).standard_normal((4, draws))
    return of_each_point(WIDER, ndtr(normal / 1.1), quantity) + of_each_point(SHIFTED, ndtr(normal - 0.1), quantity)


def verdicts_of(found: list[Ranks]) -> dict[str, str]:
    return {one.stated_by: one.verdict for one in judged(found)}


def test_uniform_ranks_pass_and_others_do_not() -> None:
    from scipy.special import ndtr

    random = np.random.default_rng(2)
    uniform, wrong = of_each_point("right", random.random((4, 4000))), wrong_on_purpose(4000)
    assert verdicts_of([*uniform, *wrong]) == {"right": CALIBRATED, WIDER: UNCALIBRATED, SHIFTED: UNCALIBRATED}
    last = Ranks("right", "range", "the last", ndtr(random.standard_normal(2000) - 0.2))
    (one_off,) = judged([*uniform[:3], last])
    assert one_off.verdict == UNCALIBRATED
    assert one_off.worst_point == "the last"


def test_too_few_draws_never_confirm() -> None:
    """Nor do they accuse: of a hundred tables of right posteriors with 40 draws at a point, few have a wrong word."""
    random = np.random.default_rng(3)
    outcomes = [
        verdicts_of([*of_each_point("right", random.random((4, 40))), *wrong_on_purpose(40)]) for _ in range(100)
    ]
    assert {one["right"] for one in outcomes} <= {UNDECIDED, UNCALIBRATED}
    assert sum(one["right"] == UNCALIBRATED for one in outcomes) <= 5


def test_who_is_alone_is_not_confirmed() -> None:
    """Nothing shows that such draws would notice anything; of likelihoods, what is wrong in any quantity does."""
    uniform = np.random.default_rng(4).random((4, 4000))
    assert verdicts_of(of_each_point("right", uniform)) == {"right": UNDECIDED}
    likelihood, missed = of_each_point("right", uniform, "log-likelihood"), wrong_on_purpose(40, "angle")
    assert verdicts_of([*likelihood, *wrong_on_purpose(4000)])["right"] == CALIBRATED
    assert verdicts_of([*likelihood, *wrong_on_purpose(4000), *missed])["right"] == UNDECIDED


def test_draws_without_a_rank_are_counted_and_not_confirmed() -> None:
    uniform = np.random.default_rng(4).random((4, 4000))
    uniform[0, :3] = np.nan
    first, *_ = judged([*of_each_point("right", uniform), *wrong_on_purpose(4000)])
    assert (first.draws, first.without, first.verdict) == (15_997, 3, UNDECIDED)
    (row, *_) = calibration.table([first]).rows
    assert row[2] == "15997, 3 without"


def test_intervals_that_hold_too_often_fail() -> None:
    """Where the distribution as a whole is near enough: 700 draws, none of them outside 98 %."""
    values = np.linspace(0.01, 0.99, 700)
    (one,) = judged([Ranks("right", "range", "here", values)])
    assert one.distance < one.allowed
    assert one.coverage[2] == pytest.approx(np.mean(np.abs(2 * values - 1) < 0.95))
    assert one.covers
    (one,) = judged([Ranks("right", "range", "here", np.linspace(0.026, 0.974, 700))])
    assert one.distance < one.allowed
    assert one.coverage[2] == 1
    assert one.verdict == UNCALIBRATED


def test_distance_is_kolmogorovs() -> None:
    import scipy.stats

    values = np.random.default_rng(2).random(50) ** 1.3
    assert distance(values) == pytest.approx(scipy.stats.kstest(values, "uniform").statistic)


def test_cells_are_the_posterior_of_every_place() -> None:
    """A thousand times a thousand places, of a beta prior, at two noise powers."""
    drawn = SMALL.draw(Streams(2, 0), 3)
    statistic = SMALL.observe(np, drawn)[2]
    seen = Observations(statistic, drawn.sensor_range_m, drawn.sensor_angle_rad)
    batch = Workbench(SMALL.problem(), np).batch(seen).resolving()
    peaks = batch.once(rivals, SMALL.leakage, STEPS)
    whole = Likelihood.of(np, batch.workbench.problem, SMALL.leakage, seen)
    axes = [low + (high - low) * (np.arange(1000) + 0.5) / 1000 for low, high in ((0.1, 0.6), _ANGLES)]
    range_m, angle_rad = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
    for b, m in np.ndindex(3, 2):
        one = whole.each(np.array([b]), np.array([m]), 2)
        known = np.isfinite(peaks.value[b, m])
        held = cells(one, np.stack([peaks.range_m[b, m][known], peaks.angle_rad[b, m][known]], axis=-1))
        value = one.at(np, range_m[None, None], angle_rad[None, None]).value[0, 0]
        unit = (range_m - 0.1) / 0.5
        total = value + 0.5 * np.log(unit) + 1.5 * np.log(1 - unit)
        mass = np.exp(total - total.max())
        mass /= mass.sum()
        assert held.mass.sum() == pytest.approx(1)
        for at_m, at_rad in ((0.2, 1.2), (0.35, 1.7), (drawn.user_range_m[b], drawn.user_angle_rad[b])):
            below_m, below_rad = (  # of the place's own cell in part
                np.clip((at - place) / (axis[1] - axis[0]) + 0.5, 0, 1)
                for at, place, axis in zip((at_m, at_rad), (range_m, angle_rad), axes, strict=True)
            )
            assert held.range_below(at_m) == pytest.approx(mass @ below_m, abs=4e-3)
            assert held.angle_below(at_rad) == pytest.approx(mass @ below_rad, abs=4e-3)
        level = float(np.median(value))
        assert held.likelihood_below(level) == pytest.approx(mass @ (value < level), abs=0.01)
        (mean_m, deviation_m), (mean_rad, deviation_rad) = held.moments()
        assert mean_m == pytest.approx(mass @ range_m, rel=5e-3)
        assert mean_rad == pytest.approx(mass @ angle_rad, rel=2e-3)
        assert deviation_m == pytest.approx(math.sqrt(mass @ (range_m - mass @ range_m) ** 2), rel=0.02)
        assert deviation_rad == pytest.approx(math.sqrt(mass @ (angle_rad - mass @ angle_rad) ** 2), rel=0.02)


_ANGLES = (math.pi / 6, 5 * math.pi / 6)


def verdicts(sweep: Sweep, store: Path) -> dict[tuple[str, str], Judged]:
    engine.run(sweep, store, serial=True)
    return {(one.stated_by, one.quantity): one for one in judged(summary(engine.open_results(store).load()))}


def test_the_exact_posterior_is_calibrated_and_wrong_ones_are_not(tmp_path: Path) -> None:
    sweep = calibration_of(Sweep(SMALL, {"n_sensors": (3, 5)}, realizations=10), 3200, seed=3)
    found = verdicts(sweep, tmp_path / "ranks.zarr")
    assert {quantity for name, quantity in found if name == EXACT} == {"range", "angle", "log-likelihood"}
    for (name, quantity), one in found.items():
        assert one.draws == 3200
        assert one.verdict == (CALIBRATED if name == EXACT else UNCALIBRATED), (name, quantity, one)
    assert {name for name, _ in found} == {EXACT, WIDER, SHIFTED}


def test_points_share_no_draws() -> None:
    """Judged together, they must be independent: the sweep that they are made of shares users and noise."""
    sweep = calibration_of(Sweep(SMALL, {"n_sensors": (3, 5)}, realizations=10), 100, seed=3)
    assert sweep.axes == {"n_sensors": (3, 5), "noise_dbm": (-50.0, -66.0), "n_snapshots": (2,)}
    assert sweep.realizations == 25
    users = [sweep.at(point).draw(Streams(3, 0), 4).user_range_m for point in np.ndindex(2, 2, 1)]
    assert len(np.unique(users)) == 16
    again = calibration_of(sweep, 100, seed=3)
    assert again.fingerprint() == sweep.fingerprint()


def test_points_are_told_by_what_varies(tmp_path: Path) -> None:
    small = calibration_of(Sweep(SMALL, {"n_elements": (8, 10)}, realizations=10), 40, seed=3)
    engine.run(small, tmp_path / "ranks.zarr", serial=True)
    found = summary(engine.open_results(tmp_path / "ranks.zarr").load())
    points = {one.point for one in found}
    assert points == {f"n_elements {n}, {noise} dBm, L 2" for n in (8, 10) for noise in (-50, -66)}


@pytest.mark.study
@pytest.mark.timeout(20_000)
def test_fig3s_posterior_is_calibrated(tmp_path: Path) -> None:
    """16 000 draws over the twenty points of Fig. 3."""
    found = verdicts(fig3_calibration.replace(realizations=800, seed=20261129), tmp_path / "ranks.zarr")
    for (name, quantity), one in found.items():
        print(name, quantity, one)
        if name in (WIDER, SHIFTED):
            assert one.verdict == UNCALIBRATED, (name, quantity, one)
        elif name == EXACT:
            assert one.verdict == CALIBRATED, (name, quantity, one)


def test_the_legend_names_every_curve() -> None:
    """Of which the first panel has one alone."""
    generator = np.random.default_rng(0)
    ranks = [
        calibration.Ranks(name, quantity, "here", generator.random(50))
        for name, quantity in [(EXACT, "log-likelihood"), (EXACT, "range"), (WIDER, "range"), (SHIFTED, "range")]
    ]
    (legend,) = calibration.drawing(xarray.Dataset(), ranks).legends
    assert [text.get_text() for text in legend.get_texts()] == [EXACT, WIDER, SHIFTED]


def test_each_panel_has_its_own_quantitys_curves_in_a_band() -> None:
    right = [
        Ranks(EXACT, quantity, "here", at * np.linspace(0.01, 0.99, 50))
        for quantity, at in (("range", 1), ("angle", 0.5))
    ]
    figure = calibration.drawing(xarray.Dataset(), right)
    for panel, ranks, row in zip(figure.axes, right, judged(right), strict=True):
        (curve,) = panel.lines
        assert np.allclose(curve.get_xdata(), ranks.values)
        assert np.allclose(curve.get_ydata(), np.arange(1, 51) / 50 - ranks.values)
        (band,) = panel.patches
        assert np.allclose(
            band.get_extents().transformed(panel.transData.inverted()).intervaly, [-row.allowed, row.allowed]
        )


def test_the_command_prints_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.commands import calibrate

    monkeypatch.chdir(tmp_path)
    scene = ["n_sensors=5", "noise_dbm=-75", "n_snapshots=50", "n_elements=16", "user_range_min_m=0.2"]
    settings = [*scene, "user_range_max_m=1"]
    calibrate.command("leakage:fig3", settings, draws=40, seed=2, output=tmp_path / "c.png", serial=True)
    printed = capsys.readouterr().out
    assert EXACT in printed
    assert UNDECIDED.split()[0] in printed
    assert (tmp_path / "c.png").stat().st_size > 10_000
    (kept,) = (tmp_path / "results").glob("leakage-fig3-calibration-*.zarr")
    calibrate.command("leakage:fig3", settings, draws=60, seed=2, serial=True)
    assert engine.open_results(kept).sizes["realization"] == 60


def test_only_users_of_the_prior_are_ranked() -> None:
    for sweep in (Sweep(LeakageBound(), realizations=1), sensors):
        with pytest.raises(InputError, match=f"given a {type(sweep.scenario).__name__}: needed users"):
            calibration_of(sweep, 40, 1)
