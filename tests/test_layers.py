"""Who may import whom, floor by floor; no circles; heavy packages where they belong; short files and functions.

A module is named as its file is, `engine.__init__` for the package itself, so that an entry of a table means a module
or all below a folder. Every import counts, wherever it stands: in a function, or for type checking alone.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import engine

MACHINERY = (  # a floor imports those above it here, and its own
    ("engine.errors", "engine.imports", "engine.provenance"),
    ("engine.backend", "engine.streams"),
    ("engine.scenario",),
    ("engine.sweep",),
    ("engine.summary", "engine.moments", "engine.intervals"),
    ("engine.comparison",),
    ("engine.targets",),
    ("engine.store",),
    ("engine.execution",),
    ("engine.notebook",),
    ("engine.__init__", "engine.tensorflow_data"),
)
FOR_SCIENCE = ("engine.errors", "engine.imports")
SCIENCE = ("engine.numerics", "engine.channels", "engine.estimators")
FOR_SCENARIOS = (
    "engine.__init__", "engine.errors", "engine.provenance", "engine.scenario", "engine.streams", "engine.summary",
    "engine.sweep", "engine.targets", *SCIENCE,
)  # fmt: skip
FOR_FAMILIES = (*FOR_SCENARIOS, "scenarios.figures", "scenarios.learning")
MAY_IMPORT = {  # beside itself; * is any one name, and a row that names it fully goes first
    **{place: sum(MACHINERY[: floor + 1], ()) for floor, places in enumerate(MACHINERY) for place in places},
    "engine.numerics": FOR_SCIENCE,
    "engine.channels": (*FOR_SCIENCE, "engine.numerics"),
    "engine.estimators": (*FOR_SCIENCE, "engine.numerics"),
    "scenarios.__init__": (),
    "scenarios.figures": (*FOR_SCENARIOS, "engine.intervals"),
    "scenarios.learning": FOR_SCENARIOS,
    "scenarios.multipath": (*FOR_FAMILIES, "scenarios.leakage.scene"),
    "scenarios.*": FOR_FAMILIES,
    "jobs.__init__": (),
    "jobs.__main__": ("jobs.main",),
    "jobs.main": ("engine", "scenarios", "jobs.cli", "jobs.show", "jobs.commands.__init__"),
    "jobs.cli": ("engine", "scenarios"),
    "jobs.show": ("engine", "scenarios", "jobs.cli"),
    "jobs.benchmarks": ("engine", "scenarios"),
    "jobs.evidence": ("engine", "scenarios"),
    "jobs.commands.*": ("engine", "scenarios", "jobs.cli", "jobs.show", "jobs.benchmarks", "jobs.evidence"),
}
ONLY_IN = {
    "ray": ("engine.execution.cluster",),
    "zarr": ("engine.store",),
    "fsspec": ("engine.store.object_storage",),
    "xarray": (
        "engine.__init__",
        "engine.comparison",
        "engine.execution.replay",
        "engine.store",
        "engine.summary",
        "engine.tensorflow_data",
        "scenarios",
        "jobs",
    ),
    "tensorflow": ("engine.tensorflow_data",),
    "cupy": ("engine.backend",),
    "numba": ("engine.numerics.compiled",),
    "torch": (
        "engine.estimators.deepsets.autograd",
        "engine.estimators.deepsets.replica",
        "jobs.benchmarks.training",
    ),
    "safetensors": ("engine.estimators.deepsets.checkpoint",),
    "sionna": ("engine.channels.tracing",),
    "mitsuba": ("engine.channels.tracing",),
    "drjit": ("engine.channels.tracing", "engine.channels.llvm"),
    "shapely": ("engine.channels.surroundings",),
    "pyproj": ("engine.channels.places.crs",),
    "pyogrio": ("engine.channels.places.tables",),
    "matplotlib": ("scenarios", "jobs"),
    "rich": ("jobs",),
    "typer": ("jobs",),
}
MOST_LINES, USUAL_FUNCTION_LINES = 350, 30

ROOT = Path(engine.__file__).parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text()
    for top in ("engine", "scenarios", "jobs")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def within(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def imported(text: str, modules: Iterable[str]) -> set[str]:
    """The modules that a file imports, named as files are where they are ours; a relative import begins with a dot."""

    def found(name: str) -> str:
        return f"{name}.__init__" if f"{name}.__init__" in modules else name

    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {found(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            parts = {found(f"{package}.{alias.name}") for alias in node.names}
            names |= {part if part in modules else found(package) for part in parts}
    return names


def place_of(module: str) -> tuple[str, tuple[str, ...]] | None:
    """The row of the table that a module belongs to, written for it, and what it may import; None without a row."""
    for row, others in MAY_IMPORT.items():
        place = ".".join(module.split(".")[: row.count(".") + 1])
        if place == row or (row.endswith(".*") and f"{place.rpartition('.')[0]}.*" == row):
            return place, others
    return None


def complaints(module: str, imports: Iterable[str]) -> list[str]:
    """What is wrong with a module that imports these, none if nothing is."""
    row = place_of(module)
    if row is None:
        return [f"{module} has no place: give it a row of the table, on the floor where it belongs"]
    place, others = row
    refused = []
    for name in sorted(imports):
        own = name.partition(".")[0] in ("engine", "scenarios", "jobs")
        if name.startswith(".") or (own and not within(name, (place, *others))):
            refused.append(f"{module} imports {name}")
        refused += [
            f"{module} imports {package}, which only {', '.join(places)} may"
            for package, places in ONLY_IN.items()
            if within(name, (package,)) and not within(module, places)
        ]
    return refused


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Circles of imports, one for every import that must go."""
    left, found = {module: set(others) for module, others in graph.items()}, []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            found.append(error.args[1])
            left[error.args[1][1]].discard(error.args[1][0])
        else:
            return found


