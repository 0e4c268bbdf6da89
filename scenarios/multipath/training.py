"""Trainings under multipath: the paper's networks, one for each point, and conditioned ones, one for each sensor set.

PyTorch is imported when a training runs.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine import InputError, Sweep, provenance
from engine.estimators.deepsets.checkpoint import Card, Conditions, Scaling, save
from engine.estimators.deepsets.conditioned import ARCHITECTURE
from engine.estimators.deepsets.setting import setting_of
from scenarios.leakage.training import NO_NETWORKS, Options, Report, SetTraining, finite, require_same
from scenarios.multipath.data import MultipathData
from scenarios.multipath.estimation import MultipathEstimation
from scenarios.multipath.learned import ExpectedPowers, TracedSet, TracedUsers, Users, conditioned_round, stored_users
from scenarios.multipath.scene import MultipathScene

if TYPE_CHECKING:
    from engine.estimators.deepsets.conditioned_training import ConditionedTraining as _Run

OPTIONS = Options(training=20_300, validation=8_700, test=1_000)
"""Users of Table III."""
QUICK = replace(
    OPTIONS, training=5000, validation=1000, epochs=10, label="quick: 5000 of 20 300 users, at most 10 epochs"
)
POOL = Options(training=120_000, validation=2_000)
"""Users of a conditioned training: noise is new whenever one is seen, and six users a metre and degree are not many."""
QUICK_POOL = Options(training=20_000, validation=1_000)
SAMPLES, QUICK_SAMPLES = 700_000, 300_000
_LEARNING_RATE, _BATCH, _SAVED_EVERY = 1.5e-3, 64, 50_000
_ROUNDS_FOR_SCALES = 4
_VALIDATION = range(1_000_000, 1_000_004)
"""Rounds that no training reaches."""


@dataclass(frozen=True)
class ConditionedTraining:
    """One network for one sensor set: every noise power, snapshot count and number of its first sensors."""

    data: TracedSet
    """of the largest number of sensors"""
    sizes: tuple[int, ...]
    """numbers of sensors"""
    sweep: str
    fingerprint: str
    folder: Path
    options: Options
    samples: int = SAMPLES

    @property
    def name(self) -> str:
        return f"multipath-set{self.data.sensor_set}"

    def __call__(self) -> Iterator[Report]:
        """Train, or continue, and write the file; nothing to do where it is already there."""
        from engine.estimators.deepsets import conditioned_training
        from engine.estimators.deepsets.amortised_recipe import AmortisedRecipe

        path = self.folder / f"{self.name}.safetensors"
        data, scenario, options = self.data, self.data.scenario, self.options
        if path.exists():
            require_same(path, scenario.problem(), data.seed(options.seed))
            yield Report(f"{self.name}: already trained", str(path))
            return
        recipe = AmortisedRecipe(
            learning_rate=_LEARNING_RATE, batch=_BATCH, passes=1, samples=self.samples, saved_every=_SAVED_EVERY
        )
        found = data.users.expected_powers(data.sensor_set)
        pool, excluded = found.included(slice(options.training))
        unseen, _ = found.included(slice(options.training, options.training + options.validation))
        sensors = np.stack(data.sensors())
        what = [setting_of(scenario.problem()), sensors.tolist(), options.seed]
        seed = zlib.crc32(json.dumps(what + [data.fingerprint] * bool(data.fingerprint)).encode())
        scale = self._scaling(pool, sensors, seed)

        def drawn(users: ExpectedPowers, number: int) -> conditioned_training.ConditionedRound:
            x, place = conditioned_round(data, sensors, users, self.sizes, seed, number)
            x = (x - np.array(scale.input_mean)) / np.array(scale.input_deviation)
            return conditioned_training.ConditionedRound(x, (place - scale.place_mean) / scale.place_deviation)

        state = self.folder / f".{self.name}.state"
        run = conditioned_training.ConditionedTraining(
            ARCHITECTURE,
            recipe,
            lambda number: drawn(pool, number),  # type: ignore[arg-type, return-value]
            seed=seed,
            state=state,
            validation=[drawn(unseen, number) for number in _VALIDATION],  # type: ignore[misc]
        )
        for done in run:
            yield Report(
                f"{self.name}: {done.samples} of {recipe.samples} samples, {done.steps} steps, loss {done.loss:.4f}, "
                f"negative log-likelihood of unseen rounds {done.validation_nll:.4f}; {done.seconds:.0f} cpu-s"
            )
        counts = {"training": run.history[-1].samples, "users": len(pool.place), "excluded": excluded}
        save(path, self._card(run, scale, counts), run.parameters())
        state.unlink(missing_ok=True)
        yield Report(f"{self.name}: trained on {run.history[-1].samples} samples", str(path))

    def _card(self, run: "_Run", scale: Scaling, counts: dict[str, int]) -> Card:
        data, scenario, options = self.data, self.data.scenario, self.options
        range_m, angle_rad = data.sensors()
        snr_db = [scenario.transmit_dbm - power for power in scenario.noise_dbm]
        return Card(
            kind="conditioned",
            architecture=ARCHITECTURE,
            scaling=scale,
            conditions=Conditions(
                snr_db=(min(snr_db), max(snr_db)), n_snapshots=scenario.n_snapshots, n_sensors=self.sizes
            ),
            sensor_range_m=tuple(range_m.tolist()),
            sensor_angle_rad=tuple(angle_rad.tolist()),
            leakage=data.leakage,
            setting=setting_of(scenario.problem()),
            sweep=self.sweep,
            fingerprint=self.fingerprint,
            seed=data.seed(options.seed),
            data=data.fingerprint,
            samples=counts,
            recipe={**asdict(run.recipe), "optimizer": "Adam", "loss": "β-NLL, β = 0.5"},
            history=[finite(done._asdict()) for done in run.history],
            versions=provenance.versions(),
            label=options.label,
        )

    def _scaling(self, pool: ExpectedPowers, sensors: np.ndarray, seed: int) -> Scaling:
        """Means and deviations of each column of the elements in the first rounds, and of the places."""
        rounds = [
            conditioned_round(self.data, sensors, pool, self.sizes, seed, number).x
            for number in range(_ROUNDS_FOR_SCALES)
        ]
        columns = np.concatenate([x.reshape(-1, x.shape[-1]) for x in rounds]).astype(float)
        return Scaling(
            input_mean=tuple(columns.mean(axis=0).tolist()),
            input_deviation=tuple(float(value) if value > 1e-6 else 1.0 for value in columns.std(axis=0)),
            place_mean=tuple(pool.place.mean(axis=0).tolist()),
            place_deviation=tuple(pool.place.std(axis=0).tolist()),
        )


def _scenarios(sweep: Sweep) -> list[MultipathEstimation]:
    """Of each point, without networks. InputError where points differ in more than the number of sensors."""
    if others := sweep.axes.keys() - {"n_sensors"}:
        raise InputError(
            f"axis {', '.join(sorted(others))}: networks are trained for one place and array, with n_sensors as their "
            f"one axis; train one after the other with --set and --output"
        )
    points = [sweep.at(task.point) for task in sweep.replace(realizations=1, chunk=None).tasks()]
    return [
        point.replace(checkpoints=(), estimators=NO_NETWORKS)
        for point in points
        if isinstance(point, MultipathEstimation)
    ]


def _users(scenarios: list[MultipathEstimation], count: int, seed: int, store: str | None) -> Users:
    """The first `count` users, as every scenario has them: their numbers of sensors alone differ."""
    largest = max(scenarios, key=lambda scenario: scenario.n_sensors)
    if store is not None:
        return stored_users(store, largest, count)
    fields = {name: getattr(largest, name) for name in MultipathScene.model_fields}
    return TracedUsers(MultipathData(**fields), seed, count)


def set_trainings(sweep: Sweep, folder: Path, options: Options, store: str | None) -> list[SetTraining]:
    """One training for each number of sensors and each set."""
    scenarios = _scenarios(sweep)
    count = options.training + options.validation + options.test
    users = _users(scenarios, count, options.seed, store)
    return [
        SetTraining(TracedSet(scenario, number, users), sweep.name, sweep.fingerprint(), folder, options)
        for scenario in scenarios
        for number in range(scenario.sensor_sets)
    ]


def conditioned_trainings(
    sweep: Sweep, folder: Path, options: Options, store: str | None, samples: int
) -> list[ConditionedTraining]:
    """One training for each set."""
    scenarios = _scenarios(sweep)
    users = _users(scenarios, options.training + options.validation, options.seed, store)
    largest = max(scenarios, key=lambda scenario: scenario.n_sensors)
    sizes = tuple(sorted(scenario.n_sensors for scenario in scenarios))
    return [
        ConditionedTraining(
            TracedSet(largest, number, users), sizes, sweep.name, sweep.fingerprint(), folder, options, samples
        )
        for number in range(largest.sensor_sets)
    ]
