"""What explanations know of noise and scattered gains: how it is handed on, fitted with, and fitted again."""

from typing import Any

import numpy as np
import pytest
from test_joint_pursuit import CYCLES, PROBLEM, SEARCH, SOME, K, L, some_paths

from engine.estimators.paths import Cycles, joint_pursuit
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.trials import Paths, Trials, joined, power, trials_of, with_scatterer

BY_EVIDENCE = SEARCH.model_copy(update={"scattered": "estimated"})


def told(n: int, **fields: Any) -> Paths:
    """n trials of two users and up to three scatterers."""
    none = np.zeros(n)
    usual = Paths(np.zeros((n, 5, 3)), np.zeros((n, 2, 4), complex), np.ones((n, 2)), none.astype(int), none,
                  none + 1, none, none)  # fmt: skip
    return usual._replace(**fields)


def trials_like(paths: Paths) -> Trials:
    n = len(paths.count)
    return Trials(np.zeros((n, 1, 1), complex), np.arange(n), np.zeros((n, 2, 9), complex), np.ones(n),
                  np.ones((n, 1)), np.ones(n))  # fmt: skip


def test_a_scatterer_that_is_found_takes_its_share_of_the_noise() -> None:
    """Of those not found one is found; the noise beside them and the gains' power stay as they are."""
    rng = np.random.default_rng(0)
    noise, gain_power = rng.uniform(2.0, 5.0, 6), rng.uniform(0.1, 3.0, 6)
    first = told(6, noise=noise, unseen=noise * rng.uniform(0.1, 0.9, 6), ridge=noise / gain_power)
    known = first.noise - first.unseen
    paths = first
    for found in range(3):
        place = rng.normal(size=(6, 3))
        more = with_scatterer(paths, 2 + found, place)
        np.testing.assert_array_equal(more.places[:, 2 + found], place)
        np.testing.assert_array_equal(paths.places[:, 2 + found :], 0)  # what there was is not written to
        np.testing.assert_array_equal(more.places[:, : 2 + found], paths.places[:, : 2 + found])
        np.testing.assert_array_equal(more.count, found + 1)
        np.testing.assert_allclose(more.unseen, first.unseen * (2 - found) / 3, atol=1e-12)
        np.testing.assert_allclose(more.noise - more.unseen, known)
        np.testing.assert_allclose(more.noise / more.ridge, gain_power)
        for unchanged in ("gain", "energy", "evidence"):
            assert getattr(more, unchanged) is getattr(first, unchanged)
        paths = more
    np.testing.assert_allclose(paths.noise, known)


@pytest.mark.parametrize("group", [[0, 1, 2], [0, 2, 1], [0, 0, 2], [1, 0, 2], [2, 2, 2], [0, 2], [0, 1, 1, 2]])
def test_values_of_groups_are_each_trials_own(group: list[int]) -> None:
    """Without a copy where trials are the groups."""
    n = len(group)
    some = Trials(np.zeros((3, 1, 1)), np.array(group), np.zeros((n, 1, 1)), np.ones(n))
    values = np.arange(6.0).reshape(3, 2)
    found = some.of_group(values)
    np.testing.assert_array_equal(found, [[2 * g, 2 * g + 1] for g in group])
    assert (found is values) == (group == [0, 1, 2])


