"""How far a store is, for a report: tasks, their times and hosts, and the points that are not finished."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.store import stops
from engine.store.receipts import Receipt
from engine.store.store import Store
from jobs.cli.progress import duration
from jobs.show.grids import Grid
from jobs.show.typography import Estimate, counted, plain, task_time, when

_MOST_ROWS = 40
_MOST_HOSTS = 12


@dataclass(frozen=True)
class Extent:
    """How much of a store there is."""

    n_points: int
    budget: int
    """realizations a point, at most"""
    n_tasks: int
    finished: int
    """tasks of which everything is stored"""
    done: Counter[tuple[int, ...]]
    """realizations of each point"""
    has_stopped: bool
    """whether every point stopped before its budget, or at it: nothing is left to do"""

    @classmethod
    def of(cls, store: Store, receipts: list[Receipt], record: stops.Record | None) -> "Extent":
        grid, budget = store.grid, store.grid.realizations
        done = Counter[tuple[int, ...]]()
        for receipt in receipts:
            done[receipt.point] += max(0, min(receipt.stop, budget) - receipt.start)
        finished = sum(grid.is_whole(receipt.task) for receipt in receipts)
        stopped = record is not None and sum(stop.reason != "seconds" for stop in record.stops) == grid.n_points
        return cls(grid.n_points, budget, grid.n_tasks, finished, done, stopped)

    @property
    def stored(self) -> int:
        return sum(self.done.values())

    @property
    def total(self) -> int:
        """Realizations that there are to be."""
        return self.stored if self.has_stopped else self.n_points * self.budget

    @property
    def pending(self) -> int:
        """Tasks"""
        return 0 if self.has_stopped else self.n_tasks - self.finished


class Bar(NamedTuple):
    height: float
    """relative to the largest"""
    text: str


class Histogram(NamedTuple):
    text: str
    bars: list[Bar]


def facts(extent: Extent, receipts: list[Receipt]) -> dict[str, str]:
    """What stands at the head."""
    at_most, of = ("at most ", "of at most") if extent.has_stopped else ("", "of")
    return {
        "points": str(extent.n_points),
        "realizations a point": f"{at_most}{extent.budget}",
        "tasks finished": f"{extent.finished} {of} {extent.n_tasks}",
        "computing time": duration(sum(receipt.seconds for receipt in receipts)),
    }


def progress(receipts: list[Receipt], extent: Extent) -> dict[str, str]:
    """Tasks with their times and attempts, what is left, and the hosts that computed."""
    found = {"tasks": f"{extent.finished} finished, {extent.pending} pending"}
    if not receipts:
        return found
    seconds = np.array([receipt.seconds for receipt in receipts])
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    retried = Counter(receipt.attempt for receipt in receipts if receipt.attempt > 1)
    attempts = ", ".join(f"{count} on attempt {number}" for number, count in sorted(retried.items()))
    spread = f"median {task_time(middle)}, half between {task_time(low)} and {task_time(high)}"
    found["time of a task"] = f"{spread}, longest {task_time(seconds.max())}"
    found["time of all tasks"] = f"{duration(seconds.sum())} of one worker"
    found["attempts"] = (
        f"{sum(retried.values())} tasks needed more than one: {attempts}" if retried else "one for every task"
    )
    times = sorted(receipt.finished for receipt in receipts)
    found["first and last task"] = f"{when(times[0])}; {when(times[-1])}"
    if extent.pending:
        found["left"] = f"about {duration(float(seconds.mean()) * extent.pending)} of one worker"
    hosts = Counter((receipt.host, receipt.device, receipt.platform) for receipt in receipts)
    for (host, device, platform), count in hosts.most_common(_MOST_HOSTS):
        found[f"on {host}, {device}"] = f"{counted(count, 'task')}, {platform}"
    if len(hosts) > _MOST_HOSTS:
        found["further hosts"] = str(len(hosts) - _MOST_HOSTS)
    return found


def aims(record: stops.Record) -> dict[str, str]:
    """What the latest run was asked to reach."""
    limit = {"limit": duration(record.max_seconds)} if record.max_seconds else {}
    return {f"target {number}": target for number, target in enumerate(record.targets, 1)} | limit


def unfinished(axes: Mapping[str, list[Any]], extent: Extent) -> Grid | None:
    """The points that lack realizations, the first of them."""
    budget, done = extent.budget, extent.done
    lacking: Iterator[tuple[int, ...]] = (
        point for point in itertools.product(*(range(len(values)) for values in axes.values())) if done[point] < budget
    )
    shown = list(itertools.islice(lacking, _MOST_ROWS))
    if not shown or not axes:
        return None
    rows: list[list[str | Estimate]] = [
        [*(plain(values[i]) for values, i in zip(axes.values(), point, strict=True)), f"{done[point]} of {budget}"]
        for point in shown
    ]
    count = extent.n_points - sum(stored >= budget for stored in done.values())
    title = "Points that are not finished" + (f", the first {len(shown)} of {count}" if count > len(shown) else "")
    return Grid(title, [*axes, "realizations"], rows)


def histogram(seconds: list[float]) -> Histogram | None:
    """Task times in bins of equal ratio."""
    if len(seconds) < 2 or min(seconds) <= 0:
        return None
    edges = np.geomspace(min(seconds), max(*seconds, 1.001 * min(seconds)), 1 + min(16, 2 + len(seconds) // 2))
    counts, _ = np.histogram(np.clip(seconds, edges[0], edges[-1]), edges)
    bars = [
        Bar(float(count / counts.max()), f"{task_time(low)} to {task_time(high)}: {counted(count, 'task')}")
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    ]
    return Histogram(f"Times of {len(seconds)} tasks, from {task_time(edges[0])} to {task_time(edges[-1])}", bars)
