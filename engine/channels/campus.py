"""A rural campus, invented: some twenty buildings over 300 × 200 m, with open ground before the array."""

import math

import numpy as np

from engine.channels.materials import Material
from engine.channels.surroundings import Building, Surroundings

_WANTED, _TRIES = 18, 4000
_CLEAR_M = 16.0  # no building nearer to the array: users are up to 12 m away
_GAP_M = 7.0
_KINDS: tuple[tuple[Material, float, float, float], ...] = (  # material, share, lowest and highest building
    ("brick", 0.5, 4.0, 10.0),
    ("concrete", 0.25, 6.0, 15.0),
    ("wood", 0.15, 3.0, 6.0),
    ("glass", 0.1, 4.0, 12.0),
)


def campus(random: np.random.Generator, name: str = "campus") -> Surroundings:
    """Rectangles and L shapes, roughly along two directions, apart from each other; drawn from `random`."""
    area = Surroundings(name=name)
    direction = random.uniform(-0.3, 0.3)
    shares = [share for _, share, _, _ in _KINDS]
    taken: list[tuple[float, float, float]] = []
    buildings = []
    for _ in range(_TRIES):
        length, width = random.uniform(12, 36), random.uniform(8, 18)
        reach = math.hypot(length, width) / 2
        x = random.uniform(area.west_m + reach, area.east_m - reach)
        y = random.uniform(area.south_m + reach, area.north_m - reach)
        turn = direction + random.choice([0.0, math.pi / 2]) + random.normal(0, 0.06)
        bite_x, bite_y = random.uniform(0.35, 0.65, 2) if random.random() < 0.4 else (1.0, 1.0)
        material, _, lowest, highest = _KINDS[random.choice(len(_KINDS), p=shares)]
        height_m = random.uniform(lowest, highest)
        near = any(math.hypot(x - x0, y - y0) < reach + r + _GAP_M for x0, y0, r in taken)
        if near or math.hypot(x, y) < reach + _CLEAR_M:
            continue
        taken.append((x, y, reach))
        corners = _rectangle_or_l(length, width, bite_x, bite_y)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        footprint = tuple((float(a), float(b)) for a, b in corners @ rotation.T + (x, y))
        buildings.append(Building(footprint=footprint, height_m=round(height_m, 1), material=material))
        if len(buildings) == _WANTED:
            break
    return area.model_copy(update={"buildings": tuple(buildings)})


def _rectangle_or_l(length: float, width: float, bite_x: float, bite_y: float) -> np.ndarray:
    """Corners around the origin; less than one: the share of the sides that an L keeps."""
    a, b = length / 2, width / 2
    if bite_x == 1.0:
        return np.array([(-a, -b), (a, -b), (a, b), (-a, b)])
    inner_x, inner_y = -a + bite_x * length, -b + bite_y * width
    return np.array([(-a, -b), (a, -b), (a, inner_y), (inner_x, inner_y), (inner_x, b), (-a, b)])
