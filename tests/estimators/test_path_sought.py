"""Where scatterers and users are sought again, by loops: what is tried of which trials; fits are pretended."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.estimators.paths import reconsider, settling, standing_in
from engine.estimators.paths.conditional import Peaks
from engine.estimators.paths.trials import Paths, Trials

T, L, K, H = 5, 2, 3, 8
COUNT = np.array([3, 1, 2, 0, 3])
NOISE = np.array([1.0, 2.0, 0.5, 4.0, 1.0])
RNG = np.random.default_rng(8)
ENERGY = RNG.uniform(10.0, 20.0, (T, L, H))
"""of each user's peaks"""
NOTHING = RNG.uniform(20.0, 40.0, (T, L))


def some_trials() -> Trials:
    return Trials(np.zeros((T, 1, 1), complex), np.arange(T), np.zeros((T, L, 1), complex), NOISE)


def some_paths() -> Paths:
    """Users named 0 and 1 by their inverse range, scatterers 2, 3 and 4."""
    places = np.arange(L + K)[None, :, None] + np.zeros((T, L + K, 3))
    for t, n in enumerate(COUNT):
        places[t, L + n :] = np.nan
    none = np.zeros(T)
    return Paths(places, np.zeros((T, L, 1 + K), complex), np.full((T, L), 15.0), COUNT, none, NOISE, none, none)


def names(paths: Paths, t: int) -> list[int]:
    return [int(one) for one in paths.places[t, : L + paths.count[t], 0]]


def peaks_of_users(pursuit: Any, trials: Trials, rows: Any, paths: Paths, n: int) -> Peaks:
    """Named 100 times the user, and the rank."""
    assert n == H
    name = 100.0 * np.arange(1, L + 1)[:, None] + np.arange(H)
    places = np.repeat((name + np.zeros((len(trials.group), L, H)))[..., None], 3, axis=-1)
    return Peaks(places, ENERGY[trials.group], NOTHING[trials.group], *[np.zeros(0)] * 5)


def best(t: int, user: int) -> int:
    return 100 * (user + 1) + int(ENERGY[t, user].argmin())


def pretended(**fields: Any) -> Any:
    problem = SimpleNamespace(n_users=L, n_scatterers=K)
    usual = {
        "xp": np, "problem": problem, "scattered": None, "refined": lambda trials, paths: paths,
        "extended": lambda trials, rows, paths, **options: paths,
    }  # fmt: skip
    return SimpleNamespace(**usual | fields)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int], float]]:
    """What is to be settled, were it near: trial, names, and how far behind it may be."""
    found: list[tuple[int, list[int], float]] = []

    def near(pursuit: Any, trials: Trials, rows: Any, paths: Paths, new: Paths, nats: float) -> Paths:
        assert len(paths.count) == len(new.count) == len(trials.group)
        found.extend((int(t), names(new, i), nats) for i, t in enumerate(trials.group))
        return paths

    for module in (reconsider, standing_in):
        monkeypatch.setattr(module, "settled_if_near", near)
    for module in (reconsider, settling):
        monkeypatch.setattr(module, "peaks_of_users", peaks_of_users)
    return found


