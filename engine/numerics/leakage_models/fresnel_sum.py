"""The quadratic phase, summed over the elements."""

from engine.numerics.element_sum import ElementSum, element_bandwidth_rad
from engine.numerics.leakage import LeakageModel
from engine.numerics.responses import fresnel_path_difference

FRESNEL_SUM = LeakageModel("fresnel_sum", ElementSum(fresnel_path_difference), element_bandwidth_rad)
