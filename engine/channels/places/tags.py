"""What a map says of a feature, in the words of OpenStreetMap, Overture and GDAL alike.

Absent, null, "" and false are one thing. Keys are lower case with _ for :, as shapefiles and Overture have them.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

Kind = Literal["building", "part", "underground", "no building"]

_NOTHING = {"", "null", "none", "nan", "<na>", "undefined", "false"}
_NO_BUILDING = {"no", "0", "demolished", "razed", "destroyed", "removed", "proposed", "planned"}
_TEXTS_OF_TAGS = ("other_tags", "tags", "all_tags")  # GDAL; osmtogeojson, osmnx; osm2pgsql
_HSTORE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*=>\s*(?:"((?:[^"\\]|\\.)*)"|NULL)')
_ESCAPED = re.compile(r"\\(.)")
_OTHER_KINDS = frozenset({
    "admin_level", "aeroway", "amenity", "area_highway", "barrier", "boundary", "golf", "highway", "landcover",
    "landuse", "leisure", "man_made", "natural", "place", "playground", "power", "public_transport", "railway", "route",
    "sport", "surface", "tourism", "water", "waterway", "wetland",
})  # fmt: skip
_SHORTENED = {"building_l": "building_levels", "building_p": "building_part"}  # ten characters, all that .dbf has
_HEIGHTS = ("height", "building_height", "est_height", "building_levels", "levels", "num_floors")


def tags_of(properties: Any) -> dict[str, Any]:
    """The tags of a feature that say something; those in a text, as GDAL writes them, where no column has them."""
    found: dict[str, Any] = {}
    if not isinstance(properties, Mapping):
        return found
    texts = []
    for key, value in properties.items():
        if _says_nothing(value):
            continue
        name = key.strip().lower().replace(":", "_")
        if name in _TEXTS_OF_TAGS and isinstance(value, str | Mapping):
            texts.append(value)
        else:
            found.setdefault(_SHORTENED.get(name, name), value)
    for text in texts:
        for key, value in _tags_in(text):
            if not _says_nothing(value):
                found.setdefault(key.strip().lower().replace(":", "_"), value)
    return found


def _says_nothing(value: Any) -> bool:
    if value is None or value is False:
        return True
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING
    return isinstance(value, float) and math.isnan(value)


def _tags_in(text: Any) -> Iterator[tuple[str, Any]]:
    """Of a mapping, of JSON, or of hstore: "height"=>"30","name"=>"a \\"b\\"".

    >>> dict(_tags_in('"height"=>"30","note"=>NULL'))
    {'height': '30', 'note': ''}
    """
    if isinstance(text, Mapping):
        yield from text.items()
    elif text.lstrip().startswith("{"):
        try:
            yield from json.loads(text).items()
        except (ValueError, RecursionError):
            return
    else:
        for key, value in _HSTORE.findall(text):
            yield _ESCAPED.sub(r"\1", key), _ESCAPED.sub(r"\1", value)


def word(tags: Mapping[str, Any], key: str) -> str:
    """A tag's value in lower case, empty where there is none."""
    return str(tags.get(key, "")).strip().lower()


def names_a_building(tags: Mapping[str, Any]) -> bool:
    """Whether a feature says by its tags that it is a building, or a part of one."""
    return "building" in tags or "building_part" in tags


def kind_of(tags: Mapping[str, Any], file_has_buildings: bool) -> Kind:
    """What an area is. Where no feature of a file has a `building` tag it is a file of footprints, and each is one."""
    building, part = word(tags, "building"), word(tags, "building_part")
    if part and part not in _NO_BUILDING:
        kind: Kind = "part"
    elif building:
        kind = "no building" if building in _NO_BUILDING else "building"
    elif "building" in tags or part or tags.keys() & _OTHER_KINDS:
        kind = "no building"
    else:
        kind = "building" if not file_has_buildings or any(key in tags for key in _HEIGHTS) else "no building"
    return "underground" if kind != "no building" and _is_underground(tags) else kind


def _is_underground(tags: Mapping[str, Any]) -> bool:
    layer = word(tags, "layer")
    return (
        word(tags, "location") == "underground"
        or word(tags, "is_underground") in ("true", "1", "yes")
        or (layer.startswith("-") and layer[1:].replace(".", "").isdigit())
    )
