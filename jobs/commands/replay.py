"""Recompute one realization with everything that leads to it.

nearfield replay fig1.zarr --index 7 --point n_sensors=40
"""

from typing import Annotated

import typer

import engine
from engine.store.store import Store
from jobs.cli import named, options


def command(
    path: options.StoreArgument,
    index: Annotated[int, typer.Option(metavar="I", help="The realization.")],
    point: Annotated[
        list[str], typer.Option(metavar="FIELD=VALUE", help="The point, and values along other dimensions.")
    ] = [],  # noqa: B006  typer copies it
    import_: options.Imports = [],  # noqa: B006
) -> None:
    """Every draw, intermediate and result of one realization, compared bit for bit with the store."""
    named.import_modules(import_)
    named.at_hand(str(Store(path).attributes["name"]))  # imports a module of the user's own
    dataset = engine.replay(path, index, **named.point(point))
    for name, variable in dataset.data_vars.items():
        unit = variable.attrs.get("units", "")
        dims = f"[{', '.join(map(str, variable.dims))}]" if variable.dims else ""
        values = " ".join(f"{value:.12g}" for value in variable.values.ravel().tolist())
        print(f"{name}{dims}{' ' + unit if unit else ''}: {values}")
    verdict = {
        "equal": "the stored values are equal bit for bit",
        "absent": "this realization is not stored yet",
        "differs": "the stored values DIFFER: was the store computed on another platform?",
    }
    print(verdict[dataset.attrs["stored"]])
