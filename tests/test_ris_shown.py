"""What a reader sees of errors: which rows and columns a table has, which numbers are drawn where."""

import json
from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

from scenarios.figures.rows import Interval, Row
from scenarios.ris import RisLocalization
from scenarios.ris.figures import ErrorFigure
from scenarios.ris.lost import lost_text
from scenarios.ris.tables import error_tables

CLASS = "scenarios.ris.localization:RisLocalization"
NONE = Interval(np.nan, np.nan, np.nan)
SHARE = Interval(0.25, 0.125, 0.375)


def squared(value: float, factor: float) -> Interval:
    return Interval(value**2, (value / factor) ** 2, (value * factor) ** 2)


def row(estimator: str, point: dict[str, Any], **fields: Any) -> Row:
    return Row(**{
        "estimator": estimator, "point": point, "group": "near", "quantity": "angle", "unit": "rad", "samples": 400,
        "mse": squared(0.02, 1.5), "median": 0.003**2, "lost": SHARE, "found_mse": squared(0.01, 1.25),
        "bound": 0.004**2, "blind": np.nan,
    } | fields)  # fmt: skip


def test_a_table_has_the_numbers_of_every_row_of_its_panel() -> None:
    rows = [
        row("A", {"n_users": 2, "snr_db": 0.0, "n_cycles": 20}),
        row("A", {"n_users": 2, "snr_db": 12.5, "n_cycles": 20}, lost=NONE, median=np.nan, bound=np.nan, excluded=7),
        row("B", {"n_users": 4, "snr_db": 0.0, "n_cycles": 20}, lost_stated=0.125, found_mse=NONE),
        row("B", {"n_users": 4, "snr_db": 12.5, "n_cycles": 20}, group="far", mse=NONE),
        row("B", {"n_users": 4, "snr_db": 0.0, "n_cycles": 20}, quantity="range", unit="m", mse=squared(3, 2)),
    ]
    tables = error_tables(rows, "snr_db", (("far", "angle"), ("near", "angle"), ("near", "range")), "beyond 1 rad")
    titles = [
        f"{what}, factors of 95 % intervals; lost: beyond 1 rad" for what in
        ("Angle of far-field users (rad)", "Angle of near-field users (rad)", "Range of near-field users (m)")
    ]  # fmt: skip
    assert [table.title for table in tables] == titles
    headings = (
        "n_users", "snr_db", "method", "RMSE of users found", "RMSE of all", "median", "lost", "lost, as stated",
        "joint CRB", "excluded",
    )  # fmt: skip
    assert {table.headings for table in tables} == {headings}
    share = "25.0 % (12.5–37.5)"
    found, whole = "0.01 ×÷ 1.25", "0.02 ×÷ 1.50"
    far, near, in_range = (table.rows for table in tables)
    assert far == [("4", "12.5", "B", found, "–", "0.003", share, "–", "0.004", "0")]
    assert near == [
        ("2", "0", "A", found, whole, "0.003", share, "–", "0.004", "0"),
        ("2", "12.5", "A", found, whole, "–", "–", "–", "none", "7"),
        ("4", "0", "B", "–", whole, "0.003", share, "12.5 %", "0.004", "0"),
    ]
    assert in_range == [("4", "0", "B", found, "3 ×÷ 2.00", "0.003", share, "–", "0.004", "0")]


@pytest.mark.parametrize(
    ("value", "high", "text"),
    [(4.0, 99.4, "4 ×÷ 24.85"), (1.0, 99.5, "1 ×÷ 99.50"), (1.0, 100.0, "1"), (1.0, 100.5, "1"), (0.0, 2.0, "0")],
)
def test_a_factor_of_a_hundred_is_no_interval(value: float, high: float, text: str) -> None:
    mse = Interval(value**2, 0.0, high**2)
    (table,) = error_tables([row("A", {"snr_db": 0.0}, mse=mse)], "snr_db", [("near", "angle")], "")
    assert table.rows[0][table.headings.index("RMSE of all")] == text


def test_one_point_is_named_all_the_same_and_means_that_few_carry_are_marked() -> None:
    marked = row("A", {"model": "ff", "snr_db": 3.0}, carried=True)
    table, other = error_tables([marked], "snr_db", [("near", "angle"), ("far", "angle")], "")
    assert table.headings[:2] == ("snr_db", "method")
    assert table.rows[0][:4] == ("3", "A", "0.01 ×÷ 1.25", "0.02 ×÷ 1.50 †")
    assert "† one in a hundred realizations has more than 15 % of this mean".replace("† ", "†: ") in table.title
    assert "†" not in other.title
    (nothing,) = error_tables([], "snr_db", [("near", "angle")], "")
    assert nothing.headings[:2] == ("snr_db", "method")
    assert nothing.rows == []


