"""Places from GeoJSON: what is read, what is said of it, and one clear line for what is refused."""

import gzip
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from channels.map_files import ARRAY, AT, BOW, EAST_M, NORTH_M, SQUARE, area, feature, marked, spans, square, written

from engine import InputError
from engine.channels.geojson import surroundings_from
from engine.channels.places.where import Wanted
from engine.channels.surroundings import Surroundings, faces_of, polygon

SHIPPED = Path(__file__).parents[2] / "scenarios/places/college.geojson"


def read(path: Path, *features: dict[str, Any], **members: Any) -> Surroundings:
    """Features in metres."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return surroundings_from(written(path, *features, units="m", **members))


def test_metres_heights_and_materials(tmp_path: Path) -> None:
    place = read(
        tmp_path,
        ARRAY,
        feature(height="7.5 m", **{"building:material": "glass"}),
        feature([[-40, 0], [-30, 0], [-30, 10]], **{"building:levels": 4, "building:material": "stone"}),
        feature([[50, 50], [60, 50], [60, 60]], height=3, name="shed", material="timber"),
        feature([[4000, 0], [4010, 0], [4010, 9]]),
        area(landuse="grass"),
    )
    assert [(b.height_m, b.material) for b in place.buildings] == [(7.5, "glass"), (12, "concrete"), (3, "wood")]
    assert place.buildings[0].footprint == ((20, 0), (30, 0), (30, 10), (20, 10))
    assert place.account.summary() == (
        "array at 0.0 m E 0.0 m N of the file's origin facing E (a Point with a bearing); 3 of 4 buildings in the "
        "frame; heights 2 tagged, 1 from levels, 0 assumed 6 m; 0 mended, 0 left out"
    )
    assert place.account.remarks == ("skipped, as no buildings: 1 area",)


@pytest.mark.parametrize(
    ("bearing", "spanned"),
    [(0, [40, -5, 50, 5]), ("N", [40, -5, 50, 5]), ("180°", [-50, -5, -40, 5]), (270, [-5, -50, 5, -40])],
)
def test_bearing_turns_the_place(tmp_path: Path, bearing: Any, spanned: list[float]) -> None:
    """An array that faces north has what lies north before it; one that faces west has it to its right, at −y."""
    north = feature([[-5, 40], [5, 40], [5, 50], [-5, 50]])
    assert spans(read(tmp_path, marked(0, 0, bearing=bearing), north)) == [spanned]


def test_the_college_that_ships() -> None:
    place = surroundings_from(SHIPPED)
    assert len(place.buildings) == 10
    library = next(building for building in place.buildings if building.holes)
    assert polygon(library).area == pytest.approx(34 * 22 - 12 * 9, rel=2e-3)  # WGS84 to metres
    assert library.material == "glass"


@pytest.mark.parametrize("nothing", [None, "", False, "  ", "null", float("nan")])
def test_nothing_is_nothing(tmp_path: Path, nothing: Any) -> None:
    """Absent, null, "" and false are one thing: for buildings, heights, bearings."""
    place = read(
        tmp_path,
        ARRAY,
        marked(50, 50, bearing=nothing),
        feature(height=nothing, **{"building:levels": 4, "min_height": nothing, "building:part": nothing}),
        area(building=nothing, landuse="grass"),
        area(building=nothing),
    )
    assert [(b.height_m, b.base_m) for b in place.buildings] == [(12, 0)]
    assert place.account.remarks == ("skipped, as no buildings: 1 point, 2 areas",)


@pytest.mark.parametrize(
    ("properties", "count"),
    [
        ({"building": "no", "height": 5}, 0), ({"building": "demolished"}, 0), ({"natural": "wood", "height": 18}, 0),
        ({"landuse": "grass", "height": 2}, 0), ({"leisure": "pitch"}, 0), ({"building": "yes", "layer": "-1"}, 0),
        ({"building": "yes", "location": "underground"}, 0), ({"height": 5}, 1), ({"num_floors": 2}, 1), ({}, 0),
        ({"building": "church", "amenity": "place_of_worship"}, 1), ({"building": True}, 1), ({"BUILDING": "yes"}, 1),
        ({"other_tags": '"building"=>"yes","name"=>"a \\"b\\""'}, 1), ({"tags": {"building": "yes"}}, 1),
        ({"tags": '{"building": "yes"}'}, 1), ({"building:part": "yes"}, 1), ({"building:part": "no"}, 0),
    ],
)  # fmt: skip
def test_what_is_a_building(tmp_path: Path, properties: dict[str, Any], count: int) -> None:
    """Beside one that says so: a file with `building` tags means them."""
    beside = feature([[20, 50], [30, 50], [30, 60]])
    assert len(read(tmp_path, ARRAY, beside, area(**properties)).buildings) == 1 + count


def test_files_of_footprints_have_no_tag(tmp_path: Path) -> None:
    place = read(tmp_path, ARRAY, area(height=-1.0, confidence=-1), area(), area(height=7.5), area(landuse="grass"))
    assert [building.height_m for building in place.buildings] == [6, 6, 7.5]
    assert (place.account.tagged, place.account.assumed) == (1, 2)
    assert "no feature has a 'building' tag" in place.account.remarks[0]


def test_a_roof_on_posts_lets_waves_pass(tmp_path: Path) -> None:
    place = read(
        tmp_path,
        ARRAY,
        feature(height=6, min_height="4"),
        feature([[40, 0], [50, 0], [50, 10]], building="roof", height="5 m"),
        feature([[60, 0], [70, 0], [70, 10]], **{"building:levels": 8, "building:min_level": 2}),
        feature([[-5, -5], [5, -5], [5, 5], [-5, 5]], height=5, min_height=4),
        feature([[80, 0], [90, 0], [90, 10]], height=5, min_height=9, name="odd"),
    )
    assert [(b.height_m, b.base_m) for b in place.buildings] == [(6, 4), (5, 4.5), (24, 6), (5, 4), (5, 0)]
    said = "\n".join(place.account.remarks)
    assert "4 buildings not from the ground, roofs on posts or min_height: number 2 4 to 6 m" in said
    assert "the array stands under number 5, 4 m up" in said
    assert "1 tag could not be read: odd: min_height = 9 m under a top at 5 m" in said


def test_parts_stand_for_what_they_cover(tmp_path: Path) -> None:
    """A tower of 30 m on one half of an outline: the other half is the outline's own."""
    block = [[20, 0], [40, 0], [40, 10], [20, 10], [20, 0]]
    tower, plinth = ([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]] for x in (20, 30))
    place = read(
        tmp_path,
        ARRAY,
        feature(block, height=12, name="hall"),
        feature(tower, **{"building": None, "building:part": "yes", "height": 30}),
        feature([[80, 0], [90, 0], [90, 10]], **{"building": None, "building:part": "yes", "building:levels": "5"}),
    )
    assert [b.height_m for b in place.buildings] == [12, 30, 15]
    assert spans(place)[:2] == [[30, 0, 40, 10], [20, 0, 30, 10]]
    assert "2 building parts, for 1 outline that they fill" in place.account.remarks
    whole = [feature(ring, **{"building": None, "building:part": "yes", "height": 9}) for ring in (tower, plinth)]
    place = read(tmp_path, ARRAY, feature(block, height=12), *whole)
    assert [b.height_m for b in place.buildings] == [9, 9]


