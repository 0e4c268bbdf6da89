"""When other explanations are looked for, and which of two is taken: by loops, with searches that are pretended."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.estimators.paths import reconsider, settling, standing_in
from engine.estimators.paths.doubt import doubt
from engine.estimators.paths.trials import Paths, Trials

T, L, K, C = 6, 2, 3, 8
COUNT = np.array([0, 1, 2, 3, 3, 1])
NOISE = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 3.0])


def some_trials(*, random_gains: bool = False) -> Trials:
    powers = (np.ones((T, 2)), np.ones(T)) if random_gains else (None, None)
    return Trials(np.zeros((T, C, 1), complex), np.arange(T), np.zeros((T, L, C), complex), NOISE, *powers)


def some_paths(name: float = 0.0) -> Paths:
    rng = np.random.default_rng(3)
    noise, energy = NOISE * rng.uniform(1.5, 6.0, T), rng.uniform(10, 40, (T, L))
    return Paths(np.full((T, L + K, 3), name), np.zeros((T, L, 1 + K), complex), energy, COUNT, np.zeros(T), noise,
                 noise - NOISE, np.zeros(T))  # fmt: skip


def pretended(**fields: Any) -> Any:
    problem = SimpleNamespace(n_users=L, n_scatterers=K)
    return SimpleNamespace(**{"xp": np, "problem": problem, "order": None, "scattered": None} | fields)


def test_doubt_is_of_a_trial_or_one_more_of_the_worst_user() -> None:
    whole = np.array([2.5, 1.0, -1.0, 4.0, np.nan, 3.0])
    users = np.array([[0.0, 1.0], [3.5, 0.0], [5.0, 1.0], [1.0, 4.5], [np.nan, np.nan], [1.0, 4.25]])
    pursuit = pretended(misfit=lambda *_: whole, misfit_of_users=lambda *_: users)
    found = doubt(pursuit, some_trials(), some_paths(), 2.0)
    np.testing.assert_allclose(found, [0.5, 0.5, 2.0, 2.0, np.nan, 1.25])
    assert not np.any(found[4:5] > 0)
    np.testing.assert_allclose(doubt(pursuit, some_trials(), some_paths()), found)  # unless told otherwise


@pytest.mark.parametrize("order", [None, 0.01])
@pytest.mark.parametrize("slight", [False, True])
def test_scatterers_that_count_as_noise_are_in_doubt_where_one_would_see_them(
    order: float | None, slight: bool
) -> None:
    """Of all that are missing, or of one where their number is open: nats that finding them would gain, less rooms."""
    pursuit = pretended(
        order=order, misfit=lambda *_: np.full(T, -90.0), misfit_of_users=lambda *_: np.full((T, L), -90.0),
        rooms=lambda height: 30 + height,
    )  # fmt: skip
    paths, trials = some_paths(), some_trials(random_gains=True)
    noise = paths.noise.copy()
    noise[0], noise[-1] = 400 * NOISE[0], 1.01 * NOISE[-1]
    unseen = noise - NOISE
    unseen[1] = noise[1]  # no more than rounding is left beside them
    paths = paths._replace(noise=noise, unseen=unseen)
    found = doubt(pursuit, trials, paths, 2.0, slight=slight)
    for t in range(T):
        missing = K - COUNT[t]
        if not missing:
            assert found[t] == pytest.approx(-math.sqrt(2) - (0 if slight else 2.0))
            continue
        seen = 1 if order else missing
        left = 1e-12 * paths.noise[t] if t == 1 else paths.noise[t] - paths.unseen[t]
        each = paths.unseen[t] / seen / left
        nats = L * (C * math.log(paths.noise[t] / left) - seen * math.log(1 + C * each))
        nats -= seen * math.log(30 + L * C * each)
        assert found[t] == pytest.approx(math.copysign(math.sqrt(2 * abs(nats)), nats) - (0 if slight else 2.0))
    assert found[0] > 0
    assert found[-1] < 0


def test_the_likelier_of_two_is_taken_where_it_is_by_more_than_rounding() -> None:
    first, second = some_paths(1.0), some_paths(2.0)
    total = first.energy.sum(axis=-1)
    off = np.array([-2e-6, -0.5e-6, 0.0, 1e-6, -1.0, -1.5e-6]) * total
    pursuit = pretended(cost=lambda trials, paths: 100 + (off if paths.places[0, 0, 0] == 2 else 0 * off))
    found = settling.better(pursuit, some_trials(), first, second)
    np.testing.assert_array_equal(found.places[:, 0, 0], [2, 1, 1, 1, 2, 2])
    # Scatterers that count as noise are in that energy: at 1e9 of it, a thousandth of the noise is enough.
    large = first._replace(energy=1e9 * first.energy)
    off = np.array([-2e-3, -0.9e-3, 0.0, 1.0, -1.1e-3, -0.5e-3]) * NOISE
    found = settling.better(pursuit, some_trials(random_gains=True), large, second)
    np.testing.assert_array_equal(found.places[:, 0, 0], [2, 1, 1, 1, 2, 1])


@pytest.mark.parametrize("scattered", [None, "estimated"])
def test_what_is_far_behind_or_the_same_is_not_settled(scattered: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = np.array([-5.0, 11.9, 12.1, 0.5e-3, -0.5e-3, 2e-3])
    settled_of: list[int] = []

    def settled(pursuit: Any, trials: Trials, rows: Any, paths: Paths) -> Paths:
        settled_of.extend(trials.group)
        return paths._replace(places=paths.places + 1)

    def cost(trials: Trials, paths: Paths) -> np.ndarray:
        return {1: 50.0, 2: 50 + behind[trials.group] * trials.noise_variance}.get(
            paths.places[0, 0, 0], 40.0
        ) + np.zeros(len(trials.group))

    pursuit = pretended(
        scattered=scattered, cost=cost, pruned=lambda trials, paths: paths._replace(places=paths.places + 10),
    )  # fmt: skip
    monkeypatch.setattr(settling, "settled", settled)
    found = settling.settled_if_near(pursuit, some_trials(), None, some_paths(1.0), some_paths(2.0), 12.0)  # type: ignore[arg-type]
    assert settled_of == [0, 1, 5]
    taken = 13.0 if scattered else 3.0
    np.testing.assert_array_equal(found.places[:, 0, 0], [taken, taken, 1, 1, 1, taken])


@pytest.mark.parametrize("n_users", [1, 2])
def test_a_user_and_a_scatterer_change_places_where_it_is_stronger_that_way(
    n_users: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And better; of one user alone, also where it is worse by less than a twentieth of the noise."""
    paths = some_paths()
    paths = paths._replace(places=np.arange(L + K)[None, :, None] + np.zeros((T, L + K, 3)))
    gain = np.zeros((T, L, 1 + K), complex)
    gain[:, L - 1, 0], gain[:, L - 1, 2], gain[3, L - 1, 2] = 1.0, 1.5j, 0.69
    gain[4, :, 2] = 1.1, 1.0  # as strong, and stronger to another user: as it is
    gained = np.array([0.1, -0.02, -0.06, 5.0, 5.0, -0.04]) * NOISE
    order = list(range(L + K))
    user, column = L - 1, n_users + 1
    order[user], order[column] = column, user

    def cost(trials: Trials, some: Paths) -> np.ndarray:
        return 50 - gained[trials.group] * (some.places[:, user, 0] == column)

    pursuit = pretended(cost=cost, refined=lambda trials, some: some)
    pursuit.problem.n_users = n_users
    monkeypatch.setattr(standing_in, "settled", lambda pursuit, trials, rows, some: some)
    found = standing_in._exchanged(pursuit, some_trials(), None, paths._replace(gain=gain), user, 1)  # type: ignore[arg-type]
    changed = [0, 1, 5] if n_users == 1 else [0]
    for t in range(T):
        np.testing.assert_array_equal(found.places[t, :, 0], order if t in changed else np.arange(L + K))


