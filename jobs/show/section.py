"""What a report says of one store, as plain data for its page."""

import base64
import functools
import io
import itertools
import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray

import engine
from engine import InputError, StoreError, Sweep
from engine.store import stops
from engine.store.receipts import Receipt
from engine.store.store import Store
from engine.summary import summarize
from engine.sweep import TextTable
from jobs.cli import named
from jobs.cli.progress import duration
from jobs.commands.plot import presented, with_times
from jobs.show import generic_figure
from jobs.show.stops import stop_table
from jobs.show.tables import pivots, tabulated
from jobs.show.typography import (
    Estimate,
    counted,
    estimate,
    listed,
    plain,
    pretty_unit,
    sentence,
    task_time,
    typeset,
    when,
)

_MOST_ROWS = 40
_MOST_HOSTS = 12
_STATISTICS = {"mean": "Mean", "rmse": "Root of the mean", "median": "Median"}


class Grid(NamedTuple):
    """A table: the first cell of a row heads it."""

    title: str
    headings: list[str]
    rows: list[list[str | Estimate]]

    @property
    def has_verdicts(self) -> bool:
        return "verdict" in self.headings


class Summary(NamedTuple):
    """The tables of one statistic of one variable."""

    title: str
    tables: list[Grid]


class Picture(NamedTuple):
    source: str
    """a data: URI"""
    text: str


class Setting(NamedTuple):
    name: str
    value: str
    unit: str
    meaning: str
    named: str
    """what the named sweep has, empty where it is the same"""


class Bar(NamedTuple):
    height: float
    """relative to the largest"""
    text: str


class Histogram(NamedTuple):
    text: str
    bars: list[Bar]


@dataclass(frozen=True)
class Section:
    """A store, told."""

    title: str
    name: str
    path: str
    realizations_done: int
    realizations_total: int
    notes: list[str]
    facts: dict[str, str]
    pictures: list[Picture]
    report: list[Grid]
    summaries: list[Summary]
    axes: Grid
    settings: list[Setting]
    progress: dict[str, str]
    points: Grid | None
    """where each stopped, or those that are not finished"""
    task_times: Histogram | None
    provenance: dict[str, str]

    @property
    def share(self) -> str:
        """A share of everything, never rounded up to it."""
        return f"{math.floor(100 * self.realizations_done / max(1, self.realizations_total))} %"


