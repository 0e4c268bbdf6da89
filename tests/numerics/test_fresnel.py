"""The Fresnel integrals against mpmath at 30 digits, on every namespace."""

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

from engine.numerics import fresnel as module
from engine.numerics import piecewise
from engine.numerics.fresnel import fresnel

# πx²/2 in doubles: x·x, π/2 and their product are each rounded, 2.6e-16 of the phase in all.
PHASE_ERROR = 2.6e-16 * np.pi / 2


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    near = np.random.default_rng(0).uniform(-6, 6, 60)
    return np.concatenate([np.linspace(-120, 120, 97), near, [1e-300, 1e-9, 1e3, -1e3, 1e4, -1e4]])


@pytest.fixture(scope="module")
def exact(points: np.ndarray) -> list[np.ndarray]:
    with mpmath.workdps(30):
        x = [mpmath.mpf(float(point)) for point in points]
        values = (
            [mpmath.fresnelc(v) for v in x],
            [mpmath.fresnels(v) for v in x],
            [mpmath.cos(mpmath.pi * v * v / 2) for v in x],
            [mpmath.sin(mpmath.pi * v * v / 2) for v in x],
        )
        return [np.array([float(v) for v in part]) for part in values]


def assert_integrals(x: np.ndarray, computed: Any, exact: Any) -> None:
    """C and S oscillate with the phase times 1/(πx); the table adds 1e-15 and the last operations as much."""
    tolerance = 2e-15 + PHASE_ERROR * np.abs(x) / np.pi
    for ours, theirs in zip(computed[:2], exact[:2], strict=True):
        assert np.all(np.abs(ours - theirs) <= tolerance)


def test_integrals_agree_with_mpmath(given: Any, host: Any, points: np.ndarray, exact: Any) -> None:
    computed = [host(part) for part in fresnel(given(points))]
    assert_integrals(points, computed, exact)
    paper_range = np.abs(points) <= 120
    for ours, theirs in zip(computed[:2], exact[:2], strict=True):
        assert np.max(np.abs(ours - theirs)[paper_range]) < 1e-14  # as the docstring says; 8e-15 is reached
        assert np.max(np.abs(ours - theirs)) < 1e-12  # at 1e4


def test_derivatives_agree_with_mpmath(given: Any, host: Any, points: np.ndarray, exact: Any) -> None:
    computed = [host(part) for part in fresnel(given(points))]
    for ours, theirs in zip(computed[2:], exact[2:], strict=True):
        assert np.all(np.abs(ours - theirs) <= 3e-16 + PHASE_ERROR * points**2)


def test_integrals_are_odd_and_vanish_at_zero(given: Any, host: Any) -> None:
    x = np.array([0.0, 0.3, 2.0, 77.0])
    c, s, dc, ds = (host(part) for part in fresnel(given(np.stack([x, -x]))))
    for odd in (c, s):
        np.testing.assert_array_equal(odd[0], -odd[1])
        assert odd[0, 0] == 0
    for even in (dc, ds):
        np.testing.assert_array_equal(even[0], even[1])


def test_no_piece_of_the_table_is_worse_than_the_others() -> None:
    x = np.concatenate([np.linspace(0, 3, 20_001), np.geomspace(3, 120, 5_001)])
    s, c = scipy.special.fresnel(x)
    for ours, theirs in zip(fresnel(x)[:2], (c, s), strict=True):
        assert np.max(np.abs(ours - theirs)) < 2e-14  # SciPy's own error is as large as ours


def test_a_coarser_table_is_noticed(monkeypatch: pytest.MonkeyPatch, points: np.ndarray, exact: Any) -> None:
    coarse = [
        piecewise.fit(lambda t, part=part: part(module._auxiliary(t)), pieces=256, degree=4)
        for part in (np.real, np.imag)
    ]
    monkeypatch.setattr(module, "auxiliary_tables", lambda xp: coarse)
    with pytest.raises(AssertionError):
        assert_integrals(points, fresnel(points), exact)
