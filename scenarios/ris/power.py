"""Power received by way of the surface against its size, Proposition 3 and Remark 2 of the paper.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Eqs. (56) to (58), which take both channels for Rayleigh fading; Eqs. (3) to
(9) have a few paths. Matplotlib is imported when a figure is drawn.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import Streams, Sweep
from engine.numerics.received_power import mean_received_power
from engine.scenario import Simulate, Variables
from engine.sweep import TextTable
from scenarios.figures.claims import Claim, claims_table, counted
from scenarios.figures.comparisons import Finding, MeanRatio, Region, Slope
from scenarios.figures.style import COLOURS, INK, MARKERS, quiet
from scenarios.ris.scene import Draws, RisScene

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

CHANNELS, PHASES = ("Rayleigh", "paths"), ("zero", "random", "aligned")
WITHIN = Region(1 / 1.1, 1.1)
"""A mean power within a tenth of an equation's is the equation's"""


class FadedDraws(NamedTuple):
    """One block: the scene's draws, and fading of either channel."""

    scene: Draws
    fading_to_user: np.ndarray
    """CN(0, 1), complex (B, N), as the next"""
    fading_to_base: np.ndarray


class RisPower(RisScene):
    """|Σ_n s_n g_n h_n|² for phases all zero, random, and aligned with the channel, over the mean gain of an element.

    `Rayleigh`: independent fading at every element, ρ_g = ρ_h = 1. `paths`: the first user's direct and scattered paths
    and the channel to the base station.
    """

    def coordinates(self) -> Variables:
        return {
            "channel": (("channel",), np.array(CHANNELS), {"long_name": "channel"}),
            "phases": (("phases",), np.array(PHASES), {"long_name": "phases of the surface"}),
        }

    def draw(self, streams: Streams, size: int) -> Any:
        n = self.surface().n_elements
        drawn = super().draw(streams, size)

        def fading(name: str) -> np.ndarray:
            parts = [streams(f"{name}_{part}").standard_normal((size, n)) for part in ("real", "imaginary")]
            return (parts[0] + 1j * parts[1]) / math.sqrt(2)

        return FadedDraws(drawn, fading("fading_to_user"), fading("fading_to_base"))

    def prepare(self, xp: Any) -> Simulate:
        cascade = self.cascade()
        to_base = cascade.to_base_station(xp)
        mean_gain = 1 + self.n_scatterers * 10 ** (self.scatterer_db / 10)

        def simulate(realizations: Any, *, intermediates: bool = False) -> Variables:
            drawn = Draws(*(xp.asarray(part) for part in realizations.scene))
            faded = xp.asarray(realizations.fading_to_user) * xp.asarray(realizations.fading_to_base)
            first = cascade.from_users(self.paths(drawn, xp))[:, 0, :] * to_base / math.sqrt(mean_gain)
            phase = drawn.surface_phase_rad[:, 0, :]
            random = xp.cos(phase) + 1j * xp.sin(phase)
            power = xp.stack([xp.stack(_powers(xp, one, random), axis=1) for one in (faded, first)], axis=1)
            long_name = "power received over that by one element"
            return {"received_power": (("realization", "channel", "phases"), power, {"long_name": long_name})}

        return simulate


def _powers(xp: Any, channel: Any, random: Any) -> list[Any]:
    """For each of `PHASES`, (B,): channel and random phases as phasors, complex (B, N)."""
    sums = [xp.sum(channel, axis=-1), xp.sum(channel * random, axis=-1), xp.sum(xp.abs(channel), axis=-1) + 0j]
    return [xp.real(one * xp.conj(one)) for one in sums]


class Power(NamedTuple):
    """One channel's power with one choice of phases at one size."""

    n_elements: int
    channel: str
    phases: str
    samples: np.ndarray

    @property
    def equation(self) -> float:
        return mean_received_power(self.n_elements, "aligned" if self.phases == "aligned" else "fixed")


def powers(results: "xarray.Dataset") -> list[Power]:
    """At every size."""
    found = results.received_power.transpose("elements_per_side", "channel", "phases", "realization")
    sides = [int(side) for side in results.elements_per_side.values]
    return [
        Power(side * side, channel, phases, found.values[i, j, k][np.isfinite(found.values[i, j, k])])
        for i, side in enumerate(sides)
        for j, channel in enumerate(CHANNELS)
        for k, phases in enumerate(PHASES)
    ]


