"""Whether stated posteriors are right: ranks of the truth in them, over users and noise that the scenario draws.

Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari, Gelman, arXiv 1804.06788): where a posterior is the
one that made the data, the truth's place in it, its distribution function at the truth, is uniform. Judged by the
largest distance of the empirical distribution from that, within a band that 95 % of all runs stay in with every row of
a table at once (Kolmogorov's, Bonferroni's), and by how often central intervals hold the truth.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import InputError, Scenario, Streams, Sweep
from engine.estimators import Batch, Estimator, Observations, Workbench
from engine.estimators.deepsets import AmortisedDeepSets
from engine.estimators.likelihood import Likelihood
from engine.estimators.peaks import STEPS
from engine.estimators.posterior_cells import Cells, cells
from engine.estimators.rivals import rivals
from engine.sweep import TextTable
from scenarios.leakage.estimation import Draws, LeakageEstimation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXACT, WIDER, SHIFTED = "exact posterior", "its widths × 1.1", "shifted by 0.1 deviation"
LEVELS = (0.5, 0.8, 0.95)
_BLOCK = 20
_WIDTH, _SHIFT = 1.1, 0.1
_COVERAGE_POINTS = 0.01


@dataclass(frozen=True)
class Ranks:
    """Places of the truth in what somebody states of one quantity, at one point, (n,) between 0 and 1."""

    stated_by: str
    quantity: str
    point: str
    values: np.ndarray


class Judged(NamedTuple):
    """Ranks of several points together, which are independent draws."""

    stated_by: str
    quantity: str
    draws: int
    distance: float
    """largest, of the empirical distribution from the uniform one"""
    allowed: float
    worst_point: str
    worst_excess: float
    """its distance over what is allowed to a point"""
    coverage: tuple[float, ...]
    """share of truths in the central intervals of `LEVELS`"""

    @property
    def calibrated(self) -> bool:
        margins = [_COVERAGE_POINTS + 2 * math.sqrt(level * (1 - level) / self.draws) for level in LEVELS]
        held = all(abs(one - level) <= m for one, level, m in zip(self.coverage, LEVELS, margins, strict=True))
        return self.distance <= self.allowed and self.worst_excess <= 1 and held


def study(sweep: Sweep, draws: int, seed: int) -> Iterator[list[Ranks]]:
    """Point after point of a sweep, noise power and snapshots, as many independent draws of each.

    What states something: the posterior under the leakage that made the data; two that are wrong on purpose; and every
    learned estimator that is asked at the point, by the Gaussian of its stated deviations.
    """
    points = [
        (scene, noise, n)
        for values in itertools.product(*sweep.axes.values())
        for scene in [_scene_of(sweep.scenario.replace(**dict(zip(sweep.axes, values, strict=True))))]
        for noise in scene.noise_dbm
        for n in scene.n_snapshots
    ]
    for number, (scene, noise, n) in enumerate(points):
        here = scene.replace(noise_dbm=(noise,), n_snapshots=(n,))
        label = f"K {here.n_sensors}, L {n}, {noise:g} dBm"
        yield _of_point(here, label, -(-draws // len(points)), seed, number)


def _scene_of(scenario: Scenario) -> LeakageEstimation:
    if not isinstance(scenario, LeakageEstimation):
        raise InputError(f"a posterior is calibrated of leakage:fig3 and its like, given a {type(scenario).__name__}")
    return scenario


def _of_point(scene: LeakageEstimation, label: str, draws: int, seed: int, number: int) -> list[Ranks]:
    workbench = Workbench(scene.problem(), np)
    learned = [one for one in scene.estimators if isinstance(one, AmortisedDeepSets) and scene.serves(one)]
    found: dict[tuple[str, str], list[float]] = {}
    first = number * 1_000_000
    for block in range(-(-draws // _BLOCK)):
        drawn = scene.draw(Streams(seed, first + block), min(_BLOCK, draws - block * _BLOCK))
        statistic = scene.observe(np, drawn)[2]
        batch = workbench.batch(Observations(statistic, drawn.sensor_range_m, drawn.sensor_angle_rad))
        for stated_by, quantity, value in _exact(scene, batch, drawn):
            found.setdefault((stated_by, quantity), []).append(value)
        for estimator in learned:
            for quantity, values in _stated(estimator, batch, drawn).items():
                found.setdefault((estimator.name, quantity), []).extend(values)
    return [Ranks(*key, label, np.array(values)) for key, values in found.items()]


def _exact(scene: LeakageEstimation, batch: Batch, drawn: Draws) -> Iterator[tuple[str, str, float]]:
    here = batch.resolving()
    peaks = here.once(rivals, scene.leakage, STEPS)
    whole = Likelihood.of(np, here.workbench.problem, scene.leakage, batch.observations)
    places = drawn.user_range_m[:, None, None], drawn.user_angle_rad[:, None, None]
    truth = whole.at(np, *places).value[:, 0, 0]
    for b in range(len(truth)):
        known = np.isfinite(peaks.value[b, 0])
        at = np.stack([peaks.range_m[b, 0][known], peaks.angle_rad[b, 0][known]], axis=-1)
        held = cells(whole.of_rows(np.array([b])), at)
        yield EXACT, "log-likelihood", held.likelihood_below(truth[b])
        yield from _in_cells(held, float(drawn.user_range_m[b]), float(drawn.user_angle_rad[b]))


def _in_cells(held: Cells, range_m: float, angle_rad: float) -> Iterator[tuple[str, str, float]]:
    """The truth's places in a posterior, and in one that is wider or elsewhere."""
    parts = ("range", held.range_below, range_m), ("angle", held.angle_below, angle_rad)
    for (quantity, below, at), (mean, deviation) in zip(parts, held.moments(), strict=True):
        yield EXACT, quantity, below(at)
        yield WIDER, quantity, below(mean + (at - mean) / _WIDTH)
        yield SHIFTED, quantity, below(at - _SHIFT * deviation)


