"""A sweep: a scenario, the axes along which it varies, and how many realizations to draw at each point."""

import functools
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from engine.errors import InputError
from engine.imports import class_named, stored_name
from engine.scenario import Scenario, one_line, require_field

_MOST_ENDS = 16
AnyScenario = TypeVar("AnyScenario", bound=Scenario)


class Task(NamedTuple):
    """Realizations [start, stop) of one point of a sweep: one chunk of every variable."""

    point: tuple[int, ...]
    start: int
    stop: int


class Grid(NamedTuple):
    """What must be computed, without what it is: the number of values along each axis, realizations, chunk."""

    shape: tuple[int, ...]
    realizations: int
    chunk: int

    @property
    def n_points(self) -> int:
        return math.prod(self.shape)

    @property
    def n_tasks(self) -> int:
        return self.n_points * -(-self.realizations // self.chunk)

    def stop_of(self, start: int) -> int:
        """Where the chunk that begins at realization `start` ends: the last one may be cut short by the budget."""
        return min(start + self.chunk, self.realizations)

    def is_whole(self, task: Task) -> bool:
        """Whether what was stored of a task is all of it: a smaller budget than today's cuts a last chunk short."""
        return task.stop >= self.stop_of(task.start)

    def tasks(self) -> list[Task]:
        """Every task, in the order of the points."""
        return [
            Task(point, start, self.stop_of(start))
            for point in itertools.product(*(range(length) for length in self.shape))
            for start in range(0, self.realizations, self.chunk)
        ]


class TextTable(NamedTuple):
    """A table to print: a title, the columns' headings, and rows of as many texts."""

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Sweep:
    """Every combination of the axes' values, `realizations` times each.

    scenario: what is simulated. axes: field name → values, in the order of the output's dimensions.
    realizations: the budget per point; it can grow later. seed: of every stream.
    block: realizations drawn and simulated together, part of what defines the numbers.
    chunk: realizations stored together, a multiple of `block`; chosen from the budget if None. It changes no number.
    name, about, highlights, figure, report: how a named sweep presents itself; `highlights` are the variables worth a
    table of means (all if empty), `figure` takes the results and returns a matplotlib figure, `report` takes them and
    returns tables of its own instead. summary: what both need, computed once from the results, which they then take
    second: `figure(results, summary)`, `report(results, summary)`. timed: whether they are of time; their results then
    have the coordinate `seconds_per_realization`. full: the budget that a cluster would take, where `realizations` is a
    laptop's.
    """

    scenario: Scenario
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    realizations: int = 1000
    seed: int = 0
    block: int = 50
    chunk: int | None = None
    name: str = ""
    about: str = ""
    highlights: tuple[str, ...] = field(default=(), compare=False, repr=False)
    figure: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    report: Callable[..., list[TextTable]] | None = field(default=None, compare=False, repr=False)
    summary: Callable[[Any], Any] | None = field(default=None, compare=False, repr=False)
    timed: bool = field(default=False, compare=False, repr=False)
    full: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.scenario, Scenario):
            raise InputError(f"a sweep needs a Scenario, given {type(self.scenario).__name__}")
        for name, low in (("realizations", 1), ("block", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise InputError(f"{name}: given {value!r}, needed an integer ≥ {low}")
        axes = {name: self._checked_axis(name, values) for name, values in self.axes.items()}
        object.__setattr__(self, "axes", MappingProxyType(axes))
        chunk = self.chunk if self.chunk is not None else self._default_chunk()
        if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1 or chunk % self.block:
            raise InputError(f"chunk: given {chunk!r}, needed a multiple of the block of {self.block} realizations")
        object.__setattr__(self, "chunk", chunk)
        for index in itertools.product(*(range(length) for length in self.shape)):
            self.at(index)  # every combination must be a valid scenario

    def _checked_axis(self, name: str, values: Any) -> tuple[Any, ...]:
        require_field(type(self.scenario), name)
        if name in self.scenario.coordinates():
            raise InputError(
                f"{name} is a dimension of every result of {type(self.scenario).__name__}: set the field to "
                f"several values instead of sweeping it"
            )
        if isinstance(values, str) or not isinstance(values, list | tuple | range) or not len(values):
            raise InputError(f"axis {name}: given {values!r}, needed a list of one or more values")
        others = {other: at[0] for other, at in self.axes.items() if isinstance(at, list | tuple | range) and len(at)}
        checked = tuple(self.scenario.replace(**others | {name: value}).stored_value(name) for value in values)
        for value in checked:
            if not isinstance(value, bool | int | float | str):
                raise InputError(f"axis {name}: given {value!r}, needed numbers or names, one per point")
        if len(set(checked)) != len(checked):
            raise InputError(f"axis {name}: given {values!r}, needed values that differ")
        return checked

    def _default_chunk(self) -> int:
        """A sixteenth of the budget, at most 4096 realizations: some tasks for each worker, few objects."""
        return self.block * max(1, min(-(-self.realizations // 16), 4096) // self.block)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to workers without its figure, report and summary, which are the reader's business."""
        return Sweep, (
            self.scenario, dict(self.axes), self.realizations, self.seed, self.block, self.chunk, self.name,
            self.about, self.highlights,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each axis."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def grid(self) -> Grid:
        return Grid(self.shape, self.realizations, self.chunk_size)

    @property
    def n_points(self) -> int:
        return self.grid.n_points

    @property
    def n_tasks(self) -> int:
        return self.grid.n_tasks

    @property
    def chunk_size(self) -> int:
        """Realizations in a chunk."""
        assert self.chunk is not None
        return self.chunk

    def at(self, point: tuple[int, ...]) -> Scenario:
        """The scenario at a point, given by its index along each axis."""
        return self.scenario.replace(**self.values(point))

    def values(self, point: tuple[int, ...]) -> dict[str, Any]:
        """Field name → value at a point, given by its index along each axis."""
        return {name: values[i] for (name, values), i in zip(self.axes.items(), point, strict=True)}

    def tasks(self) -> list[Task]:
        """Every task, in the order of the points."""
        return self.grid.tasks()

    @functools.cached_property
    def account(self) -> str:
        """What scenarios at the ends of the axes say of themselves, `Scenario.account`: once, if all say the same."""
        ends = itertools.product(*(sorted({0, len(values) - 1}) for values in self.axes.values()))
        said = {index: self.at(index).account() for index in itertools.islice(ends, _MOST_ENDS)}
        if len(set(said.values())) == 1:
            return next(iter(said.values()))
        lines = []
        for index, text in said.items():
            at = (f"{name} = {values[i]}" for i, (name, values) in zip(index, self.axes.items(), strict=True))
            lines += [f"{', '.join(at)}: {text}"] if text else []
        return "\n".join(lines)

    def replace(self, **changes: Any) -> "Sweep":
        """A copy with some of the sweep's own fields changed."""
        return replace(self, **changes)

    def definition(self) -> dict[str, Any]:
        """All that defines the numbers, as plain JSON types. The budget and the chunk are not part of it."""
        kind = type(self.scenario)
        return {
            "scenario": stored_name(kind),
            "code_version": kind.code_version,
            **{f"scenario.{key}": value for key, value in self.scenario.model_dump(mode="json").items()
               if key not in self.axes},
            **{f"axis {name}": list(values) for name, values in self.axes.items()},
            "seed": self.seed,
            "block": self.block,
        }  # fmt: skip

    def fingerprint(self) -> str:
        """A hash of the definition: two sweeps with the same fingerprint give the same numbers."""
        text = json.dumps(self.definition(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def scenario_of(results: Any, kind: type[AnyScenario]) -> AnyScenario:
    """The scenario that opened results come from. Raises InputError where it is none of this class."""
    found = scenario_from(results.attrs["scenario_class"], json.loads(results.attrs["scenario"]))
    if not isinstance(found, kind):
        raise InputError(f"given results of {type(found).__name__}, needed those of a {kind.__name__}")
    return found


def scenario_from(path: str, fields: Mapping[str, Any]) -> Scenario:
    """The scenario of the class `module:name` with these fields; `engine.imports` says which modules may be named."""
    module_name, _, class_name = path.partition(":")
    if module_name == "__main__":
        raise InputError(
            f"scenario class {class_name!r} was defined in a script: define it in a module that can be imported"
        )
    try:
        kind = class_named(path, Scenario, "scenario")
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        return kind.of_store(fields)
    except ValidationError as error:
        raise InputError(f"{path}: {one_line(error)}") from None
