"""Where family B's scenes put users, what places are unknown, and what they refuse: by hand and by plain loops."""

import math

import numpy as np
import pytest
from scipy import stats

from engine import Streams
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import near_field_range_m
from scenarios.ris import RisLocalization
from scenarios.ris.placing import beside, ends_of_near_field

SURFACE = UniformPlanarArray(n_y=14, n_z=9, spacing_m=0.004, wavelength_m=0.011)


@pytest.mark.parametrize(
    ("users", "scatterers", "unknowns", "cycles"),
    [(1, 0, 5, 3), (1, 2, 15, 8), (4, 2, 42, 6), (3, 1, 24, 4), (8, 4, 116, 8), (2, 0, 10, 3)],
)
def test_unknowns_and_the_cycles_that_they_need(users: int, scatterers: int, unknowns: int, cycles: int) -> None:
    """A user: κ, θ, φ and a gain; a scatterer: κ, θ, φ and a gain to each user. A cycle: a sample of each user."""
    scene = RisLocalization(n_users=users, n_scatterers=scatterers)
    assert scene.unknowns() == unknowns
    assert scene.cycles_needed() == cycles


def test_beside_is_so_many_beams_away_towards_the_middle() -> None:
    random = np.random.default_rng(5)
    polar, azimuth = random.uniform(0.9, 2.2, 40), random.uniform(-0.6, 0.6, 40)
    angle = random.uniform(0, math.pi / 2, 40)
    found = beside(SURFACE, polar, azimuth, 0.7, angle)
    for p, a, new_p, new_a, towards in zip(polar, azimuth, *found, angle, strict=True):
        moved_y = math.sin(new_p) * math.sin(new_a) - math.sin(p) * math.sin(a)
        moved_z = math.cos(new_p) - math.cos(p)
        beams_y, beams_z = moved_y * 14 * 0.004 / 0.011, moved_z * 9 * 0.004 / 0.011
        assert math.hypot(beams_y, beams_z) == pytest.approx(0.7)
        assert math.atan2(abs(beams_z), abs(beams_y)) == pytest.approx(towards)
        assert moved_y * math.sin(a) <= 0
        assert moved_z * math.cos(p) <= 0


@pytest.mark.parametrize(
    "angles", [(0.7, 1.3, -0.9, -0.1), (0.2, 0.6, 0.1, 0.9), (1.9, 2.4, -0.9, -0.2), (0.4, math.pi - 0.4, -1.1, 1.1)]
)
def test_the_near_fields_ends_are_those_of_the_whole_view(angles: tuple[float, float, float, float]) -> None:
    """Next to corners in views that are askew; else the shortest in the middle of a side."""
    view = FieldOfView(*angles, 0.2, 30.0)
    shortest, longest = math.inf, 0.0
    for polar in np.linspace(*angles[:2], 17):
        for azimuth in np.linspace(*angles[2:], 17):
            end = float(near_field_range_m(SURFACE, np.asarray(polar), np.asarray(azimuth)))
            shortest, longest = min(shortest, end), max(longest, end)
    assert longest > 1.1 * shortest
    assert ends_of_near_field(SURFACE, view) == pytest.approx((shortest, longest), rel=5e-4)


def test_views_in_degrees() -> None:
    for name, degrees in (("lab", (60, 120, -30, 30)), ("wide", (30, 150, -60, 60))):
        view = RisLocalization(field_of_view=name).view()
        found = view.polar_min_rad, view.polar_max_rad, view.azimuth_min_rad, view.azimuth_max_rad
        assert np.degrees(found) == pytest.approx(degrees)


