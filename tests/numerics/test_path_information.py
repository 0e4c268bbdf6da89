"""Fisher information and Cramér-Rao bounds of paths: published-to-us digits, finite differences, one big matrix."""

from typing import Any

import numpy as np
import pytest
from acceptance_scene import NOISE_VARIANCE, PATHS, SURFACE, beams

from engine.errors import InputError
from engine.numerics.path_information import (
    BoundVariant,
    Paths,
    path_covariance,
    user_information,
    user_sensitivity,
    variances,
    weak_prior,
)
from engine.numerics.wavefront import wave

VARIANTS: tuple[BoundVariant, ...] = ("gain_known", "gain", "scatter_gains", "joint")
FAR = np.array([False, True])
NOISE = np.array(NOISE_VARIANCE)

ACCEPTED = {
    "gain_known": [[0.37969399, 0.0034045385, 0.0032867685], [3.5346, 0.0031380289, 0.0029309707]],
    "gain": [[0.73185176, 0.0036505996, 0.0034181265], [9.0895, 0.0035005298, 0.0030499836]],
    "scatter_gains": [[0.77212258, 0.0036849848, 0.0036614666], [9.8725, 0.0035424605, 0.0030699597]],
    "joint": [[0.82191039, 0.0038278118, 0.0037102715], [10.4445, 0.0035757037, 0.0031949569]],
}


def complex_given(given: Any) -> Any:
    """`given` for complex values: real and imaginary parts."""
    return lambda values: given(np.real(values)) + 1j * given(np.imag(values))


def given_paths(given: Any, paths: Paths = PATHS) -> Paths:
    make = complex_given(given)
    return Paths(*(make(part) if np.iscomplexobj(part) else given(part) for part in paths))


def parameters(paths: Paths) -> np.ndarray:
    """Everything that is unknown: users' places, scatterers' places, gains, scatter gains."""
    gains = [paths.gain.real, paths.gain.imag, paths.scatterer_gain.real, paths.scatterer_gain.imag]
    return np.concatenate([np.ravel(part) for part in (*paths[:3], *paths[4:7], *gains)])


def mean(values: np.ndarray, n_users: int, n_scatterers: int) -> np.ndarray:
    """μ (C, L) from what `parameters` lists, Eq. (36)."""
    sizes = [n_users] * 3 + [n_scatterers] * 3 + [n_users] * 2 + [n_users * n_scatterers] * 2
    parts = np.split(values, np.cumsum(sizes)[:-1])
    scatter_gain = (parts[8] + 1j * parts[9]).reshape(n_users, n_scatterers)
    channel = (parts[6] + 1j * parts[7])[:, None] * wave(SURFACE, *parts[:3])
    return beams() @ (channel + scatter_gain @ wave(SURFACE, *parts[3:6])).T


def by_differences(paths: Paths, *, step: float = 1e-6) -> np.ndarray:
    """∂μ by every parameter, (P, C, L)."""
    shape = paths.scatterer_gain.shape
    values = parameters(paths)
    rows = []
    for i in range(values.size):
        up, down = values.copy(), values.copy()
        up[i], down[i] = values[i] + step, values[i] - step
        rows.append((mean(up, *shape) - mean(down, *shape)) / (2 * step))
    return np.stack(rows)


@pytest.mark.parametrize("variant", VARIANTS)
def test_bounds_have_the_accepted_digits(variant: BoundVariant, given: Any, host: Any) -> None:
    covariance = path_covariance(
        SURFACE, given_paths(given), complex_given(given)(beams()), given(NOISE), variant=variant
    )
    deviation = np.sqrt(host(variances(covariance)))
    np.testing.assert_allclose(deviation[0], ACCEPTED[variant][0], rtol=2e-8)
    np.testing.assert_allclose(deviation[1, 0], ACCEPTED[variant][1][0], rtol=2e-5)  # printed to five digits
    np.testing.assert_allclose(deviation[1, 1:], ACCEPTED[variant][1][1:], rtol=2e-8)


def test_a_far_users_range_is_no_parameter(xp: Any, given: Any, host: Any) -> None:
    covariance = path_covariance(
        SURFACE, given_paths(given), complex_given(given)(beams()), given(NOISE), far=xp.asarray(FAR)
    )
    deviation = np.sqrt(host(variances(covariance)))
    np.testing.assert_allclose(deviation[0], [0.81839464, 0.0038185558, 0.0037071088], rtol=2e-8)
    np.testing.assert_allclose(deviation[1, 1:], [0.0034163755, 0.0031905040], rtol=2e-8)
    assert deviation[1, 0] == np.inf
    assert np.all(host(covariance)[1, 0] == 0)


