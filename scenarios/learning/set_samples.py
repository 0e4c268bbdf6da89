"""From users that one sensor set saw to what its networks are trained, validated and tested on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from engine.estimators.deepsets.checkpoint import Scaling
from engine.estimators.deepsets.epochs import Samples
from engine.estimators.deepsets.network import NUMPY, forward
from scenarios.learning.options import Options
from scenarios.learning.set_data import Labelled, SetData, SetScene

Coordinates = Literal["both", "range", "angle"]
_COLUMNS = {"both": (0, 1), "range": (0,), "angle": (1,)}
_ERRORS = ("test_mse_range_m2", "test_mse_angle_rad2")


class Network(NamedTuple):
    """One of a set's networks: the noise power and the snapshot count that it is for, by index, and what it says."""

    noise: int
    snapshots: int
    estimates: Coordinates


def networks(scene: SetScene, outputs: Literal[1, 2]) -> list[Network]:
    """One for each noise power and snapshot count, or one a coordinate."""
    forms: tuple[Coordinates, ...] = ("both",) if outputs == 2 else ("range", "angle")
    points = [(s, c) for s in range(len(scene.noise_dbm)) for c in range(len(scene.n_snapshots))]
    return [Network(s, c, form) for s, c in points for form in forms]


@dataclass(frozen=True)
class SetSamples:
    """Training, validation and test users of one sensor set, standardised by the training users' statistics."""

    sensors: np.ndarray
    """range (m) and angle (rad), (K, 2)"""
    networks: list[Network]
    training: Labelled
    validation: Labelled
    test: Labelled

    @cached_property
    def scaling(self) -> Scaling:
        """Means and deviations of z over the set's points, of the sensors' positions, and of the users' places."""
        z, place = self.training.z, self.training.place
        deviation = self.sensors.std(axis=0)
        return Scaling(
            input_mean=(float(z.mean()), *map(float, self.sensors.mean(axis=0))),
            input_deviation=(float(z.std()), *(float(value) or 1.0 for value in deviation)),
            place_mean=tuple(place.mean(axis=0).tolist()),
            place_deviation=tuple(place.std(axis=0).tolist()),
        )

    def standardised(self, part: Labelled) -> Samples:
        """One of the parts, for each network."""
        scale = self.scaling
        z = (part.z - scale.input_mean[0]) / scale.input_deviation[0]
        place = (part.place - scale.place_mean) / scale.place_deviation
        return Samples(
            np.stack([z[one.noise, one.snapshots] for one in self.networks]).astype(np.float32),
            (self.sensors - scale.input_mean[1:]) / scale.input_deviation[1:],
            np.stack([place[:, _COLUMNS[one.estimates]] for one in self.networks]),
        )

    def counts(self) -> dict[str, int]:
        """Users of each part, and how many more were excluded."""
        parts = {"training": self.training, "validation": self.validation, "test": self.test}
        excluded = sum(part.excluded for part in parts.values())
        return {name: len(part.place) for name, part in parts.items()} | ({"excluded": excluded} if excluded else {})

    def errors(self, parameters: dict[str, np.ndarray]) -> list[dict[str, float]]:
        """Mean squared errors of each network on the test users, by their names on the card."""
        test, deviation = self.standardised(self.test), self.scaling.place_deviation
        found = []
        for i, network in enumerate(self.networks):
            mine = {name: part[i : i + 1] for name, part in parameters.items()}
            x = np.concatenate([test.z[i][..., None], np.broadcast_to(test.position, (*test.z[i].shape, 2))], axis=-1)
            error = forward(NUMPY, mine, x[None].astype(np.float32))[0] - test.place[i]
            columns = _COLUMNS[network.estimates]
            mse = np.mean(error.astype(float) ** 2, axis=0) * np.square([deviation[j] for j in columns])
            found.append({_ERRORS[j]: float(value) for j, value in zip(columns, mse, strict=True)})
        return found


def set_samples(data: SetData, options: Options) -> SetSamples:
    """The users that `options` asks for, one part after the other."""
    counts = (options.training, options.validation, options.test)
    # Parts begin with whole blocks: no user is in two of them.
    starts = [data.block * -(-sum(counts[:i]) // data.block) for i in range(3)]
    parts = [data.labelled(options.seed, *span) for span in zip(starts, counts, strict=True)]
    sensors = np.stack(data.sensors(), axis=-1)
    return SetSamples(sensors, networks(data.scenario, options.outputs), *parts)
