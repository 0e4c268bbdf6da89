"""What family B's errors come to: for near and for far users, at every point.

A plain RMSE is ruined by one lost user in a hundred; beside it stand the RMSE of the users found and the share of those
lost.
"""

from typing import TYPE_CHECKING

import numpy as np

from scenarios.figures.rows import SQUARED_ERRORS, Quantity, Row, of_those_asked, rows_of
from scenarios.ris.lost import DIRECTION, LOST_BEAMS, with_directions
from scenarios.ris.mismatch import NAME as MISMATCHED

if TYPE_CHECKING:
    import xarray


def _quantity(name: str, unit: str, bound: str, floor: str | None = None) -> Quantity:
    return Quantity(
        name,
        unit,
        SQUARED_ERRORS[name],
        bound,
        lost_by=DIRECTION,
        lost_above=LOST_BEAMS,
        lost_stated="lost_probability",
        floor=floor,
    )


QUANTITIES = {
    "angle": _quantity("angle", "rad", "bound_angle_rad2", MISMATCHED),
    "range": _quantity("range", "m", "bound_range_m2"),
}


def summary(results: "xarray.Dataset") -> list[Row]:
    """Every method at every point, for near and for far users, for angle and range.

    Users of one realization share their cycles; they are counted as independent, which their errors nearly are.
    """
    results, fields = with_directions(results), results.user_field.values
    rows: list[Row] = []
    for field in dict.fromkeys(fields.tolist()):
        here = results.isel(user=np.flatnonzero(fields == field))
        rows += rows_of(here, tuple(QUANTITIES.values()), group=field, pool=("user",))
    return of_those_asked(rows)
