"""The network against plain loops, its invariances, its files, and what its estimators refuse."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

from engine import InputError, Streams
from engine.estimators import LeastSquares, MaximumLikelihood, Observations, PosteriorMean, Workbench
from engine.estimators.deepsets import AmortisedDeepSets, Checkpoint, DeepSets
from engine.estimators.deepsets.checkpoint import Card, Member, Scaling, save
from engine.estimators.deepsets.features import ANGLES, FEATURES, KNOWN, OUTPUTS, PEAKS, TOLD, chosen, frames
from engine.estimators.deepsets.network import NUMPY, Architecture, forward, initial
from engine.estimators.deepsets.setting import setting_of
from engine.estimators.described import description, reader
from engine.estimators.estimator import Estimator
from engine.estimators.peaks import STEPS, climbed
from engine.numerics.leakage_models.fresnel_closed import FRESNEL_CLOSED
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.sensor_sets import SensorSetEstimation, fig3_learned

SMALL = Architecture(3, (8, 8), 6, (7, 5), 2)


def _plain(parameters: dict[str, np.ndarray], elements: np.ndarray) -> np.ndarray:
    """One set (K, F) through one network, Eq. (26) and (27) in loops."""

    def gelu(x: np.ndarray) -> np.ndarray:
        return x * (1 + erf(x / math.sqrt(2))) / 2

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return x @ parameters[f"{name}.weight"][0].astype(float) + parameters[f"{name}.bias"][0, 0].astype(float)

    hidden, scores = [], []
    for x in elements:
        h = x
        for i in range(2):
            h = gelu(layer(f"encoder.{i}", h))
        hidden.append(h)
        scores.append(math.exp(parameters["query.weight"][0, :, 0] @ np.tanh(h @ parameters["attention.weight"][0])))
    pooled = sum(score / sum(scores) * h for score, h in zip(scores, hidden, strict=True))
    return layer("decoder.2", gelu(layer("decoder.1", gelu(layer("decoder.0", pooled)))))


def test_the_network_is_equations_26_and_27() -> None:
    parameters = initial(SMALL, [5])
    x = np.random.default_rng(0).standard_normal((1, 4, 9, 3)).astype(np.float32)
    found = forward(NUMPY, parameters, x)
    assert found.shape == (1, 4, 2)
    for b in range(4):
        assert np.allclose(found[0, b], _plain(parameters, x[0, b]), atol=1e-5)
    assert not np.allclose(found[0, 0], _plain(parameters, x[0, 1]), atol=1e-3)  # the test can fail


def test_table_ii_is_the_default() -> None:
    shapes = Architecture(outputs=1).shapes()
    assert [shapes[f"encoder.{i}"] for i in range(4)] == [(3, 256), (256, 256), (256, 256), (256, 256)]
    assert [shapes[f"decoder.{i}"] for i in range(4)] == [(256, 256), (256, 128), (128, 64), (64, 1)]
    assert shapes["attention"] == (256, 256)
    assert "attention.bias" not in initial(SMALL, [0])


@pytest.mark.parametrize("summed", [0, 2])
def test_order_and_padding_change_nothing(summed: int) -> None:
    architecture = Architecture(5, (8, 8), 6, (7, 5), 2, summed)
    parameters = initial(architecture, [1, 2])
    generator = np.random.default_rng(3)
    x = generator.standard_normal((2, 3, 6, 5)).astype(np.float32)
    whole = forward(NUMPY, parameters, x)
    assert np.allclose(forward(NUMPY, parameters, x[:, :, generator.permutation(6)]), whole, atol=1e-5)
    padded = np.concatenate([x, 100 * np.ones((2, 3, 4, 5), np.float32)], axis=2)
    mask = np.broadcast_to(np.arange(10) < 6, (3, 10))
    assert np.allclose(forward(NUMPY, parameters, padded, mask), whole, atol=1e-5)
    assert not np.allclose(forward(NUMPY, parameters, padded), whole, atol=1e-3)  # the test can fail


def test_sets_of_different_size_share_a_batch() -> None:
    parameters = initial(SMALL, [1])
    sets = [np.random.default_rng(k).standard_normal((k, 3)).astype(np.float32) for k in (2, 5, 9)]
    x = np.zeros((1, 3, 9, 3), np.float32)
    for i, one in enumerate(sets):
        x[0, i, : len(one)] = one
    mask = np.array([np.arange(9) < len(one) for one in sets])
    together = forward(NUMPY, parameters, x, mask)[0]
    for i, one in enumerate(sets):
        assert np.allclose(together[i], forward(NUMPY, parameters, one[None, None])[0, 0], atol=1e-5)


SCENE = SensorSetEstimation(
    n_sensors=6, noise_dbm=(-75.0, -85.0), n_snapshots=(1, 50), grid_ranges=20, grid_angles=30,
    estimators=(LeastSquares(),), leakage="spherical",
)  # fmt: skip


def _saved(folder: Path, *, seed: int = 99, outputs: int = 2, scene: SensorSetEstimation = SCENE) -> Path:
    """Untrained networks for the scene's points, as a file."""
    sensor_m, sensor_rad = scene.sensors()
    forms = ("both",) if outputs == 2 else ("range", "angle")
    members = tuple(
        Member(
            snr_db=23 - noise, n_snapshots=count, estimates=form, best_epoch=1, validation_loss=1.0,
            test_mse_range_m2=4.0 if form != "angle" else None, test_mse_angle_rad2=0.25 if form != "range" else None,
        )
        for noise in scene.noise_dbm for count in scene.n_snapshots for form in forms
    )  # fmt: skip
    architecture = Architecture(3, (8, 8), 6, (7, 5), outputs)
    card = Card(
        kind="sensor_set", architecture=architecture, members=members,
        scaling=Scaling(
            input_mean=(1.0, 125.0, 1.5), input_deviation=(1.0, 15.0, 0.5),
            place_mean=(7.0, 1.5), place_deviation=(2.9, 0.6),
        ),
        sensor_range_m=tuple(sensor_m), sensor_angle_rad=tuple(sensor_rad), leakage="spherical",
        setting=setting_of(scene.problem()), sweep="t",
        fingerprint="f", seed=seed, samples={"training": 1}, recipe={}, history=[], versions={},
    )  # fmt: skip
    path = folder / f"K{scene.n_sensors}-set{scene.sensor_set}.safetensors"
    save(path, card, initial(architecture, list(range(len(members)))))
    return path


