"""`ray job submit` against a head with token authentication: run, resume, refuse, stop."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import toy

import engine
from engine.errors import StoreError
from scenarios import leakage

ROOT = Path(engine.__file__).parent.parent
SWEEP = leakage.fig1.replace(axes={"n_sensors": (10, 20)}, realizations=100, chunk=50)
WORDS = ("leakage:fig1", "--axis", "n_sensors=10,20", "--realizations", "100", "--chunk", "50")


@dataclass(frozen=True)
class Head:
    """A running `ray start --head` and what a user of it needs."""

    address: str
    folder: Path
    environment: dict[str, str]

    def __call__(self, *words: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """A command as a user of the cluster would type it at the top of the checkout."""
        there = {name: value for name, value in {**self.environment, **environment}.items() if value is not None}
        return subprocess.run(
            [Path(there["PATH"].partition(":")[0]) / words[0], *words[1:]],
            cwd=ROOT, env=there, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def submit(self, *words: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        recorded = ("--runtime-env-json", '{"env_vars": {"NEARFIELD_COMMIT": "4711"}}')
        return self("ray", "job", "submit", "--working-dir", ".", *recorded, "--", "nearfield", *words, **environment)


def progress(text: str) -> list[str]:
    return [line for line in text.splitlines() if " realizations, " in line]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    folder = Path(tempfile.mkdtemp(prefix="nf", dir="/tmp"))  # Ray's sockets need a short path
    tools, token = folder / "bin", folder / ".ray/auth_token"
    for path in (tools, token.parent):
        path.mkdir()
    token.write_text(secrets.token_hex(32))
    for name, module in (("ray", "ray.scripts.scripts"), ("nearfield", "jobs.main")):
        script = tools / name
        script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    gcs, dashboard, agent, client = free_ports(4)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "HOME": str(folder),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_AUTH_MODE": "token",
        "RAY_JOB_STOP_WAIT_TIME_S": "60",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    options = {
        "port": gcs, "dashboard-port": dashboard, "dashboard-agent-listen-port": agent,
        "ray-client-server-port": client, "node-ip-address": "127.0.0.1", "num-cpus": 2, "temp-dir": folder / "ray",
    }  # fmt: skip
    command = [tools / "ray", "start", "--head", "--block", *(f"--{name}={value}" for name, value in options.items())]
    log = folder / "head.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        note, deadline = folder / "ray/ray_current_cluster", time.monotonic() + 90
        while not (note.exists() and note.read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Head(note.read_text().strip(), folder, environment)
    finally:
        process.terminate()
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_submitted_run_stores_what_a_serial_one_does_and_the_same_again_resumes(head: Head, tmp_path: Path) -> None:
    store = tmp_path / "submitted.zarr"
    words = ("run", *WORDS, "--store", str(store), "--address", "auto")
    first = head.submit(*words)
    assert first.returncode == 0, first.stdout + first.stderr
    assert progress(first.stdout)[0].startswith("0/200 realizations, 0/4 tasks")
    assert progress(first.stdout)[-1].startswith("200/200 realizations, 4/4 tasks")
    serial = engine.run(SWEEP, tmp_path / "serial.zarr", serial=True)
    submitted = engine.open_results(store)
    assert submitted.complete.all()
    assert submitted.attrs["commit"] == "4711"
    assert submitted.bcrlb_range_m2.values.tobytes() == serial.bcrlb_range_m2.values.tobytes()
    receipts = {path: path.stat().st_mtime_ns for path in (store / "receipts").glob("*.json")}
    assert len(receipts) == 4
    again = head.submit(*words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [line[:15] for line in progress(again.stdout)] == ["200/200 realiza"]
    assert {path: path.stat().st_mtime_ns for path in (store / "receipts").glob("*.json")} == receipts
    token = (head.folder / ".ray/auth_token").read_text()
    assert not any(token in file.read_text(errors="ignore") for file in store.rglob("*.json"))
    assert token not in first.stdout + first.stderr

    (copy,) = (head.folder / "ray/session_latest/runtime_resources/working_dir_files").glob("_ray_pkg_*/")
    names = {path.name for path in copy.iterdir()}
    assert {"engine", "scenarios", "jobs"} <= names
    assert not {".git", ".venv", "results"} & names
    assert not [path for path in copy.rglob("*") if path.suffix in (".png", ".zarr")]
    assert sum(path.stat().st_size for path in copy.rglob("*")) < 6e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [{"RAY_AUTH_MODE": "disabled"}, {"HOME": "/nonexistent"}, {"RAY_AUTH_TOKEN": "0" * 64}],
    ids=["mode", "absent", "foreign"],
)
def test_without_the_token_nothing_is_run(head: Head, tmp_path: Path, wrong: dict[str, str]) -> None:
    if "RAY_AUTH_TOKEN" in wrong:
        refused = head.submit("list", **wrong)
        assert refused.returncode != 0
        assert "AuthenticationError" in refused.stderr
    words = ("run", *WORDS, "--store", str(tmp_path / "s.zarr"), "--address", head.address)
    driver = head("nearfield", *words, **wrong)
    assert driver.returncode == 2
    assert driver.stderr.splitlines()[-1].startswith(f"nearfield: Ray at {head.address} refuses this user's token: set")
    assert "Traceback" not in driver.stderr
    assert not engine.open_results(tmp_path / "s.zarr").complete.any()


@pytest.mark.slow
def test_auto_finds_the_cluster_and_the_token_beside_it(head: Head, tmp_path: Path) -> None:
    words = (
        "run",
        "leakage:fig1",
        "--set",
        "n_sensors=10",
        "--realizations",
        "50",
        "--store",
        str(tmp_path / "s.zarr"),
    )
    run = head("nearfield", *words, "--address", "auto", RAY_TMPDIR=str(head.folder), RAY_AUTH_MODE=None)
    assert run.returncode == 0, run.stderr
    assert engine.open_results(tmp_path / "s.zarr").complete.all()


@pytest.mark.slow
def test_a_stopped_job_says_so_and_keeps_what_is_done(head: Head, tmp_path: Path) -> None:
    store = tmp_path / "stopped.zarr"
    job = ("ray", "job", "submit", "--submission-id", "long", "--no-wait", "--working-dir", ".", "--", "nearfield")
    words = ("run", "leakage:fig1", "--realizations", "20000", "--chunk", "50", "--store", str(store))
    started = head(*job, *words)  # without --address: a job's cluster is the one that runs it
    assert started.returncode == 0, started.stderr
    deadline = time.monotonic() + 90
    while not list(store.glob("receipts/*.json")):
        assert time.monotonic() < deadline, head("ray", "job", "logs", "long").stdout
        time.sleep(0.05)
    assert head("ray", "job", "stop", "long").returncode == 0
    log = head("ray", "job", "logs", "long").stdout
    assert log.rstrip().endswith("nearfield: stopped; what was finished is kept, the same command continues")
    done = engine.open_results(store)
    assert 0 < int(done.complete.sum()) < 200_000
    assert np.isfinite(done.bcrlb_range_m2.values[done.complete.values]).all()


@pytest.mark.parametrize("path", ["results/s.zarr", "../s.zarr", "HERE/s.zarr"])
def test_a_store_in_a_jobs_copy_of_the_working_directory_is_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "copy"
    here.mkdir()
    monkeypatch.chdir(here)
    path = path.replace("HERE", str(here))
    config = {"runtime_env": {"working_dir": "gcs://_ray_pkg_0.zip"}, "metadata": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(config))
    with pytest.raises(StoreError, match=r"s\.zarr would lie in this job's copy of the working directory .* absolute"):
        engine.run(toy.small, path, serial=True)
    engine.run(toy.small, tmp_path / "lasting.zarr", serial=True)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": {}, "metadata": {}}))
    engine.run(toy.small, path, serial=True)
