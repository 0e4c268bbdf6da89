"""Diffraction as a field of a scene: what it enters, what it leaves as it was, and what refuses to be mixed with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import InputError, Streams, Sweep
from engine.channels.surroundings import indoors
from engine.estimators.deepsets import Checkpoint
from engine.estimators.deepsets.setting import require_setting
from engine.imports import stored_name
from engine.sweep import scenario_from
from jobs.show.description import tables_of
from jobs.show.settings import changed_words, settings_of
from scenarios.multipath import MultipathData, MultipathEstimation, data, fig4
from scenarios.multipath.map import MultipathMap, Places
from scenarios.multipath.paths import paths_of
from scenarios.multipath.scene import Traces, Users, tracer_of
from scenarios.multipath.training_users import stored_users

SMALL: dict[str, Any] = {"n_sensors": 3, "sensor_sets": 2, "n_elements": 16, "samples": 3000, "diffraction": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("diffraction") / "data.zarr")
    engine.run(Sweep(MultipathData(**SMALL), realizations=12, block=6, chunk=6), path, serial=True)
    return path


@pytest.mark.parametrize("with_it", [MultipathData(), MultipathEstimation(), MultipathMap()])
def test_without_it_everything_is_as_it_was(with_it: MultipathData) -> None:
    """Stores of before say nothing of it, and mean that there was none, though the default is another now."""
    scenario = with_it.replace(diffraction=False)
    assert (with_it.diffraction, with_it.max_paths, scenario.diffraction) == (True, 20, False)
    assert "diffraction" not in json.loads(scenario.model_dump_json())
    assert "scenario.diffraction" not in Sweep(scenario).definition()
    assert "diffraction" not in dict(scenario.setting())
    assert dict(with_it.setting())["diffraction"] is True
    assert Sweep(with_it).definition()["scenario.diffraction"] is True
    assert Sweep(scenario).fingerprint() != Sweep(with_it).fingerprint()
    for one in (scenario, with_it):
        assert one.stored_values()["diffraction"] is one.diffraction
        assert scenario_from(stored_name(type(one)), json.loads(one.model_dump_json())) == one
    with pytest.raises(InputError, match="diffraction: Input should be a valid boolean"):
        scenario.replace(diffraction="edges")


def test_a_store_without_it_is_read_so_and_says_so(tmp_path: Path) -> None:
    sweep = Sweep(MultipathData(**SMALL | {"diffraction": False}), realizations=2, block=2, chunk=2, name=data.name)
    results = engine.run(sweep, tmp_path / "old.zarr", serial=True)
    assert "diffraction" not in json.loads(results.attrs["scenario"])
    assert engine.load_sweep(tmp_path / "old.zarr") == sweep
    assert "diffraction\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}no" in changed_words(results.attrs, data)
    (told,) = (one for one in settings_of(results, results.attrs, {}, data) if one.name == "diffraction")
    assert (told.value, told.named) == ("no", "yes")
    (row,) = (row for row in tables_of(sweep)[1].rows if row[0] == "diffraction")
    assert row[1] == "no (default yes)"


def test_a_store_has_it_and_is_refused_where_it_is_not_wanted(store: str) -> None:
    assert engine.load_sweep(store).scenario == MultipathData(**SMALL)
    power = engine.open_results(store).expected_power
    plain = MultipathData(**SMALL | {"diffraction": False})
    found = plain.prepare(np)(plain.draw(Streams(engine.load_sweep(store).seed, 0), 6))["expected_power"][1]
    here = np.isfinite(found)
    apart = np.abs(power.values[:6][here] / found[here] - 1)
    assert 1e-4 < np.median(apart) < 0.5
    with pytest.raises(InputError, match="has diffraction = True, and what is trained False: needed the same"):
        stored_users(store, plain, 6)
    assert stored_users(store, MultipathData(**SMALL), 6).count == 6


def test_networks_know_whether_edges_diffracted() -> None:
    scenario = fig4.scenario
    assert isinstance(scenario, MultipathEstimation)
    learned = scenario.all_estimators()[-1]
    assert scenario.serves(learned)
    card = scenario.checkpoints[0].card()
    for change, line in (
        ({"diffraction": False}, "was trained with diffraction = True, given none"),
        ({"max_paths": 10}, "was trained with max_paths = 20, given 10"),
    ):
        other = scenario.replace(**change)
        assert not other.serves(learned)
        with pytest.raises(InputError, match=line):
            require_setting(card, other.problem(), "x.safetensors")


def test_networks_of_another_release_are_refused_where_a_store_names_them() -> None:
    """What the present files say of themselves says nothing of those that the store was begun with."""
    scenario = fig4.scenario
    assert isinstance(scenario, MultipathEstimation)
    before = tuple(Checkpoint(path=one.path, sha256="7fad49970a29" + 52 * "0") for one in scenario.checkpoints)
    for change in ({}, {"diffraction": False}, {"n_elements": 16}):
        older = scenario.replace(checkpoints=before, **change)
        with pytest.raises(InputError, match=r"-set0.* came with another version of this package: .* 7fad49970a29"):
            older.draw(Streams(1, 0), 1)


def test_tables_are_made_with_it_also_where_the_place_is_believed_otherwise() -> None:
    grid: dict[str, Any] = {"grid_ranges": 4, "grid_angles": 8, "noise_dbm": -80.0, "n_snapshots": 1}
    scenario = MultipathEstimation(**SMALL | {"sensor_sets": 1}, **grid)
    for one in (scenario, scenario.replace(believed="nearest missing")):
        (bench,) = one._workbenches(Traces(one))
        (plain,) = one.replace(diffraction=False)._workbenches(Traces(one.replace(diffraction=False)))
        with_it, without = (bench.expected("ray_traced"), plain.expected("ray_traced"))
        assert not np.allclose(with_it, without, rtol=1e-4, atol=0, equal_nan=True)
        assert np.array_equal(bench.expected("free_space"), plain.expected("free_space"))


def test_exported_paths_add_up_and_say_where_they_turn(store: str) -> None:
    found = paths_of(engine.open_results(store))
    scene = MultipathData(**SMALL)
    kinds = found.interactions.values
    assert set(np.unique(kinds)) == {0, 1, 8}
    assert {2, 12, 21} <= set(found.inter.values[np.isfinite(found.tau.values)].astype(int).tolist())
    assert ((kinds == 8).sum(axis=-1) <= 1).all()
    checked = 0
    for i, j in np.argwhere((kinds == 8).any(axis=-1)):
        depth = int((kinds[i, j] != 0).sum())
        assert found.inter.values[i, j] == int("".join("2" if kind == 8 else "1" for kind in kinds[i, j, :depth]))
        corners = np.array([found.tx_pos.values, *found.vertices.values[i, j, :depth], found.rx_pos.values[i]])
        legs = np.diff(corners, axis=0)
        assert np.linalg.norm(legs, axis=1).sum() / 299_792_458 == pytest.approx(found.tau.values[i, j], rel=1e-6)
        for leg, end in ((legs[0], "t"), (-legs[-1], "r")):
            theta, phi = (float(found[f"{name}_{end}"].values[i, j]) for name in ("theta", "phi"))
            pointing = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
            assert pointing == pytest.approx(leg / np.linalg.norm(leg), abs=1e-5)
        checked += 1
    assert checked > 20
    gain = np.nansum(10 ** (found.power.values / 20) * np.exp(1j * np.radians(found.phase.values)), axis=1)
    centre = scene.replace(n_elements=3, sensor_subarrays=3)  # of three elements the middle one is the centre
    tracer = centre.channel().prepare()
    h, _ = tracer.channels(found.rx_pos.values, 3)
    assert np.abs(gain - h[:, 1]).max() < 1e-4 * np.abs(h).max()


def test_the_map_has_fewer_dark_places() -> None:
    """Shadows of buildings are reached over their edges; the number of paths tells whether one is."""
    area = MultipathMap(n_elements=16, samples=1000, spacing_m=20.0)
    places = area.draw(Streams(0, 0), 150)
    dark = {
        on: np.isnan(area.replace(diffraction=on).prepare(np)(places)["power_dbm"][1]).sum() for on in (False, True)
    }
    assert dark[True] < dark[False]


def test_the_map_is_that_of_the_tracer() -> None:
    """Which the map's compiled loops are held to, at places on all sides of the array, also near it."""
    area = MultipathMap(n_elements=16, samples=1000, spacing_m=2.0)
    places = Places(np.random.default_rng(5).choice(15_000, 40, replace=False))
    at = area.position_m(places.number)
    found = area.prepare(np)(places)["power_dbm"][1]
    tracer = tracer_of(area.channel())
    focus = area.user_position_m(Users(np.array([area.focus_range_m]), np.array([area.focus_angle_rad])))
    field = np.conj(tracer.channels(at)[0]) @ area.beams(tracer.channels(focus)[0])[0]
    outside = ~indoors(area.surroundings, at)
    assert np.isnan(found[~outside]).all()
    assert found[outside] == pytest.approx(area.transmit_dbm + 20 * np.log10(np.abs(field[outside])), abs=1e-4)
    assert {*np.sign(at[:, 0])} == {-1, 1}


def test_documents_say_how_to_do_without() -> None:
    text = " ".join(Path(__file__).parents[1].joinpath("docs/multipath.md").read_text().split())
    assert "`--set diffraction=false --set max_paths=10`" in text
