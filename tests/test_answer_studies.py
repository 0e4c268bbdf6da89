"""Long studies of the answer: false alarms of the fit, alarms it should raise, and what an unknown gain costs.

pytest -m study -s --timeout 7200 tests/test_answer_studies.py; counts stand in docs/evidence/answers.json.
"""

import math

import numpy as np
import pytest
from campaigns import Campaign, drawn, random_scene, scene
from faults import FAULTS, raised

from scenarios.leakage.answer.climb import climb
from scenarios.leakage.answer.fit import fit
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import Prior

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
    assert count >= {"gain_low": 0.6}.get(fault, 0.95) * EACH - 1
