"""Coordinates by the name that a file gives: known points, and the same place in several projections."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from channels.map_files import AT, feature, marked, spans, square, written

from engine import InputError
from engine.channels.geojson import surroundings_from
from engine.channels.places import utm
from engine.channels.places.crs import LONGITUDE_LATITUDE, coordinates_of
from engine.channels.places.where import Wanted

MERCATOR = coordinates_of("EPSG:3857")


@pytest.mark.parametrize(
    ("epsg", "place", "projected"),
    [  # by PROJ 9.5.1, but for the last but one, which is the definition
        (32631, (2.2945, 48.8583), (448_251.898, 5_411_943.794)),
        (32618, (-77.0353, 38.8895), (323_478.063, 4_306_483.242)),
        (32756, (151.2153, -33.8562), (334_899.415, 6_252_355.290)),
        (32733, (18.4232, -33.9253), (816_473.071, 6_240_846.394)),
        (25832, (9.0, 0.0), (500_000.0, 0.0)),
        (3857, (-77.0353, 38.8895), (-8_575_530.369, 4_705_855.733)),
    ],
)
def test_known_points(epsg: int, place: tuple[float, float], projected: tuple[float, float]) -> None:
    coordinates = coordinates_of(f"urn:ogc:def:crs:EPSG::{epsg}")
    forward, back = coordinates.from_geographic, coordinates.to_geographic
    assert forward
    assert back
    assert np.array(forward(*place)) == pytest.approx(np.array(projected), abs=2e-3)
    assert np.array(back(*forward(*place))) == pytest.approx(np.array(place), abs=1e-9)


def test_utm_is_what_pyproj_says() -> None:
    pyproj = pytest.importorskip("pyproj")
    random = np.random.default_rng(1)
    for number, is_south in ((1, False), (32, False), (56, True), (60, True)):
        zone = utm.Zone(number, is_south)
        longitude = zone.meridian_deg + random.uniform(-4, 4, 200)
        latitude = random.uniform(-80, 84, 200)
        theirs = pyproj.Transformer.from_crs(4326, (32700 if is_south else 32600) + number, always_xy=True)
        assert np.array(zone.from_geographic(longitude, latitude)) == pytest.approx(
            np.array(theirs.transform(longitude, latitude)), abs=1e-5
        )


def test_utm_by_integrating_the_meridian() -> None:
    """On the central meridian north is 0.9996 times the arc of the ellipse, which a sum over small steps gives."""
    a, f = 6_378_137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    steps = np.linspace(0, math.radians(50), 200_001)
    curvature = a * (1 - e2) / (1 - e2 * np.sin(steps) ** 2) ** 1.5
    arc_m = np.sum((curvature[1:] + curvature[:-1]) / 2) * (steps[1] - steps[0])
    east, north = utm.Zone(32, False).from_geographic(9.0, 50.0)
    assert (float(east), float(north)) == pytest.approx((500_000, 0.9996 * arc_m), abs=1e-3)


@pytest.mark.parametrize(
    "name",
    [None, "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326",
     "http://www.opengis.net/def/crs/OGC/1.3/CRS84", "EPSG:4258", "WGS 84", 4326],
)  # fmt: skip
def test_names_of_longitude_and_latitude(name: Any) -> None:
    assert coordinates_of(str(name) if name else name) is LONGITUDE_LATITUDE
    assert coordinates_of({"type": "name", "properties": {"name": str(name)}} if name else None) is LONGITUDE_LATITUDE


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}},
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG:9.0:25832"}},
        {"type": "name", "properties": {"name": "epsg:32632"}},
        {"type": "EPSG", "properties": {"code": 32632}},
        {"type": "link", "properties": {"href": "http://www.opengis.net/def/crs/EPSG/0/32632", "type": "ogcwkt"}},
        "EPSG:32632",
    ],
)
def test_metres_as_their_crs_says(tmp_path: Path, crs: Any) -> None:
    ring = [[571726, 5539109], [571736, 5539109], [571736, 5539119], [571726, 5539119]]
    place = surroundings_from(written(tmp_path, marked(571666, 5539109, bearing=90), feature(ring), crs=crs))
    assert spans(place) == [[60, 0, 70, 10]]
    assert "metres as they stand; their north is 0.77° clockwise of true north" in place.account.remarks[0]
    assert place.account.array.startswith("49.99999° N 9.99999° E")


def test_mercator_is_undone(tmp_path: Path) -> None:
    """What is 60 m away is 60 m away, though the file's metres are 1.55 of them."""
    forward = MERCATOR.from_geographic
    assert forward
    point = [float(part) for part in forward(*AT)]
    ring = np.stack(forward(*np.array(square(60, 0)).T), axis=-1).tolist()
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    for at in (point, [point[0] + 5, point[1]]):
        place = surroundings_from(written(tmp_path, marked(*at, bearing=90), feature(ring), crs=crs))
        moved = (at[0] - point[0]) * math.cos(math.radians(50)) * 1.00196  # of the ellipsoid's radius across
        assert spans(place)[0] == pytest.approx([60 - moved, 0, 70 - moved, 10], abs=0.02)
    place = surroundings_from(
        written(tmp_path, feature(ring), crs=crs), wanted=Wanted(latitude_deg=50, longitude_deg=10, bearing_deg=90)
    )
    assert spans(place)[0] == pytest.approx([60, 0, 70, 10], abs=0.02)


