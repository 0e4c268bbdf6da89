"""The exact spherical wave."""

from engine.numerics.element_sum import ElementSum, element_bandwidth_rad
from engine.numerics.leakage import LeakageModel
from engine.numerics.responses import spherical_path_difference

SPHERICAL = LeakageModel("spherical", ElementSum(spherical_path_difference), element_bandwidth_rad)
