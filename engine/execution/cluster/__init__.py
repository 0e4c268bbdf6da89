"""Work fanned out over Ray: a sweep's tasks, or long jobs such as trainings. Only this folder imports ray."""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported

from engine.execution.cluster.jobs import replicate, stream
from engine.execution.cluster.loop import pickled, run

__all__ = ["pickled", "replicate", "run", "stream"]
