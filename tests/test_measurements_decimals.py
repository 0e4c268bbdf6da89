"""Which sign is the decimal one: known, asked for, or refused."""

import math
import re

import numpy as np
import pytest
from measurement_files import of

from engine import InputError

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x_m;y_m;power_mw\n100,5;1,125;1\n2,125;3;1\n3;4,5;1\n", [100.5, 2.125, 3]),
        ("x_m;angle;y_m;power_dbm\n100,500;0;1,125;-84,625\n2,125;0;3;-1\n3;0;4,500;-1\n", [100.5, 2.125, 3]),
        ("x_m;y_m;power_mw\n0,500;1,125;1\n2,125;3;1\n3;4,500;1\n", [0.5, 2.125, 3]),
        ("x_m;y_m;power_mw\n1,125;1,125;1,25e-9\n2,125;3;1\n3;4,500;1\n", [1.125, 2.125, 3]),
        ("x_m;y_m;power_mw\n1.125;1.125;1.250\n2.125;3;1\n3;4.500;1\n", [1.125, 2.125, 3]),
        ("x_m;y_m;power_dbm\n1.1253;1,125;-1\n2.125;3;-1\n3;4,5;-1\n", [1.1253, 2.125, 3]),  # each column its own
    ],
)
def test_a_decimal_sign_is_known(text: str, wanted: list[float]) -> None:
    found = of(text)
    assert found.range_m * np.sin(found.angle_rad) == pytest.approx(wanted)


AMBIGUOUS = "x_m;y_m;power_mw\n1,125;1,125;1\n2,125;3,125;1\n3,250;4,500;1\n"


def test_a_sign_that_may_part_thousands_is_asked_for() -> None:
    """1,125 m is a metre and a bit or a kilometre and a bit: nothing in the file says which."""
    with pytest.raises(InputError, match=r"line 2, x_m: given '1,125', needed to know .* thousands: --decimal"):
        of(AMBIGUOUS)
    assert of(AMBIGUOUS, decimal=",").range_m[0] == pytest.approx(math.hypot(1.125, 1.125))
    with pytest.raises(InputError, match=r"line 2, x_m: given '1,125', needed .*'\.' and none between thousands"):
        of(AMBIGUOUS, decimal=".")
    with pytest.raises(InputError, match=r"line 2, y_m: given '1\.125', needed to know"):
        of("x_m;y_m;power_mw\n1,5;1.125;1\n2,125;3.125;1\n3,250;4.500;1\n")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1,234.5", "needed a number without a sign between thousands"),
        ("1.234,5", "needed a number without a sign between thousands"),
        ("1,234,567", "needed a number without a sign between thousands"),
        ("1 234", "needed a number without a sign between thousands"),
        ("1'234", "needed a number without a sign between thousands"),
        ("1\u202f234", "needed a number without a sign between thousands"),
        ("100,5", "needed one decimal sign"),
        ("1_000", "needed a number"),
        ("٣", "needed a number"),
        ("0x10", "needed a number"),
        ("1e400", "needed a finite number"),
        ("5 km", "needed a number"),
    ],
)
def test_thousands_and_mixed_signs_are_refused(cell: str, message: str) -> None:
    text = f"x_m;y_m;power_mw\n100.5;1;1\n{cell};3;1\n3;4;1\n"
    with pytest.raises(InputError, match=rf"m\.csv: line 3, x_m: given {re.escape(repr(cell))}, {message}"):
        of(text)
