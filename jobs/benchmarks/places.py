"""A city's buildings read as a place: 150 000 footprints, some 50 MB, in a process of its own.

Invented: rotated rectangles on a lattice around an array.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jobs.benchmarks.measurement import Measurement

_FOOTPRINTS = 150_000
_APART_DEG = 4e-4
_AT = (10.0, 50.0)
_READ = """
import json, sys, time
from pathlib import Path
from engine.channels.geojson import surroundings_from
from jobs.benchmarks.processes import most_gigabytes
started = time.process_time()
place = surroundings_from(Path(sys.argv[1]))
taken = time.process_time() - started
print(json.dumps([taken, most_gigabytes(), place.account.found]))
"""


def measurements() -> Iterator[Measurement]:
    """About ten seconds."""
    with tempfile.TemporaryDirectory() as folder:
        city = Path(folder, "city.geojson")
        _write(city, _FOOTPRINTS)
        size = city.stat().st_size / 1e6
        seconds, gigabytes, found = _read(city)
    how = f"{found:.0f} footprints, {size:.0f} MB of GeoJSON, one core, a process of its own"
    yield Measurement("place, a city read", seconds, "cpu-s", "≤ 10 cpu-s", seconds <= 10, how)
    yield Measurement("place, memory for it", gigabytes, "GB", "≤ 1 GB", gigabytes <= 1, how)


def _read(path: Path) -> tuple[float, float, float]:
    """Processor seconds, gigabytes at most, buildings found."""
    found = json.loads(subprocess.check_output([sys.executable, "-c", _READ, str(path)], text=True))
    return float(found[0]), float(found[1]), float(found[2])


def _write(path: Path, count: int) -> None:
    random = np.random.default_rng(0)
    side = 2 * math.ceil(math.sqrt(count) / 2)  # even: nothing stands where the array does
    turns = random.uniform(0, math.pi / 2, count)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        point = {"type": "Point", "coordinates": list(_AT)}
        file.write(json.dumps({"type": "Feature", "properties": {"bearing": 90}, "geometry": point}))
        for number, turn in enumerate(turns):
            row, column = divmod(number, side)
            x, y = (column - side / 2 + 0.5) * _APART_DEG, (row - side / 2 + 0.5) * _APART_DEG
            corners = 8e-5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]])
            turned = corners @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
            ring = [[round(_AT[0] + x + a, 9), round(_AT[1] + y + b, 9)] for a, b in turned.tolist()]
            tags = {"building": "yes", "id": number, "height": None, "building:levels": str(1 + number % 5),
                    "source": "invented for this benchmark"}  # fmt: skip
            shape = {"type": "Polygon", "coordinates": [ring]}
            file.write(",\n" + json.dumps({"type": "Feature", "properties": tags, "geometry": shape}))
        file.write("\n]}\n")
