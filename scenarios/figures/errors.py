"""What figures of estimation errors share, in free space and under multipath: how curves look, how claims are judged.

Matplotlib is imported by whoever draws.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from engine.summary import summarize

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

COLOURS = ("#d1495b", "#2e6f9e", "#1b7f5c", "#8a6db1", "#c78a2c")  # told apart by the colour-blind, and by marker
MARKERS = ("o", "s", "D", "^", "v")
INK, FAINT = "#2b2b2b", "#8c8c8c"
LEARNED = ("deep_sets", "conditioned_deep_sets", "amortised_deep_sets")
_LABELS = {
    "deep_sets": "DeepSets, one for each set",
    "conditioned_deep_sets": "DeepSets, conditioned on σ² and L",
    "amortised_deep_sets": "DeepSets, amortised",
}


SQUARED_ERRORS = {"range": "squared_error_range_m2", "angle": "squared_error_angle_rad2"}


class Errors(Protocol):
    """A row of a summary: one estimator at one point. Squared errors in m² or rad²; the interval is at 95 %."""

    @property
    def noise_dbm(self) -> float: ...
    @property
    def mean(self) -> float: ...
    @property
    def mean_low(self) -> float: ...
    @property
    def mean_high(self) -> float: ...


class Claim(NamedTuple):
    """What the paper says, what was found, and whether the two agree."""

    claim: str
    paper: str
    ours: str
    reproduced: bool

    def line(self) -> tuple[str, ...]:
        """For a table with the headings `CLAIM_HEADINGS`."""
        return self.claim, self.paper, self.ours, "reproduced" if self.reproduced else "not reproduced"


CLAIM_HEADINGS = ("claim", "paper", "this run", "verdict")


def label(name: str) -> str:
    """An estimator's name, as a legend says it."""
    return _LABELS.get(name, name.replace("_", " "))


def ordered(rows: Mapping[Any, Errors], claim: str, pairs: Iterable[tuple[Any, Any]]) -> Claim:
    """Whether the first of each pair has the larger mean; a pair counts against it where intervals are apart."""
    known = {key for key, row in rows.items() if np.isfinite(row.mean)}
    pairs = [(above, below) for above, below in pairs if above != below and {above, below} <= known]
    holds = sum(rows[above].mean >= rows[below].mean for above, below in pairs)
    contradicts = sum(rows[above].mean_high < rows[below].mean_low for above, below in pairs)
    ours = f"at {holds} of {len(pairs)} pairs of points" if pairs else "no two points to compare"
    if contradicts:
        ours += f", contradicted beyond the intervals at {contradicts}"
    return Claim(claim, "yes", ours, bool(pairs) and contradicts == 0)


class Comparison(NamedTuple):
    """Ratio of two estimators' mean squared errors at a point, and on which side of 1 it is."""

    ratio: float
    sign: int
    """−1 or 1 where the 95 % interval of the difference, realization by realization, is on that side; else 0"""


def compared(results: "xarray.Dataset", name: str, other: str) -> dict[tuple[str, int, int, float], Comparison]:
    """One estimator against another on the same draws, by (quantity, K, L, σ²). A realization is a sample."""
    found = {}
    for quantity, variable in SQUARED_ERRORS.items():
        dims = ("n_sensors", "n_snapshots", "noise_dbm")
        mine, theirs = (results[variable].sel(estimator=one, drop=True) for one in (name, other))
        apart = summarize(mine - theirs, quantiles=()).transpose(*dims, ...)
        ratio = (mine.mean("realization") / theirs.mean("realization")).transpose(*dims).values
        low, high = apart["mean_low"].values, apart["mean_high"].values
        for where in zip(*np.nonzero(np.isfinite(ratio)), strict=True):
            k, n, s = (results[dim].values[i].item() for dim, i in zip(dims, where, strict=True))
            sign = -1 if high[where] < 0 else 1 if low[where] > 0 else 0
            found[quantity, k, n, s] = Comparison(float(ratio[where]), sign)
    return found


def with_estimates(results: "xarray.Dataset") -> list[str]:
    """Estimators that have any, or all where none has: the package's networks have none where they were not trained."""
    found = results[SQUARED_ERRORS["range"]].notnull()
    asked = found.any([dim for dim in found.dims if dim != "estimator"]).values
    return [str(name) for name in results.estimator.values[asked if asked.any() else ...]]


def consistently(results: "xarray.Dataset", name: str) -> Claim:
    """ "DeepSets consistently outperforms the dense grid-search": no point's paired interval says otherwise.

    Said of Fig. 3, and "the same trend" of Fig. 4. Beside it how far the estimator is from the posterior mean, which
    none can beat that assumes the right model.
    """
    found = compared(results, name, "least_squares")
    better, worse = (sum(one.sign == sign for one in found.values()) for sign in (-1, 1))
    lower = sum(one.ratio < 1 for one in found.values())
    ours = (
        f"lower at {lower} of {len(found)} points, beyond the paired interval at {better}; higher beyond it at {worse}"
    )
    if "posterior_mean" in results.estimator.values:
        for quantity in SQUARED_ERRORS:
            ratios = [one.ratio for at, one in compared(results, name, "posterior_mean").items() if at[0] == quantity]
            ours += f"; {quantity} {min(ratios):.2f} to {max(ratios):.2f} times the posterior mean's"
    reproduced = better > 0 and worse == 0
    return Claim(f"{label(name)}: consistently outperforms the dense grid search", "yes", ours, reproduced)


def orders(rows: Mapping[Any, Errors], results: "xarray.Dataset", names: Sequence[str]) -> list[Claim]:
    """What sensors, snapshots and noise do to every error, of rows by (quantity, K, L, σ², estimator)."""
    sensors, counts, noises = (
        sorted(results[axis].values.tolist()) for axis in ("n_sensors", "n_snapshots", "noise_dbm")
    )
    both = SQUARED_ERRORS
    return [
        ordered(rows, "more sensors lower every error", [
            ((q, sensors[0], n, s, name), (q, sensors[-1], n, s, name))
            for q in both for n in counts for s in noises for name in names]),
        ordered(rows, "more snapshots lower every error", [
            ((q, k, counts[0], s, name), (q, k, counts[-1], s, name))
            for q in both for k in sensors for s in noises for name in names]),
        ordered(rows, "more noise raises every error", [
            ((q, k, n, noises[-1], name), (q, k, n, noises[0], name))
            for q in both for k in sensors for n in counts for name in names]),
    ]  # fmt: skip


def draw_errors(axes: "Axes", rows: Sequence[Errors], shift_dbm: float, **style: Any) -> np.ndarray:
    """One estimator's means with their intervals, against the noise power; the abscissae that it drew at."""
    x = np.array([row.noise_dbm for row in rows]) + shift_dbm
    mean = np.array([row.mean for row in rows])
    reach = np.array([[row.mean - row.mean_low, row.mean_high - row.mean] for row in rows]).T
    axes.errorbar(x, mean, yerr=reach, markersize=4.5, elinewidth=1.0, capsize=2.0, **style)
    return x


def dress(axes: "Axes", noises: Sequence[float]) -> None:
    """Logarithmic errors, ticks at the noise powers, a quiet grid."""
    axes.set_yscale("log")
    axes.set_xticks(noises)
    axes.grid(True, which="major", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=9)