def test_lines_and_points(tmp_path: Path) -> None:
    line = feature() | {"geometry": {"type": "LineString", "coordinates": SQUARE}}
    opened = feature() | {"geometry": {"type": "LineString", "coordinates": SQUARE[:-1]}}
    place = read(tmp_path, ARRAY, line, opened, marked(3, 3, building="yes"), marked(5, 5, highway="bus_stop"))
    assert spans(place) == [[20, 0, 30, 10]]
    assert place.account.remarks == (
        "1 closed line taken as footprints",
        "2 buildings skipped: open lines or points, which have no footprint",
        "skipped, as no buildings: 1 point",
    )


def test_rings_are_mended_and_named(tmp_path: Path) -> None:
    place = read(
        tmp_path,
        ARRAY,
        feature(BOW, name="bow"),
        feature([[20, 50], [30, 50], [30, 50], [30, 60], [20, 50]], name="stutter"),
        feature([[60, 0], [70, 0], [60, 0]], name="line"),
        feature([[60, 0], [70, 0], [80, 0], [60, 0]], name="flat"),
        feature([[900, 0], [910, 10], [910, 0], [900, 10], [900, 0]], name="far bow"),
        feature([[50, 0], [60, 0], [60, 10], [50, 10]], [[52, 2], [53, 2]], name="scratch"),
    )
    assert place.account.mended == ("bow (self-intersection)", "scratch (a hole of fewer than three corners)")
    assert [text.partition(": ")[0] for text in place.account.left_out] == ["line", "flat"]
    assert place.account.summary().endswith("2 mended, 2 left out (line, flat)")
    areas = [polygon(building).area for building in place.buildings]
    assert areas == pytest.approx([25, 25, 50, 100], abs=0.02)
    assert (place.account.in_frame, place.account.found) == (3, 6)


