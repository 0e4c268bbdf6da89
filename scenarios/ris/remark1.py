"""Remark 1 of the paper: with the cycles an error falls to what the grid leaves, and its misjudgment to nothing.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Eqs. (49) to (55). Matplotlib is imported when a figure is drawn.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import Sweep
from engine.estimators.paths.on_grid import OnGrid
from engine.sweep import TextTable
from scenarios.figures.claims import Claim, claims_table, counted
from scenarios.figures.comparisons import MeanRatio, Region, Share
from scenarios.figures.style import COLOURS, INK, MARKERS, quiet
from scenarios.ris.claims import ALIKE
from scenarios.ris.localization import RisLocalization
from scenarios.ris.lost import DIRECTION, LOST_BEAMS, with_directions
from scenarios.ris.paper import beside_paper, differs_from_paper, experiment_table
from scenarios.ris.protocol import Method
from scenarios.ris.tables import FIELD_NAMES

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PANELS = (("far", "angle"), ("near", "angle"), ("near", "range"))
_UNITS = {"angle": "rad2", "range": "m2"}
_FEW = 0.01


class Parts(NamedTuple):
    """The parts of one method's errors of one field's users after so many cycles."""

    quantity: str
    field: str
    method: str
    cycle: int
    mismatch: np.ndarray
    """squared, (realizations, users), as the two below; NaN where there is none"""
    misjudgment: np.ndarray
    error: np.ndarray
    found: np.ndarray
    """whether the direction is not lost"""

    def root(self, squares: np.ndarray) -> float:
        """Root mean square over the users found."""
        known = squares[self.found & np.isfinite(squares)]
        return float(np.sqrt(known.mean())) if known.size else np.nan

    @property
    def misjudged(self) -> tuple[int, int]:
        """How many estimates are another place than the one next to the user, and of how many; lost ones as well."""
        known = self.misjudgment[np.isfinite(self.misjudgment)]
        return int(np.sum(known > 1e-18)), int(known.size)


def parts_of(results: "xarray.Dataset") -> list[Parts]:
    """Every method on a grid, in the order of the cycles; of what else varies, the last value is taken."""
    fields = results.user_field.values
    names = {
        quantity: [f"squared_{part}_{quantity}_{unit}" for part in ("mismatch", "misjudgment", "error")]
        for quantity, unit in _UNITS.items()
    }
    dims = ("estimator", "cycle", "realization", "user")
    rest = {str(dim): -1 for dim in results.squared_error_angle_rad2.dims if dim not in dims}
    last = with_directions(results).isel(rest)
    stored = [DIRECTION, *(name for both in names.values() for name in both)]
    arrays = {name: last[name].transpose(*dims).values for name in stored}
    found = []
    for field, quantity in PANELS:
        here = fields == field
        for i, method in enumerate(results.estimator.values.tolist()):
            for j, cycle in enumerate(results.cycle.values.tolist()):
                mine = [arrays[name][i, j][:, here] for name in names[quantity]]
                inside = arrays[DIRECTION][i, j][:, here] <= LOST_BEAMS
                if np.isfinite(mine[1]).any():
                    found.append(Parts(quantity, field, str(method), int(cycle), mine[0], mine[1], mine[2], inside))
    return found


def claims(results: "xarray.Dataset", found: Sequence[Parts]) -> list[Claim]:
    """Eq. (54), the misjudgment is gone; Eq. (55), the error is the mismatch; Remark 1, it falls and then stays."""
    differs = differs_from_paper(results, free=("n_cycles",), snr_db=10.0)
    said = []
    for quantity, field, method in dict.fromkeys(one[:3] for one in found):
        curve = [one for one in found if one[:3] == (quantity, field, method)]
        first, last = curve[0], curve[-1]
        of = f"{method}, {field} users' {quantity}:"
        said.append(Claim(
            f"{of} no misjudgment is left after {last.cycle} cycles", "→ 0, Eq. (54)",
            (Share(last.method, *last.misjudged, Region(high=_FEW)),),
            counted("share of estimates that are not the next place:"), differs=differs,
        ))  # fmt: skip
        said.append(Claim(
            f"{of} error becomes the mismatch", "Eq. (55)",
            (_ratio(last, last.error, last, last.mismatch, Region(ALIKE**-2, ALIKE**2)),),
            counted("RMSE over mismatch, users found:", lambda ratio: float(ratio**0.5)), differs=differs,
        ))  # fmt: skip
        if len(curve) > 2:
            before = curve[-2]
            both = (
                _ratio(last, last.error, first, first.error, Region(high=1.0)),
                _ratio(last, last.error, before, before.error, Region(ALIKE**-2, ALIKE**2)),
            )
            said.append(Claim(
                f"{of} first falls, then stays", "Remark 1", both,
                counted(f"RMSE after {last.cycle} cycles over that after {first.cycle} and {before.cycle}, users found "
                        f"by both:", lambda ratio: float(ratio**0.5)), differs=differs,
            ))  # fmt: skip
    return beside_paper(results, said)


def _ratio(over: Parts, a: np.ndarray, under: Parts, b: np.ndarray, region: Region) -> MeanRatio:
    """Mean squares of users found at both, realization by realization."""
    both = over.found & under.found & np.isfinite(a) & np.isfinite(b)
    some = both.any(axis=1)
    sums = [np.where(some, np.where(both, values, 0.0).sum(axis=1), np.nan) for values in (a, b)]
    return MeanRatio(over.method, sums[0], sums[1], region)


def report(results: "xarray.Dataset", found: Sequence[Parts]) -> list[TextTable]:
    """The claims, and every part."""
    lines = [
        (
            str(one.cycle), one.method, one.field, one.quantity,
            *(f"{one.root(squares):.2g}" for squares in (one.mismatch, one.misjudgment, one.error)),
            f"{100 * one.misjudged[0] / one.misjudged[1]:.0f} %", f"{100 * (1 - one.found.mean()):.1f} %",
        )
        for one in found
    ]  # fmt: skip
    headings = ("cycle", "method", "users", "of", "mismatch", "misjudgment", "error", "not the next place", "lost")
    title = "Errors in two parts, Eq. (49): root mean squares of users found (rad, m)"
    return [claims_table(claims(results, found)), TextTable(title, headings, lines), experiment_table(results)]


def draw(results: "xarray.Dataset", found: Sequence[Parts]) -> "Figure":
    """Above: the parts of the errors of users found; below: how many estimates are not the next place."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 3.9 * len(PANELS), 7.0), layout="constrained")
    axes = figure.subplots(2, len(PANELS), squeeze=False, sharex=True, height_ratios=(1.5, 1.0))
    for column, (field, quantity) in enumerate(PANELS):
        here = [one for one in found if (one.field, one.quantity) == (field, quantity)]
        for number, method in enumerate(dict.fromkeys(one.method for one in here)):
            _curves(axes[:, column], [one for one in here if one.method == method], number, method)
        axes[0, column].set_title(f"{quantity}, {FIELD_NAMES[field]}", fontsize=11, color=INK)
        axes[0, column].set_yscale("log" if here else "linear")
        axes[0, column].set_ylabel(f"root mean square of users found ({'rad' if quantity == 'angle' else 'm'})")
        axes[1, column].set(ylabel="not the place next to the user (%)", xlabel="cycles", ylim=(-2, 102))
        for panel in axes[:, column]:
            quiet(panel)
    named: dict[str, Any] = {}  # a panel of no users has no names
    for panel in axes[0]:
        named |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    if named:
        figure.legend(
            list(named.values()), list(named), loc="outside lower center", ncols=3, frameon=False, fontsize=9.5
        )
    figure.suptitle(
        f"A grid's error is mismatch and misjudgment, {results.sizes['realization']} realizations", fontsize=11
    )
    return figure


