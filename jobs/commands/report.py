"""One page about one or more stores, to read on a phone, to print, to hand on.

nearfield report fig1.zarr -o report.html
nearfield report fig1.zarr fig3.zarr -o report.html
"""

from pathlib import Path
from typing import Annotated

import typer

from engine import InputError
from jobs.cli import completion
from jobs.show.drawing import require_matplotlib
from jobs.show.page import render
from jobs.show.section import section


def command(
    stores: Annotated[
        list[str],
        typer.Argument(metavar="STORE…", help="Result stores.", show_default=False, autocompletion=completion.stores),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="An .html file.")] = Path(
        "report.html"
    ),
) -> None:
    """What was run, how far it is, figures, tables with intervals, claims and provenance, in one file without links."""
    if output.suffix not in (".html", ".htm"):
        raise InputError(f"output: given {str(output)!r}, needed a file ending in .html")
    require_matplotlib()
    page = render([section(store) for store in stores])
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from None
    print(f"written: {output}")
