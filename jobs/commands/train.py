"""Train networks, through Ray, and draw how their losses fell.

nearfield train leakage:fig3-learned --quick
nearfield train leakage:fig3-learned --workers 16 --output checkpoints/fig3
nearfield train leakage:fig3-learned --axis n_sensors=20 --set sensor_set=0 --replicas 2
nearfield train leakage:amortised
nearfield train multipath:fig4 --data data.zarr
nearfield train multipath:conditioned --set surroundings=place.geojson
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import InputError, Sweep
from jobs.cli import named, options
from jobs.show.drawing import require_matplotlib, write_figure

_AMORTISED, _CONDITIONED = "leakage:amortised", "multipath:conditioned"
_FRESH = (_AMORTISED, _CONDITIONED)
"""Trainings of which every sample is new: they have no epochs."""


def command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"A sweep over sensor sets, {_AMORTISED} or {_CONDITIONED}.")
    ],
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the networks go; checkpoints/NAME.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few sensor sets and samples: about two minutes.")] = False,
    data: Annotated[
        str | None, typer.Option(metavar="STORE", help="Users of this store of multipath:data, not traced anew.")
    ] = None,
    axis: options.Axes = [],  # noqa: B006  typer copies it
    set_: options.Settings = [],  # noqa: B006
    outputs: Annotated[int, typer.Option(metavar="1|2", min=1, max=2, help="A network a coordinate, or for both.")] = 2,
    samples: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Training samples; validation in proportion.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Epochs at most.")] = None,
    patience: Annotated[int | None, typer.Option(metavar="N", min=1, help="Epochs without gain before a stop.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="Seed of data, weights and order.")] = None,
    workers: options.Workers = None,
    replicas: Annotated[
        int, typer.Option(metavar="N", min=1, help="Workers that share each training's batches, by Ray Train.")
    ] = 1,
    serial: options.Serial = False,
    address: options.Address = None,
    shared_storage: options.SharedStorage = False,
    backend: options.BackendOption = "cpu",
) -> None:
    """Train networks on data that a scenario draws; the same command again continues after any interruption.

    Trainings are independent and spread over the workers; each is a stack of networks, one for each noise power and
    snapshot count. With --replicas each is shared by several workers instead.
    """
    from engine.backend import backend as checked

    require_matplotlib()
    if serial and (workers is not None or address is not None or replicas > 1):
        raise InputError("a serial training has no workers, replicas or address: leave out either --serial or these")
    if workers is not None and (workers < 1 or replicas > 1):
        raise InputError(f"workers: given {workers}, needed at least 1, and no --replicas beside them")
    if backend != "cpu":
        checked(backend)
    if name in _FRESH or replicas > 1 or backend != "cpu":
        _require_torch()
    given = {"training": samples, "epochs": epochs, "patience": patience, "seed": seed}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    changes["outputs"] = outputs
    if backend == "gpu":
        changes |= {"device": "cuda", "at_once": 1000}
    folder = output or Path("checkpoints") / (name.replace(":", "-") + ("-quick" if quick else ""))
    trainings = _trainings(name, quick, axis, set_, folder, changes, data)
    chosen = trainings[0].options
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for report in _reports(trainings, serial, workers, replicas, address, shared_storage, backend, folder):
        print(report.text, file=sys.stderr, flush=True)
        if report.path:
            paths.append(Path(report.path))
    from jobs.show.training_curves import losses_against_epochs

    picture = folder / "training.png"
    write_figure(lambda: losses_against_epochs(sorted(paths)), [picture])
    print(f"networks {folder}, {len(paths)} files{f'    ({chosen.label})' if chosen.label else ''}")
    print(f"curves   {picture}")


def _trainings(
    name: str, quick: bool, axis: list[str], set_: list[str], folder: Path, changes: dict[str, Any], data: str | None
) -> list[Any]:
    from scenarios.leakage import training as leakage_training
    from scenarios.leakage.estimation import LeakageEstimation
    from scenarios.leakage.sensor_sets import SensorSetEstimation
    from scenarios.multipath import MultipathEstimation, fig4
    from scenarios.multipath import training as multipath_training

    if name == _AMORTISED:
        base = Sweep(LeakageEstimation(leakage="spherical"), name=_AMORTISED)
    else:
        base = fig4.replace(name=_CONDITIONED) if name == _CONDITIONED else named.find(name)
    under_multipath = isinstance(base.scenario, MultipathEstimation)
    if not isinstance(base.scenario, SensorSetEstimation) and not under_multipath and name != _AMORTISED:
        raise InputError(
            f"{name} has no fixed sensor sets to train on: choose leakage:fig3-learned, multipath:fig4, "
            f"{_AMORTISED} or {_CONDITIONED}"
        )
    if data is not None and not under_multipath:
        raise InputError(f"--data is a store of multipath:data, and {name} draws its users itself: leave it out")
    if quick and name == _CONDITIONED:
        base = base.replace(scenario=base.scenario.replace(sensor_sets=1))
    elif quick and under_multipath:
        scenario = base.scenario.replace(noise_dbm=(-75.0,), sensor_sets=1)
        base = base.replace(scenario=scenario, axes={"n_sensors": (20,)})
    elif quick and name != _AMORTISED:
        scenario = base.scenario.replace(noise_dbm=(-75.0,))
        base = base.replace(scenario=scenario, axes={"n_sensors": (20,), "sensor_set": (0, 1)})
    sweep = named.changed(base, settings=set_, axes=axis)
    if name in _FRESH:
        if changes.keys() & {"epochs", "patience"}:
            raise InputError(f"{name} sees every sample once: give --samples rather than --epochs or --patience")
        return _fresh(sweep, quick, axis, folder, changes, data)
    default = multipath_training if under_multipath else leakage_training
    chosen = _with(default.QUICK if quick else default.OPTIONS, changes, quick)
    if under_multipath:
        return list(multipath_training.set_trainings(sweep, folder, chosen, data))
    return list(leakage_training.set_trainings(sweep, folder, chosen))


def _fresh(
    sweep: Sweep, quick: bool, axis: list[str], folder: Path, changes: dict[str, Any], data: str | None
) -> list[Any]:
    """Trainings on fresh samples, of which `changes` may name another number."""
    from scenarios.leakage import training as leakage_training
    from scenarios.leakage.estimation import LeakageEstimation
    from scenarios.multipath import training as multipath_training

    scenario, wanted = sweep.scenario, changes.pop("training", None)
    if isinstance(scenario, LeakageEstimation):
        if axis:
            raise InputError("the amortised network has no axes: it is trained on random sensor sets of every size")
        samples = wanted or (40_000 if quick else 0)
        chosen = leakage_training.OPTIONS
    else:
        samples = wanted or (multipath_training.QUICK_SAMPLES if quick else multipath_training.SAMPLES)
        chosen = multipath_training.QUICK_POOL if quick else multipath_training.POOL
    label = f"quick: {samples} samples" if quick else f"{samples} samples" if wanted else ""
    chosen = dataclasses.replace(chosen, **changes, label=label)
    if isinstance(scenario, LeakageEstimation):
        return [leakage_training.AmortisedTraining(scenario, sweep.name, sweep.fingerprint(), folder, chosen, samples)]
    return list(multipath_training.conditioned_trainings(sweep, folder, chosen, data, samples))


def _with(chosen: Any, changes: dict[str, Any], quick: bool) -> Any:
    """Options with changes; a label says that they are other than the paper's."""
    told = ", ".join(f"{key} {value}" for key, value in changes.items() if key in ("training", "epochs", "patience"))
    label = f"{'quick' if quick else 'other than Table II'}: {told}" if told else chosen.label
    if "training" in changes:
        changes = changes | {"validation": -(-changes["training"] * chosen.validation // chosen.training)}
    return dataclasses.replace(chosen, **changes, label=label)


def _reports(
    trainings: list[Any],
    serial: bool,
    workers: int | None,
    replicas: int,
    address: str | None,
    shared_storage: bool,
    backend: str,
    folder: Path,
) -> Iterator[Any]:
    """In this process, fanned out over a cluster, or one after the other by replicas."""
    if serial:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            for one in trainings:
                yield from one()
        return
    from engine.execution import cluster

    if replicas > 1:
        for one in trainings:
            yield from cluster.replicate(
                one, replicas, backend, folder=folder, address=address, shared_storage=shared_storage
            )
    else:
        yield from cluster.stream(
            trainings, backend, folder=folder, workers=workers, address=address, shared_storage=shared_storage
        )


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InputError("training needs PyTorch: pip install 'nearfield[ml]'")
