"""Numbers that must hold, whatever traces the paths: free space, the ground, reciprocity, every element on its own."""

import dataclasses
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import InputError, Streams
from engine.channels import llvm
from engine.channels.campus import campus
from engine.channels.materials import relative_permittivity
from engine.channels.specular import SpecularPaths, fresnel_coefficients, path_responses
from engine.channels.surroundings import Building, Faces, Surroundings, faces_of, in_sight, indoors
from engine.channels.tracing import TracedChannel
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray

CARRIER_HZ = 15e9
WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / CARRIER_HZ
ARRAY = UniformLinearArray(100, WAVELENGTH_M / 2, WAVELENGTH_M)
HEIGHT_M = 2.0
NOWHERE, MEADOW = Surroundings(name="nowhere", ground=None), Surroundings(name="meadow")
WALL = Surroundings(
    name="wall",
    buildings=(Building(footprint=((5, 20), (60, 20), (60, 24), (5, 24)), height_m=9, material="brick"),),
)
PLACES_M = np.array([(3.0, 1.0, 1.5), (7.0, -6.0, 1.5), (1.9, -0.4, 1.2), (90.0, 55.0, 1.5), (140.0, -20.0, 3.0)])


def channel(place: Surroundings, **changes: object) -> TracedChannel:
    fields: dict[str, object] = {"pattern": "isotropic", "max_depth": 1, "max_paths": 1000} | changes
    return TracedChannel(place, ARRAY, HEIGHT_M, **fields)  # type: ignore[arg-type]


def distances_m(places: np.ndarray) -> np.ndarray:
    return np.linalg.norm(places[:, None] - channel(NOWHERE).element_positions_m(), axis=-1)


def friis(distance_m: np.ndarray) -> np.ndarray:
    return WAVELENGTH_M / (4 * np.pi * distance_m) * np.exp(-2j * np.pi * distance_m / WAVELENGTH_M)


def float32_phase_bound(distance_m: np.ndarray) -> np.ndarray:
    """Eight units in the last place of a distance in single precision, in radians: 0.02 at 150 m."""
    return 2 * math.pi / WAVELENGTH_M * distance_m * 8 * 2.0**-24


def test_free_space() -> None:
    tracer = channel(NOWHERE).prepare()
    expected = friis(distances_m(PLACES_M))
    h, paths = tracer.channels(PLACES_M)
    assert np.all(paths == 1)
    assert np.allclose(h, expected, rtol=1e-9, atol=0)
    assert np.allclose(channel(NOWHERE).free_space(PLACES_M), expected, rtol=1e-9, atol=0)
    exact = tracer.exact_channels(PLACES_M)
    assert np.max(np.abs(np.abs(exact) / np.abs(expected) - 1)) < 1e-6
    phase = np.abs(np.angle(exact / expected))
    assert np.all(phase < float32_phase_bound(distances_m(PLACES_M)))
    assert phase.max() > 1e-3  # what double precision spares us


def test_reflection_off_the_ground_has_the_fresnel_coefficient() -> None:
    """Two rays, by hand: vertical polarisation meets the ground in the plane of incidence, hence R_TM."""
    elements = channel(MEADOW).element_positions_m()
    flat = np.linalg.norm((PLACES_M[:, None] - elements)[..., :2], axis=-1)
    rise = PLACES_M[:, 2:] + HEIGHT_M
    length = np.hypot(flat, rise)
    _, r_tm = fresnel_coefficients(rise / length, np.array(relative_permittivity("concrete", CARRIER_HZ)))
    below = r_tm * friis(length)
    direct = friis(distances_m(PLACES_M))
    tracer = channel(MEADOW).prepare()
    h, paths = tracer.channels(PLACES_M)
    assert np.all(paths == 2)
    assert np.allclose(h, direct + below, rtol=0, atol=1e-9 * np.abs(direct).max(axis=1, keepdims=True))
    assert np.max(np.abs(h - direct) / np.abs(direct)) > 0.1
    exact = tracer.exact_channels(PLACES_M)
    error = np.abs(exact - direct - below) / np.abs(direct)
    assert np.all(error < 2 * float32_phase_bound(length))


def test_reciprocity() -> None:
    """From the elements to places and back; isotropic elements at both ends."""
    few = dataclasses.replace(ARRAY, n_elements=8)
    tracer = TracedChannel(WALL, few, HEIGHT_M, "isotropic", 2, 1000, samples=3000).prepare()
    there, back = tracer.exact_channels(PLACES_M[:3]), tracer.reversed_channels(PLACES_M[:3])
    assert np.linalg.norm(there - back) < 1e-3 * np.linalg.norm(there)
    swapped = tracer.reversed_channels(PLACES_M[[1, 0, 2]])
    assert np.linalg.norm(there - swapped) > 0.5 * np.linalg.norm(there)  # the test can fail


