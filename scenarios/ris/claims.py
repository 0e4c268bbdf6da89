"""What the paper says about its figures of errors, judged from our numbers.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI. Mean squares are compared of the same users: with lost ones
counted as just lost (`LOST_BEAMS`), which neither hides them nor lets a few decide, or of those that both sides found.
"Similar", "converges", "unchanged", "fixed" and "no more" are equivalences, of RMSE within 25 %.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from scenarios.figures.claims import Claim, counted
from scenarios.figures.comparisons import Comparison, Finding, Region
from scenarios.figures.somewhere import Somewhere
from scenarios.ris.lost import LOST_BEAMS
from scenarios.ris.paper import OURS, beside_paper, differs_from_paper
from scenarios.ris.samples import Samples

if TYPE_CHECKING:
    import xarray

ALIKE = 1.25
"""RMSE within this factor are alike"""
_ALIKE = Region(ALIKE**-2, ALIKE**2)
_SMALLER, _LARGER = Region(high=1.0), Region(low=1.0)
_CENTIMETRES_M = 0.1


def against_snr(results: "xarray.Dataset") -> list[Claim]:
    """Fig. 4: errors against the signal-to-noise ratio."""
    samples, differs = Samples.of(results, "snr_db"), differs_from_paper(results)
    about = partial(_between, samples, differs)
    claims = []
    for field in ("far", "near"):
        for other in ("AML", "ANM"):
            claims.append(about(f"{field} users' angle: {other} exceeded by 30 %", "> 30 % everywhere",
                                ("angle", field, "hybrid", other), Region(high=0.7**2)))  # fmt: skip
    claims += [
        about("range: AML exceeded by 55 %", "> 55 % everywhere", ("range", "near", "hybrid", "AML"),
              Region(high=0.45**2)),
        about("far users: hybrid and far-field model similar", "yes", ("angle", "far", "hybrid", "ff"), _ALIKE),
        about("far users: near-field model worse than hybrid", "yes", ("angle", "far", "hybrid", "nf"), _SMALLER),
        about("near users: far-field model worse than hybrid", "yes", ("angle", "near", "hybrid", "ff"), _SMALLER),
        about("near users: hybrid and near-field model similar", "yes", ("angle", "near", "hybrid", "nf"), _ALIKE),
        about("range: near-field model worse than hybrid", "yes", ("range", "near", "hybrid", "nf"), _SMALLER),
        _given(samples, differs),
        *(_floor(samples, differs, method) for method in ("hybrid", "nf", "ff", "AML")),
        _no_floor(samples, differs, "ANM"),
    ]  # fmt: skip
    claims += [_at_the_bound(samples, method) for method in ("NOMP", "closed loop")]
    return beside_paper(results, (claim for claim in claims if claim.comparisons))


def against_cycles(results: "xarray.Dataset") -> list[Claim]:
    """Fig. 5: errors against the number of cycles."""
    samples, differs = Samples.of(results, "cycle"), differs_from_paper(results, snr_db=10.0)
    claims = []
    for method in ("hybrid", "ff", "nf"):
        curve = samples.curve("angle", "far", method)
        if len(curve) > 3:
            first, before, last = curve[0], curve[-2], curve[-1]
            found = (samples.bounded(last, before, _ALIKE), samples.bounded(last, first, _SMALLER))
            claims.append(Claim(
                f"far users: {method} converges with the cycles", "yes", found,
                partial(_two, f"RMSE after {last.x:g} cycles over that after", (before.x, first.x)), differs=differs,
            ))  # fmt: skip
    harder = _between(
        samples, differs, "far users: near-field model is harder to converge", "yes",
        ("angle", "far", "hybrid", "nf"), _SMALLER,
    )  # fmt: skip
    return beside_paper(results, [*claims, harder])


def against_range(results: "xarray.Dataset") -> list[Claim]:
    """Fig. 6: errors against the longest range."""
    samples, differs = Samples.of(results, "range_max_m"), differs_from_paper(results, snr_db=5.0)
    claims = []
    for method, paper, region in (("nf", "rises", _LARGER), ("hybrid", "unchanged", _ALIKE)):
        curve = samples.curve("angle", "far", method)
        if len(curve) > 1:
            text = f"RMSE at {curve[-1].x:g} m over that at {curve[0].x:g} m:"
            found = (samples.bounded(curve[-1], curve[0], region),)
            claim = f"far users, {method} model: error with the longest range"
            claims.append(Claim(claim, paper, found, counted(text, _root), differs=differs))
    return beside_paper(results, claims)


def against_spacing(results: "xarray.Dataset") -> list[Claim]:
    """Fig. 8: errors against the dictionary's angle spacing."""
    samples, differs = Samples.of(results, "angle_step_rad"), differs_from_paper(results, snr_db=10.0)
    claims = []
    for method in samples.methods:
        found: list[Comparison] = []
        for field in ("near", "far"):
            curve = samples.curve("angle", field, method)
            if len(curve) > 2:
                finest, next_, coarsest = curve[0], curve[1], curve[-1]
                found += [samples.bounded(finest, next_, _ALIKE), samples.bounded(next_, coarsest, _SMALLER)]
        claims.append(Claim(
            f"{method}: a finer dictionary first helps, then no more", "error fixed below some spacing", tuple(found),
            counted("RMSE at the finest spacing over the next, and there over the coarsest:", _root),
            "on the grid the floor Δ/√12 falls on with Δ", differs=differs, lacking="three spacings",
        ))  # fmt: skip
    return beside_paper(results, claims)


