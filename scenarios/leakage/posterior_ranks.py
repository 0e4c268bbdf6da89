"""Ranks of the truth in stated posteriors, draw by draw: what simulation-based calibration is judged by.

Talts, Betancourt, Simpson, Vehtari, Gelman, arXiv 1804.06788.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine import InputError, Streams, Sweep
from engine.estimators import AnyEstimator, Batch, Estimator, Observations, Workbench
from engine.estimators.deepsets import AmortisedDeepSets
from engine.estimators.likelihood import Likelihood
from engine.estimators.peaks import STEPS
from engine.estimators.posterior_cells import Cells, cells
from engine.estimators.rivals import rivals
from engine.scenario import Simulate, Variables
from scenarios.leakage.calibration import (
    EXACT,
    QUANTITIES,
    RANK,
    SHIFT,
    SHIFTED,
    WIDER,
    WIDTH,
    drawing,
    report,
    summary,
)
from scenarios.leakage.estimation import WITH_LEARNED, Draws, LeakageEstimation, fig3

_POINT = "noise_dbm", "n_snapshots"
_BLOCK = 20


@dataclass(frozen=True)
class _OfPoint(Streams):
    """Streams that no other point of a sweep has: points are judged together, as independent draws."""

    point: str = ""

    def __call__(self, name: str) -> np.random.Generator:
        return super().__call__(f"{name} of {self.point}")


class PosteriorRanks(LeakageEstimation):
    """The truth's place in what is stated of it, its distribution function there: uniform where the posterior is right.

    What states something: the posterior under the leakage that made the data; two that are wrong on purpose; and every
    learned estimator that is asked here, by the Gaussian of its stated deviations. One noise power and one number of
    snapshots, which are axes here: points share no draws.
    """

    code_version: ClassVar[int] = 2

    noise_dbm: tuple[float, ...] = Field((-65.0,), min_length=1, max_length=1, description="noise power σ²")
    n_snapshots: tuple[int, ...] = Field((50,), min_length=1, max_length=1, description="number of snapshots L")
    estimators: tuple[AnyEstimator, ...] = Field(
        WITH_LEARNED,
        min_length=1,
        description="estimators, of which those are judged that state deviations of their own",
    )

    def stored_value(self, name: str) -> Any:
        return getattr(self, name)[0] if name in _POINT else super().stored_value(name)

    def blind_guess(self) -> dict[str, float]:
        return {}

    def learned(self) -> list[Estimator]:
        return [one for one in self.estimators if isinstance(one, AmortisedDeepSets) and self.serves(one)]

    def stated_by(self) -> list[str]:
        return [EXACT, WIDER, SHIFTED, *(one.name for one in self.estimators if isinstance(one, AmortisedDeepSets))]

    def coordinates(self) -> Variables:
        return {
            "stated_by": (("stated_by",), np.array(self.stated_by()), {"long_name": "who states a posterior"}),
            "quantity": (("quantity",), np.array(QUANTITIES), {"long_name": "quantity that is ranked"}),
        }

    def draw(self, streams: Streams, size: int) -> Draws:
        point = self.model_dump_json(exclude_defaults=True, exclude={"estimators"})
        return super().draw(_OfPoint(streams.seed, streams.block, point), size)

    def prepare(self, xp: Any) -> Simulate:
        """On the host, wherever `xp` is: thousands of places for each draw, one draw after the other."""
        workbench = Workbench(self.problem(), np)
        learned, names = self.learned(), self.stated_by()

        def simulate(realizations: Draws, *, intermediates: bool = False) -> Variables:
            drawn = Draws(*realizations)
            statistic = self.observe(np, drawn)[2]
            batch = workbench.batch(Observations(statistic, drawn.sensor_range_m, drawn.sensor_angle_rad))
            ranks = np.full((len(drawn.user_range_m), len(names), len(QUANTITIES)), np.nan)
            for b, stated_by, quantity, value in _exact(self, batch, drawn):
                ranks[b, names.index(stated_by), QUANTITIES.index(quantity)] = value
            for estimator in learned:
                for quantity, values in _stated(estimator, batch, drawn):
                    ranks[:, names.index(estimator.name), QUANTITIES.index(quantity)] = values
            text = {"long_name": "rank of the truth in what is stated of it; none where nothing is"}
            return {RANK: (("realization", "stated_by", "quantity"), ranks, text)}

        return simulate


def _exact(scene: LeakageEstimation, batch: Batch, drawn: Draws) -> Iterator[tuple[int, str, str, float]]:
    here = batch.resolving()
    peaks = here.once(rivals, scene.leakage, STEPS)
    whole = Likelihood.of(np, here.workbench.problem, scene.leakage, batch.observations)
    places = drawn.user_range_m[:, None, None], drawn.user_angle_rad[:, None, None]
    truth = whole.at(np, *places).value[:, 0, 0]
    for b in range(len(truth)):
        known = np.isfinite(peaks.value[b, 0])
        at = np.stack([peaks.range_m[b, 0][known], peaks.angle_rad[b, 0][known]], axis=-1)
        held = cells(whole.of_rows(np.array([b])), at)
        yield b, EXACT, "log-likelihood", held.likelihood_below(truth[b])
        for found in _in_cells(held, float(drawn.user_range_m[b]), float(drawn.user_angle_rad[b])):
            yield b, *found


def _in_cells(held: Cells, range_m: float, angle_rad: float) -> Iterator[tuple[str, str, float]]:
    """The truth's places in a posterior, and in one that is wider or elsewhere."""
    parts = ("range", held.range_below, range_m), ("angle", held.angle_below, angle_rad)
    for (quantity, below, at), (mean, deviation) in zip(parts, held.moments(), strict=True):
        yield EXACT, quantity, below(at)
        yield WIDER, quantity, below(mean + (at - mean) / WIDTH)
        yield SHIFTED, quantity, below(at - SHIFT * deviation)


