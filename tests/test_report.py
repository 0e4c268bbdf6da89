"""The report: one page that says what the stores hold, loads nothing, runs nothing, and is laid out for a phone."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
import xarray

import engine
from engine.scenario import Simulate, Variables
from engine.sweep import TextTable
from jobs import main as command_line
from jobs.show.page import render
from jobs.show.section import section
from jobs.show.statistics import summaries
from jobs.show.tables import print_tables

HOSTILE = "</style><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>{{ 7 * 7 }}"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(not BROWSER, reason="no chromium or google-chrome on PATH")


class Page(HTMLParser):
    """Elements with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for text in self.texts.get(tag, [])]


class Hostile(toy.Toy):
    """Describes its numbers with markup."""

    def coordinates(self) -> Variables:
        described = {"units": HOSTILE, "long_name": HOSTILE}
        return {name: (dims, values, described) for name, (dims, values, _) in super().coordinates().items()}

    def prepare(self, xp: Any) -> Simulate:
        plain = super().prepare(xp)

        def simulate(realizations: toy.Draws, *, intermediates: bool = False) -> Variables:
            variables = plain(realizations, intermediates=intermediates)
            described = {"units": HOSTILE, "long_name": HOSTILE}
            return {name: (dims, values, described) for name, (dims, values, _) in variables.items()}

        return simulate


def claims(results: xarray.Dataset) -> list[TextTable]:
    verdicts = ("reproduced", "contradicted", "undecided at this budget (9)", "not judged here (9)")
    rows = [("power grows", "yes", "1.5e-07 W", verdict) for verdict in verdicts]
    return [TextTable("The paper's claims", ("claim", "paper", "this run", "verdict"), rows)]


