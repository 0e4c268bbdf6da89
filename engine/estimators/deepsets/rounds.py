"""Training on rounds of fresh samples: how, on what, and how far it is. Needs no PyTorch."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class AmortisedRecipe:
    """How an amortised network is trained: every round of samples is new, and seen `passes` times.

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


class Round(NamedTuple):
    """Fresh samples for an amortised network: elements, what is known of each set, and what to say of it."""

    x: Any
    """(n, K, FEATURES)"""
    known: Any
    """(n, KNOWN)"""
    place: Any
    """(n, 2)"""


class ConditionedRound(NamedTuple):
    """Samples for a conditioned network: elements, standardised for training, and the places to say of them."""

    x: Any
    """(n, K, F)"""
    place: Any
    """(n, 2)"""


class AmortisedProgress(NamedTuple):
    """How far a training is: samples drawn, steps, mean loss since the last report, seconds of processor time, and over
    the rounds that are never trained on the mean loss and the mean Gaussian negative log-likelihood, which shows what
    is learned: the loss weighs each sample by a deviation that is learned too."""

    samples: int
    steps: int
    rounds: int
    loss: float
    seconds: float
    validation_loss: float
    validation_nll: float = math.nan
