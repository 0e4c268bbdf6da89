"""Command lines and environments put together by a grammar, from a seed: none may end in a traceback.

    PYTHONPATH=.:tests python tests/command_lines.py --record docs/evidence/command-lines.json

One in five is a process of its own, as what it changes is read when a process starts: the language, a full disk, closed
streams, bytes that are no text. The others run in this one. A good end is exit code 0, or 1 or 2 and one line.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine import provenance
from jobs import main as command_line

ROOT = Path(command_line.__file__).parent.parent
SECONDS = 120
BYTES = 6 * 2**30
"""of memory: one that wants more is told so, and the machine goes on"""
NUMBERS = [
    "0", "-0.0", "1", "-1", "2", "7", "1.5", "5e-324", "-5e-324", "2.2250738585072014e-308", "1.7976931348623157e308",
    "1e309", "-1e309", "nan", "-nan", "inf", "9" * 30, "9" * 5000, str(2**63), str(-(2**63) - 1), "0x10", "1_000",
    "٣", "½", "1e", "1e-400", "+1", "00012",
]  # fmt: skip
TEXTS = [
    "", " ", "\n", "\t", "a\nb", "\r\n", "\x00", "\x1b[2J", "é", "日本語", "עברית", "🛰", "e\u0301", "\u202egnp.exe",
    "\ufeff", "\ud800", "\udcff", "ﬀ", "a" * 5000, "é" * 200, "%s%n", "{0}", "{{7*7}}", "$HOME", "~", "~nobody", "*",
    "-", "--", "-x", "--set", "=", "a=b=c", "None", "null", "true", "[]", "[[1]]", "[" * 3000, "{}", "()", "'", '"',
    "<script>", "\\", "C:\\x", "CON",
]  # fmt: skip
PATHS = [
    "one.zarr", "two.zarr", "left.zarr", "new.zarr", "a\nb.zarr", "é/日本.zarr", "n/o/w/h/e/r/e", ".", "..", "/", "//",
    "/dev/null", "/dev/full", "/dev/full/x", "/proc/self", "one.zarr/zarr.json", "x" * 255, "x" * 256, "x" * 5000,
    "file:///", "file://x", "memory://m", "s3://", "s3://u:p@h/x", "http://[", "zip::x", "::", "\udcff.zarr", "\ud800",
    "out.png", "out.svg", "out.pdf", "out.html", "out.nc", "out.csv", "out.json", "out.txt", "out", " .png", "a\nb.svg",
    "no/out.png", "<b>.html", "'.csv",
]  # fmt: skip
SWEEPS = [
    "leakage:fig1", "leakage:fig1-as-printed", "leakage:fig3", "ris:fig8", "multipath:fig4", "leakage:", ":fig1",
    "leakage:fig1\n", "LEAKAGE:FIG1", "leakage:fig１", "os:path", "jobs.main:main", "engine:run", "toy:nothing",
    "a.b:c", "..x:y", "toy", "é:ü",
]  # fmt: skip
FIELDS = [
    "n_elements", "n_sensors", "carrier_hz", "noise_dbm", "n_snapshots", "leakage", "prior_alpha", "user_range_min_m",
    "spacing_wavelengths", "estimators", "zzz", "", "é", "n_sensors ", "__class__", "model_config", "seed",
]  # fmt: skip
DEEP = [
    b"x = " + b"[" * 5000 + b"]" * 5000, b"[set]\nx = " + b"{a = " * 900 + b"1" + b"}" * 900,
    b"\n".join(b"[" + b".".join([b"a"] * n) + b"]" for n in range(1, 200)), b"[set]\nn_sensors = 1e400",
    b"[set]\nn_sensors = 5e-324", b"seed = " + b"9" * 4000, b"[set]\n'\\u0000' = 1", b"\xef\xbb\xbf[set]\n",
    b'{"set": ' + b"[" * 100_000, b'{"seed": 1e400}', b'{"set": {"n_sensors": NaN}}', b'["\\ud800"]', b"", b"\x00",
    "[set]\nleakage = '日本'".encode(), '{"set": {"leakage": "é"}}'.encode("latin-1"), b"realizations = 2\n",
    b"[set]\nn_sensors = 3\n", b"[axis]\nn_sensors = [3, 3]\n", b"[axis]\nn_sensors = []\n",
]  # fmt: skip


@dataclass
class Case:
    """Words after `nearfield`, and what differs from an ordinary terminal."""

    words: list[str]
    environment: dict[str, str | None] = field(default_factory=dict)
    cwd: str = "here"
    files: dict[str, bytes] = field(default_factory=dict)
    is_own_process: bool = False
    is_full: bool = False
    streams: str = "pipes"


def case(choose: random.Random, *, own: float = 0.2) -> Case:
    """A command line, and with some luck an odd place to type it."""
    made = Case(command(choose))
    if choose.random() < 0.3:
        name = choose.choice(["s.toml", "s.json", "a\nb.toml", "é.json"])
        made.files[name] = choose.choice(DEEP)
        made.words = ["run", "leakage:fig1", "--store", "new.zarr", "--dry-run", "--settings", name, *made.words[:1]]
    for change in choose.sample(ODD, choose.randint(0, 2)):
        made.environment |= change
    made.cwd = choose.choice(["here"] * 8 + ["deleted"])
    if choose.random() < own:
        made.is_own_process = True
        made.environment |= choose.choice(LANGUAGES)
        made.is_full = choose.random() < 0.25
        made.streams = choose.choice(["pipes"] * 3 + ["closed", "full"])
    made.words = [word if made.is_own_process else word.replace("\ud800", "\udcff") for word in made.words]
    return made


ODD: list[dict[str, str | None]] = [
    {"HOME": None}, {"HOME": ""}, {"HOME": "/nonexistent"}, {"HOME": "a\nb"}, {"TMPDIR": "/nonexistent"},
    {"TMPDIR": "/dev/full"}, {"TMPDIR": ""}, {"TMPDIR": "a\nb"}, {"TMPDIR": "x" * 300}, {"COLUMNS": "0"},
    {"COLUMNS": "-5"}, {"COLUMNS": "é"}, {"LINES": "x"}, {"TERM": ""}, {"TERM": "dumb"}, {"TERM": None},
    {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"SOURCE_DATE_EPOCH": "x"}, {"SOURCE_DATE_EPOCH": "9" * 30},
    {"MPLBACKEND": "nonsense"}, {"MPLCONFIGDIR": "/dev/null"}, {"MPLCONFIGDIR": "/nonexistent/x"}, {"TZ": "é/\n"},
    {"NEARFIELD_COMMIT": "<b>\n"}, {"XDG_CACHE_HOME": "/dev/null"}, {"NUMBA_CACHE_DIR": "/dev/null"},
    {"_NEARFIELD_COMPLETE": "complete_bash"}, {"_NEARFIELD_COMPLETE": "nonsense"},
    {"_NEARFIELD_COMPLETE": "complete_bash", "COMP_WORDS": "nearfield\nrun", "COMP_CWORD": "x"},
    {"_NEARFIELD_COMPLETE": "complete_zsh"}, {"PATH": ""}, {"USER": None}, {"RAY_ADDRESS": "nonsense"},
]  # fmt: skip
LANGUAGES: list[dict[str, str | None]] = [
    {}, {"LANG": "C", "LC_ALL": "C"}, {"LANG": "xx_YY.nonsense", "LC_ALL": "xx_YY"}, {"LANG": None, "LC_ALL": None},
    {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONUTF8": "0", "LC_ALL": "POSIX"},
    {"PYTHONIOENCODING": "utf-16"}, {"OMP_NUM_THREADS": "x"}, {"NUMBA_NUM_THREADS": "0"}, {"PYTHONHASHSEED": "7"},
    {"RAY_TMPDIR": "/nonexistent"}, {"LC_ALL": "tr_TR.UTF-8"},
]  # fmt: skip


def command(choose: random.Random) -> list[str]:
    """Words of one of the commands. What computes is small, whatever else it is asked for."""
    pick = choose.choice

    def value() -> str:
        return pick(pick([NUMBERS, TEXTS, PATHS]))

    def store() -> str:
        return pick(["one.zarr", "two.zarr", "left.zarr", pick(PATHS), pick(TEXTS)])

    def sweep() -> str:
        return pick(["leakage:fig1", pick(SWEEPS), pick(TEXTS)])

    def setting() -> str:
        return pick([f"{pick(FIELDS)}={pick(pick([NUMBERS, TEXTS]))}", value()])

    def changes() -> list[str]:
        return [word for _ in range(choose.randint(0, 3)) for word in (pick(["--set", "--axis"]), setting())]

    def options(*names: str) -> list[str]:
        return [
            word for name in choose.sample(names, choose.randint(0, min(3, len(names)))) for word in (name, value())
        ]

    small = ["--serial", "--realizations", pick("123"), "--set", "n_sensors=3"]
    described = ("--seed", "--chunk", "--realizations", "--target", "--max-seconds", "--backend", "--import")
    kinds: list[Callable[[], list[str]]] = [
        lambda: ["run", sweep(), "--store", store(), "--dry-run", *changes(), *options(*described)],
        lambda: ["run", "leakage:fig1", "--store", store(), *changes(), *small],
        lambda: ["run", "--store", store(), "--serial", *options("--max-failures", "--backend", "--target")],
        lambda: ["run", "leakage:fig1", "--store", "new.zarr", "--address", value(), "--set", "n_sensors=3"],
        lambda: ["show", sweep(), *changes()],
        lambda: ["list", value()],
        lambda: ["status", store()],
        lambda: ["verify", store(), *pick([[], ["--repair"]])],
        lambda: ["compact", store(), *pick([[], ["--undo"]])],
        lambda: ["merge", store(), store(), "-o", pick(PATHS)],
        lambda: ["export", store(), "-o", pick(PATHS), *pick([[], ["--realizations"], [value()]])],
        lambda: ["report", store(), "-o", pick(PATHS)],
        lambda: ["plot", store(), "-o", pick(PATHS), *options("--x", "--hue", "--panel", "--metric", "--point")],
        lambda: ["replay", store(), "--index", value(), *options("--point", "--import")],
        lambda: ["map", *options("--range", "--angle", "--set"), "-o", pick(PATHS)],
        lambda: ["place", pick(PATHS), *options("--latitude", "--longitude", "--bearing", "--crs"), "-o", pick(PATHS)],
        lambda: ["locate", "--measurements", pick([*PATHS, "campaign.csv"]), "--noise-dbm", value(), *changes()],
        lambda: ["locate", "--template", pick(PATHS)],
        lambda: ["evidence", value()],
        lambda: ["bench", "--only", value()],
        lambda: ["reproduce", pick(SWEEPS[6:]), *options("--store", "--seed")],
        lambda: ["train", pick(SWEEPS[6:]), *options("--output", "--data")],
        lambda: [value() for _ in range(choose.randint(0, 4))],
        lambda: [pick(["--help", "--version", "run", "status"]), *pick([["--help"], [value()]])],
    ]
    return pick(kinds)()


def prepared(folder: Path) -> None:
    """Stores and a measurement that command lines find: a whole one, another seed's, half a one."""
    import engine
    from scenarios.leakage import fig1

    sweep = fig1.replace(axes={"n_sensors": (3, 4)}, realizations=4, block=2, chunk=2)
    engine.run(sweep, folder / "one.zarr", serial=True)
    engine.run(sweep.replace(seed=1), folder / "two.zarr", serial=True)
    for report in (reports := engine.iterate(sweep.replace(seed=2), folder / "left.zarr", serial=True)):
        if report.tasks_done == 2:
            reports.close()
    (folder / "campaign.csv").write_text("range_m,angle_rad,power_w\n10,1,1e-9\n12,1.5,2e-9\n9,2,1e-9\n")


