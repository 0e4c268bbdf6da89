"""The paper's figures in the paper's own experiment: ris:fig4-as-printed and its siblings.

Cao, Zhang, Eldar, Zhang, arXiv 2501.17868, Sections II-C and VI: phases random in the first cycle only, then optimised;
a signal-to-noise ratio by the direct path's power with all phases zero; plane waves from beyond the near field. What
the text at hand has lost is as in `scenarios.ris.sweeps`: view, angle spacing, paths, and the ratios of Figs. 5, 6, 8,
10. One cycle identifies nothing (`unidentifiable`): phases are optimised for whatever is found there.
"""

from typing import Any

from engine import Sweep
from engine.estimators.paths.approximate_ml import ApproximateML
from engine.estimators.paths.atomic_norm import AtomicNorm
from engine.estimators.paths.on_grid import OnGrid
from scenarios.ris import sweeps
from scenarios.ris.claims import against_cycles, against_range, against_size, against_snr, against_spacing
from scenarios.ris.figures import ErrorFigure
from scenarios.ris.localization import RisLocalization
from scenarios.ris.protocol import Method
from scenarios.ris.sweeps import named_sweep, on_grid
from scenarios.ris.times import TimeFigure

_PANELS = {"near": (("near", "angle"), ("far", "angle")), "far": (("far", "angle"), ("near", "angle"))}
_HYBRID = (Method(estimator=OnGrid(), random_cycles=1, name="hybrid"),)
_MODELS = on_grid(random_cycles=1)
_ON_GRID = (Method(estimator=OnGrid(), random_cycles=1, name="on-grid method"),)


def _as_printed(
    sweep: Sweep, figure: ErrorFigure | TimeFigure, about: str, methods: tuple[Method, ...], **budget: Any
) -> Sweep:
    """A named sweep's experiment with the paper's signals, waves and phases."""
    scenario = sweep.scenario.replace(
        methods=methods, snr_definition="zero_phases", waves="as_printed", snr_elements=None, unidentifiable=True
    )
    assert isinstance(scenario, RisLocalization)
    return named_sweep(figure, f"{sweep.name}-as-printed", about, scenario, dict(sweep.axes), **budget)


fig4_as_printed = _as_printed(
    sweeps.fig4,
    ErrorFigure(
        "As printed: localization through a surface of {surface} elements, {n_cycles} cycles",
        "snr_db",
        against_snr,
        (("far", "angle"), ("near", "angle"), ("near", "range")),
    ),
    "errors against the signal-to-noise ratio (Fig. 4), in the paper's own experiment",
    (
        *_MODELS,
        Method(estimator=ApproximateML(), phases="random", name="AML"),
        Method(estimator=AtomicNorm(), phases="random", name="ANM"),
    ),
    realizations=24,
    full=2048,
    block=4,
    chunk=4,
)

fig5_as_printed = _as_printed(
    sweeps.fig5,
    ErrorFigure("As printed: errors cycle by cycle, {snr_db} dB", "cycle", against_cycles, _PANELS["far"]),
    "errors after 2, 4, …, 20 cycles (Fig. 5), in the paper's own experiment",
    _MODELS,
    realizations=64,
    full=2048,
    block=8,
)

fig6_as_printed = _as_printed(
    sweeps.fig6,
    ErrorFigure(
        "As printed: errors against the longest range, {snr_db} dB", "range_max_m", against_range, _PANELS["far"]
    ),
    "errors against the longest range (Fig. 6), in the paper's own experiment",
    _MODELS,
    realizations=32,
    full=2048,
    block=8,
)

fig7_as_printed = _as_printed(
    sweeps.fig7,
    TimeFigure("As printed: time against the number of cycles", "n_cycles"),
    "time of a realization against the number of cycles (Fig. 7), phases optimised from the second on",
    _ON_GRID,
    realizations=16,
    full=64,
    block=8,
    chunk=8,
)

fig8_as_printed = _as_printed(
    sweeps.fig8,
    ErrorFigure(
        "As printed: errors against the spacing of the dictionary, {snr_db} dB",
        "angle_step_rad",
        against_spacing,
        _PANELS["near"],
    ),
    "errors against the dictionary's angle spacing (Fig. 8), in the paper's own experiment",
    _HYBRID,
    realizations=32,
    full=2048,
    block=8,
)

fig9_as_printed = _as_printed(
    sweeps.fig9,
    TimeFigure("As printed: time against the spacing of the dictionary", "angle_step_rad"),
    "time of a realization against the dictionary's angle spacing (Fig. 9), phases optimised from the second cycle on",
    _ON_GRID,
    realizations=16,
    full=64,
    block=8,
    chunk=8,
)

fig10_as_printed = _as_printed(
    sweeps.fig10,
    ErrorFigure(
        "As printed: range errors against the size of the surface, {snr_db} dB",
        "elements_per_side",
        against_size,
        (("near", "range"), ("near", "angle")),
    ),
    "range errors against the size of the surface (Fig. 10), in the paper's own experiment",
    _HYBRID,
    realizations=32,
    full=2048,
    block=8,
)

fig11_as_printed = _as_printed(
    sweeps.fig11,
    TimeFigure("As printed: time against the size of the surface", "elements_per_side"),
    "time of a realization against the size of the surface (Fig. 11), phases optimised from the second cycle on",
    _ON_GRID,
    realizations=16,
    full=64,
    block=8,
    chunk=8,
)
