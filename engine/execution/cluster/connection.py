"""A connection to Ray: one of its own on this machine, on 127.0.0.1 alone, or a cluster's, by address and token."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import AuthenticationError, RayError

from engine.errors import InputError
from engine.execution import submission

_LONGEST_FOLDER, _SHORT_FOLDER = 36, "/tmp"


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[None]:
    """A Ray connection: the caller's own if there is one, else one that is ended afterwards."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": True,
    }
    if address is None and submission.is_submitted():
        address = "auto"
    if address is None:
        # Without 'local', Ray joins whatever cluster this machine has, or waits for ever for one that has died.
        options |= {"address": "local", "num_cpus": workers, "include_dashboard": False}  # None: Ray counts the cores
        options |= _short_folder()
    else:
        options["address"] = _reachable(address)
    # Else a SIGTERM that comes before Ray has its own handler prints a stack of C++, and aborts. Read when it connects.
    ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER = True
    try:
        with _on_loopback() if address is None else nullcontext():
            ray.init(**options)
    except Exception as error:  # a node that starts too slowly is a plain Exception
        raise _unreachable(address or "this machine", error) from None
    try:
        yield
    finally:
        ray.shutdown()


def _short_folder() -> dict[str, str]:
    """An option for Ray where the folder for temporary files has too long a name, as batch systems like to give.

    Ray puts sockets there, /ray/session_DATE_TIME_PID/sockets/plasma_store, and a socket's path has at most 107 bytes.
    """
    variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(variable, "")
    if len(os.fsencode(folder)) <= _LONGEST_FOLDER:
        return {}
    if os.access(_SHORT_FOLDER, os.W_OK):
        return {"_temp_dir": f"{_SHORT_FOLDER}/ray"}
    raise InputError(
        f"{variable} is {len(os.fsencode(folder))} bytes long, and Ray's sockets below it need a folder of at most "
        f"{_LONGEST_FOLDER}: set RAY_TMPDIR to a shorter one, or run serially"
    )


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let the Ray that is started inside listen on 127.0.0.1 alone, where it would on every interface.

    Ray's own option for it, `_node_ip_address="127.0.0.1"`, is replaced by the address of the machine on Linux. What
    decides is whether this system may form clusters, by default all but Windows and macOS; Ray's processes inherit it.
    """
    variable = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    may_cluster, inherited = ray_constants.ENABLE_RAY_CLUSTER, os.environ.get(variable)
    ray_constants.ENABLE_RAY_CLUSTER, os.environ[variable] = False, "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = may_cluster
        os.environ.pop(variable)
        if inherited is not None:
            os.environ[variable] = inherited


def _reachable(address: str) -> str:
    """The address, 'auto' resolved. Refused at once where nothing listens or the user's token is not the cluster's.

    Ray itself waits half a minute for the one, or for ever, and twenty seconds for the other.
    'auto' is what RAY_ADDRESS says, or else the file that `ray start` leaves, also after its cluster has died.
    """
    is_found = address == "auto" and not os.environ.get("RAY_ADDRESS")
    if address == "auto":
        note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
        address = os.environ.get("RAY_ADDRESS") or (note.read_text().strip() if note.exists() else "")
    # Ray has no public way to ask; where these names move, only --address is affected.
    from ray._private.authentication.authentication_token_setup import (
        ensure_token_if_auth_enabled,
        maybe_enable_token_auth_if_token_available,
    )
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise _unreachable(address or "auto", "no cluster was started here" if not address else "not host:port")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        if is_found:  # as `ray start` does, which made the cluster
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        ensure_token_if_auth_enabled(create_token_if_missing=False)  # Ray's client aborts the process without one
        if not address.startswith("ray://"):
            GcsClient(address=address)
    except (RayError, OSError, RuntimeError) as error:
        raise _unreachable(address, error) from None
    return address


def _unreachable(address: str, reason: Exception | str) -> InputError:
    if isinstance(reason, AuthenticationError):
        return InputError(
            f"Ray at {address} refuses this user's token: set RAY_AUTH_MODE=token, and put the cluster's token into "
            f"~/.ray/auth_token or RAY_AUTH_TOKEN"
        )
    words = (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
    return InputError(
        f"cannot reach Ray at {address}: {' '.join(words.split())[:300]}; start a cluster with 'ray start --head', "
        f"give its token in ~/.ray/auth_token and RAY_AUTH_MODE=token, or leave --address out"
    )
