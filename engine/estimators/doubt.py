"""What may speak against an estimate: one small number, a sum of flags."""

from enum import IntFlag
from typing import Any

from array_api_compat import array_namespace

from engine.estimators.problem import Estimates

Array = Any
SELF_CHECK = "self_check"
"""the variable of the flags, in every store"""


class Doubt(IntFlag):
    """Why an estimate may be wrong; 0: the search found nothing against it."""

    RIVAL = 1
    """another peak of the likelihood is nearly as high"""
    EDGE = 2
    """the estimate, or much of the posterior, lies at the edge of the users' area"""
    UNFINISHED = 4
    """the climb to the highest peak did not end"""
    NOT_FINITE = 8
    """there is no estimate"""
    UNCHECKED = 16
    """the estimator does not check itself"""
    UNSEEN = 32
    """a place that was not looked at may be likelier: there were more than the search's lists hold, or what it found
    explains the data too badly for a true place (`engine.estimators.misfit`)"""


WORDS = {
    Doubt.RIVAL: "another place is nearly as likely",
    Doubt.EDGE: "at the edge of the users' area",
    Doubt.UNFINISHED: "the search did not end at a peak",
    Doubt.NOT_FINITE: "no estimate",
    Doubt.UNCHECKED: "does not check itself",
    Doubt.UNSEEN: "more places to look at than the search could, or too low a likelihood for a true place",
}
ATTRIBUTES = {
    "long_name": "self-check of the estimate, a sum of flags, 0 where nothing speaks against it",
    "flag_masks": " ".join(str(int(one)) for one in Doubt),
    "flag_meanings": " ".join(str(one.name).lower() for one in Doubt),
}


def unchecked(estimates: Estimates) -> Array:
    """Of an estimator that says nothing more: (B, S, L), small integers."""
    xp = array_namespace(estimates.range_m)
    finite = xp.isfinite(estimates.range_m) & xp.isfinite(estimates.angle_rad)
    not_finite = int(Doubt.NOT_FINITE) * xp.astype(~finite, xp.int8)
    return xp.astype(int(Doubt.UNCHECKED) + not_finite, xp.int8)


def in_words(check: int) -> str:
    """What the flags say, "" for a sound estimate.

    >>> in_words(3)
    "another place is nearly as likely; at the edge of the users' area"
    """
    return "; ".join(words for flag, words in WORDS.items() if Doubt(check) & flag)
