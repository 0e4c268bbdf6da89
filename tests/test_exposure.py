"""What a run shows to the world: it listens on the loopback alone, is counted by Ray's metrics, tells no secret."""

import importlib.util
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import engine

HERE = Path(__file__).parent
SECRETS = {
    "RAY_AUTH_TOKEN": "ray-secret-5f0c8e7d41b3",
    "AWS_ACCESS_KEY_ID": "AKIASECRET5F0C8E7D",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-9a61f2d07c55",
    "AWS_SESSION_TOKEN": "aws-session-30b7cc19e8d2",
}
TOKEN_FILE = "file-secret-77d20a9be614"
EXPORTS = all(importlib.util.find_spec(name) for name in ("opencensus", "prometheus_client"))  # of ray[default]
POINTS, FAILING, CHUNKS, REALIZATIONS = 3, 1, 5, 40
RUN = """
import http.client, json, sys, time, urllib.request
sys.path.insert(0, {here!r})
import toy, engine, test_exposure
from pathlib import Path
from jobs.show import page, section

sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise"), name='odd "name"')
run = engine.iterate(sweep, "run.zarr", workers=2, max_failures=1000)
handled = 0
for progress in run:
    handled += progress.receipt is not None or bool(progress.failures)
    if handled == 1:
        listening = test_exposure.listeners(test_exposure.family())
    if handled == sweep.n_tasks:
        break
deadline = time.monotonic() + 30 * test_exposure.EXPORTS
metrics = []
while time.monotonic() < deadline:
    metrics = []
    for address, port in test_exposure.endpoints(test_exposure.family()):  # Ray is a child's, who alone knows its ports
        try:
            with urllib.request.urlopen("http://%s:%s/metrics" % (address, port), timeout=5) as reply:
                lines = reply.read().decode(errors="replace").splitlines()
        except (OSError, http.client.HTTPException):
            continue
        metrics += [line for line in lines if line.startswith("ray_nearfield")]
    counting = [line for line in metrics if "_count{{" in line or "failures_total{{" in line]
    counted = sum(float(line.rpartition(" ")[2]) for line in counting)
    if counted >= sweep.n_tasks:
        break
    time.sleep(0.1)
run.close()
Path("report.html").write_text(page.render([section.section(Path("run.zarr"))]))
print(json.dumps({{"listening": listening, "metrics": metrics}}))
"""


