"""Ranks of the truth: the judge against made-up ranks, cells against every place, and the study on a small scene."""

import math
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from engine import InputError, Streams, Sweep
from engine.estimators import Observations, PosteriorMean, Workbench
from engine.estimators.likelihood import Likelihood
from engine.estimators.peaks import STEPS
from engine.estimators.posterior_cells import cells
from engine.estimators.rivals import rivals
from scenarios.leakage import LeakageBound, calibration, fig3
from scenarios.leakage.calibration import EXACT, LEVELS, SHIFTED, WIDER, Judged, Ranks, distance, judged, study
from scenarios.leakage.estimation import LeakageEstimation

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


def test_uniform_ranks_pass_and_others_do_not() -> None:
    random = np.random.default_rng(1)
    uniform = [Ranks("right", "range", f"point {i}", random.random(2000)) for i in range(4)]
    from scipy.special import ndtr

    normal = random.standard_normal((2, 4, 2000))
    wide = [Ranks("wide", "range", f"point {i}", ndtr(normal[0, i] / 1.1)) for i in range(4)]
    aside = [Ranks("aside", "range", f"point {i}", ndtr(normal[1, i] - 0.1)) for i in range(4)]
    one_off = [*uniform[:3], Ranks("right", "range", "the last", ndtr(normal[0, 0] - 0.2))]
    verdicts = {one.stated_by: one.calibrated for one in judged([*uniform, *wide, *aside])}
    assert verdicts == {"right": True, "wide": False, "aside": False}
    (last,) = judged(one_off)
    assert not last.calibrated
    assert last.worst_point == "the last"


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


def verdicts(sweep: Sweep, draws: int, seed: int) -> dict[tuple[str, str], Judged]:
    with threadpool_limits(1):
        found = [one for ranks in study(sweep, draws, seed) for one in ranks]
    return {(one.stated_by, one.quantity): one for one in judged(found)}


def test_the_exact_posterior_is_calibrated_and_wrong_ones_are_not() -> None:
    found = verdicts(Sweep(SMALL, {"n_sensors": (3, 5)}, realizations=10), 3200, seed=3)
    assert {quantity for name, quantity in found if name == EXACT} == {"range", "angle", "log-likelihood"}
    for (name, quantity), one in found.items():
        assert one.draws == 3200
        assert one.calibrated == (name == EXACT), (name, quantity, one)
    assert {name for name, _ in found} == {EXACT, WIDER, SHIFTED}


@pytest.mark.study
@pytest.mark.timeout(20_000)
def test_fig3s_posterior_is_calibrated() -> None:
    """16 000 draws over the twenty points of Fig. 3."""
    found = verdicts(fig3, 16_000, seed=20261129)
    for (name, quantity), one in found.items():
        print(name, quantity, one)
        if name in (WIDER, SHIFTED):
            assert not one.calibrated, (name, quantity, one)
        elif name == EXACT:
            assert one.calibrated, (name, quantity, one)
            assert all(abs(share - level) < 0.01 for share, level in zip(one.coverage, LEVELS, strict=True))


def test_the_legend_names_every_curve() -> None:
    """Of which the first panel has one alone."""
    generator = np.random.default_rng(0)
    ranks = [
        calibration.Ranks(name, quantity, "here", generator.random(50))
        for name, quantity in [(EXACT, "log-likelihood"), (EXACT, "range"), (WIDER, "range"), (SHIFTED, "range")]
    ]
    (legend,) = calibration.drawing(ranks).legends
    assert [text.get_text() for text in legend.get_texts()] == [EXACT, WIDER, SHIFTED]


def test_the_command_prints_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.commands import calibrate

    command = ["n_sensors=5", "noise_dbm=-75", "n_snapshots=50", "n_elements=16", "user_range_min_m=0.2"]
    calibrate.command("leakage:fig3", [*command, "user_range_max_m=1"], draws=40, seed=2, output=tmp_path / "c.png")
    printed = capsys.readouterr().out
    assert EXACT in printed
    assert "calibrated" in printed
    assert (tmp_path / "c.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="given a LeakageBound"):
        next(calibration.study(Sweep(LeakageBound(), realizations=1), 40, 1))
