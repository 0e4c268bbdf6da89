"""`nearfield bench` measures what its folder holds."""

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.backend import backend
from engine.execution.task import Evaluator
from engine.streams import Streams
from jobs import benchmarks
from jobs import main as command_line
from jobs.benchmarks import sources
from jobs.benchmarks.bound_literal import literal_bound
from jobs.benchmarks.processes import alternating
from jobs.commands.bench import _found
from scenarios.leakage import LeakageBound, fig1

BENCHMARK = """
from jobs.benchmarks.measurement import Measurement


def measurements():
    yield Measurement("{name}", 2.0, "s", "≤ 3 s", True, "once")
    yield Measurement("{name} again", 4.0, "s", "≤ 3 s", False, "twice")
"""


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of three benchmarks and what helps them, in place of ours."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("test_b", "test_a", "scaling"):
        (folder / f"{name}.py").write_text(BENCHMARK.format(name=name))
    (folder / "test_literal.py").write_text("slow = 1\n")
    monkeypatch.setattr(benchmarks, "__path__", [str(folder)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    own = [f"jobs.benchmarks.{name}" for name in ("test_a", "test_b", "test_literal", "scaling")]
    kept = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    yield
    for name in own:
        sys.modules.pop(name, None)
    sys.modules.update(kept)


def bench(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nearfield", "bench", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["test_a", "test_b"]),
        ("--scaling", ["scaling", "test_a", "test_b"]),
        ("--only test_b", ["test_b"]),
        ("--only scaling", ["scaling"]),
    ],
)
def test_files_yield_rows_in_their_names_order(
    words: str, names: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench(*words.split(), "-o", "rows.json", monkeypatch=monkeypatch) == 0
    record = json.loads(Path("rows.json").read_text())
    assert [row["what"] for row in record["rows"]] == [text for name in names for text in (name, f"{name} again")]
    assert record["rows"][0] == {
        "what": names[0],
        "value": 2.0,
        "unit": "s",
        "goal": "≤ 3 s",
        "met": True,
        "how": "once",
    }
    assert set(record) == {"measured", "commit", "machine", "versions", "code", "rows"}
    printed = capsys.readouterr()
    assert f"{names[0]}: 2 s (goal ≤ 3 s)\n" in printed.err
    assert printed.out.count(" NO ") == len(names)


@pytest.mark.usefixtures("_folder")
def test_what_was_kept_says_how_old_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench("--only", "test_a", "-o", "rows.json", monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    assert bench("--kept", "rows.json", monkeypatch=monkeypatch) == 0
    fresh = capsys.readouterr().out
    assert "test_a again" in fresh
    assert "of the code as it is now" in fresh
    record = json.loads(Path("rows.json").read_text())
    record["code"]["engine.store"] = "0"
    del record["code"]["scenarios.ris"]
    Path("rows.json").write_text(json.dumps(record))
    assert bench("--kept", "rows.json", monkeypatch=monkeypatch) == 0
    assert "changed since: engine.store, scenarios.ris\n" in capsys.readouterr().out
    Path("rows.json").write_text('{"rows": []}')
    for path, message in (
        ("rows.json", "is no file of `nearfield bench -o`: 'code'"),
        ("none", "cannot read none: No"),
    ):
        assert bench("--kept", path, monkeypatch=monkeypatch) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_code_is_the_same_without_its_comments(tmp_path: Path) -> None:
    """A digest a file or folder below a top folder; names of files and what they say count, comments do not."""
    one = tmp_path / "engine" / "store" / "one.py"
    one.parent.mkdir(parents=True)
    one.write_text('"""Doc."""\n\n\ndef f():\n    """Doc."""\n    return 1  # one\n')
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "main.py").write_text("x = 1\n")
    first = sources.digests(tmp_path)
    assert set(first) == {"engine.store", "jobs.main"}
    one.write_text("def f():\n\n    # another\n    return 1\n")
    assert sources.changed(first, sources.digests(tmp_path)) == []
    one.write_text("def f():\n    return 2\n")
    assert sources.changed(first, sources.digests(tmp_path)) == ["engine.store"]
    one.write_text("def f():\n    return 1\n")
    one.rename(one.with_name("two.py"))
    assert sources.changed(first, sources.digests(tmp_path)) == ["engine.store"]


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(
    ("name", "message"), [("test_c", "did you mean 'test_"), ("xyz", "choose one of scaling, test_")]
)
def test_a_benchmark_that_is_not_there(
    name: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench("--only", name, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_the_literal_bound_is_ours() -> None:
    """The direct way that Fig. 1's speed is measured against computes the same numbers."""
    scenario = fig1.at((0,))
    assert isinstance(scenario, LeakageBound)
    drawn = scenario.draw(Streams(fig1.seed, 0), fig1.block)
    ours = Evaluator(fig1, backend("cpu")).block((0,))["bcrlb_range_m2"][1][1]
    assert np.allclose(literal_bound(scenario, drawn, 1), ours, rtol=1e-4)
    assert not np.allclose(literal_bound(scenario, drawn, 2), ours, rtol=1e-2)


def test_every_benchmark_here_yields_as_it_measures() -> None:
    found = _found()
    assert set(found) >= {
        "bound",
        "commands",
        "driver",
        "estimators",
        "imports",
        "multipath",
        "ris",
        "scaling",
        "start",
        "training",
    }
    assert not set(found) & {"measurement", "processes", "bound_literal", "ris_literal", "ris_literal_bound"}
    assert all(inspect.isgeneratorfunction(function) for function in found.values())


def test_processor_time_is_the_childs_own() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    idle, *rest = alternating([("-c", "import time; time.sleep(0.3)"), ("-c", busy), _from_a_child(busy)], 2)
    assert max(idle) < 0.2
    assert all(0.3 <= seconds < 1 for times in rest for seconds in times)


def _from_a_child(code: str) -> tuple[str, str]:
    return "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
