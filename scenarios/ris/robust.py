"""Family B where something is not as estimators believe, or users are close: sweeps of our own, none is the paper's."""

from typing import Any

from engine import Sweep
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.on_grid import OnGrid
from scenarios.ris.figures import ErrorFigure
from scenarios.ris.localization import RisLocalization
from scenarios.ris.protocol import Method
from scenarios.ris.robust_claims import against_bits, against_mismatch, against_separation, none
from scenarios.ris.sweeps import CLOSED_LOOP, NOMP

_METHODS = (Method(estimator=OnGrid(), phases="random", name="hybrid, random"), NOMP, CLOSED_LOOP)
_NEVER_IN_DOUBT = Method(estimator=ClosedLoop(lost=1e6), random_cycles=None, name="closed loop, never in doubt")
"""Where nothing explains what is received, the search for another explanation has no end worth its time."""
_ANGLES = (("near", "angle"), ("far", "angle"))
_AT_15_DB = RisLocalization(snr_db=15.0, methods=_METHODS)


def _against(
    field: str, values: tuple[Any, ...], title: str, about: str, claims: Any = none, *, name: str,
    scenario: RisLocalization = _AT_15_DB,
) -> Sweep:  # fmt: skip
    figure = ErrorFigure(title, field, claims, (*_ANGLES, ("near", "range")))
    return _drawn(figure, name, about, scenario, {field: values})


def _drawn(figure: ErrorFigure, name: str, about: str, scenario: RisLocalization, axes: dict[str, Any]) -> Sweep:
    highlights = ("squared_error_angle_rad2", "squared_error_range_m2")
    return Sweep(
        scenario, axes, name=f"ris:{name}", about=about, highlights=highlights, summary=figure.summary,
        figure=figure.draw, report=figure.report, realizations=64, full=2048, block=8,
    )  # fmt: skip


quantised = _against(
    "phase_bits", (1, 2, 3, 4, 0), "Phases of few bits, told as applied, {snr_db} dB",
    "errors against the bits of each element's phase, which estimators are told", against_bits, name="quantised",
)  # fmt: skip

rounded = _against(
    "phase_bits", (1, 2, 3, 4, 0), "Phases of few bits, of which estimators know none, {snr_db} dB",
    "errors against the bits of each element's phase, by who believes in exact ones", against_bits, name="rounded",
    scenario=_AT_15_DB.replace(phases_told="intended", methods=(*_METHODS[:2], _NEVER_IN_DOUBT)),
)  # fmt: skip

misplaced = _against(
    "misplaced_m", (0.0, 0.001, 0.003, 0.01, 0.03, 0.1), "A surface that is not where it is believed, {snr_db} dB",
    "errors against the distance of the surface from where it is believed", name="misplaced",
)  # fmt: skip

misturned = _against(
    "misturned_rad", (0.0, 0.001, 0.003, 0.01, 0.03), "A surface that is turned unknown, {snr_db} dB",
    "errors against the angle by which the surface is turned from what is believed", name="misturned",
)  # fmt: skip

drift = _against(
    "phase_drift_rad", (0.0, 0.02, 0.05, 0.1, 0.2, 0.5), "Phases of users that wander from cycle to cycle, {snr_db} dB",
    "errors against the wandering of the users' phases from cycle to cycle", name="drift",
)  # fmt: skip

close_users = _against(
    "user_separation_beams", (0.1, 0.25, 0.5, 1.0, 2.0), "A far user beside each near one, {snr_db} dB",
    "errors against the separation of users in widths of the beam", against_separation, name="close-users",
)  # fmt: skip

close_scatterers = _against(
    "scatterer_separation_beams", (0.1, 0.25, 0.5, 1.0, 2.0), "A scatterer beside each of two users, {snr_db} dB",
    "errors against the separation of scatterers from users in widths of the beam", name="close-scatterers",
)  # fmt: skip

mismatch = _drawn(
    ErrorFigure(
        "Plane waves assumed of users at {range_min_m} to {near_range_max_m} m, dash-dotted their own bound",
        "snr_db", against_mismatch,
        (("near", "angle"), ("near", "range")),
    ),
    "mismatch",
    "errors of plane, spherical and hybrid dictionaries for users nearby, beside the bound of plane-wave fits",
    RisLocalization(
        users="near", near_range_max_m=1.2, snr_db=(0.0, 5.0, 10.0, 20.0, 30.0), angle_step_rad=0.01,
        n_scatterers=0, mismatched_bound=True,
        methods=(
            *(Method(estimator=OnGrid(model=m), phases="random", name=m) for m in ("hybrid", "nf", "ff")),
            Method(estimator=NewtonisedPursuit(), phases="random", name="NOMP"),
        ),
    ),
    {},
)  # fmt: skip