def test_duplicates_holes_heights_and_senses(tmp_path: Path) -> None:
    around = [[x, y, 231.5] for x, y in ([20, 0], [60, 0], [60, 40], [20, 40])]
    place = read(tmp_path, ARRAY, feature(around, [[30, 10], [40, 10], [40, 20]]), feature(), feature(SQUARE[::-1]))
    assert [len(building.holes) for building in place.buildings] == [1, 0, 0]
    assert polygon(place.buildings[0]).area == 1600 - 50
    assert place.account.remarks == ("1 footprint drawn twice",)


def test_multipolygons_and_collections(tmp_path: Path) -> None:
    parts = [[SQUARE], [[[40, 0], [50, 0], [50, 10]]]]
    several = feature(height=9) | {"geometry": {"type": "MultiPolygon", "coordinates": parts}}
    mixed = {"type": "GeometryCollection", "geometries": [
        {"type": "Point", "coordinates": [1, 1]}, {"type": "Polygon", "coordinates": [[[60, 0], [70, 0], [70, 9]]]},
        {"type": "Polygon"},
    ]}  # fmt: skip
    nested = {"type": "FeatureCollection", "features": [feature(height=5) | {"geometry": mixed}]}
    place = read(tmp_path, ARRAY, several, nested, {"type": "Feature", "properties": None, "geometry": None})
    assert [building.height_m for building in place.buildings] == [9, 9, 5]
    assert (place.account.in_frame, place.account.found, place.account.tagged) == (2, 2, 2)
    assert place.account.remarks == ("skipped, as no buildings: 1 feature without a geometry",)


def in_degrees(**tags: Any) -> list[dict[str, Any]]:
    return [marked(*AT, bearing=90), feature(square(60, 0), height=12, **tags)]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(), lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"), lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"), lambda text: gzip.compress(text.encode()),
        lambda text: text.replace("Halle", "Hölle").encode("latin-1"),
    ],
)  # fmt: skip
def test_encodings(tmp_path: Path, encode: Any) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": in_degrees(name="Halle")})
    (tmp_path / "x.geojson").write_bytes(encode(text))
    place = surroundings_from(tmp_path / "x.geojson")
    assert spans(place)[0] == pytest.approx([60, 0, 70, 10], abs=2e-3)


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\x1e", "\n\n", ",\n", " "])
def test_one_feature_a_line(tmp_path: Path, between: str) -> None:
    lines = [json.dumps(one) for one in in_degrees()]
    text = ("\x1e" if "\x1e" in between else "") + between.join(lines)
    (tmp_path / "x.geojsonl").write_text(text + "\n")
    assert surroundings_from(tmp_path / "x.geojsonl").buildings[0].height_m == 12
    (tmp_path / "x.geojsonl").write_text(f'{lines[0]}\n{{"type": "Feature", "geom\n{lines[1]}\n')
    place = surroundings_from(tmp_path / "x.geojsonl")
    assert len(place.buildings) == 1
    assert place.account.remarks == ("1 feature of the file could not be read",)


def test_one_geometry_alone(tmp_path: Path) -> None:
    for one in (feature(square(60, 0)), feature(square(60, 0))["geometry"], [feature(square(60, 0))]):
        (tmp_path / "x.json").write_text(json.dumps(one))
        place = surroundings_from(tmp_path / "x.json")
        assert len(place.buildings) == 1
        assert "no Point has a bearing: the middle of the buildings is inside one" in place.account.array


