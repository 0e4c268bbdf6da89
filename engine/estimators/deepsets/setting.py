"""Where a network may be used: what it was trained in beside its sensors."""

from dataclasses import replace
from typing import Any

from engine.errors import InputError
from engine.estimators.deepsets.checkpoint import Card
from engine.estimators.problem import Problem

SPHERICAL_SENSORS = (("waves_toward_sensors", "spherical"),)
"""Part of `Problem.setting` where powers follow from the sensors' ranges: no network of plane waves is asked there."""


def setting_of(problem: Problem) -> dict[str, Any]:
    """Array, users' area, and what else expected powers follow from, by name: what a card holds."""
    array, grid = problem.array, problem.grid
    return {
        "n_elements": array.n_elements,
        "spacing_m": array.spacing_m,
        "wavelength_m": array.wavelength_m,
        "user_range_min_m": grid.range_min_m,
        "user_range_max_m": grid.range_max_m,
        "user_angle_min_rad": grid.angle_min_rad,
        "user_angle_max_rad": grid.angle_max_rad,
        **dict(problem.setting),
    }


def surroundings_of(card: Card, problem: Problem) -> Problem:
    """The problem as if it were posed where a network was trained, of which free space says nothing: array and users'
    area stay those of the problem."""
    known = setting_of(replace(problem, setting=()))
    return replace(problem, setting=tuple((name, value) for name, value in card.setting.items() if name not in known))


def is_setting_of(card: Card, problem: Problem) -> bool:
    """Whether a network was trained in this setting."""
    return card.setting == setting_of(problem)


def require_setting(card: Card, problem: Problem, path: str) -> None:
    """InputError that names what differs; cards older than this check are taken as they are."""
    if not card.setting:
        return
    here = setting_of(problem)
    for name in {**here, **card.setting}:
        trained, given = card.setting.get(name, "none"), here.get(name, "none")
        if trained != given:
            raise InputError(
                f"checkpoint {path} was trained with {name} = {trained}, given {given}: train networks for that, or "
                f"leave it out"
            )
