"""Approximate maximum likelihood and the atomic norm, against a plain search and the known errors."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ris_trials import LAB, SURFACE, angle_errors, inlier_rmse, trials

from engine.estimators.paths import Cycles, PathEstimates, PathEstimator, PathProblem, atomic_norm
from engine.estimators.paths.approximate_ml import ApproximateML, LineSearches
from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.numerics.atomic_descent import NOWHERE, Atoms
from engine.numerics.atomic_norm import decompose, duality_gap, objective
from engine.numerics.candidates import field_grid
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import wave

SMALL = UniformPlanarArray(13, 13, SURFACE.spacing_m, SURFACE.wavelength_m)


def estimate(method: PathEstimator, problem: PathProblem, cycles: Cycles) -> PathEstimates:
    observer = method.prepare(problem, np).begin()
    observer.observe(cycles)
    return observer.estimate()


def searched(grid: Any, beams: np.ndarray, samples: np.ndarray) -> tuple[float, float, float]:
    """The line searches of approximate maximum likelihood, a wave at a time."""

    def score(polar: float, azimuth: float, level: float) -> float:
        phi = beams @ wave(SMALL, np.array(level), np.array(polar), np.array(azimuth))
        return abs(np.vdot(phi, samples)) ** 2 / np.vdot(phi, phi).real

    level = grid.inverse_range_per_m[len(grid.inverse_range_per_m) // 2]
    pairs = [(polar, azimuth) for polar in grid.polar_rad for azimuth in grid.azimuth_rad]
    polar, azimuth = max(pairs, key=lambda pair: score(*pair, level))
    for _ in range(6):
        level = max(grid.inverse_range_per_m, key=lambda value: score(polar, azimuth, value))
        polar = max(grid.polar_rad, key=lambda value: score(value, azimuth, level))
        azimuth = max(grid.azimuth_rad, key=lambda value: score(polar, value, level))
    return level, polar, azimuth


def test_approximate_ml_searches_along_lines() -> None:
    problem, cycles, _ = trials(3, (10.0, 3.0), n_cycles=12, n_users=2, surface=SMALL)
    found = estimate(ApproximateML(angle_step_rad=0.1, range_step_m=0.5), problem, cycles)
    grid = field_grid(SMALL, LAB, "nf", angle_step_rad=0.1, range_step_m=0.5)
    for g, s, user in np.ndindex(3, 2, 2):
        plain = searched(grid, cycles.beams[g], cycles.samples[g, s, :, user])
        assert plain == tuple(field[g, s, user] for field in found[:3])
    assert found.scatterer_gain.shape == (3, 2, 2, 2)
    assert np.isnan(found.scatterer_azimuth_rad).all()


@pytest.mark.parametrize(
    ("n_ranges", "turns", "slope"),
    [(1, 1, 0.0), (2, 1, 0.0), (3, 2, 0.0), (4, 1, 0.0), (7, 1, 0.0), (7, 3, 0.0), (12, 2, 4.0), (12, 9, 4.0)],
)
def test_searches_along_lines_of_any_scores(n_ranges: int, turns: int, slope: float) -> None:
    """Many peaks, or a ridge that is climbed askew: where a search begins, how it turns, and when it ends all show."""
    scores = np.random.default_rng(n_ranges).random((40, 11, n_ranges, 13))
    p, i, a = np.ogrid[:11, :n_ranges, :13]
    scores += (slope > 0) * (slope * (p + i + a) - (p - i) ** 2 - (i - a) ** 2 - (a - p) ** 2)
    expected = []
    for one in scores:
        level = n_ranges // 2
        _, polar, azimuth = max((one[p, level, a], p, a) for p in range(11) for a in range(13))
        for _ in range(turns):
            level = max(range(n_ranges), key=lambda i: one[polar, i, azimuth])
            polar = max(range(11), key=lambda i: one[i, level, azimuth])
            azimuth = max(range(13), key=lambda i: one[polar, level, i])
        expected.append((polar, level, azimuth))
    dictionary: Any = SimpleNamespace(xp=np)
    search = LineSearches(dictionary, 0, turns)._search
    found = search(scores)
    np.testing.assert_array_equal(np.concatenate([search(one[None]) for one in scores]), found)
    assert [tuple(int(i) for i in np.unravel_index(place, (11, n_ranges, 13))) for place in found] == expected


def test_a_trial_does_not_depend_on_the_batch() -> None:
    problem, cycles, _ = trials(3, (10.0,), n_cycles=12, surface=SMALL)
    for method in (ApproximateML(angle_step_rad=0.1), AtomicNorm(n_atoms=3)):
        whole = estimate(method, problem, cycles)
        for field, alone in zip(whole, estimate(method, problem, Cycles(*(x[1:2] for x in cycles))), strict=True):
            np.testing.assert_array_equal(alone, field[1:2])


def test_the_atomic_norm_observes_cycle_by_cycle() -> None:
    problem, cycles, _ = trials(2, (10.0, 20.0), n_cycles=12, surface=SMALL)
    observer = AtomicNorm(n_atoms=3).prepare(problem, np).begin()
    for some in (slice(0, 5), slice(5, 12)):
        observer.observe(Cycles(cycles.beams[:, some], cycles.samples[:, :, some], cycles.noise_variance))
    for field, whole in zip(observer.estimate(), estimate(AtomicNorm(n_atoms=3), problem, cycles), strict=True):
        np.testing.assert_array_equal(field, whole)


def test_the_user_is_the_strongest_atom_in_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a loop, of atoms that are anything; and the misfit of what all of them leave, four numbers each fitted."""
    problem, cycles, _ = trials(2, (10.0, 0.0), n_cycles=3, n_users=2, n_scatterers=1, surface=SMALL)
    rng = np.random.default_rng(3)
    polar, azimuth = rng.uniform(0.7, 2.4, (2, 4, 5)), rng.uniform(-1.2, 1.2, (2, 4, 5))
    polar[0, 1], azimuth[0, 1], azimuth[1, 0] = 2.4, 0.1, -0.7  # none in view
    gain = rng.normal(size=(2, 4, 5)) + 1j * rng.normal(size=(2, 4, 5))
    gain[:, :, 2:] = 0
    gain[0, 0, 0], gain[1, 3, 1], gain[1, 2, 1] = 0, 0, 0  # 3 and 4 atoms, then 4 and 2
    handed: dict[str, Any] = {}

    def decomposed(array: Any, beams: Any, samples: Any, penalty: Any, **options: Any) -> Atoms:
        handed.update(options, array=array, penalty=penalty)
        u_y, u_z = np.sin(polar) * np.sin(azimuth), np.cos(polar)
        u_y[..., 3:], u_z[..., 3:] = (1e-9, NOWHERE), (-1 - 1e-15, NOWHERE)  # rounded beyond an end, and not placed
        return Atoms(u_y, u_z, gain)

    monkeypatch.setattr(atomic_norm, "decompose", decomposed)
    found = estimate(AtomicNorm(penalty=0.7, n_atoms=5, tolerance=0.03), problem, cycles)
    assert handed["array"] is SMALL
    assert (handed["n_atoms"], handed["tolerance"]) == (5, 0.03)
    for g, s in np.ndindex(2, 2):
        variance, left = cycles.noise_variance[g, s], 0.0
        for user in range(2):
            at = 2 * s + user
            assert handed["penalty"][g, at] == pytest.approx(
                0.7 * math.sqrt(variance) * math.sqrt(3 * 169 * math.log(4 * 169))
            )
            seen = [i for i in range(5) if LAB.polar_min_rad <= polar[g, at, i] <= LAB.polar_max_rad
                    and LAB.azimuth_min_rad <= azimuth[g, at, i] <= LAB.azimuth_max_rad]  # fmt: skip
            best = max(seen or range(5), key=lambda i: abs(gain[g, at, i]))
            ours = found.polar_rad[g, s, user], found.azimuth_rad[g, s, user], found.gain[g, s, user]
            if abs(gain[g, at, best]):
                assert ours == pytest.approx((polar[g, at, best], azimuth[g, at, best], gain[g, at, best]))
            waves = wave(SMALL, np.zeros(5), polar[g, at], azimuth[g, at])
            left += np.sum(np.abs(cycles.samples[g, s, :, user] - cycles.beams[g] @ (gain[g, at] @ waves)) ** 2)
        freedom = 2 * 3 * 2 - 4 * np.count_nonzero(gain[g, 2 * s : 2 * s + 2])
        misfit = (2 * left / variance - freedom) / math.sqrt(2 * freedom) if freedom > 0 else math.nan
        assert found.misfit[g, s] == pytest.approx(misfit, nan_ok=True)
    assert np.isnan(found.misfit).sum() == 3
    np.testing.assert_array_equal(found.noise_variance, cycles.noise_variance)
    assert not found.inverse_range_per_m.any()
    assert found.scatterer_gain.shape == (2, 2, 2, 1)
    assert not found.scatterer_gain.any()
    assert np.isnan(found.scatterer_polar_rad).all()


