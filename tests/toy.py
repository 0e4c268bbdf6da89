"""Scenarios that cost nothing, for tests of the machinery. Importable by workers."""

import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from engine import Scenario, Streams, Sweep
from engine.scenario import Simulate, Variables


class Draws(NamedTuple):
    vector: np.ndarray
    noise: np.ndarray


class Toy(Scenario):
    """y = |A(x + σ n)| for a matrix A, so that a matrix product is part of the numbers."""

    size: int = Field(8, ge=1, description="length of x")
    offset: float = Field(0.0, description="added to x")
    label: str = Field("a", description="a name")
    levels_db: tuple[float, ...] = (0.0, 3.0)
    widen: bool = False

    def coordinates(self) -> Variables:
        return {"levels_db": (("levels_db",), np.asarray(self.levels_db), {"units": "dB", "long_name": "level"})}

    def draw(self, streams: Streams, size: int) -> Draws:
        return Draws(streams("x").standard_normal((size, self.size)), streams("n").standard_normal((size, self.size)))

    def prepare(self, xp: Any) -> Simulate:
        matrix = xp.sin(xp.arange(self.size * self.size, dtype=xp.float64)).reshape(self.size, self.size)
        levels = xp.asarray([10 ** (level / 20) for level in self.levels_db])

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            x = xp.asarray(realizations.vector) + self.offset
            y = xp.abs((x[:, None, :] + levels[:, None] * xp.asarray(realizations.noise)[:, None, :]) @ matrix)
            variables = {
                "power": (
                    ("realization", "levels_db"),
                    (y * y).sum(-1),
                    {"units": "W", "long_name": "power"},
                ),
                "peak": (("realization",), y.max((-1, -2)), {"long_name": "peak"}),
            }
            if self.widen:
                variables["row"] = (("realization", "item"), x, {})
            if intermediates:
                variables["x"] = (("realization", "item"), x, {"long_name": "x"})
            return variables

        return simulate


class Troubled(Toy):
    """Misbehaves at given realizations: raises, kills its process (once or always), dawdles, or is random."""

    trouble: str = "none"
    folder: str = "."

    def prepare(self, xp: Any) -> Simulate:
        plain = Toy.prepare(self, xp)

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            if self.trouble == "raise" and self.offset == 1.0:
                raise ZeroDivisionError("the third law")
            if self.trouble == "die" and self.offset == 1.0:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.trouble == "die once" and self.offset == 1.0:
                mark = Path(self.folder) / "died"
                if not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            if self.trouble == "slow":
                time.sleep(0.1)
            variables = plain(realizations, intermediates=intermediates)
            if self.trouble == "random":
                dims, values, attributes = variables["peak"]
                variables["peak"] = dims, values + np.random.default_rng().random(), attributes
            return variables

        return simulate


small = Sweep(
    Toy(), {"offset": (0.0, 1.0, 2.0)}, realizations=40, block=4, chunk=8, name="toy:small", about="a toy",
    highlights=("power",),
)  # fmt: skip
