"""What was made of a map: kept with every result that rests on it."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

_NAMED = 5


class Account(BaseModel):
    """How a file became surroundings, in words and counts.

    It is about the file, and no part of the place: two places are the same whatever is said of how they were read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    array: str = ""
    """where it stands and faces, and who says so"""
    found: int = 0
    """buildings in the file"""
    in_frame: int = 0
    tagged: int = 0
    """heights of those in the frame"""
    from_levels: int = 0
    assumed: int = 0
    assumed_m: float = 0.0
    mended: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """name: what is wrong with it"""
    remarks: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account)

    def __hash__(self) -> int:
        return 0

    def summary(self) -> str:
        """One line, empty for a place that came from no file."""
        if not self.array:
            return ""
        names = f" ({named(text.partition(': ')[0] for text in self.left_out)})" if self.left_out else ""
        return (
            f"array at {self.array}; {self.in_frame} of {self.found} buildings in the frame; heights {self.tagged} "
            f"tagged, {self.from_levels} from levels, {self.assumed} assumed {self.assumed_m:g} m; {len(self.mended)} "
            f"mended, {len(self.left_out)} left out{names}"
        )

    def text(self) -> str:
        """The summary and whatever else there is to say, a line each."""
        mended = [f"mended: {named(self.mended)}"] if self.mended else []
        return "\n".join(
            [self.summary(), *mended, *(f"left out: {one}" for one in self.left_out), *self.remarks]
        ).strip()


def named(names: Iterable[str]) -> str:
    """The first few, and how many more.

    >>> named("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def counted(number: int, one: str, several: str = "") -> str:
    """'1 line', '2 lines'."""
    return f"{number} {one if number == 1 else several or one + 's'}"
