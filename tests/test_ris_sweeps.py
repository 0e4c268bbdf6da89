"""The settings of family B's named sweeps, written down once more: the paper's, and what the specification chose."""

from typing import Any

import pytest

from engine import Sweep
from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.on_grid import OnGrid
from scenarios import ris
from scenarios.ris import Method, RisLocalization, RisPower, RisSampledPlaces, claims, remark1, robust, robust_claims

NAMED = {
    sweep.name.removeprefix("ris:"): sweep
    for module in (ris, robust) for sweep in vars(module).values() if isinstance(sweep, Sweep)
}  # fmt: skip


def dictionaries(**fields: Any) -> tuple[Method, ...]:
    return tuple(Method(estimator=OnGrid(model=model), name=model, **fields) for model in ("hybrid", "nf", "ff"))


def on_grid(name: str, **fields: Any) -> Method:
    return Method(estimator=OnGrid(), name=name, **fields)


AML = Method(estimator=ApproximateML(), phases="random", name="AML")
ANM = Method(estimator=AtomicNorm(), phases="random", name="ANM")
NOMP = Method(estimator=NewtonisedPursuit(), phases="random", name="NOMP")
LOOP = Method(estimator=ClosedLoop(), random_cycles=None, name="closed loop")
SURE = Method(estimator=ClosedLoop(lost=1e6), random_cycles=None, name="closed loop, never in doubt")
BOTH = (on_grid("hybrid, random", phases="random"), on_grid("hybrid, optimised"))
TIMED = (on_grid("on-grid method"),)
PRINTED, TIMED_PRINTED = dictionaries(random_cycles=1), (on_grid("on-grid method", random_cycles=1),)
OFF = (BOTH[0], NOMP, LOOP)

AS_PRINTED = {"snr_definition": "zero_phases", "waves": "as_printed", "unidentifiable": True}
NEAR = {"users": "near", "range_min_m": 0.6, "near_range_max_m": 1.8}  # near for every size, from 15 a side on
EVERY_SECOND = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
DB5, DB10, DB15 = ({"snr_db": (snr_db,)} for snr_db in (5.0, 10.0, 15.0))
SCENES: dict[str, dict[str, Any]] = {
    "fig4": {"methods": (*dictionaries(), AML, ANM, NOMP, LOOP)},
    "fig5": DB10 | {"recorded_cycles": EVERY_SECOND, "unidentifiable": True,
                    "methods": (*dictionaries(phases="random"), on_grid("hybrid, optimised"), NOMP, LOOP)},
    "fig6": DB5 | {"methods": (*dictionaries(phases="random"), NOMP)},
    "fig7": DB10 | {"methods": (on_grid("on-grid method", random_cycles=6),)},
    "fig8": DB10 | {"methods": BOTH},
    "fig9": DB10 | {"methods": TIMED},
    "fig10": DB10 | NEAR | {"snr_elements": 625, "methods": (*BOTH, LOOP)},
    "fig11": DB10 | NEAR | {"snr_elements": 625, "methods": TIMED},
    "fig4-as-printed": AS_PRINTED | {"methods": (*PRINTED, AML, ANM)},
    "fig5-as-printed": AS_PRINTED | DB10 | {"recorded_cycles": EVERY_SECOND, "methods": PRINTED},
    "fig6-as-printed": AS_PRINTED | DB5 | {"methods": PRINTED},
    "fig7-as-printed": AS_PRINTED | DB10 | {"methods": TIMED_PRINTED},
    "fig8-as-printed": AS_PRINTED | DB10 | {"methods": (on_grid("hybrid", random_cycles=1),)},
    "fig9-as-printed": AS_PRINTED | DB10 | {"methods": TIMED_PRINTED},
    "fig10-as-printed": AS_PRINTED | DB10 | NEAR | {"methods": (on_grid("hybrid", random_cycles=1),)},
    "fig11-as-printed": AS_PRINTED | DB10 | NEAR | {"methods": TIMED_PRINTED},
    "remark1": DB10 | {"n_cycles": 40, "recorded_cycles": (4, 6, 8, 10, 12, 14, 16, 20, 30, 40),
                       "methods": BOTH, "unidentifiable": True},
    "quantised": DB15 | {"methods": OFF},
    "rounded": DB15 | {"methods": (*OFF[:2], SURE), "phases_told": "intended"},
    **{name: DB15 | {"methods": OFF} for name in (
        "misplaced", "misturned", "drift", "close-users", "close-scatterers")},
    "mismatch": {"users": "near", "near_range_max_m": 1.2, "snr_db": (0.0, 5.0, 10.0, 20.0, 30.0),
                 "angle_step_rad": 0.01, "n_scatterers": 0, "mismatched_bound": True,
                 "methods": (*dictionaries(phases="random"), NOMP)},
}  # fmt: skip

