"""Measure again what the documents say, and keep it as a record with settings, seed, commit and machine.

nearfield evidence
nearfield evidence fig3
nearfield evidence fig3 --output docs/evidence --workers 8
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Annotated

import typer

import engine
from engine import InputError
from engine.scenario import suggestion
from jobs import evidence as package
from jobs.cli import options
from jobs.evidence.record import Evidence, missing_words, record

_PROJECT = Path(__file__).parent.parent.parent


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A file of jobs/evidence; lists them.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where records are.")] = Path(
        "docs/evidence"
    ),
    store: Annotated[str | None, typer.Option(metavar="PATH", help="Where the runs are kept.")] = None,
    workers: options.Workers = None,
    serial: options.Serial = False,
) -> None:
    """Run what a number of the documents rests on, write its record, and say which words it contradicts.

    The runs are kept in a store under results/, so the same command again continues one that was interrupted.
    """
    known = found()
    if name is None:
        _list(known, output)
        return
    if name not in known:
        raise InputError(f"no evidence {name!r}; {suggestion(name, list(known))}")
    one = known[name]
    path = store or f"results/evidence-{name}.zarr"
    if one.sweep is not None:
        engine.run(one.sweep, path, workers=workers, serial=serial)
    numbers = one.measure(path)
    output.mkdir(parents=True, exist_ok=True)
    kept = output / f"{name}.json"
    written = record(name, one, numbers)
    kept.write_text(json.dumps(written, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    print(f"record  {kept}")
    for words in missing_words(_PROJECT, one, written["numbers"]) if (_PROJECT / "docs").is_dir() else []:
        print(f"nearfield: not what the record says: {words}", file=sys.stderr)


def found() -> dict[str, Evidence]:
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = {name: vars(importlib.import_module(f"{package.__name__}.{name}")) for name in names}
    return {name: contents["EVIDENCE"] for name, contents in modules.items() if "EVIDENCE" in contents}


def _list(found: dict[str, Evidence], folder: Path) -> None:
    from engine.sweep import TextTable
    from jobs.show.tables import print_report

    rows: list[tuple[str, ...]] = []
    for name, one in found.items():
        kept = folder / f"{name}.json"
        when = json.loads(kept.read_text())["date"][:10] if kept.exists() else "none"
        rows.append((name, one.about, when))
    print_report([TextTable("Evidence", ("NAME", "what", "record"), rows)])
