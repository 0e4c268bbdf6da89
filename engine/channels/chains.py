"""Chains of planes that a tracer found, for those who follow them on their own."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.channels.specular import SpecularPaths


class Chains(NamedTuple):
    """Planes that waves of an array are reflected at, one after the other: C chains of at most D of Q planes."""

    planes: np.ndarray
    """(C, D), −1 for none"""
    normal: np.ndarray
    """(Q, 3); the last plane stands for none"""
    offset_m: np.ndarray
    """normal · x of a plane's points, (Q,)"""
    permittivity: np.ndarray
    """η of what is behind, (Q,) complex"""
    low_m: np.ndarray
    """corner of the box that a plane's faces lie in, (Q, 3)"""
    high_m: np.ndarray
    is_clear: Callable[[np.ndarray, np.ndarray, np.ndarray, SpecularPaths], np.ndarray]
    """source (3,), points of reflection (P, D, 3), planes (P, D), paths → whether nothing stands in their way (P,)"""
