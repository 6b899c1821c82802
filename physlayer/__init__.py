"""physlayer: differentiable physical layers in front of a network, and sweeps that say what they buy."""

from physlayer.color.color_filter_array import ColorFilterArray, annealed_sharpness
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
from physlayer.sampling.subset_layer import ChoosingLayer
from physlayer.sensor.electrons import SENSORS, Sensor, fitted_gain
from physlayer.sensor.pixel_noise import GaussianNoise, PhotonNoise, SaltPepper, SpeckleNoise
from physlayer.sensor.quanta import QuantaSensor, bit_density, exposure_estimate
from physlayer.ultrasound.channel_selection import ChannelSelection
from physlayer.ultrasound.envelope import Envelope, LogCompression
from physlayer.ultrasound.transducer_array import TransducerArray

__version__ = "0.1.0"

__all__ = [
    "SENSORS",
    "BitBudget",
    "BitDepth",
    "Blur",
    "CameraArray",
    "ChannelSelection",
    "ChoosingLayer",
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
    "IncoherentImaging",
    "LearnedStep",
    "LedIllumination",
    "LocallyConnected2d",
    "LogCompression",
    "MovementAudit",
    "PhotonNoise",
    "PhysicalLayer",
    "PixelBinning",
    "PixelLayout",
    "PowerLayout",
    "ProjectionSampling",
    "QuantaSensor",
    "Response",
    "SaltPepper",
    "Sensor",
    "SensorPlacement",
    "ShiftVariantBlur",
    "SoftStaircase",
    "SpeckleNoise",
    "SpectralFilters",
    "StainOpticalDensity",
    "TransducerArray",
    "TransmissionMask",
    "allocate",
    "annealed_sharpness",
    "audit_gradients",
    "bit_density",
    "camera_cost",
    "choose",
    "cramer_rao_bound",
    "effective_bits",
    "export_camera",
    "exposure_estimate",
    "fitted_gain",
    "grid_sites",
    "lattice_shifts",
    "local_least_squares",
    "local_lmmse",
    "log_polar_sites",
    "noise_draw",
    "parameter_groups",
    "physical_layers",
    "random_sites",
    "reading_shape",
    "seed_noise",
    "stain_vectors",
]
