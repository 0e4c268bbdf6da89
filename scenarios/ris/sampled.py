"""Fig. 3: the places that a dictionary samples, near and far, and how near to one of them a user is.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Eqs. (11) to (13). Matplotlib is imported when a figure is drawn.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from engine import Sweep
from engine.numerics.candidates import CandidateGrid, FieldModel, field_grid
from engine.numerics.received_power import focusing_share
from engine.numerics.wavefront import near_field_range_m, wave
from engine.scenario import Simulate, Variables
from engine.sweep import TextTable, scenario_of
from scenarios.figures.style import COLOURS, FAINT, INK, quiet
from scenarios.ris.misjudgment import ATTRIBUTES, nearest_place
from scenarios.ris.scene import Draws, RisScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MODELS: tuple[FieldModel, ...] = ("ff", "hybrid", "nf")


class RisSampledPlaces(RisScene):
    """What a dictionary misses of users: the distance to the place next to each, and what its wave keeps of theirs."""

    model: FieldModel = Field("hybrid", description="dictionary: plane and near-field spherical waves, or one of them")
    angle_step_rad: float = Field(0.02, gt=0, description="angle spacing of the dictionary")
    range_step_m: float = Field(0.25, gt=0, description="range spacing of the dictionary")

    def grid(self, model: FieldModel | None = None) -> CandidateGrid:
        """The dictionary of this model or another, Eqs. (11) to (13)."""
        steps = {"angle_step_rad": self.angle_step_rad, "range_step_m": self.range_step_m}
        return field_grid(self.surface(), self.view(), model or self.model, **steps)

    def prepare(self, xp: Any) -> Simulate:
        grid = self.grid()

        def simulate(realizations: Any, *, intermediates: bool = False) -> Variables:
            drawn = Draws(*(xp.asarray(part) for part in realizations))
            truth = drawn.user_range_m, drawn.user_polar_rad, drawn.user_azimuth_rad
            nearest = nearest_place(xp, grid, truth)
            apart = [(a - b) ** 2 for a, b in zip(truth, nearest, strict=True)]
            kappa = 1 / xp.where(xp.isnan(nearest[0]), xp.full_like(nearest[0], xp.inf), nearest[0])
            plane = xp.asarray([field == "far" for field in self.user_fields()])
            if self.model == "hybrid":  # a far user's next place is a plane wave
                kappa = xp.where(plane, xp.zeros_like(kappa), kappa)
            true_wave = wave(self.surface(), self.true_inverse_range(drawn, xp), *truth[1:])
            kept = focusing_share(true_wave, wave(self.surface(), kappa, *nearest[1:]))
            values = {
                "squared_mismatch_angle_rad2": (apart[1] + apart[2]) / 2,
                "squared_mismatch_range_m2": xp.where(kappa > 0, apart[0], xp.full_like(kappa, xp.nan)),
            }
            described: Variables = {
                name: (("realization", "user"), value, ATTRIBUTES[name]) for name, value in values.items()
            }
            texts = {
                "user_range_m": (drawn.user_range_m, {"units": "m", "long_name": "range of the user"}),
                "share_kept": (kept, {"long_name": "share of a user's power that the next place's wave collects"}),
            }
            return described | {name: (("realization", "user"), *rest) for name, rest in texts.items()}

        return simulate


class Sampled(NamedTuple):
    """What Fig. 3 shows of a run."""

    scene: RisSampledPlaces
    sizes: dict[str, int]
    """model → candidates"""
    range_m: np.ndarray
    kept: np.ndarray
    near: np.ndarray
    """of users, (n,) each"""
    angle_rad: dict[str, float]
    """field → root mean square distance of an angle"""
    miss_m: dict[str, float]


def summary(results: "xarray.Dataset") -> Sampled:
    """Counts, and distances of near and of far users from their next places."""
    scene = scenario_of(results, RisSampledPlaces)
    fields = np.array(scene.user_fields())
    arrays = {
        name: results[name].transpose("realization", "user").values
        for name in ("user_range_m", "share_kept", "squared_mismatch_angle_rad2", "squared_mismatch_range_m2")
    }
    known = np.isfinite(arrays["user_range_m"])
    near = np.broadcast_to(fields == "near", known.shape)
    here = {field: [arrays[name][:, fields == field] for name in list(arrays)[2:]] for field in dict.fromkeys(fields)}
    roots = {field: [_root(values) for values in pair] for field, pair in here.items()}
    return Sampled(
        scene,
        {model: scene.grid(model).size for model in _MODELS},
        arrays["user_range_m"][known],
        arrays["share_kept"][known],
        near[known],
        {field: pair[0] for field, pair in roots.items()},
        {field: pair[1] for field, pair in roots.items()},
    )


def _root(squares: np.ndarray) -> float:
    known = squares[np.isfinite(squares)]
    return float(np.sqrt(known.mean())) if known.size else np.nan


def report(results: "xarray.Dataset", found: Sampled) -> list[TextTable]:
    """Places of each model, and what is between users and the next of them."""
    counts: list[tuple[str, ...]] = [
        (model, f"{size}", f"{size / found.sizes['nf']:.2f}") for model, size in found.sizes.items()
    ]
    lines: list[tuple[str, ...]] = [
        (
            field,
            f"{found.angle_rad[field]:.2g}",
            f"{found.miss_m[field]:.2g}" if np.isfinite(found.miss_m[field]) else "–",
            f"{np.mean(here):.3f}" if here.size else "–",
            f"{np.percentile(here, 5):.3f}" if here.size else "–",
        )
        for field in found.angle_rad
        for here in [found.kept[found.near == (field == "near")]]
    ]
    headings = ("users", "angle (rad)", "range (m)", "share of power kept", "its 5 % quantile")
    return [
        TextTable("Places that each model samples", ("model", "places", "of the near-field model's"), counts),
        TextTable("From users to the next place, root mean square", headings, lines),
    ]


def draw(results: "xarray.Dataset", found: Sampled) -> "Figure":
    """Left: the places at the surface's height from above; right: what the next place's wave collects of a user's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    plan, share = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    _plan(plan, found.scene)
    for near, colour, name in ((True, COLOURS[0], "near users"), (False, COLOURS[1], "far users")):
        here = found.near == near
        share.plot(found.range_m[here], found.kept[here], ".", color=colour, markersize=3, alpha=0.5, label=name)
    share.set(xlabel="range of the user (m)", ylabel="share of its power that the next place's wave collects")
    share.set_ylim(0, 1.02)
    share.legend(frameon=False, fontsize=9, loc="lower right")
    quiet(share)
    sizes = ", ".join(f"{model} {size}" for model, size in found.sizes.items())
    figure.suptitle(f"Places that a dictionary samples: {sizes}", fontsize=11, color=INK)
    return figure


