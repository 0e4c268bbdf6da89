"""The adaptive quadrature against sums over uniform grids with physics and densities of their own."""

import math
from dataclasses import replace

import numpy as np
import pytest
from campaigns import LIGHT_M_PER_S, Campaign, drawn, random_scene, scene
from scipy.stats import ncx2

from engine.numerics.noncentral_chi2 import log_likelihood_and_slope
from scenarios.leakage.answer.climb import climb
from scenarios.leakage.answer.lattice import PHASE_RAD, envelope, phases, resolving_cells
from scenarios.leakage.answer.powers import Powers
from scenarios.leakage.answer.prior import LOG_PER_DB, InDecibels, Prior
from scenarios.leakage.answer.quadrature import Quadrature, quadrature
from scenarios.leakage.answer.region import Summary, summary


def _posed(campaign: Campaign, **unknown: InDecibels) -> tuple[Powers, Prior]:
    return (
        Powers.of(campaign.measured, campaign.scene, campaign.scene.leakage),
        replace(Prior.of(campaign.scene), **unknown),
    )


def _found(campaign: Campaign, fineness: float = 1.0, **unknown: InDecibels) -> tuple[Quadrature, Summary]:
    found = quadrature(*_posed(campaign, **unknown), fineness)
    return found, summary(found.cells)


class _Brute:
    """Log-likelihood of every place of a uniform grid of range and angle, each sensor by SciPy's density."""

    def __init__(self, campaign: Campaign, n_ranges: int, n_angles: int) -> None:
        scene, measured = campaign.scene, campaign.measured
        edges_m = np.linspace(scene.user_range_min_m, scene.user_range_max_m, n_ranges + 1)
        edges_rad = np.linspace(scene.user_angle_min_rad, scene.user_angle_max_rad, n_angles + 1)
        middles = [(part[:-1] + part[1:]) / 2 for part in (edges_m, edges_rad)]
        self.range_m, self.angle_rad = (part.ravel() for part in np.meshgrid(*middles, indexing="ij"))
        wavelength_m = LIGHT_M_PER_S / scene.carrier_hz
        place = (np.arange(scene.n_elements) - (scene.n_elements - 1) / 2) * wavelength_m / 2
        x, y = measured.range_m * np.sin(measured.angle_rad), measured.range_m * np.cos(measured.angle_rad)
        to_sensor = np.hypot(x[:, None], y[:, None] - place) - measured.range_m[:, None]
        steering = np.exp(-2j * math.pi * to_sensor / wavelength_m)
        along = (self.range_m * np.cos(self.angle_rad))[:, None]
        to_user = np.hypot((self.range_m * np.sin(self.angle_rad))[:, None], along - place) - self.range_m[:, None]
        amplitude = np.exp(2j * math.pi * to_user / wavelength_m) @ steering.T
        noise_w = 1e-3 * 10 ** (measured.noise_dbm / 10)
        sent = 1e-3 * 10 ** (scene.transmit_dbm / 10) * (wavelength_m / (4 * math.pi * measured.range_m)) ** 2
        self.snr = sent * np.abs(amplitude) ** 2 / scene.n_elements / noise_w
        self.counts, self.statistic = measured.counts, 2 * measured.counts * measured.power_w / noise_w

    def log_likelihood(self, gain: float = 0.0, noise: float = 0.0) -> np.ndarray:
        statistic, snr = self.statistic * math.exp(-noise), self.snr * math.exp(gain - noise)
        total = ncx2.logpdf(statistic, 2 * self.counts, 2 * self.counts * snr).sum(axis=1)
        return np.asarray(total - noise * len(self.counts))  # densities of the powers, not of S


def _moments(log_mass: np.ndarray, range_m: np.ndarray, angle_rad: np.ndarray) -> list[float]:
    top = log_mass.max()
    mass = np.exp(log_mass - top)
    evidence = float(top + math.log(mass.sum()))
    mass /= mass.sum()
    means = [float(mass @ part) for part in (range_m, angle_rad)]
    deviations = [math.sqrt(mass @ (part - mean) ** 2) for part, mean in zip((range_m, angle_rad), means, strict=True)]
    return [*means, *deviations, evidence]


SCENES = [
    ({"n_sensors": 5, "noise_dbm": -70.0, "n_snapshots": 2, "n_elements": 32}, 1),
    ({"n_sensors": 12, "noise_dbm": -75.0, "n_snapshots": 9, "n_elements": 48}, 2),
    ({"n_sensors": 3, "noise_dbm": -88.0, "n_snapshots": 20, "n_elements": 24}, 3),
    ({"n_sensors": 25, "noise_dbm": -62.0, "n_snapshots": 40, "n_elements": 64}, 4),
    ({"n_sensors": 8, "noise_dbm": -85.0, "n_snapshots": 1, "n_elements": 40, "carrier_hz": 40e9}, 5),
]


