"""Family A: what far-field power measurements tell about a near-field user's place. Its named sweeps.

Mashhadi, Hoang, Vahid, "Near-Field User Location Inference From Far-Field Power Measurements", arXiv 2605.21815.
"""

from scenarios.leakage.bound import LeakageBound, fig1, fig1_as_printed
from scenarios.leakage.estimation import LeakageEstimation, fig3, fig3_as_printed
from scenarios.leakage.posterior_ranks import PosteriorRanks, fig3_calibration
from scenarios.leakage.sensor_sets import SensorSetEstimation, fig3_learned
from scenarios.leakage.sensors import UserAtRange, sensors

__all__ = [
    "LeakageBound",
    "LeakageEstimation",
    "PosteriorRanks",
    "SensorSetEstimation",
    "UserAtRange",
    "fig1",
    "fig1_as_printed",
    "fig3",
    "fig3_as_printed",
    "fig3_calibration",
    "fig3_learned",
    "sensors",
]
