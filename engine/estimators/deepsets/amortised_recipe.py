"""How an amortised network is trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AmortisedRecipe:
    """Every round of samples is new, and seen `passes` times.

    The loss is the Gaussian negative log-likelihood weighted by the square root of the variance, β-NLL (Seitzer et
    al., "On the pitfalls of heteroscedastic uncertainty estimation", ICLR 2022): its minimum is at the posterior
    mean, as that of squared errors, but noise powers of which little can be known do not drown the others.
    """

    learning_rate: float = 1.2e-3
    batch: int = 128
    passes: int = 2
    samples: int = 800_000
    warm_up_steps: int = 300
    saved_every: int = 50_000
