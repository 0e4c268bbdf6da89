"""Numbers in the documents are those of the records beside them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs import main as command_line
from jobs.commands import evidence as command
from jobs.evidence import fig3
from jobs.evidence.record import Evidence, missing_words
from scenarios.leakage import LeakageEstimation

ROOT = Path(__file__).parent.parent
RECORDS = sorted((ROOT / "docs" / "evidence").glob("*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_every_record_says_what_it_is_and_how_it_was_made(path: Path) -> None:
    def refused(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    assert {"what", "command"} <= json.loads(path.read_text(), parse_constant=refused).keys()


@pytest.mark.parametrize("name", command.found())
def test_documents_carry_the_numbers_of_their_record(name: str) -> None:
    one, path = command.found()[name], ROOT / "docs" / "evidence" / f"{name}.json"
    kept = json.loads(path.read_text())
    assert missing_words(ROOT, one, kept["numbers"]) == []
    assert kept["command"] == f"nearfield evidence {name}"
    if one.sweep is not None:
        assert (kept["seed"], kept["realizations"]) == (one.sweep.seed, one.sweep.realizations)
        of_today = json.loads(json.dumps(one.sweep.definition()))  # a default that moved would be another experiment's
        assert kept["settings"] | {"code_version": 0} == of_today | {"code_version": 0}
    else:
        assert kept["settings"] == one.settings != ""


def nearfield(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of `nearfield WORDS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


def changed(numbers: dict[str, Any]) -> dict[str, Any]:
    """The same, but for means and ratios."""
    measured = {"mean", "ratio"}
    return {
        name: [{key: 1.07 * value if key in measured else value for key, value in one.items()} for one in rows]
        for name, rows in numbers.items()
    }


def test_another_number_is_noticed() -> None:
    kept = json.loads((ROOT / "docs" / "evidence" / "fig3.json").read_text())["numbers"]
    assert missing_words(ROOT, fig3.EVIDENCE, changed(kept))


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        ("16 of 16 are open", False),
        ("0.6 of 16", False),
        ("6 of 165", False),
        ("6 of 16.5", False),
        ("6 of\n16. So", True),
    ],
)
def test_a_number_does_not_stand_in_a_longer_one(tmp_path: Path, said: str, stands: bool) -> None:
    (tmp_path / "said.md").write_text(said)
    evidence = Evidence("six of sixteen", None, lambda store: {}, {"said.md": lambda numbers: ["6 of 16"]}, "none")
    assert missing_words(tmp_path, evidence, {}) == ([] if stands else ["said.md: 6 of 16"])


def test_a_record_is_written_listed_and_judges_the_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = LeakageEstimation(grid_ranges=20, grid_angles=30, noise_dbm=(-75.0,), n_snapshots=(50,))
    sweep = fig3.EVIDENCE.sweep.replace(
        scenario=scenario, axes={"n_sensors": (5, 8)}, realizations=20, block=10, chunk=10
    )
    words = {"docs/numbers.md": lambda numbers: ["not there"]}
    small = Evidence("a small one", sweep, fig3.EVIDENCE.measure, words)
    monkeypatch.setattr(command, "found", lambda: {"small": small})
    monkeypatch.chdir(tmp_path)
    assert nearfield(monkeypatch, "evidence", "small", "--serial", "-o", "records") == 0
    printed = capsys.readouterr()
    assert "not what the record says: docs/numbers.md: not there" in printed.err
    kept = json.loads(Path("records/small.json").read_text())
    assert kept["fingerprint"] == sweep.fingerprint()
    means = kept["numbers"]["means"]
    assert {one["n_sensors"] for one in means} == {5, 8}
    assert all(one["low"] <= one["mean"] and one["users"] == 20 for one in means)
    assert all(one["high"] is None or one["mean"] <= one["high"] for one in means)  # None: few carry it
    assert nearfield(monkeypatch, "evidence", "-o", "records") == 0
    assert kept["date"][:10] in capsys.readouterr().out
    assert nearfield(monkeypatch, "evidence", "smal") == 2
    assert "no evidence 'smal'; did you mean 'small'?" in capsys.readouterr().err
