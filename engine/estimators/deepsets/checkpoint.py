"""Trained networks in files: weights and card in one safetensors file, the card again as JSON for people.

Nothing is ever unpickled: safetensors holds numbers and text only.
"""

import functools
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engine.errors import InputError
from engine.estimators.deepsets.network import Architecture, initial

SHIPPED = Path(__file__).parent / "weights"
_READ_BYTES = 1 << 20
_LONGEST_HEADER_BYTES = 1 << 24


class Scaling(BaseModel):
    """Statistics of the training data: inputs and places are standardised by them, (value − mean)/deviation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_mean: tuple[float, ...]
    input_deviation: tuple[float, ...]
    place_mean: tuple[float, float]
    """range (m), angle (rad)"""
    place_deviation: tuple[float, float]


class Member(BaseModel):
    """One network of a file: the point that it was trained for, and its errors on data that it never saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snr_db: float
    """P_t/σ²"""
    n_snapshots: int
    estimates: Literal["both", "range", "angle"] = "both"
    best_epoch: int
    validation_loss: float
    test_mse_range_m2: float | None = None
    test_mse_angle_rad2: float | None = None


class Conditions(BaseModel):
    """What a conditioned network was trained for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snr_db: tuple[float, float]
    """P_t/σ², lowest and highest"""
    n_snapshots: tuple[int, ...]
    n_sensors: tuple[int, ...]
    """how many of the set's first sensors"""


class Card(BaseModel):
    """What a file's networks are and how they came to be. Sensors are those of a fixed set; none if amortised."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["sensor_set", "conditioned", "amortised"]
    architecture: Architecture
    scaling: Scaling | None = None
    members: tuple[Member, ...] = ()
    conditions: Conditions | None = None
    sensor_range_m: tuple[float, ...] = ()
    sensor_angle_rad: tuple[float, ...] = ()
    leakage: str
    """of the training data"""
    setting: dict[str, Any] = {}
    """array, users' area and whatever else expected powers follow from; `setting.require_setting` compares it"""
    sweep: str
    fingerprint: str
    seed: int
    """of every stream that training, validation or test data came from"""
    data: str = ""
    """fingerprint of the stored data set that they were trained on, if it was stored"""
    samples: dict[str, int]
    recipe: dict[str, Any]
    history: list[dict[str, Any]]
    versions: dict[str, str]
    label: str = ""
    """what a reader must know: 'quick' trainings say so"""


class Networks(NamedTuple):
    """A file's content."""

    card: Card
    parameters: dict[str, np.ndarray]
    sha256: str


class Checkpoint(BaseModel):
    """A file of networks, and the hash that its content must have; the present file's if none is given.

    A name without a folder that is no file here is one of the files that come with this package.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, given: Any) -> Any:
        return {"path": str(given)} if isinstance(given, str | os.PathLike) else given

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        if not self.sha256:
            object.__setattr__(self, "sha256", _hash(self.path))
        return self

    def read(self) -> Networks:
        """The networks; a file that is missing, damaged or another than the one that was named is refused."""
        return _read(self.path, self.sha256)

    def require_unchanged(self) -> None:
        """InputError where the file holds other networks than were named."""
        _require_unchanged(self.path, self.sha256)

    def card(self) -> Card:
        """What the file says of its networks, which stay unread; needs no package for it."""
        return _card(self.path, self.sha256)


def shipped(prefix: str) -> tuple[Checkpoint, ...]:
    """Files that come with this package and are named so."""
    return tuple(Checkpoint(path=path.name) for path in sorted(SHIPPED.glob(f"{prefix}*.safetensors")))


def is_shipped(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint names a file that comes with this package."""
    return _resolved(checkpoint.path).parent == SHIPPED


def checkpoints_in(given: Any) -> Any:
    """Paths of files and folders as checkpoints: a folder stands for every .safetensors file in it."""
    if not isinstance(given, list | tuple):
        given = (given,)
    found: list[Any] = []
    for one in given:
        if isinstance(one, str | os.PathLike) and Path(one).is_dir():
            files = sorted(path for path in Path(one).glob("*.safetensors") if not path.name.startswith("."))
            if not files:
                raise ValueError(f"{one} holds no .safetensors file: train with 'nearfield train' first")
            found += [Checkpoint(path=str(path)) for path in files]
        else:
            found.append(one)
    return found


def save(path: Path, card: Card, parameters: dict[str, np.ndarray]) -> None:
    """Write the file and its readable card, each whole or not at all."""
    write_tensors(path, parameters, {"card": card.model_dump_json()})
    replace(path.with_suffix(".json"), (card.model_dump_json(indent=1) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, np.ndarray], texts: dict[str, str]) -> None:
    """A safetensors file with texts in its header, atomically."""
    import safetensors.numpy

    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    replace(path, safetensors.numpy.save(contiguous, metadata=texts))


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, meets the old content or the new one and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and header texts of a safetensors file."""
    return _parsed(path, path.read_bytes())


def _parsed(path: Path, content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
        (length,) = struct.unpack("<Q", content[:8])
        return tensors, json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path} is no safetensors file, or damaged ({reason}): train it again or copy it anew"
        ) from None


def _resolved(path: str) -> Path:
    given = Path(path)
    if not given.is_file() and (SHIPPED / path).is_file() and given.name == path:
        return SHIPPED / path
    return given


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with _resolved(path).open("rb") as file:
            while part := file.read(_READ_BYTES):
                digest.update(part)
    except OSError as error:
        raise InputError(f"checkpoint {path}: {error.strerror or error}; train one with 'nearfield train'") from None
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _card(path: str, _sha256: str) -> Card:
    try:
        with _resolved(path).open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            texts = json.loads(file.read(min(length, _LONGEST_HEADER_BYTES))).get("__metadata__", {})
    except OSError as error:
        raise InputError(f"checkpoint {path}: {error.strerror or error}; train one with 'nearfield train'") from None
    except (ValueError, AttributeError, struct.error):
        raise InputError(f"{path} is no safetensors file, or damaged: train it again or copy it anew") from None
    return _parsed_card(path, texts)


def _parsed_card(path: str, texts: dict[str, str]) -> Card:
    try:
        return Card.model_validate_json(texts.get("card", "{}"))
    except ValidationError as error:
        raise InputError(
            f"{path} holds no networks of this package: its card lacks {error.error_count()} entries"
        ) from None


@functools.lru_cache(maxsize=256)
def _require_unchanged(path: str, sha256: str) -> None:
    _require_same(path, _hash(path), sha256)


def _require_same(path: str, found: str, sha256: str) -> None:
    if found != sha256:
        of = "came with another version of this package" if _resolved(path).parent == SHIPPED else "has changed"
        raise InputError(
            f"checkpoint {path} {of}: sha256 {found[:12]}… where {sha256[:12]}… was named; "
            f"restore the file, or name it anew"
        )


@functools.lru_cache(maxsize=32)
def _read(path: str, sha256: str) -> Networks:
    try:
        content = _resolved(path).read_bytes()
    except OSError as error:
        raise InputError(f"checkpoint {path}: {error.strerror or error}; train one with 'nearfield train'") from None
    _require_same(path, hashlib.sha256(content).hexdigest(), sha256)
    parameters, texts = _parsed(Path(path), content)
    card = _parsed_card(path, texts)
    expected = initial(card.architecture, [0])
    if {k: v.shape[1:] for k, v in parameters.items()} != {k: v.shape[1:] for k, v in expected.items()}:
        raise InputError(f"{path}: its weights are not those of the architecture on its card; copy the file anew")
    return Networks(card, parameters, sha256)
