"""Specular paths from an array to places, by Sionna RT; sionna, mitsuba and drjit are imported when one is prepared.

Hoydis et al., "Sionna RT: Technical report", arXiv 2504.21719. A path is traced once, from the centre of the array or
of a part of it, and `engine.channels.specular` makes the response of every element of its planes: a hundredth of the
rays that a trace from every element takes, and free of its single-precision phases.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.channels.llvm import require_llvm
from engine.channels.materials import MATERIALS, permittivity_and_conductivity, relative_permittivity
from engine.channels.specular import Pattern, SpecularPaths, path_responses
from engine.channels.surroundings import Faces, Surroundings, faces_of
from engine.errors import InputError
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray

_AT_ONCE = 250
"""Places traced together. Sionna tells chains of planes apart by two hash tables of 10⁶ entries for all places of a
solve, and drops what collides: more places at once would lose paths."""
_CHAINS = 400
"""Chains kept for each place; further ones would be dropped without a word: in a campus 100 lose paths, 200 do not."""
_THICK_M = 10.0  # a half space: what enters a wall does not come back
_NO_INTERACTION = 0  # in Sionna's numbers


@dataclass(frozen=True)
class TracedChannel:
    """The channel of an array in surroundings: line of sight and specular reflections.

    array: along y, centred at (0, 0, `array_height_m`). max_depth: reflections of a path, at most; 0 is line of sight,
    buildings still shadow. max_paths: of a place, the strongest that are kept. samples: rays shot from the array;
    a place costs as many ray tests. `jobs.convergence` measures what these three leave out.
    """

    surroundings: Surroundings
    array: UniformLinearArray
    array_height_m: float
    pattern: Pattern = "tr38901"
    max_depth: int = 2
    max_paths: int = 3
    samples: int = 10_000
    chains: int = _CHAINS

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
        drjit.set_thread_count(1)  # a worker owns one core, and one thread gives the same bits every time
        carrier_hz = SPEED_OF_LIGHT_M_PER_S / channel.array.wavelength_m
        faces = faces_of(channel.surroundings)
        permittivity = np.array([relative_permittivity(name, carrier_hz) for name in MATERIALS])  # type: ignore[arg-type]
        # The last one stands for no reflection.
        self._normal = np.concatenate([faces.normal, np.zeros((1, 3))])
        self._offset_m = np.append(faces.offset_m, 0.0)
        self._permittivity = np.append(permittivity[faces.material], 1.0)
        self._scene = rt.load_scene()
        self._scene.frequency = carrier_hz
        self._objects = self._add(rt, faces, carrier_hz)
        self._of_elements = _vertical(rt, "tr38901" if channel.pattern == "tr38901" else "iso")
        self._of_places = _vertical(rt, "iso")
        self._scene.add(rt.Transmitter("array", position=_opaque(np.zeros(3))))
        self._scene.add(rt.Receiver("places", position=_opaque(np.zeros(3))))
        self._solver = rt.PathSolver()

    def _add(self, rt: Any, faces: Faces, carrier_hz: float) -> dict[int, np.ndarray]:
        """One mesh a material; Sionna's number of each mesh → the faces in it."""
        import mitsuba

        within: dict[str, np.ndarray] = {}
        added = []
        for number, name in enumerate(MATERIALS):
            (chosen,) = np.nonzero(faces.material == number)
            if not len(chosen):
                continue
            permittivity, conductivity = permittivity_and_conductivity(name, carrier_hz)  # type: ignore[arg-type]
            corners = faces.triangles[chosen].ravel()
            mesh = mitsuba.Mesh(f"of_{name}", vertex_count=len(corners), face_count=len(chosen))
            parameters = mitsuba.traverse(mesh)
            parameters["vertex_positions"] = faces.vertices_m[corners].astype(np.float32).ravel()
            parameters["faces"] = np.arange(len(corners), dtype=np.uint32)
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
            self._scene.edit(add=added)
        return {int(self._scene.objects[name].object_id): chosen for name, chosen in within.items()}

    def channels(self, position_m: np.ndarray, subarrays: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """h to places (n, 3): (n, N), and the most paths that an element has (n,); 0 paths: h = 0.

        Paths are traced from the centre of each of `subarrays` parts of the array. Where a wall's edge throws its
        shadow across the array, elements have different paths: for most users one part will do, for sensors, 100 m
        away, it will not (tests/channels/test_tracing.py).
        """
        parts = np.array_split(self.channel.element_positions_m(), subarrays)
        found = [
            self._channels_of_some(position_m[start : start + _AT_ONCE], parts)
            for start in range(0, len(position_m), _AT_ONCE)
        ]
        h, count = (np.concatenate(part) for part in zip(*found, strict=True))
        return h, count

    def _channels_of_some(self, position_m: np.ndarray, parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        channel, n = self.channel, len(position_m)
        centre_m = np.stack([part.mean(axis=0) for part in parts])
        place, source, paths = self.paths(position_m, centre_m)
        responses, counts = [], []
        for number, element_m in enumerate(parts):
            mine = source == number
            to, those = place[mine], SpecularPaths(*(part[mine] for part in paths))
            at_centre = path_responses(
                those, centre_m[number : number + 1], channel.array.wavelength_m, channel.pattern
            )
            kept = _strongest(to, np.abs(at_centre[:, 0]), channel.max_paths)
            those = SpecularPaths(*(part[kept] for part in those))
            h = np.zeros((n, len(element_m)), dtype=complex)
            np.add.at(h, to[kept], path_responses(those, element_m, channel.array.wavelength_m, channel.pattern))
            responses.append(h)
            counts.append(np.bincount(to[kept], minlength=n))
        return np.concatenate(responses, axis=1), np.max(counts, axis=0)

    def paths(self, position_m: np.ndarray, source_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, SpecularPaths]:
        """All paths from sources (A, 3) to places: the place (P,) and source (P,) of each, and its planes."""
        solved = self._solve(source_m, position_m)
        place, source, path = np.nonzero(solved.valid.numpy()[0, :, 0, :])
        happens, shape, primitive = (
            part.numpy()[:, 0, :, 0, :].transpose(1, 2, 3, 0)[place, source, path]
            for part in (solved.interactions, solved.objects, solved.primitives)
        )  # (P, D) each
        face = np.full(happens.shape, -1)
        for number, members in self._objects.items():
            here = (shape == number) & (happens != _NO_INTERACTION)
            face[here] = members[primitive[here]]
        planes = self._normal[face], self._offset_m[face], self._permittivity[face]
        return place, source, SpecularPaths(position_m[place], *planes)

    def exact_channels(self, position_m: np.ndarray) -> np.ndarray:
        """h (n, N) traced from every element on its own, in Sionna's single precision: what `channels` is held to.

        N times the rays; with `max_paths` ignored.
        """
        solved = self._solve(self.channel.element_positions_m(), position_m)
        return _sum_of_paths(solved)[0, :, 0, :]

    def reversed_channels(self, position_m: np.ndarray) -> np.ndarray:
        """As `exact_channels`, traced from the places to the elements: (n, N)."""
        solved = self._solve(position_m, self.channel.element_positions_m())
        return _sum_of_paths(solved)[0, :, 0, :].T

    def _solve(self, source_m: np.ndarray, target_m: np.ndarray) -> Any:
        import sionna.rt as rt

        wavelength_m = self.channel.array.wavelength_m
        self._scene.tx_array = rt.AntennaArray(self._of_elements, _opaque(source_m.T / wavelength_m))
        self._scene.rx_array = rt.AntennaArray(self._of_places, _opaque(target_m.T / wavelength_m))
        return self._solver(
            self._scene,
            max_depth=self.channel.max_depth,
            max_num_paths_per_src=self.channel.chains * len(target_m),
            samples_per_src=self.channel.samples,
            synthetic_array=False,  # a synthetic array is a plane wave
            refraction=False,
        )


def _strongest(place: np.ndarray, strength: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most `most` of the paths to each place, the strongest first: place, strength (P,)."""
    order = np.lexsort((-strength, place))
    sorted_place = place[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_place, sorted_place)
    return order[rank < most]


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
