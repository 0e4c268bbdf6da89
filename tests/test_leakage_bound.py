"""The bound's numbers: against loops and adaptive quadrature, against an estimator, and against the prior."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from own_model import QUARTIC, TAPERED
from scipy.integrate import quad_vec

from engine import InputError, Streams, Sweep
from engine.backend import backend
from engine.execution.task import Evaluator
from scenarios.leakage import LeakageBound

SPEED_OF_LIGHT = 299_792_458.0


def one_block(scenario: LeakageBound, *, block: int, **axes: tuple[Any, ...]) -> Callable[..., dict[str, np.ndarray]]:
    """What the engine computes at a point of a sweep: variable → values of its first block."""
    evaluator = Evaluator(Sweep(scenario, axes, realizations=block, block=block, seed=9), backend("cpu"))

    def at(*point: int) -> dict[str, np.ndarray]:
        variables = evaluator.block(point, 0, intermediates=True)
        return {name: values for name, (_, values, _) in variables.items()}

    return at


def leakage_oracle(model: str, n: int, wavelength: float, spacing: float, d: float, phi: float, theta: Any) -> Any:
    """g toward each angle of `theta`: Eq. (9) summed, or a closed form with SciPy's integrals."""
    if model in ("spherical", "own_model:QUARTIC", "own_model:TAPERED"):
        x, c = (np.arange(n) - (n - 1) / 2) * spacing, np.cos(phi)
        path = np.sqrt(d**2 + x**2 - 2 * d * x * c) - d
        if model == "own_model:QUARTIC":
            e = x / d
            path = d * (-c * e + (1 - c**2) / 2 * (e**2 + c * e**3) + (6 * c**2 - 5 * c**4 - 1) / 8 * e**4)
        amplitude = np.exp(-2 * (x / ((n - 1) * spacing)) ** 2) if model == "own_model:TAPERED" else 1.0
        phases = 2 * np.pi / wavelength * (path + np.outer(np.cos(theta), x))
        return np.abs((amplitude * np.exp(-1j * phases)).sum(axis=-1)) ** 2 / n
    u, s = np.cos(theta) - np.cos(phi), np.sin(phi)
    if model == "fresnel_closed":
        t, tau = n * spacing / 2 * s * np.sqrt(2 / (wavelength * d)), u / s * np.sqrt(2 * d / wavelength)
    else:  # Eq. (10) as printed
        t, tau = n / 2 * np.sqrt(8 / (d * wavelength)) * spacing, u * np.sqrt(8 * d / wavelength)
    (s_low, c_low), (s_high, c_high) = scipy.special.fresnel(t - tau), scipy.special.fresnel(t + tau)
    return n / (4 * t**2) * ((c_low + c_high) ** 2 + (s_low + s_high) ** 2)


ABSCISSAE, WEIGHTS = np.polynomial.legendre.leggauss(200)


def information_oracle(rho: np.ndarray) -> np.ndarray:
    """J₂, the mean squared score over the density of r = √z, integrated over √ρ ± 10."""
    a = np.sqrt(np.maximum(rho, 1e-9))[:, None]
    low, high = np.maximum(0, a - 10), a + 10
    r = low + (high - low) * (ABSCISSAE + 1) / 2
    score = -0.5 + 0.5 * r / a * scipy.special.i1e(a * r) / scipy.special.i0e(a * r)  # Eq. (15)
    density = r * np.exp(-((r - a) ** 2) / 2) * scipy.special.i0e(a * r)
    return (density * score**2 * (high - low) / 2) @ WEIGHTS


def slope(function: Callable[[float], np.ndarray], at: float, step: float) -> np.ndarray:
    """Central difference of fourth order."""
    near, far = (function(at + k * step) - function(at - k * step) for k in (1, 2))
    return (8 * near - far) / (12 * step)


