"""`nearfield locate`: measurements in, places with deviations out, one line for what cannot be."""

import cmath
import math
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from scipy.stats import ncx2
from test_cli import nearfield

from engine import InputError, Streams
from engine.estimators import LeastSquares, MaximumLikelihood, Observations, PosteriorMean, Workbench
from engine.estimators.deepsets import Checkpoint
from engine.estimators.deepsets.checkpoint import SHIPPED
from scenarios.leakage.estimation import LeakageEstimation
from scenarios.leakage.locate import ExactSensors, Measured, NearSensors, PlaneSensors, TakenForTrained, locate
from scenarios.multipath import MultipathEstimation


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def _campaign() -> tuple[float, float, np.ndarray, np.ndarray, np.ndarray]:
    """User's range and angle, sensors' ranges and angles, mean powers in mW of 50 snapshots at −80 dBm."""
    scene = LeakageEstimation(leakage="spherical", n_sensors=40, noise_dbm=(-80.0,), n_snapshots=(50,))
    drawn = scene.draw(Streams(4, 0), 3)
    power_mw = scene.observe(np, drawn)[2][1, 0, 0] / 100 * 1e-8
    return drawn.user_range_m[1], drawn.user_angle_rad[1], drawn.sensor_range_m[1], drawn.sensor_angle_rad[1], power_mw


def _csv(missing: int | None = None) -> None:
    _, _, range_m, angle_rad, power_mw = _campaign()
    lines = ["sensor,range_m,angle_deg,power_dbm"]
    for k in range(40):
        power = "" if k == missing else f"{10 * math.log10(power_mw[k]):.6f}"
        lines.append(f"S{k},{range_m[k]:.6f},{math.degrees(angle_rad[k]):.8f},{power}")
    Path("m.csv").write_text("\n".join(lines) + "\n")


def _rows(text: str) -> dict[str, tuple[float, float, float, float]]:
    """Of the table of estimators, which stands below the answer."""
    table = text.partition("\nestimators")[2]
    found = re.findall(r"^ *(\S.*?)  +([\d.]+) ± ([\d.]+) +([\d.]+) ± ([\d.]+)", table, re.MULTILINE)
    return {name: tuple(map(float, rest)) for name, *rest in found}  # type: ignore[misc]


