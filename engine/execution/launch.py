"""A process that has workers compute, beside one that goes on computing itself.

Ray starts in a child: nothing of it is ever in the driver's process, whose signals, interpreter and memory stay its
own, and ending all of it at any moment is one blow at a session of processes. The child asks for tasks and hands over
results through a pipe; a second one, which is never written, tells it of the driver's end. What Ray prints goes into a
file that nobody sees, and is asked for its last words if the child dies.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any, NamedTuple

from engine.errors import InputError
from engine.execution.submission import is_submitted
from engine.store.store import Store
from engine.sweep import Sweep, Task

_END_SECONDS = 3.0
_DEATHS = re.compile(r"Raylet is terminated|Failed to connect to GCS within \d+ seconds|has been marked dead")
"""What Ray prints, among much else, when its parts have died."""
_LEAVE_SECONDS = 5.0
"""For taking leave of a cluster, whose workers else go on for a while."""


class WorkOrder(NamedTuple):
    """What workers need to know of a sweep: its name, its pickle, where its store is, and on which backend.

    workers, address: as in `engine.iterate`. on_one_node: a path that only this machine is known to see. is_alone:
    nobody but these workers computes, so that a task may be taken before one of them runs.
    """

    label: str
    sweep: bytes
    path: str
    backend_name: str
    workers: int | None = None
    address: str | None = None
    on_one_node: str | None = None
    is_alone: bool = False


def order_of(
    store: Store,
    sweep: bytes,
    backend_name: str,
    *,
    workers: int | None,
    address: str | None,
    shared_storage: bool,
    is_alone: bool = False,
) -> WorkOrder:
    """For workers that the caller asked for. Raises InputError for a store that no other process sees."""
    if store.path.startswith("memory://"):
        raise InputError(f"{store.path} lies in the memory of one process: run serially, or choose another path")
    on_one_node = store.path if store.storage.is_local and not shared_storage else None
    label, path = label_of(store.sweep), store.storage.absolute
    return WorkOrder(label, sweep, path, backend_name, workers, address, on_one_node, is_alone)


def label_of(sweep: Sweep) -> str:
    """What a sweep is called where Ray counts its realizations."""
    return sweep.name or type(sweep.scenario).__name__


class Reply(NamedTuple):
    """To whoever asks for a task: one, or None for now; seconds until the run's limit; whether nothing is left."""

    task: Task | None
    seconds_left: float
    is_finished: bool


class Launched:
    """A child with workers of its own.

    It may say ("take", None), ("result", …), ("say", a line for the user) and, at its end, ("end", error).
    """

    _takes_leave = False
    _printed: IO[bytes] | None = None

    def __init__(self) -> None:
        self._printed = _unseen()
        self._pipe, theirs = Pipe()
        watched, self._life = os.pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from engine.execution.cluster.launched import main; "
            f"main({theirs.fileno()}, {watched})"
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=self._printed or subprocess.DEVNULL,
                stderr=self._printed or subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), watched),
                start_new_session=True,  # Ctrl-C on a terminal is the driver's
            )
        except OSError:
            self._close()
            raise
        finally:
            theirs.close()
            os.close(watched)

    def order(self, order: WorkOrder, n_tasks: int) -> None:
        """What it is to do, to be said first. Raises OSError once it is gone."""
        self._takes_leave = order.address is not None or is_submitted()
        self._pipe.send((order, n_tasks))

    def receive(self) -> tuple[str, Any]:
        """What it says next. Raises EOFError or OSError once it is gone."""
        said: tuple[str, Any] = self._pipe.recv()
        return said

    def reply(self, reply: Reply) -> None:
        self._pipe.send(reply)

    def last_words(self) -> str:
        """Why the child has died, as ' (…)': what Ray said, or the signal; empty if nobody knows."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        code = self._process.returncode
        said = []
        if self._printed is not None:
            self._printed.seek(0)
            said = _DEATHS.findall(self._printed.read().decode(errors="replace"))
        if said:
            return f" ({said[0]})"
        return f" ({signal.Signals(-code).name})" if code and -code in set(signal.Signals) else ""

    def end(self) -> None:
        """End the child with all that it has started."""
        if self._takes_leave:
            self._leave()
        deadline = time.monotonic() + _END_SECONDS
        while members := list(_session(self._process.pid)):
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._process.poll()
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._pipe.close()
        os.close(self._life)
        if self._printed is not None:
            self._printed.close()

    def _leave(self) -> None:
        """Let the child end its workers on the cluster, and itself."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_SECONDS)


def _unseen() -> IO[bytes] | None:
    """A file without a name; None where temporary files have no place."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return None


def _session(leader: int) -> Iterator[int]:
    """The processes of a session that live. Without Linux's table of them, the leader, whose end Ray follows."""
    folders = list(Path("/proc").glob("[0-9]*/stat"))
    if not folders:
        yield from _leader(leader)
    for path in folders:
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue  # it has ended
        if int(session) == leader and state not in "ZX":
            yield int(path.parent.name)


def _leader(pid: int) -> Iterator[int]:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return
    yield pid
