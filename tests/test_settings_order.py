"""Settings are applied together: any order of them gives the same sweep, or the same line that says what is wrong."""

import itertools
import random
from pathlib import Path

import pytest

from engine import InputError, Sweep
from jobs.cli import named
from scenarios import leakage, ris

TOGETHER = (
    (leakage.fig1, ("prior_information=exact", "prior_alpha=3", "prior_beta=3")),
    (leakage.fig1, ("user_range_min_m=20", "user_range_max_m=40")),
    (
        leakage.fig1,
        ("user_angle_min_rad=2.7", "user_angle_max_rad=3", "sensor_range_min_m=200", "sensor_range_max_m=300"),
    ),
    (ris.fig4, ("n_cycles=30", "recorded_cycles=5,30", "elements_per_side=15", "angle_step_rad=0.03")),
    (ris.fig4, ("range_min_m=3", "near_range_max_m=4", "range_max_m=30")),
)


@pytest.mark.parametrize(("sweep", "settings"), TOGETHER, ids=lambda part: part[0] if isinstance(part, tuple) else "")
def test_any_order_gives_the_same(sweep: Sweep, settings: tuple[str, ...]) -> None:
    found = [named.changed(sweep, settings=list(order), axes=[]) for order in itertools.permutations(settings)]
    assert len({one.fingerprint() for one in found}) == 1
    assert found[0].fingerprint() != sweep.fingerprint()
    name, _, value = settings[0].partition("=")
    assert str(getattr(found[0].scenario, name)) in (value, f"{float(value)}" if value[0].isdigit() else value)


def test_random_orders_of_random_settings_agree_or_are_refused_alike() -> None:
    """Pairs of ends of intervals, most of which one after the other would pass through an empty interval."""
    choose, outcomes = random.Random(5), []
    for _ in range(200):
        low, high = choose.uniform(1, 60), choose.uniform(1, 60)
        size = choose.randint(2, 64)
        settings = [f"user_range_min_m={low:.3g}", f"user_range_max_m={high:.3g}", f"n_elements={size}"]
        said = {_outcome(list(order)) for order in itertools.permutations(settings)}
        assert len(said) == 1
        assert ("needed min < max" in said.pop()) == (not low < high)
        outcomes.append(low < high)
    assert 20 < sum(outcomes) < 180  # both happen


def _outcome(settings: list[str]) -> str:
    try:
        return named.changed(leakage.fig1, settings=settings, axes=[]).fingerprint()
    except InputError as error:
        return str(error)


def test_axes_and_settings_are_judged_together(tmp_path: Path) -> None:
    both = named.changed(
        leakage.fig1, settings=["user_range_min_m=15"], axes=["user_range_max_m=20,30", "n_elements=16,32"]
    )
    assert both.axes["user_range_max_m"] == (20.0, 30.0)
    pair = named.changed(leakage.fig1, settings=[], axes=["user_range_min_m=20,25", "user_range_max_m=30,40"])
    assert pair.n_points == 2 * 2 * 10
    with pytest.raises(InputError, match="needed min < max"):
        named.changed(leakage.fig1, settings=[], axes=["user_range_min_m=20,35", "user_range_max_m=30,40"])
    file = tmp_path / "x.toml"
    file.write_text("[set]\nuser_range_min_m = 20\n")
    there = named.changed(leakage.fig1, settings=["user_range_max_m=40"], axes=[], file=file)
    assert (there.scenario.user_range_min_m, there.scenario.user_range_max_m) == (20, 40)


def test_the_command_line_wins_over_a_file_and_a_setting_over_an_axis(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[set]\nn_elements = 50\n[axis]\nn_sensors = [3, 4]\n")
    said = named.changed(leakage.fig1, settings=["n_elements=60"], axes=[], file=file)
    assert (said.scenario.n_elements, said.axes["n_sensors"]) == (60, (3, 4))
    alone = named.changed(leakage.fig1, settings=["n_sensors=7"], axes=[], file=file)
    assert (dict(alone.axes), alone.scenario.n_sensors) == ({}, 7)
    again = named.changed(leakage.fig1, settings=[], axes=["n_elements=8,9"], file=file)
    assert again.axes["n_elements"] == (8, 9)


def test_estimators_are_picked_by_their_names() -> None:
    def picked(sweep: Sweep, text: str) -> list[str]:
        scenario = named.changed(sweep, settings=[text], axes=[]).scenario
        found = getattr(scenario, text.partition("=")[0])
        assert all(one in getattr(sweep.scenario, text.partition("=")[0]) for one in found)  # with all their fields
        return [one.name for one in found]

    assert picked(leakage.fig3, "estimators=Posterior-Mean, least_squares") == ["posterior_mean", "least_squares"]
    assert picked(ris.fig4, "methods=closed loop") == ["closed loop"]
    with pytest.raises(InputError, match=r"given 'nn', needed some of hybrid, nf, ff, AML, ANM, NOMP, closed loop"):
        picked(ris.fig4, "methods=hybrid,nn")
    with pytest.raises(InputError, match="names that differ"):
        picked(ris.fig4, "methods=hybrid,hybrid")
