"""Paths over edges in compiled loops: those of the tracer, on scenes of all kinds, and pieces of it by themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_quick import box, places

from engine import Streams
from engine.channels import quick_edges, utd
from engine.channels.campus import campus
from engine.channels.edge_candidates_cpu import _largest_term
from engine.channels.materials import MATERIALS
from engine.channels.quick import QuickChannels
from engine.channels.quick_edges import largest_amplitude
from engine.channels.specular import PATTERNS, fresnel_coefficients
from engine.channels.surroundings import Building, Surroundings, indoors
from engine.channels.tracing import TracedChannel, Tracer
from engine.channels.utd_cpu import diffracted_parts, transition, transition_table
from engine.channels.utd_cpu import fresnel_coefficients as compiled_coefficients
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray

HEIGHT_M = 2.0
METAL = 1 - 1e7j


def channel(place: Surroundings, **changes: Any) -> TracedChannel:
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / changes.pop("carrier_hz", 15e9)
    array = UniformLinearArray(changes.pop("n_elements", 60), changes.pop("spacing", 0.5) * wavelength_m, wavelength_m)
    fields: dict[str, Any] = {"max_depth": 3, "max_paths": 20, "samples": 5000, "diffraction": True}
    return TracedChannel(place, array, changes.pop("height_m", HEIGHT_M), **fields | changes)


def town(seed: int) -> Surroundings:
    """A campus whose buildings are of any material and height, some on posts."""
    place, random = campus(Streams(seed, 0)("campus"), f"campus:{seed}"), np.random.default_rng(seed)
    built = []
    for building in place.buildings:
        height_m = random.uniform(1.0, 20.0)
        base_m = random.uniform(0.2, 0.8) * height_m if random.random() < 0.2 else 0.0
        material = MATERIALS[random.integers(len(MATERIALS))]
        built.append(building.model_copy(update={"height_m": height_m, "base_m": base_m, "material": material}))
    ground = random.choice([*MATERIALS, None])  # type: ignore[arg-type]
    return place.model_copy(update={"buildings": tuple(built), "ground": ground})


YARD = Surroundings(
    name="yard", buildings=(box(-9, -30, -8, 30), box(9, 5, 12, 7, material="glass"), box(5, -9, 8, -4))
)
ROOF = Surroundings(name="roof", buildings=(box(-2, -3, 9, 4, base_m=3.0, height_m=4.0, material="metal"),))
CASES: dict[str, tuple[Surroundings, dict[str, Any]]] = {
    "campus": (town(3), {}),
    "higher and longer": (town(11), {"carrier_hz": 28e9, "height_m": 6.0, "n_elements": 128}),
    "lower and shorter": (town(12), {"carrier_hz": 3.5e9, "height_m": 1.2, "n_elements": 33, "max_depth": 2}),
    "wide apart": (town(13), {"carrier_hz": 7e9, "spacing": 2.5, "n_elements": 50, "max_paths": 9}),
    "isotropic": (town(14), {"pattern": "isotropic", "max_paths": 40}),
    "few paths": (town(15), {"max_paths": 2, "max_depth": 1}),
    "every path": (town(16), {"max_paths": 1000, "n_elements": 20}),
    "few elements": (town(17), {"n_elements": 4}),
    "no ground": (YARD.model_copy(update={"ground": None}), {}),
    "a yard": (YARD, {"pattern": "isotropic"}),
    "a roof above": (ROOF, {"max_paths": 50}),
    "edges of metal": (ROOF.model_copy(update={"ground": "metal"}), {"n_elements": 100}),
    "no edges": (Surroundings(name="meadow"), {}),
    "no depth": (YARD, {"max_depth": 0}),
}


@pytest.mark.parametrize("name", CASES)
def test_as_the_tracers(name: str) -> None:
    place, changes = CASES[name]
    tracer = channel(place, **changes).prepare()
    aperture_m = tracer.channel.array.aperture_m
    at = np.concatenate([
        places(80, len(name), max(1.5, aperture_m), max(12.0, 3 * aperture_m)), places(40, len(name), 20.0, 90.0)
    ])  # fmt: skip
    at = at[~indoors(place, at)]
    at.setflags(write=False)
    expected, paths = tracer.channels(at)
    found, count = QuickChannels(tracer, 1.5).channels(at)
    assert count.tolist() == paths.tolist()
    away = np.linalg.norm(found - expected, axis=1)
    assert np.all(away <= 1e-6 * np.linalg.norm(expected, axis=1))


def test_edges_have_a_part_in_it() -> None:
    tracer = channel(town(3)).prepare()
    at = places(50, 1)
    found, count = QuickChannels(tracer, 1.5).channels(at)
    plain, fewer = QuickChannels(replace(tracer.channel, diffraction=False).prepare(), 1.5).channels(at)
    assert np.median(np.linalg.norm(found - plain, axis=1) / np.linalg.norm(found, axis=1)) > 1e-4
    assert np.mean(count - fewer) > 5


@pytest.mark.parametrize("x_m", [5.0, 14.0])
def test_no_jump_where_a_shadow_begins(x_m: float) -> None:
    """Across the shadow of one edge, before it and behind, in steps of a tenth of a wavelength: as smooth as elsewhere
    with diffraction, while reflections alone end."""
    blade = Building(footprint=((3, 40), (5, 40), (4, 1)), height_m=9, material="brick")  # of one edge
    screen = Surroundings(name="screen", buildings=(blade,), ground=None)
    line = np.stack([np.full(900, x_m), np.linspace(0.5, 0.5 + x_m / 3, 900), np.full(900, 1.9)], axis=-1)
    found, alone = (
        QuickChannels(channel(screen, n_elements=8, diffraction=on, max_paths=99).prepare(), 1.5).channels(line)[0]
        for on in (True, False)
    )
    largest = np.abs(alone).max()
    assert np.abs(np.diff(np.abs(found), axis=0)).max() < 0.06 * largest
    assert np.abs(np.diff(np.abs(alone), axis=0)).max() > 0.5 * largest


def test_a_shadow_that_crosses_the_array() -> None:
    """One trace gives all elements what the tracer gives them, which test_diffraction holds to their own."""
    blind = Surroundings(name="screen", buildings=(box(19, -6, 21, 0),), ground="asphalt")
    tracer = channel(blind, n_elements=100, max_paths=1000).prepare()
    at = np.stack([np.full(60, 40.0), np.linspace(-0.5, 0.6, 60), np.full(60, 1.5)], axis=-1)
    expected, paths = tracer.channels(at)
    found, count = QuickChannels(tracer, 20.0).channels(at)
    assert count.tolist() == paths.tolist()
    assert np.all(np.linalg.norm(found - expected, axis=1) <= 1e-6 * np.linalg.norm(expected, axis=1))


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    return channel(town(3), max_paths=7).prepare()


def test_how_many_are_listed_and_tested_is_no_part_of_the_result(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = places(120, 5)
    expected = QuickChannels(tracer, 1.5).channels(at)
    for room, ahead in ((0.0, 0.1), (0.3, 3.0), (100.0, 100.0)):
        monkeypatch.setattr(quick_edges, "_ROOM", room)
        monkeypatch.setattr(quick_edges, "_AHEAD", ahead)
        found = QuickChannels(tracer, 1.5).channels(at)
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1])


def test_only_stronger_reflections_take_the_place_of_an_edge(tracer: Tracer) -> None:
    """As many as are kept, weaker than all edges: the same as without any; stronger than all: no edge is needed."""
    edges, at = QuickChannels(tracer, 1.5)._edges, places(30, 6)
    assert edges is not None
    place = np.repeat(np.arange(30), tracer.channel.max_paths)
    weak, none, strong = (
        len(edges.strongest(at, place[:count], np.full(count, size)).place)
        for count, size in ((len(place), 1e-30), (0, 1.0), (len(place), 1.0))
    )
    assert weak == none > 100
    assert strong == 0


def test_the_same_bits_alone_and_among_others(tracer: Tracer) -> None:
    quick, at = QuickChannels(tracer, 1.5), places(40, seed=9)
    together = quick.channels(at)
    alone = [quick.channels(at[i : i + 1]) for i in range(len(at))]
    assert np.array_equal(together[0], np.concatenate([h for h, _ in alone]))
    assert together[1].tolist() == [int(n[0]) for _, n in alone]
    assert quick.channels(at[:0])[0].shape == (0, 60)


def test_coefficients_of_one_direction() -> None:
    """Against the arrays' formula, at angles of all kinds, on boundaries too, with sides given and not."""
    random, table = np.random.default_rng(3), transition_table()
    for number in range(400):
        exterior = random.uniform(1.02, 2.0) * np.pi
        incident, diffracted = random.uniform(0.0, exterior, 2)
        if number % 3 == 0:
            boundary = random.choice([incident + np.pi, incident - np.pi, np.pi - incident])
            diffracted = float(np.clip(boundary + random.choice([0.0, 1e-13, 1e-9, -1e-6, 1e-3]), 0, exterior))
        cosine, reach = random.uniform(-0.95, 0.95), 10 ** random.uniform(0, 6)
        eta = complex(random.uniform(1.5, 9), -random.uniform(0, 2)) if number % 5 else METAL
        side = random.choice([-1.0, 0.0, 1.0], 4)
        offset = utd.boundary_offsets_rad(np.array(exterior), np.array(incident), np.array(diffracted))
        own = np.where((side != 0) & (np.abs(offset) < np.pi / 2), side, np.where(offset < 0, -1.0, 1.0))
        matrix = utd.diffraction_matrix(
            np.array(exterior), np.array(incident), np.array(diffracted), cosine=np.array(cosine),
            reach=np.array(reach), permittivity=np.array(eta), side=own,
        )  # fmt: skip
        wave = random.standard_normal(2) + 1j * random.standard_normal(2)
        found = diffracted_parts(*wave, exterior, incident, diffracted, cosine, reach, eta, tuple(side), table)
        size = np.abs(matrix).max() * np.abs(wave).max()
        assert np.allclose(found, matrix @ wave, rtol=0, atol=1e-9 * size + 1e-11 * np.sqrt(reach))


