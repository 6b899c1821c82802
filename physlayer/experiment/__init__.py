"""Sweeps: points × variants × seeds, one record per run, one report."""

from physlayer.experiment.axis import parse_values
from physlayer.experiment.cli import main
from physlayer.experiment.spec import Point, Sweep, Variant, no_layer

__all__ = ["Point", "Sweep", "Variant", "main", "no_layer", "parse_values"]
