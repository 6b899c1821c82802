"""Cases of the layers of a sensor: exposure, pixels, noise, converters."""

from __future__ import annotations

import torch
from torch import nn

from physlayer.core.layer import PhysicalLayer
from physlayer.exposure.hdr import ExposureBracket, ExposureMosaic
from physlayer.exposure.response import Response
from physlayer.exposure.transmission import Exposure, Gamma, TransmissionMask
from physlayer.pixels.binning import PixelBinning
from physlayer.pixels.camera_array import CameraArray
from physlayer.pixels.power_layout import PowerLayout
from physlayer.pixels.separable_layout import PixelLayout
from physlayer.pixels.sites import random_sites
from physlayer.quantization.bit_budget import BitBudget
from physlayer.quantization.bit_depth import BitDepth
from physlayer.quantization.learned_step import LearnedStep
from physlayer.quantization.staircase import SoftStaircase
from physlayer.sensor.electrons import Sensor
from physlayer.sensor.pixel_noise import GaussianNoise, PhotonNoise, SaltPepper, SpeckleNoise
from physlayer.sensor.quanta import QuantaSensor
from physlayer.testing.layer_case import SHAPE, LayerCase, demand, full

__all__ = ["SENSOR_LAYERS"]


def _sites(n: int) -> nn.Parameter:
    return nn.Parameter(random_sites(n, torch.Generator().manual_seed(0)))


def _bits_spent(layer: PhysicalLayer) -> tuple[float, float]:
    return layer.mean_bits_per_sample(), layer.mean_bits


def _sensor(bits: int | None) -> Sensor:
    converter = {} if bits is None else {"gain_dn_per_electron": full(0.05), "offset_dn": full(4.0)}
    return Sensor(
        bits,
        exposure_photons=full(10_000.0, 3, 1, 1),
        quantum_efficiency=full(0.6),
        full_well_electrons=full(5_000.0),
        read_noise_electrons=full(5.0),
        dark_current_electrons_per_second=full(200.0),
        photo_response_non_uniformity=full(0.02),
        dark_signal_non_uniformity_electrons=full(3.0),
        **converter,
    )


SENSOR_LAYERS: tuple[LayerCase, ...] = (
    LayerCase("TransmissionMask", lambda: TransmissionMask(full(0.7, 37, 31))),
    LayerCase(
        "TransmissionMask budget",
        lambda: TransmissionMask(nn.Parameter(0.2 + 0.2 * demand(37, 31).detach()), photon_budget=0.3),
        total=lambda layer: (layer.cost(SHAPE)["transmission"] - 1e-6, 0.3),
    ),
    LayerCase("Exposure", lambda: Exposure(full(1.4, 3, 1, 1))),
    LayerCase("ExposureBracket", lambda: ExposureBracket(nn.Parameter(torch.tensor([0.5, 2.0])))),
    LayerCase("ExposureMosaic", lambda: ExposureMosaic(nn.Parameter(torch.tensor([[0.9, 0.5], [0.2, 0.1]])))),
    LayerCase("Response", lambda: Response(full(0.5))),
    LayerCase("Gamma", lambda: Gamma(full(1.1), full(0.9))),
    LayerCase("PixelBinning", lambda: PixelBinning(2.5, fill_factor=full(0.7))),
    LayerCase(
        "CameraArray",
        lambda: CameraArray(nn.Parameter(demand(4, 2).detach() - 2), factor=2.5, fill_factor=full(0.6)),
    ),
    LayerCase("PixelLayout", lambda: PixelLayout(demand(7), demand(9))),
    LayerCase("PowerLayout", lambda: PowerLayout(_sites(20), nn.Parameter(0.3 * demand(20).detach()))),
    LayerCase(
        "PowerLayout light",
        lambda: PowerLayout(_sites(300), nn.Parameter(0.3 * demand(300).detach()), reading="light"),
    ),
    LayerCase("GaussianNoise", lambda: GaussianNoise(full(0.1, 3, 1, 1))),
    LayerCase("PhotonNoise", lambda: PhotonNoise(full(100.0))),
    LayerCase("SpeckleNoise", lambda: SpeckleNoise(full(0.4))),
    LayerCase("SaltPepper", lambda: SaltPepper(full(0.2))),
    LayerCase("Sensor", lambda: _sensor(8), n_levels=256),
    LayerCase("Sensor analogue", lambda: _sensor(None)),
    LayerCase(
        "QuantaSensor",
        lambda: QuantaSensor(
            3,
            exposure_photons=full(2.0, 3, 1, 1),
            quantum_efficiency=full(0.7),
            threshold_electrons=full(0.5),
            dark_electrons=full(0.05),
            read_noise_electrons=full(0.3),
        ),
        n_levels=4,
    ),
    LayerCase("BitDepth", lambda: BitDepth(2, gain=full(1.1), offset=full(0.05)), n_levels=4),
    LayerCase("BitDepth 1 bit", lambda: BitDepth(1, gain=full(1.0), offset=full(0.1)), n_levels=2),
    LayerCase("BitDepth channel", lambda: BitDepth(3, gain=full(1, 3, 1, 1), offset=full(0, 3, 1, 1)), n_levels=8),
    LayerCase("BitDepth pixel", lambda: BitDepth(2, gain=full(1, 3, 37, 31), offset=full(0, 37, 31)), n_levels=4),
    LayerCase(
        "BitDepth grid",
        lambda: BitDepth(1, gain=full(1.0, 1, 5, 4), offset=full(0, 1, 5, 4), size=SHAPE[1:]),
        n_levels=2,
    ),
    LayerCase(
        "BitDepth midrise",
        lambda: BitDepth(2, gain=full(1.0), offset=full(0), convention="midrise"),
        n_levels=4,
    ),
    LayerCase("LearnedStep", lambda: LearnedStep(3), n_levels=8),
    LayerCase(
        "BitBudget",
        lambda: BitBudget(demand(37, 31), mean_bits=1.0, most=4, gain=full(1.0), offset=full(0.0)),
        n_levels=16,
        total=_bits_spent,
    ),
    LayerCase(
        "BitBudget grid",
        lambda: BitBudget(demand(1, 6, 5), mean_bits=1.5, gain=full(1, 3, 1, 1), size=SHAPE[1:]),
        n_levels=256,
        total=_bits_spent,
    ),
    LayerCase("SoftStaircase", lambda: SoftStaircase(2), n_levels=4),
)
