"""Diffraction at edges against exact solutions, brute force and Sionna RT's solver, and what holds for any wedge."""

import math
from typing import Any

import numpy as np
import pytest
from test_tracing import first_met

from engine.channels import diffraction
from engine.channels.diffraction import DiffractedPaths, Edges, Planes, diffracted_responses, unfolded
from engine.channels.materials import relative_permittivity
from engine.channels.specular import SpecularPaths, path_responses
from engine.channels.strongest import DIFFRACTION
from engine.channels.surroundings import Building, Surroundings, faces_of, indoors
from engine.channels.tracing import TracedChannel
from engine.channels.utd import boundary_offsets_rad, boundary_terms, diffraction_matrix, face_reflection
from engine.channels.wedges import wedges_of
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray

CARRIER_HZ = 15e9
WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / CARRIER_HZ
METAL = 1 - 1e14j
HEIGHT_M = 2.0


def coefficients(n: float, incident: float, diffracted: float, reach: float) -> tuple[float, float]:
    """√k D of a perfect conductor for a field along the edge, and for one across it, as Kouyoumjian and Pathak sign
    them."""
    matrix = diffraction_matrix(
        np.array(n * np.pi), np.array(incident), np.array(diffracted),
        cosine=np.array(0.0), reach=np.array(reach), permittivity=np.array(METAL),
    )  # fmt: skip
    return -matrix[1, 1], -matrix[0, 0]


def of_optics(n: float, incident: float, diffracted: float, reach: float, sign: int) -> complex:
    """The plane wave and its reflections where there are any, at kρ = reach."""
    apart, together = diffracted - incident, diffracted + incident
    found = np.exp(1j * reach * np.cos(apart)) if abs(apart) < np.pi else 0
    found += sign * np.exp(1j * reach * np.cos(together)) if together < np.pi else 0
    beyond = 2 * n * np.pi - together
    return found + (sign * np.exp(1j * reach * np.cos(beyond)) if beyond < np.pi else 0)


def exact_wedge(n: float, incident: float, diffracted: float, reach: float, sign: int) -> complex:
    """The field of a plane wave at a perfectly conducting wedge, by separation of variables."""
    from scipy.special import jv

    order = np.arange(600) / n
    wave = np.sin if sign < 0 else np.cos
    weight = np.where(order == 0, 2.0 if sign > 0 else 0.0, 4.0) / n
    return complex(
        np.sum(
            weight * np.exp(0.5j * np.pi * order) * jv(order, reach) * wave(order * incident) * wave(order * diffracted)
        )
    )


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_conducting_wedge_as_separation_of_variables_has_it(sign: int) -> None:
    random = np.random.default_rng(11)
    errors, without = [], []
    for _ in range(60):
        n, reach = random.uniform(1.02, 2.0), random.uniform(20, 120)
        incident, diffracted = random.uniform(0.05, n * np.pi - 0.05, 2)
        d = coefficients(n, incident, diffracted, reach)[0 if sign < 0 else 1]
        optics, exact = (f(n, incident, diffracted, reach, sign) for f in (of_optics, exact_wedge))
        errors.append(abs(optics + d * np.exp(-1j * reach) / np.sqrt(reach) - exact))
        without.append(abs(optics - exact))
    assert max(errors) < 4e-3  # the next term of the asymptotic series, 1/(kρ)^1.5
    assert np.median(without) > 0.02


