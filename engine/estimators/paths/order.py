"""How many scatterers there are: the least likelihood ratio that counts as one more, at a stated false-alarm rate.

One scatterer more has a place and a gain for each user, p = 3 + 2L parameters, and is sought over the whole view. Where
there is none, the fall of χ² = 2‖residual‖²/σ² at its best place exceeds t with a probability of at most n Q(t), n the
number of places that the grid tells apart and Q the tail of χ² with p degrees of freedom; of F with p and ν where σ² is
estimated from what ν degrees of freedom leave (Bonferroni's inequality; the places' p parameters are counted in full).
"""

NEVER = 1e300


def least_fall(n_users: int, n_places: float, false_alarm: float, freedom: int, *, noise_known: bool) -> float:
    """t, the least fall of χ² that is a scatterer; freedom ν: what is left with it. `NEVER` where nothing is left.

    >>> round(least_fall(4, 1000.0, 0.01, 80, noise_known=True), 1)
    43.2
    """
    from scipy.special import chdtri, fdtri

    if freedom <= 0:
        return NEVER
    parameters = 3 + 2 * n_users
    tail = min(false_alarm / max(n_places, 1.0), 0.5)
    if noise_known:
        return float(chdtri(parameters, tail))
    return float(parameters * fdtri(parameters, freedom, 1 - tail))
