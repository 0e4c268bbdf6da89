"""How far a store is.

nearfield status fig1.zarr
"""

import json
from collections import Counter
from contextlib import suppress

import numpy as np

from engine import InputError
from engine.store.lock import holder
from engine.store.store import Store
from jobs.cli.named import at_hand
from jobs.cli.options import StoreArgument
from jobs.cli.progress import duration
from jobs.show.settings import changed_words
from jobs.show.stops import plan_of, print_stops


def command(path: StoreArgument) -> None:
    """What a store holds, how far it is, and what is left."""
    store = Store(path)
    stored, grid, receipts = store.attributes, store.grid, store.receipts()
    pending = store.pending(receipts)
    done = sum(r.stop - r.start for r in receipts)
    total = grid.n_points * grid.realizations
    axes = " × ".join(f"{name}[{len(values)}]" for name, values in store.axes.items()) or "one point"
    print(f"sweep        {stored['name'] or stored['scenario_class']}: {stored['about']}")
    with suppress(InputError):  # a module of one's own that cannot be imported: `report` and `plot` say so
        if words := changed_words(stored, at_hand(stored["name"])):
            print(f"settings     {words}")
    print(f"points       {axes}, {grid.realizations} realizations each, seed {stored['seed']}")
    print(f"finished     {done}/{total} realizations, {grid.n_tasks - len(pending)}/{grid.n_tasks} tasks")
    if receipts:
        seconds = np.array([receipt.seconds for receipt in receipts])
        hosts = Counter(f"{receipt.host} ({receipt.device})" for receipt in receipts)
        spread = f"median {np.median(seconds):.3g} s, largest {seconds.max():.3g} s"
        print(f"task time    {spread}, sum {duration(seconds.sum())}")
        print(f"computed on  {', '.join(f'{name}: {count} tasks' for name, count in hosts.most_common(5))}")
        print(f"attempts     {sum(receipt.attempt > 1 for receipt in receipts)} tasks needed more than one")
        if pending:
            left = plan_of(store, receipts).realizations_left
            print(f"left         {left} realizations, about {duration(seconds.sum() / done * left)} of one core's time")
    if driver := holder(store.storage):
        print(f"locked by    {driver}")
    commit, plus, dirty = stored["commit"].partition("+")
    version = json.loads(stored["versions"])["nearfield"]
    print(f"created      {stored['created']} by nearfield {version}, commit {commit[:12]}{plus}{dirty}")
    print(f"fingerprint  {stored['fingerprint']}")
    print_stops(path)
