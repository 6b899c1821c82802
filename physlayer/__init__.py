"""physlayer: differentiable physical layers in front of a network, and sweeps that say what they buy."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from physlayer.color import (
        ColorFilterArray,
        ColorWeights,
        SpectralFilters,
        StainOpticalDensity,
        annealed_sharpness,
        cramer_rao_bound,
        stain_vectors,
    )
    from physlayer.core import (
        MovementAudit,
        PhysicalLayer,
        allocate,
        audit_gradients,
        camera_cost,
        choose,
        export_camera,
        noise_draw,
        parameter_groups,
        physical_layers,
        reading_shape,
        seed_noise,
    )
    from physlayer.data import ImageSet, TaskData, group_split
    from physlayer.experiment import Point, Sweep, Variant
    from physlayer.experiment.robustness import Level, make_levels, robustness_grid
    from physlayer.exposure import Exposure, ExposureBracket, ExposureMosaic, Gamma, Response, TransmissionMask
    from physlayer.optics import (
        Blur,
        CoherentImaging,
        GaussianBlurMap,
        IncoherentImaging,
        LedIllumination,
        ShiftVariantBlur,
    )
    from physlayer.pixels import (
        CameraArray,
        PixelBinning,
        PixelLayout,
        PowerLayout,
        grid_sites,
        lattice_shifts,
        log_polar_sites,
        random_sites,
    )
    from physlayer.problems import Classification, Regression, Segmentation
    from physlayer.quantization import BitBudget, BitDepth, LearnedStep, SoftStaircase, effective_bits
    from physlayer.restoration import LocallyConnected2d, local_least_squares, local_lmmse
    from physlayer.sampling import ChoosingLayer, FourierSampling, ProjectionSampling, SensorPlacement, SubsetLayer
    from physlayer.sensor import (
        SENSORS,
        GaussianNoise,
        PhotonNoise,
        QuantaSensor,
        SaltPepper,
        Sensor,
        SpeckleNoise,
        bit_density,
        exposure_estimate,
        fitted_gain,
        industrial_sensor,
    )
    from physlayer.testing import LAYERS, LayerCase, check_layer
    from physlayer.training import Recipe, fit, predict
    from physlayer.ultrasound import ChannelSelection, Envelope, LogCompression, TransducerArray

__version__ = "0.1.0"

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

_PACKAGES = (
    "core",
    "optics",
    "color",
    "exposure",
    "pixels",
    "sensor",
    "quantization",
    "sampling",
    "ultrasound",
    "restoration",
    "data",
    "problems",
    "metrics",
    "training",
    "saliency",
    "experiment",
    "experiment.robustness",
    "testing",
)


def __getattr__(name: str) -> object:
    """Import a package when one of its names is asked for: ``import physlayer`` costs next to nothing."""
    if name in _PACKAGES or name in ("sweeps", "tasks"):
        return import_module(f"physlayer.{name}")
    if name in __all__:
        for package in map(import_module, (f"physlayer.{place}" for place in _PACKAGES)):
            if name in package.__all__:
                globals()[name] = getattr(package, name)
                return globals()[name]
    raise AttributeError(f"module 'physlayer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(globals().keys() | {*__all__, *_PACKAGES})
