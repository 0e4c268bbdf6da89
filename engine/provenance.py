"""Where a result came from: versions, commit, host."""

import functools
import hashlib
import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("numpy", "scipy", "zarr", "xarray", "ray", "cupy-cuda12x", "cupy-cuda13x", "torch")


@functools.cache
def versions() -> dict[str, str]:
    """Installed versions of this package, Python and the libraries that touch numbers."""
    found = {"nearfield": version(), "python": platform.python_version()}
    return found | {name: installed for name in _LIBRARIES if (installed := _version(name))}


def version() -> str:
    """This package's."""
    return _version("nearfield") or "unknown"


@functools.cache
def code() -> str:
    """A digest of this package's Python files, wherever they are installed: versions differ less often than code."""
    root, digest = Path(__file__).parent.parent, hashlib.blake2b(digest_size=6)
    for top in ("engine", "scenarios"):
        for path in sorted((root / top).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def commit() -> str:
    """The checkout's commit, '+dirty' where tracked files differ; outside a checkout NEARFIELD_COMMIT or 'unknown'."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return os.environ.get("NEARFIELD_COMMIT", "unknown")
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head + ("+dirty" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True)
    return run.stdout.strip()


def host() -> str:
    return socket.gethostname()


@functools.cache  # asked for at every chunk
def platform_name() -> str:
    """What the last bits of a result may depend on, beside the backend: machine type and NumPy's version."""
    return f"{platform.machine()} {platform.system()} numpy {metadata.version('numpy')}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
