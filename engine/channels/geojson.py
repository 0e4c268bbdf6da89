"""Any real place: building footprints from a map file, GeoJSON above all, become surroundings.

What is read and by which rules is in `engine.channels.places`; docs/places.md says it for users.
"""

from pathlib import Path

from engine.channels.materials import Material
from engine.channels.places.place import place_from
from engine.channels.places.where import Wanted
from engine.channels.surroundings import Surroundings


def surroundings_from(path: Path, ground: Material | None = "concrete", wanted: Wanted | None = None) -> Surroundings:
    """The buildings of a file that touch the area of `Surroundings`, around the array; `account` says what was done.

    Raises InputError, in one line, for a file that cannot be read, one without buildings or with none in the frame, and
    an array inside of one.
    """
    return place_from(path, ground, wanted).surroundings
