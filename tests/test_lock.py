"""Two drivers on one store: the second is refused, a dead one's lock is taken over, and no clock decides."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
from compare import differences

import engine
from engine import StoreError, provenance
from engine.store import lock
from engine.store.lock import Lock, holder
from engine.store.storage import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


@pytest.fixture
def held(storage: LocalStorage) -> Iterator[Lock]:
    mine = Lock(storage)
    mine.acquire()
    yield mine
    mine.release()


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds for minutes."""
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock, "STALE_SECONDS", 0.5)


def pretend(storage: LocalStorage, **changes: object) -> None:
    """Rewrite the lock that is there."""
    record = json.loads(storage.read("lock.0.json"))
    storage.write("lock.0.json", json.dumps(record | changes).encode())


def stop_beating(mine: Lock) -> None:
    """As if its process had died."""
    mine._stopped.set()


def test_the_second_is_told_who_and_since_when(storage: LocalStorage, held: Lock) -> None:
    with pytest.raises(StoreError) as refused:
        Lock(storage).acquire()
    who = f"process {os.getpid()} on {provenance.host()}, since {holder(storage).since}"  # type: ignore[union-attr]
    assert f"is in use by another driver ({who}): wait for it" in str(refused.value)
    held.release()
    Lock(storage).acquire()


def test_a_dead_process_of_this_machine_is_recognised_at_once(storage: LocalStorage, held: Lock) -> None:
    stop_beating(held)
    child = subprocess.Popen([sys.executable, "-c", ""])
    pretend(storage, pid=child.pid)
    time.sleep(0.2)  # the child is dead or a zombie now: nobody has waited for it
    mine = Lock(storage)
    started = time.monotonic()
    mine.acquire()
    assert time.monotonic() - started < 5
    assert sorted(name for name in storage.names() if name.endswith(".json")) == ["lock.1.json"]
    child.wait()
    mine.release()


def test_another_process_with_the_same_number_is_not_the_holder(storage: LocalStorage, held: Lock) -> None:
    stop_beating(held)
    pretend(storage, started="1")
    Lock(storage).acquire()


@pytest.mark.usefixtures("_hurried")
def test_elsewhere_a_heartbeat_is_watched_and_no_clock_compared(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_machine", lambda: "")  # as on a system that does not tell, or another host
    ticks = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))  # the clock runs backwards, in leaps
    other = Lock(storage)
    other.acquire()
    with pytest.raises(StoreError, match="is in use by another driver"):
        Lock(storage).acquire()
    stop_beating(other)
    other._heart.join()  # type: ignore[union-attr]
    started = time.monotonic()
    Lock(storage).acquire()
    assert time.monotonic() - started >= 0.5


@pytest.mark.usefixtures("_hurried")
def test_who_was_taken_over_notices_and_stops(storage: LocalStorage, held: Lock) -> None:
    storage.write("lock.1.json", storage.read("lock.0.json"))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and held._heart.is_alive():  # type: ignore[union-attr]
        time.sleep(0.02)
    with pytest.raises(StoreError, match="was taken over by another driver"):
        held.require_held()


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("content", [b"", b"[" * 10**5, b'{"pid": "\\u001b[2J"}'])
def test_an_unreadable_lock_is_stale_when_nothing_rewrites_it(storage: LocalStorage, content: bytes) -> None:
    storage.write("lock.7.json", content)
    assert holder(storage) is None
    Lock(storage).acquire()
    assert holder(storage) is not None


def test_of_many_who_try_together_one_gets_it(storage: LocalStorage) -> None:
    """Also where a dead one's lock is to be taken over."""
    dead = Lock(storage)
    dead.acquire()
    stop_beating(dead)
    pretend(storage, started="1")
    locks, got = [Lock(storage) for _ in range(8)], []

    def attempt(mine: Lock) -> None:
        try:
            mine.acquire()
            got.append(mine)
        except StoreError as error:
            assert "in use" in str(error)  # noqa: PT017

    threads = [threading.Thread(target=attempt, args=(mine,)) for mine in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release()
    assert not storage.names()


@pytest.mark.parametrize("ending", ["finished", "closed", "raised"])
def test_a_run_gives_its_lock_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "s.zarr"
    sweep = toy.small.replace(scenario=toy.Troubled(trouble="raise" if ending == "raised" else "none"))
    reports = engine.iterate(sweep, path, serial=True)
    next(reports)
    assert holder(LocalStorage(path)) is not None
    if ending == "closed":
        reports.close()
    elif ending == "raised":
        with pytest.raises(engine.TaskError):
            list(reports)
    else:
        list(reports)
    assert not list(path.glob("lock*"))


def test_readers_and_a_finished_run_need_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.zarr"
    first = engine.iterate(toy.small, path, serial=True)
    next(first), next(first)
    assert int(engine.open_results(path).complete.sum()) == 8
    assert engine.load_sweep(path) == toy.small
    list(first)
    monkeypatch.setattr(Lock, "acquire", lambda self: pytest.fail("locked"))
    assert engine.run(toy.small, path, serial=True).complete.all()


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("is_alive", [True, False])
def test_a_run_where_a_driver_of_another_host_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_alive: bool
) -> None:
    """Its process number may be one of this machine's, and its clock is a day ahead: its heartbeat alone counts."""
    path = tmp_path / "s.zarr"
    for report in (reports := engine.iterate(toy.small, path, serial=True)):
        if report.tasks_done == 3:
            reports.close()
    storage = LocalStorage(path)
    foreign = lock._this_process().model_copy(
        update={"host": "elsewhere", "machine": "elsewhere boot ns", "since": "2099-01-01T00:00:00+00:00"}
    )
    over = threading.Event()

    def live() -> None:
        beat = 0
        while is_alive and not over.wait(0.05):
            beat += 1
            storage.write("lock.0.json", foreign.model_copy(update={"beat": beat}).model_dump_json().encode())

    storage.write("lock.0.json", foreign.model_dump_json().encode())
    heart = threading.Thread(target=live)
    heart.start()
    try:
        if is_alive:
            with pytest.raises(StoreError, match=r"in use by another driver \(process \d+ on elsewhere, since 2099-01"):
                engine.run(toy.small, path, serial=True)
        else:
            engine.run(toy.small, path, serial=True)
    finally:
        over.set()
        heart.join()
    for leftover in path.glob("lock.*"):
        assert is_alive
        leftover.unlink()
    engine.run(toy.small, path, serial=True)
    engine.run(toy.small, tmp_path / "good.zarr", serial=True)
    assert differences(path, tmp_path / "good.zarr") == []
