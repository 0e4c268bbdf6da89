"""A run whose workers belong to a process of their own from the start: this one computes nothing, and survives Ray.

Where Ray loses its raylet or its control service, it ends the process that it runs in, with a dump of its state and no
exception that could be caught. Here that is a child (`engine.execution.launch`), and the run ends with one line.
"""

import logging
from typing import Any

from engine.errors import NearfieldError, WorkerError
from engine.execution.handover import pickled
from engine.execution.launch import Launched, Reply, order_of
from engine.execution.plan import Plan
from engine.execution.task import Results
from engine.store.store import Store
from engine.sweep import Task

_log = logging.getLogger(__name__)


def run(
    store: Store,
    plan: Plan,
    backend_name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    shared_storage: bool = False,
) -> Results:
    """The plan's tasks by workers, of a Ray of the child's own or of a cluster's. Raises WorkerError if Ray dies."""
    order = order_of(
        store, pickled(store.sweep), backend_name,
        workers=workers, address=address, shared_storage=shared_storage, is_alone=True,
    )  # fmt: skip
    launched = Launched()
    try:
        launched.order(order, plan.n_tasks_left)
        yield from _answered(launched, plan)
    except (EOFError, OSError):
        raise WorkerError(
            f"Ray has died{launched.last_words()}: what is stored is kept, the same command continues"
        ) from None
    finally:
        launched.end()


def _answered(launched: Launched, plan: Plan) -> Results:
    """What the child finishes, until nothing is left."""
    in_hand: set[Task] = set()
    while True:
        kind, content = launched.receive()
        if kind == "say":
            _log.warning("%s", content)
        elif kind == "take":
            task = None if plan.is_finished else plan.take()
            if task is not None:
                in_hand.add(task)
            elif not in_hand and plan.seconds_left > 0:
                return  # finished, but for tasks that failed
            launched.reply(Reply(task, plan.seconds_left, plan.is_finished))
        elif kind == "result":
            in_hand.discard(content.task)
            plan.add(content)
            yield content
            if not plan.n_open:
                return
        else:
            _raise(content)
            return


def _raise(error: Any) -> None:
    if isinstance(error, NearfieldError):
        raise error
    if error is not None:
        said = " ".join(str(error).split())[:300]
        raise WorkerError(f"Ray failed ({said}): what is stored is kept, the same command continues")
