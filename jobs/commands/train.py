"""Train networks, through Ray, and draw how their losses fell.

nearfield train
nearfield train leakage:fig3-learned --quick
nearfield train leakage:fig3-learned --workers 16 --output checkpoints/fig3
nearfield train leakage:fig3-learned --axis n_sensors=20 --set sensor_set=0 --replicas 2
nearfield train leakage:amortised
nearfield train multipath:fig4 --data data.zarr
nearfield train multipath:conditioned --set surroundings=place.geojson
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import InputError
from jobs.cli import completion, named, options
from jobs.show.drawing import require_matplotlib, write_figure


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A training, or a sweep that there is one for; lists them.",
            autocompletion=completion.trainings,
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the networks go; checkpoints/NAME.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few sensor sets and samples: about two minutes.")] = False,
    data: Annotated[
        str | None, typer.Option(metavar="STORE", help="Users of this store, as of multipath:data, not traced anew.")
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
    from jobs.cli import offers
    from scenarios.learning.offer import Request

    if name is None:
        _list(offers.trainable())
        return
    where = _Where(serial, workers, replicas, address, shared_storage, backend)
    where.check()
    require_matplotlib()
    offer, base = offers.find(name)
    if offer.needs_torch or replicas > 1 or backend != "cpu":
        _require_torch()
    given = {"samples": samples, "epochs": epochs, "patience": patience, "seed": seed}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    changes |= {"outputs": outputs} | ({"device": "cuda", "at_once": 1000} if backend == "gpu" else {})
    chosen = offer.chosen(name, changes, quick=quick, data=data)
    sweep = named.changed(offer.quick_sweep(base) if quick else base, settings=set_, axes=axis)
    folder = output or Path("checkpoints") / (name.replace(":", "-") + ("-quick" if quick else ""))
    trainings = offer.trainings(Request(sweep, folder, chosen, data))
    paths = _trained(where.reports(trainings, folder), folder)
    print(f"networks {folder}, {len(paths)} files{f'    ({chosen.label})' if chosen.label else ''}")
    if offer.curves:
        _draw(offer.curves, paths, folder / "training.png")


def _list(offers: dict[str, Any]) -> None:
    from engine.sweep import TextTable
    from jobs.show.tables import print_report

    rows: list[tuple[str, ...]] = [(name, offer.about) for name, offer in offers.items()]
    print_report([TextTable("What can be trained", ("NAME", "what"), rows)])


@dataclass(frozen=True)
class _Where:
    """In this process, fanned out over a cluster, or one training after the other by replicas."""

    serial: bool
    workers: int | None
    replicas: int
    address: str | None
    shared_storage: bool
    backend: str

    def check(self) -> None:
        from engine.backend import backend

        elsewhere = self.workers is not None or self.address is not None or self.replicas > 1
        if self.serial and elsewhere:
            raise InputError(
                "a serial training has no workers, replicas or address: leave out either --serial or these"
            )
        if self.workers is not None and (self.workers < 1 or self.replicas > 1):
            raise InputError(f"workers: given {self.workers}, needed at least 1, and no --replicas beside them")
        if self.backend != "cpu":
            backend(self.backend)

    def reports(self, trainings: Sequence[Any], folder: Path) -> Iterator[Any]:
        """What the trainings tell, as it comes."""
        if self.serial:
            yield from _serial(trainings)
            return
        from engine.execution import cluster

        there: dict[str, Any] = {"address": self.address, "shared_storage": self.shared_storage, "folder": folder}
        if self.replicas > 1:
            for one in trainings:
                yield from cluster.replicate(one, self.replicas, self.backend, **there)
        else:
            yield from cluster.stream(list(trainings), self.backend, workers=self.workers, **there)


def _serial(trainings: Sequence[Any]) -> Iterator[Any]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        for one in trainings:
            yield from one()


def _trained(reports: Iterator[Any], folder: Path) -> list[Path]:
    """Files of the trainings, once all of them have ended; says how they go."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for report in reports:
        print(report.text, file=sys.stderr, flush=True)
        if report.path:
            paths.append(Path(report.path))
    return sorted(paths)


def _draw(curves: Callable[[list[Path]], Any], paths: list[Path], picture: Path) -> None:
    write_figure(lambda: curves(paths), [picture])
    print(f"curves   {picture}")


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InputError("training needs PyTorch: pip install 'nearfield[ml]'")