def test_the_transition_function() -> None:
    from scipy.special import wofz

    table = transition_table()
    for x in (0.0, 1e-9, 0.3, 1.0, 4.7, 80.0, 3e4, -1e-9, -0.4, -3.0, -40.0):
        assert complex(*transition(x, table)) == pytest.approx(complex(wofz(x * np.exp(0.75j * np.pi))), abs=2e-12)


def test_reflection_without_complex_division() -> None:
    random = np.random.default_rng(4)
    for eta in (1 + 0j, 5.2 - 0.4j, METAL, 3.0 + 0j, *(complex(a, -b) for a, b in random.uniform(1, 9, (20, 2)))):
        for cosine in (1e-6, 0.3, 0.9, 1.0, *([0.0] if eta != 1 else [])):  # 0/0
            expected = fresnel_coefficients(np.array(cosine), np.array(eta))
            found = compiled_coefficients(cosine, eta)
            assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_what_bounds_a_term() -> None:
    """No term is larger than what is said of it before it is computed, and the bound is of some use."""
    random, tight = np.random.default_rng(6), []
    for _ in range(2000):
        exterior = random.uniform(1.02, 2.0) * np.pi
        incident, diffracted = random.uniform(0.0, exterior, 2)
        sine, reach = random.uniform(0.1, 1.0), 10 ** random.uniform(0, 5)
        offset = utd.boundary_offsets_rad(np.array(exterior), np.array(incident), np.array(diffracted))
        terms = np.abs(utd.boundary_terms(offset, np.array(exterior), np.array(sine), np.array(reach))) * sine
        for number, size in enumerate(terms):
            bound = _largest_term(number, exterior, incident, diffracted, np.sqrt(reach) / 2)
            assert size <= bound * (1 + 1e-9)
            tight.append(size / bound)
    assert np.median(tight) > 0.7


def test_what_bounds_the_pattern_along_an_edge() -> None:
    random = np.random.default_rng(8)
    ends = random.uniform(-20, 20, (300, 2, 3)) * (1, 1, 0.4)
    share = np.linspace(0, 1, 400)[:, None]
    for pattern in PATTERNS:
        bound = largest_amplitude(ends, pattern)
        for (low, high), most in zip(ends, bound, strict=True):
            way = low + share * (high - low)
            assert np.max(PATTERNS[pattern](way / np.linalg.norm(way, axis=1, keepdims=True))) <= most
        assert np.median(bound) < 2.6
    assert np.mean(largest_amplitude(ends, "tr38901") < 2.0) > 0.3
