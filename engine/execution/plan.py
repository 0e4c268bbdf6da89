"""What to compute next, and when there is enough: the tasks of a run, in the order of need.

Without targets, the tasks that no receipt covers, in order. With targets, every point gets to its first look, then work
goes to the one that is predicted to need most more, and a point is finished once its targets are met:

- Looks. The targets are looked at only when the contiguous prefix of a point's whole chunks reaches certain sizes: the
  first of at least `Target.least` realizations, each next one a quarter larger, in whole chunks. Looks depend on the
  chunk alone, and what is seen at a look on the stored numbers alone: hence the same stop for any number of workers,
  any order of arrival, any interruption and any budget.
- Held twice. A point stops where all its targets hold at two looks in a row. A precision met once may be one too few
  rare errors; a quarter more realizations show it.
- The interval at the stop is the ordinary one of its level. Stopping by the width of an interval, unlike stopping by
  where it lies, leaves its coverage asymptotically what it is (Chow and Robbins, Ann. Math. Stat. 36 (1965); Glynn
  and Whitt, Ann. Appl. Probab. 2 (1992)), whence the bound on `rel`. What remains is stopping too early by chance,
  and the looks, few and confirmed, are against that.

Coverage of 95 % intervals at the stop, over 2000 studies with a target of 10 % of the mean (5 % of the RMSE) and a
first look at 100 realizations: 95.1 % for exponential errors, 95.3 % for squared Gaussian ones, 95.7 % with one user in
twenty lost; looking every ten realizations covers the last 61 % of the time. Where what makes the mean is rarer than
the first look can see, it is less: with one user in a hundred lost, at a hundredfold squared error, and a target of
20 % of the mean, 73 % with a first look at 100 realizations and 87 % at 500.

Not chosen: a confidence sequence or a spending function, which hold at all looks at once. Nobody asks for that who
stops by the width: Pocock's boundary for ten looks, 2.56 standard errors in place of 1.96, would take 70 % more
realizations and cover 99 % at the stop.
"""

import heapq
import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.moments import Moments
from engine.store.receipts import Receipt
from engine.store.stops import Reason, Record, Stop
from engine.sweep import Grid, Task
from engine.targets import Aim

_GROWTH = 1.25