def test_a_half_plane_as_sommerfeld_has_it() -> None:
    """For n = 2 the theory is exact: Sommerfeld's solution, its Fresnel integral by the trapezoidal rule."""
    t = np.linspace(0, 9, 20_001)

    def fresnel(x: float) -> complex:
        """e^{jπ/4}/√π ∫_{−∞}^x e^{−jt²} dt, along a path on which it decays."""
        if x > 0:
            return 1 - fresnel(-x)
        turned = np.exp(-0.25j * np.pi)
        return complex(np.trapezoid(np.exp(-1j * (x - t * turned) ** 2), t) / np.sqrt(np.pi))

    random = np.random.default_rng(5)
    for _ in range(20):
        reach = random.uniform(1, 60)
        incident, diffracted = random.uniform(0.1, 2 * np.pi - 0.1, 2)
        for sign, d in zip((-1, 1), coefficients(2, incident, diffracted, reach), strict=True):
            exact = sum(
                amount * np.exp(1j * reach * np.cos(angle)) * fresnel(np.sqrt(2 * reach) * np.cos(angle / 2))
                for amount, angle in ((1, diffracted - incident), (sign, diffracted + incident))
            )
            ours = of_optics(2, incident, diffracted, reach, sign) + d * np.exp(-1j * reach) / np.sqrt(reach)
            assert abs(ours - exact) < 1e-6


def random_edge(random: np.random.Generator, permittivity: complex) -> tuple[Edges, np.ndarray, float]:
    """Somewhere, along any direction; its frame (tangent, normal, along) as rows, and nπ."""
    frame = np.linalg.qr(random.standard_normal((3, 3)))[0]
    frame[2] = np.cross(frame[0], frame[1])
    exterior = random.uniform(1.1, 1.95) * np.pi
    edge = Edges(
        random.uniform(-3, 3, (1, 3)), frame[2][None], frame[1][None], np.array([exterior]), np.array([permittivity])
    )
    return edge, frame, exterior


def none(columns: int = 1) -> Planes:
    return Planes(np.zeros((1, columns, 3)), np.zeros((1, columns)), np.ones((1, columns), dtype=complex))


def around(edge: Edges, frame: np.ndarray, off_m: float, azimuth: float, along_m: float) -> np.ndarray:
    return edge.origin_m[0] + (off_m * np.cos(azimuth), off_m * np.sin(azimuth), along_m) @ frame


def paths_over(
    edge: Edges, target: np.ndarray, before: Planes | None = None, after: Planes | None = None
) -> DiffractedPaths:
    return DiffractedPaths(target[None], before or none(), edge, after or none(), np.zeros((1, 4)))


def free(target: np.ndarray, source: np.ndarray, *planes: tuple[np.ndarray, float, complex]) -> complex:
    """A reflected path as if nothing stood in its way."""
    depth = len(planes)
    path = SpecularPaths(
        target[None],
        np.array([one[0] for one in planes]).reshape(1, depth, 3),
        np.array([one[1] for one in planes]).reshape(1, depth),
        np.array([one[2] for one in planes], dtype=complex).reshape(1, depth),
    )
    return complex(path_responses(path, source[None], WAVELENGTH_M, "tr38901")[0, 0])


def test_the_field_has_no_edge_where_a_shadow_has() -> None:
    """Lossy wedges anywhere, waves from anywhere: line of sight and reflections end at their boundaries, the sum does
    not."""
    random = np.random.default_rng(23)
    ends = {"passing": 0, "face 0": 0, "face n": 0}
    for _ in range(120):
        permittivity = complex(random.uniform(2, 8), -random.uniform(0, 2))
        edge, frame, exterior = random_edge(random, permittivity)
        incident = random.uniform(0.1, exterior - 0.1)
        source = around(edge, frame, random.uniform(5, 100), incident, random.uniform(-20, 20))
        off_m, along_m = random.uniform(5, 60), random.uniform(-20, 20)
        tangent_n = np.array([np.cos(exterior), np.sin(exterior), 0])
        face_n = np.cross(frame[2], tangent_n @ frame)  # either way: a plane
        faces = {
            "face 0": (frame[1], float(frame[1] @ edge.origin_m[0]), permittivity),
            "face n": (face_n, float(face_n @ edge.origin_m[0]), permittivity),
        }
        for name, boundary, lit_below in (
            ("passing", incident + np.pi, True), ("passing", incident - np.pi, False),
            ("face 0", np.pi - incident, True), ("face n", 2 * exterior - np.pi - incident, False),
        ):  # fmt: skip
            if not 0.05 < boundary < exterior - 0.05:
                continue
            total, alone = [], []
            for step in (-1e-7, 1e-7):
                target = around(edge, frame, off_m, boundary + step, along_m)
                lit = (step < 0) == lit_below
                wave = free(target, source, *((faces[name],) if name in faces else ())) if lit else 0
                thrown = diffracted_responses(paths_over(edge, target), source[None], WAVELENGTH_M, "tr38901")[0, 0]
                total.append(wave + thrown)
                alone.append(wave)
            jump = abs(alone[1] - alone[0])
            assert abs(total[1] - total[0]) < 1e-3 * jump, name
            assert abs(total[0]) == pytest.approx(jump / 2, rel=0.15) or name != "passing" or exterior < 1.3 * np.pi
            ends[name] += 1
    assert min(ends.values()) > 20