def _curves(panels: Any, curve: Sequence[Parts], number: int, method: str) -> None:
    cycles = [one.cycle for one in curve]
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    parts = (("error", "-"), ("misjudgment", "--"), ("mismatch", ":"))
    for part, line in parts:
        values = [one.root(getattr(one, part)) for one in curve]
        panels[0].plot(
            cycles, values, line, color=colour, marker=marker if part == "error" else None, markersize=4.5,
            linewidth=1.4, label=f"{method}: {part}",
        )  # fmt: skip
    shares = [100 * one.misjudged[0] / one.misjudged[1] for one in curve]
    panels[1].plot(cycles, shares, color=colour, marker=marker, markersize=4.5, linewidth=1.4)


_CYCLES = (4, 6, 8, 10, 12, 14, 16, 20, 30, 40)
_METHODS = tuple(
    Method(estimator=OnGrid(), phases=phases, name=f"hybrid, {phases}") for phases in ("random", "optimised")
)

remark1 = Sweep(
    RisLocalization(snr_db=10.0, n_cycles=_CYCLES[-1], recorded_cycles=_CYCLES, methods=_METHODS, unidentifiable=True),
    name="ris:remark1",
    about="a grid's error in mismatch and misjudgment, cycle by cycle (Eqs. 49 to 55, Remark 1)",
    realizations=64,
    full=2048,
    block=8,
    highlights=("squared_misjudgment_angle_rad2", "squared_misjudgment_range_m2"),
    summary=parts_of,
    figure=draw,
    report=report,
)
