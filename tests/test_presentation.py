"""A sweep presents its results: the summary is made once for a command, and a plain figure and report need none."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy
import xarray

import engine
from engine.sweep import TextTable
from jobs import main as command_line
from jobs.cli import named
from jobs.show import presentation as presenting
from jobs.show.presentation import Presentation
from jobs.show.settings import changes
from jobs.show.tables import print_tables
from scenarios import leakage
from scenarios.figures.panels import legend_below, titled

COMMANDS = {
    "reproduce": ("reproduce", "toy:small", "--serial", "--store", "s.zarr"),
    "plot": ("plot", "s.zarr", "-o", "s.png"),
    "report": ("report", "s.zarr", "-o", "s.html"),
}


def drawn() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A command on a store of the toy, whose sweep has other presentational fields."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(toy.__file__).parent))
    engine.run(toy.small, "s.zarr", serial=True)

    def command(which: str, **fields: Any) -> None:
        monkeypatch.setattr(toy, "small", toy.small.replace(**fields))
        monkeypatch.setattr(sys, "argv", ["nearfield", *COMMANDS[which]])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code

    return command


@pytest.mark.parametrize(
    ("which", "calls"),
    [
        ("reproduce", {"summary": 1, "figure": 1, "report": 1}),
        ("report", {"summary": 1, "figure": 1, "report": 1}),
        ("plot", {"summary": 1, "figure": 1}),
    ],
)
def test_a_summary_is_made_once_for_a_command(run: Callable[..., None], which: str, calls: dict[str, int]) -> None:
    made: Counter[str] = Counter()

    def summary(results: xarray.Dataset) -> float:
        made["summary"] += 1
        return float(results.power.max())

    def figure(results: xarray.Dataset, highest: float) -> Any:
        made["figure"] += 1
        assert highest == float(results.power.max())
        return drawn()

    def report(results: xarray.Dataset, highest: float) -> list[TextTable]:
        made["report"] += 1
        assert highest == float(results.power.max())
        return [TextTable("highest", ("power",), [(f"{highest:g}",)])]

    run(which, summary=summary, figure=figure, report=report)
    assert made == calls


@pytest.mark.parametrize("which", list(COMMANDS))
def test_a_plain_figure_and_report_take_the_results_alone(run: Callable[..., None], which: str) -> None:
    seen = []

    def figure(results: xarray.Dataset) -> Any:
        seen.append("figure")
        return drawn()

    def report(results: xarray.Dataset) -> list[TextTable]:
        seen.append("report")
        return [TextTable("highest", ("power",), [(f"{results.power.max():g}",)])]

    run(which, figure=figure, report=report)
    assert sorted(seen) == (["figure"] if which == "plot" else ["figure", "report"])


def test_a_sweep_that_presents_nothing_gets_lines_and_means(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("reproduce")
    assert "power (W)" in capsys.readouterr().out
    assert Path("s.png").stat().st_size > 10_000


def test_receipts_are_read_only_for_figures_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(toy.__file__).parent))
    engine.run(toy.small, tmp_path / "s.zarr", serial=True)
    results = engine.open_results(tmp_path / "s.zarr")
    monkeypatch.setattr(toy, "small", toy.small.replace(timed=True))
    timed = Presentation(results, tmp_path / "s.zarr").results
    assert timed.seconds_per_realization.dims == ("offset",)
    assert (timed.seconds_per_realization > 0).all()
    assert timed.offset.attrs == results.offset.attrs
    assert timed.offset.attrs["long_name"] == "added to x"
    monkeypatch.setattr(toy, "small", toy.small.replace(timed=False))
    monkeypatch.setattr(presenting, "task_seconds", lambda path: pytest.fail("read all receipts"))
    assert Presentation(results, tmp_path / "s.zarr").results is results


SET = [
    ("leakage:fig1", "n_sensors=20", {}),
    ("leakage:fig3", "n_sensors=20", {"grid_ranges": 12, "grid_angles": 24}),
    ("leakage:fig3-learned", "n_sensors=10", {"grid_ranges": 12, "grid_angles": 24}),
    ("ris:fig6", "range_max_m=10", {"elements_per_side": 9, "angle_step_rad": 0.1}),
    ("ris:fig7", "n_cycles=10", {"elements_per_side": 9, "angle_step_rad": 0.1}),
    ("ris:fig8", "angle_step_rad=0.08", {"elements_per_side": 11}),
]


@pytest.mark.parametrize(("name", "setting", "fields"), SET, ids=[name for name, *_ in SET])
def test_a_field_that_was_an_axis_keeps_figure_and_tables(
    tmp_path: Path, name: str, setting: str, fields: dict[str, Any]
) -> None:
    """Results of the paper's sweep at one of its points are drawn, told and judged as it is, over an axis of one."""
    base = named.find(name)
    sweep = named.changed(base, settings=[setting], axes=[])
    sweep = sweep.replace(scenario=sweep.scenario.replace(**fields), realizations=4, block=4, chunk=4)
    presented = Presentation(engine.run(sweep, tmp_path / "x.zarr", serial=True).load(), tmp_path / "x.zarr")
    assert presented.has_figure
    field = setting.partition("=")[0]
    assert presented.results.complete.dims == (*base.axes, "realization")
    assert presented.results[field].values.tolist() == [getattr(sweep.scenario, field)]
    presented.figure()
    tables = presented.tables()
    assert (tables is None) == (base.report is None)
    for table in tables or []:  # nothing grows along an axis of one value, and nothing is judged as if it might
        assert not any(f"with {field}" in row[0] for row in table.rows)


