"""The settings of the paper's experiments. Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Table I and Section VI."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.estimators.paths.on_grid import OnGrid
from engine.sweep import TextTable, scenario_of
from scenarios.figures.claims import Claim
from scenarios.figures.published import differences, lacking
from scenarios.ris.localization import RisLocalization

if TYPE_CHECKING:
    import xarray

PAPER = {
    "elements_per_side": 25, "carrier_hz": 28e9, "spacing_m": 0.005, "range_max_m": 10.0,
    "n_users": 4, "n_scatterers": 2, "scatterer_db": -10.0, "n_cycles": 20, "range_step_m": 0.25,
}  # fmt: skip
"""What the paper states, and what its figures need and ours assume: numbers of paths, their power, the surface"""
OURS = "not in the paper (ours)"


class Experiment(NamedTuple):
    """One thing that a run may do otherwise than the paper, and is judged beside it all the same."""

    word: str
    """beside a verdict; empty where it is as printed"""
    of: str
    paper: str
    here: str
    so_that: str = ""


def differs_from_paper(results: "xarray.Dataset", *, free: tuple[str, ...] = (), **at: Any) -> tuple[str, ...]:
    """What of these results' settings is not the paper's, axes apart.

    free: fields that a claim is not about. at: field of several values → the one that the paper's figure is for.
    """
    axes = json.loads(results.attrs["axes"])
    stated = {name: value for name, value in PAPER.items() if name not in (*axes, *free)}
    scenario = scenario_of(results, RisLocalization)
    values = {name: getattr(scenario, name) for name in at}
    return (*differences(scenario, stated), *lacking(values, at))


def experiment(results: "xarray.Dataset") -> list[Experiment]:
    """How signals, waves and phases of a run stand to the paper's."""
    scenario = scenario_of(results, RisLocalization)
    printed = scenario.snr_definition == "zero_phases"
    plane = scenario.waves == "as_printed"
    return [
        Experiment(
            "" if printed else "our SNR",
            "signal-to-noise ratio",
            "direct path's power with all phases zero, over σ²",
            "as printed; the mean over a realization's users" if printed else "N|α|²P/σ², the mean at random phases",
            _against_zero_phases(results, printed),
        ),
        Experiment(
            "" if plane else "far waves spherical",
            "waves of far users and scatterers",
            "plane, Eq. (7)",
            "as printed" if plane else "spherical, as everywhere",
        ),
        *_phases(scenario),
    ]


def _against_zero_phases(results: "xarray.Dataset", printed: bool) -> str:
    """By how much the two definitions differ, over the realizations of a run."""
    if "zero_phases_power" not in results:
        return ""
    low, middle, high = zero_phases_spread_db(results)
    if not np.isfinite(middle):
        return ""
    spread = f"{middle:.0f} dB in the median realization, {low:.0f} to {high:.0f} dB in 90 %"
    if printed:
        return f"the mean ratio at random phases is higher: by {spread}"
    return f"theirs of the same number is a higher mean ratio: by {spread}"


def zero_phases_spread_db(results: "xarray.Dataset") -> tuple[float, float, float]:
    """Mean signal-to-noise ratio at random phases over the paper's, 5, 50 and 95 % quantiles of realizations, in dB."""
    power = results.zero_phases_power.mean("user").values
    found = -10 * np.log10(power[np.isfinite(power) & (power > 0)])
    if not found.size:
        return (np.nan, np.nan, np.nan)
    low, middle, high = (float(value) for value in np.percentile(found, (5, 50, 95)))
    return low, middle, high


def _phases(scenario: RisLocalization) -> list[Experiment]:
    """The surface's phases for the paper's own method."""
    mine = [method for method in scenario.methods if isinstance(method.estimator, OnGrid)]
    paper = "random in the first cycle, then optimised"
    found = []
    for random in dict.fromkeys(method.phases == "random" for method in mine):
        same = [method for method in mine if (method.phases == "random") == random]
        names = ", ".join(method.name for method in same)
        if random:
            found.append(Experiment("random phases", f"phases for {names}", paper, "random in every cycle"))
            continue
        counts = sorted({count for method in same for count in scenario.random_cycles(method)})
        first = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        if counts == [1]:
            found.append(Experiment("", f"phases for {names}", paper, "as printed"))
        else:
            here = f"random in the first {first}, then optimised"
            found.append(Experiment(f"{first} random cycles", f"phases for {names}", paper, here))
    return found


def beside_paper(results: "xarray.Dataset", claims: Iterable[Claim]) -> list[Claim]:
    """The paper's claims with what of the experiment is not the paper's, to be said beside their verdicts."""
    words = tuple(one.word for one in experiment(results) if one.word)
    return [claim if claim.paper == OURS else replace(claim, aside=words) for claim in claims]


def experiment_table(results: "xarray.Dataset") -> TextTable:
    """The paper's experiment and this one."""
    lines: list[tuple[str, ...]] = [(one.of, one.paper, one.here, one.so_that) for one in experiment(results)]
    return TextTable("This experiment beside the paper's", ("of", "the paper", "here", "so that"), lines)
