"""What the paper says of its Fig. 3, judged from our numbers. Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.sweep import scenario_of
from scenarios.figures.claims import Claim, counted
from scenarios.figures.comparisons import BELOW, Finding, MeanRatio, Region
from scenarios.figures.orders import Point, Samples, below, orders, outperforms, samples_of
from scenarios.figures.published import differences, lacking
from scenarios.figures.rows import SQUARED_ERRORS
from scenarios.figures.style import LEARNED, label
from scenarios.leakage.rows import bounds_of, errors_of, knows_the_unseen
from scenarios.leakage.scene import LeakageScene

if TYPE_CHECKING:
    import xarray

PAPER = {
    "n_elements": 100, "carrier_hz": 15e9, "spacing_wavelengths": 0.5, "transmit_dbm": 23.0,
    "user_range_min_m": 2.0, "user_range_max_m": 12.0,
    "user_angle_min_rad": math.pi / 6, "user_angle_max_rad": 5 * math.pi / 6, "user_range_draw": "uniform",
    "sensor_range_min_m": 100.0, "sensor_range_max_m": 150.0,
    "grid_ranges": 100, "grid_angles": 180,
}  # fmt: skip
"""Table I and Section V; of sensors' angles the paper says nothing"""
_BEST = {"n_sensors": 40, "n_snapshots": 50, "noise_dbm": -85.0}
_LOWEST = {"range": (0.7, "m²"), "angle": (1e-4, "rad²")}
_DIGIT = 4 / 3
"""The lowest errors are printed with one digit: a third either way is the same number."""
_BELOW = 1 / 1.1
"""Of the bound: a mean squared error is below it where it is so by more than a tenth."""


def claims(results: "xarray.Dataset") -> list[Claim]:
    """The paper's statements about its Fig. 3, and what we say of the estimators that it does not have."""
    scenario = scenario_of(results, LeakageScene)
    differs, samples = differences(scenario, PAPER), samples_in(results)
    names = list(dict.fromkeys(point.estimator for point in samples.errors))
    learned = [name for name in names if name in LEARNED]
    beside = (
        f"leakage here {scenario.leakage.name}, in the paper as_printed"
        if scenario.leakage.name != "as_printed"
        else ""
    )
    table = [
        _lowest(samples, quantity, name, differs, beside)
        for quantity in SQUARED_ERRORS
        for name in (*learned, "least_squares", "posterior_mean")
        if name in names
    ]
    table += orders(samples, names, differs)
    table += outperforms(samples, learned, differs)
    if "posterior_mean" in names:
        ours = "posterior mean: below least squares everywhere"
        table.append(below(samples, ours, "not in the paper (ours)", "posterior_mean", "least_squares"))
    return [*table, _bound_holds(samples, results, differs)]


def samples_in(results: "xarray.Dataset") -> Samples:
    """Every estimator's squared errors, user by user."""
    scenario = scenario_of(results, LeakageScene)
    # A lost user's estimate is one more draw from the area: the square of their distance has twice its variance.
    lost = dict(zip(SQUARED_ERRORS, (2 * value for value in scenario.variance_of_draws()), strict=True))
    known = knows_the_unseen(results)
    largest = {q: 0.0 if known else value for q, value in lost.items()}
    return samples_of(errors_of(results), largest)


def _lowest(samples: Samples, quantity: str, name: str, differs: tuple[str, ...], beside: str) -> Claim:
    """An estimator's error at the paper's best point, against the paper's number."""
    paper, unit = _LOWEST[quantity]
    point = Point(quantity, estimator=name, **_BEST)  # type: ignore[arg-type]
    missing = lacking({axis: samples.values(axis) for axis in _BEST}, _BEST)
    found = samples.errors.get(point)
    comparisons = []
    if found is not None:
        same = Region(1 / _DIGIT, _DIGIT)
        comparisons.append(MeanRatio(point.text, found, np.full(found.shape, paper), same, samples.largest[quantity]))

    def say(findings: Sequence[Finding]) -> str:
        (one,) = findings
        ends = f"[{paper * one.low:.2g}, {paper * one.high:.2g}]" if one.high < math.inf else "(carried by few users)"
        return f"{paper * one.value:.2g} {unit} {ends}"

    return Claim(
        f"lowest {quantity} error, {label(name)}: σ² = {_BEST['noise_dbm']:g} dBm, K = {_BEST['n_sensors']}, "
        f"L = {_BEST['n_snapshots']}",
        f"{paper:g} {unit}",
        tuple(comparisons),
        say,
        beside,
        better=BELOW,
        differs=(*differs, *missing),
        lacking=f"estimates of {name} there",
    )


def _bound_holds(samples: Samples, results: "xarray.Dataset", differs: tuple[str, ...]) -> Claim:
    """The paper's bound is one only where no estimator's error lies below it."""
    bounds = bounds_of(results)
    found = []
    for point, errors in samples.errors.items():
        at = {"n_sensors": point.n_sensors, "n_snapshots": point.n_snapshots, "noise_dbm": point.noise_dbm}
        bound = bounds[point.quantity].sel(at).values
        if np.isfinite(bound).any():
            where = f"{label(point.estimator)}, {point.text}"
            found.append(MeanRatio(where, errors, bound, Region(low=_BELOW), samples.largest[point.quantity]))
    return Claim(
        "the bound bounds every estimator",
        "yes",
        tuple(found),
        counted("mean squared errors over the bound, by a tenth:"),
        differs=differs,
        lacking="estimates and bounds",
    )
