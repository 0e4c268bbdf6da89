"""What defines a sweep, and what a sweep refuses."""

import pickle

import pytest
import toy

from engine import InputError, Sweep
from scenarios import leakage


def test_the_budget_is_not_part_of_the_fingerprint() -> None:
    same = toy.small.replace(realizations=80, chunk=4, name="other", about="other")
    assert same.fingerprint() == toy.small.fingerprint()


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"block": 8}, {"scenario": toy.Toy(size=9)}, {"axes": {"offset": (0.0, 1.0)}},
     {"scenario": toy.Troubled()}],
)  # fmt: skip
def test_what_changes_the_numbers_changes_the_fingerprint(change: dict[str, object]) -> None:
    assert toy.small.replace(**change).fingerprint() != toy.small.fingerprint()


def test_the_value_of_a_swept_field_does_not_matter() -> None:
    assert toy.small.replace(scenario=toy.Toy(offset=9.0)).fingerprint() == toy.small.fingerprint()


def test_tasks_cover_every_realization_once() -> None:
    sweep = toy.small.replace(realizations=21)
    covered = [(task.point, i) for task in sweep.tasks() for i in range(task.start, task.stop)]
    assert sorted(covered) == [((p,), i) for p in range(3) for i in range(21)]
    assert len(sweep.tasks()) == sweep.n_tasks == 9


def test_it_travels_to_workers() -> None:
    copy = pickle.loads(pickle.dumps(leakage.fig1))
    assert copy.fingerprint() == leakage.fig1.fingerprint()
    assert copy.chunk_size == leakage.fig1.chunk_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"realizations": 0}, "realizations: given 0, needed an integer ≥ 1"),
        ({"realizations": 2.5}, "realizations: given 2.5"),
        ({"seed": -1}, "seed: given -1"),
        ({"block": True}, "block: given True"),
        ({"chunk": 6}, "chunk: given 6, needed a multiple of the block of 4"),
        ({"axes": {"offse": (1, 2)}}, "no field 'offse'; did you mean 'offset'"),
        ({"axes": {"offset": ()}}, r"axis offset: given \(\), needed a list of one or more"),
        ({"axes": {"offset": "12"}}, "axis offset: given '12'"),
        ({"axes": {"offset": (1.0, 1)}}, "needed values that differ"),
        ({"axes": {"size": (2, 0)}}, r"size: .*greater than or equal to 1 \(given 0\)"),
        ({"axes": {"levels_db": (1.0,)}}, "levels_db is a dimension of every result"),
        ({"scenario": "toy"}, "a sweep needs a Scenario, given str"),
    ],
)
def test_nonsense_is_one_clear_line(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Sweep(**{"scenario": toy.Toy(), "block": 4, **arguments})
    assert "\n" not in str(caught.value)
