"""Processes of this machine, by what the kernel's table says of them."""

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Children, their children and so on; a session that one of them began is among them."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        if fields := _fields(int(path.name)):
            parents[int(path.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def command(pid: int) -> str:
    """The words that it was started with, each ended by a zero byte; empty where it has ended."""
    return _text(pid, "cmdline")


def is_alive(pid: int) -> bool:
    """Whether it runs: one that nobody has waited for yet does not."""
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def _fields(pid: int) -> list[str]:
    """State, parent and the rest, after the name, which may hold anything."""
    return _text(pid, "stat").rpartition(")")[2].split()


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
