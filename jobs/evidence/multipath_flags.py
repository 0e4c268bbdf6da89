"""Under multipath: how often searches flag their estimates, and whether flagged ones are worse."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.estimators.doubt import SELF_CHECK, Doubt
from jobs.evidence.record import Evidence
from scenarios.multipath import fig4

_OF_A_SEARCH = int(~Doubt.UNCHECKED & ~Doubt.NOT_FINITE)
_SEARCHES = ("maximum_likelihood", "posterior_mean", "maximum_likelihood_free_space", "posterior_mean_free_space")
_QUANTITIES = {"range": "squared_error_range_m2", "angle": "squared_error_angle_rad2"}


def _measured(store: str) -> dict[str, Any]:
    """Of each search over all points, users and noise powers: shares flagged, mean and median squared errors."""
    from engine import open_results

    results = open_results(store).load()
    rows = []
    for name in _SEARCHES:
        one = results.sel(estimator=name)
        errors = {what: one[variable].values.ravel() for what, variable in _QUANTITIES.items()}
        flags = np.nan_to_num(one[SELF_CHECK].transpose(*one[_QUANTITIES["range"]].dims).values).astype(int).ravel()
        there = np.isfinite(errors["range"])
        flagged = (flags & _OF_A_SEARCH) != 0
        each = {str(flag.name).lower(): float(np.mean((flags[there] & flag) != 0)) for flag in Doubt}
        rows.append(
            {
                "estimator": name,
                "estimates": int(there.sum()),
                "flagged": float(np.mean(flagged[there])),
                "by_flag": {flag: share for flag, share in each.items() if share},
                "squared_errors": {what: _both(part, there, flagged) for what, part in errors.items()},
            }
        )
    return {"searches": rows}


def _both(errors: np.ndarray, there: np.ndarray, flagged: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean and median of those with flags and those without, m² or rad²."""
    return {
        name: {"mean": float(np.mean(errors[which])), "median": float(np.median(errors[which]))}
        for name, which in (("flagged", there & flagged), ("sound", there & ~flagged))
    }


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for one in numbers["searches"]:
        ratios = [both["flagged"]["mean"] / both["sound"]["mean"] for both in one["squared_errors"].values()]
        yield (
            f"`{one['estimator']}` flags {one['flagged']:.1%} of its estimates, whose mean squared errors are "
            f"{ratios[0]:.3g} (range) and {ratios[1]:.3g} (angle) times those of the others"
        )


EVIDENCE = Evidence(
    "flags of the searches under multipath, and squared errors of estimates with and without",
    fig4.replace(realizations=100, seed=20261130),
    _measured,
    {"docs/multipath.md": words},
)
