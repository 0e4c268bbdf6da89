"""Figures into files. Matplotlib is imported when one is drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import InputError


def write_figure(figure: Callable[[], Any], outputs: list[Path]) -> None:
    """Draw a figure into every file, in the format of its ending. It is laid out once, for the first of them."""
    for output in outputs:
        if output.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"output: given {str(output)!r}, needed a file ending in .png, .svg or .pdf")
    require_matplotlib()
    drawn = figure()
    for output in outputs:
        try:
            drawn.savefig(output, dpi=200)
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from None
        _freeze(drawn)


def _freeze(figure: Any) -> None:
    """Keep where everything is. Each file would lay it out anew: 0.25 s, to move lines by a point at most."""
    import matplotlib

    with matplotlib.rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
        figure.set_layout_engine(None)


def require_matplotlib() -> None:
    """One line for who lacks the extra, before a long run rather than after it."""
    try:
        import matplotlib
    except ImportError:
        raise InputError("figures need matplotlib: pip install 'nearfield[plot]'") from None
    matplotlib.use("agg")
