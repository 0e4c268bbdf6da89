"""Where the user is, from powers that were measured.

nearfield locate --measurements campaign.csv --noise-dbm -80
nearfield locate --measurements campaign.nc --noise-dbm -80 --snapshots 50 --checkpoint checkpoints/site.safetensors
nearfield locate --measurements campaign.csv --noise-dbm -80 --set n_elements=128 --set carrier_hz=28e9
nearfield locate --measurements campaign.csv --noise-dbm -80 --leakage spherical  # sensors infinitely far away
nearfield locate --measurements campaign.csv --noise-dbm -80 --gain-db -10:10 -o answer.json --plot answer.png
nearfield locate --template campaign.csv  # an example, to be filled in
nearfield locate --measurements rx.txt --noise-dbm -80 --column power_dbm="Rx level [dBm]" --not-heard -120
nearfield locate --measurements gps.csv --noise-dbm -80 --array 52.5186,13.3763,90
"""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from engine import InputError, Sweep
from jobs.cli import named, options
from jobs.cli.measurements import Measurements
from jobs.cli.measurements import options as reading
from jobs.cli.measurements.scatter import said_of_scatter
from jobs.show import answering

if TYPE_CHECKING:
    from scenarios.leakage.answer import Answer
    from scenarios.leakage.locate import Estimate, Located

_MEASURED = ("n_sensors", "noise_dbm", "n_snapshots", "leakage", "estimators")


def command(
    measurements_: Annotated[
        Path, typer.Option("--measurements", metavar="FILE", help="Positions and powers: .csv .tsv .txt .nc .parquet.")
    ],
    noise_dbm: Annotated[
        str, typer.Option(metavar="DBM|LOW:HIGH", help="Noise power σ² at a sensor, or an interval that holds it.")
    ],
    snapshots: Annotated[int, typer.Option(metavar="L", min=1, help="Snapshots that each row is the mean of.")] = 1,
    checkpoint: Annotated[
        list[str], typer.Option(metavar="PATH", help="Networks to ask as well: a file or a folder.")
    ] = [],  # noqa: B006  typer copies it
    leakage: Annotated[str, typer.Option(metavar="MODEL", help="Leakage model that estimators assume.")] = "two_sided",
    set_: options.Settings = [],  # noqa: B006
    import_: options.Imports = [],  # noqa: B006
    column: reading.Columns = [],  # noqa: B006
    not_heard: reading.NotHeard = [],  # noqa: B006
    array: reading.Array = None,
    decimal: reading.Decimal = None,
    gain_db: answering.Gain = None,
    noise_db_sd: answering.NoiseDeviation = 0.0,
    noise_subtracted: answering.NoiseSubtracted = False,
    output: answering.Output = None,
    plot: answering.Plot = None,
    template: reading.Template = False,
    template_file: reading.TemplateFile = None,
) -> None:
    """Say where the user is, with a 95 % region, and whether the model fits at all; then what each estimator says.

    The answer is the posterior's mean over the user's area; distances to the sensors are taken as they are unless
    --leakage says otherwise. Where the powers do not fit, it has no deviations. The array, the transmit power and the
    user's area are those of Fig. 3; --set changes them. Angles count from the array's axis, 90° is ahead.

    The file: a line of headings with units, as range_m, angle_deg, power_dbm, then a line for each sensor, or for each
    snapshot of one. Positions are range + angle, x + y, or latitude + longitude; a column sensor names them. --template
    writes an example; docs/measurements.md is the format's page.
    """
    named.import_modules(import_)
    scene = _scene(leakage, set_)
    asked = answering.asked(noise_dbm, gain_db, noise_db_sd, noise_subtracted)
    answering.require_writable(output, plot)
    seen = reading.read_as_said(measurements_, column, not_heard, array, decimal, may_be_negative=noise_subtracted)
    counts = _snapshots(seen, snapshots)
    found = answering.answered(asked, seen, counts, scene)
    located = _located(found, scene, checkpoint)
    rows = said_of_scatter(seen.scatter, snapshots)
    warnings = [*seen.remarks, *rows, *(remark.text for remark in found.remarks), *_remarks(located, found)]
    for line in warnings:
        _say(line)
    answering.show(found, f"{len(found.measured.power_w)} sensors, {_counted(counts)}, {answering.noise_words(asked)}")
    _print("estimators", located.estimates, found.holds)
    if output:
        answering.write(output, found, located, warnings, {
            "measurements": str(measurements_), "noise_dbm": noise_dbm, "snapshots": snapshots, "gain_db": gain_db,
            "noise_db_sd": noise_db_sd, "noise_subtracted": noise_subtracted, "leakage": leakage, "set": set_,
            "checkpoint": checkpoint,
        })  # fmt: skip
    if plot:
        answering.draw(plot, found, scene)
    if checkpoint and not any(estimate.is_learned for estimate in located.estimates):
        raise InputError("no --checkpoint applies to these measurements; the estimates above need none")


