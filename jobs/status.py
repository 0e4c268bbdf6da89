"""How far a store is.

nearfield status fig1.zarr
"""

import json
from collections import Counter

import numpy as np

from engine.store import Store
from jobs.options import StoreArgument
from jobs.progress import duration
from jobs.stops import plan_of, print_stops


def command(path: StoreArgument) -> None:
    """What a store holds, how far it is, and what is left."""
    store = Store(path, mode="r")
    sweep, receipts = store.sweep, store.receipts()
    pending = store.pending(receipts)
    done = sum(min(r.stop, sweep.realizations) - r.start for r in receipts if r.start < sweep.realizations)
    total = sweep.n_points * sweep.realizations
    axes = " × ".join(f"{name}[{len(values)}]" for name, values in sweep.axes.items()) or "one point"
    print(f"sweep        {sweep.name or store.attributes['scenario_class']}: {sweep.about}")
    print(f"points       {axes}, {sweep.realizations} realizations each, seed {sweep.seed}")
    print(f"finished     {done}/{total} realizations, {sweep.n_tasks - len(pending)}/{sweep.n_tasks} tasks")
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
    commit, plus, dirty = store.attributes["commit"].partition("+")
    version = json.loads(store.attributes["versions"])["nearfield"]
    print(f"created      {store.attributes['created']} by nearfield {version}, commit {commit[:12]}{plus}{dirty}")
    print(f"fingerprint  {store.attributes['fingerprint']}")
    print_stops(path)
