"""How many rays, reflections and paths the multipath family needs: the study that its defaults come from.

nearfield convergence
nearfield convergence --set surroundings=place.geojson --users 200
"""

import time
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from engine import Streams
from jobs import named, options

_STUDIES: dict[str, tuple[int, ...]] = {
    "samples": (1000, 3000, 10_000, 30_000, 200_000),
    "max_depth": (0, 1, 2, 3, 4),
    "max_paths": (1, 2, 3, 5, 10, 1000),
}
"""The last value of each is what the others are held to."""


class Row(NamedTuple):
    """One setting: error of a user's expected powers against the finest, median and 95th percentile; time."""

    setting: str
    value: int
    median: float
    worst: float
    milliseconds: float


def command(
    set_: options.Settings = [],  # noqa: B006  typer copies it
    users: Annotated[int, typer.Option(metavar="N", min=2, help="Users to trace.")] = 100,
) -> None:
    """Change one setting at a time, the others as they are, and hold expected powers to those of its finest value."""
    console = Console()
    table = Table("setting", "value", "median error", "95 % below", "cpu-ms a user", box=None, pad_edge=False)
    for row in study(named.changed(named.find("multipath:data"), settings=set_, axes=[]).scenario, users):
        table.add_row(row.setting, str(row.value), f"{row.median:.1e}", f"{row.worst:.1e}", f"{row.milliseconds:.2g}")
    console.print(table)


def study(scenario: object, users: int) -> list[Row]:
    """Errors ‖p − p_ref‖/‖p_ref‖ over all sensors, of users that count."""
    from scenarios.multipath_scene import INCLUDED, MultipathScene, Traces, tracer_of

    assert isinstance(scenario, MultipathScene)
    drawn = scenario.draw_users(Streams(0, 0), users)

    def powers(changes: dict[str, int]) -> tuple[np.ndarray, np.ndarray, float]:
        tracer_of.cache_clear()
        traces = Traces(scenario.replace(**changes))
        traces.user_channels(drawn)  # compiles the kernels
        started = time.process_time()
        h, _, status = traces.user_channels(drawn)
        seconds = time.process_time() - started
        return traces.expected_power(h).reshape(users, -1), status == INCLUDED, seconds

    rows = []
    for setting, values in _STUDIES.items():
        found = [powers({setting: value}) for value in values]
        reference, included, _ = found[-1]
        scale = np.linalg.norm(reference, axis=1)[included]
        for value, (power, _, seconds) in zip(values, found, strict=True):
            error = np.linalg.norm(power - reference, axis=1)[included] / scale
            median, worst = np.quantile(error, (0.5, 0.95))
            rows.append(Row(setting, value, float(median), float(worst), seconds / users * 1e3))
    return rows
