"""Family A under multipath: its data set, what a beam leaks over an area, and the errors of estimators.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D and Table III.
"""

from scenarios.multipath.data import MultipathData, data
from scenarios.multipath.estimation import MultipathEstimation, fig4
from scenarios.multipath.map import MultipathMap, fig2

__all__ = ["MultipathData", "MultipathEstimation", "MultipathMap", "data", "fig2", "fig4"]
