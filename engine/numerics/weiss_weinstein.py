"""The Weiss-Weinstein bound with all test points of a lattice at once, and the best weight of each.

Weiss, Weinstein, "A general class of lower bounds in parameter estimation", IEEE Trans. Inf. Theory 34 (1988), with
s = ½. For a function ψ(x, θ) of data and parameter whose mean over the posterior is 0, E[(θ̂ − θ)²] ≥ E[θψ]²/E[ψ²].
Theirs is ψ = √(p(x, θ + h)/p(x, θ)) − √(p(x, θ − h)/p(x, θ)), or a sum of some such, one for each test point h. Let
θ be one of G places of probability w. Then

    ψ(x, g) = Σ_h K_gh √(p(x, h)/p(x, g)),   K antisymmetric,

is each of them, with a weight for each pair of places. With B_gh = √(w_g w_h) ∫ √(p(x|g) p(x|h)) dx and Θ = diag θ,
E[ψ²] = tr K B Kᵀ and E[θψ] = ½ tr Kᵀ(ΘB − BΘ); the best K solves KB + BK = ΘB − BΘ, and in the eigenvectors of B,
whose eigenvalues are λ, the bound is

    ½ Σ_ij θ̃_ij² (λ_i − λ_j)²/(λ_i + λ_j),   θ̃ = Uᵀ Θ U.

Where the data say nothing it is the prior's variance; where they say all it is 0. θ between the places: let them be
θ_g(o), one in each cell of a partition, o the share of its cell's probability below θ. Who is told o has G places left,
so that the mean over o of their bound is a bound for θ; it does not notice errors that are smaller than cells.
"""

from typing import Any

from array_api_compat import array_namespace

Array = Any

_SINGULAR = 1e-14


def weiss_weinstein(overlap: Array, places: Array) -> Array:
    """Lower bounds on the mean squared error of each coordinate of a place.

    overlap: B (..., G, G), traces 1; places: θ (..., C, G), C coordinates. Returns (..., C), squares of their units.
    """
    xp = array_namespace(overlap, places)
    eigenvalues, vectors = xp.linalg.eigh(overlap)
    eigenvalues = xp.clip(eigenvalues, 0.0, None)
    one, other = eigenvalues[..., :, None], eigenvalues[..., None, :]
    total, apart = one + other, one - other
    some = total > _SINGULAR
    weight = xp.where(some, apart * apart / xp.where(some, total, xp.ones_like(total)), xp.zeros_like(total))
    turned = xp.matrix_transpose(vectors)[..., None, :, :]
    inner = xp.matmul(turned * places[..., None, :], vectors[..., None, :, :])
    return 0.5 * xp.sum(inner * inner * weight[..., None, :, :], axis=(-2, -1))
