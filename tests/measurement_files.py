"""Files of measurements for tests: as text, as they are read, and the one table that most of them are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.cli.measurements import Measurements, read

ROWS = "100,90,-80\n101,80,-81\n102,70,-82\n"
TRIPLES = [(100, 90, -80), (101, 80, -81), (102, 70, -82)]
PLAIN = "range_m,angle_deg,power_dbm\n" + ROWS


def of(text: str | bytes, *columns: str, name: str = "m.csv", **options: Any) -> Measurements:
    """A file of this content, as it is read; columns as --column has them."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(name, dict(one.split("=", 1) for one in columns), **options)


def watts(dbm: float) -> float:
    return 1e-3 * 10 ** (dbm / 10)


def assert_plain(found: Measurements) -> None:
    assert found.range_m.tolist() == [100, 101, 102]
    assert found.angle_rad == pytest.approx(np.radians([90, 80, 70]))
    assert found.power_w == pytest.approx([watts(-80), watts(-81), watts(-82)])
