"""Who is better, on the same draws: every pair of estimators, point by point.

nearfield compare fig3.zarr
nearfield compare fig3.zarr squared_error_range_m2 --point n_snapshots=50 --point noise_dbm=-85
nearfield compare fig4.zarr --average sensor_set -o pairs.csv
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import engine
from engine import InputError
from engine.scenario import suggestion
from jobs.cli import named
from jobs.cli.options import StoreArgument

if TYPE_CHECKING:
    import xarray

_ERRORS = "squared_error_"


def command(
    path: StoreArgument,
    variables: Annotated[
        list[str] | None, typer.Argument(metavar="[VARIABLE]", help="All squared errors, if left out.")
    ] = None,
    over: Annotated[str, typer.Option(metavar="DIMENSION", help="Whose values are compared.")] = "estimator",
    average: Annotated[
        list[str], typer.Option(metavar="DIMENSION", help="One value a realization: the mean along this.")
    ] = [],  # noqa: B006  typer copies it
    point: Annotated[list[str], typer.Option(metavar="DIMENSION=VALUE", help="This value alone.")] = [],  # noqa: B006
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="A .csv file too.")] = None,
) -> None:
    """Ratios of means, pair by pair on the same realizations, with 95 % intervals.

    Estimators share their draws, so pairs are told apart that their own intervals would not tell apart. Beside it, for
    how many realizations the first is the better one: few lost users can carry a mean.
    """
    from jobs.show.pairs import pair_table, written
    from jobs.show.placement import at_point
    from jobs.show.tables import print_report
    from scenarios.figures.tails import explained

    if output is not None and output.suffix != ".csv":
        raise InputError(f"--output: given {output}, needed a .csv file")
    results = at_point(engine.open_results(path), named.point(point))
    names = variables or [str(name) for name in results.data_vars if str(name).startswith(_ERRORS)]
    pairs = [_pairs(results, name, over, average) for name in names]
    if not pairs:
        raise InputError(f"{path} has no squared errors: name a VARIABLE of {', '.join(map(str, results.data_vars))}")
    print_report(explained([pair_table(one, over) for one in pairs]))
    if output is not None:
        print(f"written: {output}, {written(pairs, over, output)} lines")


def _pairs(results: "xarray.Dataset", name: str, over: str, average: list[str]) -> "xarray.Dataset":
    if name not in results:
        raise InputError(f"no variable {name!r}; {suggestion(name, list(map(str, results.data_vars)))}")
    variable = results[name]
    for dim in average:
        if dim not in variable.dims or dim in ("realization", over):
            raise InputError(f"--average: given {dim!r}, needed a dimension of {name} that is not compared")
    from engine.comparison import OTHER
    from scenarios.figures.tails import rests_on_few

    complete = results.get("complete")
    if average:
        attributes, variable = variable.attrs, variable.mean(average, skipna=False)
        variable.attrs.update(attributes)
    found = engine.compare(variable, over, complete=complete)
    few = rests_on_few(abs(variable)).drop_vars(over, errors="ignore")
    found["carried"] = few | few.rename({over: OTHER})
    found.attrs |= {"quantity": variable.attrs.get("long_name", name), "units": variable.attrs.get("units", "")}
    return found
