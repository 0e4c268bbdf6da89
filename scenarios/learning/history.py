"""Histories of trainings as cards hold them."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple


def as_json(history: Iterable[NamedTuple]) -> list[dict[str, Any]]:
    """Records by name. JSON knows no NaN: the losses of networks that had stopped are None.

    >>> from collections import namedtuple
    >>> as_json([namedtuple("Epoch", "number loss")(3, [0.5, math.nan])])
    [{'number': 3, 'loss': [0.5, None]}]
    """
    return [{name: _known(value) for name, value in record._asdict().items()} for record in history]


def _known(value: Any) -> Any:
    if isinstance(value, list):
        return [_known(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
