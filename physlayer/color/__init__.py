"""What distinguishes wavelengths: colour filter arrays, spectral filters, stains, weights of channels."""

from physlayer.color.cfa_patterns import PATTERNS, filter_transmissions, pattern_from_code, pattern_rows, tile_from_rows
from physlayer.color.cfa_tile import annealed_sharpness
from physlayer.color.color_filter_array import ColorFilterArray
from physlayer.color.color_weights import ColorWeights
from physlayer.color.mosaicking import PLACES, demosaick, filter_planes, mosaic, pack_phases
from physlayer.color.spectra import (
    FLUOROPHORES,
    cell_borders,
    emission_spectra,
    gaussian_curve,
    rgb_camera_curves,
    trapezoid_weights,
    wavelength_axis,
)
from physlayer.color.spectral_filters import SpectralFilters, band_curves
from physlayer.color.srgb import linear_to_srgb, srgb_to_linear
from physlayer.color.stains import (
    STAINS,
    StainOpticalDensity,
    light_through,
    optical_density,
    stain_vectors,
    unmix_density,
)
from physlayer.color.unmixing import cramer_rao_bound, unmixing_matrix

__all__ = [
    "FLUOROPHORES",
    "PATTERNS",
    "PLACES",
    "STAINS",
    "ColorFilterArray",
    "ColorWeights",
    "SpectralFilters",
    "StainOpticalDensity",
    "annealed_sharpness",
    "band_curves",
    "cell_borders",
    "cramer_rao_bound",
    "demosaick",
    "emission_spectra",
    "filter_planes",
    "filter_transmissions",
    "gaussian_curve",
    "light_through",
    "linear_to_srgb",
    "mosaic",
    "optical_density",
    "pack_phases",
    "pattern_from_code",
    "pattern_rows",
    "rgb_camera_curves",
    "srgb_to_linear",
    "stain_vectors",
    "tile_from_rows",
    "trapezoid_weights",
    "unmix_density",
    "unmixing_matrix",
    "wavelength_axis",
]