def looks(chunk: int, least: int, after: int) -> int:
    """The first look at more than `after` chunks: its number of chunks.

    >>> [looks(50, 100, 0), looks(50, 100, 2), looks(50, 100, 10), looks(50, 2, 0)]
    [2, 3, 12, 1]
    """
    look = max(1, -(-least // chunk))
    while look <= after:
        look = max(look + 1, math.ceil(_GROWTH * look))
    return look


class State(NamedTuple):
    """Where a point is. `realizations`: its contiguous prefix, at the stop if it has met its targets.

    excess: largest half width over the wanted one, at the last whole chunk; infinite if unknown, 0 without targets.
    left: realizations that it is predicted to need yet. reason: why it has stopped; None while it has not.
    """

    point: tuple[int, ...]
    realizations: int
    excess: float
    left: int
    reason: Reason | None


class _Point:
    """One point of the sweep: what is stored of it, what is handed out, what its targets say."""

    def __init__(self, grid: Grid, tasks: list[Task], stored: list[Receipt], aims: list[Aim]) -> None:
        self.aims, self._grid, self._chunk, self._budget = aims, grid, grid.chunk, grid.realizations
        self._least = max((aim.target.least for aim in aims), default=0)
        self.receipts: dict[int, Receipt] = {}
        self._missing = {task.start for task in tasks}
        self.stored = self._prefix = self._whole = 0
        self.pace = math.inf
        """Seconds of a realization in the fastest task, which is the least disturbed; infinite before the first."""
        self._moments: dict[str, Moments] = {}
        self._look = self._first_look = looks(self._chunk, self._least, 0)
        self._held = False
        self.excess = math.inf if aims else 0.0
        self.met_at: int | None = None
        for receipt in stored:
            self.add(receipt)
        self._todo = deque(task for task in tasks if task.start in self._missing)

    def add(self, receipt: Receipt) -> None:
        start = receipt.start
        shorter = self.receipts.get(start)
        self.stored += receipt.stop - (shorter.stop if shorter else start)
        self.receipts[start] = receipt
        self.pace = min(self.pace, receipt.seconds / (receipt.stop - start))
        if self._grid.is_whole(receipt.task):
            self._missing.discard(start)
        while (here := self.receipts.get(self._prefix // self._chunk * self._chunk)) and here.stop > self._prefix:
            self._prefix = here.stop
        if self.aims:
            self._advance()

    def _advance(self) -> None:
        """Take in the chunks that continue the prefix, in order, looking where a look is due."""
        while self.met_at is None and (receipt := self._next()):
            for name in {aim.variable for aim in self.aims}:
                new = Moments.from_json(receipt.moments[name])
                self._moments[name] = self._moments[name].merge(new) if name in self._moments else new
            self._whole += 1
            self.excess = max(aim.excess(self._moments[aim.variable]) for aim in self.aims)
            if self._whole == self._look:
                holds = self.excess <= 1
                if holds and self._held:
                    self.met_at = self._whole * self._chunk
                self._held, self._look = holds, looks(self._chunk, self._least, self._whole)

    def _next(self) -> Receipt | None:
        """The chunk that continues those taken in, once it is stored in full length."""
        receipt = self.receipts.get(self._whole * self._chunk)
        return receipt if receipt and receipt.stop - receipt.start == self._chunk else None

    @property
    def wanted(self) -> int:
        """Realizations in all after which the point is predicted to stop; never beyond the budget."""
        if self.met_at is not None:
            return self.met_at
        if not self.aims or (self._whole and math.isinf(self.excess)):
            return self._budget
        # A half width falls with the root of the count. Both looks must hold, the one behind us may be the first.
        needed = math.ceil(self._whole * max(1.0, self.excess) ** 2) if self._whole else 0
        first = self._look if needed <= self._look else looks(self._chunk, self._least, needed - 1)
        last = first if self._held and needed <= self._look else looks(self._chunk, self._least, first)
        return min(last * self._chunk, self._budget)

    @property
    def left(self) -> int:
        """Realizations that are wanted and not stored."""
        return max(0, self.wanted - self.stored) if self.is_open else 0

    @property
    def is_open(self) -> bool:
        """Something is left to compute, beside what a worker may have in hand."""
        return self.met_at is None and bool(self._missing)

    @property
    def n_tasks_left(self) -> int:
        return len(self._missing) if self.is_open else 0

    @property
    def n_missing(self) -> int:
        """Tasks that are not stored whole, wanted or not."""
        return len(self._missing)

    @property
    def waiting(self) -> int:
        """Realizations that are wanted and not handed out."""
        return max(0, self.wanted - self._todo[0].start) if self._todo and self.is_open else 0

    @property
    def need(self) -> int:
        """What ranks the points: before its first look, nothing is known of one, and it comes before all others."""
        ahead = self._first_look * self._chunk - (self._todo[0].start if self._todo else 0)
        return self._budget + ahead if ahead > 0 else self.waiting

    def take(self) -> Task:
        return self._todo.popleft()

    def give_back(self, task: Task) -> None:
        self._todo = deque(sorted([task, *self._todo]))

    def state(self, point: tuple[int, ...]) -> State:
        reason: Reason | None = "target" if self.met_at is not None else None if self._missing else "budget"
        return State(point, self.met_at or self._prefix, self.excess, self.left, reason)


class Plan:
    """Hands out tasks and takes in receipts, which it keeps: all that a run knows of what is stored.

    Runners call `take` and `add`, and stop when it `is_finished`.
    """

    def __init__(
        self, grid: Grid, stored: Iterable[Receipt], aims: Sequence[Aim] = (), max_seconds: float | None = None
    ) -> None:
        self._aims, self._max_seconds = aims, max_seconds
        self._deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
        self._by_need = bool(aims)
        receipts: dict[tuple[int, ...], list[Receipt]] = {}
        for receipt in stored:
            receipts.setdefault(receipt.point, []).append(receipt)
        tasks: dict[tuple[int, ...], list[Task]] = {}
        for task in grid.tasks():
            tasks.setdefault(task.point, []).append(task)
        self._points = {
            point: _Point(grid, own, receipts.get(point, []), [aim for aim in aims if aim.concerns(point)])
            for point, own in tasks.items()
        }
        self._order = {point: i for i, point in enumerate(self._points)}
        self._open = {point for point, state in self._points.items() if state.is_open}
        self._left = {point: state.left for point, state in self._points.items()}
        self.realizations_left = sum(self._left.values())
        """Predicted to be computed yet."""
        self.realizations_done = sum(state.stored for state in self._points.values())
        self.tasks_done = grid.n_tasks - sum(state.n_missing for state in self._points.values())
        """Tasks that are stored whole."""
        self._queue: list[tuple[int, int, tuple[int, ...]]] = []
        self._queued: dict[tuple[int, ...], int] = {}
        for point in self._points:
            self._offer(point)

    def _offer(self, point: tuple[int, ...]) -> None:
        """Queue a point by its need. What was queued before by another one is passed over when it comes up."""
        state = self._points[point]
        need = -state.need if self._by_need else 0
        if not state.waiting:
            self._queued.pop(point, None)
        elif self._queued.get(point) != need:
            self._queued[point] = need
            heapq.heappush(self._queue, (need, self._order[point], point))

    def take(self) -> Task | None:
        """The next task; None while nothing more is wanted than what is handed out."""
        while self._queue:
            need, _, point = heapq.heappop(self._queue)
            if self._queued.get(point) == need:
                del self._queued[point]
                task = self._points[point].take()
                self._offer(point)
                return task
        return None

    def give_back(self, task: Task) -> None:
        """A task that was handed out and that nobody will do: it is handed out again."""
        self._points[task.point].give_back(task)
        self._offer(task.point)

    def work_left(self, running: tuple[int, ...] | None = None, pace: float = 0.0) -> float:
        """Predicted seconds of one worker for what is left, by the fastest task of each point.

        A point that has none is taken to be like the one before it, the first ones like the first that has one.
        running: a point that is computed and found to take at least `pace` seconds a realization.
        """
        known = [state.pace for state in self._points.values() if math.isfinite(state.pace)]
        latest, total = known[0] if known else 0.0, 0.0
        for point, state in self._points.items():
            latest = state.pace if math.isfinite(state.pace) else latest
            if point == running:
                latest = max(latest, pace)
            total += state.left * latest
        return total

    def add(self, result: object) -> None:
        """Take in a receipt. A failure changes nothing: its task is not handed out again."""
        if not isinstance(result, Receipt):
            return
        point, state = result.point, self._points[result.point]
        stored, missing = state.stored, state.n_missing
        state.add(result)
        self.realizations_done += state.stored - stored
        self.tasks_done += missing - state.n_missing
        self.realizations_left += state.left - self._left[point]
        self._left[point] = state.left
        if not state.is_open:
            self._open.discard(point)
        self._offer(point)

    @property
    def is_finished(self) -> bool:
        return not self._open or self.seconds_left <= 0

    @property
    def seconds_left(self) -> float:
        """Until the limit; infinite without one."""
        return self._deadline - time.monotonic()

    @property
    def n_tasks_left(self) -> int:
        """Tasks that may be handed out yet, within the budget."""
        return sum(state.n_tasks_left for state in self._points.values())

    @property
    def n_open(self) -> int:
        """Points that are not finished."""
        return len(self._open)

    def statistics(self) -> dict[str, dict[tuple[int, ...], Moments]]:
        """variable → point's index along each axis → moments over all that is stored by now."""
        result: dict[str, dict[tuple[int, ...], Moments]] = {}
        for point, state in self._points.items():
            for start in sorted(state.receipts):
                for name, moments in state.receipts[start].statistics().items():
                    points = result.setdefault(name, {})
                    points[point] = points[point].merge(moments) if point in points else moments
        return result

    def states(self) -> list[State]:
        """Every point's, in order."""
        return [state.state(point) for point, state in self._points.items()]

    def record(self) -> Record | None:
        """The stops as they are, to be stored; points that are still open have none, unless the seconds are over.

        None without targets and limit.
        """
        if not self._aims and self._max_seconds is None:
            return None
        over = self.seconds_left <= 0
        stops = [
            Stop(
                point=state.point,
                reason=state.reason or "seconds",
                realizations=state.realizations,
                excess=state.excess if math.isfinite(state.excess) else None,
            )
            for state in self.states()
            if state.reason or over
        ]
        targets = tuple(str(aim.target) for aim in self._aims)
        return Record(targets=targets, max_seconds=self._max_seconds, stops=tuple(stops))
