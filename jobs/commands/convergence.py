"""How many rays, reflections and paths the multipath family needs: the study that its defaults come from.

nearfield convergence
nearfield convergence --set surroundings=place.geojson --users 200

The rule: of each setting the smallest value at which, as at all larger ones, the expected powers of 95 % of users are
within 5 % of those at the finest value; walls and ground themselves are known no better.
"""

import time
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from engine import Streams
from jobs.cli import named, options

SETTINGS: dict[str, tuple[int, ...]] = {
    "samples": (1000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000),
    "max_depth": (0, 1, 2, 3, 4, 6),
    "max_paths": (1, 2, 3, 5, 7, 10, 20, 1000),
    "sensor_subarrays": (1, 5, 10, 20, 50, 100),
}
"""The last value of each is what the others are held to."""
TOLERANCE = 0.05


class Row(NamedTuple):
    """One setting: error of a user's expected powers against the finest, median and 95th percentile; time."""

    setting: str
    value: int
    median: float
    worst: float
    milliseconds: float
    """cpu-time of a user"""
    seconds: float
    """cpu-time of scene and sensors, once a worker"""


def command(
    set_: options.Settings = [],  # noqa: B006  typer copies it
    users: Annotated[int, typer.Option(metavar="N", min=2, help="Users to trace.")] = 200,
) -> None:
    """Change one setting at a time, the others as they are, and say what each should be."""
    console = Console()
    scenario = named.changed(named.find("multipath:data"), settings=set_, axes=[]).scenario
    rows = study(scenario, users)
    advised, now = recommended(rows), {name: getattr(scenario, name) for name in SETTINGS}
    table = Table(
        "setting", "value", "median error", "95 % below", "cpu-ms a user", "cpu-s once", "", box=None, pad_edge=False
    )
    for row in rows:
        marks = [word for word, chosen in (("set", now), ("recommended", advised)) if chosen[row.setting] == row.value]
        table.add_row(
            row.setting, str(row.value), f"{row.median:.1e}", f"{row.worst:.1e}", f"{row.milliseconds:.2g}",
            f"{row.seconds:.2g}", ", ".join(marks),
        )  # fmt: skip
    console.print(table)
    changes = " ".join(f"--set {name}={advised[name]}" for name, value in now.items() if value != advised[name])
    console.print(f"\nRecommended: the smallest value that leaves 95 % of users an error below {TOLERANCE:.0%}.")
    if changes:
        console.print(f"Instead of what is set: {changes}\nSettings depend on each other: run this again with them.")
    else:
        console.print("That is what is set.")


def recommended(rows: Iterable[Row]) -> dict[str, int]:
    """By the rule: setting → value."""
    advised: dict[str, int] = {}
    settled: set[str] = set()
    for row in sorted(rows, key=lambda row: -row.value):
        if row.worst >= TOLERANCE:
            settled.add(row.setting)
        elif row.setting not in settled:
            advised[row.setting] = row.value
    return advised


def study(scenario: object, users: int) -> list[Row]:
    """Errors ‖p − p_ref‖/‖p_ref‖ over all sensors, of users that count; the scenario's own values are among those."""
    from scenarios.multipath.scene import INCLUDED, MultipathScene, Traces, tracer_of

    assert isinstance(scenario, MultipathScene)
    drawn = scenario.draw_users(Streams(0, 0), users)

    def powers(changes: dict[str, int]) -> tuple[np.ndarray, np.ndarray, float, float]:
        tracer_of.cache_clear()
        started = time.process_time()
        traces = Traces(scenario.replace(**changes))
        built = time.process_time()
        h, _, status = traces.user_channels(drawn)
        traced = time.process_time()
        return traces.expected_power(h).reshape(users, -1), status == INCLUDED, traced - built, built - started

    powers({})  # compiles the kernels
    rows = []
    for setting, values in SETTINGS.items():
        values = tuple(sorted({*values, getattr(scenario, setting)}))
        found = [powers({setting: value}) for value in values]
        reference, included, *_ = found[-1]
        scale = np.linalg.norm(reference, axis=1)[included]
        for value, (power, _, seconds, once) in zip(values, found, strict=True):
            error = np.linalg.norm(power - reference, axis=1)[included] / scale
            median, worst = np.quantile(error, (0.5, 0.95))
            rows.append(Row(setting, value, float(median), float(worst), seconds / users * 1e3, once))
    return rows
