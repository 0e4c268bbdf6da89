"""Stores, damaged at random in every way of which one object or two are capable, and what a reader then sees.

    PYTHONPATH=. python tests/damage.py --mutations 2000 --seed 18

A mutation passes unseen if `verify` names nothing and a reader sees another value, coordinate, attribute, sweep, reason
to stop or receipt than before; or if `open_results`, whatever `verify` says, hands out another value, coordinate or
attribute. What is not stored any more is no other value, if the mask says so and `verify` names what is left of it.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray

import engine
from engine import StoreError, Sweep, provenance
from engine.store.compact import compact
from engine.store.integrity import Litter, Problem, verify
from engine.store.repair import repair
from engine.store.store import Store
from scenarios.leakage import LeakageBound
from scenarios.multipath.map import MultipathMap
from scenarios.ris import RisLocalization

FAMILIES = {
    "leakage": Sweep(
        LeakageBound(noise_dbm=(-70.0, -80.0)), {"n_sensors": (5, 9)}, realizations=10, block=4, chunk=4, about="bound"
    ),
    "multipath": Sweep(MultipathMap(n_elements=16, samples=1000, spacing_m=60.0), realizations=8, block=4, chunk=4),
    "ris": Sweep(
        RisLocalization(elements_per_side=9, snr_db=(10.0, 20.0), angle_step_rad=0.1), realizations=12, block=4, chunk=4
    ),
}
FAMILIES["compact"] = FAMILIES["leakage"]
KINDS = ("bit", "digit", "truncated", "zeroed", "swapped tasks", "swapped stores", "deleted", "duplicated")


@dataclass
class Tally:
    """What became of mutations: kind → outcome → how many. passed: those that nobody noticed, in words."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    objects: Counter[str] = field(default_factory=Counter)
    passed: list[str] = field(default_factory=list)
    unmended: list[str] = field(default_factory=list)


