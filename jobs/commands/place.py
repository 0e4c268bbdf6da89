"""Look at a place before anything is computed in it.

nearfield place campus.geojson
nearfield place city.gpkg --latitude 43.0845 --longitude -77.6749 --bearing 90 -o city.svg
nearfield place footprints.geojson --crs EPSG:25832 --strict
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import InputError
from jobs.cli import options
from jobs.show.drawing import require_matplotlib, write_figure


def command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Buildings: GeoJSON, GeoPackage, shapefile, GeoParquet …")
    ],
    latitude: Annotated[float | None, typer.Option(metavar="DEG", help="Where the array stands.")] = None,
    longitude: Annotated[float | None, typer.Option(metavar="DEG", help="Where the array stands.")] = None,
    bearing: Annotated[
        float | None, typer.Option(metavar="DEG", help="Where it faces, from north clockwise; 90 is east.")
    ] = None,
    crs: Annotated[str | None, typer.Option(metavar="EPSG:N", help="Of a file that does not say it.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what is mended, left out or assumed.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", "--plot", metavar="FILE", help="The plan, .png, .svg or .pdf.")
    ] = None,
    clean: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="The clean file, GeoJSON.")] = None,
    set_: options.Settings = [],  # noqa: B006  typer copies it
) -> None:
    """Read buildings from any map: say what was made of it, draw the plan, write a clean file.

    The array is the file's Point with a `bearing`, else it stands where --latitude, --longitude and --bearing say, as
    `--set array_latitude_deg=…` does for sweeps. `--set surroundings=FILE` reads the same way.
    """
    from engine.channels.places.clean import clean_file, north_of
    from engine.channels.places.place import place_from
    from scenarios.multipath import MultipathData
    from scenarios.multipath.plan import plan
    from scenarios.multipath.scene import wanted_of

    asked: dict[str, Any] = {
        "array_latitude_deg": latitude, "array_longitude_deg": longitude, "array_bearing_deg": bearing,
        "place_crs": crs, "place_strict": strict or None,
    }  # fmt: skip
    reading, others = _settings(set_)
    place = place_from(
        file, wanted=wanted_of({name: value for name, value in asked.items() if value is not None} | reading)
    )
    print(place.surroundings.account.text())
    stem = file.name.partition(".")[0]
    written = clean or Path(f"{stem}-place.geojson")
    if written.resolve() == file.resolve():
        raise InputError(f"--write: {written} is the file that is read: choose another")
    try:
        written.write_text(json.dumps(clean_file(place), ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {written}: {error.strerror}") from None
    print(f"written: {written}")
    require_matplotlib()
    picture = output or Path(f"{stem}-place.png")
    scene = MultipathData().replace(**others, surroundings=place.surroundings)
    assumed = frozenset(i for i, prism in enumerate(place.prisms) if prism.heights.source == "assumed")
    write_figure(lambda: plan(scene, north_of(place), assumed), [picture])
    print(f"drawn: {picture}")


def _settings(texts: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Fields that say how the file is read, and others of the scene."""
    from scenarios.multipath.scene import READING

    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise InputError(f"--set: given {text!r}, needed field=value")
        pairs[name.strip()] = value.strip()
    reading = {name: value for name, value in pairs.items() if name in READING}
    return reading, {name: value for name, value in pairs.items() if name not in READING}
