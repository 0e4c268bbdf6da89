"""Trainings under multipath: the paper's networks, one a point, and conditioned ones, one a sensor set."""

from engine import InputError, Sweep
from scenarios.learning.offer import Offer, Request
from scenarios.learning.options import Options
from scenarios.learning.set_data import NO_NETWORKS
from scenarios.learning.set_training import SetTraining
from scenarios.multipath.conditioned import ConditionedTraining
from scenarios.multipath.data import MultipathData
from scenarios.multipath.estimation import MultipathEstimation, fig4
from scenarios.multipath.scene import MultipathScene
from scenarios.multipath.traced_set import TracedSet
from scenarios.multipath.training_users import TracedUsers, Users, stored_users


def set_trainings(request: Request) -> list[SetTraining]:
    """One training for each number of sensors and each set."""
    sweep, options = request.sweep, request.options
    scenarios = _scenarios(sweep)
    users = _users(scenarios, options.training + options.validation + options.test, request)
    return [
        SetTraining(TracedSet(scenario, number, users), sweep.name, sweep.fingerprint(), request.folder, options)
        for scenario in scenarios
        for number in range(scenario.sensor_sets)
    ]


def conditioned_trainings(request: Request) -> list[ConditionedTraining]:
    """One training for each set."""
    sweep, options = request.sweep, request.options
    scenarios = _scenarios(sweep)
    users = _users(scenarios, options.training + options.validation, request)
    largest = _largest(scenarios)
    sizes = tuple(sorted(scenario.n_sensors for scenario in scenarios))
    return [
        ConditionedTraining(
            TracedSet(largest, number, users), sizes, sweep.name, sweep.fingerprint(), request.folder, options
        )
        for number in range(largest.sensor_sets)
    ]


def _scenarios(sweep: Sweep) -> list[MultipathEstimation]:
    """Of each point, without networks. InputError where points differ in more than the number of sensors."""
    if others := sweep.axes.keys() - {"n_sensors"}:
        raise InputError(
            f"axis {', '.join(sorted(others))}: networks are trained for one place and array, with n_sensors as their "
            f"one axis; train one after the other with --set and --output"
        )
    points = [sweep.at(task.point) for task in sweep.replace(realizations=1, chunk=None).tasks()]
    return [
        point.replace(checkpoints=(), estimators=NO_NETWORKS)
        for point in points
        if isinstance(point, MultipathEstimation)
    ]


def _largest(scenarios: list[MultipathEstimation]) -> MultipathEstimation:
    return max(scenarios, key=lambda scenario: scenario.n_sensors)


def _users(scenarios: list[MultipathEstimation], count: int, request: Request) -> Users:
    """The first `count` users, as every scenario has them: their numbers of sensors alone differ."""
    largest = _largest(scenarios)
    if request.data is not None:
        return stored_users(request.data, largest, count)
    fields = {name: getattr(largest, name) for name in MultipathScene.model_fields}
    return TracedUsers(MultipathData(**fields), request.options.seed, count)


def _one_set(sweep: Sweep) -> Sweep:
    return sweep.replace(scenario=sweep.scenario.replace(sensor_sets=1))


def _one_point(sweep: Sweep) -> Sweep:
    scenario = sweep.scenario.replace(noise_dbm=(-75.0,), sensor_sets=1)
    return sweep.replace(scenario=scenario, axes={"n_sensors": (20,)})


_QUICK = "quick: 5000 of 20 300 users, at most 10 epochs"

sets = Offer(
    "multipath:sensor-sets",
    "networks of the paper's kind for each sensor set of a place, noise power and snapshot count",
    set_trainings,
    kind=MultipathEstimation,
    options=Options(training=20_300, validation=8_700, test=1_000),  # Table III
    quick=Options(training=5000, validation=1000, test=1_000, epochs=10, label=_QUICK),
    quick_sweep=_one_point,
    source="Table II",
    data="multipath:data",
)

conditioned = Offer(
    "multipath:conditioned",
    "one network for each sensor set of a place, for every noise power and snapshot count",
    conditioned_trainings,
    sweep=fig4,
    # Noise is new whenever a user is seen, and six users a metre and degree are not many.
    options=Options(training=120_000, validation=2_000, samples=700_000),
    quick=Options(training=20_000, validation=1_000, samples=300_000),
    quick_sweep=_one_set,
    data="multipath:data",
    needs_torch=True,
)
