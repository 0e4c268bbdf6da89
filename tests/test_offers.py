"""A family's offer of trainings in one file: found by the class of a sweep's scenario, and by its own name."""

import re
import sys
from pathlib import Path

import pytest
from test_cli import nearfield

from engine import InputError, Sweep
from jobs.cli import offers
from scenarios.leakage.sensor_sets import SensorSetEstimation
from scenarios.learning.offer import Offer
from scenarios.learning.options import Options, asked_for
from scenarios.multipath import fig4

THIRD = '''
"""A family of the user's: places on a line."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine import Scenario, Sweep
from scenarios.learning.offer import Offer, Request
from scenarios.learning.options import Options
from scenarios.learning.training import Report


class Draws(NamedTuple):
    place_m: np.ndarray


class Line(Scenario):
    length_m: float = 1.0

    def draw(self, streams, size):
        return Draws(self.length_m * streams("place").random(size))

    def prepare(self, xp):
        return lambda drawn, *, intermediates=False: {"place_m": (("realization",), drawn.place_m, {"units": "m"})}


class Bent(Line):
    pass


@dataclass(frozen=True)
class Mean:
    """Learns the mean place."""

    request: Request
    length_m: float

    def __call__(self):
        path = self.request.folder / f"{self.length_m:g}.txt"
        yield Report("begins")
        options = self.request.options
        path.write_text(f"{self.length_m:g} m, {options.training} samples, seed {options.seed}, {self.request.data}")
        yield Report(f"{path.name}: trained", str(path))


def trainings(request):
    sweep = request.sweep
    return [Mean(request, sweep.at((i,) if sweep.axes else ()).length_m) for i in range(sweep.n_points)]


def curves(paths):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().set_title(" ".join(path.stem for path in paths))
    return figure


line = Sweep(Line(), realizations=10)
lines = Offer(
    "third:lines", "means of lines", trainings, kind=Line, options=Options(training=100, validation=10),
    quick=Options(training=10, validation=1, label="quick: 10 samples"), data="third:line", curves=curves,
    quick_sweep=lambda sweep: sweep.replace(axes={"length_m": (1.0, 2.0)}),
)
short = Offer(
    "third:short", "the mean of a short line", trainings, sweep=Sweep(Line(length_m=0.5)), options=Options(samples=7),
    curves=None,
)
bent = Sweep(Bent(length_m=3.0))
'''


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (tmp_path / "third.py").write_text(THIRD)
    (tmp_path / "studies.py").write_text("from third import Bent, Sweep\n\nown = Sweep(Bent(length_m=4.0))\n")
    monkeypatch.delitem(sys.modules, "third", raising=False)
    monkeypatch.delitem(sys.modules, "studies", raising=False)


@pytest.mark.parametrize(
    ("words", "files", "content"),
    [
        ("third:line --seed 5", ["1"], "1 m, 100 samples, seed 5, None"),
        ("third:line --quick --data s.zarr", ["1", "2"], "1 m, 10 samples, seed 1000003, s.zarr"),
        ("third:line --samples 30 --axis length_m=7,8", ["7", "8"], "7 m, 30 samples, seed 1000003, None"),
        ("third:bent", ["3"], "3 m, 100 samples, seed 1000003, None"),
        ("studies:own --set length_m=6", ["6"], "6 m, 100 samples, seed 1000003, None"),
    ],
)
def test_a_third_family_is_trained_by_the_command(
    words: str, files: list[str], content: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield("train", *words.split(), "--serial", "--output", "out", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert [path.stem for path in sorted(Path("out").glob("*.txt"))] == files
    assert Path(f"out/{files[0]}.txt").read_text() == content
    assert Path("out/training.png").stat().st_size > 1000
    assert printed.err.count("trained") == len(files)
    label = {"--quick": "    (quick: 10 samples)", "--samples": "    (other than the default: training 30)"}
    expected = next((text for option, text in label.items() if option in words), "")
    assert f"networks out, {len(files)} files{expected}\n" in printed.out


def test_an_offer_of_its_own_name_needs_no_curves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield("train", "third:short", "--serial", monkeypatch=monkeypatch) == 0
    assert [path.name for path in Path("checkpoints/third-short").iterdir()] == ["0.5.txt"]
    assert "curves" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("third:lines", "third:lines trains on sweeps of Line: name one of those instead"),
        ("leakage:sensor-sets", "leakage:sensor-sets trains on sweeps of SensorSetEstimation: name one of those"),
        ("third:short --epochs 3", "third:short sees every sample once: give --samples rather than"),
        ("third:short --data s.zarr", "--data: third:short draws its users itself, given the store s.zarr"),
        ("third:Line", "'third:Line' is no sweep"),
        ("nowhere:line", "no sweep named 'nowhere:line' and no module 'nowhere'"),
        ("surface:sweep", "nothing is trained on surface:sweep: choose leakage:amortised, leakage:fig3-learned, "),
    ],
)
def test_what_is_not_offered_is_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("surface.py").write_text("from scenarios.ris import fig4 as sweep\n")
    monkeypatch.delitem(sys.modules, "surface", raising=False)
    assert nearfield("train", *words.split(), "--serial", monkeypatch=monkeypatch) == 2
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", capsys.readouterr().err)