def test_one_trace_agrees_with_tracing_every_element() -> None:
    """Image sources against 100 elements traced one by one, near a brick wall: users before the array."""
    random = np.random.default_rng(4)
    distance, angle = random.uniform(2, 12, 12), random.uniform(math.pi / 6, 5 * math.pi / 6, 12)
    places = np.stack([distance * np.sin(angle), distance * np.cos(angle), np.full(12, 1.5)], axis=-1)
    tracer = channel(WALL, pattern="tr38901", max_depth=2, samples=3000).prepare()
    (h, paths), exact = tracer.channels(places), tracer.exact_channels(places)
    assert paths.max() > 2
    error = np.linalg.norm(h - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert np.median(error) < 3e-3
    assert error.max() < 0.05  # a reflection that some of the elements do not have
    plane = h[:, 50:51] * np.exp(2j * np.pi / WAVELENGTH_M * np.cos(angle)[:, None] * ARRAY.positions_m(np))
    assert np.median(np.linalg.norm(plane - exact, axis=1) / np.linalg.norm(exact, axis=1)) > 0.5  # no plane wave


def mirrored(point: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    return point - 2 * (point @ normal - offset) * normal


def first_met(faces: Faces, start: np.ndarray, end: np.ndarray) -> int | None:
    """The first triangle between two places, by Möller and Trumbore."""
    a, b, c = (faces.vertices_m[faces.triangles[:, i]] for i in range(3))
    leg = end - start
    p = np.cross(leg, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.sum((start - a) * p, axis=1) / np.sum((b - a) * p, axis=1)
        q = np.cross(start - a, b - a)
        v = (q @ leg) / np.sum((b - a) * p, axis=1)
        share = np.sum((c - a) * q, axis=1) / np.sum((b - a) * p, axis=1)
    met = (u >= 0) & (v >= 0) & (u + v <= 1) & (share > 1e-6) & (share < 1 - 1e-6)
    return int(np.argmin(np.where(met, share, np.inf))) if met.any() else None


def lengths_of_all_paths(faces: Faces, source: np.ndarray, target: np.ndarray) -> list[float]:
    """Every chain of up to two planes, tried."""
    planes = np.unique(np.column_stack([faces.normal, faces.offset_m]).round(9), axis=0)
    alone = [(plane,) for plane in planes]
    lengths = []
    for chain in [(), *alone, *itertools.permutations(planes, 2)]:
        images = [target]
        for plane in reversed(chain):
            images.insert(0, mirrored(images[0], plane[:3], plane[3]))
        here = source
        for image, plane in zip(images, chain, strict=False):
            here_off, image_off = here @ plane[:3] - plane[3], image @ plane[:3] - plane[3]
            if here_off * image_off >= -1e-9:
                break
            point = here + here_off / (here_off - image_off) * (image - here)
            met = first_met(faces, here, here + 1.00001 * (point - here))
            if met is None or not np.allclose((*faces.normal[met], faces.offset_m[met]), plane, atol=1e-8):
                break
            here = point
        else:
            if first_met(faces, here, target) is None:
                lengths.append(float(np.linalg.norm(images[0] - source)))
    return sorted(lengths)


def test_no_path_is_lost() -> None:
    """All chains of planes, tried in a loop, against those that rays found; with a hundred rays, some are not."""
    street = [((x, y), (x + 22, y), (x + 22, y + 9), (x, y + 9)) for x, y in ((14, 15), (40, 17), (15, -24), (43, -22))]
    buildings = tuple(Building(footprint=ring, height_m=6, material="glass") for ring in street)
    place = Surroundings(name="street", buildings=buildings)
    far = np.array([(9.0, -4.0, 1.5), (60.0, 8.0, 1.5), (100.0, -5.0, 1.5)])
    source = np.array([0.0, 0.0, HEIGHT_M])

    def found(samples: int) -> list[list[float]]:
        to, paths, _ = channel(place, max_depth=2, samples=samples).prepare().paths(far, source)
        lengths: list[list[float]] = [[], [], []]
        for number, image, normals, offsets in zip(to, paths.target_m, paths.normal, paths.offset_m, strict=True):
            for normal, offset in zip(normals[::-1], offsets[::-1], strict=True):
                image = mirrored(image, normal, offset)
            lengths[number].append(float(np.linalg.norm(image - source)))
        return [sorted(one) for one in lengths]

    expected = [lengths_of_all_paths(faces_of(place), source, target) for target in far]
    assert sum(map(len, expected)) > 10
    for ours, theirs in zip(found(30_000), expected, strict=True):
        assert np.allclose(ours, theirs, rtol=0, atol=1e-6)
    assert sum(map(len, found(100))) < sum(map(len, expected))


def test_parts_of_the_array_follow_a_shadow_that_crosses_it() -> None:
    """A wall's end hides a place from half of the array: one trace cannot say so, ten can."""
    blind = Building(footprint=((20, -6), (21, -6), (21, 0), (20, 0)), height_m=9)
    place = np.array([[40.0, 0.0, 1.5]])
    tracer = channel(Surroundings(name="screen", buildings=(blind,), ground=None), max_depth=0).prepare()
    exact = tracer.exact_channels(place)
    assert 0 < np.count_nonzero(exact) < 100
    (one, _), (ten, count) = tracer.channels(place), tracer.channels(place, 10)
    assert count[0] == 1
    assert np.count_nonzero((ten == 0) != (exact == 0)) <= 10
    assert np.count_nonzero((one == 0) != (exact == 0)) > 40


def test_few_paths_are_the_strongest_and_none_is_zero() -> None:
    box = Building(footprint=((30, -5), (40, -5), (40, 5), (30, 5)), height_m=5)
    place = Surroundings(name="box", buildings=(box,), ground=None)
    behind, inside = np.array([[60.0, 0, 1.5]]), np.array([[35.0, 0, 1.5]])
    h, paths = channel(place, max_depth=0).prepare().channels(np.concatenate([behind, inside, PLACES_M[:1]]))
    assert list(paths) == [0, 0, 1]
    assert not h[:2].any()
    assert list(indoors(place, np.concatenate([behind, inside]))) == [False, True]
    seen = in_sight(place, np.array([0, 0, 2.0]), np.concatenate([behind, PLACES_M]), 0.5)
    assert list(seen) == [False, True, True, True, True, False]
    one, _ = channel(WALL, max_depth=2, max_paths=1).prepare().channels(PLACES_M[:2])
    assert np.allclose(one, friis(distances_m(PLACES_M[:2])), rtol=1e-9)


def test_normal_incidence_and_grazing_metal() -> None:
    """Head on, both coefficients agree up to their sign convention; metal turns a vertical field over at a wall."""
    wall = SpecularPaths(
        np.array([[5.0, 0.0, 2.0]]), np.array([[[1.0, 0, 0]]]), np.array([[10.0]]), np.array([[complex(1, -1e7)]])
    )
    response = path_responses(wall, np.array([[0.0, 0.0, 2.0]]), WAVELENGTH_M, "isotropic")
    assert np.allclose(response, -friis(np.array([[15.0]])), rtol=1e-3)


def test_a_campus_is_the_same_for_the_same_seed() -> None:
    place, again = campus(Streams(3, 0)("campus")), campus(Streams(3, 0)("campus"))
    assert place == again
    assert place != campus(Streams(4, 0)("campus"))
    assert len(place.buildings) > 10
    faces = faces_of(place)
    assert np.allclose(np.linalg.norm(faces.normal, axis=-1), 1)
    assert not indoors(place, np.array([[12.0, 0.0, 1.5]])).any()
    assert Surroundings.model_validate(place.model_dump(mode="json")) == place


def test_llvm_that_is_missing_or_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", "/nowhere/libLLVM.so")
    with pytest.raises(InputError, match=r"needs LLVM 19 or newer, found /nowhere/libLLVM.so .not LLVM."):
        llvm.require_llvm()
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH")
    monkeypatch.setattr(llvm, "_version", lambda library: 16)
    monkeypatch.setattr(llvm, "_beside_python", lambda: ["/usr/lib/libLLVM-16.so"])
    monkeypatch.setattr(llvm, "_of_the_system", list)
    with pytest.raises(InputError, match=r"found /usr/lib/libLLVM-16.so .LLVM 16.: pip install 'nearfield\[rt\]'"):
        llvm.require_llvm()
    monkeypatch.setattr(llvm, "_beside_python", list)
    with pytest.raises(InputError, match="found none"):
        llvm.require_llvm()


def test_an_llvm_that_was_taken_before_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    channel(NOWHERE).prepare()
    monkeypatch.setattr("drjit.detail.llvm_version", lambda: (15, 0, 6))
    with pytest.raises(InputError, match=r"needs LLVM 19 or newer, and Dr.Jit, imported before, took 15: let DRJIT"):
        channel(NOWHERE).prepare()


def test_an_old_llvm_ends_no_process(tmp_path: Path) -> None:
    """The whole way, in a process of its own: one line instead of an abort."""
    code = (
        "from engine.channels.surroundings import Surroundings\n"
        "from engine.channels.tracing import TracedChannel\n"
        "from engine.numerics.geometry import UniformLinearArray\n"
        "TracedChannel(Surroundings(name='x'), UniformLinearArray(4, 0.01, 0.02), 2.0).prepare()\n"
    )
    environment = os.environ | {"DRJIT_LIBLLVM_PATH": "libc.so.6"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2]
    )
    assert ended.returncode == 1
    assert "InputError: ray tracing needs LLVM 19 or newer, found libc.so.6 (not LLVM)" in ended.stderr