SPACINGS, SIZES, RANGES = (0.08, 0.06, 0.04, 0.03, 0.02, 0.015), (15, 20, 25, 30), (6.0, 8.0, 10.0, 14.0, 20.0)
MODELS, CYCLES = ("ff", "hybrid", "nf"), (6, 8, 10, 14, 20)
BITS, BEAMS = (1, 2, 3, 4, 0), (0.1, 0.25, 0.5, 1.0, 2.0)
FAR, ANGLE = (("far", "angle"), ("near", "angle")), (("near", "angle"), ("far", "angle"))
THREE, OURS = (*FAR, ("near", "range")), (*ANGLE, ("near", "range"))
IN_RANGE = (("near", "range"), ("near", "angle"))
ERRORS: list[tuple[Any, ...]] = [
    # name, axis, its values where it is no dimension, panels, claims, realizations, block
    ("fig4", "snr_db", None, THREE, claims.against_snr, 24, 4),
    ("fig5", "cycle", None, FAR, claims.against_cycles, 64, 8),
    ("fig6", "range_max_m", RANGES, FAR, claims.against_range, 64, 8),
    ("fig8", "angle_step_rad", SPACINGS, ANGLE, claims.against_spacing, 32, 8),
    ("fig10", "elements_per_side", SIZES, IN_RANGE, claims.against_size, 32, 8),
    ("fig4-as-printed", "snr_db", None, THREE, claims.against_snr, 24, 4),
    ("fig5-as-printed", "cycle", None, FAR, claims.against_cycles, 64, 8),
    ("fig6-as-printed", "range_max_m", RANGES, FAR, claims.against_range, 32, 8),
    ("fig8-as-printed", "angle_step_rad", SPACINGS, ANGLE, claims.against_spacing, 32, 8),
    ("fig10-as-printed", "elements_per_side", SIZES, IN_RANGE, claims.against_size, 32, 8),
    ("quantised", "phase_bits", BITS, OURS, robust_claims.against_bits, 64, 8),
    ("rounded", "phase_bits", BITS, OURS, robust_claims.against_bits, 64, 8),
    ("misplaced", "misplaced_m", (0.0, 0.001, 0.003, 0.01, 0.03, 0.1), OURS, robust_claims.none, 64, 8),
    ("misturned", "misturned_rad", (0.0, 0.001, 0.003, 0.01, 0.03), OURS, robust_claims.none, 64, 8),
    ("drift", "phase_drift_rad", (0.0, 0.02, 0.05, 0.1, 0.2, 0.5), OURS, robust_claims.none, 64, 8),
    ("close-users", "user_separation_beams", BEAMS, OURS, robust_claims.against_separation, 64, 8),
    ("close-scatterers", "scatterer_separation_beams", BEAMS, OURS, robust_claims.none, 64, 8),
    ("mismatch", "snr_db", None, IN_RANGE[::-1], robust_claims.against_mismatch, 64, 8),
]
TIMES = [
    (f"{name}{end}", axis, values)
    for name, axis, values in (
        ("fig7", "n_cycles", CYCLES), ("fig9", "angle_step_rad", SPACINGS), ("fig11", "elements_per_side", SIZES)
    )
    for end in ("", "-as-printed")
]  # fmt: skip


