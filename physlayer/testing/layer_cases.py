"""All layers, one line each: the line buys a layer the whole contract suite (``tests/test_contract.py``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from physlayer.color.cfa_patterns import filter_transmissions
from physlayer.color.color_filter_array import ColorFilterArray
from physlayer.color.color_weights import ColorWeights
from physlayer.color.spectra import emission_spectra, wavelength_axis
from physlayer.color.spectral_filters import SpectralFilters
from physlayer.color.stains import StainOpticalDensity
from physlayer.core.layer import PhysicalLayer
from physlayer.exposure.hdr import ExposureBracket, ExposureMosaic
from physlayer.exposure.response import Response
from physlayer.exposure.transmission import Exposure, Gamma, TransmissionMask
from physlayer.optics.blur import Blur
from physlayer.optics.coherent import CoherentImaging
from physlayer.optics.illumination import LedIllumination
from physlayer.optics.incoherent import IncoherentImaging
from physlayer.optics.pupil import OBJECTIVES
from physlayer.optics.shift_variant_blur import GaussianBlurMap, ShiftVariantBlur
from physlayer.optics.zernike import zernike_start
from physlayer.pixels.binning import PixelBinning
from physlayer.pixels.camera_array import CameraArray
from physlayer.pixels.power_layout import PowerLayout
from physlayer.pixels.separable_layout import PixelLayout
from physlayer.pixels.sites import random_sites
from physlayer.quantization.bit_budget import BitBudget
from physlayer.quantization.bit_depth import BitDepth
from physlayer.quantization.learned_step import LearnedStep
from physlayer.quantization.staircase import SoftStaircase
from physlayer.sampling.fourier import FourierSampling, centre
from physlayer.sampling.projection import ProjectionSampling
from physlayer.sampling.sensor_placement import SensorPlacement
from physlayer.sensor.electrons import Sensor
from physlayer.sensor.pixel_noise import GaussianNoise, PhotonNoise, SaltPepper, SpeckleNoise
from physlayer.sensor.quanta import QuantaSensor
from physlayer.ultrasound.channel_selection import ChannelSelection
from physlayer.ultrasound.envelope import Envelope, LogCompression
from physlayer.ultrasound.transducer_array import TransducerArray

__all__ = ["LAYERS", "LayerCase"]

SHAPE = (3, 37, 31)  # awkward on purpose


@dataclass(frozen=True)
class LayerCase:
    """How to build a layer with everything learned, and the scene ``(C, H, W)`` to show it.

    Args:
        build: makes a fresh layer with every quantity an ``nn.Parameter``. shape: of the scene.
        levels: most values a pixel may show in ``eval()``, ``None`` for an analogue stage.
        learns: ``False`` for hardware without a quantity to learn.
        budget: checks of a hard total, ``budget(layer) -> (spent, allowed)``, or ``None``.
    """

    name: str
    build: Callable[[], PhysicalLayer]
    shape: tuple[int, int, int] = SHAPE
    levels: int | None = None
    budget: Callable[[PhysicalLayer], tuple[float, float]] | None = None
    learns: bool = True


def _full(value: float, *shape: int) -> nn.Parameter:
    return nn.Parameter(torch.full(shape, float(value)))


def _demand(*shape: int) -> nn.Parameter:
    return nn.Parameter(1.5 + torch.rand(shape, generator=torch.Generator().manual_seed(0)))


def _sites(n: int) -> nn.Parameter:
    return nn.Parameter(random_sites(n, torch.Generator().manual_seed(0)))


def _lens(**pupil) -> IncoherentImaging:
    start = nn.Parameter(zernike_start(torch.Generator().manual_seed(0), 6))
    return IncoherentImaging(**OBJECTIVES["10x"], pitch_um=0.6, zernike_waves=start, **pupil)


def _bits_spent(layer: PhysicalLayer) -> tuple[float, float]:
    return layer.mean_bits_per_sample(), layer.mean_bits


def _places_read(layer: PhysicalLayer) -> tuple[float, float]:
    return float(layer.physical()["mask"].sum()), layer.keep


def _light_given(layer: PhysicalLayer) -> tuple[float, float]:
    return float(layer.weights.detach().abs().sum(-1).max()) - 1e-6, layer.light_budget


def _array(**more) -> TransducerArray:
    learned = {"focus_mm": _full(8.0), "frequency_mhz": _full(8.0), "weights": _full(0.8, 12)}
    return TransducerArray(12, pitch_mm=0.3, pixel_mm=(0.1, 0.4), depth_mm=6.0, output="parts", **learned, **more)


def _sensor(bits: int | None) -> Sensor:
    converter = {} if bits is None else {"gain_dn_per_electron": _full(0.05), "offset_dn": _full(4.0)}
    return Sensor(
        bits,
        exposure_photons=_full(10_000.0, 3, 1, 1),
        quantum_efficiency=_full(0.6),
        full_well_electrons=_full(5_000.0),
        read_noise_electrons=_full(5.0),
        dark_current_electrons_per_second=_full(200.0),
        photo_response_non_uniformity=_full(0.02),
        dark_signal_non_uniformity_electrons=_full(3.0),
        **converter,
    )


LAYERS: tuple[LayerCase, ...] = (
    LayerCase("BitDepth", lambda: BitDepth(2, gain=_full(1.1), offset=_full(0.05)), levels=4),
    LayerCase("BitDepth 1 bit", lambda: BitDepth(1, gain=_full(1.0), offset=_full(0.1)), levels=2),
    LayerCase("BitDepth channel", lambda: BitDepth(3, gain=_full(1, 3, 1, 1), offset=_full(0, 3, 1, 1)), levels=8),
    LayerCase("BitDepth pixel", lambda: BitDepth(2, gain=_full(1, 3, 37, 31), offset=_full(0, 37, 31)), levels=4),
    LayerCase(
        "BitDepth grid",
        lambda: BitDepth(1, gain=_full(1.0, 1, 5, 4), offset=_full(0, 1, 5, 4), size=SHAPE[1:]),
        levels=2,
    ),
    LayerCase(
        "BitDepth midrise",
        lambda: BitDepth(2, gain=_full(1.0), offset=_full(0), convention="midrise"),
        levels=4,
    ),
    LayerCase("LearnedStep", lambda: LearnedStep(3), levels=8),
    LayerCase(
        "BitBudget",
        lambda: BitBudget(_demand(37, 31), mean_bits=1.0, most=4, gain=_full(1.0), offset=_full(0.0)),
        levels=16,
        budget=_bits_spent,
    ),
    LayerCase(
        "BitBudget grid",
        lambda: BitBudget(_demand(1, 6, 5), mean_bits=1.5, gain=_full(1, 3, 1, 1), size=SHAPE[1:]),
        levels=256,
        budget=_bits_spent,
    ),
    LayerCase("Response", lambda: Response(_full(0.5))),
    LayerCase(
        "QuantaSensor",
        lambda: QuantaSensor(
            3,
            exposure_photons=_full(2.0, 3, 1, 1),
            quantum_efficiency=_full(0.7),
            threshold_electrons=_full(0.5),
            dark_electrons=_full(0.05),
            read_noise_electrons=_full(0.3),
        ),
        levels=4,
    ),
    LayerCase("Sensor", lambda: _sensor(8), levels=256),
    LayerCase("Sensor analogue", lambda: _sensor(None)),
    LayerCase("GaussianNoise", lambda: GaussianNoise(_full(0.1, 3, 1, 1))),
    LayerCase("PhotonNoise", lambda: PhotonNoise(_full(100.0))),
    LayerCase("SpeckleNoise", lambda: SpeckleNoise(_full(0.4))),
    LayerCase("SaltPepper", lambda: SaltPepper(_full(0.2))),
    LayerCase("Blur", lambda: Blur(_full(1.2))),
    LayerCase("Blur channel", lambda: Blur(_full(0.8, 3, 1, 1), radius=6, border="zero")),
    LayerCase("Blur disc", lambda: Blur(disc_pixels=_full(1.7))),
    LayerCase("Blur kernel", lambda: Blur(kernel=_full(0.04, 5, 5), border="circular")),
    LayerCase("ShiftVariantBlur nodes", lambda: ShiftVariantBlur(_demand(2, 3, 5, 7))),
    LayerCase("ShiftVariantBlur rank", lambda: ShiftVariantBlur(_demand(3, 5, 5), _demand(3, 4, 2), model="gather")),
    LayerCase("GaussianBlurMap", lambda: GaussianBlurMap(_demand(3, 2), widths=5, border="zero")),
    LayerCase("PixelBinning", lambda: PixelBinning(2.5, fill_factor=_full(0.7))),
    LayerCase(
        "CameraArray",
        lambda: CameraArray(nn.Parameter(_demand(4, 2).detach() - 2), factor=2.5, fill_factor=_full(0.6)),
    ),
    LayerCase(
        "ColorFilterArray",
        lambda: ColorFilterArray(_demand(4, 3, 2), transmission=nn.Parameter(filter_transmissions(leak=0.1))),
        budget=lambda layer: (float(layer.physical()["tile"].sum(0).max()), 1),
    ),
    LayerCase(
        "ColorFilterArray packed",
        lambda: ColorFilterArray(_demand(4, 4, 4), output="packed", relaxation="softmax", gumbel=True),
        shape=(3, 36, 28),
    ),
    LayerCase(
        "ColorFilterArray Bayer",
        lambda: ColorFilterArray(transmission=nn.Parameter(filter_transmissions(leak=0.1)), output="demosaicked"),
    ),
    LayerCase("ColorWeights", lambda: ColorWeights(_demand(2, 3), constraint="simplex")),
    LayerCase("PixelLayout", lambda: PixelLayout(_demand(7), _demand(9))),
    LayerCase("PowerLayout", lambda: PowerLayout(_sites(20), nn.Parameter(0.3 * _demand(20).detach()))),
    LayerCase(
        "PowerLayout light",
        lambda: PowerLayout(_sites(300), nn.Parameter(0.3 * _demand(300).detach()), reading="light"),
    ),
    LayerCase(
        "SensorPlacement",
        lambda: SensorPlacement(_demand(37, 31), keep=200),
        budget=_places_read,
    ),
    LayerCase("Exposure", lambda: Exposure(_full(1.4, 3, 1, 1))),
    LayerCase("ExposureBracket", lambda: ExposureBracket(nn.Parameter(torch.tensor([0.5, 2.0])))),
    LayerCase("ExposureMosaic", lambda: ExposureMosaic(nn.Parameter(torch.tensor([[0.9, 0.5], [0.2, 0.1]])))),
    LayerCase(
        "FourierSampling",
        lambda: FourierSampling(_demand(31), keep=9, always_on=centre(31, 3)),
        budget=_places_read,
    ),
    LayerCase(
        "FourierSampling points",
        lambda: FourierSampling(_demand(37, 31), keep=300, output="complex"),
        budget=_places_read,
    ),
    LayerCase(
        "ProjectionSampling",
        lambda: ProjectionSampling(6, weights=_full(0.9, 6), filter_gain=_full(0.8, 5), logits=_demand(6), keep=4),
        shape=(2, 17, 17),
        budget=_places_read,
    ),
    LayerCase(
        "SpectralFilters Gaussian",
        lambda: SpectralFilters(
            centre_nm=nn.Parameter(torch.tensor([450.0, 550.0])),
            width_nm=_full(60.0, 2),
            quantum_efficiency=_full(0.7, 71),
            exposure=_full(1.2, 2),
        ),
        shape=(71, 5, 7),
    ),
    LayerCase(
        "SpectralFilters cuts",
        lambda: SpectralFilters(
            cuts_nm=nn.Parameter(torch.tensor([512.0, 589.0])),
            emission=emission_spectra(["EGFP", "EYFP", "mCherry"], wavelength_axis()),
        ),
    ),
    LayerCase(
        "SpectralFilters partition",
        lambda: SpectralFilters(partition=_demand(3, 71)),
        shape=(71, 5, 7),
        budget=lambda layer: (float(layer.curves().detach().sum(0).max()) - 1e-6, 1.0),
    ),
    LayerCase(
        "SpectralFilters free",
        lambda: SpectralFilters(transmission=_full(0.5, 2, 71), exposure=_demand(2), sequential=True),
        shape=(71, 5, 7),
    ),
    LayerCase(
        "StainOpticalDensity",
        lambda: StainOpticalDensity(_demand(3, 3), amount=_full(1.3, 3), white=_full(0.9)),
    ),
    LayerCase(
        "StainOpticalDensity concentrations",
        lambda: StainOpticalDensity(_demand(3, 4), amount=_full(1.3), white=_full(0.9), input="concentrations"),
    ),
    LayerCase("Gamma", lambda: Gamma(_full(1.1), _full(0.9))),
    LayerCase("TransmissionMask", lambda: TransmissionMask(_full(0.7, 37, 31))),
    LayerCase(
        "TransmissionMask budget",
        lambda: TransmissionMask(nn.Parameter(0.2 + 0.2 * _demand(37, 31).detach()), photon_budget=0.3),
        budget=lambda layer: (layer.cost(SHAPE)["transmission"] - 1e-6, 0.3),
    ),
    LayerCase("IncoherentImaging", lambda: _lens(wavelength_um=(0.61, 0.54, 0.47), defocus_um=_full(2.0))),
    LayerCase(
        "IncoherentImaging mask",
        lambda: _lens(
            wavelength_um=0.55,
            outer_radius=_full(0.9),
            inner_radius=_full(0.2),
            ring_radii=nn.Parameter(torch.tensor([0.4, 0.7])),
            ring_waves=nn.Parameter(torch.tensor([0.1, 0.3])),
            phase_map_waves=nn.Parameter(0.1 * _demand(5, 5).detach()),
            amplitude_map=_full(0.8, 3, 5, 5),
        ),
    ),
    LayerCase("IncoherentImaging range", lambda: _lens(wavelength_um=0.55, defocus_range_um=(-6.0, 6.0))),
    LayerCase(
        "CoherentImaging",
        lambda: CoherentImaging(
            9,
            illumination_waves=nn.Parameter(0.1 * _demand(37, 31).detach()),
            aperture_waves=nn.Parameter(0.1 * _demand(3, 37, 31).detach()),
            aperture_amplitude=_full(0.8, 37, 31),
            tilt_cycles=nn.Parameter(torch.tensor([1.5, -2.0])),
        ),
    ),
    LayerCase(
        "CoherentImaging intensity",
        lambda: CoherentImaging(
            7, input="intensity", aperture_waves=nn.Parameter(_demand(5, 5).detach()), size=(37, 31)
        ),
    ),
    LayerCase("LedIllumination", lambda: LedIllumination(_demand(2, 3), light_budget=0.8), budget=_light_given),
    LayerCase(
        "LedIllumination signed",
        lambda: LedIllumination(nn.Parameter(torch.tensor([0.5, -0.3, 0.2])), signed=True, output="exposures"),
        budget=_light_given,
    ),
    LayerCase(
        "TransducerArray",
        lambda: _array(scene="parts", logits=_demand(12), keep=5),
        shape=(4, 37, 31),
        budget=_places_read,
    ),
    LayerCase(
        "TransducerArray polar",
        lambda: _array(
            scene="polar", signed=True, receive="fixed", element_width_mm=0.2, noise_rms=_full(0.05), oversample=3
        ),
        shape=(2, 37, 31),
    ),
    LayerCase(
        "ChannelSelection",
        lambda: ChannelSelection(_demand(2, 3), keep=3, weights=_full(0.8, 2, 3), signal="parts"),
        shape=(6, 37, 31),
        budget=_places_read,
    ),
    LayerCase("Envelope", lambda: Envelope(_full(0.5), signal="parts"), shape=(4, 37, 31)),
    LayerCase("LogCompression", lambda: LogCompression(_full(40.0), reference=_full(0.8, 3, 1, 1))),
    LayerCase("SoftStaircase", lambda: SoftStaircase(2), levels=4),
)
