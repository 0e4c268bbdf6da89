"""Paths that stand for one another, by loops: what is tried of which trials; fits are pretended."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import test_path_sought
from test_path_sought import COUNT, ENERGY, NOISE, H, K, L, T, best, names, peaks_of_users, pretended, some_paths

from engine.estimators.paths import standing_in
from engine.estimators.paths.trials import Paths, Trials

RNG = np.random.default_rng(3)
some_trials, tried = test_path_sought.some_trials, test_path_sought.tried


def test_a_scatterer_is_tried_where_each_user_is(
    tried: list[tuple[int, list[int], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there may be one more, begun with what was found; users at their best places beside it; and so on."""
    paths = some_paths()
    trying = [t for t in range(T) if COUNT[t] < K]
    assert standing_in.scatterer_at_a_user(pretended(), some_trials(), None, paths) is not paths  # type: ignore[arg-type]
    expected = [(t, [best(t, 0), best(t, 1), *range(L, L + COUNT[t]), user], 12.0) for t in trying for user in range(L)]
    assert sorted(tried) == sorted(expected)

    calls = np.zeros(T)

    def taken(pursuit: Any, trials: Trials, rows: Any, mine: Paths, new: Paths, nats: float) -> Paths:
        np.testing.assert_array_equal(mine.evidence, calls[trials.group])  # the better one of those before
        calls[trials.group] += 1
        return new._replace(evidence=mine.evidence + 1)

    monkeypatch.setattr(standing_in, "settled_if_near", taken)
    found = standing_in.scatterer_at_a_user(pretended(), some_trials(), None, paths)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.evidence, L * (K - COUNT))
    for t in range(T):
        users, more = [best(t, user) for user in range(L)], [L - 1] + [best(t, L - 1)] * K
        assert names(found, t)[L:] == [*range(L, L + COUNT[t]), *more[: K - COUNT[t]]]
        assert names(found, t)[:L] == (users if t in trying else [0, 1])


def doubling(monkeypatch: pytest.MonkeyPatch, behind: np.ndarray) -> tuple[Any, Paths]:
    """A search in which all scatterers are found and the best of all pairs is so far behind, (T,); and its paths."""
    paths = some_paths()
    places = np.arange(L + K)[None, :, None] + np.array([0.0, 0.3, 0.6]) + np.zeros((T, L + K, 3))
    paths = paths._replace(places=places, count=np.array([K, K, K - 1, K, K]), evidence=RNG.uniform(-50, 50, T))
    monkeypatch.setattr(standing_in, "responses", lambda surface, beams, places: places[..., :1] + 0j)
    value = {pair: RNG.uniform(-30.0, -20.0, T) for pair in np.ndindex(K, K)}
    for t in range(T):
        value[PAIRS[t]][t] = 0.0

    def weighed(trials: Trials, received: np.ndarray, count: np.ndarray) -> Any:
        found = np.empty(len(count))
        for i, t in enumerate(trials.group):
            seen = received[i, :, 0].real.astype(int).tolist()
            assert seen[:L] == list(range(L))
            (moved,) = [k for k in range(K) if seen[L + k] != L + k]
            found[i] = paths.evidence[t] - behind[t] + value[moved, seen[L + moved] - L][t]
        np.testing.assert_array_equal(count, K)
        return SimpleNamespace(nats=found)

    return pretended(
        weighed=weighed,
        scattered="estimated",
        range_step_per_m=0.5,
        bounds=np.array([[0.2, 0, 0], [3.1, 0, 0]]),
    ), paths


PAIRS = [(0, 1), (2, 0), (0, 2), (1, 2), (2, 1)]
"""Which scatterer moves, and to which one, of each trial"""