@pytest.mark.parametrize("these", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("hopeful", [True, False])
def test_scatterers_are_put_at_each_peak_of_what_is_left_without_them(
    these: tuple[int, ...], hopeful: bool, tried: list[tuple[int, list[int], float]]
) -> None:
    """Users at their best places first; hopeful: where six tenths of a peak may do, within three of the noise."""
    heights = -np.sort(-RNG.uniform(0.0, 12.0, (T, H)), axis=-1)

    def scores(trials: Trials, rows: Any, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not np.isnan(places).any()
        known = places.shape[1] - L
        return np.stack([trials.group, np.full(len(places), known)], axis=-1), 38.0 + np.zeros(len(places))

    def peaks(values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        assert n == H
        return 10 * (1 + values[:, 1:]) + np.arange(H), heights[values[:, 0]]

    pursuit = pretended(
        scatterer_scores=scores, peaks=peaks, places=lambda index: np.repeat(index[..., None], 3, axis=-1)
    )
    paths = some_paths()
    found = reconsider._sought_again(pursuit, some_trials(), None, paths, these=these, hopeful=hopeful, within=7.5)  # type: ignore[arg-type]
    for ours, other in zip(found, paths, strict=True):
        np.testing.assert_array_equal(ours, other)
    expected = []
    for t in range(T):
        if COUNT[t] <= these[-1]:
            continue
        rest = [2 + k for k in range(COUNT[t]) if k not in these]
        for rank in range(H):
            if not hopeful or 38.0 - heights[t, rank] / 0.6 < 30.0 + 3 * NOISE[t]:
                place = 10 * (1 + len(rest)) + rank
                expected.append((t, [best(t, 0), best(t, 1), *rest, place], 7.5))
    assert sorted(tried) == sorted(expected)
    assert len(expected) > 3


@pytest.mark.parametrize(("most", "within"), [(1, 12.0), (4, math.inf)])
def test_all_scatterers_before_the_users(most: int, within: float, tried: list[tuple[int, list[int], float]]) -> None:
    """The first at each peak of what users have in common, each further one at the highest of what is left then."""

    def common(trials: Trials, rows: Any, places: np.ndarray) -> np.ndarray:
        known = np.concatenate([np.full((len(places), 1), places.shape[1]), places[..., 0]], axis=-1)
        return np.pad(known, [(0, 0), (0, 4 - known.shape[1])])

    def peaks(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        assert n == most
        assert not scores.any()
        return 50 + np.arange(n) + np.zeros((T, 1)), np.ones((T, n))

    def candidates(scores: np.ndarray) -> np.ndarray:
        return np.repeat((60 + scores[:, :1] + 10 * scores[:, 1:2]), 3, axis=-1)

    pursuit = pretended(
        common_scores=common, peaks=peaks, candidates=candidates,
        places=lambda index: np.repeat(index[..., None], 3, axis=-1),
    )  # fmt: skip
    reconsider._scatterers_first(pursuit, some_trials(), None, some_paths(), most=most, within=within)  # type: ignore[arg-type]
    expected = []
    for t in range(T):
        for rank in range(most):
            first = 50 + rank
            places = [best(t, 0), best(t, 1), first, 61 + 10 * first, 62 + 10 * first]
            expected.append((t, places, within))
    assert sorted(tried) == sorted(expected)


@pytest.mark.parametrize("scattered", [None, "estimated"])
@pytest.mark.parametrize("hopeful", [True, False])
def test_one_user_at_another_of_its_peaks(
    scattered: str | None, hopeful: bool, tried: list[tuple[int, list[int], float]]
) -> None:
    """Those that fall least behind the best, as shares of what there is; not the best one's own direction again."""
    asked: list[bool] = []

    def extended(trials: Trials, rows: Any, paths: Paths, *, everything: bool = False) -> Paths:
        asked.append(everything)
        assert not paths.count.any()
        return paths

    def unresolved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs(one[..., 0] - other[..., 0]) < 1.5

    pursuit = pretended(extended=extended, unresolved=unresolved, scattered=scattered)
    paths = some_paths()
    reconsider._user_elsewhere(pursuit, some_trials(), None, paths, most=5, hopeful=hopeful, within=9.0)  # type: ignore[arg-type]
    expected = []
    for t in range(T):
        others = []
        for user in range(L):
            for rank in range(H):
                if abs(100 * (user + 1) + rank - best(t, user)) > 1:
                    share = (ENERGY[t, user, rank] - ENERGY[t, user].min()) / NOTHING[t, user]
                    others.append((share, user, rank))
        for _, user, rank in sorted(others)[:5]:
            places = [best(t, 0), best(t, 1)]
            places[user] = 100 * (user + 1) + rank
            expected.append((t, places, 9.0))
    assert sorted(tried) == sorted(expected)
    assert set(asked) == {scattered is not None and not hopeful}
    np.testing.assert_array_equal(paths.count, COUNT)


@pytest.mark.parametrize("whitened", [0.0, 7.0])
def test_users_move_until_none_gains_a_twentieth_of_the_noise(whitened: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each user by itself; trials that have settled are left alone; four rounds at most.

    Of energies as peaks have them: where those are not what least squares left, neither are the users'.
    """

    def energy_of_users(pursuit: Any, trials: Trials, paths: Paths, peaks: Peaks) -> np.ndarray:
        np.testing.assert_array_equal(peaks.energy, ENERGY[trials.group])
        return paths.energy + whitened

    if whitened:
        monkeypatch.setattr(settling, "energy_of_users", energy_of_users)
    monkeypatch.setattr(settling, "peaks_of_users", peaks_of_users)
    monkeypatch.setattr(settling, "better", lambda pursuit, trials, mine, found: found)
    lowest = ENERGY.min(axis=-1)
    gains = np.array([[0.06, 0.04], [0.04, 0.04], [0.06, 0.06], [0.04, 0.06], [-1.0, 1.0]]) * NOISE[:, None]
    rounds: list[list[int]] = []

    def refined(trials: Trials, paths: Paths) -> Paths:
        rounds.append(trials.group.tolist())
        energy = lowest[trials.group].copy()
        energy[trials.group == 4] += 10.0  # this one never settles
        return paths._replace(energy=energy - whitened)

    paths = some_paths()._replace(energy=lowest + gains - whitened)
    found = settling.settled(pretended(refined=refined), some_trials(), None, paths)  # type: ignore[arg-type]
    assert rounds == [[0, 2, 3, 4], [4], [4], [4]]
    for t in range(T):
        ours = [best(t, user) if gains[t, user] > 0.05 * NOISE[t] else user for user in range(L)]
        if t == 4:
            ours = [best(t, user) for user in range(L)]
        assert names(found, t) == [*ours, *range(L, L + COUNT[t])]


@pytest.mark.parametrize(("n_users", "random_gains"), [(1, False), (2, False), (2, True), (3, False), (3, True)])
def test_everything_is_tried_in_turn_of_whom_it_may_help(
    n_users: int, random_gains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First of all where there is hope; then of one or two users more; then of whom there is doubt, slight or not.

    χ² where several are overlooked; users are told from scatterers at the beginning and at the end.
    """
    said: list[Any] = []

    def proposals(pursuit: Any, *, hopeful: bool) -> Any:
        def proposal(pursuit: Any, trials: Trials, rows: Any, paths: Paths) -> Paths:
            said.append(("tried", hopeful, trials.group.tolist()))
            return paths._replace(energy=paths.energy + 1)

        yield proposal, True
        yield proposal, False

    def for_few(pursuit: Any) -> Any:
        def proposal(pursuit: Any, trials: Trials, rows: Any, paths: Paths) -> Paths:
            said.append(("for few", trials.group.tolist()))
            return paths._replace(energy=paths.energy + 0.25)

        yield proposal
        yield proposal

    def doubt(pursuit: Any, trials: Trials, paths: Paths, lost: float, *, slight: bool) -> np.ndarray:
        assert lost == 3.0
        return np.array([1.0, -1.0, 0.0, 1.0, np.nan]) if slight else np.array([-1.0, 1.0, 0.0, -1.0, -1.0])

    def counted(word: str) -> Any:
        def same(pursuit: Any, trials: Trials, rows: Any, paths: Paths) -> Paths:
            said.append(word)
            return paths

        return same

    def least_squares(pursuit: Any, trials: Trials, rows: Any, lost: float) -> Paths:
        said.append(("least squares", trials.group.tolist()))
        return some_paths().take(trials.group)._replace(energy=np.full((len(trials.group), L), -5.0))

    monkeypatch.setattr(reconsider, "settled", counted("settled"))
    for name in ("labelled", "scatterer_at_a_user", "doubled", "nearly_tied"):
        monkeypatch.setattr(reconsider, name, counted(name))
    monkeypatch.setattr(reconsider, "_proposals", proposals)
    monkeypatch.setattr(reconsider, "_proposals_for_few", for_few)
    monkeypatch.setattr(reconsider, "doubt", doubt)
    monkeypatch.setattr(reconsider, "overlooked", lambda *_: np.array([9.0, 9.0, 9.0, 2.9, 9.0]))
    monkeypatch.setattr(reconsider, "_least_squares", least_squares)
    monkeypatch.setattr(reconsider, "better", lambda pursuit, trials, mine, other: other)
    pursuit, trials, paths = pretended(), some_trials(), some_paths()
    pursuit.problem.n_users = n_users
    if random_gains:
        trials = trials._replace(powers=np.ones((T, 1)), received=np.ones(T))
    found = reconsider.reconsidered(pursuit, trials, None, paths, 3.0)  # type: ignore[arg-type]
    everyone = list(range(T))
    few = [("for few", everyone)] * 2 if n_users <= 2 else []
    expected = ["settled", "labelled", ("tried", True, everyone), ("tried", True, everyone),
                "scatterer_at_a_user", "doubled", "nearly_tied", *few,
                ("tried", False, [0, 3]), ("tried", False, [1])]  # fmt: skip
    tries = np.array([3.0, 3.0, 2.0, 3.0, 2.0]) + 0.25 * len(few)
    energy = paths.energy + tries[:, None]
    if random_gains:
        expected.append(("least squares", [1]))  # two of three or more are not found, and would be seen
        energy[1] = -5.0
    assert said == [*expected, "labelled"]
    np.testing.assert_array_equal(found.energy, energy)
    said.clear()
    pursuit.problem.n_scatterers = 0
    assert reconsider.reconsidered(pursuit, trials, None, paths, 3.0) is paths  # type: ignore[arg-type]
    assert said == ["settled"]


@pytest.mark.parametrize(("most", "missing"), [(8, 1), (5, 2), (5, 3)])
def test_all_scatterers_there_may_be_are_tried_where_some_are_not_found(
    most: int, missing: int, tried: list[tuple[int, list[int], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next at each of so many peaks, all begun with what was found, and the others as a search adds them."""

    def scores(trials: Trials, rows: Any, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not np.isnan(places).any()
        return np.full((len(places), 1), places.shape[1] - L), np.zeros(len(places))

    def peaks(values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        assert n == most
        return 10 * (1 + values) + np.arange(n), np.zeros((len(values), n))

    def refined(trials: Trials, paths: Paths) -> Paths:
        return paths._replace(evidence=paths.evidence + 1)

    def extended(trials: Trials, rows: Any, paths: Paths, *, everything: bool = False) -> Paths:
        assert everything
        assert np.all(paths.evidence == 1)
        places = paths.places.copy()
        for i, n in enumerate(paths.count):
            places[i, L + n :] = 70 + np.arange(K - n)[:, None]
        return paths._replace(places=places, count=np.full(len(paths.count), K))

    paths, where = some_paths(), {} if missing == 1 else {"most": most, "missing": missing}
    pursuit = pretended(
        scatterer_scores=scores, peaks=peaks, refined=refined, extended=extended,
        places=lambda index: np.repeat(index[..., None], 3, axis=-1),
    )  # fmt: skip
    found = reconsider._with_all(pursuit, some_trials(), None, paths, **where)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.places, paths.places)
    expected = []
    trying = [t for t in range(T) if K - COUNT[t] >= missing]
    for t in trying:
        n = COUNT[t]
        for rank in range(most):
            place = 10 * (1 + n) + rank
            expected.append((t, [*range(L + n), place, *range(70, 70 + K - n - 1)], math.inf))
    assert sorted(tried) == sorted(expected)
    tried.clear()

    def taken(pursuit: Any, trials: Trials, rows: Any, mine: Paths, new: Paths, nats: float) -> Paths:
        assert np.all(mine.evidence == new.places[:, L + COUNT[trials.group[0]], 0] % 10)
        return new._replace(evidence=mine.evidence + 1)

    monkeypatch.setattr(reconsider, "settled_if_near", taken)
    found = reconsider._with_all(pursuit, some_trials(), None, paths, **where)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.evidence, [most if t in trying else 0 for t in range(T)])
    for t in trying:
        assert names(found, t)[L + COUNT[t]] == 10 * (1 + COUNT[t]) + most - 1
    whole = paths._replace(count=np.full(T, K))
    assert reconsider._with_all(pursuit, some_trials(), None, whole, most=most) is whole  # type: ignore[arg-type]
    assert not tried


def test_each_user_is_compared_with_each_scatterer(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[tuple[int, int]] = []

    def exchanged(pursuit: Any, trials: Any, rows: Any, paths: Paths, user: int, k: int) -> Paths:
        pairs.append((user, k))
        return paths._replace(count=paths.count + 1)

    monkeypatch.setattr(standing_in, "_exchanged", exchanged)
    found = standing_in.labelled(pretended(), some_trials(), None, some_paths())  # type: ignore[arg-type]
    assert pairs == [(user, k) for user in range(L) for k in range(K)]
    np.testing.assert_array_equal(found.count, COUNT + L * K)


def test_the_least_squares_are_of_all_scatterers_and_then_judged_by_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def searched(plain: Any, trials: Trials, rows: Any, paths: Paths, lost: float) -> Paths:
        assert (plain.scattered, plain.order, trials.powers, trials.received, lost) == (None, None, None, None, 4.0)
        return paths._replace(energy=paths.energy + 1)

    def refined(trials: Trials, paths: Paths) -> Paths:
        assert trials.powers is not None
        return paths._replace(energy=2 * paths.energy)

    pursuit = pretended(
        scattered="estimated", order=0.01, acquired=lambda trials, rows: some_paths(), refined=refined,
        pruned=lambda trials, paths: paths._replace(energy=-paths.energy),
    )  # fmt: skip
    monkeypatch.setattr(reconsider, "reconsidered", searched)
    trials = some_trials()._replace(powers=np.ones((T, 1)), received=np.ones(T))
    found = reconsider._least_squares(pursuit, trials, None, 4.0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.energy, -32.0)
    assert (pursuit.scattered, pursuit.order) == ("estimated", 0.01)