@pytest.mark.parametrize(("settings", "seed"), SCENES)
def test_moments_and_evidence_are_those_of_a_uniform_grid(settings: dict, seed: int) -> None:
    """Snapshot counts differ from sensor to sensor."""
    random = np.random.default_rng(seed)
    here = scene(**settings)
    counts = random.integers(1, 2 * here.n_snapshots[0] + 1, here.n_sensors)
    campaign = drawn(here, random, counts=counts)
    brute = _Brute(campaign, 240, 700)
    mean_m, mean_rad, by_m, by_rad, evidence = _moments(brute.log_likelihood(), brute.range_m, brute.angle_rad)
    found, held = _found(campaign)
    powers, _ = _posed(campaign)
    assert held.range_m == pytest.approx(mean_m, abs=0.03 * by_m)
    assert held.angle_rad == pytest.approx(mean_rad, abs=0.03 * by_rad)
    assert held.deviation_range_m == pytest.approx(by_m, rel=0.03)
    assert held.deviation_angle_rad == pytest.approx(by_rad, rel=0.03)
    assert held.log_evidence + powers.log_constant == pytest.approx(evidence - math.log(240 * 700), abs=0.03)
    assert found.finished
    assert found.peak.height[0] + powers.log_constant >= brute.log_likelihood().max() - 1e-6


def test_the_region_is_that_of_highest_density() -> None:
    campaign = drawn(scene(10, -70.0, 5, n_elements=40), np.random.default_rng(8))
    brute = _Brute(campaign, 300, 700)
    value = brute.log_likelihood()
    mass = np.exp(value - value.max())
    mass /= mass.sum()
    order = np.argsort(-mass)
    inside = np.zeros(len(mass), dtype=bool)
    inside[order[: np.searchsorted(np.cumsum(mass[order]), 0.95) + 1]] = True
    _, held = _found(campaign)
    ours = np.array([held.plane.covers(*place) for place in zip(brute.range_m, brute.angle_rad, strict=True)])
    assert mass[ours].sum() == pytest.approx(0.95, abs=0.01)
    assert mass[ours & ~inside].sum() < 0.02
    extent = held.extent
    reach_m, reach_rad = 9.0 / 300 * 2, np.ptp(brute.angle_rad) / 700 * 2
    assert extent.range_m.low == pytest.approx(brute.range_m[inside].min(), abs=0.2 * held.deviation_range_m + reach_m)
    assert extent.range_m.high == pytest.approx(brute.range_m[inside].max(), abs=0.2 * held.deviation_range_m + reach_m)
    assert extent.angle_rad.low == pytest.approx(
        brute.angle_rad[inside].min(), abs=0.2 * held.deviation_angle_rad + reach_rad)  # fmt: skip
    x, y = brute.range_m * np.sin(brute.angle_rad), brute.range_m * np.cos(brute.angle_rad)
    assert extent.x_m.low <= x[ours].min()
    assert extent.x_m.high >= x[ours].max()
    assert extent.y_m.low <= y[ours].min()
    assert extent.y_m.high >= y[ours].max()
    assert held.x_m == pytest.approx(mass @ x, abs=0.03 * held.deviation_x_m)
    assert held.deviation_y_m == pytest.approx(math.sqrt(mass @ (y - mass @ y) ** 2), rel=0.03)
    assert sum(mode.share for mode in held.modes) == pytest.approx(held.plane.mass[held.plane.inside].sum())
    assert [mode.share for mode in held.modes] == sorted((mode.share for mode in held.modes), reverse=True)


def test_two_places_that_explain_the_powers_are_two_parts() -> None:
    """Sensors straight ahead, in pairs mirrored about it, which the user's image explains as well."""
    here = scene(6, -80.0, 20, n_elements=32)
    random = np.random.default_rng(2)
    campaign = drawn(here, random, user=(4.0, math.radians(80.0)), noiseless=True)
    angle = np.array([60.0, 75.0, 85.0, 95.0, 105.0, 120.0])
    measured = campaign.measured._replace(angle_rad=np.radians(angle), range_m=np.full(6, 120.0))
    from campaigns import heard

    left = heard(here, random, (4.0, math.radians(80.0)), measured, noiseless=True)
    right = heard(here, random, (4.0, math.radians(100.0)), measured, noiseless=True)
    both = measured._replace(power_w=np.sqrt(left.power_w * right.power_w))
    held = _found(campaign._replace(measured=both))[1]
    assert len(held.modes) >= 2
    for mode in held.modes[:2]:
        assert mode.share == pytest.approx(held.modes[0].share, rel=0.05)
        assert mode.extent.angle_rad.low < mode.angle_rad < mode.extent.angle_rad.high
    assert held.modes[0].angle_rad + held.modes[1].angle_rad == pytest.approx(math.pi, abs=0.01)