def test_where_nobody_says_it_stands_before_the_buildings(tmp_path: Path) -> None:
    """One building: 16 m and more to the west of it, facing it."""
    place = read(tmp_path, feature([[100, 100], [110, 100], [110, 110], [100, 110]]))
    ((west, south, east, north),) = spans(place)
    assert 16 <= west < 22
    assert (south, north) == (-5, 5)
    assert east - west == 10
    two = read(tmp_path, feature([[-60, 0], [-50, 0], [-50, 10]]), feature([[50, 0], [60, 0], [60, 10]]))
    assert spans(two) == [[-60, -5, -50, 5], [50, -5, 60, 5]]
    far = [feature([[x, 0], [x + 10, 0], [x + 10, 10]]) for x in (0, 50, 100, 90_000)]  # the middle is empty
    assert read(tmp_path, *far).account.in_frame == 3


def test_the_array_as_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path, *in_degrees())
    for wanted, spanned in (
        (Wanted(bearing_deg=0), [0, -70, 10, -60]),
        (Wanted(latitude_deg=50, longitude_deg=AT[0] + 20 / EAST_M), [40, 0, 50, 10]),
        (Wanted(latitude_deg=50, longitude_deg=AT[0] + 20 / EAST_M, bearing_deg=180), [-10, 40, 0, 50]),
    ):
        assert spans(surroundings_from(file, wanted=wanted))[0] == pytest.approx(spanned, abs=0.01)
    metres = written(tmp_path, feature(), units="m", name="metres.geojson")
    assert spans(surroundings_from(metres, wanted=Wanted(east_m=10, north_m=-5))) == [[10, 5, 20, 15]]
    for name, wanted, message in (
        (file, Wanted(latitude_deg=50), "needs both array_latitude_deg and array_longitude_deg"),
        (file, Wanted(east_m=1, north_m=1), "holds WGS84: give array_latitude_deg"),
        (metres, Wanted(latitude_deg=50, longitude_deg=10), "does not say where on Earth: give array_east_m"),
        (file, Wanted(latitude_deg=51, longitude_deg=10), r"0 of 1 buildings in the frame, the nearest 111,2\d\d m"),
    ):
        with pytest.raises(InputError, match=message):
            surroundings_from(name, wanted=wanted)


def test_several_marks_do_not_matter_where_all_is_set(tmp_path: Path) -> None:
    file = written(tmp_path, marked(0, 0, bearing=1), marked(1, 1, bearing=2), feature(), units="m")
    with pytest.raises(InputError, match="or --set its place and bearing"):
        surroundings_from(file, wanted=Wanted(east_m=0, north_m=0))
    assert spans(surroundings_from(file, wanted=Wanted(east_m=0, north_m=0, bearing_deg=90))) == [[20, 0, 30, 10]]


def test_antimeridian(tmp_path: Path) -> None:
    """Before an array at 180° E stands what is at 179.999° W."""
    for at in (180.0, -180.0):
        beyond = [[x - 360 if x > 180 else x, y] for x, y in square(60, 0, at=(180.0, 50.0))]
        across = [[x - 360 if x > 180 else x, y] for x, y in square(-5, 30, at=(180.0, 50.0))]
        place = surroundings_from(written(tmp_path, marked(at, 50, bearing=90), feature(beyond), feature(across)))
        assert spans(place)[0] == pytest.approx([60, 0, 70, 10], abs=0.01)
        assert spans(place)[1] == pytest.approx([-5, 30, 5, 40], abs=0.01)
    both = surroundings_from(
        written(tmp_path, feature(square(30, 0, at=(180, 50))), feature(square(-40, 0, at=(-180, 50))))
    )
    assert both.account.in_frame == 2


