"""A disk that loses its power: what was not flushed may be there or not, as POSIX allows.

`recorded` notes every creation, renaming, removal and flush of files and folders below a folder. `after_loss` builds
what may be found after a loss of power behind any of them:

- a file holds what it held when it was last flushed; if something was written since, or it never was flushed, any
  beginning of that, or as many zeros;
- of the changes to a folder's entries since the folder was flushed, any may have happened and any not: either the
  first few, as journals keep them, or an arbitrary choice; a renaming happens whole or not at all;
- what stands in a folder whose own entry is lost is lost.
"""

import builtins
import io
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Entry = tuple[str, int | None]
"""A name in a folder, and what stands there from now on: the number of a file or folder, or nothing."""


@dataclass
class Trace:
    """What happened below a folder, which has the number 0, in order."""

    base: Path
    events: list[tuple[Any, ...]] = field(default_factory=list)
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def note(self, *event: Any) -> None:
        self.events.append(event)

    def new(self, path: str) -> int:
        """The number of a file or folder that was just made."""
        status = os.lstat(path)
        self.numbers[status.st_dev, status.st_ino] = number = 1 + sum(e[0] in ("file", "folder") for e in self.events)
        self.note("folder" if os.path.isdir(path) else "file", number)
        return number

    def number(self, path: str | int) -> int | None:
        status = os.stat(path)
        return self.numbers.get((status.st_dev, status.st_ino))

    def within(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(f"{self.base}{os.sep}")

    def change(self, *entries: tuple[str, int | None]) -> None:
        """Entries of one folder that change together."""
        parent = self.number(os.path.dirname(os.path.abspath(entries[0][0])))
        self.note("change", parent, [(os.path.basename(path), number) for path, number in entries])

    def content(self, path: str) -> None:
        """Before a file gets its name: what it holds by now."""
        if not os.path.isdir(path):
            with _real_open(path, "rb") as stream:
                self.note("written", self.number(path), stream.read())


_real_open = builtins.open


@contextmanager
def recorded(base: Path) -> Iterator[Trace]:
    """Notes what this process does below a folder that is there and empty."""
    trace = Trace(Path(os.path.abspath(base)))
    status = os.stat(base)
    trace.numbers[status.st_dev, status.st_ino] = 0
    real = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "unlink", "mkdir", "link", "rmdir")}

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        with trace.lock:
            is_new = "x" in mode or ("w" in mode and trace.within(file) and not os.path.exists(file))
            stream = _real_open(file, mode, *arguments, **options)
            if is_new and trace.within(file):
                trace.change((os.fspath(file), trace.new(os.fspath(file))))
            return stream

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        with trace.lock:
            number = trace.number(descriptor)
            if number is None:
                return
            path = f"/proc/self/fd/{descriptor}"
            if not os.path.isdir(path):
                trace.content(path)
            trace.note("flushed", number)

    def moved(name: str) -> Callable[..., None]:
        def move(source: Any, target: Any, **options: Any) -> None:
            with trace.lock:
                if not trace.within(source):
                    return real[name](source, target, **options)
                source, target = os.fspath(source), os.fspath(target)
                trace.content(source)
                number = trace.number(source)
                real[name](source, target, **options)
                trace.change((source, number if name == "link" else None), (target, number))
                return None

        return move

    def unlink(path: Any, **options: Any) -> None:
        with trace.lock:
            real["unlink"](path, **options)
            if trace.within(path):
                trace.change((os.fspath(path), None))

    def mkdir(path: Any, *arguments: Any, **options: Any) -> None:
        with trace.lock:
            real["mkdir"](path, *arguments, **options)
            if trace.within(path):
                trace.change((os.fspath(path), trace.new(os.fspath(path))))

    patched = {
        "fsync": fsync, "replace": moved("replace"), "rename": moved("rename"), "link": moved("link"),
        "unlink": unlink, "mkdir": mkdir,
    }  # fmt: skip
    try:
        builtins.open = io.open = opened  # type: ignore[assignment]
        for name, function in patched.items():
            setattr(os, name, function)
        yield trace
    finally:
        builtins.open = io.open = _real_open  # type: ignore[assignment]
        for name in patched:
            setattr(os, name, real[name])


@dataclass
class _Node:
    """A file or a folder: what the disk holds of it, and what has happened to it since."""

    is_folder: bool
    held: dict[str, int] = field(default_factory=dict)
    pending: list[list[Entry]] = field(default_factory=list)
    flushed: bytes = b""
    written: bytes = b""


def after_loss(trace: Trace, moment: int, choose: random.Random, target: Path) -> None:
    """Build at `target` what may be left of the base when the power fails behind event number `moment`."""
    nodes = {0: _Node(True)}
    for kind, *what in trace.events[:moment]:
        match kind:
            case "file" | "folder":
                nodes[what[0]] = _Node(kind == "folder")
            case "change" if what[0] in nodes:
                nodes[what[0]].pending.append(what[1])
            case "written":
                nodes[what[0]].written = what[1]
            case "flushed":
                node = nodes[what[0]]
                node.flushed = node.written
                for entries in node.pending:
                    _apply(node.held, entries)
                node.pending = []
    _build(nodes, 0, choose, target)


def _apply(held: dict[str, int], entries: list[Entry]) -> None:
    for name, number in entries:
        if number is None:
            held.pop(name, None)
        else:
            held[name] = number


def _build(nodes: dict[int, _Node], number: int, choose: random.Random, target: Path) -> None:
    node = nodes[number]
    if not node.is_folder:
        target.write_bytes(_content(node, choose))
        return
    target.mkdir()
    held, is_journal = dict(node.held), choose.random() < 0.5
    first = choose.randint(0, len(node.pending))
    for i, entries in enumerate(node.pending):
        if i < first if is_journal else choose.random() < 0.5:
            _apply(held, entries)
    for name, inner in held.items():
        _build(nodes, inner, choose, target / name)


def _content(node: _Node, choose: random.Random) -> bytes:
    if node.flushed == node.written:
        return node.flushed
    part = node.written[: choose.randint(0, len(node.written))]
    return choose.choice((node.flushed, node.written, part, bytes(len(part))))
