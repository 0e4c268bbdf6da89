"""Whether stated posteriors are right: family A's exact one, and the amortised network's deviations.

nearfield calibrate
nearfield calibrate leakage:fig3 --draws 16000 -o calibration.png
nearfield calibrate --set noise_dbm=-75 --set n_snapshots=50 --set n_sensors=20 --draws 1000
"""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli import named, options


def command(
    sweep: Annotated[str, typer.Argument(metavar="NAME", help="A sweep of family A's estimators.")] = "leakage:fig3",
    set_: options.Settings = [],  # noqa: B006  typer copies it
    draws: Annotated[int, typer.Option(metavar="N", min=40, help="Users and noise, shared among the points.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of every random stream.")] = 1,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="PATH|URL", help="Where ranks are kept; below results/.")] = None,
    workers: options.Workers = None,
    serial: options.Serial = False,
    address: options.Address = None,
    shared_storage: options.SharedStorage = False,
) -> None:
    """Rank the truth in stated posteriors, draw by draw, and say whether the ranks are uniform.

    Beside them stand two posteriors that are wrong on purpose, a tenth too wide and a tenth of a deviation aside: what
    is called calibrated comes from draws that find these out. The same command again continues, also with more draws.
    """
    import engine
    from jobs.cli.progress import watch
    from jobs.show.drawing import require_matplotlib, write_figure
    from jobs.show.tables import print_report
    from scenarios.leakage.calibration import drawing, report, summary
    from scenarios.leakage.posterior_ranks import calibration_of, fig3_calibration

    if output:
        require_matplotlib()
    ranks = calibration_of(named.changed(named.find(sweep), settings=set_, axes=[]), draws, seed)
    path = store or named.default_store(fig3_calibration, ranks)
    watch(ranks, path, workers=workers, serial=serial, address=address, shared_storage=shared_storage)
    results = engine.open_results(path).load()
    found = summary(results)
    print_report(report(results, found))
    if output:
        write_figure(lambda: drawing(results, found), [output])
        print(f"drawn: {output}")
