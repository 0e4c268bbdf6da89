"""The same as `multipath_off_grid` for fewer users of another seed, one that nobody had looked at before."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence import multipath_off_grid

_SEED, _USERS = 20261207, 60


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """The posterior mean's errors by the angles of the grid, on it and off it."""
    for one in multipath_off_grid.words(numbers):
        name, *cells = (cell.strip() for cell in one.strip("|").split("|"))
        if name.startswith("posterior mean"):
            yield f"{name.removeprefix('posterior mean, ')} {cells[0]}, {cells[1]} and {cells[2]}"


_first = multipath_off_grid.EVIDENCE
assert _first.sweep is not None
EVIDENCE = _first._replace(
    about=_first.about + ", users of another seed",
    sweep=_first.sweep.replace(seed=_SEED, realizations=_USERS),
    words={"docs/multipath.md": words},
)
