"""Whether the code is still the code that was timed."""

import ast
import hashlib
from collections.abc import Mapping
from pathlib import Path

import engine

_ROOT = Path(engine.__file__).parent.parent
_OURS = ("engine", "scenarios", "jobs")


def digests(root: Path = _ROOT) -> dict[str, str]:
    """Of each file or folder right below a top folder, as in engine.store; comments and docstrings aside."""
    wholes: dict[str, hashlib._Hash] = {}
    for top in _OURS:
        for path in sorted((root / top).rglob("*.py")):
            place = path.relative_to(root).with_suffix("").parts[:2]
            name = f"{path.relative_to(root)}\n{_meaning(path.read_text())}\n"
            wholes.setdefault(".".join(place), hashlib.sha256()).update(name.encode())
    return {place: whole.hexdigest()[:16] for place, whole in wholes.items()}


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The places that are other ones now, or were not there, or are no more."""
    return sorted(place for place in then.keys() | now.keys() if then.get(place) != now.get(place))


def _meaning(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)]
    return ast.dump(tree)


def _is_text(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
