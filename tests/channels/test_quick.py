"""Channels in compiled loops: those of the tracer, edges of shadows and kinks of patterns included."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from engine import Streams
from engine.channels.campus import campus
from engine.channels.quick import QuickChannels, is_known
from engine.channels.surroundings import Building, Surroundings, within
from engine.channels.tracing import TracedChannel
from engine.numerics.geometry import UniformLinearArray

LAM = 0.02
HEIGHT_M = 2.0


def channel(place: Surroundings, **changes: Any) -> TracedChannel:
    array = UniformLinearArray(changes.pop("n_elements", 60), LAM / 2, LAM)
    fields = {"max_depth": 2, "max_paths": 8, "samples": 5000}
    return TracedChannel(place, array, HEIGHT_M, **fields | changes)


def box(x0: float, y0: float, x1: float, y1: float, **fields: Any) -> Building:
    return Building(
        footprint=((x0, y0), (x1, y0), (x1, y1), (x0, y1)), **{"height_m": 9.0, "material": "brick"} | fields
    )


def places(count: int, seed: int, nearest_m: float = 1.5, farthest_m: float = 12.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    distance_m, angle = random.uniform(nearest_m, farthest_m, count), random.uniform(0.4, 2.7, count)
    height_m = random.uniform(1.0, 2.5, count)
    flat_m = np.sqrt(distance_m**2 - (height_m - HEIGHT_M) ** 2)
    return np.stack([flat_m * np.sin(angle), flat_m * np.cos(angle), height_m], axis=-1)


CASES = {
    "campus": (campus(Streams(3, 0)("campus"), "campus:3"), {}),
    "isotropic": (campus(Streams(4, 0)("campus"), "campus:4"), {"pattern": "isotropic", "max_depth": 1}),
    "few paths": (campus(Streams(5, 0)("campus"), "campus:5"), {"max_paths": 3, "max_depth": 3}),
    "no reflection": (Surroundings(name="field", ground=None), {"max_depth": 0}),
    "a roof above": (
        Surroundings(name="roof", buildings=(box(-20, -20, 20, 20, base_m=3.0, height_m=4.0, material="metal"),)),
        {},
    ),
    "walls behind": (
        Surroundings(name="yard", buildings=(box(-9, -30, -8, 30), box(-30, 14, 30, 15, material="glass"))),
        {"max_depth": 3},
    ),
    "few elements": (campus(Streams(6, 0)("campus"), "campus:6"), {"n_elements": 5}),
}


@pytest.mark.parametrize("name", CASES)
def test_as_the_tracers(name: str) -> None:
    place, changes = CASES[name]
    tracer = channel(place, **changes).prepare()
    at = places(150, seed=len(name))
    at.setflags(write=False)
    expected, paths = tracer.channels(at)
    found, count = QuickChannels(tracer, 1.5).channels(at)
    assert count.tolist() == paths.tolist()
    assert np.max(paths) <= tracer.channel.max_paths
    away = np.linalg.norm(found - expected, axis=1)
    assert np.all(away <= 5e-6 * np.linalg.norm(expected, axis=1))


def test_a_place_as_near_as_the_arrays_ends() -> None:
    """Nothing is a polynomial along an array that is no farther away than it is long."""
    tracer = channel(Surroundings(name="field")).prepare()
    quick = QuickChannels(tracer, 0.2)
    random = np.random.default_rng(1)
    at = np.stack([random.uniform(0.25, 0.4, 20), random.uniform(-0.2, 0.2, 20), np.full(20, HEIGHT_M)], axis=-1)
    assert quick.channels(at)[0] == pytest.approx(tracer.channels(at)[0], rel=1e-9, abs=1e-12)
    assert QuickChannels(tracer, 2.0).channels(at)[0] != pytest.approx(tracer.channels(at)[0], rel=1e-9, abs=1e-12)


def test_shadows_begin_where_the_tracer_has_them() -> None:
    """Places a tenth of a millimetre apart along a line into the shadow of a wall, and out of its reflection."""
    tracer = channel(Surroundings(name="yard", buildings=(box(4, -3, 5, 2), box(4, 6, 9, 7)), ground=None)).prepare()
    quick = QuickChannels(tracer, 1.5)
    for y_m in (2.6, 3.0, 5.5):
        edge_m = 8.0
        line = np.stack([edge_m + np.linspace(-7, 7, 3000), np.full(3000, y_m), np.full(3000, 1.7)], axis=-1)
        paths = tracer.channels(line)[1]
        (changes,) = np.nonzero(np.diff(paths))
        assert len(changes)
        for i in changes[:2]:
            close = np.linspace(line[i], line[i + 1], 50)
            assert quick.channels(close)[1].tolist() == tracer.channels(close)[1].tolist()


def test_a_pattern_that_ends_within_the_array_is_no_polynomial() -> None:
    """A wall beside the array, whose image of places is 103° off its front from one end, and nearer from the other."""
    tracer = channel(Surroundings(name="yard", buildings=(box(-40, -7, 40, -6),), ground=None), max_depth=1).prepare()
    random = np.random.default_rng(2)
    at = np.stack([random.uniform(-1.6, -0.4, 300), random.uniform(2, 6, 300), np.full(300, HEIGHT_M)], axis=-1)
    expected, found = tracer.channels(at)[0], QuickChannels(tracer, 1.5).channels(at)[0]
    assert np.all(np.linalg.norm(found - expected, axis=1) <= 5e-6 * np.linalg.norm(expected, axis=1))


def test_the_same_bits_alone_and_among_others() -> None:
    tracer = channel(*CASES["campus"][:1]).prepare()
    quick, at = QuickChannels(tracer, 1.5), places(60, seed=9)
    together = quick.channels(at)
    alone = [quick.channels(at[i : i + 1]) for i in range(len(at))]
    assert np.array_equal(together[0], np.concatenate([h for h, _ in alone]))
    assert together[1].tolist() == [int(n[0]) for _, n in alone]


@dataclass(frozen=True)
class Scattering(TracedChannel):
    """With a kind of path that nobody has heard of."""

    scattering: float = 0.0


def test_only_what_is_known_is_quick() -> None:
    plain = channel(Surroundings(name="field"))
    fields = plain.surroundings, plain.array, plain.array_height_m
    assert is_known(plain)
    assert is_known(replace(plain, max_depth=1, diffraction=True))
    assert not is_known(Scattering(*fields))


def test_buildings_within_a_distance() -> None:
    """By their walls: the corners of a long one are far away."""
    long, far, around = box(5, -90, 6, 90), box(50, 0, 60, 10), box(-30, -30, -20, 30)
    place = Surroundings(name="yard", buildings=(long, far, around))
    assert within(place, 5.0).buildings == (long,)
    assert within(place, 4.9).buildings == ()
    assert within(place, 20.0).buildings == (long, around)
