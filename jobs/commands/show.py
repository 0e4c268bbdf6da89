"""What a sweep is, before it is run.

nearfield show leakage:fig3
nearfield show leakage:fig3 --set n_elements=64 --axis n_sensors=10,20
"""

from typing import Annotated

import typer

from jobs.cli import named, options


def command(
    name: options.SweepArgument,
    axis: options.Axes = [],  # noqa: B006  typer copies it
    set_: options.Settings = [],  # noqa: B006
    settings: options.SettingsFile = None,
    realizations: options.Realizations = None,
    timed: Annotated[bool, typer.Option(help="Time one block, for what a run would take.")] = True,
) -> None:
    """Axes, dimensions and every field of a sweep, with units, limits and meanings; what a run would take."""
    from rich.console import Console

    from jobs.show.description import tables_of
    from jobs.show.tables import print_report

    sweep = named.changed(named.find(name), settings=set_, axes=axis, realizations=realizations, file=settings)
    print(f"{sweep.name}: {sweep.about}")
    print_report(tables_of(sweep))
    if timed:
        from jobs.show.estimate import estimated, stored_text, time_text

        with Console(stderr=True).status("timing one block"):  # on a terminal; it may take a minute
            found = estimated(sweep)
        print(f"takes        {time_text(found)}, {stored_text(found)}; {sweep.n_tasks} tasks")
        print(f"variables    {', '.join(found.variables)}")
