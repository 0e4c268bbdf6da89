"""Whatever a store says of itself, its page has the same elements and attributes: data never become markup."""

import base64
import itertools
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import toy
import xarray

import engine
from engine import provenance
from engine.scenario import Simulate, Variables
from engine.sweep import TextTable
from jobs.show.page import render
from jobs.show.section import section

HARMLESS = "plain words"
MARKUP = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "' onmouseover='alert(1)' x='",
    "</style></title></textarea><svg/onload=alert(1)>",
    "<!--",
    "]]><a href=javascript:alert(1)>x</a>",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;&#60;i&#62;",
    "`</td></tr></table><iframe srcdoc='<b>'>é",
]


class Skeleton(HTMLParser):
    """Elements with the names of their attributes; comments, declarations; and all text, as a reader sees it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.parts: list[tuple[str, ...]] = []
        self.pictures: list[bytes] = []
        self.seen: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, *(name for name, _ in attrs)))
        for name, value in attrs:
            if name in ("href", "src", "action", "style") or name.startswith("on"):
                assert name == "src" or (value or "").startswith("#"), (tag, name, value)
            if name == "src":
                kind, _, data = (value or "").partition(",")
                assert kind == "data:image/svg+xml;base64"
                self.pictures.append(base64.b64decode(data, validate=True))
            self.seen.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self.parts.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.parts.append(("comment",))

    def handle_decl(self, decl: str) -> None:
        self.parts.append(("declaration", decl))

    def unknown_decl(self, data: str) -> None:
        self.parts.append(("unknown declaration",))

    def handle_pi(self, data: str) -> None:
        self.parts.append(("instruction",))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def saying(said: str) -> type[toy.Toy]:
    """A scenario that says this wherever it may say something."""

    class Speaker(toy.Toy):
        def coordinates(self) -> Variables:
            described = {"units": said, "long_name": said}
            return {name: (dims, values, described) for name, (dims, values, _) in super().coordinates().items()}

        def account(self) -> str:
            return said

        def prepare(self, xp: Any) -> Simulate:
            plain = super().prepare(xp)

            def simulate(realizations: toy.Draws, *, intermediates: bool = False) -> Variables:
                variables = plain(realizations, intermediates=intermediates)
                described = {"units": said, "long_name": said, "comment": said}
                return {name: (dims, values, described) for name, (dims, values, _) in variables.items()}

            return simulate

    return Speaker


def page(said: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Skeleton:
    """A report on a store that says it: in names, descriptions, units, axes, hosts, commits, targets, tables, path."""

    def report(results: xarray.Dataset) -> list[TextTable]:
        verdicts = ("reproduced", said)
        return [TextTable(said, ("claim", said, "verdict"), [(said, said, verdict) for verdict in verdicts])]

    def figure(results: xarray.Dataset) -> Any:
        raise ValueError(said)

    monkeypatch.setattr(provenance, "host", lambda: said)
    monkeypatch.setattr(provenance, "commit", lambda: said)
    path = folder / f"{said.replace('/', '∕')}.zarr"
    sweep = toy.small.replace(
        scenario=saying(said)(size=5), axes={"label": (said, "b")}, name=said, about=said, realizations=8, block=4,
        chunk=4, report=report, figure=figure,
    )  # fmt: skip
    for done in (reports := engine.iterate(sweep, path, serial=True)):
        if done.tasks_done == 3:
            reports.close()
    return Skeleton(render([section(path)]))


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Skeleton:
    with pytest.MonkeyPatch.context() as patched:
        return page(HARMLESS, tmp_path_factory.mktemp("harmless"), patched)


@pytest.mark.parametrize("said", MARKUP)
def test_data_never_become_markup(
    harmless: Skeleton, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = page(said, tmp_path, monkeypatch)
    different = [pair for pair in itertools.zip_longest(harmless.parts, hostile.parts) if pair[0] != pair[1]]
    assert different == []
    shown = " ".join(" ".join(hostile.seen).split())
    plain = " ".join(" ".join(harmless.seen).split())
    wanted = " ".join(said.split())
    assert shown.count(wanted) + shown.count(wanted.replace("/", "∕")) >= plain.count(HARMLESS) > 10
    assert len(hostile.pictures) == len(harmless.pictures) > 0
    for mine, theirs in zip(hostile.pictures, harmless.pictures, strict=True):
        assert _elements(mine) == _elements(theirs)


def _elements(picture: bytes) -> set[str]:
    """Kinds of elements and names of attributes of a drawing, which are the same whatever it is of."""
    tree = ElementTree.fromstring(picture)
    return {name for element in tree.iter() for name in (element.tag, *element.attrib)}


def test_the_comparison_can_fail(harmless: Skeleton) -> None:
    text = "<p title='plain words'>plain words</p>"
    for said in MARKUP[:6]:
        assert Skeleton(text.replace("plain words", "x")).parts == Skeleton(text).parts
        try:
            spoilt = Skeleton(text.replace("plain words", said)).parts
        except AssertionError:
            continue
        assert spoilt != Skeleton(text).parts, said
