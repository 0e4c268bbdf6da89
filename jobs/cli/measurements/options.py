"""What the command line says about a file of measurements."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine import InputError
from jobs.cli.measurements.geography import place_of
from jobs.cli.measurements.reading import read
from jobs.cli.measurements.record import Measurements
from jobs.cli.measurements.template import TEMPLATE

Columns = Annotated[
    list[str],
    typer.Option(metavar="QUANTITY=HEADING", help="A column, by heading or number: power_dbm='Rx level [dBm]'."),
]
NotHeard = Annotated[
    list[str], typer.Option(metavar="VALUE", help="What stands for a power not heard, in the file's unit: -120.")
]
Array = Annotated[
    str | None,
    typer.Option(metavar="LAT,LON,BEARING", help="The array's place and where it faces, for latitudes and longitudes."),
]
Decimal = Annotated[
    str | None, typer.Option(metavar="SIGN", help="The decimal sign, . or ,; asked for where a file leaves it open.")
]
Template = Annotated[bool, typer.Option("--template", help="Write an example, to FILE or the screen.", is_eager=True)]


def _write_template(context: typer.Context, file: str | None) -> str | None:
    """Eager, and after --template: neither needs the options that are required."""
    if not context.params.get("template"):
        if file is not None:
            raise InputError(f"given {file!r}, needed an option before it: --measurements {file}")
        return file
    if file is None:
        print(TEMPLATE, end="")
        raise typer.Exit
    try:
        with Path(file).open("x", encoding="utf-8") as new:
            new.write(TEMPLATE)
    except FileExistsError:
        raise InputError(f"--template {file}: there is such a file, needed a new name") from None
    except (OSError, ValueError) as error:
        raise InputError(f"--template {file}: cannot write it: {getattr(error, 'strerror', None) or error}") from None
    raise typer.Exit


TemplateFile = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="A new file, with --template.", callback=_write_template, is_eager=True),
]


def read_as_said(
    path: Path,
    column: Sequence[str],
    not_heard: Sequence[str],
    array: str | None,
    decimal: str | None,
    *,
    may_be_negative: bool = False,
) -> Measurements:
    """`read`, with options as they stand on the command line. Raises InputError."""
    columns: dict[str, str] = {}
    for text in column:
        key, equals, heading = (part.strip() for part in text.partition("="))
        if not (key and equals and heading):
            raise InputError(f"--column {text}: needed QUANTITY=HEADING, as power_dbm='Rx level [dBm]'")
        if key in columns:
            raise InputError(f"--column {text}: {key} is given twice")
        columns[key] = heading
    place = None if array is None else place_of(array)
    return read(path, columns, missing=not_heard, place=place, decimal=decimal, may_be_negative=may_be_negative)