@pytest.mark.parametrize("waves", ["spherical", "as_printed"])
def test_the_zero_phases_ratio_is_the_median_realizations_mean_over_users(waves: str) -> None:
    """As the paper defines it, element by element; by the same 512 draws, a user after the other."""
    scene = RisLocalization(
        elements_per_side=6, elements_upwards=9, carrier_hz=11e9, spacing_m=0.011, range_min_m=0.25, range_max_m=6.0,
        subcarrier_hz=0.0, n_users=3, n_scatterers=0, snr_definition="zero_phases", snr_db=(4.0, 9.0), waves=waves,
    )  # fmt: skip
    surface, shares = scene.surface(), np.random.default_rng(0).random((3, 512, 3))
    k, (y, z) = surface.wavenumber_rad_per_m, surface.positions_m(np)
    to_base, means = scene.cascade().to_base_station(np), []
    for i in range(512):
        total = 0.0
        for user, field in enumerate(("near", "far", "near")):
            polar, azimuth = math.radians(60 + 60 * shares[0, i, user]), math.radians(-30 + 60 * shares[1, i, user])
            end = float(near_field_range_m(surface, np.asarray(polar), np.asarray(azimuth)))
            low, high = (0.25, end) if field == "near" else (end, 6.0)
            away = low + (high - low) * shares[2, i, user]
            across, up = math.sin(polar) * math.sin(azimuth), math.cos(polar)
            x = away * math.sin(polar) * math.cos(azimuth)
            path = np.sqrt(x * x + (away * across - y) ** 2 + (away * up - z) ** 2) - away
            if field == "far" and waves == "as_printed":
                path = -(across * y + up * z)
            total += abs(np.sum(np.exp(-1j * k * path) * to_base)) ** 2
        means.append(total / surface.n_elements / 3)
    expected = np.array([4.0, 9.0]) - 10 * math.log10(np.median(means))
    np.testing.assert_allclose(scene.mean_snr_db(), expected, rtol=1e-9)


def test_the_last_users_other_frequency_is_compared_with_noise() -> None:
    """Two subcarriers on, at 20 dB in 17 cycles; by as much as is said to be the most, and not by more."""
    at = {"n_users": 3, "snr_db": (5.0, 20.0), "n_cycles": 17}
    scene = RisLocalization(**at, subcarrier_hz=1e5)
    oblique = math.hypot(math.sin(math.pi / 2) * math.sin(math.pi / 6), math.cos(math.pi / 3))
    spread_m = 0.005 * math.sqrt((25 * 25 - 1) / 12)
    phase_rad = 2 * math.pi * 2e5 / 299792458.0 * oblique * spread_m
    error = phase_rad * math.sqrt(2 * 17 * 100)
    assert scene.subcarrier_error() == pytest.approx(error, rel=1e-6)
    most_hz = 1e5 * 0.5 / error
    RisLocalization(**at, subcarrier_hz=0.999 * most_hz)
    with pytest.raises(ValueError, match=rf"needed at most {most_hz:.3g} Hz".replace("+", r"\+")):
        RisLocalization(**at, subcarrier_hz=1.001 * most_hz)


def test_a_surface_is_off_by_half_the_nearest_range_at_most() -> None:
    RisLocalization(range_min_m=0.5, misplaced_m=0.24)
    with pytest.raises(ValueError, match="misplaced_m = 0.26 with users from range_min_m = 0.5 on"):
        RisLocalization(range_min_m=0.5, misplaced_m=0.26)


def test_a_base_station_in_the_surface_is_refused_and_one_before_it_is_not() -> None:
    def at(*place: float) -> RisLocalization:
        return RisLocalization(**{f"base_station_{axis}_m": value for axis, value in zip("xyz", place, strict=True)})

    for place in ((0.0, 0.0, 0.0), (0.0009, 0.0, 0.0), (0.0005, -0.0005, 0.0005)):
        with pytest.raises(ValueError, match="the base station lies in the surface's centre"):
            at(*place)
    for place in ((0.0011, 0.0, 0.0), (0.0, -0.02, 0.0), (0.0, 0.0, 0.02), (0.0007, 0.0007, 0.0007)):
        at(*place)


def test_a_separation_that_the_view_has_no_room_for_says_how_much_there_is() -> None:
    """25 elements λ/2.14 apart: beams 0.0857 wide; ±π/6: half a unit to each side."""
    width = RisLocalization().surface().wavelength_m / (25 * 0.005)
    most = 0.4 / width
    said = rf"is {most * 1.5 * width:.2g} in direction cosines, of 1 in the view: needed at most {most:.3g} beams"
    with pytest.raises(ValueError, match=said):
        RisLocalization(user_separation_beams=1.5 * most)
    RisLocalization(user_separation_beams=0.99 * most)


