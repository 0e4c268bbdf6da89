"""Running a sweep under the eyes of a user: a bar on a terminal, else a line every few seconds."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import engine
from engine import Sweep
from engine.execution.driver import Progress as Report
from engine.execution.driver import begins_here

_LINE_SECONDS = 5.0
_PREPARING = "preparing"
"""What is said until a store is open: one block is computed for a new one, at each end of each axis."""


def watch(sweep: Sweep, path: str, **options: Any) -> None:
    """Run or resume, drawing progress on standard error, below what was made of files. Options as `engine.iterate`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        _lines(sweep, path, options)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("realizations"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        name = sweep.name or path.rstrip("/").rpartition("/")[2]
        bar = bars.add_task(f"{name}: {_PREPARING}", total=None)
        for report in _reports(sweep, path, options):
            total = report.realizations_done + report.realizations_left  # predicted, where there are targets
            phase = _phase(report, options)
            description = f"{name}: {phase}" if phase else name
            bars.update(bar, total=total, completed=report.realizations_done, description=description)


def _reports(sweep: Sweep, path: str, options: dict[str, Any]) -> Iterator[Report]:
    """Those of the run, once the first is there below what the sweep says of itself: who is refused reads one line."""
    account = sweep.account
    for report in engine.iterate(sweep, path, **options):
        if account:
            _say(account)
            account = ""
        yield report


def _lines(sweep: Sweep, path: str, options: dict[str, Any]) -> None:
    said, line = -_LINE_SECONDS, ""
    with _said_later(_PREPARING):
        reports = _reports(sweep, path, options)
        first = next(reports)
    for report in itertools.chain([first], reports):
        phase = _phase(report, options)
        line = _line(report, bool(options.get("targets"))) + (f", {phase}" if phase else "")
        if time.monotonic() - said >= _LINE_SECONDS:
            said = time.monotonic()
            _say(line)
            line = ""
    if line:
        _say(line)


def _phase(report: Report, options: dict[str, Any]) -> str:
    """What goes on before there is a first result; empty afterwards."""
    if report.points_open == 0 or report.receipt or report.failures:
        return ""
    return "first task" if options.get("serial") or begins_here(**options) else "starting workers"


@contextmanager
def _said_later(what: str) -> Iterator[None]:
    """Say what goes on where it takes longer than a few seconds."""
    timer = threading.Timer(_LINE_SECONDS, _say, [what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _line(report: Report, has_targets: bool) -> str:
    left = f", about {duration(report.seconds_left)} left" if report.points_open and report.seconds_left else ""
    if has_targets:
        return (
            f"{report.realizations_done} realizations, about {report.realizations_left} more needed, "
            f"{report.points_open}/{report.sweep.n_points} points open, {duration(report.seconds)}{left}"
        )
    return (
        f"{report.realizations_done}/{report.realizations_total} realizations, "
        f"{report.tasks_done}/{report.tasks_total} tasks, {duration(report.seconds)}{left}"
    )


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(4.26), duration(75), duration(7322)
    ('4.3 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