def outcome(one: Case, prepared_folder: Path, folder: Path) -> tuple[int, str, str]:
    """Exit code, output and errors of a case, in a fresh copy of the prepared folder."""
    shutil.copytree(prepared_folder, folder, symlinks=True)
    for name, data in one.files.items():
        (folder / name).write_bytes(data)
    return (_in_a_process if one.is_own_process else _in_this_process)(one, folder)


def _in_this_process(one: Case, folder: Path) -> tuple[int, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with _here(one, folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command_line.main()
            code: object = 0
        except SystemExit as stopped:
            code = stopped.code
        except BaseException as error:
            import traceback

            traceback.print_exc()
            code = f"traceback: {error!r}"
    for stream in (out, err):
        stream.flush()
    said = [stream.buffer.getvalue().decode(errors="replace") for stream in (out, err)]  # type: ignore[attr-defined]
    return (code if isinstance(code, int) else 0 if code is None else -1), *said


@contextlib.contextmanager
def _here(one: Case, folder: Path) -> Iterator[None]:
    """In a folder, with words, an environment and a limit of seconds."""
    before, words, path = dict(os.environ), sys.argv, list(sys.path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    with contextlib.ExitStack() as undone:
        undone.callback(os.environ.update, before)
        undone.callback(os.environ.clear)
        undone.callback(os.chdir, os.getcwd())
        undone.callback(setattr, sys, "argv", words)
        undone.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        undone.callback(lambda: [signal.signal(number, handler) for number, handler in handlers.items()])
        undone.callback(signal.setitimer, signal.ITIMER_REAL, 0)
        undone.callback(resource.setrlimit, resource.RLIMIT_DATA, resource.getrlimit(resource.RLIMIT_DATA))
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        undone.callback(lambda: sys.path.__setitem__(slice(None), path))
        os.environ.update({name: value for name, value in one.environment.items() if value is not None})
        for name in [name for name, value in one.environment.items() if value is None]:
            os.environ.pop(name, None)
        tempfile.tempdir = None
        sys.argv = ["nearfield", *one.words]
        os.chdir(_place(one, folder))
        if one.cwd == "deleted":
            os.rmdir(folder / "gone")
        signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        yield


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def _place(one: Case, folder: Path) -> Path:
    if one.cwd != "deleted":
        return folder
    (folder / "gone").mkdir()
    return folder / "gone"


_SHELL = 'if [ -n "$GONE" ]; then rmdir "$GONE"; fi; exec "$@"'


def _in_a_process(one: Case, folder: Path) -> tuple[int, str, str]:
    place = _place(one, folder)
    settings = {**os.environ, **one.environment, "PYTHONPATH": str(ROOT), "GONE": str(place) if place != folder else ""}
    environment = {os.fsencode(name): _bytes(value) for name, value in settings.items() if value is not None}
    words = [_bytes(word).replace(b"\0", b"") for word in one.words]
    command: list[bytes | str] = ["/bin/sh", "-c", _SHELL, "sh", sys.executable, "-m", "jobs", *words]
    if one.streams == "closed":
        command[2] = _SHELL.replace('"$@"', '"$@" >&-')
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            command, env=environment, cwd=place, stdin=subprocess.DEVNULL,
            stdout=full if one.streams == "full" else subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS,
            preexec_fn=_with_no_disk if one.is_full else _limited, check=False,
        )  # fmt: skip
    coding = "utf-16" if one.environment.get("PYTHONIOENCODING") == "utf-16" else "utf-8"
    return run.returncode, (run.stdout or b"").decode(coding, "replace"), run.stderr.decode(coding, "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if "\ud800" not in text else "surrogatepass")


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _with_no_disk() -> None:
    """As on a full disk: every file stays empty."""
    _limited()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


_PROGRESS = re.compile(
    r"\d+(/\d+)? realizations, |preparing|.* of work left: starting workers|still no result"
    r"|Could not save font_manager cache"  # matplotlib's word on a full disk, before ours
)


def complaint(one: Case, code: int, errors: str) -> str:
    """What is wrong with how a command ended; empty if nothing is. Without a command, there is help and exit code 2."""
    lines = [line for line in errors.replace("\x00", "").splitlines() if line and not _PROGRESS.match(line)]
    if "Traceback" in errors or "Exception ignored" in errors or code not in (0, 1, 2):
        return f"exit code {code}: {errors[-1500:]}"
    if code and one.words and (not lines or not lines[-1].startswith("nearfield: ")):
        return f"no line of ours: {lines[-3:]}"
    return f"{len(lines)} lines: {lines[:3]}" if code and len(lines) > 1 else ""


def tried(count: int, seed: int, scratch: Path, *, own: float = 0.2) -> tuple[Counter[str], list[str]]:
    """How so many ended, and what is wrong with those that ended badly."""
    choose, ends, bad = random.Random(seed), Counter[str](), []
    prepared(scratch / "prepared") if not (scratch / "prepared").exists() else None
    for number in range(count):
        one, folder = case(choose, own=own), scratch / "case"
        try:
            code, _, errors = outcome(one, scratch / "prepared", folder)
            wrong = complaint(one, code, errors)
        except subprocess.TimeoutExpired:
            code, wrong = -1, f"more than {SECONDS} s"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        ends[f"{'own process' if one.is_own_process else 'in process'}, {'bad' if wrong else f'exit code {code}'}"] += 1
        if wrong:
            bad.append(f"seed {seed}, {number}: {one}\n    {wrong}")
            print(bad[-1], flush=True)
    return ends, bad


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="of each seed")
    parser.add_argument("--seed", type=int, default=100, help="the first")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--own", type=float, default=0.2, help="share of processes of their own")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "disabled", "MPLBACKEND": "agg", "AWS_EC2_METADATA_DISABLED": "true"}
    all_ends, all_bad = Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "home").mkdir()
        os.environ["HOME"] = str(Path(place) / "home")
        for seed in range(given.seed, given.seed + given.seeds):
            ends, bad = tried(given.count, seed, Path(place), own=given.own)
            print(f"seed {seed}:", json.dumps(ends), flush=True)
            all_ends.update(ends)
            all_bad += bad
    if given.record:
        record = {
            "what": "command lines and environments of a grammar: how they ended",
            "command": f"PYTHONPATH=.:tests python tests/command_lines.py --count {given.count} --seeds {given.seeds}",
            "commit": provenance.commit(), "seeds": [given.seed, given.seed + given.seeds - 1],
            "count": given.count * given.seeds, "ends": dict(sorted(all_ends.items())), "bad": all_bad,
        }  # fmt: skip
        given.record.write_text(json.dumps(record, indent=1) + "\n")
    raise SystemExit(bool(all_bad))
