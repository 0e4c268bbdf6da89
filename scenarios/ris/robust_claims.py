"""What we say of family B where something is off: judged like the paper's claims, by the same rule."""

from typing import TYPE_CHECKING

from engine.sweep import scenario_of
from scenarios.figures.claims import Claim, counted
from scenarios.figures.comparisons import Region
from scenarios.ris.claims import ALIKE
from scenarios.ris.localization import RisLocalization
from scenarios.ris.mismatch import NAME as MISMATCHED
from scenarios.ris.samples import Samples

if TYPE_CHECKING:
    import xarray

_OURS = "not in the paper (ours)"
ENOUGH_BITS = 3
_ALIKE = Region(ALIKE**-2, ALIKE**2)
_NO_WORSE = Region(high=ALIKE**2)
_FLOOR_DB = 20.0


def none(results: "xarray.Dataset") -> list[Claim]:
    """A curve of which nothing is claimed."""
    return []


def against_bits(results: "xarray.Dataset") -> list[Claim]:
    """So many bits are as good as any phase."""
    samples, claims = Samples.of(results, "phase_bits"), []
    for method in samples.methods:
        found = []
        for field in ("near", "far"):
            curve = {point.x: point for point in samples.curve("angle", field, method)}
            if {ENOUGH_BITS, 0} <= curve.keys():
                found.append(samples.bounded(curve[ENOUGH_BITS], curve[0], _NO_WORSE))
        text = f"RMSE with {ENOUGH_BITS} bits over that with any phase:"
        claim = f"{method}: {ENOUGH_BITS} bits cost at most {ALIKE:g} in RMSE"
        claims.append(Claim(claim, _OURS, tuple(found), counted(text, _root), lacking=f"{ENOUGH_BITS} bits and 0"))
    return claims


def against_separation(results: "xarray.Dataset") -> list[Claim]:
    """Users have a frequency each: being close harms none; beams that serve both at once may even help."""
    samples, claims = Samples.of(results, "user_separation_beams"), []
    for method in samples.methods:
        found = []
        for field in ("near", "far"):
            curve = samples.curve("angle", field, method)
            if len(curve) > 1:
                found.append(samples.bounded(curve[0], curve[-1], _NO_WORSE))
        text = "RMSE of the closest users over that of the farthest apart:"
        claims.append(Claim(f"{method}: no worse for close users", _OURS, tuple(found), counted(text, _root),
                            lacking="two separations"))  # fmt: skip
    return claims


def against_mismatch(results: "xarray.Dataset") -> list[Claim]:
    """At high SNR plane waves leave what their own bound foresees, and the grid its cells on top."""
    samples = Samples.of(results, "snr_db")
    cells = scenario_of(results, RisLocalization).angle_step_rad ** 2 / 12
    found = []
    for point in samples.curve("angle", "near", "ff"):
        if point.x >= _FLOOR_DB and MISMATCHED in results:
            bound = results[MISMATCHED].sel(estimator="ff", snr_db=point.x).isel(cycle=-1)
            near = results.user_field.values == "near"
            foreseen = bound.transpose("realization", "user").values[:, near] + cells
            found.append(samples.found_over(point, foreseen, _ALIKE))
    text = "RMSE of the users found over that of the bound and cells:"
    return [
        Claim("near users: the floor of ff is that of plane waves", _OURS, tuple(found), counted(text, _root),
              lacking=f"{_FLOOR_DB:g} dB")
    ]  # fmt: skip


def _root(ratio: float) -> float:
    return float(ratio**0.5)
