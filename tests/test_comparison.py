"""Pairs of estimators on the same realizations: numpy's numbers, intervals that cover, and a table of every pair."""

import csv
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import xarray

import engine
from engine import InputError, summary
from jobs import main as command_line
from scenarios import leakage

NAMES = ("a", "b", "c")


def errors(values: np.ndarray, *dims: str) -> xarray.DataArray:
    """(estimator, realization, ...) as a stored variable."""
    values.flags.writeable = False
    return xarray.DataArray(
        values, {"estimator": list(NAMES[: len(values)])}, ("estimator", "realization", *dims), "e_m2", {"units": "m2"}
    )


def accepted(a: np.ndarray, b: np.ndarray, ratio: float, level: float) -> bool:
    """Whether a t test finds the mean of a − ratio·b to be 0."""
    return bool(scipy.stats.ttest_1samp(a - ratio * b, 0.0).pvalue > 1 - level)


@pytest.mark.parametrize("seed", range(6))
def test_pairs_are_those_of_scipy(seed: int) -> None:
    """Random counts, scales, correlations, missing values and levels; dimensions in any order, whole or in parts."""
    random = np.random.default_rng(seed)
    n, points, level = int(random.integers(20, 200)), 4, float(random.uniform(0.5, 0.99))
    shared = random.gamma(2.0, size=(n, points))
    values = np.stack([random.uniform(0.1, 9) * shared * random.gamma(4.0, size=(n, points)) for _ in NAMES])
    values[random.random(values.shape) < 0.1] = random.choice([np.nan, np.inf])
    given = errors(values, "point").transpose(*random.permutation(["estimator", "realization", "point"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "_SLAB_BYTES", 8 * 3 * n * int(random.integers(1, 5)))
        found = engine.compare(given, level=level)
    for (i, mine), (j, theirs), p in itertools.product(enumerate(NAMES), enumerate(NAMES), range(points)):
        here = found.sel(estimator=mine, other=theirs).isel(point=p)
        both = np.isfinite(values[i, :, p]) & np.isfinite(values[j, :, p])
        a, b = values[i, both, p], values[j, both, p]
        either = np.isfinite(values[i, :, p]) | np.isfinite(values[j, :, p])
        assert (int(here["count"]), int(here.excluded)) == (len(a), int(either.sum()) - len(a))
        assert float(here.ratio) == pytest.approx(a.mean() / b.mean())
        assert float(here.difference) == pytest.approx(a.mean() - b.mean(), abs=1e-12)
        if i == j:
            assert [float(here[name]) for name in ("ratio_low", "ratio_high")] == pytest.approx([1, 1], abs=1e-6)
            assert np.isnan(here.smaller)
            assert (float(here.smaller_low), float(here.smaller_high)) == (0, 1)
            continue
        ends = scipy.stats.ttest_rel(a, b).confidence_interval(level)
        assert [float(here.difference_low), float(here.difference_high)] == pytest.approx(list(ends))
        exact = scipy.stats.binomtest(int((a < b).sum()), len(a)).proportion_ci(level)
        assert [float(here.smaller_low), float(here.smaller_high)] == pytest.approx(list(exact))
        assert float(here.smaller) == pytest.approx((a < b).mean())
        for end, outwards in ((float(here.ratio_low), 1 / 1.001), (float(here.ratio_high), 1.001)):
            assert accepted(a, b, end / outwards, level)
            assert not accepted(a, b, end * outwards, level)


def test_an_interval_of_a_ratio_says_where_it_has_no_end() -> None:
    """Of a mean that may be 0 no ratio is excluded, or only low ones; of a single realization nothing is said."""
    random = np.random.default_rng(1)
    few = np.where(np.arange(50) == 7, 100.0, 1e-3)  # its mean may be 0
    sure, alike = random.uniform(8, 9, 50), few * random.uniform(0.9, 1.1, 50)
    found = engine.compare(errors(np.stack([sure, few, alike])))
    pair = found.sel(estimator="a", other="b")
    assert float(pair.ratio_high) == np.inf
    assert not accepted(sure, few, float(pair.ratio_low) / 1.001, 0.95)
    assert accepted(sure, few, float(pair.ratio_low) * 1.001, 0.95)
    pair = found.sel(estimator="c", other="b")
    assert (float(pair.ratio_low), float(pair.ratio_high)) == (0, np.inf)
    pair = engine.compare(errors(np.stack([sure - 8.5, few - 2.0]))).sel(estimator="a", other="b")
    assert (float(pair.ratio_low), float(pair.ratio_high)) == (-np.inf, np.inf)
    alone = engine.compare(errors(np.array([[1.0], [2.0]]))).sel(estimator="a", other="b")
    ends = [float(alone[name]) for name in ("ratio_low", "ratio_high", "difference_low", "difference_high")]
    assert ends == [0, np.inf, -np.inf, np.inf]
    assert (float(alone.ratio), float(alone.difference)) == (0.5, -1)
    two = engine.compare(errors(np.array([[1.0, 5.0], [2.0, 4.0]]))).sel(estimator="a", other="b")
    ends = scipy.stats.ttest_rel([1.0, 5.0], [2.0, 4.0]).confidence_interval()
    assert [float(two.difference_low), float(two.difference_high)] == pytest.approx(list(ends))
    none = engine.compare(errors(np.full((2, 3), np.nan)))
    assert (none["count"].values == 0).all()
    assert none.ratio.isnull().all()
    assert (none.ratio_high.values == np.inf).all()


def test_ratios_of_small_heavy_samples_are_those_that_a_t_test_accepts() -> None:
    """Tried one by one: between two ends, below or above one, or all but those between two, which is told as all."""
    random, ratios, kinds = np.random.default_rng(4), np.geomspace(1e-8, 1e8, 8001), set()
    for _ in range(150):
        n = int(random.integers(3, 9))
        shared = random.pareto(0.7, n)
        a, b = shared ** random.uniform(0, 1) * random.pareto(1.5, n), shared * random.uniform(0.5, 1.5, n)
        t = float(scipy.stats.t.isf(0.025, n - 1))
        apart = a[:, None] - ratios * b[:, None]
        kept = np.abs(apart.mean(axis=0)) <= t * apart.std(axis=0, ddof=1) / np.sqrt(n)
        found = engine.compare(errors(np.stack([a, b]))).sel(estimator="a", other="b")
        low, high = float(found.ratio_low), float(found.ratio_high)
        if kept[0]:
            assert low < ratios[1]
        else:
            assert low == pytest.approx(ratios[np.argmax(kept)], rel=0.006)
        if kept[-1]:
            assert high > ratios[-2]
        else:
            assert high == pytest.approx(ratios[kept][-1], rel=0.006)
        kinds.add((bool(kept[0]), bool(kept[-1]), bool(kept.all())))
    assert kinds >= {(False, False, False), (True, False, False), (False, True, False), (True, True, False)}


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 4000 studies of 60 realizations, of estimators that share most of what is random, with a ratio of 0.8."""
    random = np.random.default_rng(5)
    shared = random.gamma(3.0, size=(60, 4000))
    values = np.stack([0.8 * shared + 0.8 * random.random((60, 4000)), shared + random.random((60, 4000))])
    found = engine.compare(errors(values, "study"), level=0.9).sel(estimator="a", other="b")
    for name, truth in (("ratio", 0.8), ("difference", -0.2 * 3.5)):
        held = (found[f"{name}_low"] <= truth) & (truth <= found[f"{name}_high"])
        assert float(held.mean()) == pytest.approx(0.9, abs=0.02), name
    both = (found.ratio_low <= 1) & (found.ratio_high >= 1)
    assert ((found.difference_low <= 0) & (found.difference_high >= 0)).equals(both)


def test_what_is_not_stored_is_not_compared() -> None:
    counts = xarray.DataArray(np.array([[1, 2, 3], [2, 2, 7]]), dims=("estimator", "realization"), name="tries")
    complete = xarray.DataArray([True, True, False], dims="realization")
    found = engine.compare(counts, complete=complete)
    assert found["count"].values.tolist() == [[2, 2], [2, 2]]
    assert float(found.ratio.isel(estimator=0, other=1)) == 0.75
    assert float(found.smaller.isel(estimator=0, other=1)) == 1  # of the one that differs
    assert found.difference.attrs == {"long_name": "mean difference of tries"}
    named = engine.compare(errors(np.ones((2, 3)))).ratio_low.attrs
    assert named == {"long_name": "ratio of the means of e_m2, lower end of the interval", "units": "1"}


@pytest.mark.parametrize(
    ("over", "level", "message"),
    [
        ("user", 0.95, "over: given 'user', needed a dimension of e_m2: estimator$"),
        ("realization", 0.95, "over: given 'realization', needed a dimension of e_m2: estimator$"),
        ("estimator", 1.0, "level: given 1.0, needed a number between 0 and 1"),
    ],
)
def test_nonsense_is_refused(over: str, level: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.compare(errors(np.ones((2, 3))), over, level=level)


def nearfield(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of `nearfield WORDS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["nearfield", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compare") / "fig3.zarr"
    scenario = leakage.fig3.scenario.replace(
        grid_ranges=20, grid_angles=30, noise_dbm=(-75.0, -85.0), n_snapshots=(50,)
    )
    sweep = leakage.fig3.replace(scenario=scenario, axes={"n_sensors": (5, 8)}, realizations=20, block=10, chunk=10)
    engine.run(sweep, path, serial=True)
    return path


def test_every_pair_is_printed_and_written(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pairs.csv"
    assert nearfield(monkeypatch, "compare", str(store), "-o", str(output)) == 0
    printed = capsys.readouterr().out
    results = engine.open_results(store)
    names = results.estimator.values.tolist()
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2 * len(list(itertools.combinations(names, 2)))  # quantities, K, σ²
    assert f"written: {output}, {len(rows)} lines" in printed
    for row in rows:
        at = {"n_sensors": int(row["n_sensors"]), "noise_dbm": float(row["noise_dbm"]), "n_snapshots": 50}
        here = results[row["variable"]].sel(at)
        a, b = (here.sel(estimator=row[name]).values for name in ("estimator", "other"))
        both = np.isfinite(a) & np.isfinite(b)
        assert float(row["ratio"]) == pytest.approx(a[both].mean() / b[both].mean(), rel=1e-6)
        assert int(row["count"]) == both.sum()
        assert row["carried"] == "1"  # of 20 realizations
    for one, other in itertools.combinations(names, 2):
        assert f"{one} / {other}" in printed
    assert "†: one in a hundred realizations" in printed
    assert "squared error of the range, n_snapshots 50: ratios of means" in " ".join(printed.split())


def test_a_line_says_who_is_lower(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A mean over the sets of sensors is one value a realization."""
    random = np.random.default_rng(2)
    base = random.exponential(size=(400, 2, 1))
    base /= 400
    values = np.concatenate([base, 0.9 * base, base * random.permutation(base)], axis=2)
    results = xarray.Dataset(
        {"squared_error_range_m2": (("realization", "sensor_set", "estimator"), values, {"long_name": "an error"})},
        {"estimator": list(NAMES), "complete": ("realization", np.ones(400, bool))},
    )
    monkeypatch.setattr(engine, "open_results", lambda path: results)
    assert nearfield(monkeypatch, "compare", "some.zarr", "--average", "sensor_set", "-o", str(tmp_path / "x.csv")) == 0
    printed = capsys.readouterr().out
    assert "an error: ratios of means" in printed
    found = {tuple(line.split()[:3]): line.split() for line in printed.splitlines() if " / " in line}
    apart = found["a", "/", "b"]
    assert (apart[3], apart[7]) == ("1.11", "higher")
    assert apart[8:] == ["0", "%", "400", "0"]
    assert (tmp_path / "x.csv").read_text().splitlines()[0].startswith("variable,estimator,other,ratio,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("squared_error_range_m",), "no variable 'squared_error_range_m'; did you mean 'squared_error_range_m2'?"),
        (("--over", "noise"), "over: given 'noise', needed a dimension of squared_error_"),
        (("--average", "estimator"), "--average: given 'estimator', needed a dimension of squared_error_"),
        (("--point", "noise_dbm=-60"), "--point: given noise_dbm=-60, needed one of"),
        (("-o", "pairs.txt"), "--output: given pairs.txt, needed a .csv file"),
        (("-o", "nowhere/pairs.csv"), "cannot write nowhere/pairs.csv: No such file or directory"),
    ],
)
def test_a_bad_word_is_one_line(
    store: Path, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert nearfield(monkeypatch, "compare", str(store), *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
