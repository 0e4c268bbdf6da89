"""Family A's trainings: one for each number of sensors and sensor set, each a stack of networks, and the amortised one.

PyTorch is imported when a training runs.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from engine import InputError, Sweep, provenance
from engine.estimators import LeastSquares, Problem
from engine.estimators.deepsets.checkpoint import Card, Checkpoint, Member, save
from engine.estimators.deepsets.network import NUMPY, Architecture, forward
from engine.estimators.deepsets.setting import require_setting, setting_of
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.sensor_sets import (
    TRAINING_SEED,
    DrawnSet,
    SensorSetEstimation,
    amortised_architecture,
    amortised_round,
    scaling,
)
from scenarios.learning.set_data import Labelled, SetData

NO_NETWORKS = (LeastSquares(leakage="fresnel_closed"),)
"""What the scenario of training data estimates by: nothing that was trained, on this seed perhaps."""
_VALIDATION = range(1_000_000, 1_000_016)
"""Rounds that no amortised training reaches."""
_COLUMNS = {"both": (0, 1), "range": (0,), "angle": (1,)}


@dataclass(frozen=True)
class Options:
    """How to train: sizes of the data, the form of the networks, and what overrides the recipe."""

    seed: int = TRAINING_SEED
    training: int = 35_000
    validation: int = 15_000
    test: int = 1_000
    outputs: Literal[1, 2] = 2
    epochs: int = 200
    patience: int = 10
    batch: int = 32
    label: str = ""
    device: str = "cpu"
    at_once: int = 1
    """networks that share a matrix product"""

    def __post_init__(self) -> None:
        for name in ("training", "validation", "test", "epochs", "patience", "batch", "at_once"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: given {getattr(self, name)}, needed at least 1")


OPTIONS = Options()
QUICK = Options(training=6000, validation=1500, epochs=10, label="quick: 6000 of 35 000 samples, at most 10 epochs")


class Report(NamedTuple):
    """What a training tells while it runs; the last report names the file."""

    text: str
    path: str = ""


@dataclass(frozen=True)
class SetTraining:
    """Networks for one sensor set: one, or one a coordinate, at each of its noise powers and snapshot counts."""

    data: SetData
    sweep: str
    fingerprint: str
    folder: Path
    options: Options

    @property
    def name(self) -> str:
        return f"K{self.data.scenario.n_sensors}-set{self.data.sensor_set}"

    def __call__(self) -> Iterator[Report]:
        """Train, or continue, and write the file of networks; nothing to do where it is already there."""
        from engine.estimators.deepsets.replica import Replica
        from engine.estimators.deepsets.stack_training import Recipe, Samples, StackTraining

        path = self.folder / f"{self.name}.safetensors"
        data, scenario, options, members = self.data, self.data.scenario, self.options, self._members()
        if path.exists():
            require_same(path, scenario.problem(), data.seed(options.seed))
            yield Report(f"{self.name}: already trained", str(path))
            return
        counts = (options.training, options.validation, options.test)
        # Parts begin with whole blocks: no user is in two of them.
        starts = [data.block * -(-sum(counts[:i]) // data.block) for i in range(3)]
        parts = [data.labelled(options.seed, *span) for span in zip(starts, counts, strict=True)]
        sensors = np.stack(data.sensors(), axis=-1)
        scale = scaling(sensors, parts[0])

        def samples(part: Labelled) -> Samples:
            z = (part.z - scale.input_mean[0]) / scale.input_deviation[0]
            place = (part.place - scale.place_mean) / scale.place_deviation
            return Samples(
                np.stack([z[s, c] for s, c, _ in members]).astype(np.float32),
                (sensors - scale.input_mean[1:]) / scale.input_deviation[1:],
                np.stack([place[:, _COLUMNS[what]] for _, _, what in members]),
            )

        recipe = Recipe(batch=options.batch, patience=options.patience, epochs=options.epochs)
        architecture = Architecture(outputs=options.outputs)
        state = self.folder / f".{self.name}.state"
        training = StackTraining(
            architecture,
            recipe,
            samples(parts[0]),
            samples(parts[1]),
            seeds=[self._seed(i) for i in range(len(members))],
            order_seed=self._seed(len(members)),
            state=state,
            at_once=options.at_once,
            device=options.device,
        )
        for epoch in training:
            lowest = np.sqrt(np.nanmean(training.best_loss))
            yield Report(
                f"{self.name}: epoch {epoch.number}, losses {np.nanmean(epoch.training_loss):.4f} training, "
                f"{np.nanmean(epoch.validation_loss):.4f} validation; {epoch.running} of {len(members)} networks "
                f"go on; best rms {lowest:.3f} of a blind guess's; {epoch.seconds:.1f} s"
            )
        errors = self._errors(training.best, samples(parts[2]), scale.place_deviation, members)
        card = Card(
            kind="sensor_set",
            architecture=architecture,
            scaling=scale,
            members=tuple(
                Member(
                    snr_db=scenario.transmit_dbm - scenario.noise_dbm[s],
                    n_snapshots=scenario.n_snapshots[c],
                    estimates=what,
                    best_epoch=training.best_epoch[i],
                    validation_loss=training.best_loss[i],
                    **errors[i],
                )
                for i, (s, c, what) in enumerate(members)
            ),
            sensor_range_m=tuple(sensors[:, 0].tolist()),
            sensor_angle_rad=tuple(sensors[:, 1].tolist()),
            leakage=data.leakage,
            setting=setting_of(scenario.problem()),
            sweep=self.sweep,
            fingerprint=self.fingerprint,
            seed=data.seed(options.seed),
            data=data.fingerprint,
            samples=_counted(parts),
            recipe={**asdict(recipe), "optimizer": "Adam", "replicas": training.replica.size},
            history=[finite(epoch._asdict()) for epoch in training.history],
            versions=provenance.versions(),
            label=options.label,
        )
        if Replica.here().rank == 0:
            save(path, card, training.best)
            state.unlink(missing_ok=True)
        mean_m2 = np.mean([e["test_mse_range_m2"] for e in errors if "test_mse_range_m2" in e])
        yield Report(f"{self.name}: trained, {mean_m2:.3g} m² in the mean over its points on unseen users", str(path))

    def _members(self) -> list[tuple[int, int, Literal["both", "range", "angle"]]]:
        """(noise power, snapshot count, what it estimates) of every network."""
        forms: tuple[Literal["both", "range", "angle"], ...]
        forms = ("both",) if self.options.outputs == 2 else ("range", "angle")
        scene = self.data.scenario
        return [(s, c, f) for s in range(len(scene.noise_dbm)) for c in range(len(scene.n_snapshots)) for f in forms]

    def _seed(self, index: int) -> int:
        entropy = [self.options.seed, self.data.scenario.n_sensors, self.data.sensor_set, index]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _errors(
        self, parameters: dict[str, np.ndarray], test: Any, deviation: tuple[float, float], members: list[Any]
    ) -> list[dict[str, float]]:
        """Mean squared errors of each network on the test users."""
        found = []
        for i, (_, _, what) in enumerate(members):
            mine = {name: part[i : i + 1] for name, part in parameters.items()}
            x = np.concatenate([test.z[i][..., None], np.broadcast_to(test.position, (*test.z[i].shape, 2))], axis=-1)
            error = forward(NUMPY, mine, x[None].astype(np.float32))[0] - test.place[i]
            mse = np.mean(error.astype(float) ** 2, axis=0) * np.square([deviation[j] for j in _COLUMNS[what]])
            names = ("test_mse_range_m2", "test_mse_angle_rad2")
            found.append({names[j]: float(value) for j, value in zip(_COLUMNS[what], mse, strict=True)})
        return found


@dataclass(frozen=True)
class AmortisedTraining:
    """The one network for all sensor sets."""

    scenario: LeakageEstimation
    sweep: str
    fingerprint: str
    folder: Path
    options: Options
    samples: int = 0
    """fresh samples; the recipe's number if 0"""
    name: str = "amortised"

    def __call__(self) -> Iterator[Report]:
        """Train, or continue, and write the file."""
        from engine.estimators.deepsets import amortised_training as torch_training

        path = self.folder / f"{self.name}.safetensors"
        posed = self.scenario.problem()
        if path.exists():
            require_same(path, posed, self.options.seed)
            yield Report(f"{self.name}: already trained", str(path))
            return
        recipe = torch_training.AmortisedRecipe()
        recipe = replace(recipe, samples=self.samples or recipe.samples)
        architecture = amortised_architecture()
        scenario = self.scenario.replace(estimators=NO_NETWORKS)
        state = self.folder / f".{self.name}.state"
        training = torch_training.AmortisedTraining(
            architecture,
            recipe,
            lambda number: torch_training.Round(*amortised_round(scenario, self.options.seed, number)),
            seed=self.options.seed,
            state=state,
            validation=[torch_training.Round(*amortised_round(scenario, self.options.seed, n)) for n in _VALIDATION],
        )
        for done in training:
            yield Report(
                f"{self.name}: {done.samples} of {recipe.samples} samples, {done.steps} steps, loss {done.loss:.4f}, "
                f"negative log-likelihood of unseen rounds {done.validation_nll:.4f}; {done.seconds:.0f} cpu-s"
            )
        card = Card(
            kind="amortised",
            architecture=architecture,
            leakage=scenario.leakage.name,
            setting=setting_of(posed),
            sweep=self.sweep,
            fingerprint=self.fingerprint,
            seed=self.options.seed,
            samples={"training": training.history[-1].samples},
            recipe={**asdict(recipe), "optimizer": "Adam", "loss": "β-NLL, β = 0.5"},
            history=[finite(done._asdict()) for done in training.history],
            versions=provenance.versions(),
            label=self.options.label,
        )
        save(path, card, training.parameters())
        state.unlink(missing_ok=True)
        yield Report(f"{self.name}: trained on {training.history[-1].samples} samples", str(path))