def test_what_is_drawn_has_the_laws_that_are_said() -> None:
    """Angles, ranges, and phases uniform, noise and drift normal, misplacement any way: by Kolmogorov and Smirnov."""
    scene = RisLocalization(
        elements_per_side=13, elements_upwards=10, users="near", n_users=3, n_scatterers=2, near_range_max_m=1.0,
        range_min_m=0.2, subcarrier_hz=0.0, n_cycles=4, unidentifiable=True, field_of_view="wide",
    )  # fmt: skip
    drawn = scene.draw(Streams(11, 0), 900)
    assert [part.shape for part in drawn] == [
        (900, 3), (900, 3), (900, 3), (900, 3), (900, 2), (900, 2), (900, 2), (900, 3, 2), (900, 4, 130), (900, 4, 3),
        (900, 4, 3), (900, 2, 3),
    ]  # fmt: skip
    turn, half = 2 * math.pi, math.sqrt(0.5)
    ends = near_field_range_m(scene.surface(), drawn.user_polar_rad, drawn.user_azimuth_rad)
    far = near_field_range_m(scene.surface(), drawn.scatterer_polar_rad[:, 1], drawn.scatterer_azimuth_rad[:, 1])
    expected = (
        (drawn.user_polar_rad, stats.uniform(math.pi / 6, 2 * math.pi / 3)),
        (drawn.user_azimuth_rad, stats.uniform(-math.pi / 3, 2 * math.pi / 3)),
        (drawn.scatterer_polar_rad, stats.uniform(math.pi / 6, 2 * math.pi / 3)),
        (drawn.scatterer_azimuth_rad, stats.uniform(-math.pi / 3, 2 * math.pi / 3)),
        ((drawn.user_range_m - 0.2) / (np.minimum(ends, 1.0) - 0.2), stats.uniform()),
        ((drawn.scatterer_range_m[:, 1] - far) / (10 - far), stats.uniform()),
        *((part, stats.uniform(0, turn)) for part in (
            drawn.user_phase_rad, drawn.scatterer_phase_rad, drawn.surface_phase_rad)),
        (drawn.noise.real, stats.norm(0, half)), (drawn.noise.imag, stats.norm(0, half)),
        (drawn.drift, stats.norm()), (drawn.misplacement, stats.uniform(-1, 2)),
    )  # fmt: skip
    for values, law in expected:
        assert stats.kstest(np.ravel(values), law.cdf).pvalue > 1e-3
    assert np.mean(ends < 1.0) == pytest.approx(0.5, abs=0.4)
    # Nothing of one user, scatterer or cycle is another's.
    parts = (*drawn[1:4], *drawn[5:8], drawn.surface_phase_rad[..., 0], drawn.noise.real, drawn.noise.imag, drawn.drift)
    alike = np.corrcoef(np.concatenate([part.reshape(900, -1) for part in parts], axis=1), rowvar=False)
    assert np.abs(alike - np.eye(len(alike))).max() < 4.5 / math.sqrt(900)


def test_fields_by_turns_or_as_told() -> None:
    scene = RisLocalization(n_users=5, n_scatterers=5, subcarrier_hz=0.0)
    assert scene.user_fields() == scene.scatterer_fields() == ["near", "far", "near", "far", "near"]
    for field in ("near", "far"):
        assert scene.replace(users=field).user_fields() == [field] * 5
        assert scene.replace(users=field).scatterer_fields() == scene.scatterer_fields()


def test_noise_of_every_realization_by_either_definition() -> None:
    """N/SNR; or, as printed, what direct paths bring with all phases zero, in the mean over users, over SNR."""
    powers = np.random.default_rng(2).uniform(0.1, 30.0, (5, 4))
    called = [RisLocalization(snr_definition=name).coordinates()["snr_db"][2] for name in ("mean", "zero_phases")]
    assert called == [
        {"units": "dB", "long_name": "mean signal-to-noise ratio"},
        {"units": "dB", "long_name": "direct path over noise, all phases zero"},
    ]
    mean = RisLocalization(snr_db=(0.0, 13.0, 20.0), elements_per_side=9, elements_upwards=20, n_cycles=6)
    printed, fixed = mean.replace(snr_definition="zero_phases"), mean.replace(snr_elements=77)
    assert mean.noise_variances(powers, np).shape == (5, 3)
    for i, level in np.ndindex(5, 3):
        snr = 10 ** ((0.0, 13.0, 20.0)[level] / 10)
        assert mean.noise_variances(powers, np)[i, level] == pytest.approx(180 / snr)
        assert fixed.noise_variances(powers, np)[i, level] == pytest.approx(77 / snr)
        assert printed.noise_variances(powers, np)[i, level] == pytest.approx(180 * sum(powers[i]) / 4 / snr)
