"""The families of scenarios, a folder or a file each: parameters, draws, simulation, the papers' figures as sweeps."""

MOVED = {
    "scenarios.leakage:LeakageBound": "scenarios.leakage.bound:LeakageBound",
    "scenarios.leakage_estimation:LeakageEstimation": "scenarios.leakage.estimation:LeakageEstimation",
    "scenarios.leakage_learned:SensorSetEstimation": "scenarios.leakage.sensor_sets:SensorSetEstimation",
    "scenarios.multipath:MultipathData": "scenarios.multipath.data:MultipathData",
    "scenarios.multipath:MultipathEstimation": "scenarios.multipath.estimation:MultipathEstimation",
    "scenarios.multipath_map:MultipathMap": "scenarios.multipath.map:MultipathMap",
    "scenarios.ris:RisLocalization": "scenarios.ris.localization:RisLocalization",
}
"""The name under which stores know a class → where it is today. A name, once stored, stays; see `engine.imports`."""
