"""From which signal-to-noise ratio on users seen through a surface are found as well as the joint bound allows.

Each user's squared error is taken over its own bound: means of bounds that differ by orders of magnitude, as those of
optimised phases do, are carried by few. Beside that: stated covariances and lost probabilities, and whether they hold.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import Streams, Sweep
from engine.sweep import scenario_of
from jobs.evidence.record import Evidence
from scenarios.figures.comparisons import Region
from scenarios.leakage.calibration import distance
from scenarios.ris import CLOSED_LOOP, NOMP, RisLocalization
from scenarios.ris.lost import LOST_BEAMS
from scenarios.ris.samples import Samples

if TYPE_CHECKING:
    import xarray

_TAIL = 0.025
_ROWS, _STATED = "errors over bounds", "stated"
_BAND = math.sqrt(math.log(2 / 0.05) / 2)
"""√n times the largest distance of an empirical distribution in 95 % or more (Dvoretzky, Kiefer, Wolfowitz, Massart)"""
SNRS_DB = (5.0, 7.5, 10.0, 15.0, 20.0)


def _measured(store: str) -> dict[str, Any]:
    """RMSE of the users found over their bound, and the share lost, with 95 % intervals, each alone."""
    from engine import open_results

    results = open_results(store).load()
    samples, found = Samples.of(results, "snr_db"), []
    for method in samples.methods:
        for field in ("near", "far"):
            for point in samples.curve("angle", field, method):
                lost = samples.lost(point, Region()).judged(_TAIL)
                kept = samples.directions[point] <= LOST_BEAMS
                squares = np.where(kept, samples.errors[point] / samples.bounds[point], np.nan)
                mean, median = float(np.nanmean(squares)), float(np.nanmedian(squares))
                error = float(np.nanstd(squares) / np.sqrt(np.isfinite(squares).sum()))
                ends = {"low": max(mean - 1.96 * error, 0) ** 0.5, "high": (mean + 1.96 * error) ** 0.5}
                shares = {"lost": lost.value, "lost_low": lost.low, "lost_high": lost.high, "median_square": median}
                found.append({**point._asdict(), "ratio": mean**0.5, **ends, **shares, "users": int(kept.size)})
    return {_ROWS: found, _STATED: list(_stated(results))}


def _stated(results: "xarray.Dataset") -> Iterator[dict[str, Any]]:
    """Of the users found: mean of eᵀC⁻¹e/3, and how far the ranks of their errors are from uniform.

    Ranks: of each coordinate in its own normal distribution, of eᵀC⁻¹e in χ² with three degrees of freedom, and of κ in
    its stated posterior: users near and far in equal shares are 1 % from uniform in range, its prior.
    """
    from scipy.special import chdtr, ndtr

    deviations = _deviations(results)
    for i, method in enumerate(results.estimator.values.tolist()):
        for j, snr in enumerate(results.snr_db.values.tolist()):
            one = results.isel(estimator=i, snr_db=j, cycle=-1)
            lost = one.direction_error_beams.values > LOST_BEAMS
            told = np.isfinite(one.nees.values)
            kept = ~lost & told
            nees, chance = one.nees.values[kept], one.lost_probability.values
            ranks = dict(zip(("kappa", "theta", "phi"), ndtr(deviations[:, i, j][kept]).T, strict=True))
            ranks["chi_squared"] = chdtr(3, 3 * nees)
            ranks["kappa_posterior"] = one.rank_inverse_range.values[kept]
            yield {
                "method": method, "x": snr, "users": int(lost.size), "lost": int(lost.sum()),
                "found_without_covariance": int(np.sum(~lost & ~told)),
                "lost_stated": float(chance.sum()), "nees": float(nees.mean()),
                "nees_error": float(nees.std() / math.sqrt(nees.size)),
                "ranks_from_uniform": {name: distance(part) for name, part in ranks.items()},
                "band": _BAND / math.sqrt(nees.size),
            }  # fmt: skip


def _deviations(results: "xarray.Dataset") -> np.ndarray:
    """Errors of κ, θ, φ over their stated deviations, (realizations, methods, SNRs, users, 3)."""
    scene, seed, block = scenario_of(results, RisLocalization), int(results.attrs["seed"]), int(results.attrs["block"])
    drawn = [scene.draw(Streams(seed, number), block) for number in range(results.sizes["realization"] // block)]
    true = [np.concatenate([part[k] for part in drawn])[:, None, None] for k in range(3)]
    last = results.isel(cycle=-1).transpose("realization", "estimator", "snr_db", "user", ...)
    kappa = last.normalised_error.isel(coordinate=0).values * np.sqrt(last.bound_range_m2.values) / true[0] ** 2
    angles = [last[f"estimate_{name}_rad"].values - true[k] for k, name in ((1, "polar"), (2, "azimuth"))]
    return np.stack([kappa, *angles], axis=-1) / last.stated_deviation.values


def words(numbers: dict[str, Any]) -> Iterator[str]:
    """Rows of a table: near and far users of each method; and whether what the closed loop states holds."""
    for snr in SNRS_DB:
        cells = []
        for method in ("NOMP", "closed loop"):
            rows = [one for one in numbers[_ROWS] if (one["method"], one["x"]) == (method, snr)]
            cells.append(", ".join(f"{one['ratio']:.2f}" for one in rows))
            cells.append(", ".join(f"{100 * one['lost']:.1f} %" for one in rows))
        yield f"| {snr:g} dB | {' | '.join(cells)} |"
    stated = [one for one in numbers[_STATED] if one["method"] == "closed loop"]
    means = [one["nees"] for one in stated]
    yield f"eᵀC⁻¹e/3 of the users found is {min(means):.2f} to {max(means):.2f} in the mean"
    ranks, band = [one["ranks_from_uniform"] for one in stated], max(one["band"] for one in stated)
    in_normal, in_posterior = ([one[name] for one in ranks] for name in ("kappa", "kappa_posterior"))
    yield f"about the estimate are off by {min(in_normal):.2f} to {max(in_normal):.2f}"
    off = f"off by {min(in_posterior):.3f} to {max(in_posterior):.3f}"
    yield f"{off} where the 95 % band of the uniform one is {band:.3f}"
    first = stated[0]
    lost, told = (100 * first[part] / first["users"] for part in ("lost", "lost_stated"))
    yield f"at {first['x']:g} dB the closed loop loses {lost:.1f} % of users and states {told:.1f} %"


EVIDENCE = Evidence(
    "RMS of the angle errors of users found over their own joint bounds, and users lost, by signal-to-noise ratio",
    Sweep(
        RisLocalization(snr_db=SNRS_DB, methods=(NOMP, CLOSED_LOOP)),
        {},
        about="NOMP and the closed loop beside the joint bound",
        realizations=512,
        seed=20261129,
        block=16,
        chunk=64,
    ),
    _measured,
    {"docs/numbers.md": words},
)
