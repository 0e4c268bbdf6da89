"""The paper's own networks, Table II at full size, at the corners of Fig. 3, against the searches, user by user.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine import InputError, Sweep
from engine.estimators.deepsets.checkpoint import Card, Checkpoint, checkpoints_in
from jobs.evidence.ratios import means, ratios
from jobs.evidence.record import Evidence
from scenarios.leakage import fig3_learned
from scenarios.leakage.claims import samples_in

NETWORK, OTHERS = "deep_sets", ("least_squares", "posterior_mean", "amortised_deep_sets")
_FOLDER = Path("checkpoints/table-ii")
_MEANS, _RATIOS, _TRAININGS = "means", "network over others", "trainings"
_USERS = 1000


class Corner(NamedTuple):
    """One point of Fig. 3."""

    n_sensors: int
    n_snapshots: int
    noise_dbm: float

    @property
    def folder(self) -> Path:
        return _FOLDER / f"K{self.n_sensors}-L{self.n_snapshots}-{-self.noise_dbm:g}"

    def sweep(self, checkpoints: tuple[Checkpoint, ...] = ()) -> Sweep:
        scenario = fig3_learned.scenario.replace(
            noise_dbm=(self.noise_dbm,), n_snapshots=(self.n_snapshots,), checkpoints=checkpoints
        )
        axes = {"n_sensors": (self.n_sensors,), "sensor_set": (0,)}
        return fig3_learned.replace(scenario=scenario, axes=axes, realizations=_USERS, seed=20261129)


CORNERS = tuple(Corner(*one) for one in itertools.product((20, 40), (1, 50), (-65.0, -85.0)))
_TRAIN = (
    f"nearfield train leakage:fig3-learned --axis n_sensors=K --axis sensor_set=0 --set noise_dbm=-N "
    f"--set n_snapshots=L --output {_FOLDER}/KK-LL-N"
)


def _measured(store: str) -> dict[str, Any]:
    """Means with 95 % intervals, ratios of the same users' errors each with its own, and what the trainings took."""
    import engine

    found: dict[str, Any] = {_MEANS: [], _RATIOS: [], _TRAININGS: []}
    for corner in CORNERS:
        checkpoints = _networks(corner)
        if checkpoints:
            path = f"{store.removesuffix('.zarr')}-{corner.folder.name}.zarr"
            samples = samples_in(engine.run(corner.sweep(checkpoints), path).load())
            found[_RATIOS] += ratios(samples, NETWORK, OTHERS)
            found[_MEANS] += means(samples)
            found[_TRAININGS].append({**corner._asdict(), **_training(checkpoints[0].card(), checkpoints[0].sha256)})
    if not found[_TRAININGS]:
        raise InputError(f"no networks in {_FOLDER}: train one at least, {_TRAIN!r}")
    return found


def _networks(corner: Corner) -> tuple[Checkpoint, ...]:
    """A corner's file, or none if it was not trained yet."""
    if not list(corner.folder.glob("*.safetensors")):
        return ()
    return tuple(Checkpoint.model_validate(one) for one in checkpoints_in(str(corner.folder)))


def _training(card: Card, sha256: str) -> dict[str, Any]:
    (member,) = card.members
    return {
        "samples": card.samples,
        "best_epoch": member.best_epoch,
        "epochs": len(card.history),
        "validation_loss": member.validation_loss,
        "seed": card.seed,
        "sha256": sha256,
        "versions": card.versions,
    }


def words(numbers: dict[str, Any]) -> Iterator[str]:
    trained = len(numbers[_TRAININGS])
    yield f"trained at {'all' if trained == len(CORNERS) else f'{trained} of the'} {len(CORNERS)} corners of Fig. 3"
    for one in numbers[_TRAININGS]:
        corner = Corner(*(one[field] for field in Corner._fields))
        cells = [_cell(numbers, corner, quantity) for quantity in ("range", "angle")]
        place = f"{corner.n_sensors}, {corner.n_snapshots}, −{-corner.noise_dbm:g} dBm"
        yield f"| {place} | {' | '.join(cells)} |"


def _cell(numbers: dict[str, Any], corner: Corner, quantity: str) -> str:
    """Mean squared error, and that over least squares', the posterior mean's and the amortised network's."""
    at = {**corner._asdict(), "quantity": quantity}
    (mean,) = (one["mean"] for one in numbers[_MEANS] if {**at, "estimator": NETWORK}.items() <= one.items())
    over = {one["over"]: one for one in numbers[_RATIOS] if at.items() <= one.items()}
    return " | ".join([f"{mean:.2g}", *(_ratio(over[name]) for name in OTHERS)])


def _ratio(one: dict[str, Any]) -> str:
    ends = "few carry it" if one["high"] is None else f"{one['low']:.2f} to {one['high']:.2f}"
    return f"{one['ratio']:.2f} ({ends})"


EVIDENCE = Evidence(
    "squared errors (m², rad²) of the paper's networks, one a sensor set, K, L and σ², beside the searches'",
    None,
    _measured,
    {"docs/numbers.md": words},
    settings=f"{_TRAIN}, of Table II, one network for range and angle; {_USERS} new users of sensor set 0 a corner",
)
