"""The next cycle's phases: f of `engine.numerics.cycle_bound` minimized over |s_n| = 1, Cao et al., Eqs. (46) to (48).

Descent along the Riemannian gradient with Armijo's rule.
"""

from typing import Any

from array_api_compat import array_namespace, is_numpy_namespace

from engine.numerics.armijo import Armijo, Optimised
from engine.numerics.cycle_bound import Objective, evaluate, present_value

Array = Any


def riemannian_gradient(gradient: Array, beam: Array) -> Array:
    """Its part along the circles, Eq. (46)."""
    xp = array_namespace(gradient, beam)
    return gradient - xp.real(gradient * xp.conj(beam)) * beam


def retracted(beam: Array, direction: Array, step: Array) -> Array:
    """A step (...) against a direction (..., N), back on the circles, Eqs. (47) and (48)."""
    xp = array_namespace(beam, direction)
    moved = beam - step[..., None] * direction
    return moved / xp.abs(moved)


def optimise(f: Objective, start: Array, *, rule: Armijo | None = None) -> Optimised:
    """Algorithm 2 from `start`, complex (..., N), |start| = 1: every trial with steps and an end of its own.

    A trial's result does not depend on what else is in the batch. On the CPU by compiled loops.
    """
    rule = Armijo() if rule is None else rule
    if is_numpy_namespace(array_namespace(f.covariance, start)):
        from engine.numerics.circle_manifold_cpu import optimise_on_cpu

        return optimise_on_cpu(f, start, rule)
    return optimise_arrays(f, start, rule)


def optimise_arrays(f: Objective, start: Array, rule: Armijo) -> Optimised:
    """As `optimise`, on any array namespace: all trials take a step together, those that have ended stay."""
    xp = array_namespace(f.covariance, start)
    value, gradient = evaluate(f, start)
    beam = xp.broadcast_to(start, gradient.shape)
    direction = riemannian_gradient(gradient, beam)
    first, largest = value, xp.max(xp.abs(direction), axis=-1)
    active = largest > 0
    step = rule.first_turn_rad / xp.where(active, largest, xp.ones_like(largest))
    iterations = xp.zeros(value.shape, dtype=xp.int64)
    evaluations, failures = iterations + 1, iterations
    while bool(xp.any(active)):
        candidate = retracted(beam, direction, step)
        tried, gradient = evaluate(f, candidate)
        squared = xp.sum(xp.real(direction * xp.conj(direction)), axis=-1)
        taken = active & (tried <= value - rule.sufficient * step * squared)
        evaluations = evaluations + xp.astype(active, xp.int64)
        iterations = iterations + xp.astype(taken, xp.int64)
        failures = xp.where(taken, xp.zeros_like(failures), failures + 1)
        ended = (value - tried < rule.tolerance * value) | (iterations >= rule.n_iterations)
        beam = xp.where(taken[..., None], candidate, beam)
        direction = xp.where(taken[..., None], riemannian_gradient(gradient, candidate), direction)
        value = xp.where(taken, tried, value)
        step = step * xp.where(taken, xp.full_like(step, rule.lengthen), xp.full_like(step, rule.shorten))
        active = active & ~(taken & ended) & (failures < rule.n_failures)
    return Optimised(beam, present_value(f), first, value, iterations, evaluations)
