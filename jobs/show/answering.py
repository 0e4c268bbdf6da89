"""The options of `nearfield locate` about its answer, and what is shown of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import typer

from engine import InputError

if TYPE_CHECKING:
    from jobs.cli.measurements import Measurements
    from scenarios.leakage.answer import Answer, Unknown
    from scenarios.leakage.locate import Located

Gain = Annotated[
    str | None,
    typer.Option(
        "--gain-db", metavar="LOW:HIGH|MEAN±SD", help="A gain on all sent powers that is not known: -10:10, 0±3."
    ),
]
NoiseDeviation = Annotated[
    float, typer.Option("--noise-db-sd", metavar="DB", min=0, max=20, help="How surely σ² is known, in dB.")
]
NoiseSubtracted = Annotated[
    bool, typer.Option("--noise-subtracted", help="σ² was taken off the powers; it is put back.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the answer: .json or .nc.")]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw the answer: .png, .svg or .pdf.")]


class Asked(NamedTuple):
    """σ² and what is not known."""

    noise_dbm: float
    unknown: "Unknown"


def asked(noise_dbm: str, gain_db: str | None, noise_db_sd: float, noise_subtracted: bool) -> Asked:
    """As it stands on the command line. Raises InputError."""
    from scenarios.leakage.answer import InDecibels, Unknown
    from scenarios.leakage.answer.prior import KNOWN

    gain = KNOWN if gain_db is None else InDecibels.parsed(gain_db, "--gain-db")
    given = InDecibels.parsed(noise_dbm, "--noise-dbm", "a power, as -80, or LOW:HIGH, as -82:-78, in dBm")
    noise = given.about_its_middle()
    if noise_db_sd and not noise.known:
        raise InputError("given --noise-db-sd and an interval of --noise-dbm, needed one of the two")
    if noise_db_sd:
        noise = InDecibels.normal(0.0, noise_db_sd)
    return Asked(given.middle_db, Unknown(gain, noise, noise_subtracted))


def noise_words(given: Asked) -> str:
    """σ², and whether powers hold it."""
    noise = given.unknown.noise
    sure = (
        ""
        if noise.known
        else f" ± {noise.deviation_db:g} dB"
        if noise.deviation_db
        else f" ± {noise.high_db:g} dB at most"
    )
    held = "put back into the powers" if given.unknown.noise_subtracted else "in the powers"
    return f"σ² = {given.noise_dbm:g} dBm{sure} {held}"


def require_writable(output: Path | None, plot: Path | None) -> None:
    """Before any work. Raises InputError."""
    if output and output.suffix not in (".json", ".nc"):
        raise InputError(f"--output: given {str(output)!r}, needed a file ending in .json or .nc")
    if plot and plot.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"--plot: given {str(plot)!r}, needed a file ending in .png, .svg or .pdf")
    for path in filter(None, (output, plot)):
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.absolute().parent}")


def answered(given: Asked, seen: "Measurements", counts: np.ndarray, scene: Any) -> "Answer":
    from scenarios.leakage.answer import answer
    from scenarios.leakage.measured import Measured

    measured = Measured(seen.range_m, seen.angle_rad, seen.power_w, counts, given.noise_dbm, seen.names)
    return answer(measured, scene, given.unknown)


def show(found: "Answer", title: str) -> None:
    """The answer and its fit."""
    from jobs.show.answer import fit_line, tables, unknown_lines
    from jobs.show.tables import print_report

    print_report(tables(found, title))
    for line in (*unknown_lines(found), fit_line(found)):
        print(line)
    print()


def write(
    path: Path, found: "Answer", located: "Located", warnings: Sequence[str], settings: Mapping[str, Any]
) -> None:
    """As JSON or NetCDF. Raises InputError."""
    from jobs.show.answer import write_json
    from scenarios.leakage.answer.dataset import dataset

    if path.suffix == ".json":
        write_json(path, found, located, warnings, settings)
        return
    try:
        dataset(found).to_netcdf(path, engine="scipy")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def draw(path: Path, found: "Answer", scene: Any) -> None:
    from jobs.show.drawing import write_figure
    from scenarios.leakage.answer.figure import picture

    write_figure(lambda: picture(found, scene), [path])
