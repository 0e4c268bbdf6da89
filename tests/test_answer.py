"""The recommended answer: what it says of good powers, and of each kind of bad ones."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from campaigns import Campaign, drawn, heard, scene
from faults import FAULTS
from scipy.stats import ncx2, norm
from test_cli import nearfield

from engine import InputError
from scenarios.leakage.answer import Answer, InDecibels, Unknown, answer, answer_dataset
from scenarios.leakage.answer.fit import Fit, normal_deviates
from scenarios.leakage.locate import MeanSnapshots, locate
from scenarios.leakage.measured import Measured

DRAWS = 199


def _campaign(seed: int = 3, n_sensors: int = 24, noise_dbm: float = -85.0, **more: Any) -> Campaign:
    """A small array, as what it says is the same, and sooner."""
    user, n_elements = more.pop("user", (5.0, math.radians(70.0))), more.pop("n_elements", 64)
    return drawn(scene(n_sensors, noise_dbm, n_elements=n_elements), np.random.default_rng(seed), user=user, **more)


def _answer(campaign: Campaign, unknown: Unknown = Unknown(), **more: Any) -> Answer:  # noqa: B008
    return answer(campaign.measured, campaign.scene, unknown, **({"draws": DRAWS} | more))


def _codes(found: Answer) -> dict[str, str]:
    return {remark.code: remark.text for remark in found.remarks}


def test_good_powers_have_a_place_with_its_region() -> None:
    found = _answer(_campaign())
    posterior = found.recommended.posterior
    assert found.holds
    assert found.recommended.fit.p_value > 0.02
    assert posterior.plane.covers(5.0, math.radians(70.0))
    assert abs(posterior.range_m - 5.0) < 4 * posterior.deviation_range_m < 2.0
    assert abs(posterior.angle_rad - math.radians(70.0)) < 4 * posterior.deviation_angle_rad
    assert posterior.x_m == pytest.approx(5.0 * math.sin(math.radians(70.0)), abs=4 * posterior.deviation_x_m)
    assert posterior.y_m == pytest.approx(5.0 * math.cos(math.radians(70.0)), abs=4 * posterior.deviation_y_m)
    assert found.left_out == ()
    assert set(_codes(found)) <= {"depends_on_model"}


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("gain_high", "slip", r"the gain is \+[56]\.\d ± 0\.\d dB"),
        ("nobody", "no_user", "noise alone"),
        ("watts_as_milliwatts", "below_noise", "less power than noise"),
        ("kilometres_as_metres", "slip", "kilometres taken for metres"),
        ("radians_as_degrees", "slip", "radians taken for degrees"),
        ("shadowing", "does_not_fit", "no user in the area"),
        ("each_turned", "does_not_fit", "farthest off: "),
        ("all_turned", "does_not_fit", "no user in the area"),
        ("carrier_tenth_high", "does_not_fit", "no user in the area"),
    ],
)
def test_each_fault_is_said(fault: str, code: str, words: str) -> None:
    random = np.random.default_rng(8)
    found = _answer(FAULTS[fault](_campaign(8), random), explain=code == "slip")
    assert not found.holds
    assert re.search(words, _codes(found)[code])


def test_milliwatts_in_a_column_of_watts_are_refused_with_the_slip_named() -> None:
    campaign = FAULTS["milliwatts_as_watts"](_campaign(), np.random.default_rng(1))
    loudest = campaign.measured.labels[int(np.argmax(campaign.measured.power_w * campaign.measured.range_m**2))]
    with pytest.raises(InputError, match=rf"sensor {loudest} received .* free space allows .* mW are taken for W"):
        _answer(campaign)
    impossible = campaign.measured._replace(power_w=campaign.measured.power_w * 1e3)
    with pytest.raises(InputError, match="check the powers' unit and the sensors' distances"):
        _answer(campaign._replace(measured=impossible))
    with pytest.raises(InputError, match="every power is zero"):
        _answer(campaign._replace(measured=campaign.measured._replace(power_w=np.zeros(24))))


def test_the_loudest_that_free_space_allows_is_not_refused() -> None:
    """A sensor right behind the user, at the distance at which the beam is focused: g = N."""
    here = scene(5, -90.0, user_range_min_m=20.0, user_range_max_m=60.0)
    measured = Measured(np.full(5, 50.0), np.radians([60.0, 80.0, 90.0, 100.0, 120.0]), np.zeros(5), 50, -90.0)
    heard_there = heard(here, np.random.default_rng(2), (50.0, math.pi / 2), measured)
    found = answer(heard_there, here, draws=19, explain=False)
    assert found.recommended.posterior.angle_rad == pytest.approx(math.pi / 2, abs=0.01)
    with pytest.raises(InputError, match="sensor 3 received"):
        answer(heard_there._replace(power_w=heard_there.power_w * 30), here, draws=19)


def test_powers_without_their_noise() -> None:
    campaign = _campaign()
    bare = campaign.measured._replace(power_w=campaign.measured.power_w - campaign.measured.noise_w)
    told = _answer(campaign._replace(measured=bare), Unknown(noise_subtracted=True))
    assert told.holds
    assert told.recommended.posterior.range_m == pytest.approx(_answer(campaign).recommended.posterior.range_m)
    untold = _answer(campaign._replace(measured=bare._replace(power_w=np.maximum(bare.power_w, 1e-16))))
    assert not untold.holds
    assert "--noise-subtracted" in _codes(untold)["below_noise"]
    assert "--noise-subtracted" in _codes(untold)["slip"]


def test_a_dead_sensor_is_left_out_by_name_and_the_rest_answers() -> None:
    campaign = _campaign()
    names = tuple(f"S{k}" for k in range(24))
    power_w = campaign.measured.power_w.copy()
    power_w[7] = 1e-15
    found = _answer(campaign._replace(measured=campaign.measured._replace(power_w=power_w, names=names)))
    assert found.holds
    assert found.left_out == ("S7",)
    assert "S7: less power than noise of -85 dBm leaves" in _codes(found)["dead"]
    whole = _answer(campaign).recommended.posterior
    assert found.recommended.posterior.range_m == pytest.approx(whole.range_m, abs=whole.deviation_range_m)
    assert len(found.measured.power_w) == 23


def test_all_powers_too_high_by_a_receivers_gain() -> None:
    """Noise and all: a gain of what is sent does not explain them."""
    campaign = _campaign(5, 40)
    measured = campaign.measured._replace(power_w=campaign.measured.power_w * 10**0.6)
    found = _answer(campaign._replace(measured=measured))
    assert not found.holds
    by = re.search(r"all powers, noise included, are \+(\d\.\d) dB off", _codes(found)["slip"])
    assert by
    assert abs(float(by.group(1)) - 6.0) < 0.4


def _plane(campaign: Campaign) -> Campaign:
    """The same user, were waves toward the sensors plane: sensors a thousand times as far away, powers as near."""
    far = campaign.measured._replace(range_m=campaign.measured.range_m * 1e3)
    random = np.random.default_rng(6)
    gain_db = 60.0  # what the distance costs
    powers = heard(campaign.scene, random, campaign.user, far, gain_db=gain_db).power_w
    return campaign._replace(measured=campaign.measured._replace(power_w=powers))


def test_both_ranges_are_said_where_waves_may_be_plane() -> None:
    campaign = _plane(_campaign(4, 40, -85.0, user=(8.05, math.radians(130.5)), n_elements=100))
    found = _answer(campaign)
    one, other = found.recommended.posterior, found.other.posterior
    assert found.recommended.leakage == "two_sided"
    assert other.plane.covers(8.05, math.radians(130.5))
    assert one.range_m == pytest.approx(1 / (1 / 8.05 + np.mean(1 / campaign.measured.range_m)), abs=0.4)
    said = _codes(found)["depends_on_model"]
    assert f"{one.range_m:.2f} m" in said
    assert f"{other.range_m:.2f} m" in said


def test_where_only_plane_waves_fit_they_are_taken() -> None:
    campaign = _plane(_campaign(4, 30, -120.0, user=(4.7, math.radians(120.0)), n_elements=100))
    found = _answer(campaign)
    assert "two_sided does not fit" in _codes(found)["other_model_fits"]
    assert found.recommended.leakage == "spherical"
    assert found.holds
    assert found.recommended.posterior.range_m == pytest.approx(4.7, abs=0.02)
    assert not found.other.fit.holds


def test_a_user_beyond_the_area_is_at_its_end() -> None:
    found = _answer(_campaign(user=(14.0, math.radians(80.0))), explain=False)
    assert "at the end of the area: 12 m" in _codes(found)["end_of_area"]
    inside = _answer(_campaign(), explain=False)
    assert "end_of_area" not in _codes(inside)


def test_an_unknown_gain_is_found_and_its_price_paid() -> None:
    campaign = _campaign(9, 40, gain_db=-4.0)
    found = _answer(campaign, Unknown(gain=InDecibels(-10.0, 10.0)), explain=False)
    posterior = found.recommended.posterior
    assert found.holds
    assert posterior.plane.covers(*campaign.user)
    assert abs(posterior.gain_db[0] + 4.0) < 4 * posterior.gain_db[1] < 4.0
    known = _answer(campaign, Unknown(gain=InDecibels(-4.0, -4.0)), explain=False).recommended.posterior
    assert known.deviation_range_m < posterior.deviation_range_m


def test_a_probability_below_what_draws_resolve_is_not_given_as_that() -> None:
    assert Fit(900.0, 1 / 1000, 999, ()).p_text == "p ≤ 0.001"
    assert Fit(60.0, 2 / 1000, 999, ()).p_text == "p = 0.002"


def test_deviates_are_normal() -> None:
    for n_snapshots, noncentrality in ((1, 0.0), (1, 5.0), (3, 40.0), (50, 0.0), (50, 300.0), (1000, 2e4)):
        probability = np.array([0.01, 0.2, 0.5, 0.8, 0.99])
        statistic = ncx2.ppf(probability, 2 * n_snapshots, noncentrality)
        found = normal_deviates(statistic, np.array(noncentrality), np.array(n_snapshots))
        assert found == pytest.approx(norm.ppf(probability), abs=0.35 if n_snapshots < 3 else 0.02)


def test_p_values_are_uniform_where_the_model_is_true() -> None:
    """Two dozen campaigns, and as many of a wrong gain."""
    right, wrong = [], []
    for seed in range(24):
        random = np.random.default_rng([41, seed])
        here = scene(8, -75.0, 5, n_elements=24)
        found = [
            answer(drawn(here, random, gain_db=gain_db).measured, here, draws=99, explain=False).recommended.fit.p_value
            for gain_db in (0.0, 8.0)
        ]
        right.append(found[0])
        wrong.append(found[1])
    assert abs(np.mean(right) - 0.5) < 4 / math.sqrt(12 * 24) + 0.1  # few sensors: somewhat too large
    assert min(right) > 0.005
    assert np.mean(np.array(wrong) < 0.05) > 0.3


def test_unequal_snapshot_counts() -> None:
    """Estimates by the likelihood are the answer's; with equal counts both agree with the estimators."""
    random = np.random.default_rng(12)
    counts = random.integers(10, 90, 24)
    campaign = _campaign(12, counts=counts)
    located = locate(campaign.measured, campaign.scene)
    found = _answer(campaign, explain=False).recommended
    by_name = {one.estimator: one for one in located.estimates}
    assert by_name["posterior_mean"].range_m == found.posterior.range_m
    assert by_name["posterior_mean"].deviation_range_m == found.posterior.deviation_range_m
    assert by_name["maximum_likelihood"].angle_rad == found.likeliest.angle_rad
    assert by_name["least_squares"].deviation_range_m >= found.posterior.deviation_range_m
    assert not [remark for remark in located.remarks if isinstance(remark, MeanSnapshots)]
    equal = _campaign(12)
    held = _answer(equal, explain=False).recommended
    _, likeliest, mean = locate(equal.measured, equal.scene).estimates
    assert mean.range_m == pytest.approx(held.posterior.range_m, abs=0.1 * held.posterior.deviation_range_m)
    assert mean.deviation_range_m == pytest.approx(held.posterior.deviation_range_m, rel=0.01)
    assert likeliest.range_m == pytest.approx(held.likeliest.range_m, abs=0.02)
    assert likeliest.angle_rad == pytest.approx(held.likeliest.angle_rad, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_snapshots": np.ones(3, dtype=int)}, "needed one count of at least 1, or one for each of 24"),
        ({"n_snapshots": 0}, "n_snapshots: given 0"),
        ({"names": ("a",)}, "given 1 names of 24 sensors"),
        ({"noise_dbm": math.nan}, "needed a finite power"),
    ],
)
def test_what_is_no_measurement_is_refused(changes: dict[str, Any], message: str) -> None:
    campaign = _campaign()
    with pytest.raises(InputError, match=message):
        answer(campaign.measured._replace(**changes), campaign.scene)


