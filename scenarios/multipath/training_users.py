"""Expected powers that networks under multipath are trained on: of users traced anew, or of a store.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D and Table III.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import engine
from engine import InputError, Streams
from scenarios.multipath.data import MultipathData
from scenarios.multipath.scene import MultipathScene

_BLOCK = 500
"""As in `multipath:data`, so that users of one seed are the same, traced here or read from its store."""
_SIZES = ("n_sensors", "sensor_sets")


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