@pytest.mark.parametrize("number", range(12))
def test_doubling_the_resolution_moves_nothing_and_no_place_is_better(number: int) -> None:
    """Random scenes far from the papers'."""
    random = np.random.default_rng([31, number])
    here = random_scene(random, 96)
    counts = random.integers(1, 2 * here.n_snapshots[0] + 1, here.n_sensors) if number % 2 else None
    campaign = drawn(here, random, counts=counts)
    found, held = _found(campaign)
    _, finer = _found(campaign, 2.0)
    assert abs(held.range_m - finer.range_m) < 0.03 * finer.deviation_range_m
    assert abs(held.angle_rad - finer.angle_rad) < 0.03 * finer.deviation_angle_rad
    assert held.deviation_range_m == pytest.approx(finer.deviation_range_m, rel=0.03)
    assert held.log_evidence == pytest.approx(finer.log_evidence, abs=0.03)
    powers, prior = _posed(campaign)
    user_m, user_rad = campaign.user
    near_truth = climb(powers, prior, np.array([[1 / user_m, math.cos(user_rad), 0.0, 0.0]]), 40)
    assert found.peak.height[0] >= near_truth.height[0] - 1e-3


def test_an_unknown_gain_and_noise_are_integrated() -> None:
    campaign = drawn(scene(10, -72.0, 6, n_elements=24), np.random.default_rng(5), gain_db=2.0, noise_db=0.3)
    gain, noise = InDecibels(-6.0, 6.0), InDecibels.normal(0.0, 0.5)
    brute = _Brute(campaign, 60, 160)
    gains = LOG_PER_DB * (np.arange(40) + 0.5 - 20) * 12 / 40
    noises = LOG_PER_DB * np.linspace(-2.0, 2.0, 25)
    weight = -0.5 * (noises / (0.5 * LOG_PER_DB)) ** 2
    log_mass = np.stack([[brute.log_likelihood(g, n) + w for g in gains] for n, w in zip(noises, weight, strict=True)])
    of_place = np.logaddexp.reduce(log_mass.reshape(-1, log_mass.shape[-1]), axis=0)
    mean_m, mean_rad, by_m, by_rad, _ = _moments(of_place, brute.range_m, brute.angle_rad)
    _, held = _found(campaign, gain=gain, noise=noise)
    assert held.range_m == pytest.approx(mean_m, abs=0.05 * by_m)
    assert held.angle_rad == pytest.approx(mean_rad, abs=0.05 * by_rad)
    assert held.deviation_range_m == pytest.approx(by_m, rel=0.05)
    assert held.deviation_angle_rad == pytest.approx(by_rad, rel=0.05)
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()
    for (mean, deviation), values, axis in ((held.gain_db, gains, 1), (held.noise_db, noises, 0)):
        values = values / LOG_PER_DB
        share = mass.sum(axis=tuple({0, 1, 2} - {axis}))
        assert mean == pytest.approx(share @ values, abs=0.05 * deviation)
        assert deviation == pytest.approx(math.sqrt(share @ (values - share @ values) ** 2), rel=0.05)