def too_long(text: str) -> bool:
    """More lines than a file should have, and no word at its head why."""
    head = ast.get_docstring(ast.parse(text)) or ""
    return len(text.splitlines()) > MOST_LINES and "long because" not in " ".join(head.split())


def function_lines(text: str) -> list[int]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return [(node.end_lineno or 0) - node.lineno + 1 for node in functions]


@pytest.mark.parametrize("module", FILES)
def test_imports_follow_the_table(module: str) -> None:
    assert complaints(module, imported(FILES[module], FILES)) == []


def test_no_circles() -> None:
    graph = {module: imported(text, FILES) & FILES.keys() for module, text in FILES.items()}
    assert circles(graph) == []


@pytest.mark.parametrize("place", sorted({*MAY_IMPORT, *sum((*MAY_IMPORT.values(), *ONLY_IN.values()), ())}))
def test_the_tables_name_what_there_is(place: str) -> None:
    assert any(within(module, (place.removesuffix(".*"),)) for module in FILES)


@pytest.mark.parametrize(
    ("module", "refused"),
    [
        ("engine.errors", "engine.streams"),
        ("engine.streams", "engine.scenario"),
        ("engine.scenario", "engine.sweep"),
        ("engine.sweep", "engine.summary"),
        ("engine.moments", "engine.targets"),
        ("engine.targets", "engine.store.stops"),
        ("engine.store.results", "engine.execution.driver"),
        ("engine.execution.driver", "engine.__init__"),
        ("engine.execution.driver", "engine.tensorflow_data"),
        ("engine.summary", "engine.numerics.bessel"),
        ("engine.store.store", "scenarios.leakage.scene"),
        ("engine.execution.driver", "jobs.main"),
        ("engine.numerics.bessel", "engine.__init__"),
        ("engine.numerics.bessel", "engine.streams"),
        ("engine.numerics.bessel", "engine.channels.tracing"),
        ("engine.numerics.bessel", "engine.estimators.search"),
        ("engine.channels.tracing", "engine.estimators.search"),
        ("engine.channels.tracing", "engine.scenario"),
        ("engine.estimators.search", "engine.channels.tracing"),
        ("engine.estimators.search", "engine.__init__"),
        ("engine.estimators.search", "scenarios.leakage.scene"),
        ("scenarios.__init__", "scenarios.leakage.scene"),
        ("scenarios.figures.errors", "scenarios.leakage.scene"),
        ("scenarios.figures.errors", "scenarios.learning.set_data"),
        ("scenarios.learning.set_data", "scenarios.leakage.scene"),
        ("scenarios.leakage.scene", "scenarios.multipath.scene"),
        ("scenarios.ris.scene", "scenarios.leakage.scene"),
        ("scenarios.multipath.training", "scenarios.leakage.training"),
        ("scenarios.another", "scenarios.leakage.scene"),
        ("scenarios.leakage.scene", "engine.store.results"),
        ("scenarios.leakage.scene", "engine.execution.driver"),
        ("scenarios.leakage.scene", "jobs.show.tables"),
        ("jobs.__main__", "jobs.cli.options"),
        ("jobs.main", "jobs.commands.run"),
        ("jobs.main", "jobs.benchmarks.ris"),
        ("jobs.cli.named", "jobs.commands.run"),
        ("jobs.cli.named", "jobs.show.tables"),
        ("jobs.show.tables", "jobs.commands.run"),
        ("jobs.benchmarks.ris", "jobs.commands.run"),
        ("jobs.commands.run", "jobs.commands.plot"),
        ("jobs.commands.run", "jobs.main"),
        ("engine.errors", ".streams"),
        *(("engine.sweep", package) for package in ONLY_IN),
        ("engine.channels.tracing", "torch.nn"),
        ("scenarios.leakage.scene", "typer"),
    ],
)
def test_what_the_table_refuses(module: str, refused: str) -> None:
    told = complaints(module, {refused})
    assert told
    assert all(line.startswith(f"{module} imports {refused.partition('.')[0]}") for line in told)