def bounds_oracle(scenario: LeakageBound, values: dict[str, np.ndarray], index: int, noise_dbm: float) -> np.ndarray:
    """Bounds of one realization: ∫ p(d) J_F(d) dd by adaptive quadrature, plus the prior's, inverted."""
    wavelength = SPEED_OF_LIGHT / scenario.carrier_hz
    fixed = scenario.leakage.name, scenario.n_elements, wavelength, wavelength / 2
    phi, theta = values["user_angle_rad"][index], values["sensor_angle_rad"][index]
    gain = (wavelength / (4 * np.pi * values["sensor_range_m"][index])) ** 2
    scale = 2 * 10 ** ((scenario.transmit_dbm - noise_dbm) / 10) * gain  # ρ = scale · g
    low, high = scenario.user_range_min_m, scenario.user_range_max_m
    prior = scipy.stats.beta(scenario.prior_alpha, scenario.prior_beta, low, high - low)

    def weighted_information(d: float) -> np.ndarray:
        j2 = information_oracle(scale * leakage_oracle(*fixed, d, phi, theta))
        by_range = slope(lambda r: leakage_oracle(*fixed, r, phi, theta), d, 1e-4)
        by_angle = slope(lambda a: leakage_oracle(*fixed, d, a, theta), phi, 1e-5)
        total = np.zeros((2, 2))
        for k in range(theta.size):
            gradient = np.array([by_range[k], by_angle[k]])
            total += j2[k] * scale[k] ** 2 * np.outer(gradient, gradient)
        return prior.pdf(d) * total

    matrix, _ = quad_vec(weighted_information, low, high, epsabs=0, epsrel=1e-7)
    matrix = matrix * scenario.n_snapshots[0] + np.diag([scenario.prior_information_per_m2(), 0.0])
    return np.diagonal(np.linalg.inv(matrix))


@pytest.mark.parametrize("model", ["fresnel_closed", "spherical", "as_printed", QUARTIC, TAPERED], ids=str)
def test_bound_agrees_with_loops_and_adaptive_quadrature(model: Any) -> None:
    scenario = LeakageBound(leakage=model, n_sensors=5, noise_dbm=(-65.0, -85.0), n_snapshots=(3,))
    values = one_block(scenario, block=2)()
    for index, level in np.ndindex(2, 2):
        expected = bounds_oracle(scenario, values, index, scenario.noise_dbm[level])
        computed = [values[name][index, level, 0] for name in ("bcrlb_range_m2", "bcrlb_angle_rad2")]
        np.testing.assert_allclose(computed, expected, rtol=5e-5)  # what `nodes_needed` promises


def test_bound_of_a_wrong_noncentrality_is_noticed() -> None:
    """Half the power is what the factor 2 missing from Eq. (12) would amount to."""
    scenario = LeakageBound(n_sensors=5, noise_dbm=(-85.0,), n_snapshots=(50,))
    values = one_block(scenario, block=1)()
    halved = bounds_oracle(scenario.replace(transmit_dbm=23 - 10 * np.log10(2)), values, 0, -85.0)
    assert halved[0] > 1.1 * values["bcrlb_range_m2"][0, 0, 0]
    assert halved[1] > 1.1 * values["bcrlb_angle_rad2"][0, 0, 0]


def log_likelihood(sums: np.ndarray, noncentrality: np.ndarray, degrees: int) -> float:
    """Of sums that are noncentral χ², up to what does not depend on the noncentrality."""
    order = degrees / 2 - 1
    argument = np.sqrt(noncentrality * sums)
    log_bessel = np.log(scipy.special.ive(order, argument)) + argument
    return float(np.sum(-noncentrality / 2 - order / 2 * np.log(noncentrality) + log_bessel))


