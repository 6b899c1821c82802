"""What a network is asked: classes, numbers or a mask, each with its loss, score and metrics."""

from physlayer.problems.base import Problem, all_exposures, described
from physlayer.problems.classification import Classification
from physlayer.problems.regression import Regression
from physlayer.problems.segmentation import Segmentation, resized

__all__ = ["Classification", "Problem", "Regression", "Segmentation", "all_exposures", "described", "resized"]
