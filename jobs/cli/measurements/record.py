"""What a file of measurements says, whatever its dialect."""

from typing import NamedTuple

import numpy as np

from jobs.cli.measurements.scatter import UNKNOWN, Scatter


class Measurements(NamedTuple):
    """What K sensors received, in the order in which the file names them."""

    range_m: np.ndarray
    """(K,)"""
    angle_rad: np.ndarray
    """from the array's axis, (K,)"""
    power_w: np.ndarray
    """mean over the rows, each weighed by its snapshots, (K,)"""
    n_snapshots: np.ndarray
    """rows with a power, or the sum of what a column of snapshots says of them, (K,)"""
    names: tuple[str, ...]
    """as the file says, or "1", "2", …, (K,)"""
    remarks: tuple[str, ...]
    """what was ignored, averaged, left out or taken for missing, a line each"""
    states_snapshots: bool = False
    """whether a column says of how many snapshots each row is the mean"""
    scatter: Scatter = UNKNOWN
    """of the rows about their sensor's mean"""


class Place(NamedTuple):
    """Where the array stands and faces, for sensors by latitude and longitude (WGS84)."""

    latitude_deg: float
    longitude_deg: float
    bearing_deg: float
    """of what is straight ahead, from north, clockwise"""