@pytest.mark.parametrize("outputs", [1, 2])
def test_each_point_is_estimated_by_its_own_network(tmp_path: Path, outputs: int) -> None:
    learned = SCENE.replace(checkpoints=(str(_saved(tmp_path, outputs=outputs)),))
    assert [one.name for one in learned.estimators] == ["least_squares", "deep_sets"]
    drawn = learned.draw(Streams(0, 0), 5)
    found = learned.prepare(np)(drawn)
    networks = learned.checkpoints[0].read()
    _, _, statistic = learned.observe(np, drawn)
    for s, count in ((0, 1), (1, 50)):
        c = (1, 50).index(count)
        z = statistic[:, s, c] / (2 * count) - 1
        x = np.stack([np.sign(z) * np.log1p(np.abs(z)), drawn.sensor_range_m, drawn.sensor_angle_rad], axis=-1)
        x = (x - [1.0, 125.0, 1.5]) / [1.0, 15.0, 0.5]
        for column, name in enumerate(("estimate_range_m", "estimate_angle_rad")):
            i = (2 * s + c) * (3 - outputs) + (column if outputs == 1 else 0)
            mine = {key: part[i : i + 1] for key, part in networks.parameters.items()}
            outcome = _plain(mine, x[3])[column if outputs == 2 else 0]
            expected = outcome * (2.9, 0.6)[column] + (7.0, 1.5)[column]
            assert found[name][1][3, 1, s, c] == pytest.approx(expected, rel=1e-5)
    again = learned.prepare(np)(drawn)
    assert all(np.array_equal(again[name][1], found[name][1]) for name in found)


