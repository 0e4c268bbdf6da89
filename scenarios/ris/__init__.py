"""Family B: where users near and far are, seen through a reconfigurable intelligent surface. Its named sweeps.

Cao, Zhang, Eldar, Zhang, "Hybrid Near-field and Far-field Localization with Holographic MIMO", arXiv 2501.17868.
"""

from scenarios.ris.as_printed import (
    fig4_as_printed,
    fig5_as_printed,
    fig6_as_printed,
    fig7_as_printed,
    fig8_as_printed,
    fig9_as_printed,
    fig10_as_printed,
    fig11_as_printed,
)
from scenarios.ris.localization import RisLocalization
from scenarios.ris.power import RisPower, power
from scenarios.ris.protocol import Method
from scenarios.ris.remark1 import remark1
from scenarios.ris.sampled import RisSampledPlaces, fig3
from scenarios.ris.sweeps import CLOSED_LOOP, NOMP, fig4, fig5, fig6, fig7, fig8, fig9, fig10, fig11

__all__ = [
    "CLOSED_LOOP",
    "NOMP",
    "Method",
    "RisLocalization",
    "RisPower",
    "RisSampledPlaces",
    "fig3",
    "fig4",
    "fig4_as_printed",
    "fig5",
    "fig5_as_printed",
    "fig6",
    "fig6_as_printed",
    "fig7",
    "fig7_as_printed",
    "fig8",
    "fig8_as_printed",
    "fig9",
    "fig9_as_printed",
    "fig10",
    "fig10_as_printed",
    "fig11",
    "fig11_as_printed",
    "power",
    "remark1",
]
