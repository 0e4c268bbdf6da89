"""`nearfield place`, and sweeps that use a map: the account is said, stored, and changes no fingerprint."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from channels.map_files import AT, BOW, EAST_M, feature, marked, square, written

import engine
import scenarios
from engine import InputError, Sweep
from engine.channels.geojson import surroundings_from
from engine.channels.places.clean import clean_file, north_of
from engine.channels.places.place import place_from
from engine.channels.places.where import Wanted
from engine.channels.surroundings import Building, Surroundings, faces_of, in_sight, indoors
from jobs import main as command_line
from jobs.cli import named
from scenarios.multipath import MultipathData, data
from scenarios.multipath.plan import plan

COLLEGE = Path(scenarios.__file__).parent / "places/college.geojson"
SMALL: dict[str, Any] = {"n_sensors": 3, "sensor_sets": 1, "n_elements": 8, "samples": 1000, "max_depth": 1}


@pytest.fixture
def town(tmp_path: Path) -> Path:
    return written(
        tmp_path,
        marked(*AT, bearing=90),
        feature(square(-60, 30, 12), height="9 m", name="Town hall"),
        feature(square(-60, -40, 12), **{"building:levels": "4"}),
        feature(square(60, 60, 8)),
        feature(
            [[AT[0] + x / EAST_M, AT[1] + y / 111_229.0] for x, y in [(x + 40, y + 60) for x, y in BOW]], name="bow"
        ),
        feature(square(9000, 0)),
    )


def nearfield(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nearfield", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


def test_the_command(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nearfield("place", town, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "array at 50.00000° N 10.00000° E facing E (a Point with a bearing); 4 of 5 buildings in the frame; heights 1 "
        "tagged, 1 from levels, 2 assumed 6 m; 1 mended, 0 left out\nmended: bow (self-intersection)\n"
    )
    assert (tmp_path / "place-place.png").stat().st_size > 10_000
    again = surroundings_from(tmp_path / "place-place.geojson")
    assert again.buildings == surroundings_from(town).buildings
    assert (
        nearfield("place", town, "--bearing", "180", "-o", "a.svg", "--write", "b.geojson", monkeypatch=monkeypatch)
        == 0
    )
    assert "facing S (a Point with a bearing; its bearing as set)" in capsys.readouterr().out
    assert Path("a.svg").exists()
    assert len(surroundings_from(Path("b.geojson")).buildings) == 5
    for words, message in (
        (["--strict"], "strictly read, 2 faults: mended bow (self-intersection); 2 heights assumed 6 m"),
        (["--latitude", "50"], "needs both array_latitude_deg and array_longitude_deg"),
        (["--latitude", "100", "--longitude", "10"], "latitude_deg: Input should be less than or equal to 89.9"),
        (["--write", str(town)], "is the file that is read"),
        (["--set", "n_elements"], "needed field=value"),
        (["--set", "elements=3"], "has no field 'elements'"),
        (["-o", "a.bmp"], "needed a file ending in .png"),
    ):
        assert nearfield("place", town, *words, monkeypatch=monkeypatch) == 2, words
        assert message in capsys.readouterr().err


def test_sweeps_say_and_store_it(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "town.zarr"
    settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    words = ["run", "multipath:data", "--store", store, "--realizations", 500, "--serial", *settings]
    assert nearfield(*words, "--set", f"surroundings={town}", monkeypatch=monkeypatch) == 0
    account = surroundings_from(town).account.text()
    assert account in capsys.readouterr().err
    assert engine.open_results(store).attrs["account"] == account
    assert nearfield("report", store, "-o", tmp_path / "r.html", monkeypatch=monkeypatch) == 0
    assert "4 of 5 buildings in the frame" in (tmp_path / "r.html").read_text()
    assert (
        engine.load_sweep(store).fingerprint()
        == Sweep(MultipathData(**SMALL, surroundings=str(town)), block=500).fingerprint()
    )


def test_fields_say_where_the_array_is(town: Path) -> None:
    """Read once, and gone: changed copies keep the place, and the fields are in no definition."""
    settings = [f"surroundings={town}", "array_latitude_deg=50", f"array_longitude_deg={10 + 20 / EAST_M}",
                "array_bearing_deg=0"]  # fmt: skip
    sweep = named.changed(data, settings=settings, axes=[])
    scenario = sweep.scenario
    assert isinstance(scenario, MultipathData)
    place = scenario.surroundings
    wanted = Wanted(latitude_deg=50, longitude_deg=10 + 20 / EAST_M, bearing_deg=0)
    assert place.buildings == surroundings_from(town, wanted=wanted).buildings
    assert "facing N (as set)" in place.account.array
    assert scenario.array_latitude_deg is None
    assert scenario.replace(n_sensors=2).surroundings == place  # type: ignore[attr-defined]
    assert scenario.replace(n_sensors=2).account() == place.account.text()
    assert not any("array_latitude" in name or "place_" in name for name in sweep.definition())
    with pytest.raises(InputError, match="array_bearing_deg goes with a file of buildings: give surroundings=FILE"):
        named.changed(data, settings=["array_bearing_deg=0"], axes=[])
    with pytest.raises(InputError, match="array_bearing_deg goes with"):
        named.changed(data, settings=["surroundings=campus", "array_bearing_deg=0"], axes=[])
    with pytest.raises(InputError, match="strictly read"):
        named.changed(data, settings=[f"surroundings={town}", "place_strict=yes"], axes=[])
    with pytest.raises(InputError, match="latitude_deg: Input should be a valid number"):
        named.changed(data, settings=[f"surroundings={town}", "array_latitude_deg=north"], axes=[])


def test_fingerprints_of_old_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the campus and of the college, as they were before maps had accounts; but for the version of the code, and
    with the defaults of then."""
    monkeypatch.setattr(MultipathData, "code_version", 2)
    of_then: dict[str, Any] = {"diffraction": False, "max_paths": 10}
    assert Sweep(MultipathData(**of_then)).fingerprint().startswith("91c9d2365bd0b34a")
    college = MultipathData(**of_then, surroundings=str(COLLEGE))
    assert Sweep(college).fingerprint().startswith("222f55d62287820a")


