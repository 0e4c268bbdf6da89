"""Figs. 1 and 3 with what they lack: the exact limit, and a bound that holds, beside the paper's.

Mashhadi, Hoang, Vahid, arXiv 2605.21815. Matplotlib is imported when a figure is drawn.
"""

from typing import TYPE_CHECKING, Any

from engine.estimators import PosteriorMean
from engine.sweep import Sweep, scenario_of
from scenarios.figures.style import FAINT, INK, quiet
from scenarios.leakage.estimation import LeakageEstimation, fig3
from scenarios.leakage.figures import words_on_estimates
from scenarios.leakage.rows import realizations_a_point, summary
from scenarios.leakage.scene import LeakageScene
from scenarios.leakage.tables import tables

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scenarios.figures.rows import Row

_NODES = 300
_LINES = {
    "posterior_variance": ("exact limit", "-"),
    "weiss_weinstein": ("bound (Weiss-Weinstein)", "--"),
    "bcrlb": ("bound (BCRLB)", ":"),
}
_QUANTITIES = {"range_m2": "range (m²)", "angle_rad2": "angle (rad²)"}


def limits_against_sensors(results: "xarray.Dataset", rows: "list[Row]") -> "Figure":
    """Fig. 1 with limit and bound: means over the draws against the number of sensors, a column for each L.

    Shaded: the 95 % interval of the limit's mean, which is over users as well as sensors.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    scenario = scenario_of(results, LeakageScene)
    counts = results.n_snapshots.values
    figure = Figure(figsize=(2.0 + 4.2 * len(counts), 7.6), layout="constrained")
    axes = figure.subplots(2, len(counts), squeeze=False, sharex=True, sharey="row")
    colours = _colours(results.noise_dbm.values)
    for line, (quantity, text), variance in zip(axes, _QUANTITIES.items(), scenario.variance_of_draws(), strict=True):
        for panel, count in zip(line, counts, strict=True):
            _draw(panel, results.sel(n_snapshots=count), quantity, colours)
            panel.axhline(variance, color=FAINT, lw=1)
            panel.set_yscale("log")
            quiet(panel)
        line[0].set_ylabel(f"squared error of the {text}")
    for first, last, count in zip(*axes, counts, strict=True):
        first.set_title(f"L = {count}", fontsize=11, color=INK)
        last.set_xlabel("number of sensors K")
    entries = [Line2D([], [], color=one, label=f"{power:g} dBm".replace("-", "−")) for power, one in colours.items()]
    entries += [Line2D([], [], color=INK, ls=style, label=text) for text, style in _LINES.values()]
    entries += [Line2D([], [], color=FAINT, lw=1, label="prior variance")]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=8)
    first = f"Mean of {realizations_a_point(results)} realizations; leakage {scenario.leakage.name}"
    figure.suptitle("\n".join([first, *words_on_estimates(results, rows)]), fontsize=10)
    return figure


def _colours(powers: Any) -> dict[float, Any]:
    from matplotlib import colormaps

    return {power: colormaps["plasma"](0.85 * i / max(1, len(powers) - 1)) for i, power in enumerate(powers)}


def _draw(panel: "Axes", results: "xarray.Dataset", quantity: str, colours: dict[float, Any]) -> None:
    from engine.summary import summarize

    for name, (_, style) in _LINES.items():
        means = summarize(results[f"{name}_{quantity}"], quantiles=())
        for power, colour in colours.items():
            here = means.sel(noise_dbm=power)
            panel.plot(here.n_sensors, here["mean"], style, color=colour, lw=1.4)
            if name == "posterior_variance":
                panel.fill_between(here.n_sensors, here["mean_low"], here["mean_high"], color=colour, alpha=0.2, lw=0)


fig1_limits = Sweep(
    LeakageEstimation(estimators=(PosteriorMean(leakage="fresnel_closed"),), weiss_weinstein_nodes=_NODES),
    {"n_sensors": (10, 20, 40, 70, 100)},
    realizations=20,
    block=5,
    chunk=5,
    name="leakage:fig1-limits",
    about="Fig. 1 with the exact limit and the Weiss-Weinstein bound: an hour of a core for ten realizations",
    highlights=("posterior_variance_range_m2", "weiss_weinstein_range_m2"),
    summary=summary,
    figure=limits_against_sensors,
    report=tables,
    full=200,
)

fig3_limits = fig3.replace(
    scenario=fig3.scenario.replace(weiss_weinstein_nodes=_NODES),
    realizations=40,
    block=5,
    chunk=5,
    name="leakage:fig3-limits",
    about="Fig. 3 with the Weiss-Weinstein bound as well: two minutes of a core for each realization",
    full=400,
)