def family() -> list[int]:
    """This process and all that descend from it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def listeners(pids: list[int]) -> list[str]:
    """Addresses at which these processes accept TCP connections."""
    return [address for address, _ in endpoints(pids)]


def endpoints(pids: list[int]) -> list[tuple[str, int]]:
    """The same, with ports."""
    addresses = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # LISTEN
                address, _, port = fields[1].partition(":")
                addresses[f"socket:[{fields[9]}]"] = _address(address), int(port, 16)
    held = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                held.add(os.readlink(descriptor))
            except OSError:
                continue
    return [found for name, found in addresses.items() if name in held]


def _address(text: str) -> str:
    """The kernel prints addresses as 32-bit words in the byte order of the machine."""
    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder with all that a run with secrets around wrote, and what it said of itself."""
    folder = tmp_path_factory.mktemp("run")
    home = folder / "home" / ".ray"
    home.mkdir(parents=True)
    (home / "auth_token").write_text(TOKEN_FILE)
    short = tempfile.mkdtemp(prefix="nf", dir="/tmp")  # Ray's sockets need a short path
    environment = {key: value for key, value in os.environ.items() if key != "RAY_AUTH_MODE"} | SECRETS
    environment |= {
        "HOME": str(home.parent), "RAY_TMPDIR": short, "RAY_metrics_report_interval_ms": "300",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]),
    }  # fmt: skip
    try:
        run = subprocess.run(
            [sys.executable, "-c", RUN.format(here=str(HERE))],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        (folder / "printed.txt").write_text(run.stdout + run.stderr)
        shutil.copytree(short, folder / "ray", symlinks=True, ignore=_sockets)
        yield folder, json.loads(run.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is Linux's")
def test_a_local_run_listens_on_the_loopback_alone(observed: tuple[Path, dict[str, Any]]) -> None:
    listening = observed[1]["listening"]
    assert len(listening) > 5  # the driver, Ray's daemons, the workers
    assert {address for address in listening if not is_loopback(address)} == set()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is Linux's")
@pytest.mark.parametrize(("family_", "host"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_a_socket_on_every_interface_would_be_seen(family_: socket.AddressFamily, host: str) -> None:
    """The test above can fail."""
    before = listeners([os.getpid()])
    with socket.socket(family_) as listening:
        listening.bind((host, 0))
        listening.listen()
        assert sorted(listeners([os.getpid()])) == sorted([*before, host])
    assert not is_loopback(host)
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.slow
@pytest.mark.skipif(not EXPORTS, reason="Ray has a metrics endpoint with 'pip install ray[default]' only")
def test_the_metrics_endpoint_counts_the_run(observed: tuple[Path, dict[str, Any]]) -> None:
    totals: dict[str, float] = {}
    for line in observed[1]["metrics"]:
        assert r'sweep="odd \"name\""' in line
        name = line.partition("{")[0]
        totals[name] = totals.get(name, 0) + float(line.rpartition(" ")[2])
    assert totals["ray_nearfield_realizations_total"] == (POINTS - FAILING) * REALIZATIONS
    assert totals["ray_nearfield_chunk_seconds_count"] == (POINTS - FAILING) * CHUNKS
    assert totals["ray_nearfield_failures_total"] == FAILING * CHUNKS
    assert all('reason="task raised"' in line for line in observed[1]["metrics"] if "failures" in line)


def test_a_worker_records_every_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted, without Ray's own machinery behind it."""
    from engine.execution.cluster import worker
    from engine.store.receipts import Receipt

    recorded: list[tuple[str, float, dict[str, str]]] = []

    class Recorder:
        def __init__(self, name: str, *_: Any, tag_keys: tuple[str, ...] = (), **__: Any) -> None:
            self.name = name

        def inc(self, value: float, tags: dict[str, str]) -> None:
            recorded.append((self.name, value, tags))

        observe = inc

    monkeypatch.setattr(worker.metrics, "Counter", Recorder)
    monkeypatch.setattr(worker.metrics, "Histogram", Recorder)
    metrics = worker._Metrics("mine")
    task = engine.sweep.Task((0,), 8, 20)
    receipt = Receipt(
        point=(0,), start=8, stop=20, checksums={}, moments={}, seconds=0.25, finished="", host="", device="",
        backend="cpu", platform="", attempt=1,
    )  # fmt: skip
    metrics.record(receipt, attempt=1)
    metrics.record(worker.Failure(task, "", ""), attempt=2)
    assert recorded == [
        ("nearfield_realizations", 12, {"sweep": "mine"}),
        ("nearfield_chunk_seconds", 0.25, {"sweep": "mine"}),
        ("nearfield_failures", 1, {"sweep": "mine", "reason": "worker died"}),
        ("nearfield_failures", 1, {"sweep": "mine", "reason": "task raised"}),
    ]


@pytest.mark.slow
def test_secrets_are_told_to_nobody(observed: tuple[Path, dict[str, Any]]) -> None:
    """Not in the store with its provenance, not in the report, not on the terminal, not in Ray's logs."""
    folder, _ = observed
    assert engine.open_results(folder / "run.zarr").attrs["created"]
    written = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".ray"]
    assert {"printed.txt", "zarr.json", "report.html", "raylet.out"} <= {path.name for path in written}
    assert [path.name for path in written if b'odd \\"name' in path.read_bytes()]  # what is told would be found
    for secret in (*SECRETS.values(), TOKEN_FILE):
        assert [path for path in written if secret.encode() in path.read_bytes()] == []
