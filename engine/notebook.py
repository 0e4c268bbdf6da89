"""Progress of a run in a notebook: a bar in the cell's output, which changes as tasks are done."""

import html
import sys
import time
from collections.abc import Iterable, Iterator

from engine.execution.driver import Progress
from engine.sweep import Sweep

_UPDATE_SECONDS = 0.25


def is_notebook() -> bool:
    """Whether a kernel shows what this process displays: in Jupyter, not in a terminal's IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def shown(reports: Iterable[Progress], sweep: Sweep) -> Iterator[Progress]:
    """The reports, each of them shown as it comes, but no more than a few in a second; the last one always."""
    from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

    name = sweep.name or type(sweep.scenario).__name__
    bar, updated = display(Bar(name), display_id=True), -_UPDATE_SECONDS
    report = None
    try:
        for report in reports:
            if time.monotonic() - updated >= _UPDATE_SECONDS:
                bar.update(Bar(name, report))
                updated = time.monotonic()
            yield report
    finally:
        if report is not None:
            bar.update(Bar(name, report))


class Bar:
    """How far a run is, as HTML and as text."""

    def __init__(self, name: str, report: Progress | None = None) -> None:
        self._name, self._report = name, report

    def __repr__(self) -> str:
        return f"{self._name}: {self._text()}"

    def _repr_html_(self) -> str:
        done, total = self._realizations()
        return f'<progress value="{done}" max="{max(1, total)}"></progress> {html.escape(repr(self))}'

    def _realizations(self) -> tuple[int, int]:
        """Stored, and predicted in all."""
        report = self._report
        return (report.realizations_done, report.realizations_done + report.realizations_left) if report else (0, 0)

    def _text(self) -> str:
        report = self._report
        if report is None:
            return "preparing"
        done, total = self._realizations()
        failed = f", {len(report.failures)} tasks failed" if report.failures else ""
        left = f", about {report.seconds_left:.0f} s left" if report.points_open and report.seconds_left else ""
        return f"{done} of {total} realizations, {report.seconds:.0f} s{left}{failed}"
