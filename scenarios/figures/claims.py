"""One rule for what papers say of their figures and what we say of ours: an outcome for each claim.

A claim is a set of comparisons, each with the region in which its number must lie: an inequality or an order over
points (one end), an equivalence with a stated margin (two), a share, or a slope. The claims of a table share one
probability of a wrong outcome, 5 %, in equal parts, and the numbers of a claim its part (Bonferroni);
`scenarios.figures.comparisons` has when a number is known.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.sweep import TextTable
from scenarios.figures.comparisons import ABOVE, BELOW, INSIDE, UNKNOWN, Comparison, Finding

REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided at this budget"
NOT_JUDGED, BETTER = "not judged here", "better than the paper"
OUTCOMES = (REPRODUCED, CONTRADICTED, UNDECIDED, NOT_JUDGED, BETTER)
WRONG = 0.05
"""Probability that a table has a wrong outcome"""
TITLE = "Claims"
RULE = (
    f"{REPRODUCED}: all numbers are inside what is claimed; {CONTRADICTED}: one is outside; at most 5 % for a wrong "
    f"word in the table; realizations are compared pair by pair"
)
_MOST = 1e7


@dataclass(frozen=True)
class Claim:
    """What is claimed, and the numbers that decide it.

    paper: what the paper says, or that it is ours. beside: what a reader should know next to our numbers. better: the
    side of a region on which a result is better than the paper's. differs: what is not as in the paper, so that the
    claim is not judged. lacking: what a run needs before there is anything to compare. a_sample: realizations of one.
    aside: what is not as in the paper but leaves something to judge, said beside the verdict.
    """

    claim: str
    paper: str
    comparisons: tuple[Comparison, ...]
    say: Callable[[Sequence[Finding]], str]
    beside: str = ""
    better: str = ""
    differs: tuple[str, ...] = ()
    lacking: str = "two points to compare"
    a_sample: int = 1
    aside: tuple[str, ...] = ()


class Judged(NamedTuple):
    """A claim, what was found, and its outcome."""

    claim: str
    paper: str
    ours: str
    verdict: str

    @property
    def outcome(self) -> str:
        """The verdict without what follows in brackets."""
        return next(one for one in OUTCOMES if self.verdict.startswith(one))


def judged(claims: Iterable[Claim]) -> list[Judged]:
    """The outcome of each claim of a table."""
    claims = list(claims)
    parts = max(1, sum(1 for one in claims if one.comparisons and not one.differs))
    return [_judged(one, WRONG / (2 * parts * max(1, len(one.comparisons)))) for one in claims]


def claims_table(claims: Iterable[Claim]) -> TextTable:
    """Claims beside what was found; `nearfield report` knows the table by its last heading."""
    return TextTable(f"{TITLE} ({RULE})", ("claim", "paper", "this run", "verdict"), list(map(tuple, judged(claims))))


def _judged(claim: Claim, tail: float) -> Judged:
    findings = [one.judged(tail) for one in claim.comparisons]
    known = [one for one in findings if not math.isnan(one.value)]
    ours = "; ".join(part for part in (claim.say(known) if known else "no numbers", claim.beside) if part)
    verdict = _verdict(claim, findings)
    if claim.aside and not verdict.startswith(NOT_JUDGED):
        verdict = f"{verdict} [here: {', '.join(claim.aside)}]"
    return Judged(claim.claim, claim.paper, ours, verdict)


def _verdict(claim: Claim, findings: Sequence[Finding]) -> str:
    if claim.differs:
        return f"{NOT_JUDGED} ({', '.join(claim.differs)})"
    if not findings:
        return f"{NOT_JUDGED} (needed {claim.lacking})"
    outside = {one.side for one in findings} & {ABOVE, BELOW}
    if outside:
        return BETTER if outside == {claim.better} else CONTRADICTED
    if all(one.side == INSIDE for one in findings):
        return REPRODUCED
    return f"{UNDECIDED} ({_needed(findings, claim.a_sample)})"


def _needed(findings: Sequence[Finding], a_sample: int) -> str:
    most = a_sample * max(one.needed for one in findings if one.side == UNKNOWN)
    if not most < _MOST:
        return "no budget in reach decides"
    digits = 10 ** max(0, math.floor(math.log10(most)))
    return f"about {math.ceil(most / digits) * digits} realizations would decide"


def counted(what: str, scale: Callable[[float], float] = lambda value: value) -> Callable[[Sequence[Finding]], str]:
    """Says between which values the numbers lie, and at how many points they are inside, outside, or neither."""

    def say(findings: Sequence[Finding]) -> str:
        values = [scale(one.value) for one in findings]
        span = f"{min(values):.2g}" if len(values) == 1 else f"{min(values):.2g} to {max(values):.2g}"
        sides = [one.side for one in findings]
        outside = len(sides) - sides.count(INSIDE) - sides.count(UNKNOWN)
        found = f"{what} {span}; inside at {sides.count(INSIDE)}, outside at {outside} of {len(sides)}"
        counts = [one.samples for one in findings]
        found += f", of the same {min(counts)}" + (f" to {max(counts)}" if max(counts) > min(counts) else "")
        if outside:
            worst = max((one for one in findings if one.side in (ABOVE, BELOW)), key=lambda one: abs(_log(one.value)))
            found += f" (most at {worst.where}: {scale(worst.value):.2g})"
        return found

    return say


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.inf
