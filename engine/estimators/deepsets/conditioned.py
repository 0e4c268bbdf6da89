"""Networks conditioned on noise power and snapshot count: one for all points of a sensor set."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from engine.errors import InputError
from engine.estimators.deepsets.checkpoint import Checkpoint, Networks, checkpoints_in
from engine.estimators.deepsets.estimator import in_pieces, of_this_set, on_host, require_kind
from engine.estimators.deepsets.features import LOG_VARIANCE
from engine.estimators.deepsets.network import Architecture
from engine.estimators.deepsets.setting import require_setting
from engine.estimators.estimator import Estimator
from engine.estimators.problem import Estimates, Observations, Problem
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.geometry import path_gain

Array = Any

_TURNS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
FEATURES = 7 + 2 * len(_TURNS)
"""Columns of a conditioned network's elements."""
OUTPUTS = 4
"""Range, angle, and the logarithms of their variances, in units of the users' deviations."""
ARCHITECTURE = Architecture(FEATURES, (64, 64, 128), 32, (256, 128, 64), OUTPUTS)
"""Narrower than Table II, 0.37 MB: weights come with the package."""
_SLACK_DB = 1e-6


def conditioned_elements(
    statistic: Array, snr: Array, n_snapshots: Array, range_m: Array, angle_rad: Array, wavelength_m: float
) -> np.ndarray:
    """x_k of Section IV from [z_k, d_k, θ_k], σ², L and K: (…, K, FEATURES), not yet standardised.

    statistic: S, (…, K); snr, n_snapshots: P_t/σ² and L, (…); range_m, angle_rad: of the sensors, (K,). Powers come
    twice: √S less its value without a user, whose variance hardly depends on the power, and z⁺ + 1/√L over the SNR
    in free space, which estimates the leakage at any noise power alike. The harmonics of cos θ set sensors apart that
    stand a beam's width from each other.
    """
    snr, count = np.asarray(snr, dtype=float)[..., None], np.asarray(n_snapshots, dtype=float)[..., None]
    z = statistic / (2 * count) - 1  # Eq. (8)
    in_free_space = snr * path_gain(range_m, wavelength_m)
    u = np.cos(angle_rad)
    told = [
        np.arcsinh(np.sqrt(statistic) - np.sqrt(2 * count)),
        np.log10((np.maximum(z, 0.0) + 1 / np.sqrt(count)) / in_free_space),
        np.log10(in_free_space * np.sqrt(count)),
        np.log10(count),
        np.log10(statistic.shape[-1]),
        range_m,
        u,
        *(wave(np.pi * turns * u) for turns in _TURNS for wave in (np.sin, np.cos)),
    ]
    return np.stack(np.broadcast_arrays(*told), axis=-1).astype(np.float32)


class ConditionedDeepSets(Estimator):
    """One network a sensor set for every noise power and snapshot count in what its card says, between them as well.

    A block must come from a sensor set, or the first sensors of one, that some checkpoint was trained for.
    """

    checkpoints: Annotated[tuple[Checkpoint, ...], BeforeValidator(checkpoints_in)] = Field(
        min_length=1, description="files of trained networks, or folders of them"
    )

    def training_seeds(self) -> frozenset[int]:
        return frozenset(one.read().card.seed for one in self.checkpoints)

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        for one in self.checkpoints:
            card = one.read().card
            require_kind(card, "conditioned", one.path)
            require_setting(card, workbench.problem, one.path)

        def estimate(batch: Batch) -> Estimates:
            found: Estimates = batch.once(_conditioned, self)[0]
            return found

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """What the network says of itself, for each of its estimates."""
        found: Estimates = batch.once(_conditioned, self)[1]
        return found


def _conditioned(batch: Batch, estimator: ConditionedDeepSets) -> tuple[Estimates, Estimates]:
    """Estimates of a batch and their deviations."""
    xp, seen = batch.workbench.xp, on_host(batch)
    networks = of_this_set([one.read() for one in estimator.checkpoints], seen)[0]
    found = _outputs(networks, batch.workbench.problem, seen)
    place, deviation = (
        Estimates(*(xp.asarray(np.ascontiguousarray(part[..., i])) for i in (0, 1)))
        for part in _placed(networks, found, batch.workbench.problem)
    )
    return place, deviation


def _outputs(networks: Networks, problem: Problem, seen: Observations) -> np.ndarray:
    """What the network says, (B, S, L, OUTPUTS)."""
    card = networks.card
    assert card.conditions is not None
    assert card.scaling is not None
    low, high = card.conditions.snr_db
    found = np.empty((*seen.statistic.shape[:3], OUTPUTS))
    for s, snr in enumerate(problem.snr):
        for c, count in enumerate(problem.n_snapshots):
            snr_db = 10 * np.log10(snr)
            if not low - _SLACK_DB <= snr_db <= high + _SLACK_DB or count not in card.conditions.n_snapshots:
                raise InputError(
                    f"the network was trained for P_t/σ² from {low:g} to {high:g} dB and "
                    f"{' or '.join(map(str, card.conditions.n_snapshots))} snapshots, given {snr_db:g} dB and {count}: "
                    f"train one for this point, or leave it out"
                )
            x = conditioned_elements(
                seen.statistic[:, s, c], np.array(snr), np.array(count), seen.sensor_range_m[0],
                seen.sensor_angle_rad[0], problem.array.wavelength_m,
            )  # fmt: skip
            x = (x - np.array(card.scaling.input_mean, np.float32)) / np.array(card.scaling.input_deviation, np.float32)
            found[:, s, c] = in_pieces(networks.parameters, x[None])[0]
    return found


def _placed(networks: Networks, outputs: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Places and deviations (…, 2) from outputs (…, OUTPUTS), inside the candidates' rectangle."""
    grid, scaling = problem.grid, networks.card.scaling
    assert scaling is not None
    place = outputs[..., :2] * scaling.place_deviation + scaling.place_mean
    low, high = [grid.range_min_m, grid.angle_min_rad], [grid.range_max_m, grid.angle_max_rad]
    deviation = np.exp(0.5 * np.clip(outputs[..., 2:], *LOG_VARIANCE)) * scaling.place_deviation
    return np.clip(place, low, high), deviation
