"""Train at every level of a condition, test at every other."""

from physlayer.experiment.robustness.grid import robustness_grid
from physlayer.experiment.robustness.levels import Level, crossed, make_levels
from physlayer.experiment.robustness.result import RobustnessGrid

__all__ = ["Level", "RobustnessGrid", "crossed", "make_levels", "robustness_grid"]