def test_what_the_atomic_norm_is_and_takes() -> None:
    method = AtomicNorm()
    assert (method.penalty, method.n_atoms, method.tolerance) == (0.5, None, 0.01)
    assert AtomicNorm(penalty=1e-3, n_atoms=1, tolerance=1e-6).n_atoms == 1
    for field in ("penalty", "n_atoms", "tolerance"):
        with pytest.raises(ValueError, match=field):
            AtomicNorm(**{field: 0})


@pytest.mark.slow
def test_known_errors_of_approximate_ml() -> None:
    """Specification 4.2: inliers .0080 and .0075, range 3.0 and 2.7 m at 10 and 20 dB."""
    problem, cycles, truth = trials(32, (10.0, 20.0), seed=2)
    found = estimate(ApproximateML(), problem, cycles)
    errors = angle_errors(found, truth)
    for s, (angle, distance) in enumerate(((0.0080, 3.0), (0.0075, 2.7))):
        assert inlier_rmse(errors[:, s]) == pytest.approx(angle, rel=4 * 0.08)
        range_error = 1 / found.inverse_range_per_m[:, s, ::2] - 1 / truth.users[0][:, ::2]
        assert math.sqrt(np.mean(range_error**2)) == pytest.approx(distance, rel=4 * 0.1)
    assert (errors > 0.05).mean() < 0.02


