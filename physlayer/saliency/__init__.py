"""Where a network looks: maps of the scene, the reading and the physical parameters."""

from physlayer.saliency.embedding import feature_map, features_of
from physlayer.saliency.maps import METHODS, saliency
from physlayer.saliency.model_parts import split_camera
from physlayer.saliency.parameter_maps import parameter_saliency
from physlayer.saliency.randomisation import randomisation_check, rank_correlation

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