def said_of(one: Any) -> tuple[str, Any, bool | None, float | None]:
    """Its name, which or how many, whether hopeful and how far behind it may be, where it asks for that."""
    options = dict(getattr(one, "keywords", {}))
    what = options.pop("these", options.pop("most", None))
    if getattr(one, "func", one) is reconsider._with_all:
        what = what or "some", options.pop("missing", 1)
    found = getattr(one, "func", one).__name__, what, options.pop("hopeful", None), options.pop("within", None)
    assert not options
    return found


@pytest.mark.parametrize("user", range(3))
def test_a_scatterer_may_be_a_users_own_path_where_it_is_stronger_or_its_strongest(
    user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Than the user's own gain; or than seven tenths of that, and than it is to any other user."""
    rng = np.random.default_rng(user)
    n, n_users = 300, 3
    gain = rng.uniform(0.0, 2.0, (n, n_users, 1 + K)) * np.exp(2j * np.pi * rng.random((n, n_users, 1 + K)))
    none = np.zeros(n)
    places = np.arange(n_users + K)[None, :, None] + np.zeros((n, n_users + K, 3))
    paths = Paths(places, gain, np.zeros((n, n_users)), np.full(n, K), none, none + 1, none, none)
    trials = Trials(np.zeros((n, 1, 1), complex), np.arange(n), np.zeros((n, n_users, 1), complex), none + 1)
    monkeypatch.setattr(standing_in, "settled", lambda pursuit, trials, rows, some: some)
    pursuit = pretended(
        cost=lambda trials, some: np.where(some.places[:, user, 0] == user, 1.0, 0.0),
        refined=lambda trials, some: some,
    )  # fmt: skip
    pursuit.problem.n_users = n_users
    found = standing_in._exchanged(pursuit, trials, None, paths, user, 1)  # type: ignore[arg-type]
    reasons = {"stronger": 0, "strongest": 0, "neither": 0}
    for t in range(n):
        own, by_way = abs(gain[t, user, 0]), abs(gain[t, user, 2])
        strongest = all(by_way > abs(gain[t, other, 2]) for other in range(n_users) if other != user)
        why = "stronger" if by_way > own else "strongest" if strongest and by_way > 0.7 * own else "neither"
        reasons[why] += 1
        expected = list(range(n_users + K))
        if why != "neither":
            expected[user], expected[n_users + 1] = n_users + 1, user
        np.testing.assert_array_equal(found.places[t, :, 0], expected)
    assert min(reasons.values()) > 10


def test_what_else_is_tried() -> None:
    """Scatterers by ones and twos, all of them first, and users of few at other peaks; in doubt all, and more peaks."""

    def said(**fields: Any) -> list[tuple[str, Any, bool | None, float | None, bool]]:
        hopeful = fields.pop("hopeful")
        pursuit = pretended(**fields)
        pursuit.problem.n_users = n_users
        return [(*said_of(one), slight) for one, slight in reconsider._proposals(pursuit, hopeful=hopeful)]

    def asked(one: tuple[str, Any, bool], hopeful: bool, within: float) -> tuple[Any, ...]:
        name, what, slight = one
        return name, what, None if name == "_scatterers_first" else hopeful, within, slight

    again = [("_sought_again", (k,), True) for k in (2, 1, 0)]
    again += [("_sought_again", pair, False) for pair in ((1, 2), (0, 2), (0, 1))]
    for n_users in (2, 3):
        hoped = [*again, ("_scatterers_first", 1, False), *([("_user_elsewhere", 2, False)] if n_users == 2 else [])]
        doubted = [*again, ("_scatterers_first", 8, False), ("_user_elsewhere", 6, False)]
        assert said(hopeful=True) == [asked(one, True, 12.0) for one in hoped]
        assert said(hopeful=True, scattered="told") == said(hopeful=True)
        assert said(hopeful=False) == [asked(one, False, math.inf) for one in doubted]
        expected = [asked(one, False, math.inf if n_users == 2 else 24.0) for one in doubted]
        some, many = ("_with_all", ("some", 1), None, None, True), ("_with_all", (32, 2), None, None, False)
        assert said(hopeful=False, scattered="told") == [some, *expected, many]


def test_what_is_tried_of_one_or_two_users_always() -> None:
    """All that is tried in doubt, but for twos, of which scatterers one at a time within 24 nats."""
    expected: list[Any] = [("_sought_again", (k,), False, 24.0) for k in reversed(range(K))]
    expected += [("_scatterers_first", 8, None, math.inf), ("_user_elsewhere", 6, False, math.inf)]
    assert [said_of(one) for one in reconsider._proposals_for_few(pretended())] == expected
    found = [said_of(one) for one in reconsider._proposals_for_few(pretended(scattered="estimated"))]
    assert found == [("_with_all", ("some", 1), None, None), *expected]


def test_how_far_behind_what_is_tried_may_be() -> None:
    for n_users, scattered, hopeful, nats in (
        (5, None, True, 12.0), (1, "any", True, 12.0), (5, None, False, math.inf), (2, "told", False, math.inf),
        (3, "told", False, 24.0),
    ):  # fmt: skip
        pursuit = pretended(scattered=scattered)
        pursuit.problem.n_users = n_users
        assert reconsider._within(pursuit, hopeful=hopeful) == nats
