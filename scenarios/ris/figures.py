"""The figures of family B from stored results: pictures, summaries, and the paper's claims beside our numbers.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI. A plain RMSE is ruined by one lost user in a hundred; beside it
stand the RMSE of the users found and the share of those lost. Matplotlib is imported when a figure is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray

from engine.summary import summarize
from engine.sweep import TextTable
from scenarios.ris.claims import Claim, printed_operations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOST_RAD = 0.05
"""A user whose direction is wrong by more, √(δθ² + δφ²), is lost."""

FIELD_NAMES = {"near": "near-field users", "far": "far-field users"}
_QUANTITIES = {
    "angle": ("squared_error_angle_rad2", "bound_angle_rad2", "rad"),
    "range": ("squared_error_range_m2", "bound_range_m2", "m"),
}
_ENDS = ("", "_low", "_high")
_MODELS = {"hybrid": "hybrid model", "nf": "near-field model", "ff": "far-field model"}
_AXES = {
    "snr_db": "mean signal-to-noise ratio of a cycle (dB)",
    "cycle": "cycles",
    "n_cycles": "cycles",
    "range_max_m": "longest range (m)",
    "angle_step_rad": "angle spacing of the dictionary (rad)",
    "elements_per_side": "elements along a side of the surface",
}
_COLOURS = ("#d1495b", "#2e6f9e", "#1b7f5c", "#8a6db1", "#c78a2c", "#4d4d4d", "#5fb3b3", "#a0522d")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")
_INK, _FAINT, _GRID = "#2b2b2b", "#8c8c8c", "#e6e6e6"


class Row(NamedTuple):
    """One method at one point, over the users of one field. Errors in rad or m; intervals at 95 %."""

    point: dict[str, Any]
    """the value along each axis and dimension of the results"""
    method: str
    field: str
    quantity: str
    unit: str
    users: int
    rmse: float
    rmse_low: float
    rmse_high: float
    found: float
    """RMSE of the users that are not lost"""
    found_low: float
    found_high: float
    median: float
    lost: float
    lost_low: float
    lost_high: float
    bound: float
    """root of the mean bound"""


def summary(results: xarray.Dataset) -> list[Row]:
    """Every method at every point, for near and for far users, for angle and range.

    Users of one realization share their cycles; they are counted as independent, which their errors nearly are.
    """
    angle = results.squared_error_angle_rad2
    lost = 2 * angle > LOST_RAD**2
    unknown = np.isnan(angle)
    rows = []
    for field in dict.fromkeys(results.user_field.values.tolist()):
        here = np.flatnonzero(results.user_field.values == field)
        share = summarize(_pooled(lost.where(~unknown), here), above=0.5)
        for quantity, (error_name, bound_name, unit) in _QUANTITIES.items():
            error, bound = results[error_name], results[bound_name]
            whole = summarize(_pooled(error, here), squared=True)
            found = summarize(_pooled(error.where(~lost), here), squared=True)
            bounds = summarize(_pooled(bound.where(np.isfinite(bound)), here))
            typical = bounds["mean"] ** 0.5
            dims = [dim for dim in whole["rmse"].dims if dim != "estimator"]
            for where in np.ndindex(*(whole.sizes[dim] for dim in whole["rmse"].dims)):
                at = dict(zip(whole["rmse"].dims, where, strict=True))

                cells = {
                    name: float(table[key].isel(at))
                    for name, (table, key) in {
                        **{f"rmse{end}": (whole, f"rmse{end}") for end in _ENDS},
                        **{f"found{end}": (found, f"rmse{end}") for end in _ENDS},
                        **{f"lost{end}": (share, f"outlier_rate{end}") for end in _ENDS},
                    }.items()
                }
                rows.append(
                    Row(
                        point={str(dim): results[dim].values[at[dim]].item() for dim in dims},
                        method=str(results.estimator.values[at["estimator"]]),
                        field=field,
                        quantity=quantity,
                        unit=unit,
                        users=int(whole["count"].isel(at)),
                        median=float(whole["median"].isel(at)) ** 0.5,
                        bound=float(typical.isel(at)),
                        **cells,
                    )
                )
    return [row for row in rows if row.users]


def _pooled(variable: xarray.DataArray, users: np.ndarray) -> xarray.DataArray:
    """The users of every realization as realizations of their own."""
    chosen = variable.isel(user=users)
    dims = [dim for dim in chosen.dims if dim not in ("realization", "user")]
    values = chosen.transpose("realization", "user", *dims).values
    values = values.reshape(-1, *values.shape[2:])
    coordinates = {dim: chosen[dim] for dim in dims if dim in chosen.coords}
    return xarray.DataArray(values.astype(float), coordinates, ("realization", *dims), variable.name, variable.attrs)


@dataclass(frozen=True)
class RisFigure:
    """One figure of the paper: what is on its horizontal axis, and whose errors it shows.

    x: a dimension or an axis of the results. claims: the paper's, judged from the summary. panels: (field, quantity)
    of each column; without any, the figure is of time: seconds of a realization, and the operations of the algorithm
    as printed.
    """

    title: str
    x: str
    claims: Callable[[list[Row], xarray.Dataset], list[Claim]]
    panels: tuple[tuple[str, str], ...] = ()

    def report(self, results: xarray.Dataset) -> list[TextTable]:
        """What to print of a run: a table for each panel, then the paper's claims beside ours."""
        rows = summary(results) if self.panels else []
        varied = [name for name in (rows[0].point if rows else ()) if len({row.point[name] for row in rows}) > 1]
        axes = varied if self.x in varied else [*varied, self.x]
        tables = [] if self.panels else [_times(results)]
        for field, quantity in self.panels:
            chosen = [row for row in rows if (row.field, row.quantity) == (field, quantity)]
            tables.append(
                TextTable(
                    f"{quantity.capitalize()} of {FIELD_NAMES[field]} ({_QUANTITIES[quantity][2]}), factors of 95 % "
                    f"intervals",
                    (*axes, "method", "RMSE of users found", "RMSE of all", "median", "lost", "joint CRB"),
                    [_line(row, axes) for row in chosen],
                )
            )
        verdicts: list[tuple[str, ...]] = [tuple(claim) for claim in self.claims(rows, results)]
        return [*tables, TextTable("The paper's claims", ("claim", "paper", "this run", "verdict"), verdicts)]

    def draw(self, results: xarray.Dataset) -> "Figure":
        """The picture: a column for each panel; or measured seconds beside counted operations."""
        return _error_figure(self, results) if self.panels else _timed_figure(self, results)


