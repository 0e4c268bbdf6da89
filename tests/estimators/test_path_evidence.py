"""Evidence of explanations and second moments of estimates, against what they are the short form of."""

import math
from dataclasses import replace

import numpy as np
import pytest
from path_scenes import path_scene
from ris_trials import SURFACE, lattice_around, trials
from scipy import stats
from test_closed_loop import LOST_RAD, SMALL, estimate

from engine.errors import InputError
from engine.estimators.paths import Cycles, alternatives
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.evidence import log_evidence, with_powers
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.range_posterior import LEVELS
from engine.estimators.paths.reconsider import doubt
from engine.estimators.paths.spread import WEAK_NATS, WIDER, _along_range, _integrated, _points, spread
from engine.estimators.paths.trials import Paths as FoundPaths
from engine.estimators.paths.trials import trials_of
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.path_information import Paths, path_covariance
from engine.numerics.path_projection import responses
from engine.numerics.wavefront import wave


def test_responses_are_beams_times_waves() -> None:
    """Compiled, of a surface that is not square, near and far."""
    rng = np.random.default_rng(0)
    surface = UniformPlanarArray(5, 9, 0.004, 0.01)
    places = np.stack([rng.uniform(0, 4, (3, 6)), rng.uniform(1, 2, (3, 6)), rng.uniform(-0.5, 0.5, (3, 6))], axis=-1)
    places[0, 0, 0] = 0.0
    beams = rng.normal(size=(3, 7, 45)) + 1j * rng.normal(size=(3, 7, 45))
    expected = wave(surface, *np.moveaxis(places, -1, 0)) @ beams.swapaxes(1, 2)
    np.testing.assert_allclose(responses(surface, beams, places), expected, rtol=1e-11, atol=1e-11)


def _dense(problem, cycles, places, powers, *, count, rooms, false_alarm=None, noise_known=True):  # type: ignore[no-untyped-def]
    """ln p and means of s², its unseen part and s²/E|γ|² of one trial, by the samples' covariances, inverted."""
    n_users, most = problem.n_users, problem.n_scatterers
    beams, samples = cycles.beams[0], cycles.samples[0, 0]
    n_cycles = len(beams)
    received = beams @ wave(problem.surface, *places.T).T
    users, scatterers = received[:, :n_users], received[:, n_users : n_users + count]
    mean = 7.0
    numbers = range(count, most + 1) if false_alarm is not None else [most]
    variances = [float(cycles.noise_variance[0, 0])] if noise_known else np.geomspace(1e-4, 1e6, 401)
    nats, noises, unseens, ridges = [], [], [], []
    for number in numbers:
        for u in powers:
            for variance in variances:
                if noise_known:
                    noise = variance + (number - count) * u
                    power = u
                else:
                    noise, power = variance, u * variance
                    if (number - count) * u >= 1:
                        continue
                covariance = noise * np.eye(n_cycles) + power / mean * scatterers @ scatterers.conj().T
                inverse = np.linalg.inv(covariance)
                value = -n_users * np.linalg.slogdet(covariance)[1]
                for user in range(n_users):
                    own, y = users[:, user], samples[:, user]
                    information = np.vdot(own, inverse @ own).real
                    explained = abs(np.vdot(own, inverse @ y)) ** 2 / information
                    value -= np.vdot(y, inverse @ y).real - explained + math.log(information)
                value += math.lgamma(number + 1) - math.lgamma(number - count + 1)
                value -= count * math.log(rooms(n_users * n_cycles * power / noise))
                own = np.abs(np.sum(users.conj() * samples, axis=0)) ** 2 / np.sum(np.abs(users) ** 2, axis=0)
                value -= n_users * math.log(rooms(own.mean() / noise))
                value += 0 if false_alarm is None else number * math.log(false_alarm)
                nats.append(value)
                noises.append(noise)
                unseens.append((number - count) * power)
                ridges.append(noise / (power / mean) if count else 0.0)
    weight = np.exp(np.array(nats) - max(nats))
    return max(nats) + math.log(weight.sum()), *(
        weight @ np.array(part) / weight.sum() for part in (noises, unseens, ridges)
    )