def _stated(estimator: Estimator, batch: Batch, drawn: Draws) -> dict[str, np.ndarray]:
    from scipy.special import ndtr

    estimates = estimator.prepare(batch.workbench)(batch)
    deviations = estimator.deviations(batch, estimates)
    truth = drawn.user_range_m, drawn.user_angle_rad
    pairs = zip(("range", "angle"), truth, estimates, deviations, strict=True)
    return {name: ndtr((at - mean[:, 0, 0]) / deviation[:, 0, 0]) for name, at, mean, deviation in pairs}


def judged(found: Sequence[Ranks]) -> list[Judged]:
    """Every quantity that somebody states, over all points."""
    from scipy.stats import kstwo

    keys = list(dict.fromkeys((one.stated_by, one.quantity) for one in found))
    per_point = 0.05 / len(found)
    rows = []
    for stated_by, quantity in keys:
        mine = [one for one in found if (one.stated_by, one.quantity) == (stated_by, quantity)]
        values = np.concatenate([one.values for one in mine])
        excess = [distance(one.values) / float(kstwo.isf(per_point, len(one.values))) for one in mine]
        worst = int(np.argmax(excess))
        coverage = tuple(float(np.mean(np.abs(2 * values - 1) < level)) for level in LEVELS)
        allowed = float(kstwo.isf(0.05 / len(keys), len(values)))
        rows.append(
            Judged(
                stated_by, quantity, len(values), distance(values), allowed, mine[worst].point, excess[worst], coverage
            )
        )
    return rows


def distance(values: np.ndarray) -> float:
    """Kolmogorov's, of values from the uniform distribution on 0 … 1."""
    ordered, n = np.sort(values), len(values)
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def table(rows: Sequence[Judged]) -> TextTable:
    """What to print."""
    title = "Ranks of the truth, and how many per cent of central intervals hold it"
    headings = ("stated by", "quantity", "draws", "distance", "allowed", *(f"{100 * level:g} %" for level in LEVELS))
    lines = [
        (
            one.stated_by, one.quantity, str(one.draws), f"{one.distance:.4f}", f"{one.allowed:.4f}",
            *(f"{100 * share:.1f}" for share in one.coverage), f"{one.worst_excess:.2f} at {one.worst_point}",
            "calibrated" if one.calibrated else "uncalibrated",
        )
        for one in rows
    ]  # fmt: skip
    return TextTable(title, (*headings, "distance / allowed, worst point", "verdict"), lines)


def drawing(found: Sequence[Ranks]) -> "Figure":
    """Empirical distributions of the ranks less the uniform one, and the band of all points together."""
    from matplotlib.figure import Figure

    from scenarios.figures.panels import legend_below
    from scenarios.figures.style import COLOURS, FAINT, quiet

    rows = judged(found)
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    names = list(dict.fromkeys(row.stated_by for row in rows))
    figure = Figure(figsize=(4.2 * len(quantities), 4.2), layout="constrained")
    axes = figure.subplots(1, len(quantities), squeeze=False, sharey=True)[0]
    for panel, quantity in zip(axes, quantities, strict=True):
        for row in (one for one in rows if one.quantity == quantity):
            mine = [one.values for one in found if (one.stated_by, one.quantity) == (row.stated_by, quantity)]
            values = np.sort(np.concatenate(mine))
            level = np.arange(1, len(values) + 1) / len(values)
            panel.plot(values, level - values, lw=1.2, color=COLOURS[names.index(row.stated_by)], label=row.stated_by)
            if row.stated_by == EXACT:
                panel.axhspan(-row.allowed, row.allowed, color=FAINT, alpha=0.2, lw=0)
        panel.set(title=quantity, xlabel="rank of the truth")
        quiet(panel)
    axes[0].set_ylabel("empirical − uniform distribution")
    handles: dict[str, Any] = {}
    for panel in axes:  # the exact posterior alone has ranks of the likelihood
        handles |= dict(zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    legend_below(figure, list(handles.values()), list(handles))
    return figure
