"""The network for all sensor sets: what it is trained on, and its training. PyTorch is imported when that runs."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine import Streams, provenance
from engine.estimators import Observations, Workbench
from engine.estimators.deepsets.checkpoint import Card, save
from engine.estimators.deepsets.features import FEATURES, KNOWN, OUTPUTS, TEMPLATES, frames, standardised
from engine.estimators.deepsets.network import Architecture
from engine.estimators.deepsets.rounds import AmortisedRecipe, Round
from engine.estimators.deepsets.setting import setting_of
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.learning.history import as_json
from scenarios.learning.options import Options
from scenarios.learning.set_data import NO_NETWORKS
from scenarios.learning.training import Report, already_trained, progress

if TYPE_CHECKING:
    from engine.estimators.deepsets.amortised_training import AmortisedTraining as Trained

ARCHITECTURE = Architecture(FEATURES, (64, 64, 64, 64), 64, (256, 128, 64), OUTPUTS, TEMPLATES, KNOWN)
"""Narrower than Table II: the templates say most, and the weights come with the package."""
_COUNTS, _SHARES = (1, 2, 5, 10, 20, 50), (0.3, 0.1, 0.1, 0.1, 0.1, 0.3)
_NOISES, _NOISE_DBM = 2, (-88.0, -62.0)
_SENSORS, _ENTRIES = (5, 100), 2500
_VALIDATION = range(1_000_000, 1_000_016)
"""Rounds that no training reaches."""


def amortised_round(scenario: LeakageEstimation, seed: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements (n, K, F), what is known of each set (n, C), and places (n, 2) in an amortised network's units.

    A round has one K, its logarithm uniform from 5 to 100, two noise powers uniform in [−88, −62] dBm, two snapshot
    counts, and new sensors in each of its realizations.
    """
    here = _conditions(scenario, np.random.default_rng([seed, number]))
    drawn = here.draw(Streams(seed, number), max(32, _ENTRIES // here.n_sensors))
    _, _, statistic = here.observe(np, drawn)
    problem = here.problem()
    batch = Workbench(problem, np).batch(Observations(statistic, drawn.sensor_range_m, drawn.sensor_angle_rad))
    seen = frames(batch, FRESNEL_CLOSED)
    place = np.stack([drawn.user_range_m, drawn.user_angle_rad], axis=-1)[:, None, :]
    wanted = standardised(problem, np.broadcast_to(place, (*seen.angle_rad.shape, 2)), seen.angle_rad)
    return seen.x.reshape(-1, *seen.x.shape[2:]), seen.known.reshape(-1, KNOWN), wanted.reshape(-1, 2)


def _conditions(scenario: LeakageEstimation, generator: np.random.Generator) -> LeakageEstimation:
    """The scenario with a round's number of sensors, noise powers and snapshot counts."""
    n_sensors = round(math.exp(generator.uniform(*np.log(_SENSORS))))
    noise_dbm = tuple(generator.uniform(*_NOISE_DBM, _NOISES).tolist())
    counts = tuple(sorted(generator.choice(_COUNTS, 2, replace=False, p=_SHARES).tolist()))
    return scenario.replace(n_sensors=n_sensors, noise_dbm=noise_dbm, n_snapshots=counts)


@dataclass(frozen=True)
class AmortisedTraining:
    """The one network for all sensor sets."""

    scenario: LeakageEstimation
    sweep: str
    fingerprint: str
    folder: Path
    options: Options
    name: str = "amortised"

    def __call__(self) -> Iterator[Report]:
        """Train, or continue, and write the file; nothing to do where it is already there."""
        from engine.estimators.deepsets.amortised_training import AmortisedTraining as Trained

        path, seed = self.folder / f"{self.name}.safetensors", self.options.seed
        if path.exists():
            yield already_trained(self.name, path, self.scenario.problem(), seed)
            return
        recipe = replace(AmortisedRecipe(), samples=self.options.samples)
        state, fresh = self.folder / f".{self.name}.state", self._rounds()
        validation = [fresh(number) for number in _VALIDATION]
        training = Trained(ARCHITECTURE, recipe, fresh, seed=seed, state=state, validation=validation)
        for done in training:
            yield progress(self.name, done, recipe.samples)
        save(path, self._card(training), training.parameters())
        state.unlink(missing_ok=True)
        yield Report(f"{self.name}: trained on {training.history[-1].samples} samples", str(path))

    def _rounds(self) -> Callable[[int], Round]:
        scenario, seed = self.scenario.replace(estimators=NO_NETWORKS), self.options.seed
        return lambda number: Round(*amortised_round(scenario, seed, number))

    def _card(self, training: "Trained") -> Card:
        return Card(
            kind="amortised",
            architecture=ARCHITECTURE,
            leakage=self.scenario.leakage.name,
            setting=setting_of(self.scenario.problem()),
            sweep=self.sweep,
            fingerprint=self.fingerprint,
            seed=self.options.seed,
            samples={"training": training.history[-1].samples},
            recipe={**asdict(training.recipe), "optimizer": "Adam", "loss": "β-NLL, β = 0.5"},
            history=as_json(training.history),
            versions=provenance.versions(),
            label=self.options.label,
        )