@pytest.mark.parametrize("noise_known", [True, False])
@pytest.mark.parametrize("false_alarm", [None, 0.02])
def test_evidence_is_the_likelihood_with_what_is_unknown_summed_over(noise_known: bool, false_alarm: float) -> None:
    """Gains in the samples' covariance, the direct one's by a dense projection, σ² on a fine lattice."""
    problem, cycles, _ = trials(3, (3.0,), n_cycles=11, n_users=3, seed=5, surface=SMALL)
    problem = replace(problem, n_scatterers=3)
    some = trials_of(cycles, np)
    places = np.random.default_rng(1).uniform((0.1, 1.1, -0.5), (2.0, 2.0, 0.5), (3, 6, 3))
    powers = np.array([[0.05, 0.2, 0.6], [2.0, 20.0, 50.0], [0.5, 5.0, 8.0]]) / (1 if noise_known else 20)
    some = some._replace(powers=powers, received=np.full(3, 7.0))
    received = responses(SMALL, some.beams, places)

    def rooms(height):  # type: ignore[no-untyped-def]
        return 30 + height**0.5 if noise_known else 3 * height**1.5

    found, expected = [], []
    for counts in ((0, 1, 2), (3, 3, 1)):
        told = {"false_alarm": false_alarm, "noise_known": noise_known}
        found.append(log_evidence(problem, some, received, np.array(counts), rooms, **told))
        rows = []
        for t, count in enumerate(counts):
            one = Cycles(cycles.beams[t : t + 1], cycles.samples[t : t + 1], cycles.noise_variance[t : t + 1])
            rows.append(_dense(problem, one, places[t], powers[t], count=count, rooms=rooms, **told))
        expected.append(np.array(rows).T)
    for counts, ours, dense in zip(((0, 1, 2), (3, 3, 1)), found, expected, strict=True):
        freedom, fitted = 3 * (10 - 1.5) - 1, 1.5 * np.array(counts)
        scale = 1 if noise_known else freedom / (freedom - fitted)  # for the scatterers' places
        for part, scaled in ((1, scale), (2, scale), (3, 1.0)):
            np.testing.assert_allclose(ours[part], scaled * dense[part], rtol=1e-8 if noise_known else 2e-3, atol=1e-12)
    # What all explanations have in common is left out where σ² is unknown.
    for ours, dense in ((found[0].nats, expected[0][0]), (found[1].nats, expected[1][0])):
        if not noise_known:
            ours, dense = ours - found[0].nats, dense - expected[0][0]
        np.testing.assert_allclose(ours, dense, rtol=1e-9, atol=1e-5)


@pytest.mark.parametrize(("room", "room_per_peak", "share", "apart"), [(0, 30, 1.0, 1e-6), (30, 1, 1.5, 0.05)])
def test_noise_that_nobody_tells_and_a_room_that_grows_otherwise(
    room: float, room_per_peak: float, share: float, apart: float
) -> None:
    """As peaks' height, as long as they fill the view along the range; other than a power, in the mean only.

    Scatterers not found that would be more than all the noise are none, which half of them are here.
    """
    problem, cycles, _ = trials(1, (3.0,), n_cycles=11, n_users=3, seed=5, surface=SMALL)
    problem = replace(problem, n_scatterers=3)
    places = np.random.default_rng(1).uniform((0.1, 1.1, -0.5), (2.0, 2.0, 0.5), (1, 6, 3))
    powers = np.array([[0.45, 0.6]])
    some = trials_of(cycles, np)._replace(powers=powers, received=np.full(1, 7.0))
    received, told = responses(SMALL, some.beams, places), {"false_alarm": 0.4, "noise_known": False}

    def rooms(height):  # type: ignore[no-untyped-def]
        return room + room_per_peak * height**share

    ours = [log_evidence(problem, some, received, np.array([n]), rooms, **told).nats[0] for n in (0, 1, 3)]
    dense = [_dense(problem, cycles, places[0], powers[0], count=n, rooms=rooms, **told)[0] for n in (0, 1, 3)]
    np.testing.assert_allclose(np.diff(ours), np.diff(dense), atol=apart)