def test_a_store_with_an_axis_of_its_own_is_drawn_as_any(tmp_path: Path) -> None:
    sweep = named.changed(leakage.fig1, settings=["n_sensors=5"], axes=["n_elements=16,32"])
    results = engine.run(sweep.replace(realizations=50), tmp_path / "x.zarr", serial=True)
    assert not Presentation(results.load(), tmp_path / "x.zarr").has_figure


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_title_and_legend_fit_the_figure(columns: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 + 2.75 * columns, 7.2), layout="constrained")
    panel = figure.subplots()
    lines = [panel.plot([0], [0])[0] for _ in range(7)]
    labels = [f"maximum likelihood {'x' * i}" for i in range(7)]
    legend_below(figure, lines, labels)
    titled(
        figure, "Locating a near-field user", ("data: spherical", "estimators assume: fresnel closed, as printed") * 2
    )
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for part in (figure.legends[0], figure._suptitle):
        box = part.get_window_extent(canvas.get_renderer())
        assert figure.bbox.x0 <= box.x0, part
        assert box.x1 <= figure.bbox.x1, part
        assert box.width > 0.4 * figure.bbox.width  # and uses its width


def _texts_inside(figure: Any) -> list[Any]:
    """Title and names of axes of a drawn figure, each inside it and none upon another."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [part for axes in figure.axes for part in (axes.xaxis.label, axes.yaxis.label) if part.get_text()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in (*figure.texts, *names)]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:i])
    return boxes


def test_one_thing_changed_is_told_in_figure_and_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure of 16 elements at 3 GHz is not the paper's, and says so; an estimator without an estimate is named."""
    settings = ["n_elements=16", "carrier_hz=3e9", "n_sensors=3", "n_snapshots=1", "noise_dbm=-130,-85"]
    sweep = named.changed(named.find("leakage:fig3"), settings=settings, axes=[])
    path = tmp_path / "x.zarr"
    results = engine.run(sweep.replace(realizations=4, block=4, chunk=4), path, serial=True).load()
    figure = Presentation(results, path).figure()
    title = figure.get_suptitle().replace("\N{NO-BREAK SPACE}", " ")
    assert "leakage:fig3, but n_elements = 16, carrier_hz = 3×10⁹ Hz, n_sensors = 3" in title.replace("\n", " ")
    assert "without estimates, not drawn: network upon likelihoods, amortised" in title
    _texts_inside(figure)
    monkeypatch.setattr(sys, "argv", ["nearfield", "status", str(path)])
    with pytest.raises(SystemExit):
        command_line.main()
    printed = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert "\nsettings     leakage:fig3, but n_elements = 16, carrier_hz = 3×10⁹ Hz, n_sensors = 3\n" in printed