@pytest.mark.parametrize("line", ["import engine", "from engine import Streams", "def f():\n    import engine"])
@pytest.mark.parametrize("package", SCIENCE)
def test_science_does_not_import_the_engine(package: str, line: str) -> None:
    assert complaints(f"{package}.made_up", imported(line, FILES)) == [f"{package}.made_up imports engine.__init__"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("engine.store.results", "engine.store.store"),
        ("engine.execution.cluster.jobs", "ray.util"),
        ("engine.numerics.bessel", "engine.errors"),
        ("scenarios.multipath.scene", "scenarios.leakage.scene"),
        ("scenarios.another", "scenarios.figures.errors"),
        ("jobs.commands.run", "engine.__init__"),
        ("jobs.main", "jobs.commands.__init__"),
    ],
)
def test_what_the_table_allows(module: str, name: str) -> None:
    assert complaints(module, {name}) == []


def test_a_new_file_must_be_placed() -> None:
    assert "has no place" in complaints("engine.novelty", ())[0]
    assert "has no place" in complaints("jobs.novelty", ())[0]


def test_every_import_is_seen() -> None:
    modules = {"pack.__init__", "pack.part", "pack.other"}
    lazy = "if TYPE_CHECKING:\n    import pack\ndef f():\n    from pack import part, other as renamed"
    assert imported(lazy, modules) == {"pack.__init__", "pack.part", "pack.other"}
    assert imported("from pack import part, NAME", modules) == {"pack.part", "pack.__init__"}
    assert imported("from pack.part import NAME\nimport numpy.linalg", modules) == {"pack.part", "numpy.linalg"}
    assert imported("from . import part", modules) == {"."}


def test_circles_are_found_through_lazy_imports() -> None:
    texts = {
        "pack.a": "def f():\n    from pack import b",
        "pack.b": "from pack.c import name",
        "pack.c": "if TYPE_CHECKING:\n    import pack.a",
        "pack.d": "import pack.a, pack.e",
        "pack.e": "import pack.d",
    }
    found = circles({module: imported(text, texts) for module, text in texts.items()})
    assert sorted(sorted(set(circle)) for circle in found) == [["pack.a", "pack.b", "pack.c"], ["pack.d", "pack.e"]]
    assert circles({"pack.a": ["pack.b"], "pack.b": []}) == []


@pytest.mark.parametrize("module", FILES)
def test_a_file_is_short_or_says_why_not(module: str) -> None:
    assert not too_long(FILES[module])


def test_a_long_file_is_noticed() -> None:
    assert too_long('"""Long."""\n' * (MOST_LINES + 1))
    assert not too_long('"""Long."""\n' * MOST_LINES)
    assert not too_long('"""It is long\nbecause …"""\n' + "\n" * MOST_LINES)


def test_functions_are_short() -> None:
    lines = sorted(lines for text in FILES.values() for lines in function_lines(text))
    assert lines[int(0.9 * len(lines))] <= USUAL_FUNCTION_LINES
    made_up = "class A:\n    def f():\n        pass\n\n\nasync def g():\n\n    def h(): ...\n    return"
    assert sorted(function_lines(made_up)) == [1, 2, 4]


def test_the_machinery_knows_nothing_of_antennas() -> None:
    for module, text in FILES.items():
        if within(module, ("engine",)) and not within(module, SCIENCE):
            assert "antenna" not in text.lower(), module
            assert "sensor" not in text.lower(), module


def test_importing_the_engine_loads_nothing_heavy() -> None:
    heavy = ("ray", "zarr", "xarray", "pandas", "scipy", "torch", "cupy", "matplotlib", "sionna", "shapely", "numba")
    code = f"import sys; from engine import *; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_the_public_names_are_few() -> None:
    assert len(engine.__all__) <= 17
    assert all(hasattr(engine, name) for name in engine.__all__)
    assert not hasattr(engine, "Sweeps")