def test_files_of_one_set_answer_each_at_its_own_points(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("loud", "quiet", "all")]
    for folder in folders:
        folder.mkdir()
    points = ((-75.0,), (-85.0,), SCENE.noise_dbm)
    scenes = [SCENE.replace(noise_dbm=noise) for noise in points]
    paths = [str(_saved(folder, scene=scene)) for folder, scene in zip(folders, scenes, strict=True)]

    def estimate(scene: SensorSetEstimation, *files: str) -> np.ndarray:
        """Of two realizations, (2, S, L)."""
        problem, sensors = scene.problem(), [np.tile(one, (2, 1)) for one in scene.sensors()]
        statistic = np.full((2, len(scene.noise_dbm), 2, 6), 70.0)
        workbench = Workbench(problem, np)
        seen = Observations(statistic, *sensors)
        estimator = DeepSets(checkpoints=files)
        batch = workbench.batch(seen)
        assert estimator.deviations(batch, estimator.prepare(workbench)(batch)).range_m[0, 0, 0] == 2.0
        return estimator.prepare(workbench)(batch).range_m

    together = estimate(SCENE, *paths[:2])
    assert np.array_equal(together[:, :1], estimate(scenes[0], paths[0]))
    assert np.array_equal(together[:, 1:], estimate(scenes[1], paths[1]))
    for first, second in ((paths[2], paths[1]), (paths[1], paths[2])):
        assert np.array_equal(estimate(scenes[1], first, second), estimate(scenes[1], first))
    assert not np.array_equal(estimate(scenes[1], paths[1]), estimate(scenes[1], paths[2]))