def _located(found: "Answer", scene: Any, checkpoint: list[str]) -> "Located":
    from scenarios.leakage.locate import locate

    known = found.unknown.gain.known and found.unknown.noise.known
    assumed = scene.leakage.name if known else ""
    exact = next((one for one in (found.recommended, found.other) if one.leakage == assumed), None)
    return locate(found.measured, scene, _checkpoints(checkpoint), exact=exact)


def _remarks(located: "Located", found: "Answer") -> list[str]:
    """What speaks against single estimators."""
    from engine.estimators.doubt import Doubt, in_words
    from scenarios.leakage.locate import ExactSensors, NearSensors

    said = {remark.code for remark in found.remarks}
    lines = [
        _worded(remark)
        for remark in located.remarks
        if not isinstance(remark, ExactSensors) and not (isinstance(remark, NearSensors) and "near_sensors" in said)
    ]
    for estimate in located.estimates:
        if against := in_words(estimate.self_check & ~Doubt.UNCHECKED):
            lines.append(f"{estimate.estimator.replace('_', ' ')} may be wrong: {against}")
    lines += [f"{refused.estimator} does not apply: {refused.reason}" for refused in located.refused]
    if not (found.unknown.gain.known and found.unknown.noise.known):
        lines.append("the estimators below the answer take gain and noise as known")
    return lines


def _snapshots(seen: Measurements, of_a_row: int) -> np.ndarray:
    """Of each sensor, (K,)."""
    if seen.states_snapshots and of_a_row != 1:
        raise InputError(
            f"--snapshots {of_a_row}: the file says of how many snapshots each row is the mean: leave it out"
        )
    return seen.n_snapshots * of_a_row


def _counted(counts: np.ndarray) -> str:
    fewest, most = int(counts.min()), int(counts.max())
    return f"{fewest} snapshots" if fewest == most else f"{fewest} to {most} snapshots"


def _scene(leakage: str, settings: list[str]) -> Any:
    """Fig. 3's, with changes; what measurements say is not to be set."""
    from scenarios.leakage import LeakageEstimation

    for text in settings:
        name = text.partition("=")[0].strip()
        if name in _MEASURED:
            raise InputError(f"--set {text}: {name} comes from the measurements, --noise-dbm and --snapshots")
    base = Sweep(LeakageEstimation.model_validate({"leakage": leakage}))
    return named.changed(base, settings=settings, axes=[]).scenario


def _checkpoints(given: list[str]) -> list[Any]:
    from engine.estimators.deepsets import Checkpoint
    from engine.estimators.deepsets.checkpoint import checkpoints_in

    return [one if isinstance(one, Checkpoint) else Checkpoint(path=one) for one in checkpoints_in(given)]


def _worded(remark: Any) -> str:
    from scenarios.leakage.locate import MeanSnapshots, NearSensors, PlaneSensors

    if isinstance(remark, PlaneSensors):
        return (
            f"{remark.estimator.replace('_', ' ')} takes waves toward the sensors as plane, which puts the user about "
            f"{remark.excess_m:.2g} m too far"
        )
    if isinstance(remark, MeanSnapshots):
        return f"{remark.estimator} is told one snapshot count of all sensors, their mean, {remark.n_snapshots}"
    if isinstance(remark, NearSensors):
        return (
            f"{remark.n_sensors} sensors are nearer than {remark.far_field_m:.0f} m, where the array's far field "
            f"begins; the estimates assume that none is"
        )
    return f"{remark.estimator} takes this for the place that it was trained in"


def _print(title: str, estimates: tuple["Estimate", ...], holds: bool) -> None:
    from engine.sweep import TextTable
    from jobs.show.tables import print_report

    headings = ("estimator", "range (m)", "angle (°)", "x ahead (m)", "y along the array (m)")
    print_report([TextTable(title, headings, [_row(estimate, holds) for estimate in estimates])])


def _row(estimate: "Estimate", holds: bool) -> tuple[str, ...]:
    by = estimate.deviation_range_m, math.degrees(estimate.deviation_angle_rad)
    sure = [f" ± {_text(deviation)}" if holds else "" for deviation in by]
    return (
        estimate.estimator.replace("_", " "),
        f"{estimate.range_m:.2f}{sure[0]}",
        f"{math.degrees(estimate.angle_rad):.2f}{sure[1]}",
        f"{estimate.ahead_m:.2f}",
        f"{estimate.along_m:.2f}",
    )


def _text(deviation: float) -> str:
    return f"{deviation:.2f}" if math.isfinite(deviation) else "?"


def _say(text: str) -> None:
    print(f"nearfield: {text}", file=sys.stderr)
