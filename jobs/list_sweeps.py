"""List the named sweeps.

nearfield list
"""

from rich.console import Console
from rich.table import Table

from jobs.named import named_sweeps


def command() -> None:
    """The named sweeps of scenarios/, one line each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, sweep in named_sweeps().items():
        table.add_row(name, sweep.about)
    Console(soft_wrap=True).print(table, highlight=False)