def made(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Family → a store, and one of another seed. Those of the leakage family grew; some are compact."""
    found = {}
    for name, of_seed_0 in FAMILIES.items():
        pair = folder / f"{name}.zarr", folder / f"{name}-other.zarr"
        for path, sweep in zip(pair, (of_seed_0, of_seed_0.replace(seed=1)), strict=True):
            if name in ("leakage", "compact"):
                engine.run(sweep.replace(realizations=6), path, serial=True)
            engine.run(sweep, path, serial=True, max_seconds=600 if name == "leakage" else None)
            if name == "compact":
                compact(path)
        found[name] = pair
    return found


def read(path: Path) -> dict[str, Any]:
    """What opened results hand out, as plain bytes and texts; values with what they are complete in."""
    results = engine.open_results(path).load()
    return {
        "complete": results.complete.values,
        "values": {name: _column(results[name]) for name in sorted(map(str, results.variables)) if name != "complete"},
        "said": {
            name: (results[name].dims, sorted(results[name].attrs.items())) for name in map(str, results.variables)
        },
        "attributes": json.dumps(results.attrs, sort_keys=True),
    }


def seen(path: Path) -> dict[str, Any]:
    """All that a reader sees of a store."""
    store = Store(path)
    return read(path) | {
        "sweep": repr(sorted(store.require_current().definition().items())),
        "budget": store.grid,
        "receipts": {receipt.task: receipt.model_dump_json() for receipt in store.receipts()},
        "stops": store.stops(),
    }


def _column(values: xarray.DataArray) -> tuple[str, tuple[str, ...], Any]:
    return str(values.dtype), tuple(map(str, values.dims)), values.values


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What a reader sees otherwise. Realizations that are no longer complete are left out."""
    names = ("said", "attributes", "sweep", "budget", "stops")
    found = [name for name in names if before[name] != after[name]]
    if before["complete"].shape != after["complete"].shape:
        return [*found, "shape"]
    kept = after["complete"]
    found += ["complete"] if (kept & ~before["complete"]).any() else []
    for name, (dtype, dims, values) in before["values"].items():
        other = after["values"].get(name)
        if other is None or other[:2] != (dtype, dims):
            found.append(name)
        elif "realization" in dims and name != "realization":
            if values[kept].tobytes() != other[2][kept].tobytes() or not _is_fill(other[2][~kept]):
                found.append(name)
        elif np.asarray(values).tobytes() != np.asarray(other[2]).tobytes():
            found.append(name)
    receipts = before["receipts"]
    return found + [f"receipt {task}" for task, text in after["receipts"].items() if receipts.get(task) != text]


def _is_fill(values: np.ndarray) -> bool:
    return bool((np.isnan(values) if values.dtype.kind in "fc" else values == 0).all())


def mutate(path: Path, other: Path, choose: random.Random) -> tuple[str, str]:
    """Damage one object, of a kind of object that is drawn first, or two. Kind of damage, and what was hit."""
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    sorts: dict[str, list[Path]] = {}
    for file in files:
        sorts.setdefault(_sort(file.relative_to(path)), []).append(file)
    sort = choose.choice(sorted(sorts))
    victim, kind = choose.choice(sorts[sort]), choose.choice(KINDS)
    data = victim.read_bytes()
    match kind:
        case "bit":
            changed = bytearray(data)
            changed[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
            victim.write_bytes(changed)
        case "digit":
            places = [i for i, byte in enumerate(data) if chr(byte).isdigit() and byte < 128] or [0]
            changed = bytearray(data)
            place = choose.choice(places)
            changed[place] = ord(choose.choice([d for d in "0123456789" if ord(d) != data[place]]))
            victim.write_bytes(changed)
        case "truncated":
            victim.write_bytes(data[: choose.randrange(len(data))])
        case "zeroed":
            start, changed = choose.randrange(len(data)), bytearray(data)
            length = min(choose.choice((1, 16, 512)), len(data) - start)
            changed[start : start + length] = bytes(length)
            victim.write_bytes(changed)
        case "swapped tasks":
            partner = choose.choice(sorts[sort] if len(sorts[sort]) > 1 else files)
            swap = partner.read_bytes()
            partner.write_bytes(data)
            victim.write_bytes(swap)
        case "swapped stores":
            victim.write_bytes((other / victim.relative_to(path)).read_bytes())
        case "deleted":
            victim.unlink()
        case "duplicated":
            place = choose.choice([*files, victim.with_name(f"{victim.name}.copy"), path / "receipts" / "0.9.json"])
            place.write_bytes(data)
    return kind, sort


def _sort(file: Path) -> str:
    """The kind of an object: a chunk of a variable, of the mask, of a coordinate, metadata, a receipt …"""
    if file.parts[0] == "receipts" or len(file.parts) == 1:
        return file.parts[0]
    if file.name == "zarr.json":
        return "metadata of an array"
    return f"chunk of {file.parts[0]}" if file.parts[0] in ("complete", "realization") else "chunk"


def judged(path: Path, before: dict[str, Any]) -> tuple[str, list[Problem | Litter]]:
    """'named', 'same' or 'passed', and what `verify` names."""
    try:
        items = [item for item in verify(path) if isinstance(item, Problem | Litter)]
    except StoreError:
        return _read_of_named(path, before), []
    if any(isinstance(item, Problem) for item in items):
        return _read_of_named(path, before), items
    try:
        after = seen(path)
    except StoreError as error:
        return f"passed: cannot be read: {error}", items
    unlike = differences(before, after)
    if unlike:
        return f"passed: {', '.join(unlike)}", items
    fewer = int(before["complete"].sum() - after["complete"].sum())
    if fewer:
        return ("less, left over named" if items else "passed: fewer realizations, nothing said"), items
    return "same", items


def _read_of_named(path: Path, before: dict[str, Any]) -> str:
    """'named', or 'passed' where somebody who does not ask `verify` is told something else."""
    try:
        unlike = differences(before, before | read(path))
    except StoreError:
        return "named"
    return f"passed: named, but read without a word: {', '.join(unlike)}" if unlike else "named"


def mended(path: Path, items: list[Problem | Litter], sweep: Sweep, before: dict[str, Any]) -> bool:
    """Whether repair, and the same run again, give back what was seen; what must go by hand is removed first."""
    with suppress(StoreError):
        for item in repair(path, items):
            if "remove it by hand" in item.what:
                (path / item.chunk).unlink()
        engine.run(sweep, path, serial=True)
        left = [item for item in verify(path) if isinstance(item, Problem)]
        values = [name for name in differences(before, seen(path)) if not name.startswith(("receipt", "stop", "said"))]
        return not left and not values
    return False


def study(folder: Path, mutations: int, seed: int, mend_every: int = 1) -> Tally:
    """Mutate copies of stores of the families in turn; mend every so many of them."""
    choose, tally, stores = random.Random(seed), Tally(), made(folder)
    before = {name: seen(path) for name, (path, _) in stores.items()}
    for number, name in zip(range(mutations), _cycle(list(FAMILIES)), strict=False):
        path = Path(shutil.copytree(stores[name][0], folder / "mutated.zarr"))
        kind, sort = mutate(path, stores[name][1], choose)
        verdict, items = judged(path, before[name])
        tally.counts[kind][verdict.partition(":")[0]] += 1
        tally.objects[sort] += 1
        if verdict.startswith("passed"):
            tally.passed.append(f"{number} {name}: {kind}, {sort}: {verdict}")
        if verdict == "named" and items and number % mend_every == 0:
            was_mended = mended(path, items, FAMILIES[name], before[name])
            tally.counts[kind]["mended" if was_mended else "not mended"] += 1
            if not was_mended:
                tally.unmended.append(f"{number} {name}: {kind}, {sort}: {items[0]}")
        shutil.rmtree(path)
    return tally


def _cycle(names: list[str]) -> Iterator[str]:
    while True:
        yield from names


def printed(tally: Tally, say: Callable[[str], object] = print) -> None:
    for kind, counts in tally.counts.items():
        say(f"{kind:15} " + ", ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items())))
    say(f"objects: {dict(sorted(tally.objects.items()))}")
    for line in (*tally.passed, *tally.unmended):
        say(line)
    say(f"{len(tally.passed)} of {sum(tally.objects.values())} passed unseen")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--mend-every", type=int, default=10)
    parser.add_argument("--record", type=Path, help="a JSON file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = study(Path(scratch), given.mutations, given.seed, given.mend_every)
    printed(result)
    if given.record:
        record = {
            "what": "random damage to every kind of object of stores of three families and of a compact one, a store "
            "of another seed beside each: what verify says of it, and what opened results hand out",
            "command": f"python tests/damage.py --mutations {given.mutations} --seed {given.seed} "
            f"--mend-every {given.mend_every}",
            "commit": provenance.commit(),
            "seed": given.seed,
            "mutations": given.mutations,
            "families": list(FAMILIES),
            "outcomes": {kind: dict(sorted(counts.items())) for kind, counts in result.counts.items()},
            "objects": dict(sorted(result.objects.items())),
            "passed_unseen": result.passed,
            "not_mended": result.unmended,
        }
        given.record.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    raise SystemExit(bool(result.passed))
