"""The recommended answer of `nearfield locate`: tables for people, and a file for programs."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import InputError
from engine.provenance import commit, version
from engine.sweep import TextTable

if TYPE_CHECKING:
    from scenarios.leakage.answer import Answer, UnderModel
    from scenarios.leakage.answer.region import Extent, Mode
    from scenarios.leakage.locate import Estimate, Located

_HEADINGS = ("range (m)", "angle (°)", "x ahead (m)", "y along the array (m)")
_MOST_MODES = 5
_SMALLEST_SHARE = 0.01


def tables(answer: "Answer", title: str) -> list[TextTable]:
    """One table: the mean, the region, its parts, and the other assumption about waves where that matters."""
    from scenarios.leakage.answer.answer import waves

    found = answer.recommended
    rows = [("the user is at" if answer.holds else "nearest fit", *_place(found, answer.holds))]
    if answer.holds:
        rows.append((f"{found.posterior.level:.0%} region".replace("%", " %"), *_spans(found.posterior.extent)))
        modes = found.posterior.modes
        if len(modes) > 1:
            rows += [_mode(i, mode) for i, mode in enumerate(modes[:_MOST_MODES]) if mode.share > _SMALLEST_SHARE]
    if {remark.code for remark in answer.remarks} & {"depends_on_model", "other_model_fits"}:
        holds = answer.other.fit.holds
        rows.append((f"were waves {waves(answer.other.leakage)}", *_place(answer.other, holds)))
    return [TextTable(title, ("answer", *_HEADINGS), rows)]


def fit_line(answer: "Answer") -> str:
    """How well the model explains the powers."""
    fit = answer.recommended.fit
    worst = fit.worst[0]
    verdict = "the model fits" if fit.holds else "noise alone fits better" if fit.no_user else "the model does not fit"
    return (
        f"{verdict}: {fit.p_text}, farthest off is sensor {worst.sensor}, by {worst.deviations:+.1f} "
        f"deviations ({worst.excess_db:+.1f} dB)"
    )


def unknown_lines(answer: "Answer") -> list[str]:
    """What was not known beside the place, and is found."""
    posterior = answer.recommended.posterior
    lines = []
    for what, known, (mean, deviation) in (
        ("gain", answer.unknown.gain, posterior.gain_db),
        ("σ² over the given", answer.unknown.noise, posterior.noise_db),
    ):
        if not known.known:
            sure = f" ± {deviation:.2f}" if answer.holds else ""
            lines.append(f"{what}, unknown beforehand: {mean:.2f}{sure} dB")
        elif known.middle:
            lines.append(f"{what}: taken as {known.low_db:g} dB")
    return lines


def _place(found: "UnderModel", holds: bool) -> tuple[str, ...]:
    """The posterior's mean; where the model does not hold the likeliest place, of which the fit speaks: one place."""
    if not holds:
        range_m, angle_rad = found.likeliest.range_m, found.likeliest.angle_rad
        parts_m = range_m * math.sin(angle_rad), range_m * math.cos(angle_rad)
        return tuple(f"{part:.2f}" for part in (range_m, math.degrees(angle_rad), *parts_m))
    posterior, scale = found.posterior, (1.0, 180 / math.pi, 1.0, 1.0)
    names = ("range_m", "angle_rad", "x_m", "y_m")
    parts = [
        (getattr(posterior, name) * unit, getattr(posterior, f"deviation_{name}") * unit)
        for name, unit in zip(names, scale, strict=True)
    ]
    return tuple(with_deviation(*part) for part in parts)


def with_deviation(value: float, deviation: float) -> str:
    """To as many digits as the deviation has two of, from two on.

    >>> with_deviation(7.5492, 0.1056), with_deviation(4.6989, 0.0027), with_deviation(4.0, float("nan"))
    ('7.55 ± 0.11', '4.6989 ± 0.0027', '4.00 ± ?')
    """
    if not math.isfinite(deviation):
        return f"{value:.2f} ± ?"
    digits = 2 if deviation <= 0 else min(8, max(2, 1 - math.floor(math.log10(deviation))))
    return f"{value:.{digits}f} ± {deviation:.{digits}f}"