def test_an_axis_of_words_is_shown_as_it_is_and_the_plane_waves_bound_where_one_has_it() -> None:
    rows = [row("A", {"model": "ff", "snr_db": 3.0}, floor=0.05**2), row("A", {"model": "nf", "snr_db": 3.0})]
    (table,) = error_tables(rows, "snr_db", [("near", "angle")], "")
    assert table.headings[:3] == ("model", "snr_db", "method")
    assert table.headings[-3:] == ("joint CRB", "plane-wave CRB", "excluded")
    assert [(line[0], *line[-3:]) for line in table.rows] == [("ff", "0.004", "0.05", "0"), ("nf", "0.004", "–", "0")]


PANELS = (("far", "angle"), ("near", "range"))
UNITS = {"angle": "rad", "range": "m"}


def results_of(x: str, values: list[Any], **fields: Any) -> xarray.Dataset:
    scene = RisLocalization(**({"snr_db": (10.0,)} | fields))
    axes = {} if x in ("snr_db", "cycle") else {x: values}
    return xarray.Dataset(
        coords={x: values, "realization": np.arange(48)},
        attrs={"scenario_class": CLASS, "scenario": scene.model_dump_json(), "axes": json.dumps(axes)},
    )


def figure_of(x: str) -> ErrorFigure:
    return ErrorFigure("A surface of {surface} at {snr_db} dB", x, lambda _: [], PANELS)


def some_rows(x: str, values: list[Any], methods: Iterable[str], **fields: Any) -> list[Row]:
    """Of every panel, method and value, each with numbers of its own."""
    rng = np.random.default_rng(5)

    def interval(highest: float) -> Interval:
        low, value, high = sorted(rng.uniform(0, highest, 3))
        return Interval(value, low, high)

    return [
        row(method, {x: value}, group=group, quantity=quantity, unit=UNITS[quantity], mse=interval(1.0),
            found_mse=interval(0.1), lost=interval(0.5), bound=rng.uniform(0, 0.01), **fields)
        for group, quantity in (*PANELS, ("near", "angle"))
        for method in methods for value in values
    ]  # fmt: skip


