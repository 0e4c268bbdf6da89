"""What a benchmark says."""

from typing import NamedTuple


class Measurement(NamedTuple):
    """One measurement: a value, its goal in the same unit, and how it was taken."""

    what: str
    value: float
    unit: str
    goal: str
    met: bool
    how: str
