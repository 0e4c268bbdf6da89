"""A figure of any store: what is drawn where, that the numbers are those of plain NumPy, and that nothing overlaps."""

import itertools
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
import xarray

import engine
from engine import InputError, Sweep
from jobs import main as command_line
from jobs.show.generic_figure import figure_of
from jobs.show.metrics import Metric, beside, measured, metric, usual_metrics
from jobs.show.placement import Asked, Placement, at_point, place
from jobs.show.words import axis_title, said
from scenarios import leakage

ARCHIVES = sorted((Path(__file__).parent / "golden").glob("*.zip"))


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.stem)
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    path = tmp_path_factory.mktemp("golden") / "x.zarr"
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(path)
    return engine.open_results(path).load()


def made(sizes: dict[str, list[Any]], name: str = "squared_error_range_m2", **attributes: str) -> xarray.Dataset:
    """Results of six realizations along these dimensions, made up."""
    random = np.random.default_rng(0)
    dims = [*sizes, "realization"]
    values = random.exponential(size=[*(len(values) for values in sizes.values()), 6])
    text = {"units": "m2", "long_name": "squared error of the range"} | attributes
    attrs = {"highlights": "[]", "axes": "{}", "about": "made up", "name": "", "scenario_class": "none:None"}
    return xarray.Dataset({name: (dims, values, text)}, sizes, attrs | {"scenario": "{}"})


def placed(results: xarray.Dataset, asked: Asked = Asked()) -> Placement:  # noqa: B008  it is frozen
    return place(results.squared_error_range_m2.isel(realization=0), results, asked)


def axes_of(figure: Any) -> list[Any]:
    return [axes for axes in figure.get_axes() if axes.get_visible()]


NOISE = [-85.0, -75.0, -65.0]
NAMES = ["least_squares", "maximum_likelihood"]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"estimator": NAMES, "noise_dbm": NOISE}, ("noise_dbm", "estimator", (), ())),
        ({"estimator": ["a", "b", "c", "d"], "n_snapshots": [1, 50]}, ("n_snapshots", "estimator", (), ())),
        ({"n_sensors": [5, 9], "noise_dbm": NOISE, "n_snapshots": [1, 50]},
         ("noise_dbm", "n_sensors", ("n_snapshots",), ())),
        ({"sensor_set": list(range(5)), "noise_dbm": NOISE}, ("noise_dbm", "sensor_set", (), ())),
        ({"estimator": NAMES}, ("estimator", "", (), ())),
        ({"estimator": NAMES, "kind": ["x", "y", "z"]}, ("kind", "estimator", (), ())),
        ({"estimator": NAMES, "noise_dbm": [-85.0]}, ("estimator", "", (), ())),
        ({"noise_dbm": NOISE, "estimator": list("abcdefghijklm"), "n_snapshots": [1, 50]},
         ("noise_dbm", "n_snapshots", (), ("estimator",))),
        ({"noise_dbm": NOISE, "estimator": NAMES, "sensor_set": list(range(7)), "n_snapshots": [1, 50]},
         ("noise_dbm", "estimator", ("n_snapshots",), ("sensor_set",))),
        ({}, ("", "", (), ())),
    ],
)  # fmt: skip
def test_what_goes_where(sizes: dict[str, list[Any]], expected: tuple[Any, ...]) -> None:
    """Numbers along x, most values first; what only counts, and names, last; colours for names before numbers."""
    assert placed(made(sizes)) == expected


