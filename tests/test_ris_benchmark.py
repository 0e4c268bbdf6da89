"""What family B's speed is measured against computes the same, and the search's compiled loop what the arrays do."""

import numpy as np
import pytest

from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.numerics.armijo import Armijo
from engine.numerics.candidates import field_grid
from engine.numerics.path_information import Paths, path_covariance
from engine.streams import Streams
from jobs.benchmarks.ris_literal import localize, waves
from jobs.benchmarks.ris_literal_bound import literal_objective, literal_optimise
from jobs.benchmarks.ris_shared_literal import Trial, next_beam
from scenarios.ris import RisLocalization

SCENE = RisLocalization(elements_per_side=13, range_min_m=0.25, range_max_m=4.0, snr_db=15.0, n_cycles=12)
GRID = field_grid(SCENE.surface(), SCENE.view(), "hybrid", angle_step_rad=0.06, range_step_m=0.25)


@pytest.mark.parametrize("n_scatterers", [0, 2])
def test_one_dictionary_and_new_rows_alone_find_what_the_algorithm_as_it_reads_does(n_scatterers: int) -> None:
    drawn = SCENE.draw(Streams(0, 0), 4)
    channels = SCENE.cascade().from_users(SCENE.paths(drawn, np))
    noise = np.sqrt(SCENE.noise_variance()[0]) * drawn.noise
    atoms = waves(SCENE.surface(), GRID.candidates())
    for i in range(4):
        beams = np.exp(1j * drawn.surface_phase_rad[i]) * SCENE.cascade().to_base_station(np)
        samples = beams @ channels[i].T + noise[i]
        plain = localize([atoms] * SCENE.n_users, beams, samples, n_scatterers, 9)
        trial = Trial(SCENE.n_cycles, GRID.size, SCENE.n_users, n_scatterers)
        for start, stop, expected in zip((0, 9, 10, 11), (9, 10, 11, 12), plain, strict=True):
            trial.add((beams[start:stop] @ atoms).astype(np.complex64), samples[start:stop])
            users, gains = trial.estimate()
            np.testing.assert_array_equal(users, expected.users)
            np.testing.assert_allclose(gains, expected.gains, rtol=2e-4)


def test_the_next_beam_is_the_one_of_information_summed_anew() -> None:
    drawn = SCENE.draw(Streams(1, 0), 3)
    paths, surface, variance = SCENE.paths(drawn, np), SCENE.surface(), float(SCENE.noise_variance()[0])
    far = np.array([False, True, False, True])
    for i in range(3):
        beams = np.exp(1j * drawn.surface_phase_rad[i])
        kappa, polar, azimuth, gain = (part[i] for part in paths[:4])
        kappa = np.where(far, 0.0, kappa)
        none = np.zeros(0)
        mine = Paths(kappa, polar, azimuth, gain, none, none, none, np.zeros((4, 0), dtype=complex))
        covariance = path_covariance(surface, mine, beams[:9], np.asarray(variance), variant="gain", far=far)
        bounds = np.diagonal(covariance, axis1=-2, axis2=-1)
        weight = np.where(bounds > 0, 1 / np.where(bounds > 0, bounds, 1), 0)
        plain, value, *_ = literal_optimise(surface, mine, beams[:9], variance, beams[9], weight, far, Armijo())
        found = next_beam(surface, (kappa, polar, azimuth), gain, beams[:9], variance, beams[9])
        reached, _ = literal_objective(surface, mine, beams[:9], variance, found, weight, far)
        assert reached == pytest.approx(value, rel=1e-6)
        assert np.abs(np.vdot(found, plain)) / found.size == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_peaks_by_loops_are_the_arrays(whole: bool) -> None:
    """On a full lattice and on one with gaps; with equals, with fewer peaks than are asked for, with none."""
    scene = RisLocalization(angle_step_rad=0.08, range_step_m=1.0)
    pursuit = NewtonisedPursuit(on_problem_grid=not whole).pursuit(scene.problem(), np)
    size, random = pursuit.all_places.shape[0], np.random.default_rng(3)
    scores = random.random((3, 4, size))
    for given in (scores, np.round(scores, 1), 1.0 * (scores > 0.9999), np.zeros((2, size))):
        for n in (1, 8):
            loops, arrays = pursuit.peaks(given, n), pursuit.peaks_of_arrays(given, n)
            for one, other in zip(loops, arrays, strict=True):
                np.testing.assert_array_equal(one, other)
