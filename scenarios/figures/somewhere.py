"""What a paper claims of one setting that it does not name: that some of several numbers lies in its region."""

import math
from dataclasses import dataclass

from scenarios.figures.comparisons import INSIDE, UNKNOWN, Comparison, Finding


@dataclass(frozen=True)
class Somewhere:
    """Inside where one part is inside, outside where all are outside; the number is the part's that decides.

    Each of n parts has an nth of the probability of a wrong answer, as each may be the one that is found inside.
    """

    where: str
    parts: tuple[Comparison, ...]

    def judged(self, tail: float) -> Finding:
        found = [part.judged(tail / len(self.parts)) for part in self.parts]
        inside = [one for one in found if one.side == INSIDE]
        if inside:
            return inside[0]
        open_ = [one for one in found if one.side == UNKNOWN]
        if not open_:
            return found[0]
        best = min(open_, key=lambda one: (one.needed, math.isnan(one.value)))
        known = [one for one in open_ if not math.isnan(one.value)]
        return best if not math.isnan(best.value) or not known else known[0]
