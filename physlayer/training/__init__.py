"""One training loop for all problems, its settings, and predictions."""

from physlayer.training.loop import FitResult, TrainingError, fit, seeded
from physlayer.training.prediction import predict, predict_exposures
from physlayer.training.recipe import Recipe

__all__ = ["FitResult", "Recipe", "TrainingError", "fit", "predict", "predict_exposures", "seeded"]
