"""Kernels run on NumPy, on the strict array API, and on CuPy where there is a GPU; they change no input."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

NAMESPACES = ["numpy", "array_api_strict", *(["cupy"] if find_spec("cupy") else [])]


@pytest.fixture(params=NAMESPACES)
def xp(request: pytest.FixtureRequest) -> Any:
    namespace = import_module(request.param)
    if request.param == "cupy" and not namespace.is_available():
        pytest.skip("no CUDA GPU")
    return namespace


@pytest.fixture
def host(xp: Any) -> Any:
    """A function that copies a namespace's array to NumPy and refuses what another namespace made."""

    def to_host(array: Any) -> np.ndarray:
        assert isinstance(array, type(xp.asarray([0.0]))), f"{type(array)} is no array of {xp.__name__}"
        return xp.asnumpy(array) if xp.__name__ == "cupy" else np.array(array)

    return to_host


@pytest.fixture
def given(xp: Any, host: Any) -> Any:
    """A function that makes an input: read-only on NumPy, and everywhere unchanged when the test ends."""
    inputs = []

    def make(values: Any) -> Any:
        values = np.array(values, dtype=float)
        values.flags.writeable = False
        array = xp.asarray(values)
        inputs.append((array, values.copy()))
        return array

    yield make
    for array, before in inputs:
        np.testing.assert_array_equal(host(array), before)