def test_the_clean_file_is_the_place_again(tmp_path: Path) -> None:
    """Bit for bit, whatever the file's coordinates are: degrees, metres, UTM, Mercator."""
    mercator = {"type": "name", "properties": {"name": "EPSG:3857"}}
    utm = {"type": "name", "properties": {"name": "EPSG:32632"}}
    ring = [[60.3, 0.1], [80.2, 3.3], [79.7, 21.0], [61.1, 20.0]]
    for number, (members, x, y) in enumerate(
        [({"units": "m"}, 0, 0), ({"crs": utm}, 571666.123, 5539109.9), ({"crs": mercator}, 1113194.9, 6446275.84)]
    ):
        moved = [[x + a, y + b] for a, b in ring]
        hole = [[x + 70, y + 8], [x + 74, y + 8], [x + 74, y + 12]]
        file = written(
            tmp_path, marked(x, y, bearing=33.3), feature(moved, hole, height=7.77, min_height=3, material="glass"),
            name=f"{number}.geojson", **members,
        )  # fmt: skip
        place = place_from(file)
        (tmp_path / "clean.geojson").write_text(json.dumps(clean_file(place)))
        again = place_from(tmp_path / "clean.geojson", wanted=Wanted(strict=True))
        assert again.surroundings.buildings == place.surroundings.buildings


def test_north_on_the_plan(tmp_path: Path) -> None:
    """A building due north of the array lies where the plan's arrow points."""
    for bearing in (0, 33, 90, 200):
        north = feature([[-1, 49], [1, 49], [1, 51], [-1, 51]])
        place = place_from(written(tmp_path, marked(0, 0, bearing=bearing), north, units="m"))
        middle = np.mean(place.surroundings.buildings[0].footprint, axis=0)
        assert middle / 50 == pytest.approx(np.array(north_of(place)), abs=1e-3)


def test_the_plan_draws_every_building(town: Path) -> None:
    place = surroundings_from(town)
    figure = plan(MultipathData(surroundings=place), assumed=frozenset({2}))
    (axes, bar) = figure.axes
    texts = {text.get_text() for text in axes.texts}
    assert {"9", "12", "array", "N", "sensors, where in sight"} <= texts
    assert len(axes.patches) == len(place.buildings) + 2
    assert sum(bool(patch.get_hatch()) for patch in axes.patches) == 1
    assert bar.get_ylabel() == "height (m)"
    assert "4 of 5 buildings" in axes.get_title(loc="left")
    assert plan(MultipathData(surroundings=Surroundings(name="field"))).axes  # nothing stands there


def test_a_slab_off_the_ground() -> None:
    """Walls from its base up, an underside, nobody indoors below it, and lines of sight under it."""
    square_m = ((20.0, -5.0), (30.0, -5.0), (30.0, 5.0), (20.0, 5.0))
    slab = Surroundings(name="slab", ground=None, buildings=(Building(footprint=square_m, height_m=6, base_m=4),))
    block = Surroundings(name="block", ground=None, buildings=(Building(footprint=square_m, height_m=6),))
    faces = faces_of(slab)
    assert sorted(set(faces.vertices_m[:, 2])) == [4, 6]
    assert np.sum(np.abs(faces.normal[:, 2]) > 0.5) == 4  # two triangles above, two below
    at = np.array([[25.0, 0.0, z] for z in (1.5, 3.9, 4.5, 6.5)])
    assert indoors(slab, at).tolist() == [False, False, True, False]
    assert indoors(block, at).tolist() == [True, True, True, False]
    beyond, array = np.array([[60.0, 0.0, 1.5]]), np.array([0.0, 0.0, 2.0])
    assert in_sight(slab, array, beyond, 0.5).tolist() == [True]
    assert in_sight(block, array, beyond, 0.5).tolist() == [False]
    assert in_sight(slab, np.array([0.0, 0.0, 4.5]), beyond, 0.5).tolist() == [False]
    with pytest.raises(ValueError, match="its base is at 6 m: needed less than its height of 6 m"):
        Building(footprint=square_m, height_m=6, base_m=6)


def test_an_array_in_a_slab_is_refused() -> None:
    over = {"footprint": [(-5, -5), (5, -5), (5, 5), (-5, 5)], "height_m": 6, "base_m": 4}
    MultipathData(surroundings={"name": "shelter", "buildings": [over]})
    with pytest.raises(ValueError, match="array_height_m = 5 is inside a building"):
        MultipathData(surroundings={"name": "shelter", "buildings": [over]}, array_height_m=5)