def test_reciprocity() -> None:
    """There and back over lossy edges, with a reflection before or after; isotropic ends."""
    random = np.random.default_rng(31)
    ground = Planes(np.array([[[0.0, 0, 1]]]), np.array([[-9.0]]), np.array([[5 - 0.4j]]))
    for number in range(60):
        edge, frame, exterior = random_edge(random, complex(random.uniform(2, 8), -random.uniform(0, 2)))
        here, there = (
            around(edge, frame, random.uniform(2, 40), random.uniform(0.05, exterior - 0.05), random.uniform(-9, 9))
            for _ in range(2)
        )
        before, after = (ground if number % 3 == which else None for which in (1, 2))
        way = diffracted_responses(paths_over(edge, there, before, after), here[None], WAVELENGTH_M, "isotropic")
        back = diffracted_responses(paths_over(edge, here, after, before), there[None], WAVELENGTH_M, "isotropic")
        assert np.isfinite(way).all()
        assert way[0, 0] == pytest.approx(back[0, 0], rel=1e-9, abs=1e-14)


def test_the_point_is_where_the_way_is_shortest() -> None:
    from scipy.optimize import minimize_scalar

    random = np.random.default_rng(2)
    plane = np.array([0.2, -0.3, 0.93])
    plane /= np.linalg.norm(plane)
    mirror = Planes(plane[None, None], np.array([[-14.0]]), np.array([[5 - 1j]]))
    for _ in range(10):
        edge, frame, exterior = random_edge(random, 5 - 1j)
        source, target = (around(edge, frame, random.uniform(2, 9), random.uniform(0, exterior), z) for z in (-4, 7))
        seen = unfolded(paths_over(edge, target, mirror), source[None])
        image = source - 2 * (source @ plane + 14) * plane

        def length(t: float) -> float:
            point = edge.origin_m[0] + t * edge.along[0]  # noqa: B023  used at once
            return float(np.linalg.norm(point - image) + np.linalg.norm(target - point))  # noqa: B023

        assert seen.along_m[0, 0] == pytest.approx(minimize_scalar(length, bracket=(-50, 50)).x, abs=1e-5)