@pytest.mark.parametrize("epsg", [2154, 27700, 2263, 31468, 32632, 25833, 3035])
def test_any_projection_gives_the_same_place(tmp_path: Path, epsg: int) -> None:
    """Of a building 60 m away: within the projection's own scale, and turned by no more than its north is."""
    pyproj = pytest.importorskip("pyproj")
    at = {2154: (2.35, 48.85), 27700: (-0.1, 51.5), 2263: (-74.0, 40.7)}.get(epsg, (10.5, 50.0))
    to = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    there = np.array(square(60, 0, at=at)).T
    ring = np.stack(to.transform(*there), axis=-1).tolist()
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    place = surroundings_from(written(tmp_path, marked(*to.transform(*at), bearing=90), feature(ring), crs=crs))
    true = surroundings_from(
        written(tmp_path, marked(*at, bearing=90), feature(square(60, 0, at=at)), name="true.geojson")
    )
    ours, theirs = (np.array(one.buildings[0].footprint) @ [1, 1j] for one in (place, true))
    assert np.abs(ours) == pytest.approx(np.abs(theirs), rel=2e-3)
    turned_deg = np.degrees(np.angle(ours / theirs))
    said = [float(text.split("north is ")[1].split("°")[0]) for text in place.account.remarks if "north is" in text]
    assert np.abs(turned_deg) == pytest.approx(np.full(4, said[0] if said else 0.0), abs=0.02)


def test_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyproj", None)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    file = written(tmp_path, marked(0, 0, bearing=90), feature(), crs=crs)
    with pytest.raises(InputError, match=r"EPSG::2154, which needs pyproj: pip install 'nearfield\[places\]'"):
        surroundings_from(file)


