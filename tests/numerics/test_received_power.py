"""Received power against its Monte Carlo mean."""

import math
from typing import Any

import numpy as np
import pytest

from engine.numerics.received_power import focusing_share, mean_received_power, spectral_efficiency


@pytest.mark.parametrize("n", [16, 144])
def test_mean_received_power_of_rayleigh_channels(n: int) -> None:
    random = np.random.default_rng(1)
    trials, power = 20_000, (0.5, 2.0)
    shape = (trials, n)
    to_base, to_user = (
        math.sqrt(p / 2) * (random.standard_normal(shape) + 1j * random.standard_normal(shape)) for p in power
    )
    fixed = 3.0 * np.abs((to_base * to_user).sum(-1)) ** 2
    aligned = 3.0 * np.abs(to_base * to_user).sum(-1) ** 2
    given = {"transmit_power": 3.0, "power_to_base": 0.5, "power_to_user": 2.0}
    for powers, phases, exact in ((fixed, "fixed", 1.0), (aligned, "aligned", 1 + 16 / math.pi**2 / n - 1 / n)):
        expected = mean_received_power(n, phases, **given)  # type: ignore[arg-type]
        error = powers.std() / math.sqrt(trials)
        assert abs(powers.mean() - exact * expected) < 4 * error
    assert abs(aligned.mean() - mean_received_power(n, "fixed", **given)) > 100 * error  # the test can fail


def test_focusing_share_and_rate(xp: Any, host: Any) -> None:
    phase = np.linspace(0, 5, 40)
    wave, other = np.exp(1j * phase), np.exp(1j * 2 * phase)
    share = host(focusing_share(xp.asarray(np.stack([wave, wave])), xp.asarray(np.stack([wave, other]))))
    assert share[0] == pytest.approx(1, rel=1e-14)
    assert share[1] == pytest.approx(abs(np.vdot(other, wave)) ** 2 / 1600, rel=1e-12)
    assert float(spectral_efficiency(xp.asarray(3.0), data_share=0.5)) == pytest.approx(1.0)