def _written(campaign: Campaign, path: Path) -> None:
    measured = campaign.measured
    rows = zip(measured.range_m, np.degrees(measured.angle_rad), measured.power_w, strict=True)
    lines = [
        f"S{k},{range_m!r},{angle!r},{power!r}"
        for k, (range_m, angle, power) in enumerate(np.array(list(rows)).tolist())
    ]
    path.write_text("\n".join(["sensor,range_m,angle_deg,power_w", *lines]) + "\n")


def test_from_file_to_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _written(_campaign(), Path("m.csv"))
    words = "locate --measurements m.csv --noise-dbm -85 --snapshots 50 --set n_elements=64 -o a.json --plot a.png"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert printed.out.index("the user is at") < printed.out.index("95 % region") < printed.out.index("estimators")
    assert re.search(r"the user is at +[45]\.\d+ ± 0\.\d+ +[67]\d\.\d+ ± ", printed.out)
    assert "the model fits: p = " in printed.out
    assert "σ² = -85 dBm in the powers" in printed.out
    kept = json.loads(Path("a.json").read_text())
    assert kept["answer"]["holds"] is True
    low, high = kept["answer"]["region"]["range_m"]
    assert low < 5.0 < high
    assert kept["answer"]["deviations"]["range_m"] > 0
    assert [one["estimator"] for one in kept["estimates"]] == ["least_squares", "maximum_likelihood", "posterior_mean"]
    assert kept["settings"]["noise_dbm"] == "-85"
    assert kept["warnings"] == [line.removeprefix("nearfield: ") for line in printed.err.splitlines()]
    assert {"version", "commit", "modes", "fit"} <= {*kept, *kept["answer"]}
    assert Path("a.png").stat().st_size > 30_000
    assert nearfield(*words.replace("a.json", "a.nc").split(), monkeypatch=monkeypatch) == 0
    with xarray.open_dataset("a.nc") as data:
        assert float(data["range_m"]) == kept["answer"]["range_m"]
        assert data["range_m"].attrs["units"] == "m"
        assert data["region_range_m"].values.tolist() == [low, high]
        assert float(data["cell_mass"].sum()) == pytest.approx(1.0)
        assert data.sizes["sensor"] == 24


