"""Family A under multipath, learned estimators: expected powers to train on, traced or stored, and noise upon them.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D and Table III.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import engine
from engine import InputError, Streams
from engine.estimators.deepsets.conditioned import conditioned_elements
from engine.estimators.deepsets.features import elements
from engine.numerics.noncentral_chi2 import summed_power
from scenarios.learning.set_data import Labelled
from scenarios.multipath.data import MultipathData
from scenarios.multipath.estimation import MultipathEstimation
from scenarios.multipath.scene import MultipathScene

_BLOCK = 500
"""As in `multipath:data`, so that users of one seed are the same, traced here or read from its store."""
_SIZES = ("n_sensors", "sensor_sets")
_ROUND = 2048


class ExpectedPowers(NamedTuple):
    """Of n users at all sensors of one set."""

    power: np.ndarray
    """over P_t, (n, K), single precision; NaN where a user is excluded"""
    place: np.ndarray
    """range (m) and angle (rad), (n, 2)"""

    def included(self, which: slice) -> "tuple[ExpectedPowers, int]":
        """Of these users the ones that count, and how many do not."""
        power, place = self.power[which], self.place[which]
        here = np.isfinite(power[:, 0])
        return ExpectedPowers(power[here], place[here]), int(np.count_nonzero(~here))


@dataclass(frozen=True)
class TracedUsers:
    """Users of a scenario's own draw, traced where they are needed."""

    scenario: MultipathData
    seed: int
    count: int
    fingerprint: str = ""

    def expected_powers(self, sensor_set: int) -> ExpectedPowers:
        power, place = _traced(self.scenario, self.seed, self.count)
        return ExpectedPowers(power[:, sensor_set], place)


@functools.lru_cache(maxsize=1)
def _traced(scenario: MultipathData, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers (n, sets, K) and places (n, 2); once in a process, as trainings share them."""
    simulate, powers, places = scenario.prepare(np), [], []
    for number in range(-(-count // _BLOCK)):
        drawn = scenario.draw(Streams(seed, number), _BLOCK)
        powers.append(np.asarray(simulate(drawn)["expected_power"][1], dtype=np.float32))
        places.append(np.stack(drawn, axis=-1))
    return np.concatenate(powers)[:count], np.concatenate(places)[:count]


@dataclass(frozen=True)
class StoredUsers:
    """Users of a store of `multipath:data`, the first `count` of it."""

    path: str
    seed: int
    count: int
    fingerprint: str

    def expected_powers(self, sensor_set: int) -> ExpectedPowers:
        stored = engine.open_results(self.path).isel(realization=slice(0, self.count))
        power = stored.expected_power.isel(sensor_set=sensor_set).values.astype(np.float32)
        place = np.stack([stored.user_range_m.values, stored.user_angle_rad.values], axis=-1)
        return ExpectedPowers(power, place)


Users = TracedUsers | StoredUsers


def stored_users(path: str, wanted: MultipathScene, count: int) -> StoredUsers:
    """A store's users for a scene; InputError where it is of another scene, too small or not whole."""
    sweep = engine.load_sweep(path)
    found = sweep.scenario
    if not isinstance(found, MultipathData) or sweep.axes:
        raise InputError(
            f"{path} holds {sweep.name or type(found).__name__}, needed a data set of expected powers at one point: "
            f"nearfield run multipath:data --store PATH --realizations {count}"
        )
    for name in MultipathScene.model_fields:
        there, here = (getattr(scene, name) for scene in (found, wanted))
        if there < here if name in _SIZES else there != here:
            if name == "surroundings":
                there, here = there.name, here.name if here.name != there.name else f"another {here.name}"
            needed = "as many" if name in _SIZES else "the same"
            raise InputError(
                f"{path} has {name} = {there}, and what is trained {here}: needed {needed}, by --set here or there"
            )
    if sweep.realizations < count:
        raise InputError(
            f"{path} holds {sweep.realizations} users, needed {count} for training, validation and test: nearfield run "
            f"--store {path} --realizations {count}, or fewer by --samples"
        )
    complete = engine.open_results(path).complete.values[:count]
    if not complete.all():
        raise InputError(
            f"{path} has {int(complete.sum())} of {count} users so far: finish with nearfield run --store {path}"
        )
    anywhere = path if "://" in path else str(Path(path).absolute())  # workers may be started elsewhere
    return StoredUsers(anywhere, sweep.seed, count, sweep.fingerprint())


@dataclass(frozen=True)
class TracedSet:
    """What sensors of one set see of traced users, under noise of its own: data of `SetTraining`."""

    scenario: MultipathEstimation
    """of K sensors"""
    sensor_set: int
    users: Users
    leakage: str = "ray_traced"
    block: int = 1

    @property
    def fingerprint(self) -> str:
        return self.users.fingerprint

    def sensors(self) -> tuple[np.ndarray, np.ndarray]:
        """Range (m) and angle (rad), (K,) each."""
        range_m, angle_rad = self.scenario.sensors()
        return range_m[self.sensor_set], angle_rad[self.sensor_set]

    def seed(self, seed: int) -> int:
        """Of the users, who must not come again where the networks are judged."""
        return self.users.seed

    def labelled(self, seed: int, start: int, count: int) -> Labelled:
        """Users `start` to `start + count`, without the excluded ones; the noise is drawn by `seed`."""
        users, excluded = self.users.expected_powers(self.sensor_set).included(slice(start, start + count))
        power = users.power[:, : self.scenario.n_sensors].astype(float)
        streams, z = Streams(seed, start), []
        for n in self.scenario.n_snapshots:
            gaussian = streams(f"training_gaussian_{n}_{self.sensor_set}").standard_normal(power.shape)
            chi_square = streams(f"training_chi_square_{n}_{self.sensor_set}").chisquare(2 * n - 1, power.shape)
            rho = 2 * self.scenario.snr()[:, None, None] * power  # Eq. (13)
            z.append(elements(summed_power(n * rho, gaussian, chi_square), np.array(n), 0.0, 0.0)[..., 0])  # type: ignore[arg-type]
        return Labelled(np.stack(z, axis=1).astype(np.float32), users.place, excluded)


class Conditioned(NamedTuple):
    """One round of samples for a conditioned network."""

    x: np.ndarray
    """elements, not standardised, (n, K, F)"""
    place: np.ndarray
    """(n, 2)"""


def conditioned_round(
    data: TracedSet, sensors: np.ndarray, users: ExpectedPowers, sizes: tuple[int, ...], seed: int, number: int
) -> Conditioned:
    """Users drawn from a pool, each with its own noise power, uniform in dB, snapshot count and noise.

    sensors: range (m) and angle (rad), (2, K). A round has one number of sensors of `sizes`, in turn.
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
    return Conditioned(x, users.place[chosen])
