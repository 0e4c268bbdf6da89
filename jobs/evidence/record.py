"""What a record holds, and which words of the documents carry its numbers."""

import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine import Sweep, provenance
from engine.backend import processor


class Evidence(NamedTuple):
    """How numbers are measured, and where they stand.

    about: what they are of. sweep: what is run, if anything; its settings, seed and fingerprint go into the record.
    measure: from the store to numbers, as JSON has them. words: document → numbers → sentences that must stand there,
    on one line or more. settings: of what needs no sweep, in words.
    """

    about: str
    sweep: Sweep | None
    measure: Callable[[str], dict[str, Any]]
    words: Mapping[str, Callable[[dict[str, Any]], Iterable[str]]]
    settings: str = ""


def record(name: str, evidence: Evidence, numbers: dict[str, Any]) -> dict[str, Any]:
    """The numbers with all that is needed to measure them again, as JSON has them: an end that is infinite is None."""
    return {
        "what": evidence.about,
        "command": f"nearfield evidence {name}",
        **(_of(evidence.sweep) if evidence.sweep else {"settings": evidence.settings}),
        "commit": provenance.commit(),
        "date": provenance.now(),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": provenance.versions(),
        "numbers": finite(numbers),
    }


def finite(numbers: Any) -> Any:
    """The same, None for what is not finite, which JSON has no word for.

    >>> finite({"low": 0.5, "high": math.inf, "of": [1, math.nan, "two"]})
    {'low': 0.5, 'high': None, 'of': [1, None, 'two']}
    """
    if isinstance(numbers, dict):
        return {name: finite(part) for name, part in numbers.items()}
    if isinstance(numbers, list | tuple):
        return [finite(part) for part in numbers]
    return None if isinstance(numbers, float) and not math.isfinite(numbers) else numbers


def _of(sweep: Sweep) -> dict[str, Any]:
    return {
        "settings": sweep.definition(),
        "realizations": sweep.realizations,
        "seed": sweep.seed,
        "fingerprint": sweep.fingerprint(),
    }


def missing_words(folder: Path, evidence: Evidence, numbers: dict[str, Any]) -> list[str]:
    """The sentences that the documents should have and do not, as "docs/numbers.md: …". folder: of the project."""
    found = []
    for document, words in evidence.words.items():
        text = " ".join((folder / document).read_text().split())
        found += [f"{document}: {one}" for one in words(numbers) if not _stands(" ".join(one.split()), text)]
    return found


def _stands(words: str, text: str) -> bool:
    """Whether the words are in the text, and not as a part of a longer number: "6 of 16" is not in "16 of 16"."""
    return re.search(rf"(?<![\d.]){re.escape(words)}(?!\.?\d)", text) is not None