def _stated(estimator: Estimator, batch: Batch, drawn: Draws) -> Iterator[tuple[str, np.ndarray]]:
    from scipy.special import ndtr

    estimates = estimator.prepare(batch.workbench)(batch)
    deviations = estimator.deviations(batch, estimates)
    truth = drawn.user_range_m, drawn.user_angle_rad
    for name, at, mean, deviation in zip(("range", "angle"), truth, estimates, deviations, strict=True):
        yield name, ndtr((at - mean[:, 0, 0]) / deviation[:, 0, 0])


def calibration_of(sweep: Sweep, draws: int, seed: int) -> Sweep:
    """Ranks at every point of a sweep of family A's estimators, noise powers and snapshots; `draws` shared among them.

    Raises InputError for a sweep of another kind.
    """
    scene = sweep.scenario
    if isinstance(scene, PosteriorRanks):
        ranks, axes = scene, dict(sweep.axes)
    elif type(scene) is LeakageEstimation:
        fields = {name: getattr(scene, name) for name in LeakageEstimation.model_fields}
        one = {name: fields[name][:1] for name in _POINT}
        ranks = PosteriorRanks(**fields | one)
        axes = {**sweep.axes, **{name: fields[name] for name in _POINT}}
    else:
        raise InputError(
            f"a posterior is calibrated of leakage:fig3 and its like, given a {type(scene).__name__}: needed users "
            f"drawn from the prior that estimators know, and sensors drawn anew"
        )
    points = math.prod(map(len, axes.values()))
    return fig3_calibration.replace(scenario=ranks, axes=axes, realizations=-(-draws // points), seed=seed)


fig3_calibration = Sweep(
    PosteriorRanks(leakage="spherical"),
    {**fig3.axes, **{name: getattr(fig3.scenario, name) for name in _POINT}},
    realizations=100,
    block=_BLOCK,
    chunk=_BLOCK,
    name="leakage:fig3-calibration",
    about="whether posteriors at the points of Fig. 3 are right: ranks of the truth, some 0.2 s of a core each",
    summary=summary,
    figure=drawing,
    report=report,
    full=800,
)