def normalized_errors(assumed_wavelength: float, trials: int) -> np.ndarray:
    """Errors of maximum likelihood started at the truth, in standard deviations of the bound, (trials, 2)."""
    scenario = LeakageBound(noise_dbm=(-120.0,), n_snapshots=(4,))
    values, snapshots = one_block(scenario, block=1)(), scenario.n_snapshots[0]
    wavelength = SPEED_OF_LIGHT / scenario.carrier_hz
    truth = np.array([values["user_range_m"][0], values["user_angle_rad"][0]])
    theta, beta = values["sensor_angle_rad"][0], values["path_gain"][0]
    power = 10 ** ((23 + 120) / 10) * beta  # P_t β/σ²

    def leaked(point: np.ndarray, assumed: float) -> np.ndarray:
        return leakage_oracle("fresnel_closed", 100, assumed, wavelength / 2, point[0], point[1], theta)

    range_range, cross, angle_angle = (
        values[f"fisher_{entry}"][0, 0] for entry in ("range_per_m2", "cross_per_m_rad", "angle_per_rad2")
    )
    covariance = np.linalg.inv(snapshots * np.array([[range_range, cross], [cross, angle_angle]]))
    deviation = np.sqrt(np.diagonal(covariance))
    random = np.random.default_rng(12)
    amplitude = np.sqrt(power * leaked(truth, wavelength))
    errors = []
    for _ in range(trials):
        noise = random.normal(0, np.sqrt(1 / 2), (2, snapshots, theta.size))
        sums = np.sum(2 * np.abs(amplitude + noise[0] + 1j * noise[1]) ** 2, axis=0)

        def cost(step: np.ndarray, sums: np.ndarray = sums) -> float:
            mu = power * leaked(truth + step * deviation, assumed_wavelength)
            return -log_likelihood(sums, snapshots * 2 * mu, 2 * snapshots)

        start = [[0.0, 0.0], [0.7, 0.0], [0.0, 0.7]]
        options = {"initial_simplex": start, "xatol": 1e-3, "fatol": 1e-5}
        errors.append(scipy.optimize.minimize(cost, [0.0, 0.0], method="Nelder-Mead", options=options).x)
    return np.array(errors)


def excess(errors: np.ndarray) -> np.ndarray:
    """Mean squared error over bound, less one, in standard errors; √(2/T) for Gaussian errors."""
    return (np.mean(errors**2, axis=0) - 1) / np.sqrt(2 / len(errors))


def test_maximum_likelihood_attains_the_fisher_information_at_high_power() -> None:
    """At σ² = −120 dBm, where its errors are Gaussian: noncentralities are 8 to 1e6."""
    errors = normalized_errors(SPEED_OF_LIGHT / 15e9, trials=1000)
    assert np.all(np.abs(excess(errors)) < 4)


def test_an_estimator_that_assumes_another_wavelength_does_not() -> None:
    errors = normalized_errors(SPEED_OF_LIGHT / 15e9 * 1.01, trials=40)
    assert np.all(excess(errors) > 40)


def test_fewer_sensors_are_the_first_of_more() -> None:
    at = one_block(LeakageBound(), block=20, n_sensors=(10, 20))
    few, many = at(0), at(1)
    for name in ("sensor_range_m", "sensor_angle_rad", "path_gain", "sensor_leakage"):
        np.testing.assert_array_equal(few[name], many[name][:, :10])
    np.testing.assert_array_equal(few["user_angle_rad"], many["user_angle_rad"])
    assert np.all(many["bcrlb_range_m2"] < few["bcrlb_range_m2"])


def test_noise_powers_and_snapshot_counts_share_their_draws() -> None:
    both = one_block(LeakageBound(noise_dbm=(-65.0, -85.0), n_snapshots=(1, 50)), block=20)()
    alone = one_block(LeakageBound(noise_dbm=(-85.0,), n_snapshots=(50,)), block=20)()
    for name in ("bcrlb_range_m2", "bcrlb_angle_rad2"):
        np.testing.assert_allclose(both[name][:, 1, 1], alone[name][:, 0, 0], rtol=1e-12)
        assert np.all(np.diff(both[name], axis=1) < 0)  # in every single realization
        assert np.all(np.diff(both[name], axis=2) < 0)