def test_scores_are_slopes_and_values_those_of_the_density() -> None:
    from engine.numerics.cells_cpu import scores

    campaign = drawn(
        scene(7, -78.0, 4, n_elements=30), np.random.default_rng(4), counts=np.array([1, 2, 3, 7, 1, 50, 9])
    )
    powers, _ = _posed(campaign)
    at = np.array([[0.2, 0.1, 0.4, -0.2], [0.4, -0.5, -1.0, 0.3]])

    def look(place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = powers.table(place[:, :2])
        seen = np.tile(powers.statistic, (len(place), 1))
        return scores(table, place[:, 2].copy(), place[:, 3].copy(), seen, powers.unit, powers.kinds)

    value, slope, information = look(at)
    for i, step in enumerate((1e-6, 1e-6, 1e-5, 1e-5)):
        aside = np.eye(4)[i] * step
        assert slope[:, i] == pytest.approx((look(at + aside)[0] - look(at - aside)[0]) / (2 * step), rel=1e-4)
    table = powers.table(at[:, :2])
    for row in range(2):
        gain, noise = at[row, 2:]
        noncentrality = powers.noncentrality(table[:, row], gain, noise)
        parts = [
            log_likelihood_and_slope(np.array(s * math.exp(-noise)), np.array(x), int(n))[0] - noise
            for s, x, n in zip(powers.statistic, noncentrality, powers.n_snapshots, strict=True)
        ]
        assert value[row] + powers.log_constant == pytest.approx(sum(map(float, parts)), rel=1e-9)
    assert np.linalg.eigvalsh(information).min() > 0
    # in gain, by itself: λ² Var(S)⁻¹ of each sensor
    noncentrality = powers.noncentrality(table[:, 0], *at[0, 2:])
    expected = np.sum(noncentrality**2 / (4 * (powers.n_snapshots + noncentrality)))
    assert information[0, 2, 2] == pytest.approx(expected)


def test_what_a_cell_can_hold_bounds_what_it_holds() -> None:
    """Log-likelihoods of places within cells: at most what is said, but for one in a thousand."""
    from engine.numerics.cells_cpu import cells

    random, below, count = np.random.default_rng(9), 0, 0
    for noise_dbm, n_snapshots in ((-100.0, 40), (-80.0, 3)):
        campaign = drawn(scene(20, noise_dbm, n_snapshots, n_elements=60), random)
        powers, prior = _posed(campaign, gain=InDecibels(-3.0, 3.0), noise=InDecibels(-1.0, 1.0))
        whole = resolving_cells(powers, prior)
        some = whole.of(random.choice(len(whole.place), 400))
        table = powers.table(some.place)
        high = envelope(powers, some, table, phases(powers, some))
        half = np.tile([0.1, 0.05], (400, 1))
        middle = random.uniform([-0.5, -0.1], [0.5, 0.1], (400, 2))
        sums = cells(
            np.arange(400), middle, half, table, phases(powers, some), high, powers.statistic, powers.unit, powers.kinds
        )
        for _ in range(20):
            inside = some.place + some.half * random.uniform(-1, 1, (400, 2))
            beside = middle + half * random.uniform(-1, 1, (400, 2))
            there = powers.table(np.clip(inside, [1e-9, -1.0], [np.inf, 1.0]))
            nothing = np.zeros_like(high)
            value = cells(
                np.arange(400), beside, np.zeros((400, 2)), there, np.zeros((400, 2)), nothing, powers.statistic,
                powers.unit, powers.kinds,
            )[:, 0]  # fmt: skip
            below += int(np.count_nonzero(value > sums[:, 1] + 1e-9))
            count += 400
    assert below < 1e-3 * count


def test_cells_of_the_lattice_fill_the_area_and_resolve_it() -> None:
    powers, prior = _posed(drawn(scene(5), np.random.default_rng(1)))
    whole = resolving_cells(powers, prior)
    range_m, angle_rad = whole.sides()
    assert np.sum(range_m * angle_rad) == pytest.approx(10.0 * 2 * math.pi / 3)
    assert phases(powers, whole).max() <= PHASE_RAD
    finer = resolving_cells(powers, prior, PHASE_RAD / 2)
    assert len(finer.place) > 2 * len(whole.place)
    positions = powers.array.positions_m(np)
    cell = whole.of(np.array([len(whole.place) // 2]))
    for axis in (0, 1):
        ends = []
        for side in (-1, 1):
            curvature, cosine = (cell.place + side * cell.half * np.eye(2)[axis])[0]
            user = 1 / curvature
            way = np.sqrt(user**2 + positions**2 - 2 * user * positions * cosine) - user
            ends.append(way * powers.array.wavenumber_rad_per_m)
        assert np.ptp(ends[1] - ends[0]) / 4 == pytest.approx(phases(powers, cell)[0, axis], rel=0.05)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-10:10", InDecibels(-10.0, 10.0)),
        ("0±3", InDecibels(-15.0, 15.0, 3.0)),
        ("2+-0,5", InDecibels(-0.5, 4.5, 0.5)),
        ("−6", InDecibels(-6.0, -6.0)),
    ],
)
def test_decibels_are_read(text: str, found: InDecibels) -> None:
    assert InDecibels.parsed(text, "gain") == found


def test_a_prior_of_the_range_is_heeded() -> None:
    campaign = drawn(scene(4, -55.0, 1, n_elements=20), np.random.default_rng(3))
    beta = campaign.scene.replace(user_range_draw="beta", prior_alpha=2.0, prior_beta=5.0)
    held = _found(campaign._replace(scene=beta))[1]
    brute = _Brute(campaign, 300, 300)
    share = (brute.range_m - 2) / 10
    log_mass = brute.log_likelihood() + np.log(share) + 4 * np.log1p(-share)
    mean_m, _, by_m, _, _ = _moments(log_mass, brute.range_m, brute.angle_rad)
    assert held.range_m == pytest.approx(mean_m, abs=0.03 * by_m)
    assert held.deviation_range_m == pytest.approx(by_m, rel=0.03)
    assert math.exp(held.log_evidence - _found(campaign)[1].log_evidence) == pytest.approx(
        np.mean(np.exp(log_mass) * 30) / np.mean(np.exp(brute.log_likelihood())), rel=0.03)  # fmt: skip