def test_what_is_the_named_sweeps_is_not_told(tmp_path: Path) -> None:
    sweep = named.changed(leakage.fig1, settings=["noise_dbm=-85"], axes=["n_sensors=5,9"], realizations=5, seed=3)
    results = engine.run(sweep, tmp_path / "x.zarr", serial=True).load()
    assert "but" not in Presentation(results, tmp_path / "x.zarr").figure().get_suptitle()


def test_a_figure_without_a_title_is_told_of_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(toy.__file__).parent))
    sweep = toy.small.replace(scenario=toy.small.scenario.replace(size=5))
    results = engine.run(sweep, tmp_path / "s.zarr", serial=True).load()
    monkeypatch.setattr(toy, "small", toy.small.replace(figure=lambda results: drawn()))
    assert (
        Presentation(results, tmp_path / "s.zarr")
        .figure()
        .get_suptitle()
        .endswith("size\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}5")
    )


def test_means_at_a_single_number_of_sensors_have_marks_and_intervals(tmp_path: Path) -> None:
    """A line of one point has no style, and an area no width."""
    sweep = named.changed(leakage.fig1, settings=["n_sensors=4", "noise_dbm=-85"], axes=[], realizations=30)
    results = engine.run(sweep, tmp_path / "x.zarr", serial=True).load()
    figure = Presentation(results, tmp_path / "x.zarr").figure()
    for panel in figure.axes:
        (first, _), (other, _) = (
            (line.get_marker(), line)
            for line in panel.lines
            if line.get_linestyle() in ("-", "--") and line.get_marker() in "os"
        )
        assert first != other
        reach = [segment for one in panel.collections for segment in getattr(one, "get_segments", list)()]
        assert len(reach) == 2
        assert all(high > low for (_, low), (_, high) in reach)
        assert panel.get_xticks().tolist() == [4]


def test_tables_of_means_say_what_the_numbers_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for realizations, words in (
        (1, "m²), n_snapshots 1; of one realization, which has no standard error"),
        (3, "m²), n_snapshots 1; mean ± standard error of 3 realizations"),
    ):
        sweep = named.changed(
            leakage.fig1, settings=["n_snapshots=1"], axes=["n_sensors=4,5"], realizations=realizations
        )
        results = engine.run(sweep, tmp_path / f"{realizations}.zarr", serial=True).load()
        print_tables(results, ("bcrlb_range_m2",))
        assert words in " ".join(capsys.readouterr().out.split())


def test_settings_of_a_hostile_store_are_told_in_one_harmless_line() -> None:
    base = toy.small
    fields = base.scenario.model_dump(mode="json") | {"label": "$\\frac{1$\x1b[2J\nnearfield: all is well " + "x" * 500}
    kind = base.definition()["scenario"]
    attributes = {
        "name": "toy:small",
        "scenario_class": kind,
        "scenario": json.dumps(fields),
        "axes": json.dumps({n: list(v) for n, v in base.axes.items()}),
    }
    (said,) = changes(attributes, base)
    assert said.replace("\N{NO-BREAK SPACE}", " ").isprintable()
    assert len(said) < 100
    figure = drawn()
    presented = Presentation.__new__(Presentation)
    presented.results, presented._named = xarray.Dataset(attrs=attributes), base
    presented.told(figure).canvas.draw()
