"""Long studies of the answer: false alarms of the fit, alarms it should raise, and what an unknown gain costs.

pytest -m study -s --timeout 7200 tests/test_answer_studies.py; counts stand in docs/evidence/answers.json.
"""

import math
from typing import NamedTuple

import numpy as np
import pytest
from campaigns import Campaign, drawn, random_scene, scene
from faults import FAULTS, raised

from scenarios.leakage.answer.climb import climb
from scenarios.leakage.answer.fit import fit
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import LOG_PER_DB, InDecibels, Prior
from scenarios.leakage.answer.quadrature import quadrature
from scenarios.leakage.answer.region import summary

HARDLY_SEEN = ("gain_low", "all_turned", "carrier_tenth_high", "carrier_tenth_low", "carrier_double", "carrier_half")
"""A user elsewhere explains these where few sensors are lit: they are counted alone."""
FILES, WHOLE, EACH, FEW_DRAWS = 2000, 100, 100, 199


def _p_value_at_the_truth(campaign: Campaign, draws: int) -> float:
    """Of the likeliest place near the true one: at most that of the likeliest anywhere, and much quicker."""
    powers = Powers.of(campaign.measured, campaign.scene, campaign.scene.leakage)
    prior = Prior.of(campaign.scene)
    user_m, user_rad = campaign.user
    peak = climb(powers, prior, np.array([[1 / user_m, math.cos(user_rad), 0.0, 0.0]]), 25)
    return fit(powers, prior, peak, campaign.measured.labels, draws).p_value


def _random_campaign(seed: int, number: int, most_elements: int = 128) -> Campaign:
    random = np.random.default_rng([seed, number])
    here = random_scene(random, most_elements)
    counts = random.integers(1, 2 * here.n_snapshots[0] + 1, here.n_sensors) if number % 2 else None
    return drawn(here, random, counts=counts)


@pytest.mark.study
def test_false_alarms_of_random_scenes() -> None:
    found = np.array([_p_value_at_the_truth(_random_campaign(21, i), FEW_DRAWS) for i in range(FILES)])
    alarms = int(np.count_nonzero(found <= 0.005))
    print(
        f"false alarms: {alarms} of {FILES}; p below 0.05: {np.mean(found < 0.05):.4f}, 0.5: {np.mean(found < 0.5):.3f}"
    )
    assert alarms <= 0.01 * FILES


@pytest.mark.study
def test_false_alarms_of_whole_answers() -> None:
    alarms = sum(raised(_random_campaign(22, i), FEW_DRAWS) for i in range(WHOLE))
    print(f"false alarms of whole answers: {alarms} of {WHOLE}")
    assert alarms <= 0.03 * WHOLE


@pytest.mark.study
@pytest.mark.parametrize("n_sensors", [20, 40])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_faults_are_raised(fault: str, n_sensors: int) -> None:
    count = 0
    for number in range(EACH):
        random = np.random.default_rng([23, n_sensors, number])
        count += raised(FAULTS[fault](drawn(scene(n_sensors), random), random), FEW_DRAWS)
    print(f"{fault}, K = {n_sensors}: raised {count} of {EACH}")
    assert fault in HARDLY_SEEN or count >= 0.95 * EACH - 1


class GainFile(NamedTuple):
    """One campaign of a gain that is uniform on ±10 dB, located as if it were unknown, and as if known."""

    covered: bool
    errors: tuple[float, float, float, float]
    """squared, of range (m²) and angle (rad²): gain unknown, then known"""
    bounds: tuple[float, float, float, float]
    """of the information at the truth, in the same order"""
    gain_error_db: float


def gain_file(number: int, n_sensors: int = 40) -> GainFile:
    random = np.random.default_rng([24, number])
    gain_db = random.uniform(-10, 10)
    campaign = drawn(scene(n_sensors), random, gain_db=gain_db)
    user_m, user_rad = campaign.user
    powers = Powers.of(campaign.measured, campaign.scene, campaign.scene.leakage)
    errors: list[float] = []
    covered = False
    for gain in (InDecibels(-10.0, 10.0), InDecibels(gain_db, gain_db)):
        held = summary(quadrature(powers, Prior.of(campaign.scene, gain)).cells)
        errors += [(held.range_m - user_m) ** 2, (held.angle_rad - user_rad) ** 2]
        if not gain.known:
            covered, gain_error_db = held.plane.covers(user_m, user_rad), held.gain_db[0] - gain_db
    there = np.array([[1 / user_m, math.cos(user_rad), LOG_PER_DB * gain_db, 0.0]])
    information = climb(powers, Prior.of(campaign.scene, InDecibels(-10.0, 10.0)), there, 0).information[0]
    scale = np.array([user_m**4, 1 / math.sin(user_rad) ** 2])
    of_unknown, of_known = (np.diag(np.linalg.inv(information[:n, :n]))[:2] * scale for n in (3, 2))
    bounds = (*map(float, of_unknown), *map(float, of_known))
    return GainFile(covered, (errors[0], errors[1], errors[2], errors[3]), bounds, gain_error_db)


@pytest.mark.study
def test_an_unknown_gain_costs_what_the_information_says() -> None:
    """Coverage of the region; mean squared errors over bounds, of users whose bound is within the area."""
    files = [gain_file(number) for number in range(400)]
    print(gain_summary(files))
    coverage = np.mean([one.covered for one in files])
    assert abs(coverage - 0.95) < 4 * math.sqrt(0.95 * 0.05 / len(files))


def gain_summary(files: "list[GainFile]") -> dict[str, float]:
    errors, bounds = (np.array([getattr(one, name) for one in files]) for name in ("errors", "bounds"))
    sharp = (bounds[:, 0] < 0.25) & (bounds[:, 1] < 1e-5)  # half a metre, where peaks are narrow and alone
    ratio, allowed = errors[sharp] / bounds[sharp], bounds[sharp, :2] / bounds[sharp, 2:]
    return {
        "files": len(files),
        "coverage": float(np.mean([one.covered for one in files])),
        "sharp": int(sharp.sum()),
        **{
            f"error_over_bound_{name}": float(np.mean(ratio[:, i]))
            for i, name in enumerate(("range_unknown", "angle_unknown", "range_known", "angle_known"))
        },
        "bound_unknown_over_known_range_median": float(np.median(allowed[:, 0])),
        "bound_unknown_over_known_angle_median": float(np.median(allowed[:, 1])),
        "squared_error_unknown_over_known_range": float(errors[sharp, 0].mean() / errors[sharp, 2].mean()),
        "bound_sum_unknown_over_known_range": float(bounds[sharp, 0].mean() / bounds[sharp, 2].mean()),
    }
