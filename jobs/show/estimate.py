"""What a run would take, from one timed block."""

import math
import time
from typing import NamedTuple

import numpy as np

from engine import Sweep, Target
from engine.scenario import Variables
from jobs.cli.progress import duration


class Estimate(NamedTuple):
    """Of a whole sweep, by a block of its middle point."""

    block_seconds: float
    seconds: float
    """of one core, all points and realizations"""
    stored_bytes: int
    variables: Variables
    point: dict[str, object]
    """that was timed"""


def estimated(sweep: Sweep, backend_name: str = "cpu") -> Estimate:
    """Times the second block of the middle point: what is built once is no part of it."""
    from threadpoolctl import threadpool_limits

    from engine.backend import backend
    from engine.execution.task import Evaluator

    evaluator = Evaluator(sweep, backend(backend_name))
    middle = tuple(length // 2 for length in sweep.shape)
    with threadpool_limits(1):
        evaluator.block(middle)
        started = time.perf_counter()
        variables = evaluator.block(middle)
        seconds = time.perf_counter() - started
    blocks = sweep.n_points * -(-sweep.realizations // sweep.block)
    bytes_each = sum(np.asarray(values)[0].nbytes for _, values, _ in variables.values())
    stored = bytes_each * sweep.n_points * sweep.realizations
    return Estimate(seconds, seconds * blocks, stored, variables, sweep.values(middle))


def print_estimate(sweep: Sweep, path: str, backend_name: str, targets: list[str]) -> None:
    """Tasks, objects, bytes and time of a run into a store. Raises InputError for targets that name nothing in it."""
    from engine.store.aims import require
    from engine.store.create import object_count
    from engine.store.storage import storage_at

    found = estimated(sweep, backend_name)
    require(tuple(map(Target.parse, targets)), sweep, found.variables)
    lines = {
        "sweep": f"{sweep.name or type(sweep.scenario).__name__}, {sweep.n_points} points × {sweep.realizations} "
        f"realizations, fingerprint {sweep.fingerprint()[:12]}",
        "tasks": f"{sweep.n_tasks} of up to {sweep.chunk_size} realizations",
        "objects": f"{object_count(sweep, found.variables)}",
        "stored": stored_text(found),
        "one block": f"{found.block_seconds:.3g} s for {sweep.block} realizations at {found.point or 'the only point'}",
        "estimate": time_text(found),
        "store": f"{path}, {'new' if storage_at(path).is_empty() else 'exists'}",
    }
    if chunk := better_chunk(sweep, found):
        task_ms, better_ms = (1e3 * found.block_seconds * size / sweep.block for size in (sweep.chunk_size, chunk))
        lines["better"] = (
            f"--chunk {chunk}: a task is computed in {task_ms:.2g} ms and stored in about {1e3 * _STORED_SECONDS:g}; "
            f"one of {chunk} realizations in {better_ms:.2g} ms, and there are {_tasks(sweep, chunk)}"
        )
    for label, text in lines.items():
        print(f"{label:10} {text}")


_STORED_SECONDS = 5e-3
"""What a task costs beside its computation: 2 ms of processor time, and a few of waiting for the disk."""
_BIG_BYTES = 2**24


def better_chunk(sweep: Sweep, found: Estimate) -> int | None:
    """A larger chunk, where storing takes more than a tenth of the computation, and a second in all.

    It makes storing a twentieth, as long as a task stays below 16 MiB and each point has four.
    """
    task_seconds = found.block_seconds * sweep.chunk_size / sweep.block
    if task_seconds > 10 * _STORED_SECONDS or sweep.n_tasks * _STORED_SECONDS < 1:
        return None
    each_bytes = found.stored_bytes / (sweep.n_points * sweep.realizations)
    blocks = min(
        math.ceil(20 * _STORED_SECONDS / found.block_seconds),
        math.ceil(sweep.realizations / 4 / sweep.block),
        int(_BIG_BYTES / each_bytes / sweep.block),
    )
    return blocks * sweep.block if blocks * sweep.block >= 2 * sweep.chunk_size else None


def _tasks(sweep: Sweep, chunk: int) -> str:
    return f"{sweep.n_points * -(-sweep.realizations // chunk)} tasks instead of {sweep.n_tasks}"


def stored_text(found: Estimate) -> str:
    return f"{found.stored_bytes / 2**20:.1f} MiB in {len(found.variables)} variables"


def time_text(found: Estimate) -> str:
    return f"{duration(found.seconds)} of one core's time"
