"""What a run has in common with the paper's experiment: what differs is named, and the claims are not judged then."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from engine.scenario import Scenario


def differences(scenario: Scenario, paper: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that are not the paper's, as "n_elements = 64, the paper's 100".

    paper: field → value; numbers are compared to nine digits.
    """
    return tuple(
        f"{name} = {_text(mine)}, the paper's {_text(theirs)}"
        for name, theirs in paper.items()
        if not _same(mine := getattr(scenario, name), theirs)
    )


def lacking(values: Mapping[str, Iterable[Any]], paper: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of axes and dimensions that the paper's point has and the run has not."""
    return tuple(
        f"no {name} = {_text(theirs)}"
        for name, theirs in paper.items()
        if not any(_same(mine, theirs) for mine in values[name])
    )


def _same(mine: Any, theirs: Any) -> bool:
    if isinstance(theirs, int | float) and isinstance(mine, int | float):
        return bool(np.isclose(mine, theirs, rtol=1e-9, atol=0))
    return bool(mine == theirs)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
