"""Heights by OpenStreetMap's rules, and what stands in files instead."""

from typing import Any

import pytest

from engine.channels.places.heights import count, heights_of, length_m
from engine.channels.places.tags import tags_of


@pytest.mark.parametrize(
    ("value", "metres"),
    [
        (12, 12), (12.5, 12.5), ("12", 12), ("12.5", 12.5), ("12 m", 12), ("12m", 12), ("12.0 M", 12),
        ("12 metres", 12), ("12,5", 12.5), ("12,5 m", 12.5), (".5 m", 0.5), ("12.", 12),
        ("~12", 12), ("ca. 12 m", 12), ("c.12", 12),
        (">12", 12), ("approx 12", 12), ("3;4", 4), ("4; 3 m", 4), ("10-12", 12), ("10 m – 12 m", 12),
        ("40'", 40 * 0.3048), ("40 ft", 40 * 0.3048), ("40feet", 40 * 0.3048), ("12'6\"", 12.5 * 0.3048),
        ("12’ 6”", 12.5 * 0.3048), ("12 ft 6 in", 12.5 * 0.3048), ("6'", 6 * 0.3048), ("120 in", 3.048),
        ("1200 cm", 12), ("0.012 km", 12), ([3, 4], 4), ("-1", -1), ("+5", 5), ("1e1", None), ("tall", None),
        ("", None), (None, None), (True, None), (float("inf"), None), ("12 parsecs", None), ("m", None),
        ("1,2,3", None), ({}, None), ("yes", None),
    ],
)  # fmt: skip
def test_lengths(value: Any, metres: float | None) -> None:
    assert length_m(value) == (None if metres is None else pytest.approx(metres))


@pytest.mark.parametrize("unit", ["", "m", "mt", "mtr", "meter", "meters", "metre", "metres", "M", " m."])
def test_names_of_the_metre(unit: str) -> None:
    assert length_m(f"12{unit}") == 12
    assert length_m("12000 mm") == length_m("1200cm") == 12


@pytest.mark.parametrize(
    ("value", "number"),
    [(4, 4), ("4", 4), ("3;4", 4), ("2.5", 2.5), ("2-3", 3), ("3 floors", 3), ("2 levels", 2), ("1 story", 1),
     ("G+3", None), ("four", None), ("4 m", None)],
)  # fmt: skip
def test_levels(value: Any, number: float | None) -> None:
    assert count(value) == number


@pytest.mark.parametrize(
    ("tags", "top_m", "source"),
    [
        ({"height": 9, "building:levels": 5}, 9, "tagged"),
        ({"building:height": "9 m", "building:levels": 5}, 9, "tagged"),
        ({"height": "", "building:height": 9}, 9, "tagged"),
        ({"height": -1, "num_floors": 2}, 6, "levels"),
        ({"height": 0, "levels": 2}, 6, "levels"),
        ({"height": 5000, "building:levels": 2}, 6, "levels"),
        ({"height": "tall", "building:levels": "2"}, 6, "levels"),
        ({"building:levels": None, "num_floors": 3}, 9, "levels"),
        ({"building:levels": 3, "roof:levels": 1}, 12, "levels"),
        ({"building:levels": 3, "roof:height": "2 m", "roof:levels": 1}, 11, "levels"),
        ({"building:levels": 0, "roof:levels": 1}, 3, "levels"),
        ({"building:levels": 3, "roof:height": 0.5}, 9.5, "levels"),
        ({"building:levels": 3, "roof:levels": 0.5}, 10.5, "levels"),
        ({"building_l": "3"}, 9, "levels"),
        ({"other_tags": '"building:levels"=>"9","height"=>"30"'}, 30, "tagged"),
        ({"height": 7, "other_tags": '"height"=>"30"'}, 7, "tagged"),
        ({"building:levels": 0}, 6, "assumed"),
        ({"building:levels": 3000}, 6, "assumed"),
        ({"height": -1.0}, 6, "assumed"),
        ({}, 6, "assumed"),
        ({"min_height": 8}, 14, "assumed"),
        ({"min_height": 6}, 12, "assumed"),
    ],
)
def test_the_first_that_can_be_read(tags: dict[str, Any], top_m: float, source: str) -> None:
    found = heights_of(tags_of(tags))
    assert (found.top_m, found.source) == (pytest.approx(top_m), source)


def test_what_cannot_be_read_is_named_and_what_is_unknown_is_not() -> None:
    assert heights_of({"height": "tall", "building_levels": "many"}).unread == (
        "height = tall",
        "building_levels = many",
    )
    for nothing in (-1, 0, "0", -99, -999, -9999):
        assert heights_of({"height": nothing}).unread == ()
    assert heights_of({"height": 5, "min_height": 7}).unread == ("min_height = 7 m under a top at 5 m",)
    assert heights_of({"height": 5, "roof_shape": "gabled"}).flattened
    assert not heights_of({"height": 5, "roof_shape": "flat"}).flattened


@pytest.mark.parametrize(
    ("tags", "base_m"),
    [
        ({"height": 6, "min_height": "4 m"}, 4), ({"height": 6, "min_height": "13'1.48\""}, 4),
        ({"building:levels": 5, "building:min_level": 2}, 6), ({"height": 6, "building": "roof"}, 5.5),
        ({"height": 6, "min_height": -1}, 0), ({"height": 6, "min_height": None}, 0), ({"height": 6}, 0),
        ({"num_floors": 5, "min_floor": 1}, 3),
        ({"height": 6, "building:min_level": 0.5}, 1.5), ({"height": 6, "min_height": 3, "building": "roof"}, 3),
    ],
)  # fmt: skip
def test_where_it_begins(tags: dict[str, Any], base_m: float) -> None:
    assert heights_of(tags_of(tags)).base_m == pytest.approx(base_m, abs=1e-3)
