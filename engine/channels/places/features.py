"""The features of a map file, whatever its format: GeoJSON in the forms it is found in, tables by libraries.

GeoJSON: collections within collections, single features and geometries, one a line (with or without RFC 8142's record
separators), gzip, byte-order marks, UTF-16. GeoPackage, shapefile, FlatGeobuf and whatever else GDAL knows by pyogrio,
GeoParquet by pyarrow: extras.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.channels.places.account import counted
from engine.channels.places.records import Feature, Map
from engine.errors import InputError

_GEOMETRIES = {
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection",
}  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_BETWEEN = re.compile(r"[\s\x1e,]*")
_CREDITS = ("attribution", "copyright", "license", "licence")
_TABLES = {".gpkg", ".shp", ".fgb", ".gml", ".kml", ".kmz", ".pbf", ".osm", ".zip", ".tab", ".geoparquet", ".parquet"}
SUFFIXES = ("json", "geojson", "geojsonl", "geojsons", "geojsonseq", "jsonl", "ndjson", "gz", *(s[1:] for s in _TABLES))


def map_from(path: Path) -> Map:
    """Reads a file. InputError, in one line, for one that cannot be read or holds no features."""
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        from engine.channels.places.tables import from_parquet

        return from_parquet(path)
    try:
        if path.is_dir() or (path.suffix.lower() in _TABLES and path.exists()):
            from engine.channels.places.tables import from_gdal

            return from_gdal(path)
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"{path} is a device, which may go on for ever: give a file")
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} is a damaged gzip file: {error}") from None
    found = Map()
    text = _decoded(data, found)
    del data
    if not text.strip():
        raise InputError(f"{path} is no GeoJSON: it is empty")
    for value in _values(text, path, found):
        _add(value, found, path)
    if not found.features and found.unreadable:
        raise InputError(f"{path} is no GeoJSON: {counted(found.unreadable, 'feature')} without type and coordinates")
    return found


def _decoded(data: bytes, found: Map) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if data[:1] in (b"{", b"[") and data[1:2] == b"\0":
        return data.decode("utf-16-le", errors="replace")
    if data[:2] in (b"\0{", b"\0["):
        return data.decode("utf-16-be", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        found.remarks.append("the file is not UTF-8, and was read as Windows-1252")
        return data.decode("cp1252", errors="replace")


def _values(text: str, path: Path, found: Map) -> Iterator[Any]:
    """Every JSON value of a text: one, or one after the other."""
    try:
        yield json.loads(text)
        return
    except RecursionError:
        raise InputError(f"{path} is no GeoJSON: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        first_error = error
    decoder, at, number = json.JSONDecoder(), 0, 0
    while (at := _BETWEEN.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        try:
            value, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            if not number:
                raise InputError(f"{path} is no GeoJSON: {_what_it_is(text) or first_error}") from None
            found.unreadable += 1
            at = _next_record(text, at)
            continue
        number += 1
        yield value


def _next_record(text: str, at: int) -> int:
    ends = [end for end in (text.find("\n", at), text.find("\x1e", at)) if end >= 0]
    return min(ends, default=len(text))


def _what_it_is(text: str) -> str:
    """Another format, by how it begins."""
    start = text.lstrip()[:500]
    if start.startswith("<"):
        return "it is XML (OSM, KML, GML); convert it, as osmtogeojson or ogr2ogr -f GeoJSON do"
    if "wkt" in start.lower().partition("\n")[0] or re.match(r"(MULTI)?POLYGON", start):
        return "it is a table with WKT; convert it, as ogr2ogr -f GeoJSON does"
    return ""


def _add(value: Any, found: Map, path: Path, *, nested: bool = False) -> None:
    """A JSON value's features."""
    if isinstance(value, list) and value and not nested:
        for one in value:
            _add(one, found, path, nested=True)
        return
    kind = value.get("type") if isinstance(value, dict) else None
    kind = kind if isinstance(kind, str) else None
    if kind == "FeatureCollection":
        _add_collection(value, found, path)
    elif kind == "Feature" or kind in _GEOMETRIES:
        _add_feature(value if kind == "Feature" else {"geometry": value}, found)
    elif nested:
        found.unreadable += 1
    else:
        raise InputError(f"{path} is no GeoJSON: {_foreign(value)}")


def _add_collection(value: dict[str, Any], found: Map, path: Path) -> None:
    crs = value.get("crs") or value.get("coordRefSys")
    if crs is not None and found.crs is not None and crs != found.crs:
        raise InputError(f"{path} holds collections of several crs: convert them to one")
    found.crs = found.crs if crs is None else crs
    found.in_metres = found.in_metres or str(value.get("units", "")).lower() in ("m", "metre", "metres", "meters")
    found.remarks += [f"{name}: {value[name]:.200}" for name in _CREDITS if isinstance(value.get(name), str)]
    features = value.get("features")
    for one in features if isinstance(features, list) else ():
        _add(one, found, path, nested=True)


def _foreign(value: Any) -> str:
    if isinstance(value, dict):
        if value.get("type") == "Topology":
            return "it is TopoJSON; convert it with topojson-client's topo2geo"
        if isinstance(value.get("elements"), list):
            return "it is Overpass' own JSON; convert it with osmtogeojson, or export GeoJSON from overpass-turbo"
        if isinstance(value.get("features"), list):
            return "it is Esri's JSON; ask the server for f=geojson, or convert it with ogr2ogr -f GeoJSON"
        if value.get("type") == "CityJSON":
            return "it is CityJSON; export footprints with a height"
    return "needed a FeatureCollection"


def _add_feature(value: dict[str, Any], found: Map) -> None:
    properties = value.get("properties")
    feature = Feature(_identity(value, properties, len(found.features) + found.unreadable + 1), properties, [], [], [])
    geometry = value.get("geometry")
    if geometry is not None and not _spread(geometry, feature):
        found.unreadable += 1
        return
    found.crs = value.get("crs") if found.crs is None else found.crs
    found.in_metres = found.in_metres or value.get("units") == "m"
    found.features.append(feature)


def _identity(value: dict[str, Any], properties: Any, number: int) -> str:
    said = properties if isinstance(properties, dict) else {}
    names = (
        said.get("name"),
        value.get("id"),
        said.get("@id"),
        said.get("osm_id"),
        said.get("osm_way_id"),
        said.get("id"),
    )
    return str(next((name for name in names if name not in (None, "", False)), f"number {number}"))[:80]


def _spread(geometry: Any, feature: Feature) -> bool:
    """Adds the geometry's parts to a feature; whether it is one at all."""
    if not isinstance(geometry, dict):
        return False
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        parts = geometry.get("geometries")
        if not isinstance(parts, list):
            return False
        read = [_spread(part, feature) for part in parts]  # all of them: one that is none does not hide another
        return any(read) or not read
    coordinates = geometry.get("coordinates")
    if not isinstance(kind, str) or kind not in _GEOMETRIES or not isinstance(coordinates, list | tuple):
        return False
    parts = list(coordinates) if kind.startswith("Multi") else [coordinates]
    parts = [part for part in parts if isinstance(part, list | tuple) and part]
    {"Polygon": feature.polygons, "Point": feature.points, "LineString": feature.lines}[
        kind.removeprefix("Multi")
    ].extend(parts)
    return bool(parts) or not coordinates
