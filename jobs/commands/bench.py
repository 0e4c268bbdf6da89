"""Measure what the project promises about speed, each against its goal and the straightforward way, in one run.

nearfield bench
nearfield bench --only ris
nearfield bench --scaling -o benchmarks.json
nearfield bench --kept jobs/benchmarks.json
"""

import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine import InputError, provenance
from engine.backend import processor
from engine.scenario import suggestion
from jobs import benchmarks
from jobs.benchmarks import sources
from jobs.benchmarks.measurement import Measurement


def command(
    scaling: Annotated[bool, typer.Option("--scaling", help="Also 1 against 2 workers, about 3 minutes.")] = False,
    only: Annotated[str | None, typer.Option(metavar="NAME", help="One file of jobs/benchmarks alone.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Keep it as JSON.")] = None,
    kept: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Measure nothing: print what was kept, and how old it is.")
    ] = None,
) -> None:
    """Time the engine and Figure 1 against the straightforward way; ratios come from one run."""
    if kept is not None:
        _print_kept(kept)
        return
    rows = []
    for row in _measured(scaling, only):
        rows.append(row)
        print(f"{row.what}: {row.value:.3g} {row.unit} (goal {row.goal})", file=sys.stderr, flush=True)
    _print_table(rows)
    if output:
        output.write_text(json.dumps(_record(rows), indent=1, ensure_ascii=False) + "\n")


def _measured(scaling: bool, only: str | None) -> Iterator[Measurement]:
    found = _found()
    if only is not None and only not in found:
        raise InputError(f"no benchmark {only!r}; {suggestion(only, list(found))}")
    for name, measurements in found.items():
        if name == only if only else scaling or name != "scaling":
            yield from measurements()


def _found() -> dict[str, Callable[[], Iterator[Measurement]]]:
    """File name → `measurements` of every benchmark; the files without only help others."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    modules = {name: vars(importlib.import_module(f"{benchmarks.__name__}.{name}")) for name in names}
    return {name: contents["measurements"] for name, contents in modules.items() if "measurements" in contents}


def _print_table(rows: list[Measurement]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("measurement", "value", "goal", "met", "how"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.what, f"{row.value:.3g} {row.unit}", row.goal, "yes" if row.met else "NO", row.how)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _print_kept(path: Path) -> None:
    """The rows of a file, and whether the code that they timed is still this code."""
    try:
        record = json.loads(path.read_text())
        rows, code = [Measurement(**row) for row in record["rows"]], record["code"]
    except OSError as error:
        raise InputError(f"--kept: cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"--kept: {path} is no file of `nearfield bench -o`: {error}") from None
    _print_table(rows)
    print(f"measured {record['measured']}, commit {record['commit']}, {record['machine']['processor']}")
    others = sources.changed(code, sources.digests())
    print(f"changed since: {', '.join(others)}" if others else "of the code as it is now")


def _record(rows: list[Measurement]) -> dict[str, Any]:
    """The rows with when, at which commit, on which machine and with which libraries they were measured."""
    return {
        "measured": provenance.now(),
        "commit": provenance.commit(),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": provenance.versions(),
        "code": sources.digests(),
        "rows": [row._asdict() for row in rows],
    }
