"""How many rays, reflections and paths the multipath family needs: the study that its defaults come from.

nearfield convergence
nearfield convergence --set surroundings=place.geojson --users 200
"""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.sweep import TextTable
from jobs.cli import named, options

if TYPE_CHECKING:
    from scenarios.multipath.convergence import Row


def command(
    set_: options.Settings = [],  # noqa: B006  typer copies it
    users: Annotated[int, typer.Option(metavar="N", min=2, help="Users to trace.")] = 200,
) -> None:
    """Change one setting at a time, the others as they are, and say what each should be."""
    from jobs.show.tables import print_report
    from scenarios.multipath import convergence, data
    from scenarios.multipath.scene import MultipathScene

    scenario = named.changed(data, settings=set_, axes=[]).scenario
    assert isinstance(scenario, MultipathScene)
    if account := scenario.account():
        print(account)
    rows = convergence.study(scenario, users)
    now = {name: getattr(scenario, name) for name in convergence.SETTINGS}
    advised = convergence.recommended(rows)
    print_report([_table(rows, now, advised)])
    changes = " ".join(f"--set {name}={advised[name]}" for name, value in now.items() if value != advised[name])
    print(f"Recommended: the smallest value that leaves 95 % of users an error below {convergence.TOLERANCE:.0%}.")
    if changes:
        print(f"Instead of what is set: {changes}\nSettings depend on each other: run this again with them.")
    else:
        print("That is what is set.")


def _table(rows: "list[Row]", now: dict[str, int], advised: dict[str, int]) -> TextTable:
    lines: list[tuple[str, ...]] = []
    for row in rows:
        marks = [word for word, chosen in (("set", now), ("recommended", advised)) if chosen[row.setting] == row.value]
        lines.append((
            row.setting, str(row.value), f"{row.median:.1e}", f"{row.worst:.1e}", f"{row.milliseconds:.2g}",
            f"{row.seconds:.2g}", ", ".join(marks),
        ))  # fmt: skip
    title = "Errors of a user's expected powers against the finest value"
    return TextTable(
        title, ("setting", "value", "median error", "95 % below", "cpu-ms a user", "cpu-s once", ""), lines
    )
