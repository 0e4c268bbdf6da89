"""Where the user is, from powers that were measured.

nearfield locate --measurements campaign.csv --noise-dbm -80
nearfield locate --measurements campaign.nc --noise-dbm -80 --snapshots 50 --checkpoint checkpoints/site.safetensors
nearfield locate --measurements campaign.csv --noise-dbm -80 --set n_elements=128 --set carrier_hz=28e9
"""

import math
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engine import InputError, Sweep
from engine.sweep import TextTable
from jobs.cli import measurements, named, options
from jobs.show.tables import print_report
from scenarios.leakage.scene import LeakageScene

_MEASURED = ("n_sensors", "noise_dbm", "n_snapshots", "leakage", "estimators")


def command(
    measurements_: Annotated[
        Path, typer.Option("--measurements", metavar="FILE", help="A .csv or .nc file: positions and powers.")
    ],
    noise_dbm: Annotated[float, typer.Option(metavar="DBM", help="Noise power σ² at a sensor.")],
    snapshots: Annotated[int, typer.Option(metavar="L", min=1, help="Snapshots that each row is the mean of.")] = 1,
    checkpoint: Annotated[
        list[str], typer.Option(metavar="PATH", help="Networks to ask as well: a file or a folder.")
    ] = [],  # noqa: B006  typer copies it
    leakage: Annotated[str, typer.Option(metavar="MODEL", help="Leakage model that estimators assume.")] = "spherical",
    set_: options.Settings = [],  # noqa: B006
) -> None:
    """Estimate range and angle by every estimator that applies, each with the standard deviation that it states.

    The array, the transmit power and the user's area are those of Fig. 3; --set changes them. Angles count from the
    array's axis, 90° is ahead.
    """
    from engine.estimators import (
        Batch,
        Estimator,
        LeastSquares,
        MaximumLikelihood,
        Observations,
        PosteriorMean,
        Workbench,
    )
    from engine.estimators.deepsets import AmortisedDeepSets, Checkpoint, ConditionedDeepSets, DeepSets
    from engine.estimators.deepsets.checkpoint import checkpoints_in
    from engine.estimators.deepsets.setting import surroundings_of
    from scenarios.leakage.estimation import LeakageEstimation

    if not math.isfinite(noise_dbm):
        raise InputError(f"noise_dbm: given {noise_dbm:g}, needed a finite power")
    for text in set_:
        name = text.partition("=")[0].strip()
        if name in _MEASURED:
            raise InputError(f"--set {text}: {name} comes from the measurements, --noise-dbm and --snapshots")
    seen = measurements.read(measurements_)
    count = seen.rows * snapshots
    assumed = LeastSquares.model_validate({"leakage": leakage}).leakage
    base = named.changed(Sweep(LeakageEstimation(leakage=assumed)), settings=set_, axes=[])
    scene = base.scenario.replace(noise_dbm=(noise_dbm,), n_snapshots=(count,), n_sensors=len(seen.power_w))
    assert isinstance(scene, LeakageEstimation)
    _check(seen, scene)
    estimators: list[Estimator] = [LeastSquares(leakage=assumed), MaximumLikelihood(leakage=assumed)]
    estimators.append(PosteriorMean(leakage=assumed))
    noise_w = 1e-3 * 10 ** (noise_dbm / 10)
    statistic = 2 * count * seen.power_w / noise_w
    observed = Observations(statistic[None, None, None, :], seen.range_m[None], seen.angle_rad[None])
    problem = scene.problem()
    in_free_space = Workbench(problem, np).batch(observed)
    posed: list[tuple[Estimator, Batch]] = [(one, in_free_space) for one in estimators]
    for one in checkpoints_in(checkpoint):
        file = one if isinstance(one, Checkpoint) else Checkpoint(path=one)
        card, stem = file.card(), Path(file.path).stem
        learned: Estimator
        if card.kind == "amortised":
            learned = AmortisedDeepSets(checkpoint=file, leakage="fresnel_closed", name=f"AmortisedDeepSets, {stem}")
        elif card.kind == "conditioned":
            learned = ConditionedDeepSets(checkpoints=(file,), name=f"ConditionedDeepSets, {stem}")
        else:
            learned = DeepSets(checkpoints=(file,), name=f"DeepSets, {stem}")
        there = surroundings_of(card, problem)
        if there.setting:
            print(f"nearfield: {learned.name} takes this for the place that it was trained in", file=sys.stderr)
        posed.append((learned, Workbench(there, np).batch(observed) if there.setting else in_free_space))
    rows, refused = [], []
    for estimator, batch in posed:
        try:
            estimate = estimator.prepare(batch.workbench)(batch)
            spread = estimator.deviations(batch, estimate)
        except InputError as error:
            refused.append(f"{estimator.name} does not apply: {error}")
            continue
        numbers = [float(part[0, 0, 0]) for part in (*estimate, *spread)]
        rows.append(_line(estimator.name.replace("_", " "), *numbers))
    print_report(
        [
            TextTable(
                f"{len(seen.power_w)} sensors, {count} snapshots, σ² = {noise_dbm:g} dBm",
                ("estimator", "range (m)", "angle (°)", "x ahead (m)", "y along the array (m)"),
                rows,
            )
        ]
    )
    for line in refused:
        print(f"nearfield: {line}", file=sys.stderr)
    if refused and len(refused) == len(checkpoint):
        raise InputError("no --checkpoint applies to these measurements; the estimates above need none")


def _check(seen: measurements.Measurements, scene: LeakageScene) -> None:
    """Refuse what cannot be, and say what is left out or doubtful."""
    transmit_w = 1e-3 * 10 ** (scene.transmit_dbm / 10)
    if seen.power_w.max() > transmit_w:
        raise InputError(
            f"a sensor received {10 * np.log10(seen.power_w.max() * 1e3):.1f} dBm, more than the "
            f"{scene.transmit_dbm:g} dBm that are sent: check the powers' unit, or --set transmit_dbm="
        )
    if not seen.power_w.max() > 0:
        raise InputError("every power is zero: check the powers' unit")
    if seen.left_out:
        print(f"nearfield: without a power, left out: sensor {', '.join(seen.left_out)}", file=sys.stderr)
    far_m = scene.array().rayleigh_range_m
    near = int(np.count_nonzero(seen.range_m < far_m))
    if near:
        print(
            f"nearfield: {near} sensors are nearer than {far_m:.0f} m, where the array's far field begins; the "
            f"estimates assume that none is",
            file=sys.stderr,
        )


def _line(name: str, range_m: float, angle_rad: float, by_m: float, by_rad: float) -> tuple[str, ...]:
    x, y = range_m * math.sin(angle_rad), range_m * math.cos(angle_rad)
    return (
        name,
        f"{range_m:.2f} ± {_text(by_m)}",
        f"{math.degrees(angle_rad):.2f} ± {_text(math.degrees(by_rad))}",
        f"{x:.2f}",
        f"{y:.2f}",
    )


def _text(deviation: float) -> str:
    return f"{deviation:.2f}" if math.isfinite(deviation) else "?"