def test_joint_covariance_is_that_of_one_matrix_of_finite_differences() -> None:
    pair = PATHS._replace(
        scatterer_inverse_range_per_m=np.array([1 / 3.1, 0.15]),
        scatterer_polar_rad=np.array([1.30, 1.6]),
        scatterer_azimuth_rad=np.array([-0.12, 0.4]),
        scatterer_gain=np.array([[0.3, 0.2j], [0.25j, -0.3]]) * np.exp(0.7j),
    )
    rows = by_differences(pair)
    information = 2 / NOISE_VARIANCE * np.einsum("icl,jcl->ij", rows.conj(), rows).real
    inverse = np.linalg.inv(information)
    covariance = path_covariance(SURFACE, pair, beams(), NOISE, coordinate="inverse_range")
    for user in range(2):
        own = np.arange(3) * 2 + user
        np.testing.assert_allclose(covariance[user], inverse[np.ix_(own, own)], rtol=2e-6)
    without = path_covariance(SURFACE, pair, beams(), NOISE, coordinate="inverse_range", variant="scatter_gains")
    assert covariance[0, 0, 0] > 1.05 * without[0, 0, 0]  # places of scatterers matter: the test can fail


def test_a_scatterer_that_samples_do_not_determine_leaves_users_determined(given: Any, host: Any) -> None:
    """Two at one place, with gains in the same proportion to all users: of them only a mean is determined."""
    gain = np.array([[0.3], [0.25j]]) * np.exp(0.7j)
    twice = PATHS._replace(
        scatterer_inverse_range_per_m=np.array([1 / 3.1, 1 / 3.1]),
        scatterer_polar_rad=np.array([1.30, 1.30]),
        scatterer_azimuth_rad=np.array([-0.12, -0.12]),
        scatterer_gain=gain * np.array([1.0, 0.5]),
    )
    prior = np.array([3.0, 11.0, 12.0])
    rows = by_differences(twice)
    information = 2 / NOISE_VARIANCE * np.einsum("icl,jcl->ij", rows.conj(), rows).real
    information += np.diag([*[0.0] * 6, *np.repeat(prior, 2), *[0.0] * 12])
    scale = np.sqrt(np.diag(information))
    # Which of the two a gain belongs to is nothing that a user's place depends on: the least of all solutions will do.
    inverse = np.linalg.pinv(information / np.outer(scale, scale), rcond=1e-11, hermitian=True) / np.outer(scale, scale)
    arguments = SURFACE, given_paths(given, twice), complex_given(given)(beams()), given(NOISE)
    ours = host(path_covariance(*arguments, coordinate="inverse_range", scatterer_prior=given(prior)))
    for user in range(2):
        own = np.arange(3) * 2 + user
        np.testing.assert_allclose(ours[user], inverse[np.ix_(own, own)], rtol=1e-5)
    assert np.all(np.isinf(host(path_covariance(*arguments, coordinate="inverse_range"))))
    once = twice._replace(**{name: getattr(twice, name)[..., :1] for name in Paths._fields[4:]})
    held = host(path_covariance(SURFACE, given_paths(given, once), *arguments[2:], coordinate="inverse_range"))
    assert np.all(np.diagonal(ours, axis1=1, axis2=2) < 1.2 * np.diagonal(held, axis1=1, axis2=2))


