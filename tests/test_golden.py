"""Stores of earlier days open, hold, resume and grow with today's code, wherever their classes have moved since.

tests/golden/make.py says what a golden store is. Whoever breaks one of these writes a migration; who raises a
`code_version` adds a store of the new version, and the old one stays: it must open, and be refused by name; so does who
trains networks anew that come with the package, with `multipath-networks`.
"""

import importlib
import inspect
import json
import pkgutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from golden.make import SWEEPS

import engine
import scenarios
from engine import InputError, Scenario, StoreError, Sweep
from engine.estimators.deepsets import Checkpoint
from engine.imports import class_named, stored_name
from engine.store.compact import expand
from engine.store.integrity import Problem, verify
from engine.store.metadata import FORMAT
from engine.store.store import Store

FOLDER = Path(__file__).parent / "golden"
ARCHIVES = sorted(FOLDER.glob("*.zip"))


def classes() -> list[type[Scenario]]:
    """Every scenario class of the package that is not abstract."""
    found = set()
    for module in pkgutil.walk_packages(scenarios.__path__, "scenarios."):
        found |= {
            kind
            for kind in vars(importlib.import_module(module.name)).values()
            if inspect.isclass(kind) and issubclass(kind, Scenario) and not inspect.isabstract(kind)
        }
    return sorted(found, key=stored_name)


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / "store.zarr")
    return tmp_path / "store.zarr"


def is_of_today(store: Store) -> bool:
    return bool(store.attributes["code_version"] == type(store.sweep.scenario).code_version)


def has_its_networks(sweep: Sweep) -> bool:
    """Whether the networks that came with the package are those that the store was begun with."""
    named = getattr(sweep.scenario, "checkpoints", ())
    return all(one.sha256 == Checkpoint(path=one.path).sha256 for one in named)


def test_it_opens_and_holds(path: Path) -> None:
    assert [item for item in verify(path) if isinstance(item, Problem)] == []
    results = engine.open_results(path).load()
    store = Store(path)
    assert int(results.complete.sum()) == store.grid.n_points * 8 - 4  # all chunks but one
    for name in store.variable_names():
        summary = engine.summarize(results[name], complete=results.complete)
        assert int(summary["count"].max()) > 0, name
    assert set(SWEEPS) >= {path.name.rpartition("-")[0] for path in ARCHIVES}


def test_it_resumes_and_grows(path: Path) -> None:
    store = Store(path)
    if not is_of_today(store):
        with pytest.raises(StoreError, match=rf"was computed by version {store.attributes['code_version']} of"):
            engine.load_sweep(path)
        return
    before = engine.open_results(path).load()
    sweep = engine.load_sweep(path)
    assert sweep.fingerprint() == store.attributes["fingerprint"]
    if not has_its_networks(sweep):
        with pytest.raises(InputError, match="came with another version of this package"):
            engine.replay(path, 0)
        return
    again = engine.replay(path, 0, **{name: values[0] for name, values in sweep.axes.items()})
    stored = before.isel(dict.fromkeys(sweep.axes, 0) | {"realization": 0})
    # The last bits are those of the processor that made the store: of networks, which compute in single precision, of
    # integrals whose cells follow the posterior, up to 6e-6 from one to another.
    for name in store.variable_names():
        np.testing.assert_allclose(again[name], stored[name], rtol=2e-5, atol=1e-9, err_msg=name)
    grown = engine.run(sweep.replace(realizations=12), path, serial=True).load()
    assert bool(grown.complete.all())
    assert grown.sizes["realization"] == 12
    was_there = before.complete.values
    for name in store.variable_names():
        kept = grown[name].isel(realization=slice(8)).values
        assert kept[was_there].tobytes() == before[name].values[was_there].tobytes(), name


