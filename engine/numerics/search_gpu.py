"""The passes over the grid on a GPU: one fused kernel each over (realizations × candidates × sensors).

The arithmetic is that of `engine.numerics.search_cpu`; a realization's table of candidates × sensors exists only in
registers. A thread block takes one angle of one realization, its threads the ranges, so that a row of the pattern table
is read in order; the block leaves its two best candidates and its share of the posterior for each observation. Nothing
is imported here but NumPy: CuPy is the namespace that is handed in. `SOURCE` compiles under nvcc and NVRTC and, with
HOST defined, its per-candidate functions under any C++ compiler (tests/numerics/test_search_gpu.py does all three where
the compilers are at hand).

Not measured on a device yet; goals: least squares within a factor of two of the device's roof for its reads of the
table, numbers within 1e-3 in the log-likelihood and the same candidates as the CPU but for ties. This file is long
because the kernels' source stands in it.
"""

from typing import Any

import numpy as np

from engine.numerics.likelihood_fit import DEGREE
from engine.numerics.pattern import TAPS, PatternTable
from engine.numerics.search import (
    LISTED,
    MAXIMA,
    Found,
    LikelihoodInputs,
    Marginal,
    Maxima,
    Sensors,
    SquaresInputs,
)

_THREADS = 128

SOURCE = r"""
#ifdef HOST
#include <cmath>
#define DEVICE static inline
#else
#define DEVICE __device__ __forceinline__
#endif

// Compile-time: M observations, GROUP sensors a logarithm, TAPS rows a run, DEGREE of the likelihood's polynomial.

// A sensor reads n_runs runs of TAPS rows.
DEVICE float interpolated(const float* table, int n_candidates, int candidate, int n_runs, const int* first,
                          const float* weights) {
    float g = 0.0f;
    for (int j = 0; j < n_runs; ++j)
        for (int t = 0; t < TAPS; ++t)
            g += weights[j * TAPS + t] * table[(size_t)(first[j] + t) * n_candidates + candidate];
    return g;
}

// score[m] = sum_k (gain_k g_k)^2 + linear[m][k] g_k
DEVICE void squares(const float* table, int n_candidates, int candidate, int n_sensors, int n_runs,
                    const int* first, const float* weights, const float* gain, const float* linear, float* score) {
    float square = 0.0f;
    for (int m = 0; m < M; ++m) score[m] = 0.0f;
    for (int k = 0; k < n_sensors; ++k) {
        const float g = interpolated(table, n_candidates, candidate, n_runs, first + k * n_runs,
                                     weights + k * n_runs * TAPS);
        const float scaled = gain[k] * g;
        square += scaled * scaled;
        for (int m = 0; m < M; ++m) score[m] += linear[m * n_sensors + k] * g;
    }
    for (int m = 0; m < M; ++m) score[m] += square;
}

// score[m] = sum_k -(t_k - root_k)^2/2 + Q(v_k) + slope log(reference_k v_k), t_k = scale_k sqrt(g_k)
DEVICE void log_likelihood(const float* table, int n_candidates, int candidate, int n_sensors, int n_runs,
                           const int* first, const float* weights, const float* scale, const float* root,
                           const float* reference, const float* offset, const float* slope,
                           const float* coefficients, float* score) {
    for (int m = 0; m < M; ++m) score[m] = 0.0f;
    for (int k = 0; k < n_sensors; k += GROUP) {
        float amplitude[GROUP];
        for (int q = 0; q < GROUP; ++q)
            amplitude[q] = sqrtf(fmaxf(
                interpolated(table, n_candidates, candidate, n_runs, first + (k + q) * n_runs,
                             weights + (k + q) * n_runs * TAPS), 0.0f));
        for (int m = 0; m < M; ++m) {
            const float b = offset[m];
            const float* c = coefficients + m * (DEGREE + 1);
            float product = 1.0f, sum = 0.0f;
            for (int q = 0; q < GROUP; ++q) {
                const int at = m * n_sensors + k + q;
                const float t = scale[at] * amplitude[q];
                const float x = t * root[at], apart = t - root[at];
                const float v = b / (x + sqrtf(b * b + x * x));
                float p = c[0];
                for (int i = 1; i <= DEGREE; ++i) p = p * v + c[i];
                product *= v * reference[at];
                sum += p - 0.5f * (apart * apart);
            }
            score[m] += sum + slope[m] * logf(product);
        }
    }
}

#ifdef HOST

extern "C" void squares_of_all(const float* table, int n_candidates, int n_sensors, int n_runs, const int* first,
                               const float* weights, const float* gain, const float* linear, float* score) {
    for (int i = 0; i < n_candidates; ++i)
        squares(table, n_candidates, i, n_sensors, n_runs, first, weights, gain, linear, score + i * M);
}

extern "C" void log_likelihood_of_all(const float* table, int n_candidates, int n_sensors, int n_runs, const int* first,
                                      const float* weights, const float* scale, const float* root,
                                      const float* reference, const float* offset, const float* slope,
                                      const float* coefficients, float* score) {
    for (int i = 0; i < n_candidates; ++i)
        log_likelihood(table, n_candidates, i, n_sensors, n_runs, first, weights, scale, root, reference, offset, slope,
                       coefficients, score + i * M);
}

#else

// The two lowest scores that a thread or a block has met.
struct Two {
    float first, second;
    int at_first, at_second;
};

DEVICE void add(Two& two, float score, int at) {
    if (score < two.first || (score == two.first && at < two.at_first)) {
        two.second = two.first;
        two.at_second = two.at_first;
        two.first = score;
        two.at_first = at;
    } else if (score < two.second || (score == two.second && at < two.at_second)) {
        two.second = score;
        two.at_second = at;
    }
}

// Over a block: into thread 0. Every thread calls it.
DEVICE void lowest_two(Two& two, Two* shared) {
    shared[threadIdx.x] = two;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            const Two other = shared[threadIdx.x + half];
            add(shared[threadIdx.x], other.first, other.at_first);
            add(shared[threadIdx.x], other.second, other.at_second);
        }
        __syncthreads();
    }
    two = shared[0];
    __syncthreads();
}

DEVICE float total(float value, float* shared) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    const float sum = shared[0];
    __syncthreads();
    return sum;
}

#define INFINITE __int_as_float(0x7f800000)
#define SMALLEST 1.17549435e-38f

// Blocks (angles, realizations). value, index: (realization, M, angle, 2).
extern "C" __global__ void least_squares(const float* table, int n_ranges, int n_angles, int n_sensors,
                                         int n_runs, const int* first, const float* weights, const float* gain,
                                         const float* linear, float* value, int* index) {
    __shared__ Two shared[THREADS];
    const int angle = blockIdx.x, b = blockIdx.y, n_candidates = n_ranges * n_angles;
    Two best[M];
    for (int m = 0; m < M; ++m) best[m] = Two{INFINITE, INFINITE, 0x7fffffff, 0x7fffffff};
    for (int r = threadIdx.x; r < n_ranges; r += blockDim.x) {
        float score[M];
        const int candidate = angle * n_ranges + r;
        squares(table, n_candidates, candidate, n_sensors, n_runs, first + (size_t)b * n_sensors * n_runs,
                weights + (size_t)b * n_sensors * n_runs * TAPS, gain + (size_t)b * n_sensors,
                linear + (size_t)b * M * n_sensors, score);
        for (int m = 0; m < M; ++m) add(best[m], score[m], candidate);
    }
    for (int m = 0; m < M; ++m) {
        lowest_two(best[m], shared);
        if (threadIdx.x == 0) {
            const size_t out = 2 * (((size_t)b * M + m) * n_angles + angle);
            value[out] = best[m].first;
            value[out + 1] = best[m].second;
            index[out] = best[m].at_first;
            index[out + 1] = best[m].at_second;
        }
    }
}

// Blocks (angles, realizations). value, index as above, scores negated; mass, by_range, by_square: (realization, M,
// angle), relative to the block's highest score.
extern "C" __global__ void likelihood(const float* table, int n_ranges, int n_angles, int n_sensors,
                                      int n_runs, const int* first, const float* weights, const float* scale,
                                      const float* root, const float* reference, const float* offset,
                                      const float* slope, const float* coefficients, const float* weight,
                                      const float* range_m, float* value, int* index, float* mass,
                                      float* by_range, float* by_square) {
    __shared__ Two shared[THREADS];
    __shared__ float sums[THREADS];
    const int angle = blockIdx.x, b = blockIdx.y, n_candidates = n_ranges * n_angles;
    const size_t sensors = (size_t)b * n_sensors;
    Two best[M];
    // A thread's posterior, relative to its own highest score; squares are of distances from its own mean.
    float top[M], own_mass[M], own_range[M], own_square[M];
    for (int m = 0; m < M; ++m) {
        best[m] = Two{INFINITE, INFINITE, 0x7fffffff, 0x7fffffff};
        top[m] = -INFINITE;
        own_mass[m] = own_range[m] = own_square[m] = 0.0f;
    }
    for (int r = threadIdx.x; r < n_ranges; r += blockDim.x) {
        float score[M];
        const int candidate = angle * n_ranges + r;
        log_likelihood(table, n_candidates, candidate, n_sensors, n_runs, first + sensors * n_runs,
                       weights + sensors * n_runs * TAPS,
                       scale + sensors * M, root + sensors * M, reference + sensors * M, offset, slope,
                       coefficients, score);
        for (int m = 0; m < M; ++m) {
            add(best[m], -score[m], candidate);
            const float higher = fmaxf(top[m], score[m]);
            const float kept = expf(top[m] - higher), added = expf(score[m] - higher) * weight[candidate];
            const float apart = range_m[r] - own_range[m] / fmaxf(own_mass[m], SMALLEST);
            const float held = own_mass[m] * kept;  // West, Communications of the ACM 22 (1979), 532
            own_square[m] = own_square[m] * kept + held * added / fmaxf(held + added, SMALLEST) * apart * apart;
            own_mass[m] = own_mass[m] * kept + added;
            own_range[m] = own_range[m] * kept + added * range_m[r];
            top[m] = higher;
        }
    }
    for (int m = 0; m < M; ++m) {
        lowest_two(best[m], shared);
        const float factor = expf(top[m] + best[m].first);
        const float block_mass = total(own_mass[m] * factor, sums);
        const float block_range = total(own_range[m] * factor, sums);
        const float apart = own_range[m] / fmaxf(own_mass[m], SMALLEST) - block_range / fmaxf(block_mass, SMALLEST);
        const float block_square = total((own_square[m] + own_mass[m] * apart * apart) * factor, sums);
        if (threadIdx.x == 0) {
            const size_t out = ((size_t)b * M + m) * n_angles + angle;
            value[2 * out] = best[m].first;
            value[2 * out + 1] = best[m].second;
            index[2 * out] = best[m].at_first;
            index[2 * out + 1] = best[m].at_second;
            mass[out] = block_mass;
            by_range[out] = block_range;
            by_square[out] = block_square;
        }
    }
}

#endif
"""