def test_users_information_is_that_of_finite_differences(given: Any, host: Any) -> None:
    rows = by_differences(PATHS)
    waves = user_sensitivity(SURFACE, given_paths(given), coordinate="inverse_range")
    ours = host(user_information(waves, complex_given(given)(beams()), given(NOISE)))
    for user in range(2):
        own = rows[[user, 2 + user, 4 + user, 9 + user, 11 + user], :, user]
        theirs = 2 / NOISE_VARIANCE * (own.conj() @ own.T).real
        scale = np.sqrt(np.diag(theirs))
        np.testing.assert_allclose(ours[user] / np.outer(scale, scale), theirs / np.outer(scale, scale), atol=1e-8)
        bound = variances(path_covariance(SURFACE, PATHS, beams(), NOISE, variant="gain", coordinate="inverse_range"))
        np.testing.assert_allclose(np.diag(np.linalg.inv(ours[user]))[:3], bound[user], rtol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_range_and_inverse_range_give_the_same_bounds(variant: BoundVariant) -> None:
    prior = weak_prior(PATHS.gain)
    by_range = path_covariance(SURFACE, PATHS, beams(), NOISE, variant=variant, prior=prior)
    kappa = PATHS.inverse_range_per_m
    slope = np.stack([-(kappa**2), np.ones(2), np.ones(2)], axis=-1)  # ∂κ/∂r
    prior = np.concatenate([prior[..., :3] / slope**2, prior[..., 3:]], axis=-1)
    by_kappa = path_covariance(SURFACE, PATHS, beams(), NOISE, variant=variant, prior=prior, coordinate="inverse_range")
    np.testing.assert_allclose(by_kappa, by_range * slope[:, :, None] * slope[:, None, :], rtol=1e-9)


def test_counts_are_the_bounds_of_so_many_cycles() -> None:
    counts = (6, 9, 16)
    together = path_covariance(SURFACE, PATHS, beams(), NOISE, counts=counts)
    for i, count in enumerate(counts):
        alone = path_covariance(SURFACE, PATHS, beams()[:count], NOISE)
        np.testing.assert_allclose(together[i], alone, rtol=1e-9)
    assert np.all(variances(together)[0] > variances(together)[1])


@pytest.mark.parametrize("counts", [(), (0, 3), (3, 3), (4, 17)])
def test_counts_that_make_no_sense_are_one_line(counts: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="counts: given .* from 1 to 16"):
        path_covariance(SURFACE, PATHS, beams(), NOISE, counts=counts)


def test_too_few_cycles_have_no_bound(given: Any, host: Any) -> None:
    """Joint: 17 unknowns, and 4 cycles give 2 users 16 real numbers. A user alone: 5 unknowns, so 3 cycles."""
    paths, all_beams, noise = given_paths(given), complex_given(given)(beams()), given(NOISE)
    joint = host(path_covariance(SURFACE, paths, all_beams, noise, counts=(1, 2, 3, 4, 5)))
    assert np.all(joint[:4] == np.inf)
    assert np.all(np.isfinite(joint[4]))
    own = host(path_covariance(SURFACE, paths, all_beams, noise, variant="gain", counts=(1, 2, 3)))
    assert np.all(own[:2] == np.inf)
    assert np.all(np.isfinite(own[2]))
    prior = given(weak_prior(PATHS.gain))
    first = host(path_covariance(SURFACE, paths, all_beams, noise, variant="gain", counts=(1,), prior=prior))
    assert np.all(first[0, :, 0, 0] < 100 / 12)  # less than what was known beforehand


def test_a_wave_from_infinity_has_no_range() -> None:
    plane = PATHS._replace(inverse_range_per_m=np.array([1 / 2.3, 0.0]))
    held = path_covariance(SURFACE, plane, beams(), NOISE, far=FAR)
    np.testing.assert_array_equal(path_covariance(SURFACE, plane, beams(), NOISE), held)
    by_kappa = path_covariance(SURFACE, plane, beams(), NOISE, coordinate="inverse_range")
    assert 0 < by_kappa[1, 0, 0] < np.inf
    assert by_kappa[1, 1, 1] > held[1, 1, 1]


def test_a_scatterer_that_was_not_found_changes_nothing(given: Any, host: Any) -> None:
    more = PATHS._replace(
        scatterer_inverse_range_per_m=np.array([1 / 3.1, np.nan]),
        scatterer_polar_rad=np.array([1.30, np.nan]),
        scatterer_azimuth_rad=np.array([-0.12, np.nan]),
        scatterer_gain=np.concatenate([PATHS.scatterer_gain, np.zeros((2, 1))], axis=-1),
    )
    make = complex_given(given)
    for variant in ("scatter_gains", "joint"):
        with_it, without = (
            path_covariance(SURFACE, given_paths(given, paths), make(beams()), given(NOISE), variant=variant)
            for paths in (more, PATHS)
        )
        np.testing.assert_allclose(host(with_it), host(without), rtol=1e-12)


def test_without_scatterers_all_but_the_papers_bound_are_the_same() -> None:
    none = np.zeros(0)
    alone = Paths(*PATHS[:4], none, none, none, np.zeros((2, 0)))
    expected = path_covariance(SURFACE, PATHS, beams(), NOISE, variant="gain")
    for variant in ("scatter_gains", "joint"):
        np.testing.assert_array_equal(path_covariance(SURFACE, alone, beams(), NOISE, variant=variant), expected)


def test_leading_axes_broadcast_and_trials_do_not_touch_one_another() -> None:
    random = np.random.default_rng(3)
    trials, levels, counts = 3, 2, (7, 12)
    paths = Paths(
        random.uniform(0.1, 1, (trials, 1, 4)),
        random.uniform(1.2, 1.9, (trials, 1, 4)),
        random.uniform(-0.5, 0.5, (trials, 1, 4)),
        np.exp(1j * random.uniform(0, 6, (trials, 1, 4))),
        random.uniform(0.1, 1, (trials, 1, 2)),
        random.uniform(1.2, 1.9, (trials, 1, 2)),
        random.uniform(-0.5, 0.5, (trials, 1, 2)),
        0.3 * np.exp(1j * random.uniform(0, 6, (trials, 1, 4, 2))),
    )
    seen = np.exp(1j * random.uniform(0, 6, (trials, 1, 12, SURFACE.n_elements)))
    noise = random.uniform(10, 100, (1, levels))
    for part in (*paths, seen, noise):
        part.flags.writeable = False
    together = path_covariance(SURFACE, paths, seen, noise, counts=counts)
    assert together.shape == (trials, levels, 2, 4, 3, 3)
    for trial in range(trials):
        for level in range(levels):
            own = Paths(*(part[trial, 0] for part in paths))
            alone = path_covariance(SURFACE, own, seen[trial, 0], noise[0, level], counts=counts)
            np.testing.assert_array_equal(together[trial, level], alone)
