"""How near each point of a store is to its targets, and what it is predicted to need yet."""

import math
from pathlib import Path

from engine import stopping
from engine.plan import Plan, State
from engine.receipts import Receipt
from engine.store import Store
from engine.sweep import TextTable
from engine.targets import Target
from jobs.progress import duration
from jobs.tables import print_report

_MOST_ROWS = 40


def print_stops(path: Path) -> None:
    """A table of the points, those that need most first; nothing after a run without targets or limit of seconds."""
    store = Store(path, mode="r")
    record = stopping.read(store.path, store.sweep.shape)
    if record:
        print_report([_table(store, record, store.receipts())])


def plan_of(store: Store, receipts: list[Receipt]) -> Plan:
    """The plan of the store's latest run."""
    record = stopping.read(store.path, store.sweep.shape)
    targets = tuple(Target.parse(text) for text in record.targets) if record else ()
    return Plan(store.sweep, receipts, stopping.aims_in(store, targets))


def _table(store: Store, record: stopping.Record, receipts: list[Receipt]) -> TextTable:
    sweep, stops = store.sweep, {stop.point: stop.reason for stop in record.stops}
    states = sorted(plan_of(store, receipts).states(), key=lambda state: -state.left)
    shown = f", {_MOST_ROWS} of {len(states)} points" if len(states) > _MOST_ROWS else ""
    limit = [f"at most {duration(record.max_seconds)}"] if record.max_seconds else []
    rows = [
        (
            *map(str, sweep.values(state.point).values()),
            f"{state.realizations}",
            f"{state.excess:.2f}" if 0 < state.excess < math.inf else "–",
            stops.get(state.point, "open"),
            _left(state, receipts) if stops.get(state.point) != "budget" else "–",
        )
        for state in states[:_MOST_ROWS]
    ]
    headings = (*sweep.axes, "realizations", "half width / target", "stopped by", "predicted left")
    return TextTable("; ".join([*record.targets, *limit]) + shown, headings, rows)


def _left(state: State, receipts: list[Receipt]) -> str:
    """Realizations and one core's time, by what the point's own took, or all of them where it has none."""
    own = [receipt for receipt in receipts if receipt.point == state.point] or receipts
    if not state.left:
        return "–"
    if not own:
        return f"{state.left}"
    each = sum(receipt.seconds for receipt in own) / sum(receipt.stop - receipt.start for receipt in own)
    return f"{state.left}, {duration(each * state.left)}"