def test_a_checkpoint_is_part_of_what_defines_the_numbers(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    one = fig3_learned.replace(scenario=SCENE.replace(checkpoints=(str(path),)), axes={})
    stored = SensorSetEstimation.model_validate(json.loads(one.scenario.model_dump_json()))
    assert stored == one.scenario
    _saved(tmp_path, seed=98)
    other = fig3_learned.replace(scenario=SCENE.replace(checkpoints=(str(path),)), axes={})
    assert one.fingerprint() != other.fingerprint()
    with pytest.raises(InputError, match=r"has changed: sha256 \w+… where \w+… was named"):
        one.scenario.prepare(np)
    estimator = DeepSets(checkpoints=(str(path),))
    assert reader(Estimator)(description(estimator)) == estimator


def test_training_seeds_are_refused(tmp_path: Path) -> None:
    learned = SCENE.replace(checkpoints=(str(_saved(tmp_path)),))
    learned.draw(Streams(98, 0), 2)
    with pytest.raises(InputError, match=r"seed 99 drew the data that deep_sets was trained on"):
        learned.draw(Streams(99, 0), 2)


def test_what_a_checkpoint_does_not_know_is_refused(tmp_path: Path) -> None:
    path = str(_saved(tmp_path))
    estimator = DeepSets(checkpoints=(path,))

    def run(scene: LeakageEstimation) -> None:
        drawn = scene.draw(Streams(0, 0), 3)
        scene.replace(estimators=(estimator,)).prepare(np)(drawn)

    with pytest.raises(InputError, match="no checkpoint was trained for this set of 6 sensors"):
        run(SCENE.replace(sensor_set=1))
    with pytest.raises(InputError, match="no network was trained for P_t/σ² = 93 dB and 1 snapshots"):
        run(SCENE.replace(noise_dbm=(-70.0,)))
    with pytest.raises(InputError, match="sensors of their own"):
        run(LeakageEstimation(n_sensors=6, grid_ranges=20, grid_angles=30))
    with pytest.raises(InputError, match=r"\S+ was trained with n_elements = 100, given 128: train networks"):
        run(SCENE.replace(n_elements=128))
    with pytest.raises(InputError, match="was trained with user_range_max_m = 12.0, given 20.0"):
        run(SCENE.replace(user_range_max_m=20.0))
    with pytest.raises(InputError, match="is of fixed sensor sets: use it in DeepSets"):
        AmortisedDeepSets(checkpoint=path).prepare(Workbench(SCENE.problem(), np))
    with pytest.raises(InputError, match="is amortised: use it in AmortisedDeepSets"):
        DeepSets(checkpoints=("amortised.safetensors",)).prepare(Workbench(SCENE.problem(), np))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no safetensors file, or damaged"), (b"\x80\x04K\x01.", "damaged"), (b"\xff" * 64, "damaged")],
)
def test_other_files_are_no_checkpoints(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Checkpoint(path=str(path)).read()
    with pytest.raises(InputError, match="no safetensors file, or damaged"):
        Checkpoint(path=str(path)).card()
    with pytest.raises(ValueError, match="No such file"):
        Checkpoint(path=str(tmp_path / "none.safetensors"))


def _scene_of(n_sensors: int) -> tuple[Workbench, Observations]:
    scene = LeakageEstimation(n_sensors=n_sensors, noise_dbm=(-80.0,), n_snapshots=(50,), leakage="spherical")
    drawn = scene.draw(Streams(5, 0), 4)
    seen = Observations(scene.observe(np, drawn)[2], drawn.sensor_range_m, drawn.sensor_angle_rad)
    for part in seen:
        part.setflags(write=False)
    return Workbench(scene.problem(), np), seen


def test_the_amortised_network_takes_any_sensors_in_any_order() -> None:
    estimator = AmortisedDeepSets(leakage="fresnel_closed")
    order = np.random.default_rng(0).permutation(12)
    places = []
    workbench, seen = _scene_of(12)
    for here in (np.arange(12), order):
        batch = workbench.batch(Observations(seen.statistic[..., here], *(part[:, here] for part in seen[1:])))
        places.append(estimator.prepare(workbench)(batch))
        spread = estimator.deviations(batch, places[-1])
        assert np.all(spread.range_m > 0)
        assert frames(batch, FRESNEL_CLOSED).x.shape == (4, 1, 12, FEATURES)
    assert np.allclose(places[0].range_m, places[1].range_m, atol=1e-3)
    assert np.allclose(places[0].angle_rad, places[1].angle_rad, atol=1e-4)
    other = estimator.prepare(_scene_of(30)[0])(_scene_of(30)[0].batch(_scene_of(30)[1]))
    assert np.all((other.range_m >= 2) & (other.range_m <= 12))


def test_a_place_is_a_mean_over_the_places_told() -> None:
    generator = np.random.default_rng(2)
    outputs, known = generator.standard_normal((3, OUTPUTS)), generator.standard_normal((3, KNOWN))
    for said, told, found in zip(outputs, known, chosen(NUMPY, outputs, known), strict=True):
        heights, away, ranges = 5 * told[:TOLD], 5 * told[TOLD : 2 * TOLD], told[2 * TOLD : 3 * TOLD]
        weights = np.exp(math.exp(0.7 * math.tanh(said[4])) * heights + 3 * np.tanh(said[5:] / 3))
        weights /= weights.sum()
        width_m, width_rad = 100 ** (told[3 * TOLD] - 1), 100 ** (told[3 * TOLD + PEAKS] - 1)
        assert found[0] == pytest.approx(weights @ ranges + width_m * said[0], rel=1e-12)
        assert found[1] == pytest.approx(weights @ away + width_rad * said[1], rel=1e-12)
    outputs[:, :2], outputs[:, 5:], known[:, 0], known[:, 1:TOLD] = 0.0, 50.0, 0.0, -8.0
    outputs[:, 5] = -50.0
    certain = chosen(NUMPY, outputs, known)  # all that is learned speaks against a likelihood that leaves no doubt
    assert np.allclose(certain, known[:, [2 * TOLD, TOLD]] * (1, 5), atol=1e-4)


def test_what_an_amortised_network_is_told() -> None:
    scene = LeakageEstimation(n_sensors=40, noise_dbm=(-65.0, -85.0), n_snapshots=(1, 50), leakage="spherical")
    drawn = scene.draw(Streams(6, 0), 60)
    workbench = Workbench(scene.problem(), np)
    batch = workbench.batch(Observations(scene.observe(np, drawn)[2], drawn.sensor_range_m, drawn.sensor_angle_rad))
    told = frames(batch, FRESNEL_CLOSED)
    likeliest = MaximumLikelihood(leakage="fresnel_closed").prepare(workbench)(batch)
    peaks = batch.resolving().once(climbed, FRESNEL_CLOSED, STEPS)  # what it was trained on, without rivals
    assert np.array_equal(told.angle_rad, peaks.angle_rad[..., 0])
    near = np.isclose(told.angle_rad, np.reshape(likeliest.angle_rad, (60, 4)), rtol=0, atol=1e-3)
    assert near.mean() > 0.97
    heights, away, range_m = (told.known[..., i * TOLD : (i + 1) * TOLD] for i in range(3))
    assert np.all(heights <= 0)
    assert np.all(heights[..., 0] == 0)
    assert np.all(away[..., 0] == 0)
    assert np.all(heights[..., PEAKS] == 0)
    assert np.all(np.diff(heights[..., PEAKS:-1]) <= 0)
    assert np.allclose(7 + range_m[..., 0] * 10 / math.sqrt(12), peaks.range_m[..., 0], atol=1e-5)
    angles = told.angle_rad[..., None] + 0.75 * away[..., PEAKS : PEAKS + ANGLES]
    real = heights[..., PEAKS : PEAKS + ANGLES] > -8
    apart = np.abs(angles[..., None] - angles[..., None, :])
    assert apart[real[..., None] & real[..., None, :] & ~np.eye(ANGLES, dtype=bool)].min() > 0.0999
    error = np.abs(angles - drawn.user_angle_rad[:, None, None])
    error[~real] = np.inf
    assert np.mean(error[:, 3, 0] < 0.1) == 1.0
    assert np.mean(error[:, 0, 0] < 0.1) < np.mean(error[:, 0].min(axis=-1) < 0.1)


def test_the_shipped_network_is_below_least_squares_and_near_the_posterior_mean() -> None:
    scene = LeakageEstimation(
        n_sensors=20, noise_dbm=(-75.0, -85.0), n_snapshots=(1, 50), leakage="spherical",
    )  # fmt: skip
    drawn = scene.draw(Streams(7, 0), 400)
    workbench = Workbench(scene.problem(), np)
    batch = workbench.batch(Observations(scene.observe(np, drawn)[2], drawn.sensor_range_m, drawn.sensor_angle_rad))
    truth = np.stack([drawn.user_range_m, drawn.user_angle_rad], axis=-1)[:, None, None, :]

    def places(kind: type[Estimator]) -> np.ndarray:
        return np.stack(kind(leakage="fresnel_closed").prepare(workbench)(batch), axis=-1)

    said = places(AmortisedDeepSets)
    learned, squares, mean = ((one - truth) ** 2 for one in (said, places(LeastSquares), places(PosteriorMean)))

    def excess(errors: np.ndarray, others: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard error of errors − factor · others, in units of the others' mean, over all points."""
        each = ((errors - factor * others) / others.mean(axis=0)).mean(axis=(1, 2))
        return each.mean(axis=0), each.std(axis=0) / np.sqrt(len(each))

    for others, factor in ((squares, (1.0, 1.0)), (mean, (1.3, 1.6))):
        found, error = excess(learned, others, np.array(factor))
        assert np.all(found < 4 * error)
    assert np.all(found < 0)
    found, error = excess(learned, squares, np.array(0.8))
    assert found[0] + 4 * error[0] < 0
    found, error = excess((np.roll(said, 1, axis=0) - truth) ** 2, mean, np.array((1.3, 1.6)))
    assert np.all(found > 4 * error)  # the test can fail