def test_edges_of_buildings() -> None:
    """Corners that look outward, rims of roofs, undersides; whichever way the ring runs."""
    square = ((10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0))
    corner_out = (*square[:2], (20.0, 15.0), (15.0, 15.0), (15.0, 20.0), (10.0, 20.0))
    yard = ((12.0, 12.0), (14.0, 12.0), (14.0, 14.0), (12.0, 14.0))

    def edges(**fields: Any) -> Any:
        return wedges_of(Surroundings(name="x", buildings=(Building(height_m=5, **fields),)))

    assert len(edges(footprint=square).length_m) == 4 + 4
    assert len(edges(footprint=square, base_m=2).length_m) == 4 + 4 + 4
    assert len(edges(footprint=corner_out).length_m) == 5 + 6
    assert len(edges(footprint=square, holes=(yard,)).length_m) == 8 + 4  # a yard's corners look inward
    straight = (square[0], (15.0, 10.0), *square[1:])
    assert len(edges(footprint=straight).length_m) == 4 + 5
    for footprint in (square, square[::-1], corner_out[::-1]):
        found = edges(footprint=footprint, base_m=2)
        assert np.allclose(found.exterior_rad, 1.5 * np.pi)
        assert set(found.length_m.round(9)) <= {3.0, 5.0, 10.0}
        tangent = np.cross(found.normal[:, 0], found.along)
        middle = found.origin_m + found.length_m[:, None] / 2 * found.along
        place = Surroundings(name="x", buildings=(Building(footprint=footprint, height_m=5, base_m=2),))
        assert indoors(place, middle + 0.01 * tangent - 0.001 * found.normal[:, 0]).all()
        assert indoors(place, middle - 0.001 * found.normal.sum(axis=1)).all()
        assert not indoors(place, middle + 0.001 * found.normal[:, 1] - 0.001 * found.normal[:, 0]).any()
        assert not indoors(place, middle + 0.01 * tangent + 0.001 * found.normal[:, 0]).any()
    assert len(wedges_of(Surroundings(name="meadow")).length_m) == 0


def test_where_houses_stand_against_each_other_is_no_edge() -> None:
    """A row of two as high as each other has the edges of one long house, cut at the seam; a low neighbour leaves what
    looks over it, and one that covers half of a wall leaves the other half."""

    def house(x0: float, x1: float, y1: float = 20.0, height_m: float = 5.0, **fields: Any) -> Building:
        return Building(footprint=((x0, 10), (x1, 10), (x1, y1), (x0, y1)), height_m=height_m, **fields)

    def lengths(*buildings: Building) -> list[float]:
        found = wedges_of(Surroundings(name="row", buildings=buildings))
        return sorted(found.length_m.round(1).tolist())

    assert lengths(house(10, 20)) == [5.0] * 4 + [10.0] * 4
    assert lengths(house(10, 20), house(20, 30)) == [5.0] * 4 + [10.0] * 6
    assert lengths(house(10, 20), house(22, 32)) == [5.0] * 8 + [10.0] * 8
    low = lengths(house(10, 20), house(20, 30, height_m=3.0))
    assert low == [2.0] * 2 + [3.0] * 2 + [5.0] * 2 + [10.0] * 7  # the low one's rim ends at the wall
    short = lengths(house(10, 20), house(20, 30, y1=15.0))
    assert short == [5.0] * 7 + [10.0] * 5  # corners of the long one, the short one's, three rims of 5 m
    assert lengths(house(10, 20), house(10, 20, height_m=8.0, base_m=5.0)) == [3.0] * 4 + [5.0] * 4 + [10.0] * 4


STREET = Surroundings(
    name="street",
    buildings=tuple(
        Building(footprint=((x, y), (x + 12, y), (x + 12, y + 9), (x, y + 9)), height_m=height, material="brick")
        for x, y, height in ((14, 5, 3.0), (40, -7, 6.0), (20, -24, 4.0))
    ),
)


def channel(place: Surroundings, n_elements: int = 4, **changes: Any) -> TracedChannel:
    fields: dict[str, Any] = {"pattern": "isotropic", "max_depth": 3, "max_paths": 1000, "diffraction": True} | changes
    return TracedChannel(place, UniformLinearArray(n_elements, WAVELENGTH_M / 2, WAVELENGTH_M), HEIGHT_M, **fields)