def drawn(panel: Any, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Places (n,) and middles, lows and highs (n, 3) of a curve with its intervals."""
    (one,) = (one for one in panel.containers if one.get_label() == label)
    line, _, (bars,) = one
    ends = np.array(
        [[segment[0, 1], segment[-1, 1]] if len(segment) else [np.nan] * 2 for segment in bars.get_segments()]
    )
    return np.asarray(line.get_xdata()), np.column_stack([line.get_ydata(), ends])


def plain_lines(panel: Any) -> list[Any]:
    """Lines without intervals: those of bounds."""
    with_intervals = {part for one in panel.containers for part in (one[0], *one[1])}
    return [line for line in panel.lines if line not in with_intervals]


def test_each_panel_shows_its_users_and_their_intervals() -> None:
    """Above those found, then all, below the share of those lost in per cent; beside them the bound at its place."""
    x, values, methods = "snr_db", [20.0, 0.0, 5.0], ["A", "B", "C", "D"]
    rows = some_rows(x, values, methods)
    figure = figure_of(x).draw(results_of(x, values), rows)
    grid = np.array(figure.axes).reshape(3, 2)
    order = sorted(values)
    for column, (group, quantity) in enumerate(PANELS):
        found, whole, lost = grid[:, column]
        assert found.get_title() == f"{quantity}, {group}-field users"
        assert found.get_ylabel() == f"RMSE of users found ({UNITS[quantity]})"
        assert whole.get_ylabel() == f"RMSE of all ({UNITS[quantity]})"
        assert lost.get_ylabel() == "users lost (%)"
        assert lost.get_xlabel() == "mean signal-to-noise ratio of a cycle (dB)"
        assert [panel.get_yscale() for panel in grid[:, column]] == ["log", "log", "linear"]
        assert -2 <= lost.get_ylim()[0] < 0  # none lost is seen, and little else below
        np.testing.assert_allclose(lost.get_xticks(), order)
        offsets = []
        for method in methods:
            mine = {row.point[x]: row for row in rows
                    if (row.estimator, row.group, row.quantity) == (method, group, quantity)}  # fmt: skip
            for panel, numbers in (
                (found, [np.sqrt(mine[value].found_mse) for value in order]),
                (whole, [np.sqrt(mine[value].mse) for value in order]),
                (lost, [100 * np.array(mine[value].lost) for value in order]),
            ):
                at, shown = drawn(panel, method)
                np.testing.assert_allclose(shown, numbers)
                assert np.max(np.abs(at - order)) < 0.5
                offsets.append(at - order)
            line = plain_lines(found)[methods.index(method)]
            np.testing.assert_allclose(line.get_xdata(), order)
            np.testing.assert_allclose(line.get_ydata(), [np.sqrt(mine[value].bound) for value in order])
            curves = [next(c for c in panel.containers if c.get_label() == method)[0] for panel in grid[:, column]]
            assert {line.get_color(), *(curve.get_color() for curve in curves)} == {line.get_color()}
        # Side by side in the legend's order, the same in all panels and at all places, around the place itself.
        offsets = np.array(offsets).reshape(4, -1)
        np.testing.assert_allclose(offsets, offsets[:, :1] + np.zeros(9), atol=1e-9)
        assert np.all(np.diff(offsets[:, 0]) > 0.05)
        assert offsets[:, 0].mean() == pytest.approx(0, abs=1e-9)
        assert len({line.get_color() for line in plain_lines(found)}) == len(plain_lines(found)) == 4
        assert not plain_lines(whole)
        assert not plain_lines(lost)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == methods
    plt.close("all")


def test_where_most_users_are_lost_the_few_found_are_not_drawn() -> None:
    values = [0.0, 10.0, 20.0]
    rows = [
        row("A", {"snr_db": value}, group=group, quantity=quantity, lost=Interval(share, 0.0, 1.0))
        for group, quantity in PANELS for value, share in zip(values, (0.51, 0.5, 0.2), strict=True)
    ]  # fmt: skip
    grid = np.array(figure_of("snr_db").draw(results_of("snr_db", values), rows).axes).reshape(3, 2)
    for column in (0, 1):
        np.testing.assert_array_equal(np.isnan(drawn(grid[0, column], "A")[1][:, 0]), [True, False, False])
        assert not np.isnan(drawn(grid[1, column], "A")[1]).any()
        np.testing.assert_allclose(drawn(grid[2, column], "A")[1][:, 0], [51, 50, 20])


def test_an_interval_without_an_end_is_drawn_as_a_point_and_the_plane_waves_bound_of_whom_it_concerns() -> None:
    values = [0.0, 10.0]
    open_ended = Interval(0.01, np.nan, np.inf)
    rows = [
        row(method, {"snr_db": value}, group=group, quantity=quantity, found_mse=open_ended,
            floor=0.25 if method == "B" else np.nan)
        for group, quantity in PANELS for method in "AB" for value in values
    ]  # fmt: skip
    grid = np.array(figure_of("snr_db").draw(results_of("snr_db", values), rows).axes).reshape(3, 2)
    _, shown = drawn(grid[0, 0], "A")
    np.testing.assert_allclose(shown, 0.1)
    lines = plain_lines(grid[0, 0])
    assert [list(line.get_ydata()) for line in lines] == [[0.004, 0.004], [0.004, 0.004], [0.5, 0.5]]
    assert lines[2].get_color() == lines[1].get_color() != lines[0].get_color()
    assert not any(plain_lines(panel) for panel in grid[1:].ravel())


def test_what_stands_above_says_the_settings_and_what_is_lost() -> None:
    results = results_of("snr_db", [10.0], elements_per_side=16, elements_upwards=12, snr_db=(-3.0,), range_min_m=0.2)
    said = " ".join(figure_of("snr_db").draw(results, []).get_suptitle().split())
    expected = f"A surface of 16 × 12 at −3 dB, 48 realizations a point lost: {lost_text(results)} dotted: joint CRB"
    assert said == " ".join(expected.split())
    results = results.assign_coords(snr_db=("snr_db", [10.0], {"long_name": "ratio as printed"}))
    assert figure_of("snr_db").draw(results, []).axes[-1].get_xlabel() == "ratio as printed (dB)"
    cycles = results_of("cycle", [4.0]).assign_coords(cycle=("cycle", [4.0], {"long_name": "cycles so far"}))
    assert figure_of("cycle").draw(cycles, []).axes[-1].get_xlabel() == "cycles"


@pytest.mark.parametrize("values", [[0.0, 100.0], [0.0, 50.0, 100.0]])
def test_curves_are_apart_by_a_share_of_the_axis(values: list[float]) -> None:
    panel = figure_of("snr_db").draw(results_of("snr_db", values), some_rows("snr_db", values, "AB")).axes[0]
    assert 0.1 < (drawn(panel, "B")[0] - drawn(panel, "A")[0])[0] < 5


def test_nothing_to_draw_is_said_in_every_panel() -> None:
    figure = figure_of("snr_db").draw(results_of("snr_db", [10.0]), [])
    assert not figure.legends
    for panel in figure.axes:
        assert [text.get_text() for text in panel.texts] == ["no such users"]
        assert panel.get_yscale() == "linear"
        assert not panel.get_yticks().size
    rows = some_rows("snr_db", [10.0], ["A"], samples=0)[:1]
    shown = figure_of("snr_db").draw(results_of("snr_db", [10.0]), rows)
    assert [len(panel.texts) for panel in shown.axes] == [1] * 6


@pytest.mark.parametrize(("n", "ticks"), [(8, [0, 1, 2, 3, 4, 5, 6, 7]), (9, [1, 3, 5, 7]), (10, [1, 3, 5, 7, 9])])
def test_ticks_are_at_the_points_or_at_every_second_of_many(n: int, ticks: list[float]) -> None:
    values = list(map(float, range(n)))
    figure = figure_of("cycle").draw(results_of("cycle", values), some_rows("cycle", values, ["A"]))
    np.testing.assert_allclose(figure.axes[-1].get_xticks(), ticks)
    assert figure.axes[-1].get_xlabel() == "cycles"


def test_angle_steps_are_on_a_logarithmic_axis() -> None:
    x, values = "angle_step_rad", [0.08, 0.04, 0.02]
    figure = figure_of(x).draw(results_of(x, values), some_rows(x, values, "ABC"))
    panel = figure.axes[-1]
    assert panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["0.02", "0.04", "0.08"]
    shifts = np.array([drawn(panel, method)[0] for method in "ABC"]) / sorted(values)
    assert np.all(np.diff(shifts, axis=0) > 1e-3)
    np.testing.assert_allclose(shifts[1], 1)
    np.testing.assert_allclose(shifts, shifts[:, :1] + np.zeros(3))
    assert np.all(np.abs(shifts - 1) < 0.05)


def test_bits_stand_side_by_side_and_any_phase_comes_last() -> None:
    x, values = "phase_bits", [0, 4, 1, 2]
    rows = some_rows(x, values, "A")
    panel = figure_of(x).draw(results_of(x, values), rows).axes[-2]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["1", "2", "4", "any"]
    at, shown = drawn(panel, "A")
    np.testing.assert_allclose(at, [0, 1, 2, 3], atol=0.1)
    mine = {row.point[x]: row.lost.value for row in rows if (row.group, row.quantity) == PANELS[0]}
    np.testing.assert_allclose(shown[:, 0], [100 * mine[bits] for bits in (1, 2, 4, 0)])


@pytest.mark.parametrize(
    ("x", "values", "labels"),
    [("misplaced_m", [0.03, 0.0, 0.001], ["0", "0.001", "0.03"]), ("phase_bits", [3, 1], ["1", "3"])],
)
def test_nothing_is_any_phase_but_no_bits(x: str, values: list[Any], labels: list[str]) -> None:
    """A surface that is off by 0 m comes first; bits without 0 among them have no such tick."""
    rows = some_rows(x, values, "A")
    panel = figure_of(x).draw(results_of(x, values), rows).axes[-2]
    assert [text.get_text() for text in panel.get_xticklabels()] == labels
    mine = {row.point[x]: row.lost.value for row in rows if (row.group, row.quantity) == PANELS[0]}
    np.testing.assert_allclose(drawn(panel, "A")[1][:, 0], [100 * mine[value] for value in sorted(values)])


def test_curves_are_named_by_what_differs() -> None:
    def labels(points: list[tuple[str, dict[str, Any]]]) -> list[str]:
        rows = [
            row(method, {"snr_db": value} | point, group=group, quantity=quantity)
            for group, quantity in PANELS for method, point in points for value in (0.0, 10.0)
        ]  # fmt: skip
        figure = figure_of("snr_db").draw(results_of("snr_db", [0.0, 10.0]), rows)
        return [text.get_text() for text in figure.legends[0].get_texts()]

    two = [{"n_users": 2, "n_cycles": 20}, {"n_users": 4, "n_cycles": 20}]
    assert labels([("hybrid", two[0])]) == ["hybrid model"]
    assert labels([("hybrid", two[0]), ("NOMP", two[0])]) == ["hybrid model", "NOMP"]
    assert labels([("hybrid", one) for one in two]) == ["2", "4"]
    both = [(method, one) for method in ("hybrid", "NOMP") for one in two]
    assert labels(both) == ["hybrid model, 2", "hybrid model, 4", "NOMP, 2", "NOMP, 4"]
