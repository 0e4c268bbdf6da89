"""The page of a report: sections into one file without links."""

import base64
import hashlib
from pathlib import Path

from engine import InputError, provenance
from jobs.show.section import Section

_TEMPLATES = Path(__file__).parent / "templates"


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
