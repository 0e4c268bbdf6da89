"""The families of scenarios, one file each: parameters, draws, simulation, and the papers' figures as named sweeps."""
