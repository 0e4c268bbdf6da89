"""Stores that say something else, with every digest made anew: what a forger could do, and no accident."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.store import description, seal


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
