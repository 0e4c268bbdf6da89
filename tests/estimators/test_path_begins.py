"""What a search is told of the problem, which of its explanations it begins with, and when a track is sought anew."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_joint_pursuit import PROBLEM

from engine.errors import InputError
from engine.estimators.paths import closed_loop
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.order import NEVER, least_fall
from engine.estimators.paths.trials import Paths, Rows, Trials

N = 4


@pytest.mark.parametrize(
    ("fields", "enough", "order", "known", "scattered", "most"),
    [
        ({}, 3.0, None, True, None, 2),
        ({"enough": 5.0}, 5.0, None, True, None, 2),
        ({"enough": None}, -np.inf, None, True, None, 2),
        ({"noise": "estimated"}, -np.inf, None, False, None, 2),  # what is no misfit without σ² decides nothing
        ({"scattered": "estimated"}, 3.0, None, True, "estimated", 2),
        ({"scattered": "told"}, 3.0, None, True, "told", 2),
        ({"most_scatterers": 5, "false_alarm": 0.2}, -np.inf, 0.2, True, None, 5),
        ({"most_scatterers": 1, "noise": "estimated", "scattered": "estimated"}, -np.inf, 0.01, False, "estimated", 1),
        ({"most_scatterers": 0, "scattered": "estimated"}, -np.inf, 0.01, True, None, 0),
    ],
)
def test_what_a_search_is_told(
    fields: dict[str, Any], enough: float, order: float | None, known: bool, scattered: str | None, most: int
) -> None:
    pursuit = NewtonisedPursuit(**fields).pursuit(replace(PROBLEM, scattered_power=0.1), np)
    assert (pursuit.enough, pursuit.order, pursuit.noise_known) == (enough, order, known)
    assert (pursuit.scattered, pursuit.problem.n_scatterers) == (scattered, most)
    if fields.get("scattered") == "told":
        with pytest.raises(InputError, match="nobody tells their power: needed 'estimated' or 'any'"):
            NewtonisedPursuit(**fields).pursuit(replace(PROBLEM, scattered_power=None), np)
    else:
        NewtonisedPursuit(**fields).pursuit(replace(PROBLEM, scattered_power=None), np)


def some_trials(noise: float = 1.0) -> Trials:
    return Trials(np.zeros((N, 1, 1), complex), np.arange(N), np.zeros((N, 1, 1), complex), np.full(N, noise))


def paths_named(name: float, evidence: Any = 0.0) -> Paths:
    none = np.zeros(N)
    return Paths(np.full((N, 1, 3), name), np.zeros((N, 1, 1), complex), np.zeros((N, 1)), np.zeros(N, int),
                 none + evidence, none, none, none)  # fmt: skip


class Pretended:
    """Explanations by name: 1 users alone, 2 one scatterer after the other, 3 all, 4 all but what brings nothing."""

    xp = np
    better = np.array([5.0, 1.0, 3.0, 2.0]), np.array([4.0, 2.0, 3.0, 9.0])
    """nats of 2 and of 4; costs are less of what is more"""

    def __init__(self, scattered: str | None = None, order: float | None = None, noise_known: bool = True) -> None:
        self.scattered, self.order, self.noise_known = scattered, order, noise_known

    def with_powers(self, trials: Trials, rows: Any) -> Trials:
        return trials._replace(powers=np.ones((N, 1)), received=np.ones(N))

    def alone(self, trials: Trials, rows: Any) -> Paths:
        return paths_named(1)

    def extended(self, trials: Trials, rows: Any, paths: Paths, *, everything: bool = False) -> Paths:
        assert np.all(paths.places == 1)
        return paths_named(3) if everything else paths_named(2, self.better[0])

    def acquired(self, trials: Trials, rows: Any, *, everything: bool = False) -> Paths:
        return paths_named(3) if everything else paths_named(2, self.better[0])

    def pruned(self, trials: Trials, paths: Paths) -> Paths:
        assert np.all(paths.places == 3)
        return paths_named(4, self.better[1])

    def cost(self, trials: Trials, paths: Paths) -> np.ndarray:
        return -paths.evidence

    def with_noise_left(self, trials: Trials, paths: Paths) -> Trials:
        return trials._replace(noise_variance=10 * trials.noise_variance + paths.places[:, 0, 0])


@pytest.mark.parametrize("noise_known", [True, False])
def test_the_more_probable_of_one_at_a_time_and_all_at_once(noise_known: bool) -> None:
    pursuit: Any = Pretended("estimated", noise_known=noise_known)
    trials, paths = acquired(pursuit, some_trials(), None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(paths.places[:, 0, 0], [2, 4, 2, 4])
    assert trials.powers is not None
    np.testing.assert_array_equal(trials.noise_variance, 1 if noise_known else 13)


def test_without_evidence_the_lesser_cost_and_the_noise_as_it_leaves_it() -> None:
    trials, paths = acquired(Pretended(), some_trials(), None)  # type: ignore[arg-type]
    assert np.all(paths.places == 2)
    np.testing.assert_array_equal(trials.noise_variance, 1)
    trials, paths = acquired(Pretended(noise_known=False), some_trials(), None)  # type: ignore[arg-type]
    assert np.all(paths.places == 3)
    np.testing.assert_array_equal(trials.noise_variance, 13)
    trials, paths = acquired(Pretended(order=0.01, noise_known=False), some_trials(), None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(paths.places[:, 0, 0], [2, 4, 4, 4])  # equal: without what brings nothing
    np.testing.assert_array_equal(trials.noise_variance, 130 + np.array([2, 4, 4, 4]))


def test_a_track_is_sought_anew_in_doubt_that_is_more_than_the_last_search_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By one or more; what was never sought has left none known. Searches see their own trials' beams only."""
    doubts = np.array([0.5, 0.5, -0.5, 2.0, 2.0, 2.0, np.nan, 0.0])
    known = np.array([-0.5, -0.4, -3.0, 1.0, 1.1, np.nan, 1.0, -2.0])
    asked: list[np.ndarray] = []

    def doubt(pursuit: Any, trials: Trials, paths: Paths, lost: float) -> np.ndarray:
        assert lost == 7.0
        return doubts if len(paths.count) == 8 else np.full(len(paths.count), 0.25)

    def sought(trials: Trials, rows: Rows, *_: Any) -> Paths:
        asked.append(trials.samples[:, 0, 0].real)
        np.testing.assert_array_equal(trials.beams[trials.group, 0, 0], trials.samples[:, 0, 0].real // 2)
        np.testing.assert_array_equal(rows.value[trials.group, 0, 0], trials.samples[:, 0, 0].real // 2)
        np.testing.assert_array_equal(rows.energy[trials.group, 0], trials.samples[:, 0, 0].real // 2)
        return again(len(trials.group))

    def again(n: int) -> Paths:
        none = np.zeros(n)
        return Paths(np.full((n, 1, 3), 9.0), np.zeros((n, 1, 1), complex), np.zeros((n, 1)), *[none] * 5)

    monkeypatch.setattr(closed_loop, "doubt", doubt)
    monkeypatch.setattr(closed_loop, "reconsidered", lambda pursuit, trials, rows, found, *_: found)
    monkeypatch.setattr(closed_loop, "better", lambda pursuit, trials, found, other: other)
    pursuit: Any = SimpleNamespace(
        xp=np, extended=sought, acquired=sought, pruned=lambda trials, found: found, noise_known=True, scattered=None
    )
    observer = closed_loop._Observer(pursuit, 7.0)
    observer.known_doubt = known.copy()
    number = np.arange(8)
    trials = Trials(np.arange(4)[:, None, None] + 0j, number // 2, number[:, None, None] + 0j, np.ones(8))
    rows = Rows(np.arange(4)[:, None, None] + 0j, np.arange(4.0)[:, None])
    paths = again(8)._replace(places=np.zeros((8, 1, 3)))
    found = observer._tracked(trials, rows, paths)
    anew = [0, 3, 5]
    for one in asked:
        np.testing.assert_array_equal(one, anew)
    assert len(asked) == 2
    np.testing.assert_array_equal(np.flatnonzero(found.places[:, 0, 0]), anew)
    expected = known.copy()
    expected[anew] = 0.25
    np.testing.assert_array_equal(observer.known_doubt, expected)
    doubts[:] = -1.0
    assert observer._tracked(trials, rows, paths) is paths
    doubts[2], known_two = 0.2, observer.known_doubt[2]
    assert known_two == -3
    np.testing.assert_array_equal(np.flatnonzero(observer._tracked(trials, rows, paths).places[:, 0, 0]), [2])


@pytest.mark.parametrize(
    ("noise_known", "scattered"),
    [(True, None), (True, "told"), (False, None), (False, "any")],
)
def test_noise_that_is_not_told_is_what_the_latest_paths_leave(
    noise_known: bool, scattered: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which a track is judged by, too; by name: 10 begun with, and one more whatever is done to them.

    Scattered gains of a known power are fitted once more at the end.
    """
    several = scattered is not None
    trials = some_trials()
    judged: list[float] = []

    def more(trials: Trials, *others: Any) -> Paths:
        paths = next(one for one in others if isinstance(one, Paths))
        return paths_named(paths.places[0, 0, 0] + 1)

    def begun(pursuit: Any, trials: Trials, rows: Any) -> tuple[Trials, Paths]:
        return trials._replace(noise_variance=np.full(N, 77.0)), paths_named(10)

    def tracked(trials: Trials, rows: Any, paths: Paths) -> Paths:
        judged.append(trials.noise_variance[0])
        return more(trials, paths)

    pursuit: Any = SimpleNamespace(
        xp=np, noise_known=noise_known, scattered=scattered, with_powers=lambda trials, rows: trials, refined=more,
        extended=more, pruned=more, estimates=lambda trials, paths, shape, stated: (trials, paths, shape, stated),
        with_noise_left=lambda trials, paths: trials._replace(noise_variance=100 + paths.places[:, 0, 0]),
        polished=lambda trials, paths: more(trials, paths) if several else paths,
    )  # fmt: skip
    observer = closed_loop._Observer(pursuit, 2.0)
    observer.cycles, observer.rows = SimpleNamespace(noise_variance=np.ones((2, 2))), ()  # type: ignore[assignment]
    observer._tracked = tracked  # type: ignore[method-assign]
    monkeypatch.setattr(closed_loop, "trials_of", lambda cycles, xp: trials)
    monkeypatch.setattr(closed_loop, "acquired", begun)
    monkeypatch.setattr(closed_loop, "reconsidered", lambda pursuit, trials, rows, paths, *_: more(trials, paths))
    monkeypatch.setattr(closed_loop, "doubt", lambda *_: np.zeros(N))
    monkeypatch.setattr(closed_loop, "stated_of", lambda *_: "stated")
    for name, stating in ((12 + several, True), (14 + 3 * several, False)):
        some, paths, shape, stated = observer.estimate(stating=stating)  # type: ignore[misc]
        assert np.all(paths.places == name)
        assert (shape, stated) == ((2, 2), "stated" if stating else None)
        told = 77 if stating else 1
        np.testing.assert_array_equal(some.noise_variance, told if noise_known else 100 + name)
    assert judged == [1 if noise_known else 100 + name - 1 - several]


def test_what_is_asked_for_by_default() -> None:
    assert ClosedLoop().lost == 2.0


@pytest.mark.parametrize("n_users", [1, 3])
def test_one_scatterer_more_is_chance_as_often_as_is_allowed(n_users: int) -> None:
    """By Bonferroni's inequality over the places, of χ², or of F where σ² is estimated."""
    parameters = 3 + 2 * n_users
    told, estimated = (least_fall(n_users, 400.0, 0.02, 30, noise_known=known) for known in (True, False))
    assert stats.chi2.sf(told, parameters) * 400 == pytest.approx(0.02)
    assert stats.f.sf(estimated / parameters, parameters, 30) * 400 == pytest.approx(0.02, rel=1e-6)


def test_no_place_is_less_than_one_and_no_chance_more_than_a_half() -> None:
    """Grids of less than one place, and false alarms that are allowed always."""
    assert least_fall(2, 0.2, 0.1, 9, noise_known=True) == least_fall(2, 1.0, 0.1, 9, noise_known=True)
    assert least_fall(2, 1.5, 0.1, 9, noise_known=True) > least_fall(2, 1.0, 0.1, 9, noise_known=True)
    assert least_fall(2, 1.0, 0.9, 9, noise_known=True) == least_fall(2, 1.0, 0.5, 9, noise_known=True)
    assert least_fall(2, 1.0, 0.5, 0, noise_known=True) == NEVER
    assert least_fall(2, 1.0, 0.5, 1, noise_known=False) < NEVER
