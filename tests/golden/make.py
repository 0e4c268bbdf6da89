"""Make a golden store of each scenario class that has none of today's version and format: python tests/golden/make.py

NAME-VERSION.FORMAT.zip, and of format 1 NAME-VERSION.zip; below `compact/`, one that was finished and compacted.

A golden store is a small store, with one of its two chunks missing, as the code of its day wrote it. It stays for good:
tests/test_golden.py opens, verifies, summarises, resumes and grows each with today's code. Made at the top of a clean
checkout, so that its commit is a real one.
"""

import tempfile
import zipfile
from pathlib import Path

import engine
from engine import Sweep
from engine.estimators import LeastSquares, MaximumLikelihood, PosteriorMean
from engine.estimators.deepsets.checkpoint import shipped
from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.on_grid import OnGrid
from engine.store.compact import compact
from engine.store.metadata import FORMAT
from scenarios.leakage import LeakageBound
from scenarios.leakage.estimation import WITH_LEARNED, LeakageEstimation
from scenarios.leakage.posterior_ranks import PosteriorRanks
from scenarios.leakage.sensor_sets import SensorSetEstimation
from scenarios.leakage.sensors import UserAtRange
from scenarios.multipath import MultipathData, MultipathEstimation
from scenarios.multipath.map import MultipathMap
from scenarios.ris import CLOSED_LOOP, Method, RisLocalization, RisPower, RisSampledPlaces

FOLDER = Path(__file__).parent
_NOISE = (-70.0, -80.0)
_SIZES = {"realizations": 8, "block": 4, "chunk": 4, "about": "a golden store"}

SWEEPS = {
    "leakage-bound": Sweep(LeakageBound(noise_dbm=_NOISE), {"n_sensors": (5, 9)}, **_SIZES),
    "leakage-estimation": Sweep(
        LeakageEstimation(
            leakage="spherical",
            n_sensors=9,
            noise_dbm=_NOISE,
            estimators=(*WITH_LEARNED, LeastSquares(leakage="as_printed", name="wrong model")),
        ),
        name="leakage:fig3",
        **_SIZES,
    ),
    "posterior-ranks": Sweep(
        PosteriorRanks(leakage="spherical", n_sensors=9),
        {"noise_dbm": _NOISE},
        name="leakage:fig3-calibration",
        **_SIZES,
    ),
    "sensor-set-estimation": Sweep(
        SensorSetEstimation(noise_dbm=_NOISE, n_sensors=9, estimators=(LeastSquares(), PosteriorMean(fineness=0.5))),
        {"sensor_set": (0, 1)},
        **_SIZES,
    ),
    "user-at-range": Sweep(
        UserAtRange(
            leakage="two_sided",
            n_sensors=9,
            noise_dbm=_NOISE,
            estimators=(LeastSquares(leakage="two_sided"), MaximumLikelihood(leakage="spherical")),
        ),
        {"user_at_m": (4.0, 8.0)},
        **_SIZES,
    ),
    "multipath-data": Sweep(
        MultipathData(n_sensors=4, sensor_sets=2, n_elements=16, samples=1000, diffraction=False), **_SIZES
    ),
    "multipath-diffraction": Sweep(
        MultipathData(n_sensors=4, sensor_sets=2, n_elements=16, samples=1000, diffraction=True), **_SIZES
    ),
    "multipath-estimation": Sweep(
        MultipathEstimation(
            n_sensors=6,
            sensor_sets=1,
            n_elements=16,
            samples=1000,
            noise_dbm=_NOISE,
            grid_ranges=8,
            grid_angles=24,
            estimators=(
                LeastSquares(leakage="ray_traced"),
                MaximumLikelihood(leakage="free_space", steps=0),
                PosteriorMean(leakage="ray_traced", off_grid=False),
            ),
            checkpoints=shipped("multipath-set0"),
        ),
        **_SIZES,
    ),
    "multipath-networks": Sweep(
        MultipathEstimation(
            n_sensors=20,
            sensor_sets=1,
            samples=1000,
            noise_dbm=_NOISE,
            grid_ranges=8,
            grid_angles=24,
            estimators=(LeastSquares(leakage="ray_traced"),),
            checkpoints=shipped("multipath-set0"),
        ),
        **_SIZES,
    ),
    "multipath-map": Sweep(MultipathMap(n_elements=16, samples=1000, spacing_m=60.0), **_SIZES),
    "ris-localization": Sweep(
        RisLocalization(
            elements_per_side=9,
            snr_db=(10.0, 20.0),
            angle_step_rad=0.1,
            methods=(
                Method(estimator=OnGrid(), name="on grid"),
                Method(estimator=ApproximateML(), phases="random", name="AML"),
                Method(estimator=AtomicNorm(), phases="random", name="ANM"),
                Method(estimator=NewtonisedPursuit(), phases="random", name="NOMP"),
                CLOSED_LOOP,
            ),
        ),
        **_SIZES,
    ),
    "ris-power": Sweep(
        RisPower(users="far", range_min_m=0.6, n_users=1, n_scatterers=0, n_cycles=1),
        {"elements_per_side": (5, 9)},
        **_SIZES,
    ),
    "ris-sampled-places": Sweep(
        RisSampledPlaces(elements_per_side=9, range_min_m=0.15, range_max_m=3.0, n_cycles=1), {}, **_SIZES
    ),
}


def archive_of(name: str) -> Path:
    return FOLDER / f"{name}-{type(SWEEPS[name].scenario).code_version}.{FORMAT}.zip"


def make(name: str, packed: Path, *, is_compact: bool = False) -> None:
    """The store without its last chunk, or whole and compact, zipped: file system blocks would be most of its size."""
    sweep = SWEEPS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.zarr")
        for report in engine.iterate(sweep, path, serial=True):
            if report.tasks_done == report.tasks_total - 1 and not is_compact:
                break
        if is_compact:
            compact(path)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path.rglob("*")):
                if file.is_file() and not file.name.startswith("lock."):
                    archive.write(file, file.relative_to(path))


if __name__ == "__main__":
    for name in SWEEPS:
        if not archive_of(name).exists():  # what is there stays
            make(name, archive_of(name))
            print(archive_of(name))
    for name in ("leakage-bound", "ris-localization"):
        packed = FOLDER / "compact" / archive_of(name).name
        if not packed.exists():
            packed.parent.mkdir(exist_ok=True)
            make(name, packed, is_compact=True)
            print(packed)
