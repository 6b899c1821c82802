"""Which k of N measurements are made: pixels, lines of k-space, views."""

from physlayer.sampling.fourier import FourierSampling, centre, equispaced, to_image, to_kspace
from physlayer.sampling.projection import ProjectionSampling, backproject, project, ram_lak
from physlayer.sampling.sensor_placement import SensorPlacement
from physlayer.sampling.subset_layer import SubsetLayer

ChoosingLayer = SubsetLayer  # the name that it had first

__all__ = [
    "ChoosingLayer",
    "FourierSampling",
    "ProjectionSampling",
    "SensorPlacement",
    "SubsetLayer",
    "backproject",
    "centre",
    "equispaced",
    "project",
    "ram_lak",
    "to_image",
    "to_kspace",
]
