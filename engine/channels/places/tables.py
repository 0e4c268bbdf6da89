"""Maps in tables: GeoPackage, shapefile and FlatGeobuf by pyogrio, GeoParquet by pyarrow. Both are extras."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from engine.channels.places.records import Feature, Map
from engine.channels.surroundings import require_shapely
from engine.errors import InputError

_OF_USE = ("Polygon", "Point", "LineString", "GeometryCollection", "Unknown", "Curve", "Surface")


def from_gdal(path: Path) -> Map:
    """Every layer of a file that GDAL knows, all in one crs."""
    try:
        import pyogrio
        from pyogrio.errors import DataLayerError, DataSourceError
    except ImportError:
        raise InputError(f"{path} is no GeoJSON; others need pyogrio: pip install 'nearfield[places]'") from None
    found = Map()
    try:
        for layer, kind in pyogrio.list_layers(path):
            if kind is None or not any(word in kind for word in _OF_USE):
                continue
            meta, fids, shapes, columns = pyogrio.raw.read(path, layer=layer, return_fids=True)
            _require_one_crs(found, meta["crs"], path)
            rows = dict(zip(map(str, meta["fields"]), columns, strict=True))
            _add_rows(found, shapes, rows, [f"{layer} {fid}" for fid in fids])
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split()):.200}") from None
    return found


def from_parquet(path: Path) -> Map:
    """GeoParquet, whose geometry is WKB."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(f"{path} needs pyarrow: pip install 'nearfield[places]', or write GeoJSON") from None
    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error!s:.200}") from None
    said = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    name = said.get("primary_column", "geometry")
    if name not in table.column_names:
        raise InputError(f"{path} has no column of geometries: needed GeoParquet")
    about = said.get("columns", {}).get(name, {})
    if about.get("encoding", "WKB") != "WKB":
        raise InputError(f"{path} has geometries as {about['encoding']}: needed WKB")
    found = Map()
    _require_one_crs(found, _code(about["crs"]) if about.get("crs") else "OGC:CRS84", path)
    rows = {other: table[other].to_pylist() for other in table.column_names if other not in (name, "bbox")}
    shapes = np.array(table[name].to_pylist(), dtype=object)
    _add_rows(found, shapes, rows, [f"row {i}" for i in range(1, len(shapes) + 1)])
    return found


def _code(projjson: Any) -> str:
    """EPSG:32632 of PROJ's JSON, or all of it for pyproj."""
    known = projjson.get("id") if isinstance(projjson, dict) else None
    return f"{known['authority']}:{known['code']}" if known else json.dumps(projjson)


def _require_one_crs(found: Map, crs: Any, path: Path) -> None:
    if found.crs is not None and found.crs != crs:
        raise InputError(
            f"{path} has layers of several crs, {found.crs:.40} and {crs or 'none':.40}: convert them to one"
        )
    found.crs = crs


def _add_rows(found: Map, shapes: Any, rows: dict[str, Any], names: list[str]) -> None:
    shapely = require_shapely()
    for i, shape in enumerate(shapely.from_wkb(shapes, on_invalid="ignore")):
        properties = {name: _plain(values[i]) for name, values in rows.items()}
        said = properties.get("name") or properties.get("id") or properties.get("osm_id") or names[i]
        feature = Feature(str(said)[:80], properties, [], [], [])
        if shape is None:
            found.unreadable += 1
            continue
        _spread(shapely, shape, feature)
        found.features.append(feature)


def _spread(shapely: Any, shape: Any, feature: Feature) -> None:
    if shape.geom_type == "Polygon":
        if not shape.is_empty:
            rings = (shape.exterior, *shape.interiors)
            feature.polygons.append([shapely.get_coordinates(ring).tolist() for ring in rings])
    elif shape.geom_type == "Point":
        if not shape.is_empty:
            feature.points.append(shapely.get_coordinates(shape)[0].tolist())
    elif shape.geom_type in ("LineString", "LinearRing"):
        feature.lines.append(shapely.get_coordinates(shape).tolist())
    else:
        for part in shapely.get_parts(shape):
            if part.geom_type != shape.geom_type:
                _spread(shapely, part, feature)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list) and value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
        return dict(value)  # a map of Arrow
    if isinstance(value, dict) and "primary" in value:
        return value["primary"]  # a name of Overture
    return value