@pytest.mark.slow
def test_known_errors_of_the_atomic_norm() -> None:
    """Few outliers, and medians of far users of .005 and .0033 at 10 and 20 dB.

    Specification 4.2 has .0038 and .0016, of few atoms, far from the minimum. At the minimum, which duality proves, and
    for any tolerance, the error is larger: the floor of docs/ris.md.
    """
    problem, cycles, truth = trials(16, (10.0, 20.0), seed=2)
    found = estimate(AtomicNorm(), problem, cycles)
    errors = angle_errors(found, truth)[..., 1::2]
    for s, expected in enumerate((0.005, 0.0033)):
        # The median of n Rayleigh distributed errors has a standard error of 0.72/√n: 32 here, 128 there.
        assert np.median(errors[:, s]) / math.sqrt(2) == pytest.approx(expected, rel=4 * 0.142)
    assert (errors > 0.05).mean() < 0.1
    assert not found.inverse_range_per_m.any()


@pytest.mark.slow
def test_the_objective_on_the_papers_surface() -> None:
    """Within 1 % of its minimum by default, as proved by duality; 8 atoms leave it a tenth or more above."""
    _, cycles, _ = trials(1, (0.0, 10.0, 30.0), seed=4)
    signals = cycles.samples.swapaxes(-1, -2).reshape(1, 12, 20)
    variance = np.repeat(cycles.noise_variance[0], 4)[None]
    penalty = 0.5 * np.sqrt(variance * 20 * 625 * math.log(4 * 625))
    for n_atoms in (None, 8):
        atoms = decompose(SURFACE, cycles.beams, signals, penalty, n_atoms=n_atoms)
        gap = duality_gap(SURFACE, cycles.beams, signals, penalty, atoms)
        share = (gap / objective(SURFACE, cycles.beams, signals, penalty, atoms)).reshape(3, 4)
        if n_atoms is None:
            assert share.max() < 0.0105
            assert (np.abs(atoms.gain) > 0).sum(axis=-1).max() < 40
        else:
            assert np.median(share, axis=1).min() > 0.05
            assert np.median(share, axis=1)[-1] > 0.4