def test_no_sweep_is_left_out() -> None:
    assert {*SCENES, "fig3", "power"} == set(NAMED)
    assert {*(row[0] for row in ERRORS), *(row[0] for row in TIMES), "remark1"} == set(SCENES)


def test_what_no_sweep_says_is_as_the_specification_has_it() -> None:
    """Its table of parameters, whole."""
    expected = RisLocalization(
        elements_per_side=25, elements_upwards=None, carrier_hz=28e9, spacing_m=0.005, subcarrier_hz=120e3,
        base_station_x_m=3.0, base_station_y_m=-4.0, base_station_z_m=1.0, n_users=4, users="alternate",
        n_scatterers=2, scatterer_db=-10.0, range_min_m=0.5, range_max_m=10.0, near_range_max_m=None,
        field_of_view="lab", waves="spherical", snr_db=(-5.0, 5.0, 10.0, 20.0, 30.0), snr_definition="mean",
        snr_elements=None, n_cycles=20, angle_step_rad=0.02, range_step_m=0.25, recorded_cycles=(), model="hybrid",
        unidentifiable=False, mismatched_bound=False, direct_strength="any", user_separation_beams=0.0,
        scatterer_separation_beams=0.0, phase_bits=0, phases_told="applied", misplaced_m=0.0, misturned_rad=0.0,
        phase_drift_rad=0.0, methods=(Method(estimator=OnGrid(), random_cycles=13, phases="optimised"),),
    )  # fmt: skip
    assert RisLocalization() == expected


@pytest.mark.parametrize("name", SCENES)
def test_scenes(name: str) -> None:
    assert NAMED[name].scenario == RisLocalization(**SCENES[name])


@pytest.mark.parametrize(("name", "axis", "values", "panels", "judge", "realizations", "block"), ERRORS)
def test_sweeps_of_errors(
    name: str, axis: str, values: tuple[Any, ...] | None, panels: Any, judge: Any, realizations: int, block: int
) -> None:
    sweep = NAMED[name]
    assert sweep.axes == ({axis: values} if values else {})
    figure = sweep.figure.__self__  # type: ignore[union-attr]
    assert (figure.x, tuple(figure.panels), figure.claims) == (axis, panels, judge)
    assert (sweep.realizations, sweep.full, sweep.block) == (realizations, 2048, block)
    assert sweep.chunk == block
    assert sweep.highlights == ("squared_error_angle_rad2", "squared_error_range_m2")
    assert not sweep.timed


@pytest.mark.parametrize(("name", "axis", "values"), TIMES)
def test_sweeps_of_times(name: str, axis: str, values: tuple[Any, ...]) -> None:
    sweep = NAMED[name]
    assert sweep.axes == {"model": MODELS, axis: values}
    assert sweep.figure.__self__.x == axis  # type: ignore[union-attr]
    assert (sweep.realizations, sweep.full, sweep.block, sweep.chunk, sweep.timed) == (16, 64, 8, 8, True)


def test_sweeps_of_a_kind_of_their_own() -> None:
    assert NAMED["fig3"].scenario == RisSampledPlaces(n_cycles=1, n_scatterers=0)
    assert NAMED["power"].scenario == RisPower(users="far", range_min_m=0.6, n_users=1, n_scatterers=0, n_cycles=1)
    assert NAMED["power"].axes == {"elements_per_side": (5, 10, 15, 20, 25, 30)}
    assert not NAMED["fig3"].axes
    assert not remark1.axes
    budgets = {name: (NAMED[name].realizations, NAMED[name].full, NAMED[name].block)
               for name in ("fig3", "power", "remark1")}  # fmt: skip
    assert budgets == {"fig3": (1000, 20_000, 50), "power": (4000, 100_000, 50), "remark1": (64, 2048, 8)}