def _plan(axes: "Axes", scene: RisSampledPlaces) -> None:
    """Places of the row of directions next to the horizontal plane, z = 0."""
    grid, view = scene.grid(), scene.view()
    row = int(np.argmin(np.abs(grid.polar_rad - np.pi / 2)))
    polar = grid.polar_rad[row]
    for level, kappa in enumerate(grid.inverse_range_per_m):
        azimuth = grid.azimuth_rad[grid.allowed[row, :, level]]
        if kappa:
            across = np.sin(polar) / kappa
            axes.plot(across * np.sin(azimuth), across * np.cos(azimuth), ".", color=COLOURS[0], markersize=2.2)
            continue
        start = near_field_range_m(scene.surface(), np.full_like(azimuth, polar), azimuth)
        for low, angle in zip(start, azimuth, strict=True):
            ends = np.array([low if scene.model == "hybrid" else view.range_min_m, view.range_max_m]) * np.sin(polar)
            axes.plot(ends * np.sin(angle), ends * np.cos(angle), color=COLOURS[1], linewidth=0.6)
    axes.plot([], [], ".", color=COLOURS[0], label="spherical waves, near field")
    axes.plot([], [], color=COLOURS[1], label="plane waves: directions only")
    edge = np.linspace(view.azimuth_min_rad, view.azimuth_max_rad, 100)
    level_polar = np.full_like(edge, np.pi / 2)
    end = near_field_range_m(scene.surface(), level_polar, edge)
    axes.plot(end * np.sin(edge), end * np.cos(edge), color=FAINT, linewidth=1.2, label="end of the near field")
    axes.set(xlabel="along the surface, y (m)", ylabel="in front of the surface, x (m)", aspect="equal")
    axes.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    quiet(axes)


fig3 = Sweep(
    RisSampledPlaces(n_cycles=1, n_scatterers=0),
    name="ris:fig3",
    about="the places that a dictionary samples (Fig. 3), and how near to one of them users are",
    realizations=1000,
    full=20_000,
    block=50,
    highlights=("share_kept",),
    summary=summary,
    figure=draw,
    report=report,
)
