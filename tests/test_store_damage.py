"""Nothing in a store changes unseen: random damage is named, or changes nothing that a reader sees."""

from pathlib import Path

import pytest
from damage import differences, made, printed, seen, study

from engine.store.integrity import Problem, verify


def test_some_hundred_mutations_are_named_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = study(tmp_path, 240, seed=1, mend_every=8)
    with capsys.disabled():
        printed(tally)
    assert tally.passed == []
    assert tally.unmended == []
    assert min(sum(counts.values()) for counts in tally.counts.values()) > 15


@pytest.mark.study
def test_2000_mutations_are_named_and_mended(tmp_path: Path) -> None:
    """Its outcome is docs/evidence/store-damage.json."""
    tally = study(tmp_path, 2000, seed=18, mend_every=10)
    printed(tally)
    assert tally.passed == []
    assert tally.unmended == []


def test_a_change_that_nobody_names_is_seen_by_the_test(tmp_path: Path) -> None:
    """The test can fail: what it sees tells two runs of one sweep apart, and a clean verdict is no pass of it."""
    one, other = made(tmp_path)["leakage"]
    assert not [item for item in verify(other) if isinstance(item, Problem)]
    assert differences(seen(one), seen(one)) == []
    unlike = differences(seen(one), seen(other))
    assert any(name.startswith("receipt") for name in unlike)
    assert "stops" in unlike
