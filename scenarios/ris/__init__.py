"""Family B: where users near and far are, seen through a reconfigurable intelligent surface. Its named sweeps.

Cao, Zhang, Eldar, Zhang, "Hybrid Near-field and Far-field Localization with Holographic MIMO", arXiv 2501.17868.
"""

from scenarios.ris.localization import RisLocalization
from scenarios.ris.protocol import Method
from scenarios.ris.sweeps import CLOSED_LOOP, NOMP, fig4, fig5, fig6, fig7, fig8, fig9, fig10, fig11

__all__ = [
    "CLOSED_LOOP",
    "NOMP",
    "Method",
    "RisLocalization",
    "fig4",
    "fig5",
    "fig6",
    "fig7",
    "fig8",
    "fig9",
    "fig10",
    "fig11",
]
