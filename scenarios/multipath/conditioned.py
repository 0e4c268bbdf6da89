"""One network for one sensor set under multipath: what it is trained on, and its training.

PyTorch is imported when that runs.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine import provenance
from engine.estimators.deepsets.checkpoint import Card, Conditions, Scaling, save
from engine.estimators.deepsets.conditioned import ARCHITECTURE, conditioned_elements
from engine.estimators.deepsets.rounds import AmortisedRecipe, ConditionedRound
from engine.estimators.deepsets.setting import setting_of
from engine.numerics.noncentral_chi2 import summed_power
from scenarios.learning.history import as_json
from scenarios.learning.options import Options
from scenarios.learning.training import Report, already_trained, progress
from scenarios.multipath.traced_set import TracedSet
from scenarios.multipath.training_users import ExpectedPowers

if TYPE_CHECKING:
    from engine.estimators.deepsets.conditioned_training import ConditionedTraining as Trained

_ROUND = 2048
_LEARNING_RATE, _BATCH, _SAVED_EVERY = 1.5e-3, 64, 50_000
_ROUNDS_FOR_SCALES = 4
_VALIDATION = range(1_000_000, 1_000_004)
"""Rounds that no training reaches."""


def conditioned_round(
    data: TracedSet, sensors: np.ndarray, users: ExpectedPowers, sizes: tuple[int, ...], seed: int, number: int
) -> ConditionedRound:
    """Users drawn from a pool, each with its own noise power, uniform in dB, snapshot count and noise.

    sensors: range (m) and angle (rad), (2, K). A round has one number of sensors of `sizes`, in turn, and elements that
    are not standardised.
    """
    scenario = data.scenario
    generator = np.random.default_rng([seed, number])
    n_sensors = sizes[number % len(sizes)]
    chosen = generator.integers(0, len(users.place), _ROUND)
    noise_dbm = generator.uniform(min(scenario.noise_dbm), max(scenario.noise_dbm), _ROUND)
    count = generator.choice(scenario.n_snapshots, _ROUND)
    snr = 10 ** ((scenario.transmit_dbm - noise_dbm) / 10)
    power = users.power[chosen, :n_sensors].astype(float)
    statistic = summed_power(
        2 * (count * snr)[:, None] * power,
        generator.standard_normal(power.shape),
        generator.chisquare((2 * count - 1)[:, None], power.shape),
    )
    range_m, angle_rad = sensors[:, :n_sensors]
    x = conditioned_elements(statistic, snr, count, range_m, angle_rad, scenario.array().wavelength_m)
    return ConditionedRound(x, users.place[chosen])


@dataclass(frozen=True)
class Rounds:
    """Rounds of one training, standardised by the statistics of the first ones."""

    data: TracedSet
    sizes: tuple[int, ...]
    """numbers of sensors"""
    users: ExpectedPowers
    """that are trained on"""
    unseen: ExpectedPowers
    """that are never trained on"""
    seed: int

    @cached_property
    def sensors(self) -> np.ndarray:
        return np.stack(self.data.sensors())

    @cached_property
    def scaling(self) -> Scaling:
        """Means and deviations of each column of the elements in the first rounds, and of the places."""
        rounds = [self._drawn(self.users, number).x for number in range(_ROUNDS_FOR_SCALES)]
        columns = np.concatenate([x.reshape(-1, x.shape[-1]) for x in rounds]).astype(float)
        return Scaling(
            input_mean=tuple(columns.mean(axis=0).tolist()),
            input_deviation=tuple(float(value) if value > 1e-6 else 1.0 for value in columns.std(axis=0)),
            place_mean=tuple(self.users.place.mean(axis=0).tolist()),
            place_deviation=tuple(self.users.place.std(axis=0).tolist()),
        )

    def fresh(self, number: int) -> ConditionedRound:
        """A round to train on."""
        return self._standardised(self._drawn(self.users, number))

    def validation(self) -> list[ConditionedRound]:
        """Rounds that are never trained on."""
        return [self._standardised(self._drawn(self.unseen, number)) for number in _VALIDATION]

    def _drawn(self, users: ExpectedPowers, number: int) -> ConditionedRound:
        return conditioned_round(self.data, self.sensors, users, self.sizes, self.seed, number)

    def _standardised(self, drawn: ConditionedRound) -> ConditionedRound:
        scale = self.scaling
        x = (drawn.x - np.array(scale.input_mean)) / np.array(scale.input_deviation)
        return ConditionedRound(x, (drawn.place - scale.place_mean) / scale.place_deviation)


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

    @property
    def name(self) -> str:
        return f"multipath-set{self.data.sensor_set}"

    def __call__(self) -> Iterator[Report]:
        """Train, or continue, and write the file; nothing to do where it is already there."""
        path = self.folder / f"{self.name}.safetensors"
        if path.exists():
            seed = self.data.seed(self.options.seed)
            yield already_trained(self.name, path, self.data.scenario.problem(), seed)
            return
        rounds, excluded = self._rounds()
        state = self.folder / f".{self.name}.state"
        training = self._training(rounds, state)
        for done in training:
            yield progress(self.name, done, self.options.samples)
        counts = {"training": training.history[-1].samples, "users": len(rounds.users.place), "excluded": excluded}
        save(path, self._card(training, rounds.scaling, counts), training.parameters())
        state.unlink(missing_ok=True)
        yield Report(f"{self.name}: trained on {training.history[-1].samples} samples", str(path))

    def _rounds(self) -> tuple[Rounds, int]:
        """Rounds, and how many users of the pool are excluded from them."""
        data, options = self.data, self.options
        found = data.users.expected_powers(data.sensor_set)
        pool, excluded = found.included(slice(options.training))
        unseen, _ = found.included(slice(options.training, options.training + options.validation))
        return Rounds(data, self.sizes, pool, unseen, self._seed()), excluded

    def _seed(self) -> int:
        """Of weights and noise: another for each place, sensor set, seed and data set."""
        data = self.data
        sensors = np.stack(data.sensors()).tolist()
        what = [setting_of(data.scenario.problem()), sensors, self.options.seed]
        return zlib.crc32(json.dumps(what + [data.fingerprint] * bool(data.fingerprint)).encode())

    def _training(self, rounds: Rounds, state: Path) -> "Trained":
        from engine.estimators.deepsets.conditioned_training import ConditionedTraining as Trained

        recipe = AmortisedRecipe(
            learning_rate=_LEARNING_RATE, batch=_BATCH, passes=1, samples=self.options.samples, saved_every=_SAVED_EVERY
        )
        return Trained(
            ARCHITECTURE, recipe, rounds.fresh, seed=rounds.seed, state=state, validation=rounds.validation()
        )

    def _card(self, training: "Trained", scaling: Scaling, counts: dict[str, int]) -> Card:
        data, scenario = self.data, self.data.scenario
        range_m, angle_rad = data.sensors()
        snr_db = [scenario.transmit_dbm - power for power in scenario.noise_dbm]
        return Card(
            kind="conditioned",
            architecture=ARCHITECTURE,
            scaling=scaling,
            conditions=Conditions(
                snr_db=(min(snr_db), max(snr_db)), n_snapshots=scenario.n_snapshots, n_sensors=self.sizes
            ),
            sensor_range_m=tuple(range_m.tolist()),
            sensor_angle_rad=tuple(angle_rad.tolist()),
            leakage=data.leakage,
            setting=setting_of(scenario.problem()),
            sweep=self.sweep,
            fingerprint=self.fingerprint,
            seed=data.seed(self.options.seed),
            data=data.fingerprint,
            samples=counts,
            recipe={**asdict(training.recipe), "optimizer": "Adam", "loss": "β-NLL, β = 0.5"},
            history=as_json(training.history),
            versions=provenance.versions(),
            label=self.options.label,
        )
