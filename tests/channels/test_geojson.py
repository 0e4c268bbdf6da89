"""Places from GeoJSON: what is read, and one clear line for what is not."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import InputError
from engine.channels.geojson import surroundings_from
from engine.channels.surroundings import polygon

SHIPPED = Path(__file__).parents[2] / "scenarios/places/college.geojson"
SQUARE = [[20, 0], [30, 0], [30, 10], [20, 10], [20, 0]]


def feature(ring: Any = SQUARE, **tags: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"building": "yes", **tags}, "geometry": geometry}


def marked(x: float, y: float, **tags: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": tags, "geometry": {"type": "Point", "coordinates": [x, y]}}


def written(path: Path, *features: dict[str, Any], **members: Any) -> Path:
    file = path / "place.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
    return file


def test_metres_heights_and_materials(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        marked(0, 0),
        feature(height="7.5 m", **{"building:material": "glass"}),
        feature([[-40, 0], [-30, 0], [-30, 10]], **{"building:levels": 4, "building:material": "stone"}),
        feature([[50, 50], [60, 50], [60, 60]], height=3, name="shed", material="timber"),
        feature([[4000, 0], [4010, 0], [4010, 9]]),
        {"type": "Feature", "properties": {"landuse": "grass"}, "geometry": feature()["geometry"]},
        units="m",
    )
    place = surroundings_from(file)
    assert [(b.height_m, b.material) for b in place.buildings] == [(7.5, "glass"), (12, "concrete"), (3, "wood")]
    assert place.buildings[0].footprint == ((20, 0), (30, 0), (30, 10), (20, 10))


def test_bearing_turns_the_place(tmp_path: Path) -> None:
    """An array that faces north has what lies north before it."""
    north = feature([[-5, 40], [5, 40], [5, 50], [-5, 50]])
    place = surroundings_from(written(tmp_path, marked(0, 0, bearing=0), north, units="m"))
    x, y = np.array(place.buildings[0].footprint).T
    assert (x.min(), x.max(), y.min(), y.max()) == (40, 50, -5, 5)


def test_the_college_that_ships() -> None:
    place = surroundings_from(SHIPPED)
    assert len(place.buildings) == 10
    library = next(building for building in place.buildings if building.holes)
    assert polygon(library).area == pytest.approx(34 * 22 - 12 * 9, rel=2e-3)  # WGS84 to metres
    assert library.material == "glass"


@pytest.mark.parametrize(
    ("features", "members", "message"),
    [
        ([marked(0, 0)], {}, "no buildings; needed polygons"),
        ([feature([[20, 0], [30, 10], [30, 0], [20, 10], [20, 0]], name="bow")], {"units": "m"},
         r"building bow is no polygon: Self-intersection"),
        ([feature([[20, 0], [30, 0], [20, 0]])], {"units": "m"}, "number 1 has a ring of fewer than three corners"),
        ([feature([[20, 0], [30, 0], [40, 0], [20, 0]])], {"units": "m"}, "is no polygon"),
        ([feature()], {"units": "m"}, "number 1 holds the array"),
        ([marked(0, 0), feature([[200, 0], [230, 0], [230, 10]])], {}, 'no longitude and latitude; for metres, add'),
        ([marked(25, 5), feature()], {"units": "m"}, "number 2 holds the array; mark another place"),
        ([marked(0, 0), feature(height="tall")], {"units": "m"}, "has height = 'tall', needed a number"),
        ([marked(0, 0), feature(height=-3)], {"units": "m"}, "has the height -3 m, needed more than 0"),
        ([marked(0, 0), feature([[900, 0], [930, 0], [930, 9]])], {"units": "m"}, "no building within 200 m"),
        ([marked(0, 0), feature([["a", 0], [1, 0], [1, 1]])], {"units": "m"}, "needed two numbers"),
        ([marked(0, 0, bearing=1), marked(1, 1, bearing=2), feature()], {"units": "m"}, "2 Points have a 'bearing'"),
        ([marked(0, 0) | {"properties": [1]}], {}, "feature 1 has properties that are no object"),
        ([marked(0, 0) | {"geometry": {"type": "Point", "coordinates": [0]}}], {}, "coordinates that make no Point"),
        *(
            ([feature() | {"geometry": {"type": "Polygon", "coordinates": given}}], {}, "that make no Polygon")
            for given in (None, [], [[]], [[1, 2], [3, 4]])
        ),
        ([marked(0, 0, bearing="west"), feature()], {"units": "m"}, "bearing 'west': needed numbers"),
    ],
)  # fmt: skip
def test_nonsense_is_one_line(tmp_path: Path, features: list[Any], members: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        surroundings_from(written(tmp_path, *features, **members))
    assert re.search(message, str(raised.value))
    assert "\n" not in str(raised.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read .*: No such file"):
        surroundings_from(tmp_path / "x.geojson")
    for text in ("{", "[]", '{"type": "Polygon"}', '{"type": "FeatureCollection", "features": [3]}'):
        (tmp_path / "x.geojson").write_text(text)
        with pytest.raises(InputError, match="is no GeoJSON"):
            surroundings_from(tmp_path / "x.geojson")