def _line(row: Row, axes: list[str]) -> tuple[str, ...]:
    def with_factor(value: float, high: float) -> str:
        if not np.isfinite(value):
            return "–"
        factor = high / value if value else np.inf
        return f"{value:.2g} ×÷ {factor:.2f}" if factor < 100 else f"{value:.2g}"

    return (
        *(
            f"{row.point[name]:g}" if isinstance(row.point[name], int | float) else str(row.point[name])
            for name in axes
        ),
        row.method,
        with_factor(row.found, row.found_high),
        with_factor(row.rmse, row.rmse_high),
        f"{row.median:.2g}",
        f"{100 * row.lost:.1f} % ({100 * row.lost_low:.1f}–{100 * row.lost_high:.1f})",
        f"{row.bound:.2g}" if np.isfinite(row.bound) else "none",
    )


def _error_figure(figure: RisFigure, results: xarray.Dataset) -> "Figure":
    """Rows: RMSE of the users found, with the bound; RMSE of all; share of users lost."""
    from matplotlib.figure import Figure

    rows = [row for row in summary(results) if (row.field, row.quantity) in figure.panels]
    lines = _lines(rows, figure.x)
    drawn = Figure(figsize=(1.2 + 3.9 * len(figure.panels), 9.0), layout="constrained")
    axes = drawn.subplots(3, len(figure.panels), squeeze=False, sharex=True, height_ratios=(1.35, 1.0, 0.75))
    for column, (field, quantity) in enumerate(figure.panels):
        here = [row for row in rows if (row.field, row.quantity) == (field, quantity)]
        unit = _QUANTITIES[quantity][2]
        for i, key in enumerate(lines):
            mine = sorted((row for row in here if _key(row, figure.x) == key), key=lambda row: row.point[figure.x])
            _curves(axes[:, column], mine, figure.x, i - (len(lines) - 1) / 2, i, lines[key])
        axes[0, column].set_title(f"{quantity}, {FIELD_NAMES[field]}", fontsize=11, color=_INK)
        axes[0, column].set_ylabel(f"RMSE of users found ({unit})")
        axes[1, column].set_ylabel(f"RMSE of all ({unit})")
        axes[2, column].set_ylabel("users lost (%)")
        axes[2, column].set_xlabel(_AXES[figure.x])
        for panel in axes[:2, column]:
            panel.set_yscale("log" if here else "linear")
        axes[2, column].set_ylim(bottom=-1)
        places = sorted({row.point[figure.x] for row in here})
        axes[2, column].set_xticks(places if len(places) <= 8 else places[1::2])
        if figure.x == "angle_step_rad" and places:
            _log_axis(axes[2, column], places)
        for panel in axes[:, column]:
            _plain(panel)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if labels:
        ncols = min(len(labels), 4)
        drawn.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False, fontsize=9.5)
    drawn.suptitle(
        f"{figure.title}, {results.sizes['realization']} realizations a point\n"
        f"lost: direction wrong by more than {LOST_RAD:g} rad · dotted: joint CRB for the phases used",
        fontsize=10.5, color=_INK,
    )  # fmt: skip
    return drawn


