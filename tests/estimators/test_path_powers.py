"""Powers of a scattered path that are summed over: from what nobody would notice to all there is."""

from dataclasses import replace

import numpy as np
import pytest
from ris_trials import trials
from test_closed_loop import SMALL

from engine.estimators.paths.evidence import with_powers
from engine.estimators.paths.trials import Rows, Trials, trials_of

N_CYCLES, N_USERS = 9, 3


def some_trials(**fields: object) -> tuple[Trials, Rows]:
    """Three of one group, with beams that bring a path of gain one 5 in the mean candidate."""
    _, cycles, _ = trials(1, (0.0, 5.0, 10.0), n_cycles=N_CYCLES, n_users=N_USERS, seed=3, surface=SMALL)
    energy = N_CYCLES * np.array([[4.0, 4.5, 6.5]])
    return trials_of(cycles, np)._replace(**fields), Rows(np.zeros((1, N_CYCLES, 3), complex), energy)


def powers_of(some: Trials, rows: Rows, *, told: bool = False, noise_known: bool = True, share: float = 0.5) -> Trials:
    problem, _, _ = trials(1, (0.0,), n_users=N_USERS, surface=SMALL)
    problem = replace(problem, scattered_power=share)
    return with_powers(problem, some, rows, told=told, noise_known=noise_known)


def deviation_of_mean_power(variance: float) -> float:
    """Of the noise alone, over as many samples as there are of all users and cycles."""
    parts = np.random.default_rng(0).normal(size=(2, 40_000, N_CYCLES * N_USERS)) * np.sqrt(variance / 2)
    return float(np.std(np.mean(parts[0] ** 2 + parts[1] ** 2, axis=-1)))


def test_from_a_tenth_of_what_the_noise_hides_to_all_there_is() -> None:
    some, rows = some_trials()
    found = powers_of(some, rows)
    np.testing.assert_allclose(found.received, 5)
    assert found.powers.shape == (3, 24)
    for t, variance in enumerate(some.noise_variance):
        least = found.powers[t, 0]
        assert least == pytest.approx(deviation_of_mean_power(variance) / 10, rel=0.02)
        assert found.powers[t, -1] == pytest.approx(np.mean(np.abs(some.samples[t]) ** 2))
        ratios = found.powers[t, 1:] / found.powers[t, :-1]
        np.testing.assert_allclose(ratios, ratios[0])
        assert ratios[0] > 1
    np.testing.assert_array_equal(found.noise_variance, some.noise_variance)


def test_samples_without_a_signal_leave_two_powers_to_tell_apart() -> None:
    """Weaker than the noise is said to be, or nothing at all: the highest is twice the lowest."""
    some, rows = some_trials()
    for samples in (some.samples * 1e-9, np.zeros_like(some.samples)):
        found = powers_of(some._replace(samples=samples), rows)
        np.testing.assert_allclose(found.powers[:, -1], 2 * found.powers[:, 0])
        np.testing.assert_allclose(found.powers[:, 0], powers_of(some, rows).powers[:, 0])
    just_above = np.sqrt(2.2 * powers_of(some, rows).powers[:, 0])[:, None, None] + 0 * some.samples
    found = powers_of(some._replace(samples=just_above), rows)
    np.testing.assert_allclose(found.powers[:, -1], 2.2 * found.powers[:, 0])


def test_noise_of_an_unknown_power_leaves_ratios_from_a_hundredth_to_fifty_decibels() -> None:
    some, rows = some_trials()
    found = powers_of(some, rows, noise_known=False)
    assert found.powers.shape == (3, 24)
    decibels = 10 * np.log10(found.powers)
    np.testing.assert_allclose(decibels, np.linspace(-20, 50, 24) + np.zeros((3, 1)), atol=1e-9)


def test_a_power_that_is_told_is_the_only_one_unless_nobody_would_notice_it() -> None:
    some, rows = some_trials()
    np.testing.assert_allclose(powers_of(some, rows, told=True, share=1.5).powers, 7.5 + np.zeros((3, 1)))
    np.testing.assert_allclose(powers_of(some, rows, told=True, share=1e-9).powers, powers_of(some, rows).powers[:, :1])


def test_noise_is_told_down_to_what_rounding_leaves() -> None:
    """120 dB below the samples' mean power, trial by trial; what is above that is believed."""
    some, rows = some_trials()
    some = some._replace(samples=some.samples * np.array([1.0, 10.0, 100.0])[:, None, None])
    power = np.mean(np.abs(some.samples) ** 2, axis=(1, 2))
    for told, noise_known in ((False, True), (True, True), (False, False)):
        for share, expected in ((0.0, 1e-12), (0.9e-12, 1e-12), (1.1e-12, 1.1e-12), (2.5e-12, 2.5e-12)):
            given = some._replace(noise_variance=share * power)
            found = powers_of(given, rows, told=told, noise_known=noise_known)
            np.testing.assert_allclose(found.noise_variance, expected * power)
            assert np.isfinite(found.powers).all()
