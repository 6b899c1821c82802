"""All layers, one line each: the line buys a layer the whole contract suite (``tests/test_contract.py``).

Optics and colour are here; the sensor is in ``sensor_cases.py``, k of N measurements in ``subset_cases.py``.
"""

from __future__ import annotations

import torch
from torch import nn

from physlayer.color.cfa_patterns import filter_transmissions
from physlayer.color.color_filter_array import ColorFilterArray
from physlayer.color.color_weights import ColorWeights
from physlayer.color.spectra import emission_spectra, wavelength_axis
from physlayer.color.spectral_filters import SpectralFilters
from physlayer.color.stains import StainOpticalDensity
from physlayer.core.layer import PhysicalLayer
from physlayer.optics.blur import Blur
from physlayer.optics.coherent import CoherentImaging
from physlayer.optics.illumination import LedIllumination
from physlayer.optics.incoherent import IncoherentImaging
from physlayer.optics.pupil import OBJECTIVES
from physlayer.optics.shift_variant_blur import GaussianBlurMap, ShiftVariantBlur
from physlayer.optics.zernike import zernike_start
from physlayer.testing.layer_case import LayerCase, demand, full
from physlayer.testing.sensor_cases import SENSOR_LAYERS
from physlayer.testing.subset_cases import SUBSET_LAYERS

__all__ = ["LAYERS", "LayerCase"]


def _lens(**pupil) -> IncoherentImaging:
    start = nn.Parameter(zernike_start(torch.Generator().manual_seed(0), 6))
    return IncoherentImaging(**OBJECTIVES["10x"], pitch_um=0.6, zernike_waves=start, **pupil)


def _light_given(layer: PhysicalLayer) -> tuple[float, float]:
    return float(layer.weights.detach().abs().sum(-1).max()) - 1e-6, layer.light_budget


LAYERS: tuple[LayerCase, ...] = (
    LayerCase("Blur", lambda: Blur(full(1.2))),
    LayerCase("Blur channel", lambda: Blur(full(0.8, 3, 1, 1), radius=6, border="zero")),
    LayerCase("Blur disc", lambda: Blur(disc_pixels=full(1.7))),
    LayerCase("Blur kernel", lambda: Blur(kernel=full(0.04, 5, 5), border="circular")),
    LayerCase("ShiftVariantBlur nodes", lambda: ShiftVariantBlur(demand(2, 3, 5, 7))),
    LayerCase("ShiftVariantBlur rank", lambda: ShiftVariantBlur(demand(3, 5, 5), demand(3, 4, 2), model="gather")),
    LayerCase("GaussianBlurMap", lambda: GaussianBlurMap(demand(3, 2), widths=5, border="zero")),
    LayerCase(
        "ColorFilterArray",
        lambda: ColorFilterArray(demand(4, 3, 2), transmission=nn.Parameter(filter_transmissions(leak=0.1))),
        total=lambda layer: (float(layer.physical()["tile"].sum(0).max()), 1),
    ),
    LayerCase(
        "ColorFilterArray packed",
        lambda: ColorFilterArray(demand(4, 4, 4), output="packed", relaxation="softmax", gumbel=True),
        shape=(3, 36, 28),
    ),
    LayerCase(
        "ColorFilterArray Bayer",
        lambda: ColorFilterArray(transmission=nn.Parameter(filter_transmissions(leak=0.1)), output="demosaicked"),
    ),
    LayerCase("ColorWeights", lambda: ColorWeights(demand(2, 3), constraint="simplex")),
    LayerCase(
        "SpectralFilters Gaussian",
        lambda: SpectralFilters(
            centre_nm=nn.Parameter(torch.tensor([450.0, 550.0])),
            width_nm=full(60.0, 2),
            quantum_efficiency=full(0.7, 71),
            exposure=full(1.2, 2),
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
        lambda: SpectralFilters(partition=demand(3, 71)),
        shape=(71, 5, 7),
        total=lambda layer: (float(layer.curves().detach().sum(0).max()) - 1e-6, 1.0),
    ),
    LayerCase(
        "SpectralFilters free",
        lambda: SpectralFilters(transmission=full(0.5, 2, 71), exposure=demand(2), sequential=True),
        shape=(71, 5, 7),
    ),
    LayerCase(
        "StainOpticalDensity",
        lambda: StainOpticalDensity(demand(3, 3), amount=full(1.3, 3), white=full(0.9)),
    ),
    LayerCase(
        "StainOpticalDensity concentrations",
        lambda: StainOpticalDensity(demand(3, 4), amount=full(1.3), white=full(0.9), input="concentrations"),
    ),
    LayerCase("IncoherentImaging", lambda: _lens(wavelength_um=(0.61, 0.54, 0.47), defocus_um=full(2.0))),
    LayerCase(
        "IncoherentImaging mask",
        lambda: _lens(
            wavelength_um=0.55,
            outer_radius=full(0.9),
            inner_radius=full(0.2),
            ring_radii=nn.Parameter(torch.tensor([0.4, 0.7])),
            ring_waves=nn.Parameter(torch.tensor([0.1, 0.3])),
            phase_map_waves=nn.Parameter(0.1 * demand(5, 5).detach()),
            amplitude_map=full(0.8, 3, 5, 5),
        ),
    ),
    LayerCase("IncoherentImaging range", lambda: _lens(wavelength_um=0.55, defocus_range_um=(-6.0, 6.0))),
    LayerCase(
        "CoherentImaging",
        lambda: CoherentImaging(
            9,
            illumination_waves=nn.Parameter(0.1 * demand(37, 31).detach()),
            aperture_waves=nn.Parameter(0.1 * demand(3, 37, 31).detach()),
            aperture_amplitude=full(0.8, 37, 31),
            tilt_cycles=nn.Parameter(torch.tensor([1.5, -2.0])),
        ),
    ),
    LayerCase(
        "CoherentImaging intensity",
        lambda: CoherentImaging(
            7, input="intensity", aperture_waves=nn.Parameter(demand(5, 5).detach()), size=(37, 31)
        ),
    ),
    LayerCase("LedIllumination", lambda: LedIllumination(demand(2, 3), light_budget=0.8), total=_light_given),
    LayerCase(
        "LedIllumination signed",
        lambda: LedIllumination(nn.Parameter(torch.tensor([0.5, -0.3, 0.2])), signed=True, output="exposures"),
        total=_light_given,
    ),
    *SENSOR_LAYERS,
    *SUBSET_LAYERS,
)
