"""The notebook, its cells run in order in an empty folder: plain xarray, pandas and Matplotlib come to our numbers."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from scenarios import leakage

NOTEBOOK = Path(engine.__file__).parent.parent / "docs/from-a-store.ipynb"
CONTENT = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in CONTENT["cells"] if cell["cell_type"] == "code"]


def test_it_is_a_notebook_of_format_4_without_outputs() -> None:
    """What nbformat's schema asks of a notebook of 4.5; nothing drawn is stored."""
    assert set(CONTENT) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (CONTENT["nbformat"], CONTENT["nbformat_minor"]) == (4, 5)
    assert CONTENT["metadata"]["kernelspec"].keys() >= {"name", "display_name"}
    identifiers = [cell["id"] for cell in CONTENT["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", identifier) for identifier in identifiers)
    for cell in CONTENT["cells"]:
        common = {"cell_type", "id", "metadata", "source"}
        assert isinstance(cell["source"], list)
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        if cell["cell_type"] == "code":
            assert cell.keys() == common | {"execution_count", "outputs"}
            assert (cell["execution_count"], cell["outputs"]) == (None, [])
        else:
            assert (cell["cell_type"], cell.keys()) == ("markdown", common)


def test_it_needs_nothing_of_this_package() -> None:
    nodes = [node for cell in CELLS for node in ast.walk(ast.parse(cell))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names == {"json", "math", "matplotlib.pyplot", "pandas", "xarray"}


def test_what_it_shows_and_leads_to_is_there() -> None:
    text = "".join("".join(cell["source"]) for cell in CONTENT["cells"] if cell["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (NOTEBOOK.parent / target).exists(), target


@pytest.mark.slow
def test_its_cells_come_to_the_numbers_of_summarize(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    results = engine.run(leakage.fig1.replace(realizations=100), "results/leakage-fig1.zarr", serial=True)
    space: dict[str, Any] = {}
    for number, cell in enumerate(CELLS):
        exec(compile(cell, f"cell {number}", "exec"), space)
    assert Path("fig1.png").stat().st_size > 50_000
    printed = capsys.readouterr().out
    assert "Bayesian Cramér-Rao bound on the range" in printed
    assert f"commit: {results.attrs['commit']}" in printed
    for name in space["names"]:
        summary = engine.summarize(results[name], quantiles=())
        order = ("n_snapshots", "noise_dbm", "n_sensors")
        for statistic, ours in (("mean", "mean"), ("sem", "standard_error")):
            expected = summary[ours].transpose(*order).sortby(list(order)).values
            found = space["points"][name][statistic].values.reshape(expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(list(space["blind"].values()), leakage.fig1.scenario.prior_variance())
    lines = space["panels"][0].lines
    assert (
        len([line for line in lines if line.get_marker() == "o"]) == 10
    )  # five noise powers, two numbers of snapshots
    space["plt"].close("all")
