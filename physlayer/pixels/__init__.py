"""Geometry of the photosites: larger pixels, pixels of learned sizes and shapes, several cameras."""

from physlayer.pixels.area_sampling import collect, collect_area, coverage
from physlayer.pixels.binning import READINGS, PixelBinning, pixel_edges, pixel_mtf, pixels_along
from physlayer.pixels.camera_array import CameraArray, lattice_shifts
from physlayer.pixels.power_diagram import cell_areas, cell_shares, collect_cells, power_distance, spread_cells
from physlayer.pixels.power_layout import PowerLayout
from physlayer.pixels.separable_layout import PixelLayout, layout_edges
from physlayer.pixels.sites import grid_sites, log_polar_sites, random_sites, reseed_sites

__all__ = [
    "READINGS",
    "CameraArray",
    "PixelBinning",
    "PixelLayout",
    "PowerLayout",
    "cell_areas",
    "cell_shares",
    "collect",
    "collect_area",
    "collect_cells",
    "coverage",
    "grid_sites",
    "lattice_shifts",
    "layout_edges",
    "log_polar_sites",
    "pixel_edges",
    "pixel_mtf",
    "pixels_along",
    "power_distance",
    "random_sites",
    "reseed_sites",
    "spread_cells",
]
