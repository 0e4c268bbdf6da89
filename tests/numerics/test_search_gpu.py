"""The GPU's kernels: they compile, their arithmetic is right, and on a device they give the CPU's numbers."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from engine.numerics import search_gpu
from engine.numerics.likelihood_fit import DEGREE, likelihood_fit
from engine.numerics.pattern import TAPS


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no CUDA compiler")
@pytest.mark.parametrize("n_observations", [1, 10])
def test_source_compiles_without_spills(n_observations: int, tmp_path: Path) -> None:
    source = tmp_path / "search.cu"
    source.write_text(search_gpu.SOURCE)
    options = ["-std=c++17", "-Werror", "all-warnings", "-Xptxas", "-v", *search_gpu.definitions(n_observations)]
    run = subprocess.run(
        ["nvcc", *options, "-arch=sm_80", "-cubin", "-o", str(tmp_path / "search.cubin"), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("0 bytes spill stores") == 2


@pytest.fixture
def host(tmp_path: Path) -> ctypes.CDLL:
    """The per-candidate functions of the kernels, compiled for this machine: two observations."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    source, library = tmp_path / "search.cpp", tmp_path / "search.so"
    source.write_text(search_gpu.SOURCE)
    command = [compiler, "-O1", "-shared", "-fPIC", "-DHOST", *search_gpu.definitions(2)]
    subprocess.run([*command, "-o", str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))


def _call(function: object, *arguments: np.ndarray | int) -> None:
    function(*(a if isinstance(a, int) else a.ctypes.data_as(ctypes.c_void_p) for a in arguments))  # type: ignore[operator]


@pytest.mark.parametrize("runs", [1, 2])
def test_arithmetic_of_the_kernels(host: ctypes.CDLL, runs: int) -> None:
    generator = np.random.default_rng(2)
    n_candidates, n_sensors, rows = 50, 8, 40

    def single(*shape: int) -> np.ndarray:
        return generator.uniform(0.1, 1.0, shape).astype(np.float32)

    table, weights = single(rows, n_candidates), single(n_sensors, runs * TAPS)
    first = generator.integers(0, rows - TAPS, (n_sensors, runs)).astype(np.int32)
    read = (first[:, :, None] + np.arange(TAPS)).reshape(n_sensors, -1)
    g = np.einsum("ktc,kt->ck", table[read].astype(float), weights)

    gain, linear = single(n_sensors), single(2, n_sensors)
    score = np.empty((n_candidates, 2), np.float32)
    _call(host.squares_of_all, table, n_candidates, n_sensors, runs, first, weights, gain, linear, score)
    expected = np.sum((gain * g) ** 2, axis=-1)[:, None] + g @ linear.T
    assert np.allclose(score, expected, rtol=1e-5)

    scale, root = 3 * single(2, n_sensors), 5 * single(2, n_sensors)
    fits = [likelihood_fit(1), likelihood_fit(50)]
    offset = np.array([fit.offset for fit in fits], dtype=np.float32)
    slope = np.array([fit.slope for fit in fits], dtype=np.float32)
    coefficients = np.array([fit.coefficients for fit in fits], dtype=np.float32)
    assert coefficients.shape == (2, DEGREE + 1)
    reference = single(2, n_sensors) + 1
    _call(
        host.log_likelihood_of_all, table, n_candidates, n_sensors, runs, first, weights, scale, root, reference,
        offset, slope, coefficients, score,
    )  # fmt: skip
    amplitude = scale * np.sqrt(g)[:, None, :]
    x = amplitude * root
    b = offset.astype(float)[:, None]
    v = b / (x + np.hypot(b, x))
    polynomial = sum(coefficients[:, i, None] * v ** (DEGREE - i) for i in range(DEGREE + 1))
    terms = polynomial + slope[:, None] * np.log(v * reference) - 0.5 * (amplitude - root) ** 2
    assert np.allclose(score, terms.sum(axis=-1), rtol=1e-5, atol=2e-3)


def test_gpu_and_cpu_agree() -> None:
    cupy = pytest.importorskip("cupy")
    if not cupy.is_available():
        pytest.skip("no GPU")
    from engine import Streams
    from scenarios.leakage.estimation import LeakageEstimation

    scenario = LeakageEstimation(leakage="spherical", n_sensors=21)
    draws = scenario.draw(Streams(1, 0), 100)
    on_cpu, on_gpu = scenario.prepare(np)(draws), scenario.prepare(cupy)(draws)
    for name, tolerance in (("estimate_range_m", 1e-2), ("estimate_angle_rad", 1e-3)):
        apart = np.abs(on_cpu[name][1] - cupy.asnumpy(on_gpu[name][1]))
        assert np.mean(apart > tolerance) < 2e-3  # a tie may fall the other way
