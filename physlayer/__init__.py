"""physlayer: differentiable physical layers in front of a network, and sweeps that say what they buy."""

from typing import TYPE_CHECKING

from physlayer.color.cfa_tile import annealed_sharpness
from physlayer.color.color_filter_array import ColorFilterArray
from physlayer.color.color_weights import ColorWeights
from physlayer.color.spectral_filters import SpectralFilters
from physlayer.color.stains import StainOpticalDensity, stain_vectors
from physlayer.color.unmixing import cramer_rao_bound
from physlayer.core.allocation import allocate
from physlayer.core.audit import MovementAudit, audit_gradients, parameter_groups
from physlayer.core.camera import camera_cost, export_camera, physical_layers, reading_shape
from physlayer.core.layer import PhysicalLayer
from physlayer.core.randomness import noise_draw, seed_noise
from physlayer.core.subset import choose
from physlayer.exposure.hdr import ExposureBracket, ExposureMosaic
from physlayer.exposure.response import Response
from physlayer.exposure.transmission import Exposure, Gamma, TransmissionMask
from physlayer.optics.blur import Blur
from physlayer.optics.coherent import CoherentImaging
from physlayer.optics.illumination import LedIllumination
from physlayer.optics.incoherent import IncoherentImaging
from physlayer.optics.shift_variant_blur import GaussianBlurMap, ShiftVariantBlur
from physlayer.pixels.binning import PixelBinning
from physlayer.pixels.camera_array import CameraArray, lattice_shifts
from physlayer.pixels.power_layout import PowerLayout
from physlayer.pixels.separable_layout import PixelLayout
from physlayer.pixels.sites import grid_sites, log_polar_sites, random_sites
from physlayer.quantization.bit_budget import BitBudget
from physlayer.quantization.bit_depth import BitDepth, effective_bits
from physlayer.quantization.learned_step import LearnedStep
from physlayer.quantization.staircase import SoftStaircase
from physlayer.restoration.least_squares import local_least_squares, local_lmmse
from physlayer.restoration.local_convolution import LocallyConnected2d
from physlayer.sampling.fourier import FourierSampling
from physlayer.sampling.projection import ProjectionSampling
from physlayer.sampling.sensor_placement import SensorPlacement
from physlayer.sampling.subset_layer import SubsetLayer
from physlayer.sensor.electrons import Sensor
from physlayer.sensor.pixel_noise import GaussianNoise, PhotonNoise, SaltPepper, SpeckleNoise
from physlayer.sensor.presets import SENSORS, fitted_gain, industrial_sensor
from physlayer.sensor.quanta import QuantaSensor, bit_density, exposure_estimate
from physlayer.ultrasound.channel_selection import ChannelSelection
from physlayer.ultrasound.envelope import Envelope, LogCompression
from physlayer.ultrasound.transducer_array import TransducerArray

if TYPE_CHECKING:
    from physlayer.data import ImageSet, TaskData, group_split
    from physlayer.experiment import Point, Sweep, Variant
    from physlayer.experiment.robustness import Level, make_levels, robustness_grid
    from physlayer.problems import Classification, Regression, Segmentation
    from physlayer.testing import LAYERS, LayerCase, check_layer
    from physlayer.training import Recipe, fit, predict

__version__ = "0.1.0"

ChoosingLayer = SubsetLayer  # the name that it had first

__all__ = [
    "LAYERS",
    "SENSORS",
    "BitBudget",
    "BitDepth",
    "Blur",
    "CameraArray",
    "ChannelSelection",
    "ChoosingLayer",
    "Classification",
    "CoherentImaging",
    "ColorFilterArray",
    "ColorWeights",
    "Envelope",
    "Exposure",
    "ExposureBracket",
    "ExposureMosaic",
    "FourierSampling",
    "Gamma",
    "GaussianBlurMap",
    "GaussianNoise",
    "ImageSet",
    "IncoherentImaging",
    "LayerCase",
    "LearnedStep",
    "LedIllumination",
    "Level",
    "LocallyConnected2d",
    "LogCompression",
    "MovementAudit",
    "PhotonNoise",
    "PhysicalLayer",
    "PixelBinning",
    "PixelLayout",
    "Point",
    "PowerLayout",
    "ProjectionSampling",
    "QuantaSensor",
    "Recipe",
    "Regression",
    "Response",
    "SaltPepper",
    "Segmentation",
    "Sensor",
    "SensorPlacement",
    "ShiftVariantBlur",
    "SoftStaircase",
    "SpeckleNoise",
    "SpectralFilters",
    "StainOpticalDensity",
    "SubsetLayer",
    "Sweep",
    "TaskData",
    "TransducerArray",
    "TransmissionMask",
    "Variant",
    "allocate",
    "annealed_sharpness",
    "audit_gradients",
    "bit_density",
    "camera_cost",
    "check_layer",
    "choose",
    "cramer_rao_bound",
    "effective_bits",
    "export_camera",
    "exposure_estimate",
    "fit",
    "fitted_gain",
    "grid_sites",
    "group_split",
    "industrial_sensor",
    "lattice_shifts",
    "local_least_squares",
    "local_lmmse",
    "log_polar_sites",
    "make_levels",
    "noise_draw",
    "parameter_groups",
    "physical_layers",
    "predict",
    "random_sites",
    "reading_shape",
    "robustness_grid",
    "seed_noise",
    "stain_vectors",
]

_LATER = {  # what stands behind these names is imported when one of them is asked for
    "ImageSet": "physlayer.data",
    "TaskData": "physlayer.data",
    "group_split": "physlayer.data",
    "Classification": "physlayer.problems",
    "Regression": "physlayer.problems",
    "Segmentation": "physlayer.problems",
    "Recipe": "physlayer.training",
    "fit": "physlayer.training",
    "predict": "physlayer.training",
    "Point": "physlayer.experiment",
    "Sweep": "physlayer.experiment",
    "Variant": "physlayer.experiment",
    "Level": "physlayer.experiment.robustness",
    "make_levels": "physlayer.experiment.robustness",
    "robustness_grid": "physlayer.experiment.robustness",
    "LAYERS": "physlayer.testing",
    "LayerCase": "physlayer.testing",
    "check_layer": "physlayer.testing",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'physlayer' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