@pytest.mark.parametrize("archive", sorted(FOLDER.glob("compact/*.zip")), ids=lambda path: path.stem)
def test_a_compact_one_opens_holds_and_is_spread_again(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.zarr"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(path)
    assert [item for item in verify(path) if not hasattr(item, "checksums")] == []
    before, store = engine.open_results(path).load(), Store(path)
    assert store.is_compact
    assert bool(before.complete.all())
    if is_of_today(store):
        sweep = engine.load_sweep(path)
        assert engine.run(sweep, path, serial=True).identical(before)
        again = engine.replay(path, 0, **{name: values[0] for name, values in sweep.axes.items()})
        stored = before.isel(dict.fromkeys(sweep.axes, 0) | {"realization": 0})
        for name in store.variable_names():
            np.testing.assert_allclose(again[name], stored[name], rtol=1e-6, atol=1e-9, err_msg=name)
    assert expand(path) == 0
    assert [item for item in verify(path) if not hasattr(item, "checksums")] == []
    assert engine.open_results(path).load().identical(before)


def test_there_are_stores_of_every_format() -> None:
    """Of a format that `nearfield` writes, unfinished and compact; and of the one before."""
    formats = {FORMAT: 0, 1: 0}
    for archive in ARCHIVES:
        with zipfile.ZipFile(archive) as packed:
            formats[json.loads(packed.read("zarr.json"))["attributes"]["nearfield_format"]] += 1
    assert min(formats.values()) >= len(SWEEPS)
    assert list(FOLDER.glob("compact/*.zip"))


def test_every_scenario_has_a_store_of_today(tmp_path: Path) -> None:
    known = set()
    for archive in ARCHIVES:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / archive.stem)
        attributes = Store(tmp_path / archive.stem).attributes
        known.add((attributes["scenario_class"], attributes["code_version"]))
    for kind in classes():
        wanted = stored_name(kind), kind.code_version
        assert wanted in known, f"python tests/golden/make.py, with a sweep of {wanted[0]} in it"
    assert len(classes()) >= 7


def test_the_table_of_moved_classes_is_one_to_one_and_true() -> None:
    assert len(set(scenarios.MOVED.values())) == len(scenarios.MOVED)
    for old, new in scenarios.MOVED.items():
        kind = class_named(old, Scenario, "scenario")
        assert f"{kind.__module__}:{kind.__qualname__}" == new
        assert stored_name(kind) == old


MODULE = """
from toy import Toy

class Mine(Toy):
    pass
"""


def test_a_class_that_moves_takes_its_stores_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's package, in which a class goes to another file: the same store, the same fingerprint."""
    package = tmp_path / "mystudies"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "first.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def sweep(module: str) -> Sweep:
        for name in [name for name in sys.modules if name.startswith("mystudies")]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        return Sweep(importlib.import_module(module).Mine(), realizations=8, block=4, chunk=4)

    store = tmp_path / "x.zarr"
    old = sweep("mystudies.first")
    engine.run(old, store, serial=True)
    (package / "first.py").rename(package / "second.py")
    moved = sweep("mystudies.second")
    assert moved.fingerprint() != old.fingerprint()  # the test can fail
    with pytest.raises(StoreError, match="holds another sweep"):
        engine.run(moved, store, serial=True)
    (package / "__init__.py").write_text("MOVED = {'mystudies.first:Mine': 'mystudies.second:Mine'}")
    moved = sweep("mystudies.second")
    assert moved.fingerprint() == old.fingerprint()
    assert engine.load_sweep(store).scenario == moved.scenario
    results = engine.run(moved.replace(realizations=16), store, serial=True)
    assert bool(results.complete.all())
    assert results.attrs["scenario_class"] == "mystudies.first:Mine"


def test_a_table_opens_no_door_to_other_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a package says of names is taken from packages that the program imported, never from a store's word."""
    with pytest.raises(ValueError, match="lies outside nearfield"):
        class_named("notimported.first:Mine", Scenario, "scenario")
    stranger = types.ModuleType("stranger")
    stranger.MOVED = {"stranger:Mine": "os:system"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stranger", stranger)
    with pytest.raises(ValueError, match="is no scenario class"):
        class_named("stranger:Mine", Scenario, "scenario")
