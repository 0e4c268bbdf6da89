"""From rows to sensors: each with its place, its mean power and its number of snapshots."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine import InputError
from jobs.cli.measurements.record import Measurements
from jobs.cli.measurements.scatter import scatter
from jobs.cli.measurements.sites import Sites, clusters, sites

_FEWEST = 3
_SAID = 5
"""sensors named in one line"""
_CROWD = 3
"""sensors near each other, in the mean, that may be rows of one"""
_MOST_LOOKED_AT = 10_000
"""sensors among which crowds are looked for: pairs of more fill the memory"""
_ROUNDING = 1e-8
"""of the range: positions that differ by less are written with other digits"""


class Rows(NamedTuple):
    """A file's rows, all (rows,)."""

    names: Sequence[str] | None
    range_m: np.ndarray
    angle_rad: np.ndarray
    power_w: np.ndarray
    """NaN where none was heard"""
    snapshots: np.ndarray
    """that a row is the mean of"""


def sensors(source: str, rows: Rows, remarks: Sequence[str], *, states_snapshots: bool) -> Measurements:
    """Sensors in the order of their first row. Raises InputError for fewer than three with a power."""
    owner, names = _owners(rows)
    range_m, angle_rad, filled = _filled(rows, owner)
    placed = np.isfinite(range_m) & np.isfinite(angle_rad)
    found = sites(owner[placed], range_m[placed], angle_rad[placed], named=rows.names is not None)
    power_w, counts = rows.power_w[placed], np.where(np.isfinite(rows.power_w[placed]), rows.snapshots[placed], 0)
    total = np.bincount(found.of_row, counts, len(found.range_m))
    energy = np.bincount(found.of_row, np.where(counts > 0, power_w, 0.0) * counts, len(found.range_m))
    labels = _labels(found, owner[placed], names)
    heard, with_power = total > 0, counts > 0
    mean_w = energy / np.maximum(total, 1)
    if np.count_nonzero(heard) < _FEWEST:
        raise InputError(
            f"{source}: given {np.count_nonzero(heard)} sensors with a power, needed at least {_FEWEST} to find range "
            f"and angle{_because(remarks)}"
        )
    said = (
        *filled,
        *_left_out([*_absent(labels, heard), *_nowhere(rows, placed, owner, names)]),
        *_split_names(found, owner[placed], names),
        *_jitter(found),
        *(_shared(found, labels, heard) if rows.names is not None else _crowded(found)),
    )
    return Measurements(
        found.range_m[heard], found.angle_rad[heard], mean_w[heard], total[heard].astype(np.int64),
        tuple(label for label, is_heard in zip(labels, heard, strict=True) if is_heard), (*remarks, *said),
        states_snapshots, scatter(found.of_row[with_power], power_w[with_power], counts[with_power], mean_w),
    )  # fmt: skip


def _owners(rows: Rows) -> tuple[np.ndarray, list[str]]:
    """Of each row the number of its name, in the order of their first row; 0 without names."""
    if rows.names is None:
        return np.zeros(len(rows.power_w), dtype=np.int64), []
    numbers: dict[str, int] = {}
    owner = np.array([numbers.setdefault(name, len(numbers)) for name in rows.names], dtype=np.int64)
    return owner, list(numbers)


