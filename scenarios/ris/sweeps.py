"""Family B's named sweeps: the paper's figures, each with methods of ours beside the paper's.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Section VI.
"""

from typing import Any

from engine import Sweep
from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.newtonised import NewtonisedPursuit
from engine.estimators.paths.on_grid import OnGrid
from scenarios.ris.claims import against_cycles, against_range, against_size, against_snr, against_spacing
from scenarios.ris.figures import ErrorFigure
from scenarios.ris.localization import RisLocalization
from scenarios.ris.protocol import Method
from scenarios.ris.times import TimeFigure


def named_sweep(
    figure: ErrorFigure | TimeFigure, name: str, about: str, scenario: RisLocalization, axes: Any, **options: Any
) -> Sweep:
    highlights = ("squared_error_angle_rad2", "squared_error_range_m2")
    return Sweep(
        scenario,
        axes,
        name=name,
        about=about,
        highlights=highlights,
        summary=figure.summary,
        figure=figure.draw,
        report=figure.report,
        timed=isinstance(figure, TimeFigure),
        **options,
    )


def on_grid(phases: Any = "optimised", **fields: Any) -> tuple[Method, ...]:
    return tuple(
        Method(estimator=OnGrid(model=model), phases=phases, name=model, **fields) for model in ("hybrid", "nf", "ff")
    )


CLOSED_LOOP = Method(estimator=ClosedLoop(), random_cycles=None, name="closed loop")
NOMP = Method(estimator=NewtonisedPursuit(), phases="random", name="NOMP")

fig4 = named_sweep(
    ErrorFigure(
        "Localization through a surface of {surface} elements, {n_cycles} cycles",
        "snr_db",
        against_snr,
        (("far", "angle"), ("near", "angle"), ("near", "range")),
    ),
    "ris:fig4",
    "errors against the signal-to-noise ratio (Fig. 4): three dictionaries, AML, ANM, and ours off the grid",
    RisLocalization(
        methods=(
            *on_grid(),
            Method(estimator=ApproximateML(), phases="random", name="AML"),
            Method(estimator=AtomicNorm(), phases="random", name="ANM"),
            NOMP,
            CLOSED_LOOP,
        ),
    ),
    {},
    realizations=24,
    full=2048,
    block=4,
    chunk=4,
)

fig5 = named_sweep(
    ErrorFigure("Errors cycle by cycle, {snr_db} dB", "cycle", against_cycles, (("far", "angle"), ("near", "angle"))),
    "ris:fig5",
    "errors after 2, 4, …, 20 cycles (Fig. 5): three dictionaries with random phases, and ours",
    RisLocalization(
        snr_db=10.0,
        recorded_cycles=tuple(range(2, 21, 2)),
        methods=(*on_grid("random"), Method(estimator=OnGrid(), name="hybrid, optimised"), NOMP, CLOSED_LOOP),
        unidentifiable=True,
    ),
    {},
    realizations=64,
    full=2048,
    block=8,
)

fig6 = named_sweep(
    ErrorFigure(
        "Errors against the longest range, {snr_db} dB",
        "range_max_m",
        against_range,
        (("far", "angle"), ("near", "angle")),
    ),
    "ris:fig6",
    "errors against the longest range (Fig. 6): three dictionaries, and ours",
    RisLocalization(snr_db=5.0, methods=(*on_grid("random"), NOMP)),
    {"range_max_m": (6.0, 8.0, 10.0, 14.0, 20.0)},
    realizations=64,
    full=2048,
    block=8,
)

_TIMED = RisLocalization(snr_db=10.0, methods=(Method(estimator=OnGrid(), name="on-grid method"),))
_MODELS = ("ff", "hybrid", "nf")

fig7 = named_sweep(
    TimeFigure("Time against the number of cycles", "n_cycles"),
    "ris:fig7",
    "time of a realization against the number of cycles (Fig. 7)",
    _TIMED.replace(methods=(Method(estimator=OnGrid(), random_cycles=6, name="on-grid method"),)),
    {"model": _MODELS, "n_cycles": (6, 8, 10, 14, 20)},
    realizations=16,
    full=64,
    block=8,
    chunk=8,
)

_SPACINGS = (0.08, 0.06, 0.04, 0.03, 0.02, 0.015)

fig8 = named_sweep(
    ErrorFigure(
        "Errors against the spacing of the dictionary, {snr_db} dB",
        "angle_step_rad",
        against_spacing,
        (("near", "angle"), ("far", "angle")),
    ),
    "ris:fig8",
    "errors against the dictionary's angle spacing (Fig. 8), with random and with optimised phases",
    RisLocalization(
        snr_db=10.0,
        methods=(
            Method(estimator=OnGrid(), phases="random", name="hybrid, random"),
            Method(estimator=OnGrid(), name="hybrid, optimised"),
        ),
    ),
    {"angle_step_rad": _SPACINGS},
    realizations=32,
    full=2048,
    block=8,
)

fig9 = named_sweep(
    TimeFigure("Time against the spacing of the dictionary", "angle_step_rad"),
    "ris:fig9",
    "time of a realization against the dictionary's angle spacing (Fig. 9)",
    _TIMED,
    {"model": _MODELS, "angle_step_rad": _SPACINGS},
    realizations=16,
    full=64,
    block=8,
    chunk=8,
)

_NEAR = RisLocalization(
    snr_db=10.0, snr_elements=625, users="near", range_min_m=0.6, near_range_max_m=1.8,
    methods=(Method(estimator=OnGrid(), name="on-grid method"), CLOSED_LOOP),
)  # fmt: skip
_SIZES = (15, 20, 25, 30)

fig10 = named_sweep(
    ErrorFigure(
        "Range errors against the size of the surface, noise as at {snr_db} dB with {snr_elements} elements",
        "elements_per_side",
        against_size,
        (("near", "range"), ("near", "angle")),
    ),
    "ris:fig10",
    "range errors against the size of the surface (Fig. 10): on the grid, and ours",
    _NEAR.replace(
        methods=(
            Method(estimator=OnGrid(), phases="random", name="hybrid, random"),
            Method(estimator=OnGrid(), name="hybrid, optimised"),
            CLOSED_LOOP,
        )
    ),
    {"elements_per_side": _SIZES},
    realizations=32,
    full=2048,
    block=8,
)

fig11 = named_sweep(
    TimeFigure("Time against the size of the surface", "elements_per_side"),
    "ris:fig11",
    "time of a realization against the size of the surface (Fig. 11)",
    _NEAR.replace(methods=(Method(estimator=OnGrid(), name="on-grid method"),)),
    {"model": _MODELS, "elements_per_side": _SIZES},
    realizations=16,
    full=64,
    block=8,
    chunk=8,
)
