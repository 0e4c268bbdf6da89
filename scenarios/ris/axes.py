"""How family B's axes and methods are named and ticked in figures."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

AXES = {
    "snr_db": "mean signal-to-noise ratio of a cycle (dB)",
    "cycle": "cycles",
    "n_cycles": "cycles",
    "range_max_m": "longest range (m)",
    "angle_step_rad": "angle spacing of the dictionary (rad)",
    "elements_per_side": "elements along a side of the surface",
}
LOGARITHMIC = "angle_step_rad"
_MODELS = {"hybrid": "hybrid model", "nf": "near-field model", "ff": "far-field model"}


def text_of(name: str, value: Any) -> str:
    """A method, a model or a value along an axis, as a legend says it."""
    value = _MODELS.get(value, value) if name in ("method", "model") else value
    return f"{value} dB" if name == "snr_db" else str(value)


def logarithmic(panel: "Axes", places: "Sequence[float]") -> None:
    """A logarithmic axis with a tick at every place."""
    panel.set_xscale("log")
    panel.set_xticks(places, [f"{place:g}" for place in places], fontsize=8.5)
    panel.minorticks_off()