def against_size(results: "xarray.Dataset") -> list[Claim]:
    """Fig. 10: range errors against the size of the surface."""
    samples, differs = Samples.of(results, "elements_per_side"), differs_from_paper(results, snr_db=10.0)
    claims = []
    for method in samples.methods:
        curve = samples.curve("range", "near", method)
        if len(curve) < 2:
            continue
        first, last = curve[0], curve[-1]
        n, ours = int(last.x), OURS if method == "closed loop" else "yes"
        text = f"RMSE with {n} × {n} elements over that with {first.x:g} a side, users found by both:"
        claims += [
            Claim(f"{method}: range error falls with the surface's size", ours,
                  (samples.found(last, first, _SMALLER),), counted(text, _root), differs=differs),
            Claim(f"{method}: centimetre accuracy, {n} × {n} elements", f"< {_CENTIMETRES_M:g} m",
                  (samples.found_over(last, _CENTIMETRES_M**2, Region(high=1.0)),),
                  counted("RMSE of users found (m):", lambda ratio: _CENTIMETRES_M * _root(ratio)), differs=differs),
        ]  # fmt: skip
        angles = samples.curve("angle", "near", method)
        if ours != OURS and len(angles) > 2:
            both = (samples.bounded(angles[-1], angles[0], _SMALLER), samples.bounded(angles[-1], angles[-2], _ALIKE))
            claims.append(Claim(
                f"{method}: angle error first falls with the size, then stays", "Remark 2", both,
                partial(_two, f"RMSE with {n} a side over that with", (angles[0].x, angles[-2].x)), differs=differs,
            ))  # fmt: skip
    return beside_paper(results, claims)


def _between(
    samples: Samples, differs: tuple[str, ...], claim: str, paper: str, which: tuple[str, str, str, str], region: Region
) -> Claim:
    """Two methods at every value of x, by the ratio of their mean squares, lost users as just lost."""
    quantity, field, a, b = which
    other = {point.x: point for point in samples.curve(quantity, field, b)}
    compare = samples.bounded if quantity == "angle" else samples.found
    found = tuple(
        compare(point, other[point.x], region) for point in samples.curve(quantity, field, a) if point.x in other
    )
    who = f"lost users as {LOST_BEAMS:g} beams" if quantity == "angle" else "users found by both"
    return Claim(claim, paper, found, counted(f"RMSE of {a} over {b}, {who}:", _root), differs=differs)


def _given(samples: Samples, differs: tuple[str, ...]) -> Claim:
    """The abstract's "by 60 % in the RMSE of range estimation", at a ratio that the text at hand has lost."""
    others = {point.x: point for point in samples.curve("range", "near", "AML")}
    parts = tuple(
        samples.found(point, others[point.x], Region(high=0.4**2))
        for point in samples.curve("range", "near", "hybrid")
        if point.x in others
    )
    found = (Somewhere("some SNR", parts),) if parts else ()
    text = "RMSE of hybrid over AML, users found by both, where it decides:"
    return Claim("abstract: range, AML exceeded by 60 %, at some SNR", "> 60 %", found, counted(text, _root),
                 differs=differs)  # fmt: skip


def _floor(samples: Samples, differs: tuple[str, ...], method: str) -> Claim:
    """Whether a grid's error stays fixed at high signal-to-noise ratios."""
    found, say = _at_high_snr(samples, method, _ALIKE)
    return Claim(f"far users: the error of {method} stays fixed at high SNR", "yes", found, say, differs=differs)


def _no_floor(samples: Samples, differs: tuple[str, ...], method: str) -> Claim:
    """Whether an error falls on, by more than what counts as alike."""
    found, say = _at_high_snr(samples, method, Region(high=ALIKE**-2))
    return Claim(f"far users: the error of {method} falls on at high SNR", "yes", found, say, differs=differs)


def _at_high_snr(
    samples: Samples, method: str, region: Region
) -> tuple[tuple[Comparison, ...], Callable[[Sequence[Finding]], str]]:
    """The last ratio's error over the last but one's, of far users found at both."""
    curve = samples.curve("angle", "far", method)[-2:]
    if len(curve) < 2:
        return (), counted("")
    text = f"RMSE of users found, {curve[1].x:g} dB over {curve[0].x:g} dB:"
    return (samples.found(curve[1], curve[0], region),), counted(text, _root)


def _at_the_bound(samples: Samples, method: str) -> Claim:
    """Ours, not the paper's: whether leaving the grid removes the floor."""
    here = [point for field in ("far", "near") for point in samples.curve("angle", field, method) if point.x >= 10]
    ratios = [samples.found_over_bound(point, Region(high=ALIKE**2)) for point in here]
    lost = [samples.lost(point, Region(high=0.01)) for point in here]

    def say(findings: Sequence[Finding]) -> str:
        ratio = max((_root(one.value) for one in findings if one.where.startswith("RMSE")), default=float("nan"))
        share = max((one.value for one in findings if one.where.startswith("lost")), default=float("nan"))
        return f"RMSE of users found at most {ratio:.2f} × their bound, at most {100 * share:.1f} % lost"

    claim = f"{method}: RMSE within {ALIKE:g} of the joint bound from 10 dB, at most 1 % lost"
    return Claim(claim, OURS, (*ratios, *lost), say)


def _two(text: str, at: tuple[float, float], findings: Sequence[Finding]) -> str:
    return "; ".join(f"{text} {x:g}: {_root(one.value):.2f}" for x, one in zip(at, findings, strict=False))


def _root(ratio: float) -> float:
    return float(ratio**0.5)
