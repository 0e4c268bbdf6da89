"""The on-grid method of Cao et al. (arXiv 2501.17868), Algorithm 1: places on a grid, spherical and plane waves."""

from typing import Any, Protocol

from pydantic import Field

from engine.estimators.paths.estimator import PathEstimator
from engine.estimators.paths.problem import Cycles, PathEstimates, PathProblem, nothing_stated
from engine.numerics.candidates import CandidateGrid, FieldModel, field_grid
from engine.numerics.dictionary import Dictionary
from engine.numerics.pursuit import Algorithm1, Pursued, Received, degrees_of_freedom

Array = Any


class OnGrid(PathEstimator):
    """The strongest single wave of each user, scatterers common to all users in what is left, then users once more.

    Its error has a floor: Δ/√12 in each angle for cells of Δ, and more in range, into which the angle's error leaks.
    """

    model: FieldModel | None = Field(
        None, description="waves: plane and near-field spherical, spherical only, plane only; the problem's if None"
    )
    angle_step_rad: float | None = Field(None, gt=0, description="cells of both angles; the problem's if None")
    range_step_m: float | None = Field(
        None, gt=0, description="step of the spherical waves' range; the problem's if None"
    )
    noise_sigmas: float | None = Field(
        None, description="look for no further scatterer where the residual is this near to noise; None: look for all"
    )
    residual_fraction: float = Field(0.0, ge=0, lt=1, description="nor where it is this share of the samples, ε")
    normalize: bool = Field(True, description="divide correlations by the norm of what the beams receive")

    def lattice(self, problem: PathProblem) -> CandidateGrid:
        return field_grid(
            problem.surface,
            problem.view,
            self.model or problem.model,
            angle_step_rad=self.angle_step_rad or problem.angle_step_rad,
            range_step_m=self.range_step_m or problem.range_step_m,
        )

    def prepare(self, problem: PathProblem, xp: Any) -> "GridLocalizer":
        algorithm = Algorithm1(
            Dictionary(problem.surface, self.lattice(problem), xp),
            problem.n_scatterers,
            noise_sigmas=self.noise_sigmas,
            residual_fraction=self.residual_fraction,
            normalize=self.normalize,
        )
        return GridLocalizer(algorithm)


class GridAlgorithm(Protocol):
    """Finds places on a dictionary's lattice."""

    dictionary: Dictionary

    def __call__(self, received: Received, samples: Array, noise_variance: Array) -> Pursued: ...


class GridLocalizer:
    """Of any algorithm on a grid."""

    def __init__(self, algorithm: GridAlgorithm) -> None:
        self._algorithm = algorithm

    def begin(self) -> "GridObserver":
        return GridObserver(self._algorithm)


class GridObserver:
    """Keeps the rows of all cycles; a new cycle costs its own rows."""

    def __init__(self, algorithm: GridAlgorithm) -> None:
        self._algorithm = algorithm
        self._received = Received(algorithm.dictionary)
        self._samples: list[Array] = []
        self._noise_variance: Array = None

    def observe(self, cycles: Cycles) -> None:
        self._received.add(cycles.beams)
        self._samples.append(cycles.samples)
        self._noise_variance = cycles.noise_variance

    def estimate(self, *, stating: bool = True) -> PathEstimates:
        dictionary = self._algorithm.dictionary
        xp = dictionary.xp
        samples = xp.concat(self._samples, axis=2)
        pursued = self._algorithm(self._received, samples, self._noise_variance)
        kappa, polar, azimuth = (
            xp.where(pursued.found, part, xp.full_like(part, xp.nan)) for part in dictionary.places(pursued.scatterers)
        )
        return PathEstimates(
            *dictionary.places(pursued.users),
            pursued.gains,
            kappa,
            polar,
            azimuth,
            pursued.scatterer_gains,
            _misfit(xp, pursued.residual, self._noise_variance, pursued.found, samples.shape[2:]),
            self._noise_variance,
            *nothing_stated(xp, pursued.users.shape),
        )


def _misfit(xp: Any, residual: Array, noise_variance: Array, found: Array, shape: tuple[int, int]) -> Array:
    """Standard normal where the model holds; NaN where everything measured was needed for the fit."""
    n_cycles, n_users = shape
    n_found = xp.sum(xp.astype(found, xp.float64), axis=-1)
    freedom = degrees_of_freedom(n_cycles, n_users, 0) - n_found * (3 + 2 * n_users)
    freedom = xp.where(freedom > 0, freedom, xp.full_like(freedom, xp.nan))
    return (2 * residual / noise_variance - freedom) / xp.sqrt(2 * freedom)
