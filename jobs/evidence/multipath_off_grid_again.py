"""The same as `multipath_off_grid` for users of another seed, one that nobody had looked at before."""

from collections.abc import Iterator
from typing import Any

from jobs.evidence import multipath_off_grid


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """The same lines and sentences, but for what moves between grids."""
    for one in multipath_off_grid.words(numbers):
        if "observations" not in one:
            yield one


EVIDENCE = multipath_off_grid.EVIDENCE._replace(
    about=multipath_off_grid.EVIDENCE.about + ", users of another seed",
    sweep=multipath_off_grid.EVIDENCE.sweep.replace(seed=20261207) if multipath_off_grid.EVIDENCE.sweep else None,
    words={"docs/multipath.md": words},
)
