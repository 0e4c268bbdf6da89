"""What the paper says about its figures, judged from a summary of our results.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI. A claim is *reproduced* where our numbers agree with it at
every point compared, *contradicted* where the intervals exclude it at some point, and *not reproduced* otherwise.
"""

from typing import Any, NamedTuple

Rows = list[Any]
"""`figures_ris.Row`"""


class Claim(NamedTuple):
    """What the paper says, what was found, and whether the two agree."""

    claim: str
    paper: str
    ours: str
    verdict: str
