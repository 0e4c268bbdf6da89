"""`nearfield train`: data, files, fan-out and replicas."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_cli import nearfield

from engine import InputError, Streams, TaskError
from engine.estimators.deepsets import Checkpoint
from scenarios.leakage.amortised import amortised_round
from scenarios.leakage.drawn_set import DrawnSet
from scenarios.leakage.sensor_sets import SensorSetEstimation, fig3_learned
from scenarios.leakage.training import set_trainings
from scenarios.learning.offer import Request
from scenarios.learning.options import TRAINING_SEED, Options
from scenarios.learning.set_training import SetTraining

pytest.importorskip("torch")

TINY = (
    "--samples",
    "200",
    "--epochs",
    "2",
    "--axis",
    "n_sensors=5",
    "--set",
    "noise_dbm=-75",
    "--set",
    "n_snapshots=50",
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_sensor_sets_stay_and_users_are_those_of_the_seed() -> None:
    scene = SensorSetEstimation(n_sensors=7, sensor_set=2)
    first, other = scene.draw(Streams(0, 0), 4), scene.draw(Streams(5, 3), 4)
    assert np.array_equal(first.sensor_range_m[0], other.sensor_range_m[3])
    assert not np.array_equal(first.user_range_m, other.user_range_m)
    assert np.array_equal(scene.replace(n_sensors=4).sensors()[1], scene.sensors()[1][:4])
    assert not np.array_equal(scene.replace(sensor_set=3).sensors()[0], scene.sensors()[0])


def test_training_data_are_the_scenarios_own_draws() -> None:
    scene = SensorSetEstimation(n_sensors=5, noise_dbm=(-75.0,), n_snapshots=(1, 50))
    some = DrawnSet(scene).labelled(9, 990, 20)
    drawn = scene.draw(Streams(9, 1), 1000)
    statistic = scene.observe(np, drawn)[2]
    z = statistic[9, 0, 1] / 100 - 1
    assert some.z.shape == (1, 2, 20, 5)
    assert np.allclose(some.z[0, 1, 19], np.sign(z) * np.log1p(np.abs(z)), rtol=1e-6)
    assert np.array_equal(some.place[19], [drawn.user_range_m[9], drawn.user_angle_rad[9]])
    assert len(set_trainings(Request(fig3_learned, Path("x"), Options()))) == 10


def test_amortised_rounds_are_addressed() -> None:
    scene = fig3_learned.scenario
    first, again, other = (amortised_round(scene, TRAINING_SEED - 1, number) for number in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape[1:] != other[0].shape[1:] or not np.array_equal(first[0], other[0])
    assert np.isfinite(first[0]).all()


def test_train_writes_networks_card_and_curves_and_they_are_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", "leakage:fig3-learned", *TINY, "--axis", "sensor_set=0,1", "--serial", "--outputs", "1")
    assert nearfield(*words, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert re.search(r"K5-set0: epoch 2, losses \d\.\d+ training, \d\.\d+ validation", printed.err)
    assert "other than Table II: training 200, epochs 2" in printed.out
    folder = Path("checkpoints/leakage-fig3-learned")
    names = {"K5-set0.json", "K5-set0.safetensors", "K5-set1.json", "K5-set1.safetensors", "training.png"}
    assert {path.name for path in folder.iterdir()} == names
    card = Checkpoint(path=str(folder / "K5-set0.safetensors")).read().card
    assert card.seed == TRAINING_SEED
    assert [member.estimates for member in card.members] == ["range", "angle"]
    assert 0 < card.members[0].test_mse_range_m2 < 20
    assert nearfield(*words, monkeypatch=monkeypatch) == 0
    assert "K5-set1: already trained" in capsys.readouterr().err
    run = (
        "run", "leakage:fig3-learned", "--store", "s.zarr", "--serial", "--realizations", "50", "--axis", "n_sensors=5",
        "--axis", "sensor_set=0,1", "--set", "noise_dbm=-75", "--set", "n_snapshots=50",
        "--set", f"checkpoints={folder}",
    )  # fmt: skip
    assert nearfield(*run, "--seed", str(TRAINING_SEED), monkeypatch=monkeypatch) == 2
    assert re.search(r"seed 1000003 drew the data that \w+ was trained on", capsys.readouterr().err)
    assert nearfield(*run, monkeypatch=monkeypatch) == 0
    from engine import open_results
    from scenarios.leakage import fig3_learned
    from scenarios.leakage.claims import claims
    from scenarios.leakage.rows import summary

    results = open_results("s.zarr").load()
    rows = summary(results)
    assert {row.estimator for row in rows} >= {"deep_sets", "amortised_deep_sets", "posterior_mean"}
    assert any("consistently outperforms" in claim.claim for claim in claims(results))
    assert fig3_learned.figure is not None
    fig3_learned.figure(results, rows).savefig("f.png")


TRAINABLE = "leakage:amortised, leakage:fig3-learned, .*multipath:conditioned, multipath:fig4"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train leakage:fig3", f"nothing is trained on leakage:fig3: choose {TRAINABLE}"),
        ("train leakage:amortized", "no training 'leakage:amortized'; did you mean 'leakage:amortised'?"),
        ("train leakage:fig3-learned --data x.zarr", "--data: leakage:fig3-learned draws its users itself"),
        ("train leakage:amortised --axis n_sensors=5", "has no axes"),
        ("train leakage:fig3-learned --serial --workers 2", "a serial training has no workers"),
        ("train leakage:fig3-learned --workers 2 --replicas 2", "and no --replicas beside them"),
        ("train leakage:fig3-learned --epochs 0", "Invalid value for '--epochs'"),
        ("run leakage:fig3-learned --store x --set checkpoints=nowhere", "checkpoint nowhere: No such file"),
    ],
)
def test_nonsense_is_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 2
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", capsys.readouterr().err)


class _Counting:
    """Reports 0, 1, 2 and then how often it was started; dies once if told to."""

    def __init__(self, folder: Path, name: str, *, dies: bool = False, raises: bool = False) -> None:
        self.folder, self.name, self.dies, self.raises = folder, name, dies, raises

    def __call__(self) -> Iterator[str]:
        note = self.folder / self.name
        starts = len(note.read_text()) + 1 if note.exists() else 1
        note.write_text("x" * starts)
        yield f"{self.name} begins"
        if self.dies and starts == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.raises:
            raise ZeroDivisionError("by design")
        yield f"{self.name} started {starts} times"


def test_jobs_are_spread_and_lost_ones_begin_again(local_ray: None, tmp_path: Path) -> None:
    from engine.execution import cluster

    jobs = [_Counting(tmp_path, "a"), _Counting(tmp_path, "b", dies=True), _Counting(tmp_path, "c")]
    reports = list(cluster.stream(jobs, "cpu", folder=tmp_path, workers=2))
    assert {"a started 1 times", "b started 2 times", "c started 1 times"} <= set(reports)
    assert reports.count("b begins") in (1, 2)  # its last words may have died with it
    with pytest.raises(TaskError, match="ZeroDivisionError: by design"):
        list(cluster.stream([_Counting(tmp_path, "d", raises=True)], "cpu", folder=tmp_path))
    with pytest.raises(InputError, match="workers: given 9, needed at most 7"):
        list(cluster.stream([_Counting(tmp_path, f"{i}") for i in range(9)], "cpu", folder=tmp_path, workers=9))


def test_a_killed_training_continues(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "jobs", "train", "leakage:fig3-learned", *TINY[:2], "--epochs", "25"]
    words += [*TINY[4:], "--axis", "sensor_set=0", "--serial", "--patience", "25"]
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    first = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=here)
    assert first.stderr is not None
    for line in first.stderr:
        if "epoch 2," in line:
            break
    first.kill()
    first.wait()
    first.stderr.close()
    again = subprocess.run(words, capture_output=True, text=True, env=here, check=True)
    assert "epoch 1," not in again.stderr
    assert "trained" in again.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own: it reads its deprecated settings
def test_replicas_learn_what_one_learns(tmp_path: Path, local_ray: None) -> None:
    """Ray Train, two workers with gloo, halves of every batch: the same networks but for rounding."""
    from engine.execution import cluster

    scene = SensorSetEstimation(n_sensors=5, noise_dbm=(-75.0,), n_snapshots=(50,))
    options = Options(training=256, validation=64, test=32, epochs=2)
    alone, shared = (SetTraining(DrawnSet(scene), "t", "f", tmp_path / name, options) for name in ("alone", "shared"))
    list(alone())
    reports = list(cluster.replicate(shared, 2, "cpu", folder=tmp_path))
    assert "trained" in reports[-1].text
    one, two = (Checkpoint(path=str(tmp_path / name / "K5-set0.safetensors")).read() for name in ("alone", "shared"))
    assert two.card.recipe["replicas"] == 2
    for name, part in one.parameters.items():
        assert np.abs(part - two.parameters[name]).max() < 2e-3
