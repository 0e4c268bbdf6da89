"""What a reader sees of one trial: places from above as they are in the store's variables, beams as waves make them."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from engine import InputError, Streams
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.on_grid import OnGrid
from scenarios.ris import RisLocalization
from scenarios.ris import picture as picture_of
from scenarios.ris.picture import draw_trial
from scenarios.ris.protocol import Method

ON_GRID = Method(estimator=OnGrid(), random_cycles=6, name="hybrid")
SCENE = RisLocalization(
    elements_per_side=9, elements_upwards=7, range_min_m=0.2, range_max_m=3.0, angle_step_rad=0.1, n_cycles=11,
    n_users=3, n_scatterers=2, snr_db=(14.0, 3.0), recorded_cycles=(8,), base_station_x_m=2.0, base_station_y_m=-1.5,
)  # fmt: skip


def trial_of(scene: RisLocalization, method: Method, seed: int) -> dict[str, np.ndarray]:
    alone = scene.replace(methods=(method,), snr_db=scene.snr_db[0], recorded_cycles=())
    variables = alone.prepare(np)(alone.draw(Streams(seed, 0), 1), intermediates=True)
    return {name: np.asarray(values)[0] for name, (_, values, _) in variables.items()}


def from_above(trial: dict[str, np.ndarray], name: str, at: Any = ()) -> np.ndarray:
    """y and x in m, (n, 2), of places in spherical coordinates about the z axis."""
    r, polar, azimuth = (trial[f"{name}_{part}"][at] for part in ("range_m", "polar_rad", "azimuth_rad"))
    return np.stack([r * np.sin(polar) * np.sin(azimuth), r * np.sin(polar) * np.cos(azimuth)], axis=-1)


def marked(axes: Any, marker: str) -> np.ndarray:
    """Where such markers are, (n, 2), one line each."""
    return np.array(
        [line.get_xydata()[0] for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]
    )


@pytest.fixture(scope="module")
def picture() -> Any:
    figure = draw_trial(SCENE, method=ON_GRID, seed=4)
    yield figure, trial_of(SCENE, ON_GRID, 4)
    plt.close("all")


def test_the_plan_has_everything_where_it_is(picture: Any) -> None:
    figure, trial = picture
    plan = figure.axes[0]
    users, estimates = from_above(trial, "user"), from_above(trial, "estimate", (0, 0, 0))
    np.testing.assert_allclose(marked(plan, "o"), users[[0, 2]])  # near
    np.testing.assert_allclose(marked(plan, "s"), users[[1]])  # far
    np.testing.assert_allclose(marked(plan, "x"), estimates)
    np.testing.assert_allclose(marked(plan, "^"), from_above(trial, "scatterer"))
    np.testing.assert_allclose(marked(plan, "*"), [[-1.5, 2.0]])
    assert [text.get_text() for text in plan.texts] == ["user 1", "user 2", "user 3"]
    np.testing.assert_allclose([text.xy for text in plan.texts], users)
    joined = [line.get_xydata() for line in plan.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2]
    np.testing.assert_allclose(joined[:3], np.stack([users, estimates], axis=1))
    np.testing.assert_allclose(joined[3], [[-0.02, 0], [0.02, 0]])  # nine elements at 5 mm
    assert plan.get_xlabel() == "along the surface, y (m)"
    assert plan.get_ylabel() == "in front of the surface, x (m)"
    assert plan.get_aspect() == 1
    legend = [text.get_text() for text in plan.get_legend().get_texts()]
    assert sorted(legend) == sorted([
        "near field", "field of view", "scatterer", "surface", "base station", "near user", "far user", "estimate",
    ])  # fmt: skip
    assert figure.get_suptitle().startswith("hybrid, 11 cycles at 14 dB ")
    off = np.sqrt(sum((trial[f"user_{one}"] - trial[f"estimate_{one}"][0, 0, 0]) ** 2 for one in
                      ("polar_rad", "azimuth_rad")) / 2)  # fmt: skip
    assert figure.get_suptitle().endswith(f"angle errors {', '.join(f'{1e3 * one:.2g}' for one in off)} mrad")


def test_scatterers_found_are_marked_at_their_range_or_at_the_views_end(picture: Any) -> None:
    figure, trial = picture
    method = Method(estimator=NewtonisedPursuit(), phases="random")
    figure, trial = draw_trial(SCENE, method=method, seed=2), trial_of(SCENE, method, 2)
    kappa, polar, azimuth = (
        trial[f"estimate_scatterer_{part}"][0, 0, 0] for part in ("inverse_range_per_m", "polar_rad", "azimuth_rad")
    )
    found = np.isfinite(kappa)
    assert found.any()
    r = [min(1 / one, 3.0) if one > 0 else 3.0 for one in kappa[found]]
    across = r * np.sin(polar[found])
    places = np.stack([across * np.sin(azimuth[found]), across * np.cos(azimuth[found])], axis=-1)
    np.testing.assert_allclose(marked(figure.axes[0], "+"), places)


def wrong_by_rad(range_m: float, azimuth: float) -> float:
    """The most by which a plane wave's phase is wrong on the surface, at its height."""
    y = (np.arange(9) - 4) * 0.005
    z = (np.arange(7) - 3) * 0.005
    place = range_m * np.array([math.cos(azimuth), math.sin(azimuth), 0])
    exact = np.sqrt(place[0] ** 2 + (place[1] - y[:, None]) ** 2 + (place[2] - z) ** 2)
    plane = range_m - y[:, None] * math.sin(azimuth)
    return float(2 * math.pi * 28e9 / 299792458 * np.abs(exact - plane).max())


