"""What figures of estimation errors share, in free space and under multipath: how curves look, how claims are judged.

Matplotlib is imported by whoever draws.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
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
    ours = f"at {holds} of {len(pairs)} pairs of points"
    if contradicts:
        ours += f", contradicted beyond the intervals at {contradicts}"
    return Claim(claim, "yes", ours, bool(pairs) and contradicts == 0)


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