def set_trainings(sweep: Sweep, folder: Path, options: Options) -> list[SetTraining]:
    """One training for each point of a sweep over sensor sets."""
    scenarios = [sweep.at(task.point) for task in sweep.replace(realizations=1, chunk=None).tasks()]
    return [
        SetTraining(
            DrawnSet(scenario.replace(checkpoints=(), estimators=NO_NETWORKS)),
            sweep.name,
            sweep.fingerprint(),
            folder,
            options,
        )
        for scenario in scenarios
        if isinstance(scenario, SensorSetEstimation)
    ]


def require_same(path: Path, problem: Problem, seed: int) -> None:
    """InputError where networks that are there already were trained elsewhere, or on other users."""
    card = Checkpoint(path=str(path)).read().card
    require_setting(card, problem, str(path))
    if card.seed != seed:
        raise InputError(f"{path} was trained with seed {card.seed}, given {seed}: choose another --output")


def _counted(parts: list[Labelled]) -> dict[str, int]:
    """Users in training, validation and test, and how many more were excluded."""
    counts = {name: len(part.place) for name, part in zip(("training", "validation", "test"), parts, strict=True)}
    excluded = sum(part.excluded for part in parts)
    return counts | ({"excluded": excluded} if excluded else {})


def finite(record: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: the losses of networks that had stopped are None."""

    def known(value: Any) -> Any:
        if isinstance(value, list):
            return [known(part) for part in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    return {key: known(value) for key, value in record.items()}