def test_an_answer_is_a_dataset(tmp_path: Path) -> None:
    campaign = FAULTS["nobody"](_campaign(), np.random.default_rng(1))
    data = answer_dataset(campaign.measured, campaign.scene)
    data.to_netcdf(tmp_path / "a.nc", engine="scipy")
    assert data.attrs["holds"] == 0
    assert math.isnan(data["deviation_range_m"])
    assert np.isnan(data["region_angle_rad"]).all()
    assert data["angle_rad"].attrs["units"] == "rad"
    assert "no user is heard" in data.attrs["remarks"]
    assert data["n_snapshots"].values.tolist() == [50] * 24


def test_where_nothing_fits_no_deviation_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _written(FAULTS["nobody"](_campaign(), np.random.default_rng(1)), Path("m.csv"))
    words = "locate --measurements m.csv --noise-dbm -85 --snapshots 50 --set n_elements=64 -o a.json --plot a.png"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "±" not in printed.out
    assert "region" not in printed.out
    (row,) = [line.split() for line in printed.out.splitlines() if "nearest fit" in line]
    range_m, angle_deg, ahead_m, along_m = map(float, row[2:])  # one place, which a posterior of many parts has none of
    assert ahead_m == pytest.approx(range_m * math.sin(math.radians(angle_deg)), abs=0.02)
    assert along_m == pytest.approx(range_m * math.cos(math.radians(angle_deg)), abs=0.02)
    assert "no user is heard" in printed.err
    kept = json.loads(Path("a.json").read_text())
    assert kept["answer"]["holds"] is False
    assert [kept["answer"][name] for name in ("deviations", "region", "modes")] == [None] * 3
    assert all(one["deviation_range_m"] is None for one in kept["estimates"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-o a.txt", "--output: given 'a.txt', needed a file ending in .json or .nc"),
        ("--plot a.gif", "--plot: given 'a.gif'"),
        ("-o none/a.json", "there is no folder"),
        ("--gain-db 3:1", "--gain-db: given '3:1', needed LOW:HIGH"),
        ("--gain-db 0±0", "--gain-db: given '0±0'"),
        ("--gain-db loud", "--gain-db: given 'loud'"),
        ("--gain-db -90:90", "needed an interval of at most 100 dB"),
        ("--noise-dbm -86:-84 --noise-db-sd 1", "needed one of the two"),
    ],
)
def test_nonsense_about_the_answer_is_one_line(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _written(_campaign(), Path("m.csv"))
    given = [*["locate", "--measurements", "m.csv", "--snapshots", "50"], *words.split()]
    if "--noise-dbm" not in given:
        given += ["--noise-dbm", "-85"]
    assert nearfield(*given, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(rf"nearfield: .*{re.escape(message)}.*\n", printed.err), printed.err


def test_gain_and_noise_that_are_not_known_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    campaign = _campaign(gain_db=3.0)
    bare = campaign.measured._replace(power_w=campaign.measured.power_w - campaign.measured.noise_w)
    _written(campaign._replace(measured=bare), Path("m.csv"))
    words = "locate --measurements m.csv --noise-dbm -85.5:-84.5 --snapshots 50 --gain-db -6:6"
    words += " --noise-subtracted --set n_elements=64"
    assert nearfield(*words.split(), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "σ² = -85 dBm ± 0.5 dB at most put back into the powers" in " ".join(printed.out.split())
    (gain, by) = re.search(r"gain, unknown beforehand: (\S+) ± (\S+) dB", printed.out).groups()  # type: ignore[union-attr]
    assert abs(float(gain) - 3.0) < 4 * float(by)
    assert "σ² over the given, unknown beforehand: " in printed.out
    assert "the estimators below the answer take gain and noise as known" in printed.err
