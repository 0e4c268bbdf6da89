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
    assert set(record) == {"measured", "commit", "machine", "versions", "rows"}
    printed = capsys.readouterr()
    assert f"{names[0]}: 2 s (goal ≤ 3 s)\n" in printed.err
    assert printed.out.count(" NO ") == len(names)


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
    assert not {name for name in found if name.endswith(("_literal", "_literal_bound"))}
    assert not set(found) & {"measurement", "processes"}
    assert all(inspect.isgeneratorfunction(function) for function in found.values())


def test_processor_time_is_the_childs_own() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    idle, *rest = alternating([("-c", "import time; time.sleep(0.3)"), ("-c", busy), _from_a_child(busy)], 2)
    assert max(idle) < 0.2
    assert all(0.3 <= seconds < 1 for times in rest for seconds in times)


def _from_a_child(code: str) -> tuple[str, str]:
    return "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
