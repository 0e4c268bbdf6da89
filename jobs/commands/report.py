"""One page about one or more stores, to read on a phone, to print, to hand on.

nearfield report fig1.zarr -o report.html
nearfield report fig1.zarr fig3.zarr -o report.html
"""

import base64
import hashlib
from pathlib import Path
from typing import Annotated

import typer

from engine import InputError, provenance
from jobs.commands.plot import require_matplotlib
from jobs.show.section import Section, section

_TEMPLATES = Path(__file__).parent / "templates"


def command(
    stores: Annotated[list[str], typer.Argument(metavar="STORE…", help="Result stores.", show_default=False)],
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


def render(sections: list[Section]) -> str:
    """The page. What comes from stores is escaped, and the page forbids its reader to load or run anything."""
    try:
        import jinja2
    except ImportError:
        raise InputError("reports need jinja2: pip install 'nearfield[plot]'") from None
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        sections=sections,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        written=provenance.now(),
        version=provenance.versions()["nearfield"],
        commit=provenance.commit()[:12],
    )
