"""How the papers' figures look: colours, markers, names, axes. Matplotlib is imported by whoever draws."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#d1495b", "#2e6f9e", "#1b7f5c", "#8a6db1", "#c78a2c", "#4d4d4d", "#5fb3b3", "#a0522d")
"""told apart by the colour-blind, and by marker"""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")
INK, FAINT, GRID = "#2b2b2b", "#8c8c8c", "#e6e6e6"
LEARNED = ("deep_sets", "conditioned_deep_sets", "amortised_deep_sets")
"""the first is the paper's"""
SYMBOLS = {"noise_dbm": "σ²", "n_snapshots": "L", "n_sensors": "K", "snr_db": "SNR"}
"""field or dimension → its symbol in the papers"""
_LABELS = {
    "deep_sets": "DeepSets of Table II, one a set",
    "conditioned_deep_sets": "DeepSets told σ² and L, one a set",
    "amortised_deep_sets": "network upon likelihoods, amortised",
}


def label(name: str) -> str:
    """An estimator's name, as a legend says it."""
    return _LABELS.get(name, name.replace("_", " "))


def quiet(axes: "Axes") -> None:
    """A faint grid behind the data, no frame above and to the right."""
    axes.grid(True, which="major", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