@pytest.mark.parametrize("name", ["EPSG:999999", "EPSG:4978", "urn:of:nobody", "local"])
def test_none_that_is_known(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyproj")
    file = written(tmp_path, feature(), crs={"type": "name", "properties": {"name": name}})
    with pytest.raises(InputError, match=f"its crs is {name}") as raised:
        surroundings_from(file)
    assert "units" not in str(raised.value)


def test_said_by_the_user(tmp_path: Path) -> None:
    ring = [[571726, 5539109], [571736, 5539109], [571736, 5539119], [571726, 5539119]]
    file = written(tmp_path, marked(571666, 5539109, bearing=90), feature(ring))
    with pytest.raises(InputError, match="the file names no crs; export it in WGS84"):
        surroundings_from(file)
    assert spans(surroundings_from(file, wanted=Wanted(crs="EPSG:32632"))) == [[60, 0, 70, 10]]
    moved = surroundings_from(file, wanted=Wanted(crs="EPSG:32632", east_m=571676, north_m=5539109))
    assert spans(moved) == [[50, 0, 60, 10]]


def table(path: Path, layers: dict[str, Any], crs: str | None = "EPSG:4326") -> None:
    shapely, pyogrio = pytest.importorskip("shapely"), pytest.importorskip("pyogrio")
    for layer, features in layers.items():
        shapes = [shapely.from_geojson(json.dumps(one["geometry"])) for one in features]
        names = sorted({name for one in features for name in one["properties"]})
        columns = [np.array([one["properties"].get(name) for one in features], dtype=object) for name in names]
        pyogrio.raw.write(
            path, shapely.to_wkb(shapes), columns, names, layer=layer, geometry_type=shapes[0].geom_type, crs=crs
        )


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "fgb"])
def test_tables_by_gdal(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"place.{suffix}"
    building = feature(square(60, 0), square(62, 2, 3), building_l="4")  # ten characters are all that .dbf has
    layers = {"buildings": [building, feature(square(80, 0), height=None)]}
    if suffix == "gpkg":
        layers["points"] = [marked(*AT, bearing="90")]
    table(file, layers)
    wanted = Wanted() if suffix == "gpkg" else Wanted(latitude_deg=50, longitude_deg=10)
    place = surroundings_from(file, wanted=wanted)
    assert sorted(spans(place))[0] == pytest.approx([60, 0, 70, 10], abs=0.01)
    assert sorted((one.height_m, len(one.holes)) for one in place.buildings) == [(6, 0), (12, 1)]


def test_a_projected_table(tmp_path: Path) -> None:
    ring = [[571726, 5539109], [571736, 5539109], [571736, 5539119], [571726, 5539119], [571726, 5539109]]
    table(tmp_path / "a.gpkg", {"a": [feature(ring, height="9")]}, "EPSG:25832")
    place = surroundings_from(tmp_path / "a.gpkg", wanted=Wanted(east_m=571666, north_m=5539109))
    assert spans(place) == [[60, 0, 70, 10]]


def test_geoparquet(tmp_path: Path) -> None:
    shapely, pyarrow = pytest.importorskip("shapely"), pytest.importorskip("pyarrow")
    from pyarrow import parquet

    shapes = [shapely.to_wkb(shapely.Polygon(square(60 + 20 * i, 0))) for i in range(3)]
    columns = {"id": ["a", "b", "c"], "height": [7.5, None, None], "num_floors": [None, 3, None], "geometry": shapes}
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    written_table = pyarrow.table(columns).replace_schema_metadata({"geo": json.dumps(about)})
    parquet.write_table(written_table, tmp_path / "place.parquet")
    place = surroundings_from(tmp_path / "place.parquet", wanted=Wanted(latitude_deg=50, longitude_deg=10))
    assert [building.height_m for building in place.buildings] == [7.5, 9, 6]
    assert spans(place)[2] == pytest.approx([100, 0, 110, 10], abs=0.01)


@pytest.mark.parametrize(("suffix", "package"), [("gpkg", "pyogrio"), ("shp", "pyogrio"), ("parquet", "pyarrow")])
def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"x.{suffix}").write_bytes(b"")
    with pytest.raises(InputError, match=rf"needs? {package}: pip install 'nearfield\[places\]'"):
        surroundings_from(tmp_path / f"x.{suffix}")


def test_damaged_tables(tmp_path: Path) -> None:
    pytest.importorskip("pyogrio")
    for suffix in ("gpkg", "shp", "parquet"):
        (tmp_path / f"x.{suffix}").write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match="cannot read") as raised:
            surroundings_from(tmp_path / f"x.{suffix}")
        assert "\n" not in str(raised.value)
