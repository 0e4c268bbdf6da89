"""Look at the leakage of one focal point.

nearfield map --range 5 --angle 60
nearfield map --range 20 --angle 90 --n-elements 256 -o far.svg
"""

import math
from pathlib import Path
from typing import Annotated

import typer

from engine import InputError
from jobs.show.drawing import write_figure


def command(
    range_m: Annotated[float, typer.Option("--range", metavar="M", help="Range of the focal point, in metres.")],
    angle_deg: Annotated[
        float, typer.Option("--angle", metavar="DEG", help="Its angle from the array's axis, in degrees; 90 is ahead.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")] = Path(
        "leakage-map.png"
    ),
    n_elements: Annotated[int, typer.Option(metavar="N", min=2, max=10_000, help="Elements of the array.")] = 100,
    carrier_hz: Annotated[float, typer.Option(metavar="HZ", help="Carrier frequency.")] = 15e9,
) -> None:
    """Draw what a beam focused on one point sends over the plane and into the far field."""
    from scenarios.leakage.map import default_array, leakage_map

    if not 0 < angle_deg < 180:
        raise InputError(f"angle: given {angle_deg:g}, needed degrees between 0 and 180")
    array = default_array(n_elements, carrier_hz)
    write_figure(lambda: leakage_map(range_m=range_m, angle_rad=math.radians(angle_deg), array=array), [output])
    print(f"drawn: {output}")