def test_latitude_first(tmp_path: Path) -> None:
    """Beyond doubt where a latitude would be above 90°: exchanged, and said. Else the empty frame says it."""
    at = (120.0, 50.0)
    turned = [feature([[y, x] for x, y in square(60, 0, at=at)]), marked(50, 120, bearing=90)]
    place = surroundings_from(written(tmp_path, *turned))
    assert spans(place)[0] == pytest.approx([60, 0, 70, 10], abs=0.01)
    assert "latitudes come first in this file" in place.account.remarks[0]
    with pytest.raises(InputError, match="the other way round there are some"):
        surroundings_from(written(tmp_path, marked(50, 10, bearing=90), feature(square(60, 0))))


@pytest.mark.parametrize("turn_deg", [0, 10, 30, 45, 70])
def test_latitude_first_where_numbers_do_not_say_so(tmp_path: Path, turn_deg: float) -> None:
    """At 10° E, 50° N: skewed buildings, unless they stand along the axes, tell."""
    turn = np.radians(turn_deg)
    corners = np.array([[0, 0], [12, 0], [12, 7], [0, 7], [0, 0]]) @ [
        [np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]
    ]  # fmt: skip
    rings = [[[AT[0] + (x + a) / EAST_M, AT[1] + a2 / NORTH_M] for a, a2 in corners] for x in (20, 34, 48)]
    right = surroundings_from(written(tmp_path, marked(*AT, bearing=90), *map(feature, rings)))
    assert not any("may come first" in remark for remark in right.account.remarks)
    turned = [feature([[y, x] for x, y in ring]) for ring in rings]
    wrong = surroundings_from(written(tmp_path, marked(AT[1], AT[0], bearing=90), *turned))
    assert any("may come first" in remark for remark in wrong.account.remarks) == (turn_deg != 0)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([feature(height="tall")], "not read: number 2: height = tall"),
        ([feature(BOW, height=3)], r"mended number 2 \(self-intersection\)"),
        ([feature(height=3), feature([[60, 0], [70, 0], [60, 0]], height=3)], "left out number 3"),
        ([feature()], "1 height assumed 6 m"),
    ],
)
def test_strict(tmp_path: Path, features: list[Any], message: str) -> None:
    file = written(tmp_path, ARRAY, *features, units="m")
    surroundings_from(file)
    with pytest.raises(InputError, match=message):
        surroundings_from(file, wanted=Wanted(strict=True))
    alone = written(tmp_path, feature(height=3), units="m")
    with pytest.raises(InputError, match="the array's place: no Point has a bearing"):
        surroundings_from(alone, wanted=Wanted(strict=True))
    surroundings_from(written(tmp_path, ARRAY, feature(height=3), units="m"), wanted=Wanted(strict=True))


