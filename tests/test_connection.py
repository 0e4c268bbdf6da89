"""A local Ray starts wherever temporary files lie: a socket's path is short, and batch systems' folders are not."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine import InputError
from engine.execution.cluster import connection

LONG = "/scratch/jobs/0123456789/a-user-with-a-name/step-0/tmp"


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_folder_is_passed_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert connection._short_folder() == {}
    monkeypatch.setenv(name, "/scratch/short")
    assert connection._short_folder() == {}
    monkeypatch.setenv(name, LONG)
    assert connection._short_folder() == {"_temp_dir": "/tmp/ray"}


def test_where_no_short_folder_can_be_written_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", LONG)
    monkeypatch.setattr(connection, "_SHORT_FOLDER", str(tmp_path / "missing"))
    with pytest.raises(InputError, match=rf"TMPDIR is {len(LONG)} bytes long.*set RAY_TMPDIR to a shorter one"):
        connection._short_folder()


def test_the_longest_folder_leaves_room_for_the_socket() -> None:
    """The path that Ray makes below it, with the largest number of a process, is one that a socket can have."""
    below = "/ray/session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
    assert connection._LONGEST_FOLDER + len(below) <= 107
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(OSError, match="AF_UNIX path too long"):
        one.bind("x" * 108)  # the limit is this system's too


STORM = """
import os, signal, threading, time
import ray._private.utils
from engine.execution.cluster.connection import connected

came, over = [], threading.Event()
signal.signal(signal.SIGTERM, lambda *_: came.append(1))
ray._private.utils.set_sigterm_handler = lambda _: None  # Ray's would end the process at the first

def storm():
    while not over.wait(0.02):
        os.kill(os.getpid(), signal.SIGTERM)

thread = threading.Thread(target=storm)
thread.start()
try:
    with connected(None, 1):
        pass
finally:
    over.set()
    thread.join()
print("unharmed" if len(came) > 10 else "no storm")
"""


@pytest.mark.slow
def test_a_sigterm_while_ray_starts_prints_no_stack() -> None:
    """One every 20 ms from the start of `ray.init` to its end."""
    environment = {**os.environ, "PYTHONPATH": str(Path(engine.__file__).parent.parent)}
    command = [sys.executable, "-c", STORM]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "unharmed"), run.stderr
    assert "SIGTERM" not in run.stderr