def test_two_scatterers_are_tried_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of all pairs, where it is at most 24 nats behind; together, and half a step of range to either side."""
    behind = np.array([-3.0, 23.9, 0.0, 24.1, 10.0])
    pursuit, paths = doubling(monkeypatch, behind)
    pursuit.problem.surface = None
    starts: list[tuple[int, np.ndarray, float]] = []

    def near(pursuit: Any, trials: Trials, rows: Any, mine: Paths, new: Paths, nats: float) -> Paths:
        assert nats == math.inf
        starts.extend((int(t), new.places[i], mine.energy[i, 0]) for i, t in enumerate(trials.group))
        return mine._replace(energy=mine.energy + 1)

    monkeypatch.setattr(standing_in, "settled_if_near", near)
    found = standing_in.doubled(pursuit, some_trials(), None, paths)  # type: ignore[arg-type]
    expected = []
    for steps in (0, 1):
        for t in (0, 1, 4):
            k, other = PAIRS[t]
            places = paths.places[t].copy()
            places[L + k] = places[L + other]
            for column, side in ((L + k, 0.25), (L + other, -0.25)):
                places[column, 0] += steps * side
            places[:, 0] = np.clip(places[:, 0], 0.2, 3.1)
            expected.append((t, places, 15.0 + steps))
    assert len(starts) == len(expected)
    for ours, theirs in zip(starts, expected, strict=True):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2])
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
    np.testing.assert_array_equal(found.energy[:, 0] - 15, [2, 2, 0, 0, 2])


def test_of_two_scatterers_either_may_be_where_the_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[list[float]] = []

    def near(pursuit: Any, trials: Trials, rows: Any, mine: Paths, new: Paths, nats: float) -> Paths:
        starts.append(new.places[0, :, 0].tolist())
        return mine

    monkeypatch.setattr(standing_in, "responses", lambda surface, beams, places: places[..., :1] + 0j)
    monkeypatch.setattr(standing_in, "settled_if_near", near)
    paths = some_paths()
    paths = paths._replace(
        places=paths.places[:1, : L + 2], count=np.array([2]), evidence=np.zeros(1), energy=paths.energy[:1]
    )
    for better in (L, L + 1):
        pursuit = pretended(
            scattered="told", range_step_per_m=0.5, bounds=np.array([[0.0, 0, 0], [9.0, 0, 0]]),
            weighed=lambda trials, received, count, better=better: SimpleNamespace(
                nats=-5.0 * (received[:, L, 0].real != better)
            ),
        )  # fmt: skip
        pursuit.problem.n_scatterers, pursuit.problem.surface = 2, None
        standing_in.doubled(pursuit, some_trials().take(np.arange(1)), None, paths)  # type: ignore[arg-type]
    assert starts == [[0, 1, 2, 2], [0, 1, 1.75, 2.25], [0, 1, 3, 3], [0, 1, 3.25, 2.75]]


@pytest.mark.parametrize("case", ["χ²", "one scatterer", "some missing", "far behind"])
def test_two_scatterers_in_one_place_are_no_explanation(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gains are anything, of less than two, where one is missing, where none of it is nearly as probable."""
    pursuit, paths = doubling(monkeypatch, np.full(T, 24.5 if case == "far behind" else 0.0))
    pursuit.problem.surface = None
    if case == "χ²":
        pursuit.scattered = None
    elif case == "one scatterer":
        pursuit.problem.n_scatterers = 1
        paths = paths._replace(count=np.ones(T, int))
    elif case == "some missing":
        paths = paths._replace(count=np.full(T, K - 1))
    assert standing_in.doubled(pursuit, some_trials(), None, paths) is paths  # type: ignore[arg-type]


def test_users_are_tried_at_peaks_that_are_hardly_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within three nats, in another direction, each by itself; the best of several is kept."""
    paths = some_paths()
    paths.places[:, :L] = [[best(t, user) * np.ones(3) for user in range(L)] for t in range(T)]
    now = ENERGY.min(axis=-1)
    monkeypatch.setattr(standing_in, "peaks_of_users", peaks_of_users)
    monkeypatch.setattr(standing_in, "energy_of_users", lambda pursuit, trials, paths, peaks: now[trials.group])
    score = {(t, user, rank): RNG.uniform(-1.0, 1.0) for t, user, rank in np.ndindex(T, L, H)}
    fits: list[tuple[int, int, int]] = []

    def refined(trials: Trials, some: Paths) -> Paths:
        energy = some.energy.copy()
        for i, t in enumerate(trials.group):
            ((user, rank),) = [
                (user, int(some.places[i, user, 0]) % 100) for user in range(L)
                if some.places[i, user, 0] != best(t, user)
            ]  # fmt: skip
            assert names(some, i)[L:] == list(range(L, L + COUNT[t]))
            assert int(some.places[i, user, 0]) == 100 * (user + 1) + rank
            fits.append((int(t), user, rank))
            energy[i] = 7.5 - score[int(t), user, rank]
        return some._replace(energy=energy)

    pursuit = pretended(
        refined=refined, cost=lambda trials, some: some.energy.sum(axis=-1),
        unresolved=lambda one, other: np.abs(one[..., 0] - other[..., 0]) < 1.5,
    )  # fmt: skip
    start = paths._replace(energy=np.full((T, L), 7.5))
    noise = 3 * NOISE
    some = some_trials()._replace(noise_variance=noise)
    found = standing_in.nearly_tied(pursuit, some, None, start)  # type: ignore[arg-type]
    expected = [
        (t, user, rank) for t, user, rank in np.ndindex(T, L, H)
        if ENERGY[t, user, rank] < now[t, user] + 3 * noise[t] and abs(100 * (user + 1) + rank - best(t, user)) > 1
    ]  # fmt: skip
    assert fits == expected
    several = 0
    for t in range(T):
        mine = [score[one] for one in expected if one[0] == t]
        several += len(mine) > 2
        np.testing.assert_allclose(found.energy[t], 7.5 - max([0.0, *mine]))
    assert several
    monkeypatch.setattr(standing_in, "energy_of_users", lambda pursuit, trials, paths, peaks: now[trials.group] - 99)
    assert standing_in.nearly_tied(pursuit, some, None, start) is start  # type: ignore[arg-type]
