"""Results as the sweep that they came from presents them."""

import functools
import json
import os
import sys
from contextlib import suppress
from typing import Any

import xarray

from engine import InputError, StoreError, Sweep
from engine.store.results import task_seconds
from engine.sweep import TextTable
from jobs.cli import named
from jobs.show.generic_figure import figure_of
from jobs.show.settings import changed_words, stored_fields

_IN_MEMORY_BYTES = 2**29


class Presentation:
    """A sweep's figure and tables of its results. Its summary, which both need, is computed once, when first asked for.

    path: of the store, for the sweeps that show what its realizations took.
    """

    def __init__(self, results: xarray.Dataset, path: str | os.PathLike[str]) -> None:
        results = read_once(results)
        self._named = _named(results)
        self._sweep = _presents(self._named, results)
        if self._sweep and self._sweep.timed:
            results = with_times(results, path)
        self.results = _over_axes_of(self._sweep, results) if self._sweep else results

    @property
    def has_figure(self) -> bool:
        """Whether the figure is the sweep's own."""
        return self._sweep is not None and self._sweep.figure is not None

    def figure(self) -> Any:
        """The sweep's own, or one line per series if it has none, with the settings that are not the named sweep's."""
        own = self._sweep.figure if self._sweep else None
        return self.told(own(*self._arguments) if own else figure_of(self.results))

    def told(self, figure: Any) -> Any:
        """A figure of these results that says which settings are not those of the sweep whose name it bears."""
        if words := changed_words(self.results.attrs, self._named):
            from scenarios.figures.panels import further_titled

            further_titled(figure, [words.replace("$", r"\$")])  # no mathematics for Matplotlib to set
        return figure

    def tables(self) -> list[TextTable] | None:
        """The sweep's own, None if it has none."""
        own = self._sweep.report if self._sweep else None
        return own(*self._arguments) if own else None

    @functools.cached_property
    def _arguments(self) -> tuple[Any, ...]:
        """What figure and report take: the results, and their summary where the sweep makes one."""
        summarise = self._sweep.summary if self._sweep else None
        return (self.results, summarise(self.results)) if summarise else (self.results,)


def read_once(results: xarray.Dataset) -> xarray.Dataset:
    """The results in memory, where they fit: a figure, its tables and its summaries each go over all values."""
    if results.nbytes <= _IN_MEMORY_BYTES:
        with suppress(StoreError):  # what can be read is shown; what reads the damaged chunk says so
            return results.load()
    return results


def with_times(results: xarray.Dataset, path: str | os.PathLike[str]) -> xarray.Dataset:
    """The results with what their realizations took, as `seconds_per_realization` and `seconds_of_tasks`.

    Reads every receipt.
    """
    taken = task_seconds(path)
    return results.assign_coords(seconds_per_realization=taken.fastest.variable, seconds_of_tasks=taken.each.variable)


def _named(results: xarray.Dataset) -> Sweep | None:
    """The sweep whose name the results bear, where there is one."""
    try:
        return named.at_hand(results.attrs["name"])
    except InputError as error:
        print(f"nearfield: {error}; a general figure is drawn", file=sys.stderr)
        return None


def _presents(sweep: Sweep | None, results: xarray.Dataset) -> Sweep | None:
    """The named sweep, if it knows how to present these results: if they have no axis more."""
    return sweep if sweep and set(json.loads(results.attrs["axes"])) <= set(sweep.axes) else None


def _over_axes_of(sweep: Sweep, results: xarray.Dataset) -> xarray.Dataset:
    """The results over every axis of the sweep: one that was set to a value is an axis of this value alone."""
    stored, fields = list(json.loads(results.attrs["axes"])), stored_fields(results.attrs, type(sweep.scenario))
    single = {name: [fields[name]] for name in sweep.axes if name not in stored}
    if not single and stored == list(sweep.axes):
        return results
    points = {
        name: values.expand_dims(single).transpose(*sweep.axes, ...)
        for name, values in {**results.data_vars, **results.coords}.items()
        if name not in results.indexes and ("realization" in values.dims or set(values.dims) == set(stored))
    }
    coordinates = {name: values for name, values in points.items() if name in results.coords}
    return results.assign({name: points[name] for name in points.keys() - coordinates.keys()}).assign_coords(
        coordinates
    )
