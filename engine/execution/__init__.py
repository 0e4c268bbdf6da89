"""Running a sweep: what to compute next, the worker's side, the driver's side, Ray, one realization again."""
