"""How far Sionna RT's own solver is from paths over edges, and what walls beside the edge, left out here, are worth."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import Streams
from engine.channels.strongest import DIFFRACTION, SPECULAR
from jobs.evidence.record import Evidence
from scenarios.multipath import data
from scenarios.multipath.scene import MultipathScene, tracer_of

_SEED, _ALL = 1, 1000
_USERS, _SENSORS, _RAYS = 20, 20, 1_000_000
_SHARES = (0.05, 0.5, 0.95, 1.0)
_SAME_POINT_M = 0.1  # single precision places a grazing reflection at the ground no better
_ON_THE_GROUND_M = 0.01


def _measured(_store: str) -> dict[str, Any]:
    """Of places: how many of its paths over one edge are here too, within 10 cm; sizes of diffracted fields over the
    channel's, here, there, and there with walls beside the edge, which are left out here."""
    scene = data.scenario
    assert isinstance(scene, MultipathScene)
    tracer = tracer_of(scene.replace(diffraction=True, max_paths=_ALL).channel())
    source = tracer.channel.element_positions_m().mean(axis=0)
    users = scene.user_position_m(scene.draw_users(Streams(_SEED, 0), _USERS))
    step = scene.sensor_sets * scene.n_sensors // _SENSORS
    sensors = scene.sensor_position_m(*scene.sensors()).reshape(-1, 3)[::step]
    found: dict[str, Any] = {}
    for name, places in (("users", users), ("sensors", sensors)):
        ours = tracer.strongest_paths(places, source)
        points, kind = ours.vertices_m(source)
        sizes, theirs, here_too, mine = [], 0, 0, 0
        for number, place in enumerate(places):
            at = ours.place == number
            over = at & (kind == DIFFRACTION).any(axis=1)
            solved = tracer.solve(source[None], place[None], _RAYS, diffraction=True)
            depth = tracer.channel.max_depth
            kinds = np.array(solved.interactions).reshape(depth, -1).T
            vertices = np.array(solved.vertices).reshape(depth, -1, 3).transpose(1, 0, 2)
            gain = np.hypot(np.array(solved.a[0]), np.array(solved.a[1])).reshape(-1)
            edge = (kinds == DIFFRACTION).any(axis=1)
            wall = ((kinds == SPECULAR) & (vertices[..., 2] > _ON_THE_GROUND_M)).any(axis=1)
            size = np.linalg.norm(ours.gain[at])
            sizes.append([np.linalg.norm(part) / size for part in
                          (ours.gain[over], gain[edge & ~wall], gain[edge & wall])])  # fmt: skip
            theirs, mine = theirs + int(np.sum(edge & ~wall)), mine + int(over.sum())
            here_too += sum(
                any(_same(corners, kinds_of, points[i], kind[i]) for i in np.flatnonzero(over))
                for corners, kinds_of in zip(vertices[edge & ~wall], kinds[edge & ~wall], strict=True)
            )
        quantiles = np.quantile(sizes, _SHARES, axis=0).T.tolist()
        found[name] = {
            "paths here": mine, "paths there": theirs, "of these here": here_too,
            **dict(zip(("size here", "size there", "size there with walls"), quantiles, strict=True)),
        }  # fmt: skip
    return {"shares": list(_SHARES), **found}


def _same(corners: np.ndarray, kinds: np.ndarray, points: np.ndarray, kind: np.ndarray) -> bool:
    there, here = corners[kinds != 0], points[kind != 0]
    return there.shape == here.shape and bool((np.linalg.norm(there - here, axis=1) < _SAME_POINT_M).all())


def words(numbers: dict[str, Any]) -> Iterator[str]:
    for name in ("users", "sensors"):
        one = numbers[name]
        yield f"{one['of these here']} of {one['paths there']} of {name}"
        cells = [
            _percent(one[size][i]) for size in ("size here", "size there", "size there with walls") for i in (1, 2)
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{float(f'{100 * share:.2g}'):g} %"


EVIDENCE = Evidence(
    "paths over edges beside those of Sionna RT's own solver",
    None,
    _measured,
    {"docs/multipath.md": words},
    f"multipath:data's place, array's centre; {_USERS} users of seed {_SEED}, {_SENSORS} sensors; {_RAYS} rays a place",
)
