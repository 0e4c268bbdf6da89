"""What takes a stack of networks through its training samples: compiled steps on a CPU core, or PyTorch."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np


class Samples(NamedTuple):
    """Standardised data of one sensor set for a stack of M networks; arrays, or tensors once training has them."""

    z: Any
    """compressed powers of each network, (M, n, K), single precision"""
    position: Any
    """the sensors' range and angle, (K, 2)"""
    place: Any
    """what each network must say, (M, n, O)"""


class Epochs(Protocol):
    """Takes networks through the training samples once."""

    def epoch(
        self, members: list[int], tensors: dict[str, np.ndarray], steps: int, batches: Iterable[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean training and validation losses of m members, (m,).

        tensors: parameters and Adam's moments after so many steps, (m, …), in whose place the later ones are put.
        batches: rows of the training samples.
        """
