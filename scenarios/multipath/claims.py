"""What the paper says of its Fig. 4, judged from our numbers. Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scenarios.figures.claims import Claim, by_point, consistently, orders
from scenarios.figures.paired import Comparisons
from scenarios.figures.rows import Row

if TYPE_CHECKING:
    import xarray


def claims(
    results: "xarray.Dataset", summary: list[Row], against: Mapping[str, Mapping[str, Comparisons]]
) -> list[Claim]:
    """What the paper says of its estimators under multipath: the grid search with ray-traced powers, and networks.

    against: network → baseline → comparisons.
    """
    names = [name for name in ("least_squares", *against) if name in results.estimator.values]
    table = orders(by_point(summary), results, names)
    if "least_squares" in names:
        table += [consistently(name, found) for name, found in against.items()]
    return table