def test_a_campaign_is_located_by_every_estimator(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _csv(missing=5)
    words = "locate --measurements m.csv --noise-dbm -80 --snapshots 50 --checkpoint amortised.safetensors"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "left out: sensor S5" in printed.err
    user_m, user_rad, *_ = _campaign()
    rows = _rows(printed.out)
    assert set(rows) == {
        "least squares", "maximum likelihood", "posterior mean", "AmortisedDeepSets, amortised"}  # fmt: skip
    for range_m, by_m, angle_deg, by_deg in rows.values():
        assert abs(range_m - user_m) < 4 * by_m + 0.1
        assert abs(angle_deg - math.degrees(user_rad)) < 4 * by_deg + 0.3


def test_measurements_at_a_shipped_sensor_set_are_located(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the network cannot know is said: that this is the place that it was trained in."""
    range_m, angle_rad = (part[0, :20] for part in MultipathEstimation(n_sensors=20, sensor_sets=1).sensors())
    places = enumerate(zip(range_m, np.degrees(angle_rad), strict=True))
    lines = [f"S{k},{metres:.9f},{degrees:.12f},{k - 80}" for k, (metres, degrees) in places]
    Path("m.csv").write_text("\n".join(["sensor,range_m,angle_deg,power_dbm", *lines]) + "\n")
    words = "locate --measurements m.csv --noise-dbm -80 --snapshots 50 --checkpoint multipath-set0.safetensors"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert re.search(r"ConditionedDeepSets, multipath-set0 +[\d.]+ +[\d.]+ ", printed.out)  # powers that fit no user
    assert "takes this for the place that it was trained in" in printed.err
    assert nearfield(*words.split(), "--set", "n_elements=64", monkeypatch=monkeypatch) == 2
    assert "was trained with n_elements = 100, given 64" in capsys.readouterr().err


def test_a_folder_of_which_no_network_applies_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _csv()
    Path("nets").mkdir()
    for name in ("multipath-set0.safetensors", "multipath-set1.safetensors"):
        shutil.copy(SHIPPED / name, "nets")
    words = "locate --measurements m.csv --noise-dbm -80 --snapshots 50 --checkpoint nets"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert len(_rows(printed.out)) == 3
    assert printed.err.count("does not apply: no checkpoint was trained for this set of 40 sensors") == 2
    assert printed.err.endswith("no --checkpoint applies to these measurements; the estimates above need none\n")


def test_netcdf_in_other_units_says_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _csv()
    _, _, range_m, angle_rad, power_mw = _campaign()
    xarray.Dataset(
        {
            "x_m": ("sensor", range_m * np.sin(angle_rad), {"units": "m"}),
            "y_m": ("sensor", range_m * np.cos(angle_rad)),
            "power_w": (("sensor", "snapshot"), np.stack([0.5 * power_mw, 1.5 * power_mw], axis=1) * 1e-3),
        }
    ).to_netcdf("m.nc", engine="scipy")
    tables = []
    for words in ("m.csv --snapshots 50", "m.nc --snapshots 25"):
        assert nearfield("locate", "--measurements", *words.split(), "--noise-dbm", "-80", monkeypatch=monkeypatch) == 0
        tables.append(_rows(capsys.readouterr().out))
    assert len(tables[0]) == 3
    assert tables[0] == tables[1]


def test_arrays_are_located() -> None:
    """The function itself: estimates near the user, who refuses and why, and what is doubtful, all as data."""
    user_m, user_rad, range_m, angle_rad, power_mw = _campaign()
    measured = Measured(range_m, angle_rad, power_mw * 1e-3, 50, -80.0)
    scene = LeakageEstimation(leakage="spherical")
    elsewhere, conditioned = Checkpoint(path="multipath-set0.safetensors"), "ConditionedDeepSets, multipath-set0"
    located = locate(measured, scene, [elsewhere, Checkpoint(path="amortised.safetensors")])
    *model_based, learned = located.estimates
    assert [one.estimator for one in model_based] == ["least_squares", "maximum_likelihood", "posterior_mean"]
    assert (learned.estimator, learned.is_learned) == ("AmortisedDeepSets, amortised", True)
    for one in located.estimates:
        assert abs(one.range_m - user_m) < 4 * one.deviation_range_m + 0.1
        assert abs(one.angle_rad - user_rad) < 4 * one.deviation_angle_rad + 0.005
        assert (one.ahead_m, one.along_m) == pytest.approx(
            (one.range_m * math.sin(one.angle_rad), one.range_m * math.cos(one.angle_rad)))  # fmt: skip
        assert one.is_learned == (one is learned)
    (refused,) = located.refused
    assert refused.estimator == conditioned
    assert "set of 40 sensors" in refused.reason
    plane, trained = located.remarks[:-1], located.remarks[-1]
    assert trained == TakenForTrained(conditioned)
    assert [remark.estimator for remark in plane if isinstance(remark, PlaneSensors)] == [
        one.estimator for one in located.estimates
    ]
    assert locate(measured, scene).estimates == tuple(model_based)
    exact = locate(measured, LeakageEstimation(leakage="two_sided"), [Checkpoint(path="amortised.safetensors")])
    assert [remark.estimator for remark in exact.remarks if isinstance(remark, PlaneSensors)] == [learned.estimator]

    assumed = locate(measured, LeakageEstimation(leakage="fresnel_closed"))
    assert [one.range_m for one in assumed.estimates] != [one.range_m for one in model_based]
    near_m = np.where(np.arange(40) < 2, 40.0, range_m)
    far_m = scene.array().rayleigh_range_m
    assert locate(measured._replace(range_m=near_m), scene).remarks[0] == NearSensors(2, far_m)
    (remark,) = locate(measured._replace(range_m=near_m), LeakageEstimation(leakage="two_sided")).remarks
    assert isinstance(remark, ExactSensors)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"power_w": np.full(40, 0.3)}, "received 24.8 dBm, more than the 23 dBm that are sent"),
        ({"power_w": np.zeros(40)}, "every power is zero"),
        ({"power_w": np.ones(39)}, r"have shapes \[\(40,\), \(40,\), \(39,\)\], needed one of each for each sensor"),
        ({"noise_dbm": -math.inf}, "noise_dbm: given -inf, needed a finite power"),
    ],
)
def test_arrays_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    _, _, range_m, angle_rad, power_mw = _campaign()
    measured = Measured(range_m, angle_rad, power_mw * 1e-3, 50, -80.0)
    with pytest.raises(InputError, match=message) as raised:
        locate(measured._replace(**changes), LeakageEstimation(leakage="spherical"))
    assert "\n" not in str(raised.value)


def _exact_powers(
    user: tuple[float, float], sensors: list[tuple[float, float]], noise_dbm: float, n_elements: int = 100
) -> list[float]:
    """Mean powers in W at sensors (x, y) of a beam focused on a user (x, y): every path by its own length."""
    wavelength_m = 299_792_458 / 15e9
    powers = []
    for sensor in sensors:
        total = 0j
        for n in range(n_elements):
            element = (0.0, (n - (n_elements - 1) / 2) * wavelength_m / 2)
            path_m = math.dist(element, sensor) - math.dist(element, user)
            total += cmath.exp(-2j * math.pi * path_m / wavelength_m)
        gain = (wavelength_m / (4 * math.pi * math.hypot(*sensor))) ** 2
        powers.append(10 ** (2.3 - 3) * gain * abs(total) ** 2 / n_elements + 1e-3 * 10 ** (noise_dbm / 10))
    return powers


@pytest.mark.parametrize(("range_m", "angle_deg"), [(6.0, 80.0), (4.0, 65.0), (8.0, 120.0), (10.0, 100.0)])
@pytest.mark.parametrize(("nearest_m", "farthest_m", "noise_dbm"), [(95.0, 120.0, -95.0), (15.0, 40.0, -80.0)])
def test_sensors_stand_where_they_stand(
    range_m: float,
    angle_deg: float,
    nearest_m: float,
    farthest_m: float,
    noise_dbm: float,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Powers without noise beyond its mean, exact distances: found to a centimetre, by plane waves too far by d²/R."""
    random = np.random.default_rng(3)
    user = range_m * math.sin(math.radians(angle_deg)), range_m * math.cos(math.radians(angle_deg))
    away, angle = random.uniform(nearest_m, farthest_m, 30), np.radians(angle_deg + random.uniform(-12, 12, 30))
    sensors = list(zip((away * np.sin(angle)).tolist(), (away * np.cos(angle)).tolist(), strict=True))
    powers = _exact_powers(user, sensors, noise_dbm)
    lines = [f"{x!r},{y!r},{power!r}" for (x, y), power in zip(sensors, powers, strict=True)]
    Path("m.csv").write_text("\n".join(["x_m,y_m,power_w", *lines]) + "\n")
    words = f"locate --measurements m.csv --noise-dbm {noise_dbm} --snapshots 50"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    apparent_m = 1 / (1 / range_m - np.mean(1 / away))
    assert f"waves toward the sensors are taken as spherical, the user then at {range_m:.2f} m; were" in printed.err
    (apart,) = re.findall(r"were they plane, as with --leakage spherical, it would be at (\S+) m", printed.err)
    assert printed.err.count("\n") == 1
    if nearest_m > 50:
        assert float(apart) == pytest.approx(apparent_m, rel=0.01)
    for name in ("maximum likelihood", "posterior mean"):
        assert _rows(printed.out)[name][0] == pytest.approx(range_m, abs=0.011)
        assert _rows(printed.out)[name][2] == pytest.approx(angle_deg, abs=0.011)
    if nearest_m < 50:
        return  # so far off that plane waves fit nowhere
    assert nearfield(*words.split(), "--leakage", "spherical", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert f"the user then at {float(apart):.2f} m; were they spherical" in printed.err
    assert "maximum likelihood takes waves toward the sensors as plane, which puts the user about" in printed.err
    assert _rows(printed.out)["maximum likelihood"][0] == pytest.approx(apparent_m, rel=0.01)


NONSENSE = [  # one of each kind: test_measurements_*.py have them all
    ("range_m,angle_deg,power_dbm\n", "given headings alone, needed a line for each sensor"),
    ("range_m,angle_deg,power\n100,90,-80\n", "'power' has no unit, needed dBm.*call it power_dbm"),
    ("range_m,angle_deg,power_dbm\n100,90\n", "line 2: given 2 cells, needed 3"),
    ("range_m,angle_deg,power_dbm\n100,ninety,-80\n", "line 2, angle_deg: given 'ninety', needed a number"),
    ("x_m,y_m,power_w\n-100,9,1e-12\n", "line 2, x_m: given '-100', needed a sensor ahead"),
    ("range_m,angle_deg,power_dbm\n100,90,-80\n101,80,\n", "given 1 sensors with a power, needed at least 3"),
    (
        "range_m,angle_deg,power_dbm\n100,90,80\n101,80,80\n102,70,80\n",
        "received 80.0 dBm, 133.1 dB more than the -53.1 dBm",
    ),
    ("range_m,angle_deg,power_w\n100,90,0\n101,80,0\n102,70,0\n", "every power is zero"),
]


@pytest.mark.parametrize(("content", "message"), NONSENSE, ids=[message for _, message in NONSENSE])
def test_nonsense_is_one_line(
    content: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("m.csv").write_text(content)
    assert nearfield("locate", "--measurements", "m.csv", "--noise-dbm", "-80", monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", printed.err), printed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none.csv --noise-dbm -80", "none.csv is no file"),
        ("m.json --noise-dbm -80", "needed a .csv, .tsv, .txt, .nc or .parquet file"),
        ("m.csv --noise-dbm nan", "--noise-dbm: given 'nan'"),
        ("m.csv --noise-dbm -80 --leakage cubic", "leakage: .*'spherical'"),
        ("m.csv --noise-dbm -80 --set n_sensors=3", "n_sensors comes from the measurements"),
        ("m.csv --noise-dbm -80 --checkpoint none", "checkpoint none: No such file"),
        ("m.csv", "Missing option '--noise-dbm'"),
    ],
)
def test_nonsense_in_the_words(
    words: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _csv()
    Path("m.json").write_text("{}")
    assert nearfield("locate", "--measurements", *words.split(), monkeypatch=monkeypatch) == 2
    assert re.fullmatch(rf"nearfield: .*{message}.*\n", capsys.readouterr().err)


def _three_sensors() -> Measured:
    """Powers that leave the user in a dozen places, metres apart."""
    range_m, angle_rad = np.array([120.5, 118.7, 117.4]), np.radians([62.5, 84.7, 107.5])
    power_w = 1e-3 * 10 ** (np.array([-79.2, -78.2, -68.2]) / 10)
    return Measured(range_m, angle_rad, power_w, np.full(3, 50), noise_dbm=-80.0)


def _posterior_on_a_fine_grid(seen: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranges (R,), angles (A,) and what each place (R, A) holds of the posterior: every distance, every element."""
    wavelength_m = 299_792_458 / 15e9
    element_m = (np.arange(100) - 49.5) * wavelength_m / 2

    def wave(range_m: Any, angle_rad: Any) -> np.ndarray:
        along_m = np.asarray(range_m * np.cos(angle_rad))[..., None] - element_m
        away_m = np.hypot(np.asarray(range_m * np.sin(angle_rad))[..., None], along_m)
        return np.exp(2j * np.pi * away_m / wavelength_m)

    gain = 10 ** (2.3 - 3) * (wavelength_m / (4 * np.pi * seen.range_m)) ** 2
    range_m, angle_rad = np.linspace(2, 12, 301), np.linspace(np.pi / 6, 5 * np.pi / 6, 2401)
    leakage = np.abs(wave(range_m[:, None], angle_rad) @ np.conj(wave(seen.range_m, seen.angle_rad)).T) ** 2 / 100
    degrees, snr = 2 * seen.counts, gain * leakage / seen.noise_w
    log_mass = ncx2.logpdf(degrees * seen.power_w / seen.noise_w, degrees, degrees * snr).sum(axis=-1)
    mass = np.exp(log_mass - log_mass.max())
    return range_m, angle_rad, mass / mass.sum()


def test_deviations_hold_every_place_where_the_user_may_be() -> None:
    """A sum over 700 000 places; the estimators' own widths were half of it, of peaks taken for all there is."""
    seen = _three_sensors()
    range_m, angle_rad, mass = _posterior_on_a_fine_grid(seen)
    for one in locate(seen, LeakageEstimation(leakage="two_sided")).estimates:
        by_m = math.sqrt(mass.sum(axis=1) @ (range_m - one.range_m) ** 2)
        by_rad = math.sqrt(mass.sum(axis=0) @ (angle_rad - one.angle_rad) ** 2)
        assert one.deviation_range_m == pytest.approx(by_m, rel=0.02), one.estimator
        assert one.deviation_angle_rad == pytest.approx(by_rad, rel=0.02), one.estimator


def test_answer_and_estimators_say_one_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("m.csv").write_text("range_m,angle_deg,power_dbm\n120.5,62.5,-79.2\n118.7,84.7,-78.2\n117.4,107.5,-68.2\n")
    for more in ((), ("--leakage", "spherical")):
        words = ("locate", "--measurements", "m.csv", "--noise-dbm", "-80", "--snapshots", "50", *more)
        assert nearfield(*words, monkeypatch=monkeypatch) == 0
        printed = capsys.readouterr().out
        (answer,) = re.findall(r"the user is at +\S+ ± (\S+) +\S+ ± (\S+)", printed)
        _, by_m, _, by_deg = _rows(printed)["posterior mean"]
        assert (by_m, by_deg) == pytest.approx(tuple(map(float, answer)), rel=0.02), more


def test_deviations_are_those_of_the_errors() -> None:
    """One user and forty sensors, at high power: mean squared errors over the stated variances, 4 standard errors.

    The posterior's deviation is also that of a mean over a grid around its one peak.
    """
    size = 300
    scene = LeakageEstimation(leakage="spherical", n_sensors=40, noise_dbm=(-80.0,), n_snapshots=(1000,))
    drawn = scene.draw(Streams(4, 0), size)
    one = 1
    drawn = type(drawn)(*(np.repeat(part[one : one + 1], size, axis=0) for part in drawn[:4]), *drawn[4:])
    seen = Observations(scene.observe(np, drawn)[2], drawn.sensor_range_m, drawn.sensor_angle_rad)
    workbench = Workbench(scene.problem(), np)
    batch = workbench.batch(seen)
    likeliest = MaximumLikelihood().prepare(workbench)(batch)
    smallest = MaximumLikelihood().deviations(batch, likeliest)
    for found, true, by in zip(likeliest, drawn[:2], smallest, strict=True):
        ratio = np.mean((found[:, 0, 0] - true) ** 2 / by[:, 0, 0] ** 2)
        assert abs(ratio - 1) < 4 * math.sqrt(2 / size)
        assert abs(ratio / 2 - 1) > 4 * math.sqrt(2 / size)  # the test can fail
    nearest = LeastSquares().prepare(workbench)(batch)
    larger = LeastSquares().deviations(batch, nearest)  # it weighs the sensors worse, and stays on a grid
    assert all(np.mean(by**2) > np.mean(least**2) for by, least in zip(larger, smallest, strict=True))
    few = workbench.batch(Observations(*(part[:3] for part in seen)))
    mean = PosteriorMean().prepare(workbench)(few)
    width = PosteriorMean().deviations(few, mean)
    assert np.allclose(width.range_m, smallest.range_m[:3], rtol=0.1)
    assert np.allclose(width.angle_rad, smallest.angle_rad[:3], rtol=0.1)
