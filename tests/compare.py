"""Two stores, compared to the last bit."""

from pathlib import Path

import xarray

import engine
from engine.store.store import Store


def differences(one: str | Path, other: str | Path) -> list[str]:
    """What differs between two stores: names of arrays whose bits differ, receipts whose checksums do."""
    datasets = [engine.open_results(path).load() for path in (one, other)]
    found = [name for name in sorted({*datasets[0].variables, *datasets[1].variables}) if not _equal(name, *datasets)]
    sums = [{(r.point, r.start, r.stop): r.checksums for r in Store(path).receipts()} for path in (one, other)]
    keys = sorted(sums[0].keys() | sums[1].keys())
    return found + [f"receipt {key}" for key in keys if sums[0].get(key) != sums[1].get(key)]


def _equal(name: str, one: xarray.Dataset, other: xarray.Dataset) -> bool:
    if name not in one.variables or name not in other.variables:
        return False
    a, b = one[name], other[name]
    return a.dims == b.dims and a.dtype == b.dtype and a.values.tobytes() == b.values.tobytes()
