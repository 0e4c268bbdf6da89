"""The training of one sensor set's networks: a stack, of which each goes on for as long as it gains."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from engine import provenance
from engine.estimators.deepsets.checkpoint import Card, Member, save
from engine.estimators.deepsets.network import Architecture
from engine.estimators.deepsets.replica import Replica
from engine.estimators.deepsets.setting import setting_of
from engine.estimators.deepsets.stack_training import Epoch, Recipe, StackTraining
from scenarios.learning.history import as_json
from scenarios.learning.options import Options
from scenarios.learning.set_data import SetData
from scenarios.learning.set_samples import SetSamples, set_samples
from scenarios.learning.training import Report, already_trained


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
        path = self.folder / f"{self.name}.safetensors"
        if path.exists():
            seed = self.data.seed(self.options.seed)
            yield already_trained(self.name, path, self.data.scenario.problem(), seed)
            return
        state = self.folder / f".{self.name}.state"
        samples = set_samples(self.data, self.options)
        training = self._training(samples, state)
        for epoch in training:
            yield Report(self._told(epoch, training))
        errors = samples.errors(training.best)
        if Replica.here().rank == 0:
            save(path, self._card(samples, training, errors), training.best)
            state.unlink(missing_ok=True)
        mean_m2 = np.mean([error["test_mse_range_m2"] for error in errors if "test_mse_range_m2" in error])
        yield Report(f"{self.name}: trained, {mean_m2:.3g} m² in the mean over its points on unseen users", str(path))

    def _training(self, samples: SetSamples, state: Path) -> StackTraining:
        options, count = self.options, len(samples.networks)
        return StackTraining(
            Architecture(outputs=options.outputs),
            Recipe(batch=options.batch, patience=options.patience, epochs=options.epochs),
            samples.standardised(samples.training),
            samples.standardised(samples.validation),
            seeds=[self._seed(i) for i in range(count)],
            order_seed=self._seed(count),
            state=state,
            at_once=options.at_once,
            device=options.device,
        )

    def _seed(self, index: int) -> int:
        entropy = [self.options.seed, self.data.scenario.n_sensors, self.data.sensor_set, index]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _told(self, epoch: Epoch, training: StackTraining) -> str:
        lowest = np.sqrt(np.nanmean(training.best_loss))
        return (
            f"{self.name}: epoch {epoch.number}, losses {np.nanmean(epoch.training_loss):.4f} training, "
            f"{np.nanmean(epoch.validation_loss):.4f} validation; {epoch.running} of {len(training.best_loss)} "
            f"networks go on; best rms {lowest:.3f} of a blind guess's; {epoch.seconds:.1f} s"
        )

    def _card(self, samples: SetSamples, training: StackTraining, errors: list[dict[str, float]]) -> Card:
        data, problem = self.data, self.data.scenario.problem()
        return Card(
            kind="sensor_set",
            architecture=training.architecture,
            scaling=samples.scaling,
            members=self._members(samples, training, errors),
            sensor_range_m=tuple(samples.sensors[:, 0].tolist()),
            sensor_angle_rad=tuple(samples.sensors[:, 1].tolist()),
            leakage=data.leakage,
            setting=setting_of(problem),
            sweep=self.sweep,
            fingerprint=self.fingerprint,
            seed=data.seed(self.options.seed),
            data=data.fingerprint,
            samples=samples.counts(),
            recipe={**asdict(training.recipe), "optimizer": "Adam", "replicas": training.replica.size},
            history=as_json(training.history),
            versions=provenance.versions(),
            label=self.options.label,
        )

    def _members(
        self, samples: SetSamples, training: StackTraining, errors: list[dict[str, float]]
    ) -> tuple[Member, ...]:
        scene = self.data.scenario
        return tuple(
            Member(
                snr_db=scene.transmit_dbm - scene.noise_dbm[network.noise],
                n_snapshots=scene.n_snapshots[network.snapshots],
                estimates=network.estimates,
                best_epoch=training.best_epoch[i],
                validation_loss=training.best_loss[i],
                **errors[i],
            )
            for i, network in enumerate(samples.networks)
        )
