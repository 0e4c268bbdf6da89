"""The settings of the paper's experiments. Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Table I and Section VI."""

import json
from typing import TYPE_CHECKING, Any

from engine.sweep import scenario_of
from scenarios.figures.published import differences, lacking
from scenarios.ris.localization import RisLocalization

if TYPE_CHECKING:
    import xarray

PAPER = {
    "elements_per_side": 25, "carrier_hz": 28e9, "spacing_m": 0.005, "range_max_m": 10.0,
    "n_users": 4, "n_scatterers": 2, "scatterer_db": -10.0, "n_cycles": 20, "range_step_m": 0.25,
}  # fmt: skip
"""What the paper states, and what its figures need and ours assume: numbers of paths, their power, the surface"""


def differs_from_paper(results: "xarray.Dataset", **at: Any) -> tuple[str, ...]:
    """What of these results' settings is not the paper's, axes apart.

    at: field of several values → the one that the paper's figure is for.
    """
    axes = json.loads(results.attrs["axes"])
    stated = {name: value for name, value in PAPER.items() if name not in axes}
    scenario = scenario_of(results, RisLocalization)
    values = {name: getattr(scenario, name) for name in at}
    return (*differences(scenario, stated), *lacking(values, at))