def broken_figure(results: xarray.Dataset) -> Any:
    raise ZeroDivisionError("no figure of holes")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Reports on a finished store, on one a third done, on an empty one, and on one that means harm."""
    folder = tmp_path_factory.mktemp("stores")
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(Path(toy.__file__).parent))
    patch.setattr(toy, "small", toy.small.replace(report=claims, figure=broken_figure))
    patch.chdir(folder)
    engine.run(toy.small, "whole.zarr", serial=True)
    changed = toy.small.replace(scenario=toy.Toy(size=4), axes={"offset": (0.0, 28e9, 2.0)}, seed=7)
    for name, tasks in (("part.zarr", 5), ("empty.zarr", 0)):
        for progress in (run := engine.iterate(changed, name, serial=True)):
            if progress.tasks_done == tasks:
                run.close()
    harm = toy.small.replace(
        scenario=Hostile(size=5), axes={"label": (HOSTILE, "$x_")}, name=HOSTILE, about=HOSTILE, realizations=8
    )
    place = Path(HOSTILE.replace("/", "∕"))
    engine.run(harm, place, serial=True)
    wide = toy.small.replace(
        scenario=toy.Toy(levels_db=tuple(float(level) for level in range(14))), realizations=8, name="", report=None
    )
    engine.run(wide, "many.zarr", serial=True)
    sections = {name: section(Path(f"{name}.zarr")) for name in ("part", "whole", "empty")} | {"harm": section(place)}
    many = render([section("many.zarr")])
    patch.undo()
    made = {name: render([one]) for name, one in sections.items()}
    return made | {"all": render(list(sections.values())), "many": many}


@pytest.mark.parametrize("which", ["whole", "part", "empty", "harm", "all"])
def test_a_page_is_self_contained_accessible_and_well_formed(pages: dict[str, str], which: str) -> None:
    page = Page(pages[which])
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        source = attributes.get("src") or attributes.get("href") or "#"
        assert source.startswith(("#", "data:image/svg+xml;base64,")), source
    assert "http" not in re.sub(r"data:[^\"]*", "", pages[which]).replace("http-equiv", "")
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.text("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all(attributes.get("aria-label") for attributes in page.all("svg") + page.all("progress"))
    identities = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identities)) == len(identities)
    assert {(a["href"] or "")[1:] for a in page.all("a")} <= set(identities)


def test_the_numbers_are_those_of_the_store(pages: dict[str, str], tmp_path: Path) -> None:
    results = engine.run(toy.small, tmp_path / "again.zarr", serial=True)
    summary = engine.summarize(results.power)
    cells = [text for text in Page(pages["whole"]).text("td") if "[" in text]
    assert len(cells) == 2 * 3 * 2  # mean and median, three offsets, two levels
    at = {"offset": 1, "levels_db": 0}
    for text, name in ((cells[2], "mean"), (cells[8], "median")):
        value, low, high = (float(part) for part in re.findall(r"[\d.]+", text))
        for printed, stored in ((value, name), (low, f"{name}_low"), (high, f"{name}_high")):
            assert printed == pytest.approx(float(summary[stored].isel(at)), rel=0.006)


def test_progress_settings_and_provenance_are_told(pages: dict[str, str]) -> None:
    part = Page(pages["part"])
    assert part.all("progress")[0]["value"] == "40"
    assert part.all("progress")[0]["max"] == "120"
    text = " ".join(part.text("main"))
    for told in (
        "40 of 120 realizations, 33 %", "5 finished, 10 pending", "Incomplete: 40 of 120 realizations are stored",
        "Points that are not finished", "Changed against the named sweep", "2.8×10¹⁰", "length of x",
    ):  # fmt: skip
        assert told in text, told
    changed = dict(re.findall(r'<tr class="changed"><th scope="row">(\w+)</th><td>([^<]*?) ?<', pages["part"]))
    assert changed == {"size": "4", "seed": "7", "offset": "axis 0, 2.8×10¹⁰, 2"}
    assert "Changed against" not in " ".join(Page(pages["whole"]).text("main"))
    for name in ("fingerprint", "commit", "seed", "versions", "backend"):
        assert name in part.text("dt")


def test_claims_stand_beside_our_numbers(pages: dict[str, str]) -> None:
    verdicts = re.findall(r'class="verdict (yes|no|open)">([^<]*)<', pages["whole"])
    assert [kind for kind, _ in verdicts] == ["yes", "no", "open", "open"]
    assert "1.5×10⁻⁷ W" in Page(pages["whole"]).text("td")


def test_a_figure_that_fails_is_told_and_another_is_drawn(pages: dict[str, str]) -> None:
    page = Page(pages["whole"])
    assert any("ZeroDivisionError: no figure of holes" in text for text in page.text("p"))
    assert len(page.all("img")) == 1


def test_an_empty_store_gives_a_useful_page(pages: dict[str, str]) -> None:
    page = Page(pages["empty"])
    assert any("Nothing is stored yet" in text for text in page.text("p"))
    assert not page.all("img")
    assert {"What was run", "Progress", "Provenance"} <= set(page.text("h3"))


def test_what_a_store_says_is_text(pages: dict[str, str]) -> None:
    """Name, description, path, axis values and attributes of the hostile store arrive as text, unevaluated."""
    page = Page(pages["harm"])
    assert HOSTILE in page.text("h1")[0]
    assert any(HOSTILE in text for text in page.text("th"))
    assert any(HOSTILE in text for text in page.text("summary"))  # a variable's description
    assert "hacked" not in " ".join(str(attributes) for tag, attributes in page.elements if tag in ("script", "img"))


def test_several_stores_have_contents(pages: dict[str, str]) -> None:
    page = Page(pages["all"])
    assert page.text("h1") == ["Report on 4 studies"]
    links = [a["href"] for a in page.all("a")]
    assert {f"#study-{number}" for number in range(1, 5)} <= set(links)


def test_targets_and_reasons_of_stops_are_told(tmp_path: Path) -> None:
    sweep = toy.small.replace(scenario=toy.Toy(levels_db=(0.0,)), realizations=4000, chunk=100, block=100)
    engine.run(sweep, tmp_path / "t.zarr", serial=True, targets=(engine.Target.parse("power:rel=0.5"),))
    page = Page(render([section(tmp_path / "t.zarr")]))
    text = " ".join(page.text("main"))
    assert "Stopped at its targets: " in text
    assert any("power:rel=0.5" in text for text in page.text("dd"))
    assert page.text("td").count("target") == 3  # points
    assert "stop_reason" not in text
    assert "0 pending" in text
    assert "Incomplete" not in text
    assert page.all("progress")[0]["value"] == page.all("progress")[0]["max"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("toy.zarr -o page.txt", 2, "output: given 'page.txt', needed a file ending in .html"),
        ("toy.zarr -o nowhere/page.html", 2, "cannot write nowhere/page.html: No such file or directory"),
        ("toy.zarr nothing.zarr", 1, "no store at nothing.zarr"),
        ("odd.zarr", 1, "odd.zarr has attributes that no store has: "),
        ("", 2, "Missing argument"),
    ],
)
def test_nonsense_is_one_line(
    words: str, code: int, message: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    engine.run(toy.small.replace(realizations=4, chunk=4), "toy.zarr", serial=True)
    shutil.copytree("toy.zarr", "odd.zarr")
    metadata = json.loads(Path("odd.zarr/zarr.json").read_text())
    metadata["attributes"]["axes"] = "{"
    Path("odd.zarr/zarr.json").write_text(json.dumps(metadata))
    monkeypatch.setattr(sys, "argv", ["nearfield", "report", *words.split()])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == code
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert message in error[0]
    assert not list(tmp_path.glob("*.html"))


def browse(folder: Path, *options: str) -> str:
    """What chromium prints of wrapper.html."""
    environment = {**os.environ, "HOME": str(folder)}
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *options, str(folder / "wrapper.html"),
    ]  # fmt: skip
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout


def wrap(folder: Path, page: str, width: int, height: int) -> None:
    """The page in a frame as narrow as a phone, and a script beside it that measures it: it can run none of its own."""
    measure = """
    const done = () => {
      const page = frame.contentDocument, box = selector => page.querySelector(selector).getBoundingClientRect();
      document.body.dataset.found = JSON.stringify({
        wide: [...page.querySelectorAll("*")].filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right >
          frame.clientWidth + 1).map(e => e.tagName + "." + e.className),
        width: page.documentElement.scrollWidth, hacked: String(frame.contentWindow.hacked),
        images: [...page.images].map(image => image.complete && image.naturalWidth > 0),
        tables: page.querySelectorAll("table").length,
        scrolls: [...page.querySelectorAll(".scroll")].some(part => part.scrollWidth > part.clientWidth),
        cut: [...page.querySelectorAll(".scroll *")].filter(part =>
          part.getBoundingClientRect().right > frame.clientWidth + 1).map(part => part.textContent.slice(0, 40)),
        edges: getComputedStyle(page.querySelector(".scroll")).backgroundAttachment,
        hint: getComputedStyle(page.querySelector(".picture figcaption"), "::after").content,
        font: getComputedStyle(page.querySelector("td")).fontSize, title: page.title,
        bar: (({x, y, width, height}) => ({x, y, width, height}))(box("progress")),
      });
    };
    frame.onload = done;
    """
    (folder / "wrapper.html").write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body style='margin:0'>"
        f"<iframe id=frame style='border:0;width:{width}px;height:{height}px'></iframe>"
        f"<script>{measure} frame.srcdoc = {json.dumps(page).replace('<', chr(92) + 'u003c')};</script></body>"
    )


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_lays_the_page_out(pages: dict[str, str], tmp_path: Path, width: int) -> None:
    """DOM: nothing is wider than the screen, figures are decoded, no script ran. Screenshot: a third of the bar."""
    from PIL import Image

    wrap(tmp_path, pages["all"], width, 900)
    picture_file = tmp_path / "page.png"
    printed = browse(tmp_path, "--dump-dom", "--window-size=1300,900", f"--screenshot={picture_file}")
    body = next(attributes for tag, attributes in Page(printed).elements if tag == "body")
    found = json.loads(body["data-found"] or "")
    assert found["wide"] == []
    assert found["width"] == width
    assert found["hacked"] == "undefined"
    assert found["images"]
    assert all(found["images"])
    assert found["tables"] > 10
    assert found["title"].startswith("Report on 4 studies")
    assert float(found["font"].removesuffix("px")) >= 12
    assert found["scrolls"] == (width == 390)  # wide tables scroll inside their frames
    bar = found["bar"]
    picture = np.asarray(Image.open(picture_file).convert("RGB")).astype(int)
    row = picture[int(bar["y"] + bar["height"] / 2), int(bar["x"]) : int(bar["x"] + bar["width"])]
    full = np.abs(row - (0x1D, 0x4F, 0x7C)).max(-1) < 8
    assert full.mean() == pytest.approx(40 / 120, abs=0.03)
    ink = (picture[:, :width].min(-1) < 128).mean()
    assert 0.01 < ink < 0.3  # text on paper
    assert found["edges"] == "local, local, scroll, scroll"  # what lies beyond an edge throws its shadow
    assert ("scrolls sideways" in found["hint"]) == (width == 390)


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("name", ["all", "many"])
def test_nothing_is_cut_in_print(pages: dict[str, str], tmp_path: Path, name: str) -> None:
    """The styles of print on a page as wide as A4 between its margins, 182 mm: no table is wider, and none scrolls."""
    page = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", pages[name])
    page = page.replace("@media print", "@media all").replace(
        "@media (max-width", "@media (max-height: 1px) and (max-width"
    )
    wrap(tmp_path, page, 688, 900)
    printed = browse(tmp_path, "--dump-dom", "--window-size=1300,900")
    body = next(attributes for tag, attributes in Page(printed).elements if tag == "body")
    found = json.loads(body["data-found"] or "")
    assert found["wide"] == []
    assert found["cut"] == []
    assert found["edges"].count("local") == 0
    assert found["tables"] > 3


def test_claims_come_first_then_tables(pages: dict[str, str]) -> None:
    headings = Page(pages["whole"]).text("h3")
    assert headings == ["Claims", "What was run", "Figures", "Tables", "Progress", "Provenance"]
    assert Page(pages["many"]).text("h3")[0] == "What was run"  # whose sweep claims nothing


def test_a_mean_of_decibels_is_not_told() -> None:
    values = xarray.DataArray(np.arange(8.0), dims="realization", attrs={"units": "dBm", "long_name": "power"})
    results = xarray.Dataset({"power": values, "watts": values.assign_attrs(units="W")})
    assert [one.title for one in summaries(results, "power")] == ["Median of the power, with 95 % intervals"]
    assert [one.title.partition(" ")[0] for one in summaries(results, "watts")] == ["Mean", "Median"]


def test_tables_say_how_many_have_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    """Of six realizations at two points the last is not stored, and two of the others at the second have none."""
    values = np.ones((6, 2))
    values[5] = values[1:3, 1] = np.nan
    dims = ("realization", "side")
    results = xarray.Dataset(
        {"gain": (dims, values), "complete": (dims, np.arange(12).reshape(6, 2) < 10)}, {"side": [1, 2]}
    )
    told = "; up to 2 realizations a point have no number and are left out"
    for whole, words in (
        (results, told),
        (results.drop_vars("complete"), told.replace("2", "3")),
        (results.isel(side=[0]), ""),
    ):
        assert {one.title.partition(" intervals")[2] for one in summaries(whole, "gain")} == {words}
        print_tables(whole, ("gain",))
        printed = " ".join(capsys.readouterr().out.split())
        assert words in printed
        assert ("left out" in printed) == bool(words)
