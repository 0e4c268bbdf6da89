"""Where the user is, from powers that were measured.

nearfield locate --measurements campaign.csv --noise-dbm -80
nearfield locate --measurements campaign.nc --noise-dbm -80 --snapshots 50 --checkpoint checkpoints/site.safetensors
nearfield locate --measurements campaign.csv --noise-dbm -80 --set n_elements=128 --set carrier_hz=28e9
nearfield locate --measurements campaign.csv --noise-dbm -80 --leakage spherical  # sensors infinitely far away
nearfield locate --template campaign.csv  # an example, to be filled in
nearfield locate --measurements rx.txt --noise-dbm -80 --column power_dbm="Rx level [dBm]" --not-heard -120
nearfield locate --measurements gps.csv --noise-dbm -80 --array 52.5186,13.3763,90
"""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine import InputError, Sweep
from jobs.cli import named, options
from jobs.cli.measurements import Measurements
from jobs.cli.measurements import options as reading

if TYPE_CHECKING:
    from scenarios.leakage.locate import Estimate

_MEASURED = ("n_sensors", "noise_dbm", "n_snapshots", "leakage", "estimators")


def command(
    measurements_: Annotated[
        Path, typer.Option("--measurements", metavar="FILE", help="Positions and powers: .csv .tsv .txt .nc .parquet.")
    ],
    noise_dbm: Annotated[float, typer.Option(metavar="DBM", help="Noise power σ² at a sensor.")],
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
    template: reading.Template = False,
    template_file: reading.TemplateFile = None,
) -> None:
    """Estimate range and angle by every estimator that applies, each with the standard deviation that it states.

    The array, the transmit power and the user's area are those of Fig. 3; --set changes them. Angles count from the
    array's axis, 90° is ahead.

    The file: a line of headings with units, as range_m, angle_deg, power_dbm, then a line for each sensor, or for each
    snapshot of one. Positions are range + angle, x + y, or latitude + longitude; a column sensor names them. --template
    writes an example; docs/measurements.md is the format's page.
    """
    from engine.estimators.doubt import Doubt, in_words
    from scenarios.leakage.locate import Measured, locate

    named.import_modules(import_)
    scene = _scene(leakage, set_)
    seen = reading.read_as_said(measurements_, column, not_heard, array, decimal)
    count = _snapshots(seen, snapshots)
    measured = Measured(seen.range_m, seen.angle_rad, seen.power_w, count, noise_dbm)
    located = locate(measured, scene, _checkpoints(checkpoint))
    for line in seen.remarks:
        _say(line)
    for remark in located.remarks:
        _say(_worded(remark))
    _print(f"{len(seen.power_w)} sensors, {count} snapshots, σ² = {noise_dbm:g} dBm", located.estimates)
    for estimate in located.estimates:
        if against := in_words(estimate.self_check & ~Doubt.UNCHECKED):
            _say(f"{estimate.estimator.replace('_', ' ')} may be wrong: {against}")
    for refused in located.refused:
        _say(f"{refused.estimator} does not apply: {refused.reason}")
    if checkpoint and not any(estimate.is_learned for estimate in located.estimates):
        raise InputError("no --checkpoint applies to these measurements; the estimates above need none")


def _snapshots(seen: Measurements, of_a_row: int) -> int:
    """Of every sensor."""
    if seen.states_snapshots and of_a_row != 1:
        raise InputError(
            f"--snapshots {of_a_row}: the file says of how many snapshots each row is the mean: leave it out"
        )
    fewest, most = int(seen.n_snapshots.min()), int(seen.n_snapshots.max())
    if fewest != most:
        raise InputError(f"given sensors with {fewest} to {most} snapshots with a power, needed as many of each")
    return fewest * of_a_row


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
    from scenarios.leakage.locate import ExactSensors, NearSensors, PlaneSensors

    if isinstance(remark, PlaneSensors):
        return (
            f"{remark.estimator.replace('_', ' ')} takes waves toward the sensors as plane, which puts the user about "
            f"{remark.excess_m:.2g} m too far"
        )
    if isinstance(remark, ExactSensors):
        return (
            f"distances to the sensors are taken as they are; powers of a model with plane waves toward them, as the "
            f"paper's, are those of a user {remark.farther_m:.2g} m farther away: --leakage spherical"
        )
    if isinstance(remark, NearSensors):
        return (
            f"{remark.n_sensors} sensors are nearer than {remark.far_field_m:.0f} m, where the array's far field "
            f"begins; the estimates assume that none is"
        )
    return f"{remark.estimator} takes this for the place that it was trained in"


def _print(title: str, estimates: tuple["Estimate", ...]) -> None:
    from engine.sweep import TextTable
    from jobs.show.tables import print_report

    headings = ("estimator", "range (m)", "angle (°)", "x ahead (m)", "y along the array (m)")
    print_report([TextTable(title, headings, [_row(estimate) for estimate in estimates])])


def _row(estimate: "Estimate") -> tuple[str, ...]:
    return (
        estimate.estimator.replace("_", " "),
        f"{estimate.range_m:.2f} ± {_text(estimate.deviation_range_m)}",
        f"{math.degrees(estimate.angle_rad):.2f} ± {_text(math.degrees(estimate.deviation_angle_rad))}",
        f"{estimate.ahead_m:.2f}",
        f"{estimate.along_m:.2f}",
    )


def _text(deviation: float) -> str:
    return f"{deviation:.2f}" if math.isfinite(deviation) else "?"


def _say(text: str) -> None:
    print(f"nearfield: {text}", file=sys.stderr)
