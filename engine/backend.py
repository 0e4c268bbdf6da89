"""Where arrays live: NumPy on the CPU or CuPy on a GPU. The only file that imports cupy."""

import functools
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.errors import InputError

BackendName = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Backend:
    """An array namespace, how to bring its arrays to the host, and the device's name."""

    name: BackendName
    xp: Any
    to_host: Callable[[Any], np.ndarray]
    device: str


def backend(name: str) -> Backend:
    """The backend `cpu` or `gpu`; one clear error where it cannot be had."""
    if name == "cpu":
        return Backend("cpu", np, np.asarray, processor())
    if name != "gpu":
        raise InputError(f"backend: given {name!r}, needed 'cpu' or 'gpu'")
    try:
        import cupy
        from array_api_compat import cupy as xp
    except ImportError:
        raise InputError("backend 'gpu' needs CuPy: pip install 'nearfield[gpu]', or use 'cpu'") from None
    if not cupy.is_available():
        raise InputError("backend 'gpu' needs a CUDA GPU, and CuPy sees none here: use 'cpu'")
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return Backend("gpu", xp, cupy.asnumpy, properties["name"].decode())


@functools.cache
def processor() -> str:
    """The CPU's model, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()
