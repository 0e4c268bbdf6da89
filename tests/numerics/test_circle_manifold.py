"""Algorithm 2: accepted numbers, derivatives, the compiled search against the one on arrays, and what a cycle gains."""

from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from acceptance_scene import NOISE_VARIANCE, PATHS, SURFACE, base_station, beams, phases

from engine.errors import InputError
from engine.numerics.armijo import Armijo, Optimised
from engine.numerics.circle_manifold import optimise, optimise_arrays, riemannian_gradient
from engine.numerics.cycle_bound import Objective, Weighting, evaluate, objective, objective_after, present_value
from engine.numerics.path_information import (
    Paths,
    derivatives,
    path_covariance,
    user_information,
    user_sensitivity,
    variances,
    weak_prior,
)
from engine.numerics.wavefront import near_field_range_m
from jobs.benchmarks.ris_literal_bound import literal_optimise

FAR = np.array([False, True])
NOISE = np.array(NOISE_VARIANCE)
UNIT = np.ones((2, 3))
LAST = beams()[15]


def accepted(given: Any = np.asarray, asarray: Any = np.asarray) -> Objective:
    """W = 1 on r, θ, φ of user 1 and θ, φ of user 2, after 15 cycles."""
    paths = Paths(*(as_given(given, part) for part in PATHS))
    waves = user_sensitivity(SURFACE, paths, far=asarray(FAR))
    information = user_information(waves, as_given(given, beams()[:15]), given(NOISE))
    return objective(waves, information, given(UNIT), given(NOISE))


def as_given(given: Any, values: np.ndarray) -> Any:
    return given(np.real(values)) + 1j * given(np.imag(values)) if np.iscomplexobj(values) else given(values)


