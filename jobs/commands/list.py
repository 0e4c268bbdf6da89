"""List the named sweeps.

nearfield list
"""

from jobs.cli.named import named_sweeps


def command() -> None:
    """The named sweeps of scenarios/, one line each."""
    sweeps = named_sweeps()
    width = max(map(len, sweeps), default=0)
    for name, sweep in sweeps.items():
        print(f"{name:{width}}  {sweep.about}")
