"""The on-grid method: Algorithm 1 of Cao et al., "Hybrid Near-field and Far-field Localization with Holographic MIMO"
(arXiv 2501.17868), for batches of trials, from what each new cycle adds.

Symbols: G groups of S copies that share their beams, C cycles, N elements, L users, K scatterers, B coefficients of a
`Dictionary`, (P, R, Q) its lattice, φ_m (C,) what the beams receive from candidate m, Φ_Ω (C, |Ω|) the chosen ones.

A correlation with every candidate, φ_m^H r, is a combination of rows and so is taken over coefficients: (L × C)(C × B)
multiplications and one `strongest`, for users and scatterers alike. No M × M matrix is ever formed.
"""

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from engine.numerics.dictionary import Dictionary
from engine.numerics.wavefront import wave

Array = Any


class Received:
    """What the beams of the cycles so far receive from every candidate; grows by rows."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.n_cycles = 0
        self._beams: Array = None
        self._coefficients: Array = None
        self._power: list[Array] = []

    @property
    def beams(self) -> Array:
        """Complex (G, C, N)."""
        return self._beams[:, : self.n_cycles, :]

    @property
    def coefficients(self) -> Array:
        """Complex (G, C, B)."""
        return self._coefficients[:, : self.n_cycles, :]

    def add(self, beams: Array) -> None:
        """Further cycles, complex (G, C', N)."""
        coefficients = self.dictionary.compress(beams)
        power = [self.dictionary.power(coefficients[g, ...]) for g in range(beams.shape[0])]
        self._power = power if not self._power else [old + new for old, new in zip(self._power, power, strict=True)]
        self._beams = _appended(self._beams, beams, self.n_cycles)
        self._coefficients = _appended(self._coefficients, coefficients, self.n_cycles)
        self.n_cycles += beams.shape[1]

    def weight(self, group: int, normalize: bool) -> Array:
        """1/‖φ_m‖² of the candidates and 0 elsewhere, real (P, R, Q); 1 for ‖φ_m‖² if not normalised."""
        xp, allowed = self.dictionary.xp, self.dictionary.allowed
        power = self._power[group]
        if not normalize:
            return xp.astype(allowed, xp.float64)
        usable = allowed & (power > 0)
        return xp.where(usable, 1 / xp.where(usable, power, xp.ones_like(power)), xp.zeros_like(power))

    def correlations(self, group: int, signals: Array) -> Array:
        """Coefficients of (φ_m^H r)* for the signals r, complex (S, C, L) → (S, L, B)."""
        xp = self.dictionary.xp
        n_copies, n_cycles, n_users = signals.shape
        conjugate = xp.reshape(xp.matrix_transpose(xp.conj(signals)), (n_copies * n_users, n_cycles))
        return xp.reshape(conjugate @ self.coefficients[group, ...], (n_copies, n_users, -1))

    def waves(self, index: Array) -> Array:
        """φ of places on the lattice, exactly: integer (G, S, J) → complex (G, S, C, J)."""
        waves = wave(self.dictionary.array, *self.dictionary.places(index))
        return self.beams[:, None, :, :] @ self.dictionary.xp.matrix_transpose(waves)


def _appended(rows: Array, new: Array, n: int) -> Array:
    """`new` behind the first n of `rows`, in a buffer that doubles when full: appending costs what is appended."""
    xp = array_namespace(new)
    capacity = 0 if rows is None else rows.shape[1]
    if n + new.shape[1] > capacity:
        grown = xp.empty((new.shape[0], max(2 * capacity, n + new.shape[1]), new.shape[2]), dtype=new.dtype)
        if n:
            grown[:, :n, :] = rows[:, :n, :]
        rows = grown
    rows[:, n : n + new.shape[1], :] = new
    return rows


class Pursued(NamedTuple):
    """What Algorithm 1 found. Indices are places on the lattice."""

    users: Array
    """integer (G, S, L)"""
    gains: Array
    """complex (G, S, L)"""
    scatterers: Array
    """integer (G, S, K)"""
    scatterer_gains: Array
    """complex (G, S, L, K)"""
    found: Array
    """bool (G, S, K): false where the search had stopped"""
    residual: Array
    """Σ_l ‖y_l − all found‖², (G, S)"""


class Algorithm1:
    """The three steps: users alone, scatterers common to all users in what is left, users again without them.

    n_scatterers, K: where to stop. noise_sigmas: stop also where the residual is no more than this many standard
    deviations above what noise alone leaves, `2‖r‖²/σ²` being χ² there; None, not to test. residual_fraction, ε: stop
    also where Σ‖r_l‖² < ε Σ‖y_l‖². normalize: divide correlations by ‖φ_m‖; without it candidates that the beams happen
    to favour win.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        n_scatterers: int,
        *,
        noise_sigmas: float | None = None,
        residual_fraction: float = 0.0,
        normalize: bool = True,
    ) -> None:
        self.dictionary, self.n_scatterers = dictionary, n_scatterers
        self.noise_sigmas, self.residual_fraction, self.normalize = noise_sigmas, residual_fraction, normalize

    def __call__(self, received: Received, samples: Array, noise_variance: Array) -> Pursued:
        """samples, y: complex (G, S, C, L); noise_variance, σ²: (G, S)."""
        xp = array_namespace(samples)
        weights = [received.weight(g, self.normalize) for g in range(samples.shape[0])]
        users, waves, gains = self._users(received, weights, samples)
        if self.n_scatterers == 0:
            return without_scatterers(users, gains, energy(samples - waves * gains[..., None, :]), 0)
        alone = samples - waves * gains[..., None, :]  # Eq. (22)
        scatterers, found, atoms, scatterer_gains = self._scatterers(received, weights, samples, alone, noise_variance)
        cleaned = samples - atoms @ scatterer_gains  # Eq. (28)
        users, waves, gains = self._users(received, weights, cleaned)  # Eqs. (29), (30)
        residual = energy(cleaned - waves * gains[..., None, :])
        scatterer_gains = xp.matrix_transpose(scatterer_gains)
        return Pursued(users, gains, scatterers, scatterer_gains, found, residual)

    def _users(self, received: Received, weights: list[Array], samples: Array) -> tuple[Array, Array, Array]:
        """Eqs. (19) to (21), the best single wave of each user: index (G, S, L), φ (G, S, C, L), gain (G, S, L)."""
        xp = array_namespace(samples)
        n_groups, n_copies, _, n_users = samples.shape
        best = []
        for g in range(n_groups):
            correlations = received.correlations(g, samples[g, ...])
            correlations = xp.reshape(correlations, (n_copies * n_users, 1, -1))
            best.append(self.dictionary.strongest(correlations, weights[g]))
        index = xp.reshape(xp.stack(best), (n_groups, n_copies, n_users))
        waves = received.waves(index)
        return index, waves, single_gain(waves, samples)

    def _scatterers(
        self, received: Received, weights: list[Array], samples: Array, alone: Array, noise_variance: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Eqs. (23) to (27): index and found (G, S, K), Φ_Ω (G, S, C, K) and its gains (G, S, K, L)."""
        xp = array_namespace(samples)
        n_groups = samples.shape[0]
        residual, going = alone, xp.ones(samples.shape[:2], dtype=xp.bool)
        chosen, found, atoms = [], [], []
        gains = None
        for k in range(self.n_scatterers):
            going = going & ~self._finished(residual, samples, noise_variance, k)
            best = []
            for g in range(n_groups):
                correlations = received.correlations(g, residual[g, ...])
                best.append(self.dictionary.strongest(correlations, weights[g]))  # Eq. (24)
            index = xp.stack(best)
            chosen.append(index)
            found.append(going)
            atom = received.waves(index[..., None])
            atoms.append(xp.where(going[..., None, None], atom, xp.zeros_like(atom)))
            chosen_atoms = xp.concat(atoms, axis=-1)
            gains = xp.linalg.pinv(chosen_atoms) @ alone  # Eq. (25); a column of zeros has no gain
            residual = alone - chosen_atoms @ gains  # Eq. (27)
        return xp.stack(chosen, axis=-1), xp.stack(found, axis=-1), chosen_atoms, gains

    def _finished(self, residual: Array, samples: Array, noise_variance: Array, n_found: int) -> Array:
        """Whether nothing but noise is left, (G, S)."""
        left = energy(residual)
        finished = left < self.residual_fraction * energy(samples)
        freedom = degrees_of_freedom(samples.shape[2], samples.shape[3], n_found)
        if self.noise_sigmas is None or freedom <= 0:
            return finished
        return finished | (2 * left < noise_variance * (freedom + self.noise_sigmas * (2 * freedom) ** 0.5))


def degrees_of_freedom(n_cycles: int, n_users: int, n_scatterers: int) -> int:
    """Real numbers measured less those fitted: a place and a complex gain a user, a place and L gains a scatterer."""
    return 2 * n_cycles * n_users - 5 * n_users - n_scatterers * (3 + 2 * n_users)


def without_scatterers(users: Array, gains: Array, residual: Array, n_scatterers: int) -> Pursued:
    """Users alone, and none found of `n_scatterers`."""
    xp = array_namespace(users)
    none = xp.zeros((*users.shape[:2], n_scatterers), dtype=users.dtype)
    no_gains = xp.zeros((*gains.shape, n_scatterers), dtype=gains.dtype)
    return Pursued(users, gains, none, no_gains, xp.astype(none, xp.bool), residual)


def single_gain(waves: Array, samples: Array) -> Array:
    """γ̂ = φ^H y/‖φ‖², Eq. (21): complex (G, S, C, L) both → (G, S, L)."""
    xp = array_namespace(samples)
    norm = xp.sum(_squared(waves), axis=-2)
    return xp.sum(xp.conj(waves) * samples, axis=-2) / xp.where(norm > 0, norm, xp.ones_like(norm))


def _squared(values: Array) -> Array:
    xp = array_namespace(values)
    return xp.real(values) ** 2 + xp.imag(values) ** 2


def energy(residual: Array) -> Array:
    """Σ |r|² over cycles and users, (G, S, C, L) → (G, S)."""
    return array_namespace(residual).sum(_squared(residual), axis=(-2, -1))
