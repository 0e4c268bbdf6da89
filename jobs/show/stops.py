"""How near each point of a store is to its targets, and what it is predicted to need yet."""

import math

from engine.execution.plan import Plan, State
from engine.store import aims, stops
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.sweep import TextTable
from jobs.cli.progress import duration
from jobs.show.tables import print_report

_MOST_ROWS = 40


def print_stops(path: str) -> None:
    """Targets, limit and a table of the points; nothing after a run without targets or limit of seconds."""
    store = Store(path)
    record = store.stops()
    if record:
        for target in record.targets:
            print(f"target       {target}")
        if record.max_seconds:
            print(f"limit        {duration(record.max_seconds)}")
        print_report([stop_table(store, record, store.receipts())])


def plan_of(store: Store, receipts: list[Receipt]) -> Plan:
    """The plan of the store's latest run."""
    record = store.stops()
    return Plan(store.grid, receipts, aims.aims_in(store, record.parsed_targets() if record else ()))


def stop_table(store: Store, record: stops.Record, receipts: list[Receipt]) -> TextTable:
    """Where each point stopped, why, and what it is predicted to need yet."""
    axes, reasons = store.axes, {stop.point: stop.reason for stop in record.stops}
    states = sorted(plan_of(store, receipts).states(), key=lambda state: -state.left)
    shown = f": {_MOST_ROWS} of {len(states)} points, by what they need" if len(states) > _MOST_ROWS else ""
    rows = [
        (
            *(str(values[i]) for values, i in zip(axes.values(), state.point, strict=True)),
            f"{state.realizations}",
            f"{state.excess:.2f}" if 0 < state.excess < math.inf else "–",
            reasons.get(state.point, "open"),
            _left(state, receipts) if reasons.get(state.point) != "budget" else "–",
        )
        for state in states[:_MOST_ROWS]
    ]
    headings = (*axes, "realizations", "half width / target", "stopped by", "predicted left")
    return TextTable(f"Where the points stopped{shown}", headings, rows)


def _left(state: State, receipts: list[Receipt]) -> str:
    """Realizations and one core's time, by what the point's own took, or all of them where it has none."""
    own = [receipt for receipt in receipts if receipt.point == state.point] or receipts
    if not state.left:
        return "–"
    if not own:
        return f"{state.left}"
    each = sum(receipt.seconds for receipt in own) / sum(receipt.stop - receipt.start for receipt in own)
    return f"{state.left}, {duration(each * state.left)}"
