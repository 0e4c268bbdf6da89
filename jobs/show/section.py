"""What a report says of one store, as plain data for its page."""

import base64
import functools
import io
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import engine
from engine import InputError, StoreError, Sweep
from engine.store import stops
from engine.store.receipts import Receipt
from engine.store.store import Store
from jobs.cli import named
from jobs.show.generic_figure import figure_of
from jobs.show.grids import Grid, grid
from jobs.show.presentation import Presentation
from jobs.show.settings import Setting, axes_of, settings_of
from jobs.show.statistics import Summary, summaries
from jobs.show.stops import stop_table
from jobs.show.tables import tabulated
from jobs.show.tasks import Extent, Histogram, aims, facts, histogram, progress, unfinished
from jobs.show.typography import sentence, when


class Picture(NamedTuple):
    source: str
    """a data: URI"""
    text: str


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
    claims: list[Grid]
    """what the paper says, beside ours"""
    report: list[Grid]
    """the sweep's other tables"""
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
    store = Store(path)
    try:
        return _section(store, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise StoreError(f"the description of {path} is damaged: {type(error).__name__}: {error}") from None


def _section(store: Store, path: str | os.PathLike[str]) -> Section:
    attributes, receipts = store.attributes, store.receipts()
    axes = {name: list(values) for name, values in store.axes.items()}
    record = store.stops()
    extent = Extent.of(store, receipts, record)
    notes = _notes(attributes, extent)
    base = _named(str(attributes["name"]), notes)
    presentation = Presentation(engine.open_results(path), path)
    results, reading = presentation.results, _Reading(presentation, notes)
    tables = reading.report() if receipts else []
    stopped = reading.stops(store, record, receipts) if record else None
    name = str(attributes["name"] or attributes["scenario_class"])
    return Section(
        title=sentence(str(attributes["about"] or name)),
        name=name,
        path=str(path),
        realizations_done=extent.stored,
        realizations_total=extent.total,
        notes=notes,
        facts=facts(extent, receipts),
        pictures=reading.pictures() if receipts else [],
        claims=[table for table in tables if table.has_verdicts],
        report=[table for table in tables if not table.has_verdicts],
        summaries=reading.summaries() if receipts else [],
        axes=axes_of(results, axes),
        settings=settings_of(results, attributes, axes, base),
        progress=progress(receipts, extent) | (aims(record) if record else {}),
        points=stopped or unfinished(axes, extent),
        task_times=histogram([receipt.seconds for receipt in receipts]),
        provenance=_provenance(attributes),
    )


def _notes(attributes: Mapping[str, Any], extent: Extent) -> list[str]:
    """What a reader must know before the numbers."""
    notes = []
    if not extent.stored:
        notes.append("Nothing is stored yet: figures and tables appear with the first finished task.")
    elif extent.finished < extent.n_tasks:
        how = "Stopped at its targets" if extent.has_stopped else "Incomplete"
        notes.append(f"{how}: {extent.stored} of {extent.n_points * extent.budget} realizations are stored.")
    if str(attributes["commit"]).endswith("+dirty"):
        notes.append("The code differed from its commit when the store was created.")
    return notes


class _Reading:
    """Figures and tables of results; what fails is noted, and the rest goes on."""

    def __init__(self, presentation: Presentation, notes: list[str]) -> None:
        self.presentation, self.results, self.notes = presentation, presentation.results, notes

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
        if self.presentation.has_figure:
            drawn = self._attempt("The figure of the sweep", lambda: _svg(self.presentation.figure()))
            if drawn:
                return [Picture(drawn, sentence(self.results.attrs["about"] or self.results.attrs["name"]))]
        drawn = self._attempt("A figure of the means", lambda: _svg(self.presentation.told(figure_of(self.results))))
        return [Picture(drawn, "Means with their 95 % intervals")] if drawn else []

    def report(self) -> list[Grid]:
        tables = self._attempt("The table of the sweep", self.presentation.tables)
        return list(map(grid, tables or []))

    def stops(self, store: Store, record: stops.Record, receipts: list[Receipt]) -> Grid | None:
        table = self._attempt("The table of stops", functools.partial(stop_table, store, record, receipts))
        return grid(table) if table else None

    def summaries(self) -> list[Summary]:
        found: list[Summary] = []
        for name in tabulated(self.results, json.loads(self.results.attrs["highlights"])):
            found += self._attempt(f"The table of {name}", functools.partial(summaries, self.results, name)) or []
        return found


def _svg(figure: Any) -> str:
    """A figure as a data: URI: crisp at any size, and apart from the page, in which its names could clash."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def _named(name: str, notes: list[str]) -> Sweep | None:
    """The sweep that the store names; a note where its module is the user's and cannot be imported."""
    try:
        return named.at_hand(name)
    except InputError as error:
        notes.append(sentence(str(error)))
        return None


def _provenance(attributes: Mapping[str, Any]) -> dict[str, str]:
    versions = json.loads(attributes["versions"])
    return {
        "created": when(str(attributes["created"])),
        "commit": str(attributes["commit"]),
        "fingerprint": str(attributes["fingerprint"]),
        "scenario": f"{attributes['scenario_class']}, code version {attributes['code_version']}",
        **({"account": str(attributes["account"])} if "account" in attributes else {}),
        "seed": str(attributes["seed"]),
        "backend": f"{attributes['backend']}, {attributes['device']}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "format": str(attributes["nearfield_format"]),
    }
