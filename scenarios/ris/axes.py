"""How family B's axes and methods are named and ticked in figures."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
ORDINAL = {
    "phase_bits": "bits of each element's phase",
    "misplaced_m": "surface from where it is believed (m)",
    "misturned_rad": "surface turned from what is believed (rad)",
    "phase_drift_rad": "wandering of phases, a cycle (rad)",
    "user_separation_beams": "far users from near ones (beams)",
    "scatterer_separation_beams": "scatterers from users (beams)",
}
"""Their values stand side by side, whatever is between them."""
AXES |= ORDINAL
_ANY_BITS = 0
_MODELS = {"hybrid": "hybrid model", "nf": "near-field model", "ff": "far-field model"}


def text_of(name: str, value: Any) -> str:
    """A method, a model or a value along an axis, as a legend says it."""
    value = _MODELS.get(value, value) if name in ("method", "model") else value
    return f"{value} dB" if name == "snr_db" else str(value)


def places(name: str, values: "Iterable[Any]") -> dict[Any, float]:
    """Where values are along an axis; any phase comes after all numbers of bits."""
    distinct = sorted(set(values))
    if name == "phase_bits" and _ANY_BITS in distinct:
        distinct = [*(value for value in distinct if value != _ANY_BITS), _ANY_BITS]
    return {value: float(i if name in ORDINAL else value) for i, value in enumerate(distinct)}


def ordinal(panel: "Axes", name: str, at: "Mapping[Any, float]") -> None:
    """A tick at every value of such an axis."""
    any_phase = name == "phase_bits" and _ANY_BITS in at
    labels = ["any" if any_phase and value == _ANY_BITS else f"{value:g}" for value in at]
    panel.set_xticks(list(at.values()), labels)


def logarithmic(panel: "Axes", places: "Sequence[float]") -> None:
    """A logarithmic axis with a tick at every place."""
    panel.set_xscale("log")
    panel.set_xticks(places, [f"{place:g}" for place in places], fontsize=8.5)
    panel.minorticks_off()
