"""What a cluster has to offer: workers at most, and what is free of it."""

from typing import Any

import ray

from engine.errors import InputError, StoreError


def count_workers(backend_name: str, wanted: int | None, useful: int, on_one_node: Any) -> int:
    """Workers to use, as many as wanted and useful, all if None are wanted; refused where the cluster has fewer.

    on_one_node: a path that only this node is known to see, which is refused where there are others; or None.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) > 1 and on_one_node is not None:
        raise StoreError(
            f"{on_one_node} is a local path and {len(nodes)} nodes are alive: name a path that every node mounts "
            f"and say so with --shared-storage, or object storage such as s3://bucket/prefix"
        )
    resource = "GPU" if backend_name == "gpu" else "CPU"
    available = int(ray.cluster_resources().get(resource, 0))
    if not available:
        raise InputError(f"the cluster has no {resource}: start a node that has one, or choose another backend")
    count = min(wanted or available, useful)
    if count > available:
        raise InputError(f"workers: given {count}, needed at most {available}, the cluster's {resource}s")
    return count


def free_resources() -> str:
    """What a user waiting for a busy cluster wants to know."""
    total, free = ray.cluster_resources(), ray.available_resources()
    return ", ".join(
        f"{free.get(kind, 0):g} of {total[kind]:g} {kind}s free" for kind in ("CPU", "GPU") if kind in total
    )