def test_no_path_over_an_edge_is_lost() -> None:
    """All edges with and without the ground, tried in a loop: Fermat's point by bisection, legs against triangles."""
    faces, source = faces_of(STREET), np.array([0.0, 0.0, HEIGHT_M])
    targets = np.array([(9.0, -4.0, 1.5), (38.0, 8.0, 1.5), (60.0, 3.0, 1.5), (33.0, -20.0, 1.5), (30.0, 10.0, 9.0)])
    expected: list[list[float]] = [[] for _ in targets]
    edges = []
    for building in STREET.buildings:
        ring, top = np.array(building.footprint), building.height_m
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            edges += [((*a, 0.0), (*a, top)), ((*a, top), (*b, top))]
    down = np.array([1.0, 1.0, -1.0])
    for number, target in enumerate(targets):
        for start, end in np.array(edges):
            for before in (False, True):
                for after in (False, True):
                    s, t = (end_m * (down if over else 1) for end_m, over in ((source, before), (target, after)))

                    def slope(x: float, a: np.ndarray = start, b: np.ndarray = end, s: Any = s, t: Any = t) -> float:
                        point, along = a + x * (b - a), (b - a) / np.linalg.norm(b - a)
                        return float(along @ (point - s) / np.linalg.norm(point - s)
                                     + along @ (point - t) / np.linalg.norm(point - t))  # fmt: skip

                    low, high = 0.0, 1.0
                    if slope(low) > 0 or slope(high) < 0:
                        continue
                    for _ in range(60):
                        low, high = (low, (low + high) / 2) if slope((low + high) / 2) > 0 else ((low + high) / 2, high)
                    point = start + low * (end - start)
                    centre = np.mean([np.mean([start[:2], end[:2]], axis=0)], axis=0)
                    home = min(STREET.buildings, key=lambda b: np.linalg.norm(np.mean(b.footprint, axis=0) - centre))
                    out = point[:2] - np.mean(home.footprint, axis=0)
                    point = point + 2e-4 * np.array([*np.sign(out), 1.0]) * [1, 1, float(start[2] == end[2])]
                    legs = []
                    for foot, over in ((source, before), (target, after)):
                        share = foot[2] / (foot[2] + point[2])
                        bounce = np.array([*(foot[:2] + share * (point[:2] - foot[:2])), 1e-9])
                        legs += [(foot, bounce), (bounce, point)] if over else [(foot, point)]
                    if all(first_met(faces, *leg) is None for leg in legs):
                        expected[number].append(sum(float(np.linalg.norm(b - a)) for a, b in legs))
    tracer = channel(STREET).prepare()
    found = tracer.strongest_paths(targets, source)
    points, kind = found.vertices_m(source)
    ours: list[list[float]] = [[] for _ in targets]
    for place, corners, kinds in zip(found.place, points, kind, strict=True):
        if DIFFRACTION in kinds:
            way = np.array([source, *corners[kinds != 0], targets[place]])
            ours[place].append(float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum()))
    assert sum(map(len, expected)) > 40
    for mine, brute in zip(ours, expected, strict=True):
        assert np.allclose(sorted(mine), sorted(brute), rtol=0, atol=1e-3)


