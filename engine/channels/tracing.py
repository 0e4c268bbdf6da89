"""Specular paths from an array to places; sionna, mitsuba and drjit are imported when one is prepared.

In a scene of Sionna RT, rays shot from the array once, at no place in particular, find the chains of planes that
reflect its waves; the image method makes of each chain and place at most one path, exactly, and ray tests say whether
anything stands in its way. `engine.channels.specular` makes the response of every element of its planes. Sionna RT's
own solver (Hoydis et al., "Sionna RT: Technical report", arXiv 2504.21719) shoots anew for each place and loses weak
paths, also with many rays (docs/multipath.md); it tells chains apart by hashes, which it says may collide. It is what
all this is held to, tracing from every element on its own.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.channels.chains import Chains
from engine.channels.edge_paths import EdgeSearch
from engine.channels.llvm import require_llvm, require_llvm_in_use
from engine.channels.materials import MATERIALS, permittivity_and_conductivity, relative_permittivity
from engine.channels.specular import Pattern, SpecularPaths, path_responses, reflection_points_m
from engine.channels.strongest import StrongestPaths, strongest_of
from engine.channels.surroundings import Faces, Surroundings, faces_of
from engine.channels.wedges import wedges_of
from engine.errors import InputError
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray

_CANDIDATES_AT_ONCE = 100_000  # chains and edges times places
_FOLLOWED_AT_ONCE = 5_000  # chains times places, a few hundred bytes each
_RAYS_AT_ONCE = 100_000
_OFF_WALL_M = 1e-3  # single precision places a point 100 m away to 1e-5 m
_GOLDEN = (math.sqrt(5) - 1) / 2
_SOLVER_CHAINS = 400  # Sionna's solver keeps for each place; in a campus 100 lose paths, 200 do not
_THICK_M = 10.0  # a half space: what enters a wall does not come back


@dataclass(frozen=True)
class TracedChannel:
    """The channel of an array in surroundings: line of sight, specular reflections, and diffraction at edges if asked.

    array: along y, centred at (0, 0, `array_height_m`). max_depth: reflections of a path, at most; 0 is line of sight,
    buildings still shadow. max_paths: of a place, the strongest that are kept. samples: rays shot from the
    array, once for all places. `nearfield convergence` measures what these three leave out. diffraction: paths over one
    edge of a building as well, the ground before or after it or not; the edge counts as a reflection in `max_depth`.
    """

    surroundings: Surroundings
    array: UniformLinearArray
    array_height_m: float
    pattern: Pattern = "tr38901"
    max_depth: int = 3
    max_paths: int = 10
    samples: int = 30_000
    diffraction: bool = False

    def element_positions_m(self) -> np.ndarray:
        """(N, 3)."""
        along = self.array.positions_m(np)
        return np.stack([np.zeros_like(along), along, np.full_like(along, self.array_height_m)], axis=-1)

    def free_space(self, position_m: np.ndarray) -> np.ndarray:
        """h to places (n, 3) with nothing else in the world: (n, N)."""
        n = len(position_m)
        paths = SpecularPaths(position_m, np.zeros((n, 0, 3)), np.zeros((n, 0)), np.zeros((n, 0), dtype=complex))
        return path_responses(paths, self.element_positions_m(), self.array.wavelength_m, self.pattern)

    def prepare(self) -> "Tracer":
        """Builds the scene; InputError where the extra or a new enough LLVM is missing."""
        return Tracer(self)


class Tracer:
    """A scene in memory. Not to be shared between processes."""

    def __init__(self, channel: TracedChannel) -> None:
        self.channel = channel
        require_llvm()
        try:
            import drjit
            import mitsuba

            mitsuba.set_variant("llvm_ad_mono_polarized")  # Sionna would take a GPU where there is one
            import sionna.rt as rt
        except ImportError:
            raise InputError("ray tracing needs Sionna RT: pip install 'nearfield[rt]'") from None
        require_llvm_in_use()
        drjit.set_thread_count(1)  # a worker owns one core, and one thread gives the same bits every time
        carrier_hz = SPEED_OF_LIGHT_M_PER_S / channel.array.wavelength_m
        faces = faces_of(channel.surroundings)
        permittivity = np.array([relative_permittivity(name, carrier_hz) for name in MATERIALS])  # type: ignore[arg-type]
        described = np.column_stack([faces.normal, faces.offset_m, faces.material]).round(9)
        _, first, self._plane_of_face = np.unique(described, axis=0, return_index=True, return_inverse=True)
        # The last plane stands for no reflection.
        self._normal = np.concatenate([faces.normal[first], np.zeros((1, 3))])
        self._offset_m = np.append(faces.offset_m[first], 0.0)
        self._permittivity = np.append(permittivity[faces.material[first]], 1.0)
        self._faces = faces
        self._scene, self._objects = _scene_of(rt, faces, carrier_hz)
        self._of_elements = _vertical(rt, "tr38901" if channel.pattern == "tr38901" else "iso")
        self._of_places = _vertical(rt, "iso")
        self._solver = rt.PathSolver()
        self._chains = self._found_chains()
        self.edges = self._edge_search(permittivity) if channel.diffraction and channel.max_depth else None

    def _edge_search(self, permittivity: np.ndarray) -> EdgeSearch | None:
        wedges = wedges_of(self.channel.surroundings)
        if not len(wedges.length_m):
            return None
        ground = int(self._plane_of_face[0]) if self.channel.surroundings.ground else None  # its faces come first
        return EdgeSearch(
            wedges, permittivity, (self._normal, self._offset_m, self._permittivity), ground, self._chains
        )

    def chains(self) -> Chains:
        """Of specular reflections, those that rays found."""
        low, high = (np.full_like(self._normal, end) for end in (np.inf, -np.inf))
        for corners in self._faces.triangles.T:
            np.minimum.at(low, self._plane_of_face, self._faces.vertices_m[corners])
            np.maximum.at(high, self._plane_of_face, self._faces.vertices_m[corners])
        return Chains(self._chains, self._normal, self._offset_m, self._permittivity, low, high, self._is_clear)

    def channels(self, position_m: np.ndarray, subarrays: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """h to places (n, 3): (n, N), and the most paths that an element has (n,); 0 paths: h = 0.

        Paths are traced from the centre of each of `subarrays` parts of the array. Where a wall's edge throws its
        shadow across the array, elements have different paths: for most users one part will do, for sensors, 100 m
        away, it will not (tests/channels/test_tracing.py).
        """
        parts = np.array_split(self.channel.element_positions_m(), subarrays)
        candidates = len(self._chains) + (len(self.edges) if self.edges is not None else 0)
        at_once = max(1, _CANDIDATES_AT_ONCE // candidates)
        found = [
            self._channels_of_some(position_m[start : start + at_once], parts)
            for start in range(0, len(position_m), at_once)
        ]
        h, count = (np.concatenate(part) for part in zip(*found, strict=True))
        return h, count

    def _channels_of_some(self, position_m: np.ndarray, parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        channel, n = self.channel, len(position_m)
        responses, counts = [], []
        for element_m in parts:
            found = self.strongest_paths(position_m, element_m.mean(axis=0))
            h = np.zeros((n, len(element_m)), dtype=complex)
            np.add.at(h, found.place, found.responses(element_m, channel.array.wavelength_m, channel.pattern))
            responses.append(h)
            counts.append(np.bincount(found.place, minlength=n))
        return np.concatenate(responses, axis=1), np.max(counts, axis=0)

    def strongest_paths(self, position_m: np.ndarray, source_m: np.ndarray) -> StrongestPaths:
        """The `max_paths` strongest from a source (3,) to each place (n, 3)."""
        channel = self.channel
        place, paths, chain = self.paths(position_m, source_m)
        over_edges = None
        if self.edges is not None:
            reflected = np.zeros((len(position_m), len(self._chains)), dtype=bool)
            reflected[place, chain] = True
            over_edges = self.edges.find(position_m, source_m, self.first_met, reflected)
        return strongest_of(
            place, paths, over_edges, most=channel.max_paths, source_m=source_m,
            wavelength_m=channel.array.wavelength_m, pattern=channel.pattern,
        )  # fmt: skip

    def paths(self, position_m: np.ndarray, source_m: np.ndarray) -> tuple[np.ndarray, SpecularPaths, np.ndarray]:
        """Reflected paths from a source (3,) to places (n, 3): of each its place, planes, and chain's number (P,)."""
        parts = math.ceil(len(position_m) * len(self._chains) / _FOLLOWED_AT_ONCE)
        numbers = np.array_split(np.arange(len(self._chains)), max(1, parts))
        found = [self._possible(position_m, source_m, chains) for chains in numbers]
        place, chain, points = (np.concatenate(part) for part in zip(*found, strict=True))
        paths = self._over(position_m[place], self._chains[chain])
        clear = self._is_clear(source_m, points, self._chains[chain], paths)
        return place[clear], SpecularPaths(*(part[clear] for part in paths)), chain[clear]

    def _possible(
        self, position_m: np.ndarray, source_m: np.ndarray, chains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places (P,) and chains (P,) whose paths meet their planes between the ends, and where, (P, D, 3)."""
        place, chain = np.tile(np.arange(len(position_m)), len(chains)), np.repeat(chains, len(position_m))
        points, possible = reflection_points_m(self._over(position_m[place], self._chains[chain]), source_m)
        return place[possible], chain[possible], points[possible]

    def _over(self, position_m: np.ndarray, planes: np.ndarray) -> SpecularPaths:
        """Paths to places (P, 3) over planes (P, D)."""
        return SpecularPaths(position_m, self._normal[planes], self._offset_m[planes], self._permittivity[planes])

    def _is_clear(
        self, source_m: np.ndarray, points_m: np.ndarray, planes: np.ndarray, paths: SpecularPaths
    ) -> np.ndarray:
        """Whether each leg ends on the plane that it should, and the last one at the place: (P,)."""
        here = np.broadcast_to(source_m, paths.target_m.shape).copy()
        clear = np.ones(len(here), dtype=bool)
        for i in range(planes.shape[1]):
            (left,) = np.nonzero(clear & (planes[:, i] >= 0))
            point, normal = points_m[left, i], paths.normal[left, i]
            met, _ = self.first_met(here[left], point - here[left])
            clear[left] = met == planes[left, i]
            side = np.sign(np.sum((here[left] - point) * normal, axis=-1))
            here[left] = point + _OFF_WALL_M * side[:, None] * normal
        (left,) = np.nonzero(clear)
        last = paths.target_m[left] - here[left]
        met, distance_m = self.first_met(here[left], last)
        clear[left] = (met < 0) | (distance_m > np.linalg.norm(last, axis=-1) - _OFF_WALL_M)
        return clear

    def _found_chains(self) -> np.ndarray:
        """Planes that rays from the array are reflected at, one after the other: (C, max_depth), −1 for none.

        Rays leave the elements in turn, evenly over the sphere (a Fibonacci lattice). Line of sight comes first.
        """
        channel = self.channel
        element_m = channel.element_positions_m()
        found = np.full((1, channel.max_depth), -1)
        for start in range(0, channel.samples, _RAYS_AT_ONCE):
            number = np.arange(start, min(start + _RAYS_AT_ONCE, channel.samples))
            up = 1 - (2 * number + 1) / channel.samples
            around = 2 * math.pi * (number * _GOLDEN % 1)
            flat = np.sqrt(1 - up * up)
            direction = np.stack([flat * np.cos(around), flat * np.sin(around), up], axis=-1)
            here = element_m[number % len(element_m)]
            chain = np.full((len(number), channel.max_depth), -1)
            for i in range(channel.max_depth):
                met, distance_m = self.first_met(here, direction)
                hits = met >= 0
                chain, met = chain[hits], met[hits]
                chain[:, i] = met
                found = np.unique(np.concatenate([found, chain]), axis=0)
                normal = self._normal[met]
                along = np.sum(direction[hits] * normal, axis=-1, keepdims=True)
                here = here[hits] + distance_m[hits, None] * direction[hits] - _OFF_WALL_M * np.sign(along) * normal
                direction = direction[hits] - 2 * along * normal
        return found

    def first_met(self, origin_m: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The plane that rays (n, 3) meet first, −1 for none, and how far away (m): (n,) each."""
        import drjit
        import mitsuba

        if not len(origin_m):
            return np.empty(0, dtype=int), np.empty(0)  # Dr.Jit ends the process at an array of none
        unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        ray = mitsuba.Ray3f(_opaque(origin_m.T), mitsuba.Vector3f(_opaque(unit.T)))
        met = self._scene.mi_scene.ray_intersect(ray, ray_flags=mitsuba.RayFlags.Minimal, coherent=False)
        found = mitsuba.UInt32(drjit.reinterpret_array(mitsuba.UInt32, met.shape)), met.prim_index, met.t
        drjit.eval(found)
        shape, primitive, distance_m = (part.numpy() for part in found)
        plane = np.full(len(origin_m), -1)
        for number, members in self._objects.items():
            here = shape == number
            plane[here] = self._plane_of_face[members[primitive[here]]]
        return plane, distance_m.astype(float)

    def exact_channels(self, position_m: np.ndarray, samples: int = 10_000) -> np.ndarray:
        """h (n, N) that Sionna RT's solver traces from every element on its own, in single precision: what `channels`
        is held to; without diffraction. A place costs `samples` rays for each element; all paths count."""
        solved = self.solve(self.channel.element_positions_m(), position_m, samples)
        return _sum_of_paths(solved)[0, :, 0, :]

    def reversed_channels(self, position_m: np.ndarray, samples: int = 10_000) -> np.ndarray:
        """As `exact_channels`, traced from the places to the elements: (n, N)."""
        solved = self.solve(position_m, self.channel.element_positions_m(), samples)
        return _sum_of_paths(solved)[0, :, 0, :].T

    def solve(
        self, source_m: np.ndarray, target_m: np.ndarray, samples: int, *, scattering: float = 0.0, **options: Any
    ) -> Any:
        """What Sionna RT's own solver finds from sources (n, 3) to targets (m, 3). scattering: coefficient S of every
        surface, 0 for none; other options are the solver's."""
        import sionna.rt as rt

        wavelength_m = self.channel.array.wavelength_m
        scene = self._joined if options.get("diffraction") else self._scene
        for material in scene.radio_materials.values():
            material.scattering_coefficient = scattering
        scene.tx_array = rt.AntennaArray(self._of_elements, _opaque(source_m.T / wavelength_m))
        scene.rx_array = rt.AntennaArray(self._of_places, _opaque(target_m.T / wavelength_m))
        chosen = {"max_depth": self.channel.max_depth, "max_num_paths_per_src": _SOLVER_CHAINS * len(target_m)}
        return self._solver(
            scene,
            samples_per_src=samples,
            synthetic_array=False,  # a synthetic array is a plane wave
            refraction=False,
            diffuse_reflection=scattering > 0,
            **(chosen | options),
        )

    @functools.cached_property
    def _joined(self) -> Any:
        """The scene with faces that share their corners: Sionna diffracts where faces meet."""
        import sionna.rt as rt

        return _scene_of(rt, self._faces, float(self._scene.frequency.numpy()[0]), joined=True)[0]


def _scene_of(rt: Any, faces: Faces, carrier_hz: float, *, joined: bool = False) -> tuple[Any, dict[int, np.ndarray]]:
    """A scene with one mesh a material; Sionna's number of each mesh → the faces in it."""
    import mitsuba

    scene = rt.load_scene()
    scene.frequency = carrier_hz
    within: dict[str, np.ndarray] = {}
    added = []
    for number, name in enumerate(MATERIALS):
        (chosen,) = np.nonzero(faces.material == number)
        if not len(chosen):
            continue
        permittivity, conductivity = permittivity_and_conductivity(name, carrier_hz)  # type: ignore[arg-type]
        points, corners = faces.vertices_m[faces.triangles[chosen].ravel()], np.arange(3 * len(chosen))
        if joined:
            points, corners = np.unique(points, axis=0, return_inverse=True)
        mesh = mitsuba.Mesh(f"of_{name}", vertex_count=len(points), face_count=len(chosen))
        parameters = mitsuba.traverse(mesh)
        parameters["vertex_positions"] = points.astype(np.float32).ravel()
        parameters["faces"] = corners.astype(np.uint32)
        parameters.update()
        material = rt.RadioMaterial(
            f"half_space_of_{name}",
            thickness=_THICK_M,
            relative_permittivity=permittivity,
            conductivity=conductivity,
        )
        added.append(rt.SceneObject(mi_mesh=mesh, name=f"of_{name}", radio_material=material))
        within[f"of_{name}"] = chosen
    if added:
        scene.edit(add=added)
    scene.add(rt.Transmitter("array", position=_opaque(np.zeros(3))))
    scene.add(rt.Receiver("places", position=_opaque(np.zeros(3))))
    return scene, {int(scene.objects[name].object_id): chosen for name, chosen in within.items()}


def _sum_of_paths(solved: Any) -> np.ndarray:
    """[receiver, its antenna, transmitter, its antenna], complex."""
    real, imaginary = solved.cfr(frequencies=[0.0], normalize_delays=False)
    return (real.numpy() + 1j * imaginary.numpy())[:, :, :, :, 0, 0]


def _vertical(rt: Any, pattern: str) -> Any:
    """A pattern by its name in Sionna, vertically polarised."""
    one = rt.PlanarArray(num_rows=1, num_cols=1, pattern=pattern, polarization="V")
    return one.antenna_pattern


def _opaque(values: np.ndarray) -> Any:
    """A point or points that Dr.Jit does not compile in: literals would recompile the kernels at each solve."""
    import drjit
    import mitsuba

    point = mitsuba.Point3f(*(mitsuba.Float(np.atleast_1d(part).astype(np.float32)) for part in values))
    drjit.make_opaque(point)
    return point
