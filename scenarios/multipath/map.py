"""Fig. 2 under real propagation: what a focused beam leaks over an area with buildings, in dBm.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D. A realization is a place of the map: tracing it is resumed and
distributed as everything else.
"""

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from engine import InputError, Streams, Sweep
from engine.channels.surroundings import indoors
from engine.scenario import Simulate, Variables
from engine.sweep import TextTable, scenario_of
from scenarios.multipath.outlines import outline
from scenarios.multipath.scene import MultipathScene, Users, channels_to_users, require_host

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_INK, _WALL, _ROOF = "#2b2b2b", "#3c3c3c", "#d9d4cc"
_SHOWN_DB = 60.0
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COARSE = 2


class Places(NamedTuple):
    """One block of places of the map."""

    number: np.ndarray
    """(B,)"""


class MultipathMap(MultipathScene):
    """Received power at the points of a lattice over the area, the beam being focused on one user.

    Realization i is a point: first every second one in each direction, then those between, so that a quarter of the
    realizations is a whole map, half as fine.
    """

    code_version: ClassVar[int] = 4

    focus_range_m: float = Field(8.0, gt=0, description="range of the focal point")
    focus_angle_rad: float = Field(math.pi / 3, gt=0, lt=math.pi, description="angle of the focal point")
    transmit_dbm: float = Field(23.0, description="transmit power P_t")
    spacing_m: float = Field(1.0, gt=0.05, description="between points of the finer map")

    @model_validator(mode="after")
    def _focus_at_its_height(self) -> Self:
        if self.focus_range_m * math.sin(self.focus_angle_rad) <= abs(self.user_height_m - self.array_height_m):
            raise ValueError(
                f"focus_range_m = {self.focus_range_m:g} at {self.focus_angle_rad:g} rad is nearer to the array's axis "
                f"than user_height_m is to array_height_m: needed a point farther out"
            )
        return self

    def shape(self) -> tuple[int, int]:
        """Points across (x) and along (y), even numbers."""
        place = self.surroundings
        spans = place.east_m - place.west_m, place.north_m - place.south_m
        return tuple(_COARSE * max(1, round(span / self.spacing_m / _COARSE)) for span in spans)  # type: ignore[return-value]

    def lattice(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column and row of points by their index (n,), which starts anew beyond the last one."""
        columns, rows = (size // _COARSE for size in self.shape())
        part, within = np.divmod(index % (_COARSE * _COARSE * columns * rows), columns * rows)
        return _COARSE * (within % columns) + part % _COARSE, _COARSE * (within // columns) + part // _COARSE

    def position_m(self, index: np.ndarray) -> np.ndarray:
        """(n, 3)."""
        place, (columns, rows) = self.surroundings, self.shape()
        column, row = self.lattice(index)
        x = place.west_m + (column + 0.5) * (place.east_m - place.west_m) / columns
        y = place.south_m + (row + 0.5) * (place.north_m - place.south_m) / rows
        return np.stack([x, y, np.full(len(x), self.user_height_m)], axis=-1)

    def draw(self, streams: Streams, size: int) -> Places:
        return Places(streams.block * size + np.arange(size))

    def prepare(self, xp: Any) -> Simulate:
        require_host(xp)
        place = self.surroundings
        channels = channels_to_users(self.channel(), abs(self.user_height_m - self.array_height_m))  # of any place
        focus = self.user_position_m(Users(np.array([self.focus_range_m]), np.array([self.focus_angle_rad])))
        h, paths = channels(focus)
        if not paths[0] or indoors(place, focus)[0]:
            raise InputError(
                f"focus_range_m = {self.focus_range_m:g}, focus_angle_rad = {self.focus_angle_rad:g}: the point is in "
                f"a building or no path leads there; choose another"
            )
        beam = self.beams(h)[0]

        def simulate(realizations: Places, *, intermediates: bool = False) -> Variables:
            position = self.position_m(realizations.number)
            outside = ~indoors(place, position)
            field = np.zeros(len(position), dtype=complex)
            if outside.any():
                field[outside] = np.conj(channels(position[outside])[0]) @ beam
            with np.errstate(divide="ignore"):
                power = self.transmit_dbm + 20 * np.log10(np.abs(field))
            return {
                "power_dbm": (
                    ("realization",),
                    np.where(np.isfinite(power), power, np.nan),
                    {"units": "dBm", "long_name": "received power; none indoors or where no path leads"},
                )
            }

        return simulate


def leakage_over_the_area(results: "xarray.Dataset") -> "Figure":
    """The map, with the buildings, the array and the focal point."""
    from matplotlib import colormaps
    from matplotlib.collections import PatchCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

    scene = scenario_of(results, MultipathMap)
    power = results.power_dbm.values[: math.prod(scene.shape())]
    grid = _spread(scene, power)
    place = scene.surroundings
    figure = Figure(figsize=(11.0, 7.2), layout="constrained")
    axes = figure.subplots()
    highest = float(np.ceil(np.nanquantile(power, 0.995) / 5) * 5)
    colours = colormaps["magma"].with_extremes(bad="#0a0712")
    image = axes.imshow(
        grid, origin="lower", extent=(place.west_m, place.east_m, place.south_m, place.north_m), cmap=colours,
        vmin=highest - _SHOWN_DB, vmax=highest, interpolation="nearest",
    )  # fmt: skip
    patches = [PathPatch(outline(building)) for building in place.buildings]
    axes.add_collection(PatchCollection(patches, facecolor=_ROOF, edgecolor=_WALL, linewidth=1.0))
    half_m = scene.array().aperture_m / 2
    axes.plot([0, 0], [-half_m, half_m], color="#3fa7d6", linewidth=4, solid_capstyle="butt")
    (focus,) = scene.user_position_m(Users(np.array([scene.focus_range_m]), np.array([scene.focus_angle_rad])))
    axes.plot(focus[0], focus[1], "o", markersize=9, fillstyle="none", color="#7fe0a8", markeredgewidth=1.6)
    boxed: dict[str, Any] = {
        "fontsize": 9.5,
        "bbox": {"boxstyle": "round,pad=0.25", "facecolor": "#0a0712", "edgecolor": "none"},
    }
    axes.annotate("array", (0, 0), (-8, 0), ha="right", va="center", color="white", **boxed)
    axes.annotate("user", focus[:2], (focus[0] - 2, focus[1] + 9), ha="right", color="#7fe0a8", **boxed)
    axes.set(
        xlabel="before the array (m)", ylabel="along the array (m)", aspect="equal",
        xlim=(place.west_m, place.east_m), ylim=(place.south_m, place.north_m),
    )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.02, extend="both")
    bar.set_label(f"received power at {scene.user_height_m:g} m (dBm)")
    bar.outline.set_visible(False)
    axes.set_title(
        f"{place.name}: a beam focused at {scene.focus_range_m:g} m, {math.degrees(scene.focus_angle_rad):.4g}°      "
        f"{scene.n_elements} elements, {scene.transmit_dbm:g} dBm, line of sight and up to {scene.max_depth} "
        f"reflections{', diffraction' * scene.diffraction}",
        fontsize=11.5, color=_INK,
    )  # fmt: skip
    return figure


def powers_over_the_area(results: "xarray.Dataset") -> list[TextTable]:
    """How many places a beam reaches, and with what: quantiles over the places, as a mean of decibels says nothing."""
    places = math.prod(scenario_of(results, MultipathMap).shape())
    power = results.power_dbm.values[:places][results.complete.values[:places].astype(bool)]
    reached = power[np.isfinite(power)]
    rows: list[tuple[str, ...]] = [("places", f"{len(power)} of {places}")]
    if len(power):
        rows.append(("in a building, or reached by no path", f"{1 - len(reached) / len(power):.1%}"))
    if len(reached):
        levels = np.quantile(reached, _SHARES)
        rows += [
            (f"{share:.0%} of the others below", f"{level:.1f} dBm")
            for share, level in zip(_SHARES, levels, strict=True)
        ]
        rows.append(("strongest", f"{reached.max():.1f} dBm"))
    return [TextTable("Received power over the area", ("what", "value"), rows)]


def _spread(scene: MultipathMap, power: np.ndarray) -> np.ndarray:
    """Powers of the first points (n,) over the lattice, (rows, columns): half as fine unless all are known."""
    columns, rows = scene.shape()
    coarse = columns * rows // (_COARSE * _COARSE)
    grid = np.full((rows, columns), np.nan)
    column, row = scene.lattice(np.arange(len(power)))
    grid[row, column] = power
    if len(power) < _COARSE * _COARSE * coarse:
        return grid[::_COARSE, ::_COARSE]
    return grid


fig2 = Sweep(
    MultipathMap(),
    realizations=60_000,
    block=500,
    chunk=2000,
    name="multipath:fig2",
    about="what a focused beam leaks over a campus, in dBm (Fig. 2); --set focus_range_m, focus_angle_rad",
    highlights=("power_dbm",),
    figure=leakage_over_the_area,
    report=powers_over_the_area,
)