def test_without_a_name_what_there_is_is_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nearfield("train", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    found = offers.trainable()
    assert {"leakage:amortised", "leakage:fig3-learned", "multipath:conditioned", "multipath:fig4"} <= set(found)
    assert "leakage:fig3" not in found
    for name, offer in found.items():
        assert re.search(rf"{name} +{offer.about[:40]}", printed)


def test_a_users_offer_comes_before_the_familys(tmp_path: Path) -> None:
    """For a scenario of a family: the user's module has its own idea of how to train on it."""
    (tmp_path / "studies.py").write_text(
        "from scenarios.learning.offer import Offer\n"
        "from scenarios.multipath import MultipathEstimation, fig4 as sweep\n"
        "mine = Offer('studies:mine', 'mine', lambda request: [], kind=MultipathEstimation)\n"
        "again = Offer('called:otherwise', 'again', lambda request: [], sweep=sweep)\n"
    )
    offer, sweep = offers.find("studies:again")
    assert (offer.about, sweep) == ("again", fig4.replace(name="studies:again"))
    assert offers.find("studies:sweep")[0].about == "mine"
    assert offers.find("multipath:fig4") == (offers.trainable()["multipath:fig4"], fig4)


def test_an_offer_is_for_a_kind_or_for_a_sweep() -> None:
    scenario = SensorSetEstimation()
    for fields in ({}, {"kind": SensorSetEstimation, "sweep": Sweep(scenario)}):
        with pytest.raises(InputError, match="give one of the two"):
            Offer("t", "about", lambda request: [], **fields)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give an offer's options and quick alike"):
        Offer("t", "about", lambda request: [], kind=SensorSetEstimation, quick=Options(samples=3))


def test_defaults_are_the_papers() -> None:
    """Table II, and the users of Table III; the quick ways are smaller in all that costs."""
    offered = offers.trainable()
    free, traced = offered["leakage:fig3-learned"].options, offered["multipath:fig4"].options
    assert (free.training, free.validation, free.test) == (35_000, 15_000, 1_000)
    assert (traced.training, traced.validation, traced.test) == (20_300, 8_700, 1_000)
    for options in (free, traced):
        assert (options.batch, options.patience, options.epochs, options.label) == (32, 10, 200, "")
    for offer in offered.values():
        quick = offer.chosen("t", {}, quick=True, data=None)
        assert quick.label.startswith("quick: ")
        assert quick.samples <= offer.options.samples
        assert quick.training * quick.epochs <= offer.options.training * offer.options.epochs


def test_options_say_what_was_asked_for() -> None:
    default, fresh = Options(training=100, validation=30, label="l"), Options(samples=50)
    assert asked_for(default, {"seed": 3}, quick=False, source="s") == Options(
        training=100, validation=30, seed=3, label="l"
    )
    some = asked_for(default, {"samples": 10, "patience": 2}, quick=True, source="s")
    assert (some.training, some.validation, some.samples, some.label) == (10, 3, 0, "quick: training 10, patience 2")
    assert asked_for(default, {"epochs": 9}, quick=False, source="s").label == "other than s: epochs 9"
    labels = [
        asked_for(fresh, changes, quick=quick, source="s").label
        for changes, quick in (({}, False), ({"samples": 8}, False), ({}, True), ({"samples": 8}, True))
    ]
    assert labels == ["", "8 samples", "quick: 50 samples", "quick: 8 samples"]
    with pytest.raises(InputError, match="samples: given -1, needed at least 1, or 0 to train in epochs"):
        Options(samples=-1)