@pytest.mark.parametrize(
    ("features", "members", "message"),
    [
        ([], {}, r"no buildings; needed polygons with a 'building' tag or a 'height' \(it has no features\)"),
        ([ARRAY], {}, "no buildings; needed polygons"),
        ([ARRAY, area(natural="wood")], {}, r"no buildings; .*skipped, as no buildings: 1 area"),
        ([feature([["a", 0], [1, 0], [1, 1]], name="hut")], {"units": "m"}, "no buildings; .*hut: its coordinates are"),
        ([ARRAY, feature(BOW[:2] + BOW[:1], name="hut")], {"units": "m"}, "left out: hut: a ring of fewer"),
        ([ARRAY, feature([[-5, -5], [5, -5], [5, 5], [-5, 5]])], {"units": "m"}, "number 2 holds the array"),
        ([ARRAY, feature([[200, 0], [230, 0], [230, 100]])], {}, "is no longitude and latitude, and the file names no"),
        ([ARRAY, feature([[900, 0], [930, 0], [930, 9]])], {"units": "m"}, "no building within 200 m .* 915 m away"),
        ([marked(0, 0, bearing=1), marked(1, 1, bearing=2), feature()], {"units": "m"}, "2 Points have a 'bearing'"),
        ([marked(float("nan"), 0, bearing=1), feature()], {"units": "m"}, "Point is at .nan, 0.: needed numbers"),
        ([marked("a", 0, bearing=1), feature()], {"units": "m"}, "the array's Point is at .*: needed numbers"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_nonsense_is_one_line(tmp_path: Path, features: list[Any], members: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        surroundings_from(written(tmp_path, *features, **members))
    assert re.search(message, str(raised.value))
    assert "\n" not in str(raised.value)
    assert "units" not in str(raised.value)


def test_an_array_on_a_wall(tmp_path: Path) -> None:
    """It may hang there, and look away from the building."""
    place = read(tmp_path, ARRAY, feature([[-10, -20], [0, -20], [0, 20], [-10, 20]]))
    assert spans(place) == [[-10, -20, 0, 20]]


def test_odd_features_do_not_refuse_the_city(tmp_path: Path) -> None:
    odd = [
        feature() | {"properties": [1]}, feature() | {"geometry": {"type": "Polygon"}}, 3, None, {"type": "Feature"},
        *(feature() | {"geometry": {"type": "Polygon", "coordinates": given}} for given in ([], [[]], [[1, 2]], "x")),
        feature([[20, None], [30, 0], [30, 10]]), feature(["a", "b", "c"]), feature([[1], [2], [3]]),
    ]  # fmt: skip
    place = read(tmp_path, ARRAY, feature(height=5), *odd)  # type: ignore[arg-type]
    assert [building.height_m for building in place.buildings] == [5]
    assert len(place.account.left_out) >= 3
    assert any("could not be read" in remark for remark in place.account.remarks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no GeoJSON"), ("[]", "is no GeoJSON"), ('{"type": "Polygon"}', "is no GeoJSON"),
        ('{"type": "FeatureCollection", "features": [3]}', "is no GeoJSON"), ("", "is no GeoJSON"),
        ("<osm/>", "it is XML"), ('{"type": "Topology"}', "it is TopoJSON"), ('{"elements": []}', "it is Overpass"),
        ('{"features": [{"attributes": {}}]}', "it is Esri's JSON"), ('{"a": 1}', "needed a FeatureCollection"),
        ("[" * 100_000, "is no GeoJSON"), ("id,wkt\n1,POLYGON((0 0,1 0,1 1,0 0))", "a table with WKT"),
    ],
)  # fmt: skip
def test_files_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.geojson").write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        surroundings_from(tmp_path / "x.geojson")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="/dev/full is a device, which may go on for ever: give a file"):
        surroundings_from(Path("/dev/full"))  # zeros without end
    with pytest.raises(InputError, match="cannot read .*: No such file"):
        surroundings_from(tmp_path / "y.geojson")


def test_two_places_are_the_same_whatever_was_said(tmp_path: Path) -> None:
    """The account is no part of a place: not of its hash, nor of what stores write of it."""
    place = read(tmp_path, ARRAY, feature(height=5), area(landuse="grass"))
    again = Surroundings.model_validate_json(place.model_dump_json())
    assert place.account.text()
    assert again.account.text() == ""
    assert again == place
    assert hash(again) == hash(place)
    assert "base_m" not in place.model_dump_json()


def test_damaged_files_are_places_or_one_line(tmp_path: Path) -> None:
    """Any value of a file exchanged for nonsense: no traceback, no warning, and what is read has faces."""
    nonsense: list[Any] = [
        None, "", False, True, 0, -1, 1e9, "x", "12,5", "3;4", [], {}, [1, 2], float("nan"), "40'", {"a": 1}, 10**400,
    ]  # fmt: skip
    whole = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "EPSG:4326"}},
        "features": [*in_degrees(min_height=2), feature(square(80, 0), square(82, 2, 3)), feature(square(-90, 20))],
    }
    random, read_ones, lines = np.random.default_rng(0), 0, set[int]()
    for _ in range(300):
        changed = json.loads(json.dumps(whole))
        for _ in range(random.integers(1, 4)):
            at = [path for path in _nodes(changed) if path]
            *way, last = at[random.integers(len(at))]
            inner = changed
            for key in way:
                inner = inner[key]
            inner[last] = json.loads(json.dumps(nonsense[random.integers(len(nonsense))]))
        (tmp_path / "x.geojson").write_text(json.dumps(changed))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                faces_of(surroundings_from(tmp_path / "x.geojson"))
                read_ones += 1
            except InputError as error:
                lines.add(str(error).count("\n"))
    assert lines == {0}
    assert 50 < read_ones < 300


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _nodes(inner, (*path, key))
