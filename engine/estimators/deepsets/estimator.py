"""Estimators that were trained: a network for each sensor set and point, or one for all."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from array_api_compat import is_numpy_namespace
from pydantic import BeforeValidator, Field

from engine.errors import InputError
from engine.estimators.assumed_leakage import model_of
from engine.estimators.deepsets.checkpoint import Card, Checkpoint, Networks, checkpoints_in
from engine.estimators.deepsets.features import FEATURES, KNOWN, OUTPUTS, TEMPLATES, elements, frames, placed
from engine.estimators.deepsets.network import NUMPY, forward
from engine.estimators.deepsets.setting import require_setting
from engine.estimators.estimator import Estimator
from engine.estimators.problem import Estimates, Observations, Problem
from engine.estimators.workbench import Batch, Workbench

Array = Any

_SETS_AT_ONCE = 64
"""Sets that a network sees together: their activations fit in the second-level cache."""
_SAME_M, _SAME_RAD, _SAME_DB = 1e-6, 1e-9, 1e-6
_KINDS = {
    "sensor_set": ("of fixed sensor sets", "DeepSets"),
    "conditioned": ("conditioned", "ConditionedDeepSets"),
    "amortised": ("amortised", "AmortisedDeepSets"),
}
"""What the networks of a card's kind are, and who uses them."""


class DeepSets(Estimator):
    """The paper's networks, Section IV and Table II: each knows one sensor set, noise power and snapshot count.

    Mashhadi, Hoang, Vahid, arXiv 2605.21815. A block must come from a sensor set that some checkpoint was trained for,
    all of its realizations from the same one; noise powers and snapshot counts likewise, of which several files of one
    set may hold some each: at a point that two were trained for the first is used. `leakage` is what the training data
    followed.
    """

    checkpoints: Annotated[tuple[Checkpoint, ...], BeforeValidator(checkpoints_in)] = Field(
        min_length=1, description="files of trained networks, or folders of them"
    )

    def training_seeds(self) -> frozenset[int]:
        return frozenset(one.read().card.seed for one in self.checkpoints)

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        files = [one.read() for one in self.checkpoints]
        for one, networks in zip(self.checkpoints, files, strict=True):
            require_kind(networks.card, "sensor_set", one.path)
            require_setting(networks.card, workbench.problem, one.path)

        def estimate(batch: Batch) -> Estimates:
            seen = on_host(batch)
            places = _each_observation(of_this_set(files, seen), workbench.problem, seen)
            return Estimates(*(workbench.xp.asarray(np.ascontiguousarray(places[..., i])) for i in (0, 1)))

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Root mean squared errors of each point's network on the test users of its card."""
        files = of_this_set([one.read() for one in self.checkpoints], on_host(batch))
        problem, shape = batch.workbench.problem, batch.observations.statistic.shape[:3]
        found = np.full((2, *shape), np.nan)
        for s, snr in enumerate(10 * np.log10(problem.snr)):
            for c, count in enumerate(problem.n_snapshots):
                networks = _trained_for(files, snr, count)
                for i in _members_at(networks.card, snr, count):
                    member = networks.card.members[i]
                    errors = member.test_mse_range_m2, member.test_mse_angle_rad2
                    for coordinate, error in enumerate(errors):
                        if error is not None:
                            found[coordinate, :, s, c] = np.sqrt(error)
        return Estimates(*(batch.workbench.xp.asarray(part) for part in found))


class AmortisedDeepSets(Estimator):
    """One network for any sensors, noise power and snapshot count: DeepSets around the highest peak of a likelihood.

    It is no estimator from powers and places alone. It is told likelihoods under the model `leakage`, see `frames`:
    those of templates around that peak, and of six peaks and the six angles with the most mass, with their places. It
    learns what mean to take of these places, and the shift from it. Trained on random sensor sets; beyond the sizes,
    powers and counts on its card it extrapolates.
    """

    checkpoint: Checkpoint = Field(
        default_factory=lambda: Checkpoint(path="amortised.safetensors"), description="file of the trained network"
    )

    def training_seeds(self) -> frozenset[int]:
        return frozenset({self.checkpoint.read().card.seed})

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        require_setting(self._networks().card, workbench.problem, self.checkpoint.path)
        workbench.host.resolving().search(self.leakage)

        def estimate(batch: Batch) -> Estimates:
            found: Estimates = batch.once(_amortised, self)[0]
            return found

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """What the network says of itself, for each of its estimates."""
        found: Estimates = batch.once(_amortised, self)[1]
        return found

    def _networks(self) -> Networks:
        networks = self.checkpoint.read()
        require_kind(networks.card, "amortised", self.checkpoint.path)
        form = networks.card.architecture
        if (form.features, form.summed, form.known, form.outputs) != (FEATURES, TEMPLATES, KNOWN, OUTPUTS):
            raise InputError(
                f"checkpoint {self.checkpoint.path} was trained on other features: train it anew, "
                f"'nearfield train leakage:amortised'"
            )
        return networks