def section(path: str | os.PathLike[str]) -> Section:
    """Read a store. Raises StoreError where there is none; what in it cannot be read or drawn becomes a note."""
    store = Store(path, mode="r")
    try:
        return _section(store, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise StoreError(f"the description of {path} is damaged: {type(error).__name__}: {error}") from None


def _section(store: Store, path: str | os.PathLike[str]) -> Section:
    attributes, receipts = store.attributes, store.receipts()
    axes: dict[str, list[Any]] = json.loads(attributes["axes"])
    budget, chunk = int(attributes["realizations"]), int(attributes["chunk"])
    n_points = math.prod(map(len, axes.values()))
    done = Counter[tuple[int, ...]]()
    for receipt in receipts:
        done[receipt.point] += max(0, min(receipt.stop, budget) - receipt.start)
    n_tasks = n_points * -(-budget // chunk)
    finished = sum(store.grid.is_whole(receipt.task) for receipt in receipts)
    notes: list[str] = []
    record = stops.read(store.storage, store.grid.shape)
    has_stopped = record is not None and sum(stop.reason != "seconds" for stop in record.stops) == n_points
    stored, of = sum(done.values()), "of at most" if has_stopped else "of"
    base = named.at_hand(str(attributes["name"]))
    results = with_times(engine.open_results(path), path)
    if not receipts:
        notes.append("Nothing is stored yet: figures and tables appear with the first finished task.")
    elif finished < n_tasks:
        how = "Stopped at its targets" if has_stopped else "Incomplete"
        notes.append(f"{how}: {stored} of {n_points * budget} realizations are stored.")
    commit = str(attributes["commit"])
    if commit.endswith("+dirty"):
        notes.append("The code differed from its commit when the store was created.")
    reading = _Reading(results, notes)
    stopped = reading.stops(store, record, receipts) if record else None
    return Section(
        title=sentence(str(attributes["about"] or attributes["name"] or attributes["scenario_class"])),
        name=str(attributes["name"] or attributes["scenario_class"]),
        path=str(path),
        realizations_done=stored,
        realizations_total=stored if has_stopped else n_points * budget,
        notes=notes,
        facts={
            "points": str(n_points),
            "realizations a point": f"{'at most ' if has_stopped else ''}{budget}",
            "tasks finished": f"{finished} {of} {n_tasks}",
            "computing time": duration(sum(receipt.seconds for receipt in receipts)),
        },
        pictures=reading.pictures() if receipts else [],
        report=reading.report() if receipts else [],
        summaries=reading.summaries() if receipts else [],
        axes=_axes(results, axes),
        settings=_settings(results, attributes, axes, base),
        progress=_progress(receipts, finished, 0 if has_stopped else n_tasks - finished)
        | (_aims(record) if record else {}),
        points=stopped or _unfinished(axes, budget, done),
        task_times=_histogram([receipt.seconds for receipt in receipts]),
        provenance=_provenance(attributes, commit),
    )


class _Reading:
    """Figures and tables of results; what fails is noted, and the rest goes on."""

    def __init__(self, results: xarray.Dataset, notes: list[str]) -> None:
        self.results, self.notes = results, notes
        self.sweep = presented(results)

    def _attempt(self, what: str, make: Callable[[], Any]) -> Any:
        """A figure or report is its sweep's own code, and may not have been made for results with holes."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # means of nothing
                return make()
        except Exception as error:
            self.notes.append(f"{what} cannot be made of these results: {type(error).__name__}: {error}")
            return None

    def pictures(self) -> list[Picture]:
        own = self.sweep.figure if self.sweep else None
        drawn = self._attempt("The figure of the sweep", lambda: _svg(own(self.results))) if own else None
        if drawn:
            return [Picture(drawn, sentence(self.results.attrs["about"] or self.results.attrs["name"]))]
        generic = generic_figure.means_against_first_axis
        drawn = self._attempt("A figure of the means", lambda: _svg(generic(self.results)))
        return [Picture(drawn, "Mean of each variable with its 95 % interval, against the first axis")] if drawn else []

    def report(self) -> list[Grid]:
        own = self.sweep.report if self.sweep else None
        tables = self._attempt("The table of the sweep", functools.partial(own, self.results)) if own else None
        return sorted(map(_grid, tables or []), key=lambda grid: not grid.has_verdicts)

    def stops(self, store: Store, record: stops.Record, receipts: list[Receipt]) -> Grid | None:
        table = self._attempt("The table of stops", functools.partial(stop_table, store, record, receipts))
        return _grid(table) if table else None

    def summaries(self) -> list[Summary]:
        found: list[Summary] = []
        for name in tabulated(self.results, self.results.attrs["highlights"]):
            found += self._attempt(f"The table of {name}", functools.partial(_summaries, self.results[name])) or []
        return found


def _grid(table: TextTable) -> Grid:
    return Grid(table.title, list(table.headings), [list(map(typeset, row)) for row in table.rows])


def _svg(figure: Any) -> str:
    """A figure as a data: URI: crisp at any size, and apart from the page, in which its names could clash."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def _summaries(variable: xarray.DataArray) -> list[Summary]:
    """Mean and median of a variable, and the root of the mean of a squared one."""
    whole = summarize(variable, quantiles=())
    squared = whole["mse"].attrs.get("units") == variable.attrs.get("units") and "units" in variable.attrs
    made = []
    for statistic, word in _STATISTICS.items():
        if statistic == "rmse" and not squared:
            continue
        described = variable.copy(deep=False)
        described.attrs["units"] = pretty_unit(whole[statistic].attrs.get("units", ""))
        described.attrs["long_name"] = f"{word} of the {variable.attrs.get('long_name', variable.name)}"
        columns = {statistic: "value", f"{statistic}_low": "low", f"{statistic}_high": "high"}
        summary = whole[["count", *columns]].rename(columns)
        summary["mean"] = summary["value"]
        tables = [
            Grid(
                typeset(pivot.title),
                [pivot.corner, *(typeset(heading) or word for heading in pivot.columns)],
                [[typeset(label) or "all", *map(_estimate, cells)] for label, cells in pivot.rows],
            )
            for pivot in pivots(described, summary)
        ]
        made.append(Summary(f"{described.attrs['long_name']}, with 95 % intervals", tables))
    return made


def _estimate(cell: xarray.Dataset) -> Estimate:
    return estimate(*(float(cell[name]) for name in ("value", "low", "high")))


def _axes(results: xarray.Dataset, axes: Mapping[str, list[Any]]) -> Grid:
    """The axes of the sweep, and the dimensions that its scenario adds."""
    own = [
        str(name)
        for name in results.coords
        if name not in axes and name != "realization" and results[name].dims == (name,)
    ]
    rows: list[list[str | Estimate]] = []
    for name, kind in itertools.chain(((name, "axis") for name in axes), ((name, "dimension") for name in own)):
        attributes = results[name].attrs
        values = axes[name] if name in axes else results[name].values.tolist()
        text = str(attributes.get("long_name", ""))
        unit = pretty_unit(str(attributes.get("units", "")))
        rows.append([name, kind, str(len(values)), listed(values), unit, text])
    return Grid("Axes and dimensions", ["name", "kind", "number", "values", "unit", "meaning"], rows)


def _settings(
    results: xarray.Dataset, attributes: Mapping[str, Any], axes: Mapping[str, list[Any]], base: Sweep | None
) -> list[Setting]:
    """Every field of the scenario that is no axis, and the sweep's own; with the named sweep's where they differ."""
    fields = {key: value for key, value in json.loads(attributes["scenario"]).items() if key not in axes}
    same_class = base is not None and base.definition()["scenario"] == attributes["scenario_class"]
    kind = type(base.scenario) if base and same_class else None
    usual = base.scenario.model_dump(mode="json") if base and same_class else {}
    found = [_setting(name, value, usual, kind, base.axes if base else {}) for name, value in fields.items()]
    own = {name: attributes[name] for name in ("realizations", "seed", "block")}
    meanings = {
        "realizations": "at each point",
        "seed": "of every random stream",
        "block": "realizations drawn together",
    }
    for name, value in own.items():
        before = getattr(base, name) if base else value
        found.append(Setting(name, plain(value), "", meanings[name], "" if before == value else plain(before)))
    for name in axes:
        before_axis = list(base.axes.get(name, ())) if base else axes[name]
        if before_axis != axes[name]:
            text = f"axis {listed(before_axis)}" if before_axis else plain(usual.get(name))
            found.append(Setting(name, f"axis {listed(axes[name])}", "", "", text))
    return found


def _setting(
    name: str, value: Any, usual: Mapping[str, Any], kind: Any, base_axes: Mapping[str, tuple[Any, ...]]
) -> Setting:
    from engine.scenario import units

    field = kind.model_fields.get(name) if kind else None
    meaning = (field.description if field else None) or name.replace("_", " ")
    if name in base_axes:
        before = f"axis {listed(list(base_axes[name]))}"
    else:
        before = plain(usual[name]) if name in usual and usual[name] != value else ""
    return Setting(name, plain(value), pretty_unit(units(name) or ""), meaning, before)


def _progress(receipts: list[Receipt], finished: int, pending: int) -> dict[str, str]:
    found = {"tasks": f"{finished} finished, {pending} pending"}
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
    if pending:
        found["left"] = f"about {duration(float(seconds.mean()) * pending)} of one worker"
    hosts = Counter((receipt.host, receipt.device, receipt.platform) for receipt in receipts)
    for (host, device, platform), count in hosts.most_common(_MOST_HOSTS):
        found[f"on {host}, {device}"] = f"{counted(count, 'task')}, {platform}"
    if len(hosts) > _MOST_HOSTS:
        found["further hosts"] = str(len(hosts) - _MOST_HOSTS)
    return found


def _aims(record: stops.Record) -> dict[str, str]:
    """What the latest run was asked to reach."""
    limit = {"limit": duration(record.max_seconds)} if record.max_seconds else {}
    return {f"target {number}": target for number, target in enumerate(record.targets, 1)} | limit


def _unfinished(axes: Mapping[str, list[Any]], budget: int, done: Counter[tuple[int, ...]]) -> Grid | None:
    """The points that lack realizations, the first of them."""
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
    count = math.prod(map(len, axes.values())) - sum(stored >= budget for stored in done.values())
    title = "Points that are not finished" + (f", the first {len(shown)} of {count}" if count > len(shown) else "")
    return Grid(title, [*axes, "realizations"], rows)


def _histogram(seconds: list[float]) -> Histogram | None:
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


def _provenance(attributes: Mapping[str, Any], commit: str) -> dict[str, str]:
    versions = json.loads(attributes["versions"])
    return {
        "created": when(str(attributes["created"])),
        "commit": commit,
        "fingerprint": str(attributes["fingerprint"]),
        "scenario": f"{attributes['scenario_class']}, code version {attributes['code_version']}",
        "seed": str(attributes["seed"]),
        "backend": f"{attributes['backend']}, {attributes['device']}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "format": str(attributes["nearfield_format"]),
    }
