"""Family A's trainings: networks for each number of sensors and sensor set, and the amortised one."""

from engine import InputError, Sweep
from engine.estimators.deepsets.rounds import AmortisedRecipe
from scenarios.leakage.amortised import AmortisedTraining
from scenarios.leakage.drawn_set import DrawnSet
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.sensor_sets import SensorSetEstimation
from scenarios.learning.offer import Offer, Request
from scenarios.learning.options import Options
from scenarios.learning.set_data import NO_NETWORKS
from scenarios.learning.set_training import SetTraining


def set_trainings(request: Request) -> list[SetTraining]:
    """One training for each point of a sweep over sensor sets."""
    sweep = request.sweep
    scenarios = [sweep.at(task.point) for task in sweep.replace(realizations=1, chunk=None).tasks()]
    return [
        SetTraining(
            DrawnSet(scenario.replace(checkpoints=(), estimators=NO_NETWORKS)),
            sweep.name,
            sweep.fingerprint(),
            request.folder,
            request.options,
        )
        for scenario in scenarios
        if isinstance(scenario, SensorSetEstimation)
    ]


def amortised_training(request: Request) -> list[AmortisedTraining]:
    """The one training, on random sensor sets of every size."""
    sweep, scenario = request.sweep, request.sweep.scenario
    assert isinstance(scenario, LeakageEstimation)
    if sweep.axes:
        raise InputError("the amortised network has no axes: it is trained on random sensor sets of every size")
    return [AmortisedTraining(scenario, sweep.name, sweep.fingerprint(), request.folder, request.options)]


def _two_sets(sweep: Sweep) -> Sweep:
    scenario = sweep.scenario.replace(noise_dbm=(-75.0,))
    return sweep.replace(scenario=scenario, axes={"n_sensors": (20,), "sensor_set": (0, 1)})


sets = Offer(
    "leakage:sensor-sets",
    "networks of the paper's kind for each fixed sensor set, noise power and snapshot count",
    set_trainings,
    kind=SensorSetEstimation,
    quick=Options(training=6000, validation=1500, epochs=10, label="quick: 6000 of 35 000 samples, at most 10 epochs"),
    quick_sweep=_two_sets,
    source="Table II",
)

amortised = Offer(
    "leakage:amortised",
    "one network for every sensor set, noise power and snapshot count",
    amortised_training,
    sweep=Sweep(LeakageEstimation(leakage="spherical")),
    options=Options(samples=AmortisedRecipe().samples),
    quick=Options(samples=40_000),
    needs_torch=True,
)