def test_the_near_field_ends_where_a_plane_wave_is_wrong_by_an_eighth_of_pi(picture: Any) -> None:
    """Both areas are closed at the surface's middle and reach over the field of view's 60 degrees."""
    (area,) = picture[0].axes[0].patches
    for corners, range_m in (
        (area.get_xy(), None),
        (next(line for line in picture[0].axes[0].lines if len(line.get_xdata()) > 9).get_xydata(), 3.0),
    ):
        edge = corners[np.hypot(*corners.T) > 1e-9]
        np.testing.assert_allclose(corners[[0, -1]], 0)
        ranges, azimuth = np.hypot(*edge.T), np.arctan2(*edge.T)
        np.testing.assert_allclose([azimuth.min(), azimuth.max()], [-math.pi / 6, math.pi / 6])
        assert len(edge) > 50
        if range_m is None:
            wrong = [wrong_by_rad(*one) for one in zip(ranges[::25], azimuth[::25], strict=True)]
            np.testing.assert_allclose(wrong, math.pi / 8, rtol=1e-6)
        else:
            np.testing.assert_allclose(ranges, range_m)


def received_db(beam: np.ndarray, range_m: float, polar: float, azimuth: float) -> float:
    """|b·a|²/N of a wave from there, element by element, z upwards and y along; phases of the middle are zero."""
    total, k = 0j, 2 * math.pi * 28e9 / 299792458
    towards = np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
    for number, weight in enumerate(beam):
        element = np.array([0, (number // 7 - 4) * 0.005, (number % 7 - 3) * 0.005])
        near = math.isfinite(range_m)
        longer = np.linalg.norm(range_m * towards - element) - range_m if near else -towards @ element
        total += weight * np.exp(-1j * k * longer)
    return 10 * math.log10(abs(total) ** 2 / 63)


def test_beams_are_what_waves_from_there_add_up_to(picture: Any) -> None:
    """In dB over random phases, at the first user's range and from far away, of cycles before and after the first."""
    figure, trial = picture
    panels = [axes for axes in figure.axes[1:] if axes.collections and axes.get_xlim()[0] < -20]
    assert len(panels) == 8
    range_m = float(trial["user_range_m"][0])
    cycles = [0, 6, 8, 10]
    assert [axes.get_title() for axes in panels] == [
        "cycle 1, random", "cycle 7, optimised", "cycle 9, optimised", "cycle 11, optimised", *[""] * 4,
    ]  # fmt: skip
    assert panels[0].get_ylabel() == f"at {range_m:.2g} m: polar angle (°)"
    assert panels[4].get_ylabel() == "from far away: polar angle (°)"
    assert {axes.get_xlabel() for axes in panels[4:]} == {"azimuth (°)"}
    assert [axes.get_ylabel() for axes in figure.axes[9:]] == ["dB above random phases"] * 2
    for number, axes in enumerate(panels):
        image = axes.collections[0]
        level = image.get_array().reshape(121, 121)
        places = image.get_coordinates()
        corners = (places[:-1, :-1] + places[1:, 1:]) / 2
        np.testing.assert_allclose(corners[0, 0], [-30, 60], atol=1e-6)
        np.testing.assert_allclose(corners[-1, -1], [30, 120], atol=1e-6)
        beam = trial["beam"][0, 0, cycles[number % 4]]
        for i, j in ((0, 0), (17, 90), (60, 61), (120, 3)):
            azimuth, polar = np.radians(corners[i, j])
            from_m = range_m if number < 4 else math.inf
            assert level[i, j] == pytest.approx(received_db(beam, from_m, polar, azimuth), abs=1e-6)
        row = panels[4 * (number // 4) : 4 * (number // 4) + 4]
        top = max(one.collections[0].get_array().max() for one in row)
        assert image.get_clim() == pytest.approx((top - 25, top))
        assert axes.get_ylim()[0] > axes.get_ylim()[1]  # upwards is up


def test_the_plan_is_left_of_the_beams(picture: Any) -> None:
    """In the figure's own coordinates: the axes are parts of a part of it each."""
    left, right = (
        [axes.get_subplotspec() for axes in part.axes if axes.get_subplotspec()] for part in picture[0].subfigs
    )
    assert (len(left), len(right)) == (1, 8)
    ends = [part.bbox.x0 for part in picture[0].subfigs]
    assert ends[0] < ends[1]
    assert picture[0].axes[0] in picture[0].subfigs[0].axes


def test_without_a_scene_it_is_the_default_one_at_ten_decibels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_of, "RisLocalization", lambda **fields: SCENE.replace(**fields))
    figure = draw_trial(method=ON_GRID)
    assert figure.get_suptitle().startswith("hybrid, 11 cycles at 10 dB ")
    first = from_above(trial_of(SCENE, ON_GRID, 0), "user")  # of seed 0
    np.testing.assert_allclose(marked(figure.axes[0], "o"), first[[0, 2]])


def test_each_user_is_marked_where_its_waves_are_shown(picture: Any) -> None:
    figure, trial = picture
    panels = [axes for axes in figure.axes[1:] if axes.collections and axes.get_xlim()[0] < -20]
    degrees = np.degrees(np.stack([trial["user_azimuth_rad"], trial["user_polar_rad"]], axis=-1))
    for number, axes in enumerate(panels):
        near = number < 4
        places = np.unique(marked(axes, "o" if near else "s"), axis=0)
        expected = degrees[[0, 2]] if near else degrees[[1]]
        np.testing.assert_allclose(places, np.unique(expected, axis=0))
        assert not marked(axes, "s" if near else "o").size
        for line in axes.lines[1::2]:  # in its colour of the plan, over white
            user = int(np.flatnonzero(np.all(np.isclose(degrees, line.get_xydata()[0]), axis=-1))[0])
            assert line.get_color() == figure.axes[0].texts[user].get_color()
    assert len({text.get_color() for text in figure.axes[0].texts}) == 3


def test_phases_that_stay_random_are_called_so() -> None:
    """The cycles after `random_cycles` of a method that does not optimise were called optimised."""
    method = Method(estimator=OnGrid(), phases="random", random_cycles=6, name="hybrid")
    figure = draw_trial(SCENE.replace(n_users=1, n_scatterers=0), method=method, seed=1)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title().startswith("cycle")]
    assert titles == ["cycle 1, random", "cycle 11, random"]
    few = SCENE.replace(n_users=1, n_scatterers=0, n_cycles=5, recorded_cycles=())
    for random_cycles, last in ((4, "optimised"), (9, "random")):
        one = Method(estimator=OnGrid(), random_cycles=random_cycles)
        titles = [axes.get_title() for axes in draw_trial(few, method=one).axes]
        assert [title for title in titles if title.startswith("cycle")] == ["cycle 1, random", f"cycle 5, {last}"]


def test_far_users_alone_and_seeds() -> None:
    """Another seed is another trial; a negative one is refused."""
    scene = SCENE.replace(users="far", n_users=2, n_scatterers=0)
    plans = [draw_trial(scene, method=ON_GRID, seed=seed).axes[0] for seed in (0, 1)]
    places = [marked(plan, "s") for plan in plans]
    assert np.all(places[0] != places[1])
    assert not marked(plans[0], "o").size
    assert not marked(plans[0], "^").size
    with pytest.raises(InputError, match="seed: given -1, needed an integer ≥ 0"):
        draw_trial(scene, method=ON_GRID, seed=-1)
    plt.close("all")