def test_everything_can_be_asked_for() -> None:
    results = made({"estimator": NAMES, "noise_dbm": NOISE, "n_snapshots": [1, 50]})
    asked = Asked("n_snapshots", "noise_dbm", ("estimator",))
    assert placed(results, asked) == ("n_snapshots", "noise_dbm", ("estimator",), ())
    assert placed(results, Asked(hue="noise_dbm")) == ("n_snapshots", "noise_dbm", ("estimator",), ())
    assert placed(results, Asked(panel=("estimator", "noise_dbm"))).panels == ("estimator", "noise_dbm")
    assert placed(results, Asked(x="estimator")).x == "estimator"
    assert placed(made({"noise_dbm": NOISE}), Asked(hue="noise_dbm")) == ("", "", ("noise_dbm",), ())
    with pytest.raises(InputError, match="--panel: given 70 panels, needed at most 60: --point"):
        placed(made({"noise_dbm": NOISE, "user": list(range(70))}), Asked(panel=("user",)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(x="noise"), "--x: squared_error_range_m2 has no dimension 'noise'; did you mean 'noise_dbm'"),
        (Asked(hue="z"), "--hue: squared_error_range_m2 has no dimension 'z'; choose one of estimator, noise_dbm"),
        (Asked(panel=("n_snapshots",)), "--panel: n_snapshots has one value here, nothing varies along it"),
        (Asked(x="noise_dbm", hue="noise_dbm"), "--hue: noise_dbm is --x already"),
        (Asked(x="realization"), "--x: squared_error_range_m2 has no dimension 'realization'"),
    ],
)
def test_a_wrong_dimension_is_one_line(asked: Asked, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        placed(made({"estimator": NAMES, "noise_dbm": NOISE, "n_snapshots": [1]}), asked)


def test_metrics_are_named_as_targets_are() -> None:
    results = made({"noise_dbm": NOISE})
    assert metric("rmse_range_m", results) == Metric("rmse", "squared_error_range_m2")
    assert metric("median:squared_error_range_m2", results) == Metric("median", "squared_error_range_m2")
    assert metric("squared_error_range_m2", results) == Metric("mean", "squared_error_range_m2")
    for text, message in (
        ("rmse_rang_m", "no variable 'rmse_rang_m'; did you mean 'rmse_range_m'"),
        ("medain:squared_error_range_m2", "no statistic 'medain'; did you mean 'median'"),
        ("rmse:rmse_range_m", "no variable 'rmse_range_m'; choose one of squared_error_range_m2"),
    ):
        with pytest.raises(InputError, match=message):
            metric(text, results)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    """Fig. 3 at two numbers of sensors, with two estimators."""
    from engine.estimators import LeastSquares, PosteriorMean

    scenario = leakage.fig3.scenario.replace(
        estimators=(LeastSquares(leakage="fresnel_closed"), PosteriorMean(leakage="fresnel_closed")),
        n_elements=16, grid_ranges=12, grid_angles=24, noise_dbm=(-85.0, -70.0, -60.0), n_snapshots=(1, 50),
    )  # fmt: skip
    sweep = leakage.fig3.replace(scenario=scenario, axes={"n_sensors": (5, 9)}, realizations=20, block=20, chunk=20)
    return engine.run(sweep, tmp_path_factory.mktemp("few") / "x.zarr", serial=True).load()


def test_what_is_drawn_is_what_numpy_makes_of_the_store(few: xarray.Dataset) -> None:
    """Every mark of Fig. 3's errors, the bound, and the variance of users as they are drawn."""
    figure = figure_of(few, metrics=("squared_error_range_m2", "rmse_angle_rad"))
    (n_snapshots, n_sensors) = ([1, 50], [5, 9])
    panels = iter(axes_of(figure))
    for root, name, bound, blind in (
        (False, "squared_error_range_m2", "bcrlb_range_m2", 10**2 / 12),
        (True, "squared_error_angle_rad2", "bcrlb_angle_rad2", (few_angle_width() ** 2) / 12),
    ):
        for k, count in itertools.product(n_sensors, n_snapshots):
            panel = next(panels)
            assert panel.get_title() == f"K = {k}, L = {count}"
            here = few.sel(n_sensors=k, n_snapshots=count)
            drawn = [line.get_ydata() for line in panel.lines]
            for estimator in few.estimator.values:
                values = here[name].sel(estimator=estimator).transpose("realization", "noise_dbm").values
                mean = values.mean(axis=0)
                expected = np.sqrt(mean) if root else mean
                assert any(len(ys) == 3 and np.allclose(ys, expected, rtol=1e-12) for ys in drawn), (k, count)
            mean = here[bound].transpose("realization", "noise_dbm").values.mean(axis=0)
            assert any(len(ys) == 3 and np.allclose(ys, np.sqrt(mean) if root else mean) for ys in drawn)
            guess = np.sqrt(blind) if root else blind
            assert any(np.allclose(ys, guess) for ys in drawn)
    labels = [text.get_text() for text in figure.subfigs[-1].legends[0].get_texts()]
    assert labels[:2] == ["least squares", "posterior mean"]
    assert labels[-1] == "blind guess"
    assert "Bayesian Cramér-Rao bound" in labels
    assert [part.legends for part in figure.subfigs[:-1]] == [[]]  # one legend for both


def few_angle_width() -> float:
    scenario = leakage.fig3.scenario
    return scenario.user_angle_max_rad - scenario.user_angle_min_rad


def test_intervals_are_those_of_the_summary(few: xarray.Dataset) -> None:
    one = measured(few, Metric("median", "squared_error_range_m2"))
    summary = engine.summarize(few.squared_error_range_m2)
    xarray.testing.assert_equal(one["value"].drop_attrs(), summary["median"].rename("value").drop_attrs())
    xarray.testing.assert_equal(one["low"].drop_attrs(), summary["median_low"].rename("low").drop_attrs())
    assert one.attrs["text"] == "median of the squared error of the range (m²)"
    assert beside(few, Metric("median", "squared_error_range_m2")) == []  # a bound on the mean bounds no median
    assert measured(few, Metric("rmse", "squared_error_range_m2")).attrs["text"].endswith("(m)")


def test_a_bound_is_known_by_its_name_unit_and_description() -> None:
    results = made({"noise_dbm": NOISE})
    error = results.squared_error_range_m2
    bound = error.copy().assign_attrs(long_name="some bound on the range")
    results = results.assign(
        my_range_m2=bound,
        other_angle_m2=bound,
        other_range_m2=bound.copy().assign_attrs(units="m"),
        boundless_range_m2=bound.copy().assign_attrs(long_name="unboundedness"),
        least_range_m2=bound.copy().assign_attrs(long_name="the least there is"),
        wide_range_m2=bound.copy().expand_dims(user=2),
    )
    curves = beside(results, Metric("mean", "squared_error_range_m2"))
    assert [(curve.text, curve.is_bound) for curve in curves] == [
        ("some bound on the range", True), ("the least there is", True),
    ]  # fmt: skip
    np.testing.assert_allclose(curves[0].values, error.values.mean(axis=-1))


def test_a_blind_guess_follows_the_axes(tmp_path: Path) -> None:
    """Where the users' ranges are an axis, so is the variance of a guess at them; elsewhere it is one number."""
    sweep = leakage.fig1.replace(
        scenario=leakage.fig1.scenario.replace(n_elements=16),
        axes={"user_range_max_m": (8.0, 14.0), "n_sensors": (5, 9)},
    )
    results = engine.run(sweep.replace(realizations=4, block=4, chunk=4), tmp_path / "x.zarr", serial=True)
    (in_range,) = beside(results, Metric("mean", "bcrlb_range_m2"))
    assert in_range.values.dims == ("user_range_max_m",)
    a, b, low = (getattr(sweep.scenario, name) for name in ("prior_alpha", "prior_beta", "user_range_min_m"))
    expected = [(high - low) ** 2 * a * b / ((a + b) ** 2 * (a + b + 1)) for high in (8.0, 14.0)]
    np.testing.assert_allclose(in_range.values, expected)
    (in_angle,) = beside(results, Metric("mean", "bcrlb_angle_rad2"))
    assert in_angle.values.dims == ()


def test_names_are_never_joined(few: xarray.Dataset) -> None:
    figure = figure_of(few, metrics=("squared_error_range_m2",), asked=Asked(x="estimator"))
    for panel in axes_of(figure):
        joined = [line for line in panel.lines if line.get_linestyle() != "None" and line.get_marker() != "None"]
        assert not joined
        assert [text.get_text() for text in panel.get_xticklabels()] == ["least squares", "posterior mean"]
    along = figure_of(few, metrics=("squared_error_range_m2",))
    assert all(any(line.get_linestyle() == "-" for line in panel.lines) for panel in axes_of(along))


def test_colour_and_marker_tell_apart_together() -> None:
    results = made({"noise_dbm": NOISE, "estimator": [f"method {i}" for i in range(12)]})
    entries = figure_of(results).subfigs[0].legends[0].get_lines()
    assert len({(str(line.get_color()), line.get_marker()) for line in entries}) == 12
    numbers = figure_of(made({"noise_dbm": NOISE, "n_snapshots": [1, 50]})).subfigs[0].legends[0]
    assert [text.get_text() for text in numbers.get_texts()] == ["L = 1", "L = 50"]
    assert len({str(line.get_color()) for line in numbers.get_lines()}) == 2
    assert len({line.get_marker() for line in numbers.get_lines()}) == 2


def test_words_and_units() -> None:
    results = made(
        {"noise_dbm": NOISE, "carrier_hz": [28e9, 60e9], "n_bits": [1, 2], "estimator": NAMES, "$x_": [1, 2]}
    )
    results["noise_dbm"].attrs = {"units": "dBm", "long_name": "noise power"}
    results["carrier_hz"].attrs = {"units": "Hz", "long_name": "carrier frequency"}
    results["n_bits"].attrs = {"long_name": "bits of a phase B"}
    assert said(results, "noise_dbm", 0) == "σ² = −85 dBm"
    assert said(results, "carrier_hz", 0) == "carrier frequency 2.8×10¹⁰ Hz"
    assert said(results, "n_bits", 1) == "B = 2"
    assert said(results, "estimator", 0) == "least squares"
    assert said(results, "user", 3) == "user 3"
    assert axis_title(results, "noise_dbm") == "noise power σ² (dBm)"
    assert axis_title(results, "n_bits") == "bits of a phase B"
    assert axis_title(results, "$x_") == r"\$x"


def test_what_is_left_out_is_told() -> None:
    results = made({"noise_dbm": NOISE, "estimator": NAMES, "sensor_set": list(range(7)), "n_snapshots": [1, 50]})
    results.squared_error_range_m2[0, 0, 0, 0, :2] = np.nan
    results = results.assign(complete=("realization", np.ones(6, bool)))
    for i in range(5):
        results[f"squared_error_{i}_m2"] = results.squared_error_range_m2
    told = figure_of(results).get_suptitle()
    assert "sensor set 0 alone, of 7 (--point)" in told
    assert "4 to 6 realizations a point" in told
    assert "up to 2 realizations a point have no number and are left out" in told
    assert "not drawn: squared_error_3_m2, squared_error_4_m2 (--metric)" in told


def test_a_mark_without_an_interval_is_hollow() -> None:
    results = made({"noise_dbm": NOISE})
    results.squared_error_range_m2[1, 1:] = np.nan
    figure = figure_of(results, metrics=("median:squared_error_range_m2",))
    assert "hollow: no interval" in figure.get_suptitle()
    (panel,) = axes_of(figure)
    (hollow,) = [line for line in panel.lines if line.get_markerfacecolor() == "white"]
    assert hollow.get_xdata().tolist() == [-75.0]
    full = [line for line in panel.lines if line.get_marker() == "o" and line is not hollow]
    assert full[-1].get_xdata().tolist() == [-85.0, -65.0]


def test_a_mean_that_few_realizations_carry_is_hollow() -> None:
    results = made({"noise_dbm": NOISE})
    values = np.ones((3, 400))
    values[2, :2] = 1000.0  # of 400, two make five sixths of the mean
    results = results.drop_dims("realization").assign(squared_error_range_m2=(("noise_dbm", "realization"), values))
    results.squared_error_range_m2.attrs["units"] = "m2"
    figure = figure_of(results)
    assert "hollow: one realization in a hundred makes over 15 % of the mean" in figure.get_suptitle()
    (hollow,) = [line for line in axes_of(figure)[0].lines if line.get_markerfacecolor() == "white"]
    assert hollow.get_xdata().tolist() == [-65.0]
    assert "hollow" not in figure_of(results, metrics=("median:squared_error_range_m2",)).get_suptitle()
    assert "hollow" not in figure_of(results - 5).get_suptitle()  # not of errors: what is negative has no such tail


def test_axes_follow_the_values() -> None:
    counts = made({"n_snapshots": [1, 10, 100, 1000]})
    (panel,) = axes_of(figure_of(counts))
    assert panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["1", "10", "100", "1000"]
    even = made({"n_sensors": [10, 40, 70, 100]})
    assert axes_of(figure_of(even))[0].get_xscale() == "linear"
    assert axes_of(figure_of(even, log_y=True))[0].get_yscale() == "log"
    assert axes_of(figure_of(even, log_y=False))[0].get_yscale() == "linear"
    negative = even.assign(squared_error_range_m2=even.squared_error_range_m2 - 9)
    assert axes_of(figure_of(negative))[0].get_yscale() == "linear"
    with pytest.raises(InputError, match="--logy: squared_error_range_m2 has values of 0 or less"):
        figure_of(negative, log_y=True)


def test_one_number_at_one_point_is_a_distribution() -> None:
    results = made({"noise_dbm": [-85.0]})
    (panel,) = axes_of(figure_of(results))
    assert panel.get_ylabel() == "realizations"
    assert sum(bar.get_height() for bar in panel.patches if hasattr(bar, "get_height")) >= 6
    (line,) = panel.lines
    assert line.get_xdata()[0] == pytest.approx(results.squared_error_range_m2.values.mean())


def overlaps(figure: Any) -> list[str]:
    """Texts of a figure that lie on one another, or outside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [figure._suptitle]
    for part in figure.subfigs:
        texts += [text for legend in part.legends for text in legend.get_texts()]
    for panel in axes_of(figure):
        texts += [panel.title, panel.xaxis.label, panel.yaxis.label]
        for axis, (low, high) in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
            inside = [
                tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
            texts += [tick.label1 for tick in inside if axis.get_tick_params().get("labelbottom", True)]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text().strip()]
    width, height = figure.bbox.width, figure.bbox.height
    outside = [text for text, box in boxes if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    crossed = [
        f"{one} | {other}"
        for (one, a), (other, b) in itertools.combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    return outside + crossed


def test_nothing_overlaps(stored: xarray.Dataset) -> None:
    figure = figure_of(stored)
    assert overlaps(figure) == []
    for panel in axes_of(figure):
        low, high = panel.get_ylim()
        for line in panel.lines:
            values = np.asarray(line.get_ydata(), float)
            values = values[np.isfinite(values)]
            assert ((low <= values) & (values <= high)).all()  # nothing is cut


def test_overlaps_are_noticed() -> None:
    figure = figure_of(made({"estimator": [f"a rather long name of method {i}" for i in range(4)]}))
    assert overlaps(figure) == []
    for label in axes_of(figure)[0].get_xticklabels():
        label.set_text(label.get_text().replace("\n", " "))
    axes_of(figure)[0].set_xticks(range(4), ["an even longer name that cannot fit here"] * 4)
    assert overlaps(figure)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_of_any_kind_are_drawn_as_text() -> None:
    names = ["$\\frac{", "$a$ and $b$", "<script>", "日本語" * 40, "a_b^c"]
    results = made({"estimator": names, "noise_dbm": NOISE}, long_name="error $x_", units="m2")
    results.attrs["about"] = "costs $5_ or $7"
    figure = figure_of(results)
    overlaps(figure)  # draws
    entries = [text.get_text() for text in figure.subfigs[0].legends[0].get_texts()]
    assert entries[0] == r"\$\frac{"
    assert max(map(len, entries)) < 60


def nearfield(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


def test_the_command_draws_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sweep of a user's own, along an axis of its own."""
    monkeypatch.chdir(tmp_path)
    sweep = Sweep(toy.Toy(), {"offset": (0.0, 1.0, 2.0)}, realizations=8, block=4, chunk=8, name="own:sweep")
    engine.run(sweep, "s.zarr", serial=True)
    drawn = [
        ("s.png",),
        ("s.svg", "--metric", "peak", "--metric", "median:power", "--logy"),
        ("s.pdf", "--x", "levels_db", "--hue", "offset", "--metric", "power"),
        ("t.png", "--point", "levels_db=3", "--panel", "offset", "--metric", "power"),
        ("w.png", "--point", "levels_db=3", "--point", "offset=1", "--logy"),
    ]
    for output, *options in drawn:
        assert nearfield("plot", "s.zarr", "-o", output, *options, monkeypatch=monkeypatch) == 0, options
        assert Path(output).stat().st_size > 3000
    capsys.readouterr()
    for options, message in (
        (("--x", "ofset"), "--x: peak has no dimension 'ofset'; did you mean 'offset'?"),
        (("--metric", "pwer"), "--metric: no variable 'pwer'; did you mean 'power'?"),
        (("--point", "offset=9"), "--point: given offset=9, needed one of 0, 1, 2"),
        (("--point", "ofset=1"), "--point: there is no dimension 'ofset'; did you mean 'offset'?"),
        (("--point", "offset"), "--point: given 'offset', needed field=value"),
    ):
        assert nearfield("plot", "s.zarr", "-o", "u.png", *options, monkeypatch=monkeypatch) == 2
        told = capsys.readouterr().err
        assert message in told
        assert len(told.splitlines()) == 1
    assert not Path("u.png").exists()


def test_a_point_keeps_its_dimension() -> None:
    results = made({"noise_dbm": NOISE, "estimator": NAMES})
    chosen = at_point(results, {"noise_dbm": "-75", "estimator": "least_squares"})
    assert dict(chosen.sizes) == {"noise_dbm": 1, "estimator": 1, "realization": 6}
    np.testing.assert_array_equal(chosen.squared_error_range_m2.values, results.squared_error_range_m2.values[1:2, :1])


def test_the_usual_metrics_are_the_highlights(few: xarray.Dataset) -> None:
    assert [one.variable for one in usual_metrics(few)] == json.loads(few.attrs["highlights"])
    bare = few.assign_attrs(highlights="[]")
    assert [one.variable for one in usual_metrics(bare)] == ["squared_error_angle_rad2", "squared_error_range_m2"]
    none = made({"noise_dbm": NOISE}).rename(squared_error_range_m2="x")
    assert usual_metrics(none) == [Metric("mean", "x")]
    with pytest.raises(InputError, match="nothing to draw"):
        figure_of(none.drop_vars("x"))