def _amortised(batch: Batch, estimator: AmortisedDeepSets) -> tuple[Estimates, Estimates]:
    """Estimates of a batch and their deviations."""
    xp, problem, host = batch.workbench.xp, batch.workbench.problem, batch.workbench.host
    on_cpu = batch if host is batch.workbench else host.batch(on_host(batch))
    seen = frames(on_cpu, model_of(estimator.leakage))
    size, m, k, _ = seen.x.shape
    parameters = estimator.checkpoint.read().parameters
    sets, known = seen.x.reshape(1, size * m, k, -1), seen.known.reshape(1, size * m, -1)
    outputs = in_pieces(parameters, sets, known)[0].reshape(size, m, -1)
    shape = batch.observations.statistic.shape[:3]
    place, deviation = (
        Estimates(*(xp.asarray(np.ascontiguousarray(part[..., i]).reshape(shape)) for i in (0, 1)))
        for part in placed(outputs, seen.known, seen.angle_rad, problem)
    )
    return place, deviation


def require_kind(card: Card, kind: str, path: str) -> None:
    """InputError that names the estimator which the file is for, if it is another."""
    if card.kind != kind:
        what, instead = _KINDS[card.kind]
        raise InputError(f"checkpoint {path} is {what}: use it in {instead}")


def on_host(batch: Batch) -> Observations:
    """A block's observations as NumPy arrays."""
    if is_numpy_namespace(batch.workbench.xp):
        return batch.observations
    return Observations(*(batch.workbench.xp.asnumpy(part) for part in batch.observations))


def of_this_set(files: list[Networks], seen: Observations) -> list[Networks]:
    """The files of networks that were trained for the block's sensors: one at least, in their order."""
    range_m, angle_rad = seen.sensor_range_m, seen.sensor_angle_rad
    if np.ptp(range_m, axis=0).max() > _SAME_M or np.ptp(angle_rad, axis=0).max() > _SAME_RAD:
        raise InputError(
            "networks of fixed sensor sets were given realizations with sensors of their own: use the sweep "
            "'leakage:fig3-learned', or AmortisedDeepSets"
        )
    order = np.lexsort((range_m[0], angle_rad[0]))
    found = []
    for networks in files:
        known_m, known_rad = np.array(networks.card.sensor_range_m), np.array(networks.card.sensor_angle_rad)
        size, conditions = range_m.shape[1], networks.card.conditions
        if size in (conditions.n_sensors if conditions else (len(known_m),)):
            known_m, known_rad = known_m[:size], known_rad[:size]  # a conditioned network knows the first ones alone
            mine = np.lexsort((known_m, known_rad))
            if (
                np.abs(known_m[mine] - range_m[0, order]).max() < _SAME_M
                and np.abs(known_rad[mine] - angle_rad[0, order]).max() < _SAME_RAD
            ):
                found.append(networks)
    if not found:
        raise InputError(
            f"no checkpoint was trained for this set of {range_m.shape[1]} sensors: train one with 'nearfield train', "
            f"or use AmortisedDeepSets"
        )
    return found


def _each_observation(files: list[Networks], problem: Problem, seen: Observations) -> np.ndarray:
    """Places (B, S, L, 2) by the network of each noise power and snapshot count."""
    size, n_noise, n_counts, _ = seen.statistic.shape
    places = np.full((size, n_noise, n_counts, 2), np.nan)
    for s, snr in enumerate(10 * np.log10(problem.snr)):
        for c, count in enumerate(problem.n_snapshots):
            networks = _trained_for(files, snr, count)
            card, scaling = networks.card, networks.card.scaling
            assert scaling is not None
            mean, deviation = (np.array(part) for part in (scaling.place_mean, scaling.place_deviation))
            x = elements(seen.statistic[:, s, c], np.array(count), seen.sensor_range_m, seen.sensor_angle_rad)
            x = ((x - scaling.input_mean) / scaling.input_deviation).astype(np.float32)
            for i in _members_at(card, snr, count):
                mine = {name: part[i : i + 1] for name, part in networks.parameters.items()}
                columns = {"both": [0, 1], "range": [0], "angle": [1]}[card.members[i].estimates]
                places[:, s, c, columns] = in_pieces(mine, x[None])[0] * deviation[columns] + mean[columns]
    return places


def _trained_for(files: list[Networks], snr_db: float, n_snapshots: int) -> Networks:
    """The first of a set's files with networks for a point."""
    for networks in files:
        if _members_at(networks.card, snr_db, n_snapshots):
            return networks
    raise InputError(
        f"no network was trained for P_t/σ² = {snr_db:g} dB and {n_snapshots} snapshots: train one, or choose "
        f"noise_dbm and n_snapshots among those of the checkpoint's card"
    )


def _members_at(card: Card, snr_db: float, n_snapshots: int) -> list[int]:
    """Indices of a file's networks that were trained for a point."""
    return [
        i for i, member in enumerate(card.members)
        if abs(member.snr_db - snr_db) < _SAME_DB and member.n_snapshots == n_snapshots
    ]  # fmt: skip


def in_pieces(parameters: dict[str, np.ndarray], x: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """The network's outputs for sets x (1, R, K, F): always the same pieces of a block, hence the same bits."""
    pieces = [slice(i, i + _SETS_AT_ONCE) for i in range(0, x.shape[1], _SETS_AT_ONCE)]
    parts = [forward(NUMPY, parameters, x[:, i], known=None if known is None else known[:, i]) for i in pieces]
    return np.concatenate(parts, axis=1).astype(float)
