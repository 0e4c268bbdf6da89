"""Maximum likelihood over thousands of random scenes: how often it ends below the truth, and whether it then says so.

    PYTHONPATH=. python tests/estimators/many_scenes.py FILE --seeds 3000 3800 --users 25 --seconds 400
    PYTHONPATH=. python tests/estimators/many_scenes.py FILE

Needs no brute force, only the oracle's log-likelihood at two places a user. FILE gets a line a scene, and what it
holds already is not done again: stop it, run it in pieces. It ends with what FILE comes to. Warnings are errors.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from brute_force import whole_of
from random_scenes import Scene, model_of, random_scene
from scipy.stats import beta

from engine.estimators import MaximumLikelihood, Workbench
from engine.estimators.doubt import Doubt

ROUNDING = 1e-3
"""Of a log-likelihood, the estimator's against the oracle's."""


def outcome(seed: int, users: int) -> dict[str, Any]:
    """Of one scene: by how much estimates are below the truth, where they are, and the flags of all."""
    started, scene = time.process_time(), random_scene(seed, users)
    workbench = Workbench(scene.problem, np)
    batch, estimator = workbench.batch(scene.seen), MaximumLikelihood(leakage=model_of(scene))
    found = estimator.prepare(workbench)(batch)
    flags = estimator.self_check(batch, found)[:, 0, 0]
    below = below_truth(scene, found.range_m[:, 0, 0], found.angle_rad[:, 0, 0])
    wrong = np.flatnonzero(~(below <= ROUNDING))  # NaN is wrong
    return {
        "seed": seed,
        "users": users,
        "wrong": [[int(b), float(below[b]), int(flags[b])] for b in wrong],
        "flags": {str(flag): int(count) for flag, count in zip(*np.unique(flags, return_counts=True), strict=True)},
        "seconds": round(time.process_time() - started, 2),
    }


def below_truth(scene: Scene, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """By how much the oracle's log-likelihood at each user's estimate is below that at the truth: (B,)."""
    found = np.empty(len(range_m))
    for b in range(len(range_m)):
        places = np.array([[scene.user_m[b], range_m[b]], [scene.user_rad[b], angle_rad[b]]])
        truth, estimate = whole_of(scene, b).log_likelihood(*places)
        found[b] = truth - estimate
    return found


def summary(outcomes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Users, failures, the one-sided 95 % upper limit of their rate, and how many carry which flag."""
    outcomes = sorted(outcomes, key=lambda one: one["seed"])
    users, wrong = sum(one["users"] for one in outcomes), [(o["seed"], *w) for o in outcomes for w in o["wrong"]]
    flags = {int(flag): 0 for one in outcomes for flag in one["flags"]}
    for one in outcomes:
        for flag, count in one["flags"].items():
            flags[int(flag)] += count
    of_each = {str(one.name).lower(): sum(n for flag, n in flags.items() if flag & one) for one in Doubt}
    return {
        "scenes": len(outcomes),
        "seeds": [outcomes[0]["seed"], outcomes[-1]["seed"]],
        "users": users,
        "below": len(wrong),
        "upper_limit_95_one_sided": float(beta.ppf(0.95, len(wrong) + 1, users - len(wrong))),
        "below_flagged": sum(flag != 0 for *_, flag in wrong),
        "flagged": sum(n for flag, n in flags.items() if flag),
        "flags": of_each,
        "seed_user_below_flags": wrong,
        "cpu_seconds": round(sum(one["seconds"] for one in outcomes)),
    }


def held(file: Path) -> dict[int, dict[str, Any]]:
    """What a file holds, by seed."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {one["seed"]: one for one in map(json.loads, lines)}


def _todo(file: Path, seeds: range, seconds: float) -> Iterator[int]:
    done, until = held(file), time.monotonic() + seconds
    for seed in seeds:
        if time.monotonic() > until:
            return
        if seed not in done:
            yield seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 0), help="first, and the one after the last")
    parser.add_argument("--users", type=int, default=25, help="in each scene")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no scene begins after these")
    given = parser.parse_args()
    warnings.simplefilter("error")
    for seed in _todo(given.file, range(*given.seeds), given.seconds):
        found = outcome(seed, given.users)
        with given.file.open("a") as file:
            file.write(json.dumps(found) + "\n")
    print(json.dumps(summary(held(given.file).values()), indent=1))


if __name__ == "__main__":
    main()
