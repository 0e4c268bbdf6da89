"""Whether the nodes of a cluster have the same package as the driver: other code may give other numbers, or none."""

import re
from typing import Any, NamedTuple

import ray

from engine import provenance
from engine.errors import InputError

_REMEDY = "install the driver's version of nearfield on every node"
_NODE = re.compile(r"\bip=([^,\s)]+)")
_CANNOT_IMPORT = re.compile(r"(?:ModuleNotFoundError|ImportError): .*|.*Can't get attribute .*")


class Kin(NamedTuple):
    """A process: its host, and the version and the code of its package."""

    host: str
    version: str
    code: str


def this_process() -> Kin:
    return Kin(provenance.host(), provenance.version(), provenance.code())


def require_same(told: Any, actor: Any) -> None:
    """Refuse a worker with another package. told: what it says of itself; None in versions that did not."""
    mine = this_process()
    if told is None:
        raise InputError(
            f"node {_host_of(actor)} has an earlier nearfield than the driver, which has {mine.version} with code "
            f"{mine.code}: {_REMEDY}"
        )
    theirs = Kin(*told)
    if theirs[1:] != mine[1:]:
        raise InputError(
            f"node {theirs.host} has nearfield {theirs.version} with code {theirs.code}, the driver {mine.version} "
            f"with code {mine.code}: {_REMEDY}"
        )


def require_importable(error: Exception) -> None:
    """Raises InputError that names the node where a worker died because it lacks the package, or a part of it."""
    lines = _CANNOT_IMPORT.findall(str(error))
    if lines:
        node = _NODE.search(str(error))
        raise InputError(f"node {_named(node[1]) if node else 'of unknown name'}: {lines[-1].strip()[:200]}: {_REMEDY}")


def _named(address: str) -> str:
    """A node's host and address."""
    hosts = {node["NodeManagerAddress"]: node["NodeManagerHostname"] for node in ray.nodes()}
    return f"{hosts[address]} ({address})" if address in hosts else address


def _host_of(actor: Any) -> str:
    """Where an actor runs, as Ray's control service has it; it has no public way to ask without a dashboard."""
    from ray._private.state import actors

    try:
        return _named(actors(actor._actor_id.hex())["Address"]["IPAddress"])
    except Exception:  # ray:// knows nothing of it
        return "of unknown name"