def test_the_papers_prior_information_gives_no_bound_at_low_power() -> None:
    """Guessing the prior's mean has the prior's variance: what exceeds it bounds nothing."""
    weak = LeakageBound(noise_dbm=(-20.0,), n_snapshots=(1,))
    printed = one_block(weak, block=50)()["bcrlb_range_m2"]
    assert weak.prior_variance()[0] == pytest.approx(5.0)  # Beta(2, 2) on [2, 12]
    assert np.all(printed > 50)  # 1/0.0185 = 54 m²
    assert np.all(one_block(weak.replace(prior_information="formula"), block=50)()["bcrlb_range_m2"] > 16)
    exact = weak.replace(prior_information="exact", prior_alpha=3, prior_beta=3)
    below = one_block(exact, block=50)()["bcrlb_range_m2"]
    assert exact.prior_variance()[0] == pytest.approx(scipy.stats.beta(3, 3, 2, 10).var())
    assert np.all(below < exact.prior_variance()[0])


def test_averaged_over_the_ranges_prior_the_information_bounds_no_error_of_the_angle() -> None:
    """The "bound" of the angle exceeds a blind guess's variance; that of the range does not."""
    scene = LeakageBound(
        n_sensors=10, noise_dbm=(-65.0,), n_snapshots=(1,), prior_information="exact", prior_alpha=3, prior_beta=3
    )
    found = one_block(scene, block=500)()
    blind_m2, blind_rad2 = scene.prior_variance()
    assert blind_rad2 == pytest.approx((2 * np.pi / 3) ** 2 / 12)
    assert found["bcrlb_range_m2"].max() < blind_m2
    assert found["bcrlb_angle_rad2"].mean() > 1.2 * blind_rad2


@pytest.mark.parametrize("draw", ["uniform", "beta"])
def test_draws_have_the_distributions_of_table_1(draw: Any) -> None:
    scenario = LeakageBound(user_range_draw=draw, prior_alpha=3, prior_beta=2)
    drawn = scenario.draw(Streams(2, 0), 2000)
    user_range = scipy.stats.uniform(2, 10) if draw == "uniform" else scipy.stats.beta(3, 2, 2, 10)
    angle = scipy.stats.uniform(np.pi / 6, 2 * np.pi / 3)
    distributions = (user_range, angle, scipy.stats.uniform(100, 50), angle)
    for values, distribution in zip(drawn, distributions, strict=True):
        # Kolmogorov's 1e-4 quantile: the chance that a right sampler fails on another seed.
        distance = scipy.stats.kstest(values.ravel(), distribution.cdf).statistic
        assert distance < scipy.stats.kstwo(values.size).isf(1e-4)
    other = scipy.stats.beta(2, 3, 2, 10)
    assert scipy.stats.kstest(drawn.user_range_m, other.cdf).statistic > 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_elements": 1}, "n_elements: .* greater than or equal to 2 \\(given 1\\)"),
        ({"user_range_min_m": 12}, "user_range_min_m = 12 and user_range_max_m = 12: needed min < max"),
        ({"sensor_angle_max_rad": 4}, "sensor_angle_max_rad: .*given 4"),
        ({"n_snapshots": 0}, "n_snapshots: needed snapshot counts of at least 1"),
        ({"noise_dbm": float("nan")}, "noise_dbm.*finite number"),
        ({"noise_dbm": (-65, -65)}, "noise_dbm: needed noise powers that differ"),
        ({"leakage": "spheric"}, "leakage: no leakage model of .*; did you mean 'spherical'\\? .given 'spheric'"),
        ({"n_sensor": 3}, "no field 'n_sensor'; did you mean 'n_sensors'"),
        ({"prior_information": "exact"}, "infinite for Beta\\(2, 2\\): choose prior_alpha"),
    ],
    ids=str,
)
def test_nonsense_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        LeakageBound().replace(**changes)
    assert "\n" not in str(caught.value)
