"""Which other explanations are tried, by a loop: one scatterer elsewhere and, by evidence, one less or one more."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.estimators.paths import alternatives
from engine.estimators.paths.trials import Paths, Trials

L, K, N = 1, 3, 6
COUNT = np.array([0, 3, 1, 2, 2, 1])
NOISE = np.array([1.0, 2.0, 0.5, 1.5, 1.0, 3.0])
UNSEEN = np.array([0.6, 0.0, 0.2, 0.1, 0.0, 1.5])
RIDGE = np.array([0.0, 3.0, 0.25, 1.0, 0.0, 2.0])


class Pretended:
    """Names scatterers by their inverse range: 1, 2, 3 are those found, 10 and more are places on the grid."""

    xp = np
    problem = SimpleNamespace(n_users=L, n_scatterers=K)

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.heights = -np.sort(-rng.uniform(-1.0, 4.0, (N, 4, 6)), axis=-1)
        self.heights[2, 0, 3:] = 0.0
        self.without = rng.uniform(20.0, 24.0, (N, 4))
        self.without[2, 0] = 21.0  # where there are no more peaks, also without any scatterer it is near enough
        self.evidence = rng.normal(size=(N, 4))

    def noise(self, trials: Trials, paths: Paths) -> np.ndarray:
        return NOISE[trials.group]

    def refined(self, trials: Trials, paths: Paths) -> Paths:
        return paths._replace(noise=paths.noise + 7, unseen=paths.unseen + 3, ridge=paths.ridge + 5)

    def scatterer_scores(self, trials: Trials, rows: Any, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = places.shape[1] - L
        assert not np.isnan(places).any()
        return np.stack([trials.group, np.full(len(places), known)], axis=-1), self.without[trials.group, known]

    def peaks(self, scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        assert n == 6
        trial, known = scores.T
        return 10 * (1 + known[:, None]) + np.arange(6), self.heights[trial, known]

    def places(self, index: np.ndarray) -> np.ndarray:
        return np.stack([index, index, index], axis=-1).astype(float)


def stored() -> tuple[Trials, Paths]:
    places = np.full((N, L + K, 3), np.nan)
    places[:, 0] = 0.0
    for t, n in enumerate(COUNT):
        places[t, L : L + n] = 1.0 + np.arange(n)[:, None]
    none = np.zeros(N)
    energy = np.array([19.0, 18.0, 20.0, 17.0, 16.0, 15.0])[:, None]
    paths = Paths(places, np.zeros((N, L, 1 + K), complex), energy, COUNT, none, NOISE, UNSEEN, RIDGE)
    return Trials(np.zeros((N, 1, 1), complex), np.arange(N), np.zeros((N, L, 1), complex), NOISE), paths


@pytest.mark.parametrize("by_evidence", [False, True])
def test_each_scatterer_is_taken_out_and_put_at_its_other_peaks(by_evidence: bool) -> None:
    """At those that are no more than 5 nats behind, should the grid show six tenths of them.

    Fitted with the noise and power that are stored; with one more than is stored, the rest of the unseen is less.
    """
    pursuit: Any = Pretended()
    trials, paths = stored()
    if by_evidence:
        trials = trials._replace(powers=np.ones((N, 2)), received=np.ones(N))
    expected = []
    for t in range(N):
        known = list(range(1, COUNT[t] + 1))
        tried = [[one for one in known if one != out] for out in known]
        if by_evidence:
            expected += [(t, rest) for rest in tried]
        if by_evidence and len(known) < K:
            tried.append(known)
        for rest in tried:
            for rank in range(6):
                height = pursuit.heights[t, len(rest), rank]
                after = pursuit.without[t, len(rest)] - height / 0.6
                if height > 0 and after < paths.energy[t].sum() + 5 * NOISE[t]:
                    expected.append((t, [*rest, 10 * (1 + len(rest)) + rank]))
    found = []
    for index, other in alternatives._others(pursuit, trials, None, paths):  # type: ignore[arg-type]
        for t, places, count in zip(index, other.places, other.count, strict=True):
            found.append((int(t), [int(one) for one in places[L : L + count, 0]]))
        for t, count, *known in zip(index, other.count, other.noise, other.unseen, other.ridge, strict=True):
            if count < COUNT[t]:
                expected_of = NOISE[t] + 7, UNSEEN[t] + 3, RIDGE[t] + 5
            elif count == COUNT[t]:
                expected_of = NOISE[t] + 7, 3.0, RIDGE[t] + 5
            else:
                share = UNSEEN[t] / (K - COUNT[t])
                expected_of = NOISE[t] - share + 7, UNSEEN[t] - share + 3, RIDGE[t] * (1 - share / NOISE[t]) + 5
            assert known == pytest.approx(expected_of)
    assert sorted(found) == sorted(expected)
    skipped = sum(1 for t in range(N) for n in range(COUNT[t] + 1) for _ in range(6)) - len(expected)
    assert skipped > 5


def test_explanations_compare_by_evidence_or_by_what_they_leave() -> None:
    pursuit: Any = Pretended()
    trials, paths = stored()
    np.testing.assert_allclose(alternatives._nats(pursuit, trials, paths), -paths.energy[:, 0] / NOISE)
    two = paths._replace(energy=np.repeat(paths.energy, 2, axis=1) * [1, 3], evidence=np.arange(N) * 1.0)
    np.testing.assert_allclose(alternatives._nats(pursuit, trials, two), -4 * paths.energy[:, 0] / NOISE)
    random = trials._replace(powers=np.ones((N, 2)), received=np.ones(N))
    np.testing.assert_array_equal(alternatives._nats(pursuit, random, two), np.arange(N))
