"""Object storage that is slow, busy or broken for a moment is asked again, a few times and no more."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

_PAUSES_SECONDS = (0.5, 2.0, 8.0)
"""Beside the pauses of the client itself, which gives up after seconds."""
_PASSING = (
    "slowdown", "slow down", "reduce your request rate", "internalerror", "internal error", "serviceunavailable",
    "service unavailable", "requesttimeout", "timed out", "timeout", "toomanyrequests", "too many requests",
    "bad gateway", "connection was closed", "server disconnected", "connection reset", "(500)", "(502)", "(503)",
    "(504)", "(429)",
)  # fmt: skip

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


def patiently(ask: Callable[[], _Answer]) -> _Answer:
    """What `ask` returns. It must be one that can be asked twice."""
    for pause in _PAUSES_SECONDS:
        try:
            return ask()
        except Exception as error:
            if not is_passing(error):
                raise
            _log.warning("object storage: %s; asking again in %g s", " ".join(str(error).split())[:200], pause)
            time.sleep(pause)
    return ask()


def is_passing(error: Exception) -> bool:
    """Whether the same may succeed in a moment: throttled, timed out, or the server's own fault."""
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    said = f"{type(error).__name__} {error} {error.__cause__}".lower()
    return any(word in said for word in _PASSING)