def test_trials_are_the_copies_of_one_group_after_the_other() -> None:
    """Each with its own samples and noise, and the beams of its group."""
    rng = np.random.default_rng(6)
    beams, samples, noise = rng.normal(size=(3, 5, 7)), rng.normal(size=(3, 2, 5, 4)), rng.uniform(1, 2, (3, 2))
    some = trials_of(Cycles(beams, samples, noise), np)
    assert some.beams is beams
    assert some.powers is None
    assert some.received is None
    for t in range(6):
        assert some.group[t] == t // 2
        assert some.noise_variance[t] == noise[t // 2, t % 2]
        np.testing.assert_array_equal(some.samples[t], samples[t // 2, t % 2].T)


def test_cycles_that_follow_are_behind_those_before() -> None:
    """Whose own arrays stay as they are; what is told of the noise last is what counts."""
    rng = np.random.default_rng(7)
    whole = Cycles(rng.normal(size=(3, 6, 5)), rng.normal(size=(3, 2, 6, 4)), np.ones((3, 2)))
    kept = None
    for first, last in ((0, 1), (1, 4), (4, 6)):
        more = Cycles(whole.beams[:, first:last], whole.samples[:, :, first:last], np.full((3, 2), float(last)))
        kept = joined(kept, more, np)
        np.testing.assert_array_equal(kept.beams, whole.beams[:, :last])
        np.testing.assert_array_equal(kept.samples, whole.samples[:, :, :last])
        np.testing.assert_array_equal(kept.noise_variance, last)
        assert kept.beams.flags.c_contiguous


def test_trials_that_are_taken_have_their_own_powers_and_samples() -> None:
    rng = np.random.default_rng(8)
    some = Trials(rng.normal(size=(2, 5, 3)), np.array([0, 0, 1, 1]), rng.normal(size=(4, 2, 5)), rng.uniform(1, 2, 4))
    index = np.array([3, 1])
    for trials in (some, some._replace(powers=rng.random((4, 6)), received=rng.random(4))):
        taken = trials.take(index)
        assert taken.beams is trials.beams
        for name in ("group", "samples", "noise_variance", "powers", "received"):
            whole = getattr(trials, name)
            np.testing.assert_array_equal(getattr(taken, name), None if whole is None else whole[[3, 1]])


def test_where_nothing_is_known_of_gains_a_scatterer_more_tells_nothing() -> None:
    more = with_scatterer(told(2, noise=np.array([3.0, 2.0])), 4, np.ones((2, 3)))
    np.testing.assert_array_equal(more.ridge, 0)
    np.testing.assert_array_equal(more.unseen, 0)
    np.testing.assert_array_equal(more.noise, [3.0, 2.0])


def test_the_power_of_a_number_is_its_squared_modulus() -> None:
    assert power(np.array([3 - 4j, 0.5j, -1.5])) == pytest.approx([25.0, 0.25, 2.25])


def test_no_noise_at_all_is_a_noise_like_any_other() -> None:
    more = with_scatterer(told(2, noise=np.zeros(2)), 2, np.ones((2, 3)))
    np.testing.assert_array_equal(more.ridge, 0)
    np.testing.assert_array_equal(more.noise, 0)


@pytest.mark.filterwarnings("ignore:divide by zero|invalid value:RuntimeWarning")
@pytest.mark.parametrize("noise", ["told", "estimated"])
def test_scatterers_are_fitted_where_no_noise_is_told(noise: str) -> None:
    """As if there were hardly any; an estimator that estimates it may be told anything."""
    method = NewtonisedPursuit(enough=None, noise=noise)
    found = []
    for variance in (0.0, 1e-9):
        observer = method.prepare(PROBLEM, np).begin()
        observer.observe(CYCLES._replace(noise_variance=np.full((2, 2), variance)))
        found.append(observer.estimate(stating=False))
    for part in ("polar_rad", "scatterer_polar_rad", "scatterer_gain"):
        np.testing.assert_allclose(getattr(found[0], part), getattr(found[1], part), rtol=1e-6)


def test_a_fit_knows_what_its_paths_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ridge and noise of each trial as they are, of users alone none; no noise where nothing is known of gains."""
    asked: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    fit_paths = joint_pursuit.fit_paths

    def fit(*inputs: Any, ridge: np.ndarray, noise: np.ndarray) -> Any:
        asked[inputs[4].shape[1] - L] = ridge, noise
        return fit_paths(*inputs, ridge=ridge, noise=noise)

    monkeypatch.setattr(joint_pursuit, "fit_paths", fit)
    paths = some_paths()._replace(ridge=np.array([0.7, 30.0, 0.0, 0.0]))
    SEARCH.pursuit(PROBLEM, np).refined(SOME, paths)
    assert set(asked) == {0, 1, 2}
    np.testing.assert_array_equal(asked[0], [[0.0], [0.0]])
    np.testing.assert_array_equal(asked[1], [[0.0], [0.0]])
    np.testing.assert_array_equal(asked[2], [[0.7, 0.0], [paths.noise[0], 0.0]])


class Scripted(JointPursuit):
    """Fits of trial t that come out with the next of given evidences; places count how many there were."""

    def __init__(self, evidences: list[list[float]], ridges: list[float]) -> None:
        self.xp, self.problem = np, PROBLEM
        self.evidences, self.ridges, self.scattered = evidences, ridges, "estimated"
        self.asked: list[list[int]] = []

    def _fitted(self, trials: Trials, paths: Paths) -> Paths:
        self.asked.append(trials.group.tolist())
        nth = paths.places[:, 0, 0].astype(int)
        evidence = np.array([self.evidences[t][n] for t, n in zip(trials.group, nth, strict=True)])
        ridge = np.array([self.ridges[t] for t in trials.group])
        return paths._replace(places=paths.places + 1, evidence=evidence, ridge=ridge)


def test_what_a_fit_tells_of_gains_is_fitted_with_at_once() -> None:
    """Where nothing was known before, and something is now."""
    pursuit = Scripted([[1.0, 2.0]] * 4, [0.3, 0.0, 0.4, 5.0])
    paths = told(4, ridge=np.array([0.0, 0.0, 1.0, 0.0]))
    found = pursuit.refined(trials_like(paths), paths)
    assert pursuit.asked == [[0, 1, 2, 3], [0, 3]]
    np.testing.assert_array_equal(found.evidence, [2, 1, 1, 2])
    np.testing.assert_array_equal(found.ridge, [0.3, 0, 0.4, 5])
    np.testing.assert_array_equal(found.places[:, 0, 0], [2, 1, 1, 2])


@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_one_fit_is_enough_where_it_tells_nothing_new(ridge: float) -> None:
    pursuit = Scripted([[1.0]] * 2, [ridge] * 2)
    paths = told(2, ridge=np.full(2, ridge))
    pursuit.refined(trials_like(paths), paths)
    assert pursuit.asked == [[0, 1]]


def test_what_is_stored_is_fitted_again_until_that_brings_nothing_more() -> None:
    """A thousandth of a nat up or down ends it; a tenth of one less probable is not taken; ten fits at most."""
    evidences = [
        [5.0, 5.5, 5.5009],  # taken three times
        [-0.0999, -0.19, -0.1905],  # down, but nearly as probable each time
        [0.5, 0.39, 9.0],  # the second is not taken, and that is it
        [-0.11, 9.0],
        [np.nan, 9.0],
        list(range(1, 30)),
        [9.0, 9.0],  # without a scatterer
        [-0.0009, 9.0],
        [0.0011, 0.0011, 9.0],
    ]
    pursuit = Scripted(evidences, [0.2] * 9)
    paths = told(9, ridge=np.array([0.2] * 6 + [0.0] + [0.2] * 2))
    found = pursuit.polished(trials_like(paths), paths)
    assert pursuit.asked[:4] == [[0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 5, 6, 8], [0, 1, 5], [5]]
    assert len(pursuit.asked) == 10
    np.testing.assert_array_equal(found.evidence, [5.5009, -0.1905, 0.5, 0, 0, 10, 9, -0.0009, 0.0011])
    np.testing.assert_array_equal(found.places[:, 0, 0], [3, 3, 1, 0, 0, 10, 2, 1, 2])


def test_of_least_squares_what_is_left_is_what_counts() -> None:
    """A thousandth of the noise's variance."""
    pursuit = Scripted([[-5.0, -5.1], [-5.0, -5.0005]], [0.0] * 2)  # as −energy
    pursuit.scattered, pursuit.order = None, None
    fitted = pursuit._fitted

    def by_energy(trials: Trials, paths: Paths) -> Paths:
        found = fitted(trials, paths)
        return found._replace(energy=-found.evidence[:, None] * trials.noise_variance[:, None])

    pursuit._fitted = by_energy  # type: ignore[method-assign]
    paths = told(2)
    some = trials_like(paths)._replace(noise_variance=np.array([0.1, 3.0]))
    pursuit.polished(some, paths._replace(energy=5.0 * some.noise_variance[:, None]))
    assert pursuit.asked == [[0, 1]]
    pursuit.asked.clear()
    pursuit.evidences = [[-4.9, -4.9005, -1.0], [-4.9, -4.8, -4.7995]]
    pursuit.polished(some, paths._replace(energy=5.0 * some.noise_variance[:, None]))
    assert pursuit.asked == [[0, 1], [0, 1], [1]]


def test_polished_paths_stay_where_they_are() -> None:
    """Fitted again from there, all is within a thousandth of a nat; what has no scatterers was there from the start."""
    pursuit = BY_EVIDENCE.pursuit(PROBLEM, np)
    some = pursuit.with_powers(SOME, pursuit.rows(CYCLES.beams))
    begun = pursuit.refined(some, some_paths((2, 0, 1, 2)))
    found = pursuit.polished(some, begun)
    again = pursuit.refined(some, found)
    np.testing.assert_allclose(again.evidence, found.evidence, atol=1e-3)
    assert np.all(found.evidence > begun.evidence - 0.1)
    assert np.max(np.abs(found.places - begun.places)[0]) > 1e-6
    for ours, before in zip(found, begun, strict=True):
        np.testing.assert_allclose(ours[1], before[1], rtol=1e-5, atol=1e-6)


def test_estimates_are_of_paths_that_are_polished() -> None:
    """By the search that begins anew and by the one that tracks, at each of its estimates."""
    for method in (NewtonisedPursuit(scattered="estimated", enough=None), ClosedLoop()):
        observer: Any = method.prepare(PROBLEM, np).begin()
        pursuit = observer.pursuit
        polished, seen = pursuit.polished, []

        def keep(*inputs: Any, polished: Any = polished, seen: list[Paths] = seen) -> Paths:
            seen.append(polished(*inputs))
            return seen[-1]

        pursuit.polished = keep
        for part in (slice(0, 7), slice(7, None)):
            observer.observe(CYCLES._replace(beams=CYCLES.beams[:, part], samples=CYCLES.samples[:, :, part]))
            found = observer.estimate(stating=False)
            np.testing.assert_array_equal(found.polar_rad.reshape(4, L), seen[-1].places[:, :L, 1])
            np.testing.assert_array_equal(found.scatterer_gain.reshape(4, L, K), seen[-1].gain[..., 1:])
            np.testing.assert_array_equal(found.noise_variance.ravel(), seen[-1].noise)
        assert len(seen) == 2
        if isinstance(method, ClosedLoop):
            assert observer.paths is seen[-1]
