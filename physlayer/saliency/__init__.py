"""Where a network looks: maps of the scene, the reading and the physical parameters."""

from physlayer.saliency.attribution import split_camera
from physlayer.saliency.embedding import feature_map, features_of
from physlayer.saliency.maps import METHODS, parameter_saliency, randomisation_check, rank_correlation, saliency

__all__ = [
    "METHODS",
    "feature_map",
    "features_of",
    "parameter_saliency",
    "randomisation_check",
    "rank_correlation",
    "saliency",
    "split_camera",
]