def test_powers_that_are_summed_over() -> None:
    """Told: that one. Else from what nobody would notice to all there is, in equal steps of the logarithm."""
    problem, cycles, _ = trials(4, (10.0,), n_cycles=20, seed=2)
    some = trials_of(cycles, np)
    pursuit = ClosedLoop().search.pursuit(problem, np)
    rows = pursuit.rows(some.beams)
    found = with_powers(problem, some, rows, told=False, noise_known=True)
    np.testing.assert_allclose(found.received, SURFACE.n_elements, rtol=0.2)
    assert np.all(found.powers[:, 0] < 0.02 * some.noise_variance)
    np.testing.assert_allclose(found.powers[:, -1], np.mean(np.abs(some.samples) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(np.diff(np.log(found.powers), 2, axis=1), 0, atol=1e-9)
    users = pursuit.refined(found, pursuit.alone(found, rows))
    assert np.all(users.noise > some.noise_variance)
    np.testing.assert_allclose(users.noise - users.unseen, some.noise_variance)
    told = NewtonisedPursuit(scattered="told")
    with pytest.raises(InputError, match="nobody tells their power"):
        told.pursuit(problem, np)
    known = with_powers(replace(problem, scattered_power=0.25), some, rows, told=True, noise_known=True)
    np.testing.assert_allclose(known.powers[:, 0] / known.received, 0.25)
    with pytest.raises(ValueError, match="or the noise told"):
        NewtonisedPursuit(scattered="told", noise="estimated")


def test_what_the_samples_do_not_show_is_noise_and_what_they_show_is_found() -> None:
    """One user, two scatterers at −10 dB: fitted all the same at 10 dB, they lost 2 to 3 of 100 users; now 0 of 320."""
    problem, cycles, truth = trials(40, (10.0,), n_cycles=14, n_users=1, seed=8)
    found = estimate(ClosedLoop(), problem, cycles)
    error = np.hypot(found.polar_rad[:, 0] - truth.users[1], found.azimuth_rad[:, 0] - truth.users[2])
    assert np.sum(error > LOST_RAD) <= 1
    fewer = np.isfinite(found.scatterer_polar_rad[:, 0]).sum(axis=-1) < 2
    assert np.mean(fewer) > 0.85
    assert np.all(found.noise_variance[fewer] > cycles.noise_variance[fewer])
    problem, cycles, _ = trials(6, (25.0,), seed=8)
    found = estimate(ClosedLoop(), problem, cycles)
    assert np.all(np.isfinite(found.scatterer_polar_rad))
    np.testing.assert_allclose(found.noise_variance, cycles.noise_variance)


def test_points_stand_for_a_parabola() -> None:
    """Drawn wide and weighted as the curvature's posterior is, they have its mean and covariance."""
    shares, across = _points()[:, 0], _points()[:, 1:]
    along, log_density = _along_range(np, shares, np.array([[-40.0]]), np.array([[40.0]]))
    points = np.concatenate([along[0, 0, :, None], across], axis=-1)
    weight = np.exp(np.sum(points**2, axis=-1) * -(WIDER**2) / 2 + np.sum(across**2, axis=-1) / 2 - log_density[0, 0])
    np.testing.assert_allclose(weight @ points / weight.sum(), 0, atol=1e-12)
    second = WIDER**2 * (points.T * weight) @ points / weight.sum()
    np.testing.assert_allclose(second, np.eye(3), atol=0.05)


def test_points_along_the_range_have_the_density_that_is_said() -> None:
    """Of a logistic distribution cut at both ends, against SciPy's."""
    shares = (np.arange(4000) + 0.5) / 4000
    for low, high in ((-0.3, 1.7), (0.4, 9.0), (-60.0, -1.0)):
        values, log_density = _along_range(np, shares, np.array([[low]]), np.array([[high]]))
        law = stats.logistic(scale=math.sqrt(3) / math.pi)
        below = (law.cdf(values[0, 0]) - law.cdf(low)) / (law.cdf(high) - law.cdf(low))
        np.testing.assert_allclose(below, shares, atol=1e-9)
        offset = law.logpdf(values[0, 0]) - log_density[0, 0]
        np.testing.assert_allclose(offset, offset[0], atol=1e-6)


def test_second_moments_against_a_lattice() -> None:
    """Of one user without scatterers at a low ratio: the posterior summed over the whole neighbourhood."""
    problem, cycles, _ = trials(2, (1.0,), n_cycles=24, n_users=1, n_scatterers=0, seed=11)
    pursuit = NewtonisedPursuit().pursuit(problem, np)
    some = trials_of(cycles, np)
    some, paths = acquired(pursuit, some, pursuit.rows(some.beams))
    stated = spread(pursuit, some, paths)
    ours = stated.covariance
    for t in range(2):
        polar, azimuth = paths.places[t, 0, 1:]
        places = lattice_around(SURFACE, polar, azimuth, (0.08, 0.08), (191, 29))
        received = cycles.beams[t] @ wave(SURFACE, *places.T).T
        energy = np.sum(np.abs(received) ** 2, axis=0)
        explained = np.abs(cycles.samples[t, 0, :, 0].conj() @ received) ** 2 / energy
        weight = explained / cycles.noise_variance[t, 0] - np.log(energy)
        weight = np.exp(weight - weight.max())
        away = places - paths.places[t, 0]
        moments = (away * weight[:, None]).T @ away / weight.sum()
        held = np.sqrt(np.diag(moments))
        np.testing.assert_allclose(np.sqrt(np.diag(ours[t, 0])), held, rtol=0.15)
        np.testing.assert_allclose(ours[t, 0] / np.outer(held, held), moments / np.outer(held, held), atol=0.25)
        weight /= weight.sum()
        assert stated.mean_per_m[t, 0] == pytest.approx(weight @ places[:, 0], rel=0.1)
        for level, quantile in zip(LEVELS, stated.quantiles_per_m[t, 0], strict=True):
            below = weight[places[:, 0] < quantile].sum() + weight[places[:, 0] <= quantile].sum()
            assert below / 2 == pytest.approx(level, abs=0.08)


def test_a_strong_signals_moments_are_the_curvatures() -> None:
    problem, cycles, _ = trials(3, (30.0,), n_cycles=16, seed=4)
    found = estimate(ClosedLoop(), problem, cycles)
    paths = Paths(*(part[:, 0] for part in found[:8]))
    bound = path_covariance(
        SURFACE, paths, cycles.beams, cycles.noise_variance[:, 0], coordinate="inverse_range",
        scatterer_prior=12 / np.array([2.0, math.pi / 3, math.pi / 3]) ** 2,
    )  # fmt: skip
    assert WEAK_NATS < 16 * 1000
    np.testing.assert_allclose(found.covariance[:, 0], bound, rtol=1e-6)
    integrated = _moments_of(problem, cycles, found)
    scale = np.sqrt(np.diagonal(bound, axis1=-2, axis2=-1))[..., 1:]
    np.testing.assert_allclose(np.sqrt(np.diagonal(integrated, axis1=-2, axis2=-1))[..., 1:] / scale, 1, atol=0.12)


def _moments_of(problem, cycles, found):  # type: ignore[no-untyped-def]
    """Integrated, where the curvature would do: 16 000 nats high."""
    pursuit = ClosedLoop().search.pursuit(problem, np)
    some = trials_of(cycles, np)
    rows = pursuit.rows(some.beams)
    some, paths = acquired(pursuit, some, rows)
    known = Paths(*(part[:, 0] for part in found[:8]))
    held = path_covariance(
        problem.surface, known, cycles.beams, some.noise_variance, variant="scatter_gains", coordinate="inverse_range"
    )
    points = _integrated(pursuit, some, paths, held, some.noise_variance, np.ones(3, bool))
    weight, some_in_view = points.weights(np, 1.0)
    assert some_in_view.all()
    return np.swapaxes(points.away * weight[..., None], -1, -2) @ points.away


def test_no_more_users_are_lost_than_by_the_greedy_pursuit() -> None:
    """At 0 to 6 dB on random scenes; the search for the best fit lost half as many again as the greedy one."""
    lost = {"search": 0, "greedy": 0}
    for seed in (5001, 5003):
        scene = path_scene(seed, 8, most_elements=16, snr_db=(0.0, 6.0))
        for name, method in (("search", ClosedLoop()), ("greedy", NewtonisedPursuit(enough=None))):
            lost[name] += int(scene.lost(estimate(method, scene.problem, scene.cycles)).sum())
    assert lost["search"] <= lost["greedy"]


@pytest.mark.parametrize(("seed", "trial"), [(3013, 0), (6012, 9), (6036, 0)])
def test_scatterers_that_count_as_noise_are_found_where_one_would_see_them(seed: int, trial: int) -> None:
    """A search that had taken them for noise saw no misfit and stopped: 50, 202 and 36 nats behind the truth's fit."""
    scene = path_scene(seed, 10)
    one = slice(trial, trial + 1)
    cycles = Cycles(*(part[one] for part in scene.cycles))
    observer = ClosedLoop().prepare(scene.problem, np).begin()
    observer.observe(cycles)
    observer.estimate(stating=False)
    pursuit = observer.pursuit
    some, paths = acquired(pursuit, trials_of(cycles, np), observer.rows)
    n_scatterers = scene.problem.n_scatterers
    start = paths._replace(places=scene.places[one], count=np.array([n_scatterers]))
    truth = pursuit.polished(some, pursuit.refined(some, start))
    assert observer.paths.evidence[0] > truth.evidence[0] - 0.1
    assert truth.count[0] == observer.paths.count[0] == n_scatterers
    users = pursuit.refined(some, start._replace(count=np.array([0])))
    assert users.unseen[0] > 0.5 * users.noise[0]
    assert doubt(pursuit, some, users)[0] > 3
    assert doubt(pursuit, some, users, slight=True)[0] == pytest.approx(doubt(pursuit, some, users)[0] + 2)
    assert doubt(pursuit, some, truth)[0] < 2


def test_places_are_spread_by_what_is_as_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three explanations, one of them twice, one with the user elsewhere, one more probable than what is stored."""
    problem, cycles, _ = trials(2, (10.0,), n_cycles=14, n_users=2, seed=3, surface=SMALL)
    pursuit = ClosedLoop().search.pursuit(problem, np)
    some = trials_of(cycles, np)
    rows = pursuit.rows(some.beams)
    some, paths = acquired(pursuit, some, rows)
    paths.places[0, :2] = 1.0, 0.05, 0.0  # where nothing is tried: overhead, where zeros would be

    def moved(user: int, by: tuple[float, float, float], nats: float) -> tuple[np.ndarray, FoundPaths]:
        places = paths.places[1:].copy()
        places[0, user] += by
        return np.array([1]), paths.take(np.array([1]))._replace(places=places, evidence=paths.evidence[1:] + nats)

    near, far = (0.1, 0.01, -0.02), (0.0, 0.5, 0.0)
    others = [moved(0, near, -1.0), moved(0, near, -1.0), moved(1, far, -0.5), moved(1, near, 3.0), moved(0, far, -7.0)]
    monkeypatch.setattr(alternatives, "_others", lambda *_: iter(others))
    found = alternatives.between_explanations(pursuit, some, rows, paths)
    np.testing.assert_array_equal(found[0], 0)
    outer, one, half = np.outer(near, near), math.exp(-1), math.exp(-0.5)
    np.testing.assert_allclose(found[1, 0], outer * one / (1 + one + half + 1), rtol=1e-9)
    np.testing.assert_allclose(found[1, 1], outer / (1 + one + 1), rtol=1e-9)


def test_scatterers_elsewhere_are_explanations_where_they_are_weak() -> None:
    """At 25 dB nothing else is as probable; at 3 dB something is, and every one is a fit of its own evidence."""
    for snr_db, some_other, scattered in (
        (25.0, False, "estimated"), (3.0, True, "estimated"), (25.0, False, "any"), (3.0, True, "any"),
    ):  # fmt: skip
        problem, cycles, _ = trials(3, (snr_db,), n_cycles=20, seed=12)
        search = ClosedLoop().search.model_copy(update={"scattered": scattered})
        pursuit, some = search.pursuit(problem, np), trials_of(cycles, np)
        rows = pursuit.rows(some.beams)
        some, paths = acquired(pursuit, some, rows)
        paths = pursuit.polished(some, paths)
        found = alternatives.between_explanations(pursuit, some, rows, paths)
        assert np.any(found > 0) == some_other
        values = np.linalg.eigvalsh(found)
        assert np.all(values > -1e-12)
        for index, other in alternatives._others(pursuit, some, rows, paths):
            again = pursuit.refined(some.take(index), other)
            np.testing.assert_allclose(again.evidence, other.evidence, atol=0.3)
            np.testing.assert_allclose(again.energy, other.energy, rtol=0.05)
            # By χ² alone another number of them is no matter of probability.
            assert np.all(np.abs(other.count - paths.count[index]) <= (scattered != "any"))