def _filled(rows: Rows, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Where only some rows of a name say where it is, and all these the same, it is there in its others too."""
    placed = np.isfinite(rows.range_m) & np.isfinite(rows.angle_rad)
    lacking = np.flatnonzero(~placed & np.isfinite(rows.power_w))
    if rows.names is None or not len(lacking):
        return rows.range_m, rows.angle_rad, []
    range_m, angle_rad = rows.range_m.copy(), rows.angle_rad.copy()
    for number in np.unique(owner[lacking]):
        here = owner == number
        found = sites(owner[here & placed], range_m[here & placed], angle_rad[here & placed], named=True)
        if len(found.range_m) != 1:
            raise AssertionError("rows without a place are refused before")
        range_m[here & ~placed], angle_rad[here & ~placed] = found.range_m[0], found.angle_rad[0]
    return range_m, angle_rad, [f"{len(lacking)} rows without a position are where other rows of their sensor are"]


def placeless(rows: Rows) -> int | None:
    """The first row with a power and no place, of its own or, at one place, of its name; None without one."""
    placed = np.isfinite(rows.range_m) & np.isfinite(rows.angle_rad)
    lacking = np.flatnonzero(~placed & np.isfinite(rows.power_w))
    if not len(lacking) or rows.names is None:
        return int(lacking[0]) if len(lacking) else None
    owner, _ = _owners(rows)
    for row in lacking[np.sort(np.unique(owner[lacking], return_index=True)[1])]:
        here = placed & (owner == owner[row])
        if len(sites(owner[here], rows.range_m[here], rows.angle_rad[here], named=True).range_m) != 1:
            return int(row)
    return None


def _labels(found: Sites, owner: np.ndarray, names: list[str]) -> list[str]:
    """A sensor's name, with @1, @2 … where it is at several places, or its number."""
    if not names:
        return [str(number + 1) for number in range(len(found.range_m))]
    of_site = _owner_of_site(found, owner)
    places, labels, taken = np.bincount(of_site, minlength=len(names)), [], [0] * len(names)
    for number in of_site:
        taken[number] += 1
        labels.append(names[number] if places[number] == 1 else f"{names[number]}@{taken[number]}")
    return labels


def _owner_of_site(found: Sites, owner: np.ndarray) -> np.ndarray:
    _, first = np.unique(found.of_row, return_index=True)
    return owner[first]


def _absent(labels: list[str], heard: np.ndarray) -> list[str]:
    return [label for label, is_heard in zip(labels, heard, strict=True) if not is_heard]


def _nowhere(rows: Rows, placed: np.ndarray, owner: np.ndarray, names: list[str]) -> list[str]:
    """Names of which no row has a place, and hence none a power."""
    somewhere = set(owner[placed].tolist())
    return [name for number, name in enumerate(names) if number not in somewhere]


def _left_out(names: list[str]) -> list[str]:
    return [f"without a power, left out: sensor{'s' if len(names) > 1 else ''} {_some(names)}"] if names else []


def _split_names(found: Sites, owner: np.ndarray, names: list[str]) -> list[str]:
    if not names:
        return []
    of_site, said = _owner_of_site(found, owner), []
    several = np.flatnonzero(np.bincount(of_site, minlength=len(names)) > 1)
    for number in several[:_SAID]:
        here = of_site == number
        x, y = found.range_m[here] * np.sin(found.angle_rad[here]), found.range_m[here] * np.cos(found.angle_rad[here])
        apart_m = np.hypot(np.ptp(x), np.ptp(y))
        name, count = names[number], np.count_nonzero(here)
        said.append(
            f"sensor {name} is at {count} places, up to {apart_m:.3g} m apart: taken for {count} sensors, {name}@1 to "
            f"{name}@{count}"
        )
    if len(several) > _SAID:
        said.append(f"so are {len(several) - _SAID} other names at several places each")
    return said


def _jitter(found: Sites) -> list[str]:
    moved = found.jitter_m > _ROUNDING * found.range_m
    count = np.count_nonzero(moved)
    if not count:
        return []
    return [
        f"positions differ from row to row at {count} sensor{'s' if count > 1 else ''}, by up to "
        f"{np.max(found.jitter_m):.2g} m from the mean, which is taken"
    ]


def _crowded(found: Sites) -> list[str]:
    """Sensors without names that stand in few places: perhaps rows of one whose position jitters."""
    count = len(found.range_m)
    together = clusters(found) if count <= _MOST_LOOKED_AT else count
    if count < _CROWD * together:
        return []
    return [
        f"{count} sensors without names stand in {together} group{'s' if together > 1 else ''}: if each is one, whose "
        f"positions jitter, name them in a column sensor"
    ]


def _shared(found: Sites, labels: list[str], heard: np.ndarray) -> list[str]:
    """Names that stand at exactly the same place as another: perhaps a slip."""
    here = np.flatnonzero(heard)
    places = np.stack([found.range_m[here], found.angle_rad[here]], axis=-1)
    _, which, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    same = [labels[site] for site, group in zip(here, which.ravel(), strict=True) if counts[group] > 1]
    return [f"at the same place as another, and kept: sensors {_some(same)}"] if same else []


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SAID]) + (f" and {len(names) - _SAID} more" if len(names) > _SAID else "")


def _because(remarks: Sequence[str]) -> str:
    return f" ({'; '.join(remarks)})" if remarks else ""