def claims(found: Sequence[Power]) -> list[Claim]:
    """Proposition 3 for its own channel and for the paper's others, each mean over the equation's."""
    return [
        *(_equals(found, channel, phases) for channel in CHANNELS for phases in PHASES),
        *(_grows(found, channel, phases) for channel in CHANNELS for phases in ("random", "aligned")),
    ]


def _equals(found: Sequence[Power], channel: str, phases: str) -> Claim:
    here = [one for one in found if (one.channel, one.phases) == (channel, phases)]
    ratios = tuple(
        MeanRatio(f"N = {one.n_elements}", one.samples, np.full(one.samples.shape, one.equation), WITHIN)
        for one in here
        if one.samples.size
    )
    equation = "N² π²/16, Eq. (58)" if phases == "aligned" else "N, Eq. (57)"
    text = "mean power over the equation's:"
    return Claim(f"{channel} channels, {phases} phases: power {equation}", "for Rayleigh", ratios, counted(text),
                 lacking="realizations")  # fmt: skip


def _grows(found: Sequence[Power], channel: str, phases: str) -> Claim:
    here = [one for one in found if (one.channel, one.phases) == (channel, phases) and one.samples.size]
    order = 2 if phases == "aligned" else 1
    slope = Slope(
        "N", np.array([float(one.n_elements) for one in here]), np.array([one.samples.mean() for one in here]),
        Region(order - 0.1, order + 0.1),
    )  # fmt: skip

    def say(findings: Sequence[Finding]) -> str:
        return f"power as N^{findings[0].value:.2f} [{findings[0].low:.2f}, {findings[0].high:.2f}]"

    comparisons = (slope,) if len(here) > 2 else ()
    return Claim(f"{channel} channels, {phases} phases: order of growth", f"N^{order}", comparisons, say,
                 lacking="three sizes")  # fmt: skip


def report(results: "xarray.Dataset", found: Sequence[Power]) -> list[TextTable]:
    """The claims, and every mean beside its equation."""
    lines: list[tuple[str, ...]] = [
        (str(one.n_elements), one.channel, one.phases, f"{one.samples.mean():.4g}", f"{np.median(one.samples):.3g}",
         f"{one.equation:.4g}")
        for one in found
        if one.samples.size
    ]  # fmt: skip
    headings = ("elements N", "channel", "phases", "mean power", "median", "equation")
    title = "Power received over that by one element, P ρ_g² ρ_h² = 1"
    return [claims_table(claims(found)), TextTable(title, headings, lines)]


def draw(results: "xarray.Dataset", found: Sequence[Power]) -> "Figure":
    """Mean powers with the equations' lines, for either channel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    sizes = sorted({one.n_elements for one in found})
    for panel, channel in zip(panels, CHANNELS, strict=True):
        for number, phases in enumerate(PHASES):
            here = [one for one in found if (one.channel, one.phases) == (channel, phases) and one.samples.size]
            mean = np.array([one.samples.mean() for one in here])
            reach = [1.96 * one.samples.std() / one.samples.size**0.5 for one in here]
            panel.errorbar(
                [one.n_elements * (1 + 0.04 * (number - 1)) for one in here], mean, yerr=reach, linestyle="none",
                color=COLOURS[number], marker=MARKERS[number], markersize=5, capsize=2, label=f"{phases} phases",
            )  # fmt: skip
        for phases, style in (("fixed", "-"), ("aligned", "--")):
            name = "Eq. (57): N" if phases == "fixed" else "Eq. (58): N² π²/16"
            values = [mean_received_power(size, phases) for size in sizes]  # type: ignore[arg-type]
            panel.plot(sizes, values, style, color=INK, linewidth=1, label=name)
        panel.set(xscale="log", yscale="log", xlabel="elements N")
        panel.set_title(f"{channel} channels" if channel == "Rayleigh" else "a few paths, Eqs. (3) to (9)", fontsize=11)
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        quiet(panel)
    panels[0].set_ylabel("mean power over that by one element")
    panels[0].legend(frameon=False, fontsize=9)
    figure.suptitle(f"Power by way of the surface, {results.sizes['realization']} realizations a point", fontsize=11)
    return figure


power = Sweep(
    RisPower(users="far", range_min_m=0.6, n_users=1, n_scatterers=0, n_cycles=1),
    {"elements_per_side": (5, 10, 15, 20, 25, 30)},
    name="ris:power",
    about="power received by way of the surface against its size (Eqs. 56 to 58), for Rayleigh fading and for paths",
    realizations=4000,
    full=100_000,
    block=50,
    highlights=("received_power",),
    summary=powers,
    figure=draw,
    report=report,
)