def scene(trials: int, cycles: int, seed: int) -> tuple[Paths, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two near and two far users, two scatterers: paths, beams, noise variance, a start, who is far; all read-only."""
    random = np.random.default_rng(seed)

    def directions(n: int) -> tuple[np.ndarray, np.ndarray]:
        polar = random.uniform(np.pi / 3, 2 * np.pi / 3, (trials, n))
        return polar, random.uniform(-np.pi / 6, np.pi / 6, (trials, n))

    polar, azimuth = directions(4)
    ends = near_field_range_m(SURFACE, polar, azimuth)
    far = np.broadcast_to(np.arange(4) % 2 == 1, (trials, 4))
    range_m = np.where(far, random.uniform(ends, 10), random.uniform(0.5, ends))
    gain = np.exp(2j * np.pi * random.random((trials, 4)))
    scatterers = 1 / random.uniform(0.5, 10, (trials, 2)), *directions(2)
    scatter_gain = 10**-0.5 * np.exp(2j * np.pi * random.random((trials, 4, 2)))
    paths = Paths(1 / range_m, polar, azimuth, gain, *scatterers, scatter_gain)
    past = np.exp(2j * np.pi * random.random((trials, cycles, SURFACE.n_elements)))
    start = np.exp(2j * np.pi * random.random((trials, SURFACE.n_elements)))
    noise = np.full(trials, 62.5)
    for part in (*paths, past, noise, start):
        part.flags.writeable = False
    return paths, past, noise, start, far


def test_objective_and_gradient_have_the_accepted_digits(xp: Any, given: Any, host: Any) -> None:
    f = accepted(given, xp.asarray)
    start = as_given(given, LAST)
    value, gradient = evaluate(f, start)
    along = riemannian_gradient(gradient, start)
    assert float(present_value(f)) == pytest.approx(5.3574506722e-1, rel=1e-10)
    assert float(value) == pytest.approx(5.3565133732e-1, rel=1e-10)
    assert np.linalg.norm(host(gradient)) == pytest.approx(3.8132128812e-3, rel=1e-10)
    assert np.linalg.norm(host(along)) == pytest.approx(2.6100136948e-3, rel=1e-10)


@pytest.mark.parametrize(
    ("n_iterations", "minimum"), [(20, 1.75e-2), (60, 1.550e-2), (200, 1.479e-2), (1000, 1.463e-2)]
)
def test_minima_are_the_accepted_ones(n_iterations: int, minimum: float) -> None:
    found = optimise(accepted(), LAST, rule=Armijo(n_iterations=n_iterations, tolerance=0.0))
    assert found.value == pytest.approx(minimum, rel=4e-4 if n_iterations > 20 else 3e-3)  # as printed
    assert found.iterations == n_iterations
    assert found.evaluations < 1.7 * n_iterations
    assert found.before == pytest.approx(5.3574506722e-1, rel=1e-10)
    assert found.start == pytest.approx(5.3565133732e-1, rel=1e-10)
    np.testing.assert_allclose(np.abs(found.beam), 1, rtol=1e-14)
    assert evaluate(accepted(), found.beam)[0] == pytest.approx(found.value, rel=1e-12)


def test_the_surfaces_phases_are_found_as_well_as_its_beam() -> None:
    """The cascade's phases may be in the waves or in the beam."""
    f, rule = accepted(), Armijo(n_iterations=10)
    cascaded = f._replace(waves=f.waves._replace(wave=f.waves.wave * base_station()))
    surface = optimise(cascaded, phases()[15], rule=rule)
    np.testing.assert_allclose(surface.beam * base_station(), optimise(f, LAST, rule=rule).beam, atol=1e-10)


def test_gradient_agrees_with_automatic_differentiation_and_differences() -> None:
    """tr(W F⁻¹) with F summed over all 16 cycles and inverted whole, by the phases."""
    f = accepted()
    rows = derivatives(f.waves)
    rows = np.concatenate([rows, 1j * rows[:, 3:]], axis=1)
    before = user_information(f.waves, beams()[:15], NOISE)

    def direct(psi: Any) -> Any:
        total = 0.0
        for user in range(2):
            real, imag = anp.cos(psi), anp.sin(psi)
            v_real = anp.dot(rows[user].real, real) - anp.dot(rows[user].imag, imag)
            v_imag = anp.dot(rows[user].real, imag) + anp.dot(rows[user].imag, real)
            update = anp.outer(v_real, v_real) + anp.outer(v_imag, v_imag)
            inverse = anp.linalg.inv(before[user] + 2 / NOISE_VARIANCE * update)
            total = total + anp.sum(np.append(f.weight[user], [0, 0]) * anp.diag(inverse))
        return total

    psi = np.angle(LAST)
    exact = autograd.grad(direct)(psi)
    value, gradient = evaluate(f, LAST)
    ours = np.imag(gradient * LAST.conj())  # ∂f/∂ψ
    assert value == pytest.approx(direct(psi), rel=1e-11)
    assert np.max(np.abs(ours - exact)) < 1e-11 * np.max(np.abs(exact))
    random = np.random.default_rng(1)
    for _ in range(3):
        turn, step = random.normal(size=psi.size), 1e-5
        difference = (direct(psi + step * turn) - direct(psi - step * turn)) / (2 * step)
        assert ours @ turn == pytest.approx(difference, rel=1e-6)
    assert np.max(np.abs(2 * ours - exact)) > 0.1 * np.max(np.abs(exact))  # g/2, ∂f/∂s*, would be noticed


def test_a_cycle_more_is_the_whole_information_again() -> None:
    paths, past, noise, start, far = scene(3, 9, seed=2)
    f = objective_after(SURFACE, paths, past, noise, far=far)
    all_beams = np.concatenate([past, start[:, None]], axis=1)
    whole = user_information(f.waves, all_beams, noise)
    direct = np.sum(f.weight * np.diagonal(np.linalg.inv(whole), axis1=-2, axis2=-1)[..., :3], axis=(-1, -2))
    np.testing.assert_allclose(evaluate(f, start)[0], direct, rtol=1e-10)


def test_the_literal_algorithm_gives_the_same() -> None:
    paths, past, noise, start, far = scene(1, 9, seed=8)
    f = objective_after(SURFACE, paths, past, noise, far=far)
    rule = Armijo(n_iterations=4)
    own = Paths(*(part[0] for part in paths))
    beam, *numbers = literal_optimise(SURFACE, own, past[0], noise[0], start[0], f.weight[0], far[0], rule)
    ours = optimise(f, start, rule=rule)
    np.testing.assert_allclose(ours.beam[0], beam, atol=1e-10)
    np.testing.assert_allclose([part[0] for part in ours[3:]], numbers, rtol=1e-10)


@pytest.mark.parametrize("weighting", ["rel", "unit", "pos"])
def test_compiled_search_is_the_search_on_arrays(weighting: Weighting) -> None:
    paths, past, noise, start, far = scene(4, 11, seed=3)
    f = objective_after(SURFACE, paths, past, noise, far=far, weighting=weighting)
    compiled, on_arrays = optimise(f, start), optimise_arrays(f, start, Armijo())
    np.testing.assert_array_equal(compiled.iterations, on_arrays.iterations)
    np.testing.assert_array_equal(compiled.evaluations, on_arrays.evaluations)
    for ours, theirs in zip(compiled, on_arrays, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * np.max(np.abs(theirs)))


def test_search_on_every_namespace(xp: Any, given: Any, host: Any) -> None:
    rule = Armijo(n_iterations=6)
    found = optimise(accepted(given, xp.asarray), as_given(given, LAST), rule=rule)
    expected = optimise_arrays(accepted(), LAST, rule)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(host(ours), theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("search", [optimise, lambda f, start: optimise_arrays(f, start, Armijo())])
def test_trials_do_not_touch_one_another(search: Any) -> None:
    paths, past, noise, start, far = scene(4, 12, seed=4)
    noise = noise * np.array([0.1, 1, 10, 100])

    def found(part: slice) -> Optimised:
        own = Paths(*(values[part] for values in paths))
        return search(objective_after(SURFACE, own, past[part], noise[part], far=far[part]), start[part])

    together = found(slice(None))
    assert len(set(together.evaluations.tolist())) > 1  # they do end apart
    for trial in range(4):
        for ours, alone in zip(together, found(slice(trial, trial + 1)), strict=True):
            np.testing.assert_array_equal(ours[trial], alone[0])


def test_leading_axes_broadcast() -> None:
    """Two noise levels of three trials share places and earlier beams."""
    paths, past, noise, start, far = scene(3, 10, seed=5)
    shared = Paths(*(part[:, None] for part in paths))
    levels = noise[:, None] * np.array([0.3, 3])
    f = objective_after(SURFACE, shared, past[:, None], levels, far=far[:, None])
    together = optimise(f, start[:, None], rule=Armijo(n_iterations=5))
    assert together.beam.shape == (3, 2, SURFACE.n_elements)
    on_arrays = optimise_arrays(f, start[:, None], Armijo(n_iterations=5))
    np.testing.assert_allclose(together.beam, on_arrays.beam, atol=1e-10)
    alone = objective_after(SURFACE, paths, past, levels[:, 1], far=far)
    np.testing.assert_array_equal(together.beam[:, 1], optimise(alone, start, rule=Armijo(n_iterations=5)).beam)


def test_a_flat_objective_ends_at_the_start() -> None:
    f = accepted()
    flat = f._replace(weight=np.zeros_like(f.weight))
    for found in (optimise(flat, LAST), optimise_arrays(flat, LAST, Armijo())):
        np.testing.assert_array_equal(found.beam, LAST)
        assert (found.iterations, found.evaluations) == (0, 1)


def test_a_step_too_long_is_given_up() -> None:
    rule = Armijo(first_turn_rad=3.0, n_failures=1)
    for found in (optimise(accepted(), LAST, rule=rule), optimise_arrays(accepted(), LAST, rule)):
        assert found.evaluations == found.iterations + 2 < 60  # the start, and the one that failed
        assert found.value <= found.start


def variance_ratios(weighting: Weighting) -> tuple[float, float, float]:
    """Mean over users of what one optimised cycle after 13 random ones multiplies the variances of r, θ, φ by."""
    paths, past, noise, start, far = scene(48, 13, seed=6)
    f = objective_after(SURFACE, paths, past, noise, far=far, weighting=weighting)
    beam = optimise(f, start).beam[:, None]
    before, after = (
        variances(path_covariance(SURFACE, paths, seen, noise, variant="gain", far=far))
        for seen in (past, np.concatenate([past, beam], axis=1))
    )
    near = ~far
    by_range = np.mean(after[near, 0] / before[near, 0])
    return by_range, *np.mean(after[..., 1:] / before[..., 1:], axis=(0, 1))


def test_relative_weights_improve_everything_and_unit_weights_the_range_alone() -> None:
    """By the specification .22 to .28 for all by `rel`; over seeds .29 to .31 in range and .23 to .25 in the angles."""
    ratios = variance_ratios("rel")
    assert 0.26 < ratios[0] < 0.34
    assert all(0.21 < ratio < 0.28 for ratio in ratios[1:])
    unit = variance_ratios("unit")
    assert unit[0] < 0.2
    assert min(unit[1:]) > 0.8


def test_far_users_range_has_no_weight() -> None:
    paths, past, noise, _, far = scene(2, 9, seed=7)
    for weighting in ("rel", "unit", "pos"):
        weight = objective_after(SURFACE, paths, past, noise, far=far, weighting=weighting).weight
        assert np.all(weight[..., 0][far] == 0)
        assert np.all(weight[..., 0][~far] > 0)
    pos = weight[~far]
    np.testing.assert_allclose(pos[:, 1], 1 / paths.inverse_range_per_m[~far] ** 2, rtol=1e-12)
    np.testing.assert_allclose(pos[:, 2] / pos[:, 1], np.sin(paths.polar_rad[~far]) ** 2, rtol=1e-12)


def test_too_few_cycles_are_one_line_and_a_prior_helps(given: Any, host: Any) -> None:
    paths = Paths(*(as_given(given, part) for part in PATHS))
    past, noise = as_given(given, beams()[:2]), given(NOISE)
    with pytest.raises(InputError, match="singular for 2 of 2 users .* at least 3 cycles first, or give a prior"):
        objective_after(SURFACE, paths, past, noise)
    f = objective_after(SURFACE, paths, past, noise, prior=weak_prior(paths.gain))
    assert np.all(np.isfinite(host(evaluate(f, as_given(given, LAST))[1])))


def test_a_place_that_is_no_number_is_one_line() -> None:
    lost = PATHS._replace(polar_rad=np.array([1.45, np.nan]))
    with pytest.raises(InputError, match="singular for 1 of 2 users .*place that is not finite"):
        objective_after(SURFACE, lost, beams(), NOISE)


def test_weights_and_rules_that_make_no_sense_are_one_line() -> None:
    with pytest.raises(InputError, match="weighting: given 'sum', needed 'rel', 'unit' or 'pos'"):
        objective_after(SURFACE, PATHS, beams(), NOISE, weighting="sum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needed 0 < shorten < 1"):
        Armijo(shorten=1.5)
