"""Which scatterers a pursuit adds and which it drops, with fits that are pretended."""

from typing import Any

import numpy as np
import pytest
from ris_trials import trials
from test_joint_pursuit import SEARCH, SMALL

from engine.estimators.paths.joint_pursuit import JointPursuit
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.trials import Paths, Trials

L = 2
PROBLEM, CYCLES, _ = trials(4, (3.0,), n_cycles=9, n_users=L, n_scatterers=3, surface=SMALL, seed=7)
WORTH = np.array([[9.0, 5.0, 1.0], [6.0, 2.0, 7.0], [0.5, 0.2, 0.1], [3.0, 8.0, 4.0]])
"""What each of three scatterers, known by its inverse range, explains, of each of four trials"""


class Pretended(JointPursuit):
    """Fits whose energy is 20 less what the scatterers that are there explain; those of a search come in turn."""

    def refined(self, trials: Trials, paths: Paths) -> Paths:
        energy, evidence = np.zeros((len(paths.count), L)), np.zeros(len(paths.count))
        for t, trial in enumerate(trials.group):
            there = paths.places[t, L : L + paths.count[t], 0].astype(int)
            energy[t] = (20 - sum(WORTH[trial, k] for k in there)) / L
            evidence[t] = sum(WORTH[trial, k] - 3 for k in there)
        return paths._replace(energy=energy, evidence=evidence)

    def scatterer_scores(self, trials: Trials, rows: Any, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full((len(places), 1), places.shape[1] - L), np.zeros(len(places))

    def candidates(self, scores: np.ndarray) -> np.ndarray:
        return np.concatenate([scores, np.ones((len(scores), 2))], axis=-1)

    def least_fall(self, count: int, n_cycles: int) -> float:
        return {1: 6.0, 2: 6.0, 3: 6.0}[count]

    def misfit(self, trials: Trials, paths: Paths) -> np.ndarray:
        return paths.energy.sum(axis=-1) - 8


def pretended(search: NewtonisedPursuit) -> tuple[Pretended, Trials, Paths]:
    order = search.false_alarm if search.most_scatterers else None
    pursuit = Pretended(
        PROBLEM, search.grid(PROBLEM), np, enough=-np.inf if search.enough is None else search.enough, order=order,
        scattered=None if search.scattered == "any" else search.scattered,
    )  # fmt: skip
    some = Trials(CYCLES.beams, np.arange(4), np.zeros((4, L, 30), complex), np.ones(4))
    none = np.zeros(4)
    start = Paths(np.full((4, L + 3, 3), np.nan), np.zeros((4, L, 4), complex), np.zeros((4, L)),
                  np.zeros(4, np.int64), none, none + 1, none, none)  # fmt: skip
    return pursuit, some, pursuit.refined(some, start)


def kept(paths: Paths) -> list[list[int]]:
    return [sorted(paths.places[t, L : L + n, 0].astype(int).tolist()) for t, n in enumerate(paths.count)]


BY_ORDER = SEARCH.model_copy(update={"most_scatterers": 3})
BY_EVIDENCE = SEARCH.model_copy(update={"scattered": "estimated", "enough": None})
ANY = SEARCH.model_copy(update={"enough": None})
UNTIL = SEARCH.model_copy(update={"enough": 4.0})


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (
            BY_ORDER,
            [[0, 1], [0], [], []],
        ),  # one that explains more than 3, half of 6, and no more after one that does not
        (BY_EVIDENCE, [[0, 1], [0], [], []]),
        (ANY, [[0, 1, 2]] * 4),
        (UNTIL, [[0], [0, 1], [0, 1, 2], [0, 1]]),  # while more than 12 is left
    ],
)
def test_scatterers_are_added_while_they_count(search: NewtonisedPursuit, expected: list[list[int]]) -> None:
    pursuit, some, users = pretended(search)
    found = pursuit.extended(some, None, users)  # type: ignore[arg-type]
    assert kept(found) == expected
    assert kept(pursuit.extended(some, None, users, everything=True)) == (  # type: ignore[arg-type]
        expected if search is UNTIL else [[0, 1, 2]] * 4
    )


def test_no_more_are_added_than_the_cycles_leave_freedom_for() -> None:
    """Of 2 users: 10 numbers and 7 a scatterer; 7 cycles give 28."""
    pursuit, some, users = pretended(ANY)
    for n_cycles, most in ((6, 1), (7, 2), (8, 3)):
        fewer = some._replace(samples=some.samples[..., :n_cycles])
        assert kept(pursuit.extended(fewer, None, users)) == [list(range(most))] * 4  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("search", "expected"),
    [(BY_ORDER, [[0, 1], [0, 2], [], [1, 2]]), (BY_EVIDENCE, [[0, 1], [0, 2], [], [1, 2]]), (ANY, [[0, 1, 2]] * 4)],
)
def test_those_whose_absence_does_not_matter_go(search: NewtonisedPursuit, expected: list[list[int]]) -> None:
    """The least first, wherever it stands: those that explain no more than 3; a third of exactly 3 goes, too."""
    pursuit, some, users = pretended(search)
    full = pursuit.extended(some, None, users, everything=True)  # type: ignore[arg-type]
    pruned = pursuit.pruned(some, full)
    assert kept(pruned) == expected
    for t, there in enumerate(expected):
        assert pruned.energy[t].sum() == pytest.approx(20 - sum(WORTH[t, k] for k in there))