def _key(row: Row, x: str) -> tuple[Any, ...]:
    """What tells one curve from another, beside its place along x."""
    return row.method, *(value for name, value in row.point.items() if name != x)


def _lines(rows: list[Row], x: str) -> dict[tuple[Any, ...], str]:
    """Every curve's label: the method, and what differs among them beside it."""
    if not rows:
        return {}
    keys = list(dict.fromkeys(_key(row, x) for row in rows))
    names = ["method", *(name for name in rows[0].point if name != x)]
    varied = [i for i in range(len(names)) if len({key[i] for key in keys}) > 1] or [0]
    return {key: ", ".join(_text(names[i], key[i]) for i in varied) for key in keys}


def _text(name: str, value: Any) -> str:
    value = _MODELS.get(value, value) if name in ("method", "model") else value
    return f"{value} dB" if name == "snr_db" else str(value)


def _curves(panels: Any, rows: list[Row], x: str, shift: float, number: int, label: str) -> None:
    """One curve in each panel, shifted a little so that intervals do not hide each other.

    Where most users are lost, the few that are found say nothing.
    """
    colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
    places = np.array([float(row.point[x]) for row in rows])
    if x == "angle_step_rad":
        places = places * (1 + 0.008 * shift)
    elif len(places) > 1:
        places = places + 0.004 * shift * (places[-1] - places[0])
    style = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.4, "elinewidth": 0.9, "capsize": 2.0}
    for panel, name, scale in zip(panels, ("found", "rmse", "lost"), (1, 1, 100), strict=True):
        middle, low, high = (
            scale * np.array([getattr(row, f"{name}{end}") for row in rows]) for end in ("", "_low", "_high")
        )
        if name == "found":
            middle = np.where([row.lost > 0.5 for row in rows], np.nan, middle)
        reach = np.maximum([middle - low, high - middle], 0)
        panel.errorbar(places, middle, yerr=np.where(np.isfinite(reach), reach, 0), label=label, **style)
    panels[0].plot(
        [row.point[x] for row in rows],
        [row.bound for row in rows],
        color=colour,
        linewidth=1.2,
        linestyle=(0, (1, 1.5)),
    )


def _log_axis(panel: "Axes", places: list[float]) -> None:
    panel.set_xscale("log")
    panel.set_xticks(places, [f"{place:g}" for place in places], fontsize=8.5)
    panel.minorticks_off()


def _plain(panel: "Axes") -> None:
    panel.grid(True, which="major", color=_GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=9)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _times(results: xarray.Dataset) -> TextTable:
    seconds, operations = results.seconds_per_realization, printed_operations(results)
    names = [str(dim) for dim in seconds.dims]
    lines = [
        (
            *(str(seconds[dim].values[i]) for dim, i in zip(names, where, strict=True)),
            f"{seconds.values[where]:.3g}",
            f"{operations.values[where]:.2g}",
        )
        for where in np.ndindex(*seconds.shape)
    ]
    return TextTable(
        "Time of a realization on one core, and complex multiplications of the algorithm as printed",
        (*names, "seconds", "multiplications"),
        lines,
    )


def _timed_figure(figure: RisFigure, results: xarray.Dataset) -> "Figure":
    """Measured seconds of a realization, and the multiplications of the algorithm as printed."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.4, 4.4), layout="constrained")
    panels = drawn.subplots(1, 2)
    shown = (
        (results.seconds_per_realization, "measured here", "seconds of one core, a realization"),
        (printed_operations(results), "the algorithm as printed", "complex multiplications, a realization"),
    )
    for panel, (values, title, label) in zip(panels, shown, strict=True):
        lines = values.transpose(..., figure.x)
        others = [dim for dim in lines.dims if dim != figure.x]
        for number, where in enumerate(np.ndindex(*(lines.sizes[dim] for dim in others))):
            at = dict(zip(others, where, strict=True))
            panel.plot(
                lines[figure.x],
                lines.isel(at),
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4.5,
                linewidth=1.4,
                label=", ".join(_text(str(dim), lines[dim].values[i].item()) for dim, i in at.items()),
            )
        panel.set_yscale("log" if np.isfinite(values).any() else "linear")
        panel.set(xlabel=_AXES[figure.x], ylabel=label)
        panel.set_title(title, fontsize=11, color=_INK)
        _plain(panel)
        if figure.x == "angle_step_rad":
            _log_axis(panel, lines[figure.x].values.tolist())
        else:
            panel.set_xticks(lines[figure.x].values)
    panels[0].legend(frameon=False, fontsize=9.5)
    drawn.suptitle(figure.title, fontsize=11.5, color=_INK)
    return drawn