def definitions(n_observations: int) -> tuple[str, ...]:
    """Compiler options that fix what the source leaves open."""
    from engine.numerics.search import GROUP

    values = {"M": n_observations, "GROUP": GROUP, "TAPS": TAPS, "DEGREE": DEGREE, "THREADS": _THREADS}
    return tuple(f"-D{name}={value}" for name, value in values.items())


def by_candidate(table: PatternTable, n_candidates: int) -> np.ndarray:
    """The table as the kernels read it: (rows, candidates)."""
    columns = np.moveaxis(table.slabs[:, :, : table.per_slab], 0, 1)
    return np.ascontiguousarray(columns.reshape(columns.shape[0], -1)[:, :n_candidates])


def _in_runs(sensors: Sensors) -> Sensors:
    """Every run with as many rows: a short second one reads further rows with weight 0."""
    first, weights = sensors
    more = first.shape[2] * TAPS - weights.shape[2]
    return Sensors(first, np.pad(weights, ((0, 0), (0, 0), (0, more))))


class GpuPasses:
    """Passes over one table whose candidates are `shape` = (angles, ranges); inputs and results on the host."""

    def __init__(self, xp: Any, table: PatternTable, shape: tuple[int, int]) -> None:
        self.xp, self.shape = xp, shape
        self.table = xp.asarray(by_candidate(table, shape[0] * shape[1]))
        self._modules: dict[int, Any] = {}

    def least_squares(self, sensors: Sensors, inputs: SquaresInputs) -> Found:
        """See `SquaresInputs`; the lowest score is the best."""
        value, index = self._candidates(inputs.energy.shape)
        self._launch("least_squares", inputs.energy.shape, *_in_runs(sensors), inputs.gain, inputs.linear, value, index)
        lowest = self.xp.asnumpy(value).min(axis=(-1, -2))
        slack = inputs.rounding + inputs.slope * np.sqrt(np.maximum(lowest + inputs.energy, 0))
        return self._found(value, index, slack)

    def likelihood(self, sensors: Sensors, inputs: LikelihoodInputs) -> tuple[Found, Marginal, Maxima]:
        """See `LikelihoodInputs`; the highest score is the best. Of the maxima, one an angle."""
        value, index = self._candidates(inputs.slack.shape)
        marginal = [self.xp.empty(value.shape[:-1], dtype=np.float32) for _ in range(3)]
        self._launch(
            "likelihood", inputs.slack.shape, *_in_runs(sensors), inputs.scale, inputs.root, inputs.reference,
            inputs.offset, inputs.slope, inputs.coefficients, inputs.weight, inputs.range_m, value, index, *marginal,
        )  # fmt: skip
        level = -self.xp.asnumpy(value[..., 0]).astype(float)
        found = self._found(value, index, inputs.slack)
        found.best, found.value = -found.best, -found.value
        sums = Marginal(level, *(self.xp.asnumpy(part).astype(float) for part in marginal))
        return found, sums, highest_along_angles(level, self.xp.asnumpy(index[..., 0]))

    def _candidates(self, shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Room for two scores and their candidates of every angle."""
        whole = (*shape, self.shape[0], 2)
        return self.xp.empty(whole, dtype=np.float32), self.xp.empty(whole, dtype=np.int32)

    def _launch(self, name: str, shape: tuple[int, ...], first: np.ndarray, *arrays: Any) -> None:
        size, n_observations = shape
        if n_observations not in self._modules:
            options = ("--std=c++17", *definitions(n_observations))
            self._modules[n_observations] = self.xp.RawModule(code=SOURCE, options=options)
        n_angles, n_ranges = self.shape
        counts = (np.int32(n_ranges), np.int32(n_angles), np.int32(first.shape[1]), np.int32(first.shape[2]))
        arguments = (self.table, *counts, *(self.xp.asarray(array) for array in (first, *arrays)))
        kernel = self._modules[n_observations].get_function(name)
        kernel((n_angles, size), (_THREADS,), arguments)

    def _found(self, value: Any, index: Any, slack: np.ndarray) -> Found:
        """The lowest scores of every block within `slack` of the lowest of all, at most LISTED."""
        shape = value.shape[:2]
        values = self.xp.asnumpy(value).reshape(*shape, -1)
        indices = self.xp.asnumpy(index).reshape(*shape, -1)
        found = Found(shape, np.inf)
        kept = min(LISTED, values.shape[-1])
        order = np.argsort(values, axis=-1, kind="stable")[..., :kept]
        found.value[..., :kept] = np.take_along_axis(values, order, axis=-1)
        found.index[..., :kept] = np.take_along_axis(indices, order, axis=-1)
        found.best[:] = found.value[..., 0]
        found.count[:] = np.sum(found.value[..., :kept] <= (found.best + slack)[..., None], axis=-1)
        return found


def highest_along_angles(level: np.ndarray, index: np.ndarray) -> Maxima:
    """Maxima of each angle's best score (B, M, angles), `index` being its candidate: (B, M, MAXIMA)."""
    ends = np.full((*level.shape[:-1], 1), -np.inf)
    below, above = np.append(ends, level[..., :-1], axis=-1), np.append(level[..., 1:], ends, axis=-1)
    score = np.where((level >= below) & (level > above), level, -np.inf)
    order = np.argsort(-score, axis=-1, kind="stable")[..., :MAXIMA]
    score = np.take_along_axis(score, order, axis=-1)
    found = Maxima.none(*level.shape[:-1], MAXIMA)
    found.score[..., : order.shape[-1]] = score
    found.at[..., : order.shape[-1]] = np.where(
        np.isfinite(score), np.take_along_axis(index, order, axis=-1), found.at[..., : order.shape[-1]]
    )
    return found
