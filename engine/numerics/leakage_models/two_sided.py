"""Exact distances on both sides: from each element to the user, and to the sensor."""

from engine.numerics.element_sum import element_bandwidth_rad
from engine.numerics.leakage import LeakageModel
from engine.numerics.responses import spherical_path_difference
from engine.numerics.two_sided_sum import TwoSidedSum

TWO_SIDED = LeakageModel("two_sided", TwoSidedSum(spherical_path_difference), element_bandwidth_rad, two_sided=True)
