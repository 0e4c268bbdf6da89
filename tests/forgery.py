"""Stores that say something else, with every digest made anew: what a forger could do, and no accident."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.store import chunks, description, receipts, seal


def forge(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    """Change the root by `change(attributes, arrays)`; its digest, its copy, receipts and record of stops follow."""
    root = json.loads((path / "zarr.json").read_text())
    attributes, arrays = root["attributes"], root["consolidated_metadata"]["metadata"]
    change(attributes, arrays)
    for name in ("zarr.json", "zarr.copy.json"):
        (path / name).write_bytes(description.root_of(attributes, arrays))
    for file in [*(path / "receipts").glob("*.json"), *path.glob("stopping.json")]:
        receipt = json.loads(file.read_text()) | {"store": description.identity(attributes)}
        receipt.pop("digest", None)
        file.write_bytes(seal.sealed(json.dumps(receipt).encode()))


def forge_attribute(path: Path, name: str, value: Any) -> None:
    forge(path, lambda attributes, _: attributes.update({name: value}))


def forge_coordinate(path: Path, name: str, values: np.ndarray) -> None:
    """Other values along one of the scenario's own dimensions, which the root then vouches for."""

    def change(attributes: dict[str, Any], _: dict[str, Any]) -> None:
        known = json.loads(attributes["coordinate_checksums"]) | {name: receipts.checksum(values)}
        attributes["coordinate_checksums"] = json.dumps(known)

    write_coordinate(path, name, values)
    forge(path, change)


def write_coordinate(path: Path, name: str, values: np.ndarray) -> None:
    """Other values along a dimension, whole in themselves."""
    for key, data in chunks.objects_of(name, values).items():
        (path / key).write_bytes(data)


def as_format_1(path: Path) -> None:
    """As earlier versions wrote it: no digest, no copy, no seals, and no receipt that names its store."""
    root = json.loads((path / "zarr.json").read_text())
    for name in ("store_id", "budgets", "has_stops", "digest"):
        root["attributes"].pop(name)
    root["attributes"]["nearfield_format"] = 1
    (path / "zarr.json").write_text(json.dumps(root))
    (path / "zarr.copy.json").unlink()
    for file in (path / "receipts").glob("*.json"):
        receipt = json.loads(file.read_text())
        file.write_text(json.dumps({name: receipt[name] for name in receipt if name not in ("store", "digest")}))
