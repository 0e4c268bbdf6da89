"""Measurements of a field campaign from a file, as instruments write them: where sensors stood, what they received."""

from jobs.cli.measurements.geography import place_of
from jobs.cli.measurements.reading import read
from jobs.cli.measurements.record import Measurements, Place
from jobs.cli.measurements.template import TEMPLATE

__all__ = ["TEMPLATE", "Measurements", "Place", "place_of", "read"]
