"""Named sweeps: each family found without the others, and never one sweep in another's place."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
import scenarios
from engine import InputError
from jobs.cli import named
from jobs.cli.families import families, offered
from scenarios.leakage import fig1

ROOT = Path(engine.__file__).parent.parent
HEAD = "from scenarios.leakage import fig1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules are families beside the others."""
    folder = tmp_path / "families"
    folder.mkdir()
    monkeypatch.setattr(scenarios, "__path__", [*scenarios.__path__, str(folder)])
    before = set(sys.modules)
    yield folder
    for name in {name for name in sys.modules if name.startswith("scenarios.")} - before:
        if Path(str(sys.modules[name].__file__)).is_relative_to(folder):
            del sys.modules[name]
            vars(scenarios).pop(name.split(".")[1], None)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of a user's, who has made sweeps from a family's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "ownstudy.py"
    path.write_text(
        HEAD + "wide = fig1.replace(axes={'n_elements': (50, 100)})\nown = fig1.replace(name='ownstudy:other')\n"
        "nameless = fig1.replace(name='')\n"
    )
    yield path
    sys.modules.pop("ownstudy", None)


def sweeps(family: str) -> dict[str, engine.Sweep]:
    return offered(family, engine.Sweep)


def test_a_file_is_a_family(folder: Path) -> None:
    (folder / "mine.py").write_text(
        HEAD + "wide = fig1.replace(name='mine:wide')\nalso = wide\n_own = fig1.replace()\n"
    )
    assert "mine" in families()
    assert list(sweeps("mine")) == ["mine:wide"]
    assert named.find("mine:wide").name == "mine:wide"
    assert set(named.named_sweeps()) >= {"mine:wide", "leakage:fig1", "ris:fig4", "multipath:data"}
    assert named.find("leakage:fig1") is fig1


def test_a_folder_is_a_family(folder: Path) -> None:
    """Whatever module of it holds a sweep; a module with an underscore is not looked at."""
    package = folder / "yours"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("from scenarios.yours.a import one\n")
    (package / "a.py").write_text(HEAD + "one = fig1.replace(name='yours:one')\n")
    (package / "inner" / "__init__.py").write_text("")
    (package / "inner" / "b.py").write_text(HEAD + "two = fig1.replace(name='yours:two')\n")
    (package / "_private.py").write_text("raise RuntimeError\n")
    assert list(sweeps("yours")) == ["yours:one", "yours:two"]


def test_what_is_offered_may_be_of_any_kind(folder: Path) -> None:
    text = "class Plan:\n    def __init__(self, name):\n        self.name = name\n\n\nlong = Plan('mine:long')\n"
    (folder / "mine.py").write_text(text + "number = 3\n")
    assert sweeps("mine") == {}
    plan = sys.modules["scenarios.mine"].Plan
    assert offered("mine", plan) == {"mine:long": sys.modules["scenarios.mine"].long}


def test_two_sweeps_of_one_name_are_refused_with_both_places(folder: Path) -> None:
    package = folder / "yours"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text(HEAD + "one = fig1.replace(name='yours:one')\n")
    (package / "b.py").write_text("from scenarios.yours.a import one\n")
    assert list(sweeps("yours")) == ["yours:one"]  # one object in two modules is one sweep
    (package / "c.py").write_text("from scenarios.yours.a import one\n\ntwo = one.replace(realizations=50)\n")
    with pytest.raises(InputError) as refused:
        named.find("yours:one")
    assert str(refused.value) == (
        "sweeps scenarios.yours.a:one and scenarios.yours.c:two are both named 'yours:one': give one another name, or "
        "begin its attribute with an underscore"
    )


def test_a_sweep_without_a_name_is_refused(folder: Path) -> None:
    (folder / "mine.py").write_text(HEAD + "very_wide = fig1.replace(name='')\n")
    with pytest.raises(InputError) as refused:
        sweeps("mine")
    assert str(refused.value) == (
        'sweep scenarios.mine:very_wide has no name: write .replace(name="mine:very-wide"), or begin its attribute '
        "with an underscore"
    )


def test_a_sweep_under_another_familys_name_is_refused_with_both_places(folder: Path) -> None:
    """The house's own idiom with the name forgotten; importing fig1 for it is no second fig1."""
    (folder / "mine.py").write_text(HEAD + "wide = fig1.replace(axes={'n_elements': (50, 100)})\n")
    with pytest.raises(InputError) as refused:
        named.named_sweeps()
    assert str(refused.value) == (
        "sweep scenarios.mine:wide is named 'leakage:fig1' as scenarios.leakage.bound:fig1 is: write "
        '.replace(name="mine:wide"), or begin its attribute with an underscore'
    )
    assert named.find("leakage:fig1") is fig1


@pytest.mark.parametrize("name", ["elsewhere:wide", "wide", "minetoo:wide"])
def test_a_sweep_whose_name_is_no_familys_is_refused(folder: Path, name: str) -> None:
    (folder / "mine.py").write_text(HEAD + f"wide = fig1.replace(name={name!r})\n")
    with pytest.raises(InputError, match=rf"scenarios.mine:wide is named '{name}': write .replace\(name=\"mine:wide\""):
        sweeps("mine")


def test_a_family_that_cannot_be_imported_hinders_no_other(folder: Path) -> None:
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    assert named.find("leakage:fig1") is fig1
    assert named.at_hand("leakage:fig1") is fig1
    with pytest.raises(InputError, match="cannot import 'scenarios.broken': No module named 'nothing_of_this_name'"):
        named.named_sweeps()


@pytest.mark.parametrize(
    ("name", "others"),
    [("leakage:fig1", []), ("ris:fig4", []), ("multipath:fig4", ["leakage"])],  # whose scene multipath's extends
)
def test_a_family_is_found_without_the_others(name: str, others: list[str]) -> None:
    code = f"""
import sys
from jobs.cli import named
assert named.find({name!r}).name == {name!r}
print(sorted(top for top in ("leakage", "multipath", "ris") if f"scenarios.{{top}}" in sys.modules))
"""
    found = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip()
    assert found == str(sorted([name.partition(":")[0], *others]))


@pytest.mark.usefixtures("study")
def test_a_users_sweep_is_called_what_it_was_asked_for() -> None:
    """Else it would be refused for, or written into, the folder of the sweep that it was made from."""
    wide = named.find("ownstudy:wide")
    assert wide.name == "ownstudy:wide"
    assert list(wide.axes) == ["n_elements"]
    assert named.default_store(wide, wide) == "results/ownstudy-wide.zarr"
    assert named.default_store(fig1, fig1) == "results/leakage-fig1.zarr"
    assert named.find("ownstudy:own").name == "ownstudy:other"
    assert named.find("ownstudy:nameless").name == "ownstudy:nameless"
    assert named.find("scenarios.leakage.bound:fig1") is fig1
    assert named.find("scenarios.leakage:fig1_as_printed").name == "leakage:fig1-as-printed"


@pytest.mark.usefixtures("study")
def test_what_a_store_names_is_at_hand_or_left_alone() -> None:
    assert named.at_hand("ownstudy:wide") is None
    assert "ownstudy" not in sys.modules
    named.find("ownstudy:wide")
    found = named.at_hand("ownstudy:wide")
    assert found is not None
    assert found.figure is fig1.figure
    assert named.at_hand("leakage:fig1") is fig1
    for name in ("", ":", "fig1", "os:path", "leakage:", "leakage.bound:fig1", "../leakage:fig1", "nowhere:x"):
        assert named.at_hand(name) is None, name