def as_sionna_rt(
    exterior_rad: np.ndarray, incident_rad: np.ndarray, diffracted_rad: np.ndarray, *, cosine: np.ndarray,
    reach: np.ndarray, permittivity: np.ndarray, side: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """What Sionna RT 2.2.0 makes of the same terms: R₀ (D₁ − D₄) + Rₙ (D₂ − D₃), both at the source's angles, face 0
    being what the source sees, and Rₙ = −1 where it sees that alone. Its reflection terms have the other sign."""
    exterior, incident, diffracted = np.broadcast_arrays(exterior_rad, incident_rad, diffracted_rad)
    swap = incident >= np.pi
    incident, diffracted = (np.where(swap, exterior - angle, angle) for angle in (incident, diffracted))
    cosine = np.where(swap, -cosine, cosine)
    d = boundary_terms(boundary_offsets_rad(exterior, incident, diffracted), exterior, np.sqrt(1 - cosine**2), reach)
    r_0, r_n = (
        face_reflection(incident, cosine, permittivity),
        face_reflection(exterior - incident, -cosine, permittivity),
    )
    r_n = np.where((exterior > np.pi + incident)[..., None, None], -np.eye(2), r_n)
    return (d[0] - d[3])[..., None, None] * r_0 + (d[1] - d[2])[..., None, None] * r_n


def test_paths_as_sionna_rt_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its solver's diffracted paths without reflections: the same points, and, with its own combination of the four
    terms, the same gains; with ours those differ."""
    targets = np.array([(9.0, -4.0, 1.5), (28.0, 4.2, 1.5), (60.0, 8.0, 1.5), (54.0, 5.0, 1.5), (34.0, -20.0, 1.5)])
    source = np.array([0.0, 0.0, HEIGHT_M])
    tracer = channel(STREET, max_depth=1).prepare()

    def ours() -> Any:
        found = tracer.strongest_paths(targets, source)
        points, kind = found.vertices_m(source)
        diffracted = kind[:, 0] == DIFFRACTION
        return found.place[diffracted], points[diffracted, 0], found.gain[diffracted]

    place, points, gain = ours()
    monkeypatch.setattr(diffraction, "diffraction_matrix", as_sionna_rt)
    again = ours()
    assert np.array_equal(again[0][np.lexsort(again[1].T)], place[np.lexsort(points.T)])
    compared, apart = 0, []
    for number, target in enumerate(targets):
        solved = tracer.solve(source[None], target[None], 100_000, diffraction=True)
        kinds = np.array(solved.interactions).reshape(1, -1)[0]
        theirs = np.array(solved.vertices).reshape(1, -1, 3)[0][kinds == DIFFRACTION]
        gains = (np.array(solved.a[0]) + 1j * np.array(solved.a[1])).reshape(-1)[kinds == DIFFRACTION]
        tau = np.array(solved.tau).reshape(-1)[kinds == DIFFRACTION]
        gains = gains * np.exp(-2j * np.pi * CARRIER_HZ * tau.astype(float))
        for point, one in zip(theirs, gains, strict=True):
            mine = np.flatnonzero((again[0] == number) & (np.linalg.norm(again[1] - point, axis=1) < 0.01))
            assert len(mine) == 1, (number, point)
            assert abs(abs(again[2][mine[0]]) / abs(one) - 1) < 0.01
            assert abs(np.angle(again[2][mine[0]] / one)) < 0.05  # single precision
            same = np.flatnonzero((place == number) & (np.linalg.norm(points - point, axis=1) < 0.01))
            apart.append(abs(abs(gain[same[0]]) / abs(one) - 1))
            compared += 1
    assert compared >= 8
    assert max(apart) > 0.2


def test_sionna_rts_reflection_terms_have_the_other_sign() -> None:
    """Where a conductor's reflection ends, what it makes of the terms jumps by twice that, and ours by nothing."""
    for boundary, incident in ((np.pi - 0.8, 0.8), (3 * np.pi - np.pi - 2.0, 2.0)):
        known: dict[str, Any] = {"cosine": np.array(0.0), "reach": np.array(1e4), "permittivity": np.array(METAL)}
        for combined, expected in ((diffraction_matrix, 0.0), (as_sionna_rt, 2.0)):
            lit, dark = (
                combined(np.array(1.5 * np.pi), np.array(incident), np.array(boundary + step), **known)
                for step in ((-1e-9, 1e-9) if incident < 1 else (1e-9, -1e-9))
            )
            reflected = np.sqrt(1e4) * np.diag([-1.0, 1.0])  # √L of the wave that ends
            assert np.allclose(lit + reflected - dark, expected * reflected, atol=1e-3)


def test_a_shadow_that_crosses_the_array() -> None:
    """Traced once, from the centre, every element has what it has when traced by itself; without diffraction it has
    not. And no element's power jumps."""
    blind = Building(
        footprint=((19, -6), (21, -6), (20, 0)), height_m=9
    )  # one edge; two in a line need two diffractions
    place = np.array([[40.0, 0.03, 1.5], [45.0, -0.1, 1.5]])
    screen = Surroundings(name="screen", buildings=(blind,), ground="asphalt")
    tracer = channel(screen, 100).prepare()
    (one, _), (each, count) = tracer.channels(place), tracer.channels(place, 100)
    assert count.min() >= 3
    assert np.linalg.norm(one - each, axis=1) == pytest.approx([0, 0], abs=2e-3 * np.linalg.norm(each))
    blunt = channel(screen, 100, diffraction=False).prepare()
    (coarse, _), (fine, _) = blunt.channels(place), blunt.channels(place, 100)
    assert (np.linalg.norm(coarse - fine, axis=1) > 0.3 * np.linalg.norm(fine, axis=1)).all()
    assert np.abs(np.diff(np.abs(each), axis=1)).max() < 0.25 * np.abs(each).max()
    assert np.abs(np.diff(np.abs(fine), axis=1)).max() > 0.5 * np.abs(fine).max()


def test_a_reflection_that_ends_within_the_array() -> None:
    """The same where a wall's end leaves a part of the array without its reflection, at either face of the corner."""
    wall = Building(footprint=((20, 5), (30, 5), (30, 15), (20, 15)), height_m=9)
    place = np.array([[40.0, 0.02, 1.5]])
    for footprint in (wall.footprint, tuple((x, -y) for x, y in wall.footprint)):
        house = Surroundings(name="house", buildings=(wall.model_copy(update={"footprint": footprint}),), ground=None)
        (one, _), (each, _) = (channel(house, 100).prepare().channels(place, parts) for parts in (1, 100))
        assert np.linalg.norm(one - each) < 1e-2 * np.linalg.norm(each)
        blunt = channel(house, 100, diffraction=False).prepare()
        assert np.linalg.norm(np.subtract(*(blunt.channels(place, n)[0] for n in (1, 100)))) > 0.05 * np.linalg.norm(
            each
        )


def test_a_place_does_not_depend_on_its_batch_and_shadows_are_reached() -> None:
    tracer = channel(STREET, 8).prepare()
    random = np.random.default_rng(1)
    places = np.column_stack([random.uniform(5, 80, 40), random.uniform(-30, 30, 40), np.full(40, 1.5)])
    together, count = tracer.channels(places)
    alone = np.concatenate([tracer.channels(places[i : i + 1])[0] for i in range(40)])
    assert np.array_equal(together, alone)
    _, before = channel(STREET, 8, diffraction=False).prepare().channels(places)
    assert np.count_nonzero(count == 0) < np.count_nonzero(before == 0)
    assert channel(STREET, max_depth=0).prepare().channels(places)[1].max() <= 1  # it is one of the interactions
    meadow = channel(Surroundings(name="meadow")).prepare().channels(places)[1]
    assert meadow.max() == 2


def test_pieces_of_the_formula() -> None:
    """A perfect conductor turns (φ̂, β̂) into (−, +); continuing a term beyond its boundary adds the wave that ended."""
    reflected = face_reflection(np.array([0.3, 1.5, 2.9]), np.array([0.0, 0.4, -0.8]), np.array(METAL))
    assert np.allclose(reflected, np.diag([-1.0, 1.0]), atol=1e-6)
    head_on = face_reflection(np.array(np.pi / 2), np.array(0.0), np.array(relative_permittivity("brick", CARRIER_HZ)))
    assert np.allclose(head_on, head_on[1, 1] * np.diag([-1.0, 1.0]))
    offset, reach = np.array(-1e-4), np.array(300.0)
    own, continued = (
        boundary_terms(offset, np.array(4.0), np.array(1.0), reach, side) for side in (None, np.array(1.0))
    )
    assert continued - own == pytest.approx(-math.sqrt(reach), rel=1e-5)