def _spans(extent: "Extent") -> tuple[str, ...]:
    scale = {"angle_rad": 180 / math.pi}
    return tuple(
        _span(low * scale.get(name, 1), high * scale.get(name, 1)) for name, (low, high) in extent._asdict().items()
    )


def _span(low: float, high: float) -> str:
    """
    >>> _span(7.2969, 7.8069), _span(4.69229, 4.70548)
    ('7.297 … 7.807', '4.6923 … 4.7055')
    """
    width = high - low
    digits = 2 if width <= 0 else min(8, max(2, 2 - math.floor(math.log10(width))))
    return f"{low:.{digits}f} … {high:.{digits}f}"


def _mode(number: int, mode: "Mode") -> tuple[str, ...]:
    return (f"part {number + 1}, {mode.share:.0%} of all".replace("%", " %"), *_spans(mode.extent))


def write_json(
    path: Path, answer: "Answer", located: "Located", warnings: Sequence[str], settings: Mapping[str, Any]
) -> None:
    """Everything that is printed, and the settings, versions and commit that led to it. Raises InputError."""
    content = {
        "answer": under_model(answer.recommended, answer.holds),
        "other_assumption": under_model(answer.other, answer.other.fit.holds and answer.other.finished),
        "estimates": [_estimate(one, answer.holds) for one in located.estimates],
        "refused": [one._asdict() for one in located.refused],
        "left_out": list(answer.left_out),
        "remarks": [remark._asdict() for remark in answer.remarks],
        "warnings": list(warnings),
        "settings": dict(settings),
        "version": version(),
        "commit": commit(),
    }
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def under_model(found: "UnderModel", holds: bool) -> dict[str, Any]:
    """As JSON: deviations, region and modes are null where the model does not hold."""
    posterior, fit = found.posterior, found.fit
    names = ("range_m", "angle_rad", "x_m", "y_m")
    return {
        "leakage": found.leakage,
        "holds": holds,
        **{name: getattr(posterior, name) for name in names},
        "deviations": {name: getattr(posterior, f"deviation_{name}") for name in names} if holds else None,
        "region": {"level": posterior.level, **_ends(posterior.extent)} if holds else None,
        "modes": [_mode_of(mode) for mode in posterior.modes] if holds else None,
        "gain_db": {"mean": posterior.gain_db[0], "deviation": posterior.gain_db[1] if holds else None},
        "noise_over_given_db": {"mean": posterior.noise_db[0], "deviation": posterior.noise_db[1] if holds else None},
        "likeliest": found.likeliest._asdict(),
        "log_evidence": posterior.log_evidence,
        "fit": {
            "holds": fit.holds,
            "p_value": fit.p_value,
            "statistic": fit.statistic,
            "draws": fit.draws,
            "log_odds_of_no_user": fit.log_odds_of_none if math.isfinite(fit.log_odds_of_none) else None,
            "worst": [one._asdict() for one in fit.worst],
        },
        "finished": found.finished,
    }


def _ends(extent: "Extent") -> dict[str, list[float]]:
    return {name: list(span) for name, span in extent._asdict().items()}


def _mode_of(mode: "Mode") -> dict[str, Any]:
    return {"share": mode.share, "mean_range_m": mode.range_m, "mean_angle_rad": mode.angle_rad, **_ends(mode.extent)}


def _estimate(one: "Estimate", holds: bool) -> dict[str, Any]:
    values = {**one._asdict(), "ahead_m": one.ahead_m, "along_m": one.along_m}
    for name, value in values.items():
        if isinstance(value, float) and (not math.isfinite(value) or (name.startswith("deviation") and not holds)):
            values[name] = None
    return values
