"""Whether an estimate depends on the grid that a search begins with: on the grid it does, off the grid it should not.

Mashhadi, Hoang, Vahid, arXiv 2605.21815, Section V-D, search 180 angles.
"""

from engine import Sweep
from engine.estimators import PosteriorMean
from engine.estimators.refined import RefinedMaximumLikelihood, RefinedPosteriorMean
from scenarios.multipath.estimation import MultipathEstimation

off_grid = Sweep(
    MultipathEstimation(
        n_sensors=40,
        sensor_sets=1,
        noise_dbm=(-85.0,),
        n_snapshots=(50,),
        estimators=(
            PosteriorMean(leakage="ray_traced", off_grid=False),
            RefinedPosteriorMean(),
            RefinedMaximumLikelihood(),
        ),
    ),
    {"grid_angles": (180, 360, 720)},
    realizations=40,
    full=400,
    block=10,
    chunk=10,
    name="multipath:off-grid",
    about="estimates on a traced table's grid and off it, by the angles of the grid, −85 dBm, K = 40, L = 50",
    highlights=("squared_error_range_m2", "squared_error_angle_rad2"),
)
