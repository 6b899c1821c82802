"""Light before it reaches the sensor: blur, lenses and their pupils, coherent light, illumination."""

from physlayer.optics.blur import Blur, disc_kernel, gaussian_kernel
from physlayer.optics.coherent import (
    CoherentImaging,
    aperture_cells,
    coherent_image,
    plane_wave,
    round_aperture,
    thin_sample,
)
from physlayer.optics.convolution import BORDERS, bordered, convolve
from physlayer.optics.illumination import LedIllumination, coherent_sum, led_grid, led_stack, led_tilts
from physlayer.optics.incoherent import IncoherentImaging
from physlayer.optics.nodes import from_nodes, node_weights
from physlayer.optics.pupil import (
    OBJECTIVES,
    airy_radius_um,
    border_energy,
    cutoff_per_um,
    defocus_waves,
    depth_of_field_um,
    disc,
    modulation,
    point_spread,
    pupil_grid,
    sample_map,
)
from physlayer.optics.pupil_layer import PupilLayer
from physlayer.optics.shift_variant_blur import GaussianBlurMap, ShiftVariantBlur
from physlayer.optics.shift_variant_convolution import gather, scatter
from physlayer.optics.zernike import noll_indices, zernike, zernike_start

__all__ = [
    "BORDERS",
    "OBJECTIVES",
    "Blur",
    "CoherentImaging",
    "GaussianBlurMap",
    "IncoherentImaging",
    "LedIllumination",
    "PupilLayer",
    "ShiftVariantBlur",
    "airy_radius_um",
    "aperture_cells",
    "border_energy",
    "bordered",
    "coherent_image",
    "coherent_sum",
    "convolve",
    "cutoff_per_um",
    "defocus_waves",
    "depth_of_field_um",
    "disc",
    "disc_kernel",
    "from_nodes",
    "gather",
    "gaussian_kernel",
    "led_grid",
    "led_stack",
    "led_tilts",
    "modulation",
    "node_weights",
    "noll_indices",
    "plane_wave",
    "point_spread",
    "pupil_grid",
    "round_aperture",
    "sample_map",
    "scatter",
    "thin_sample",
    "zernike",
    "zernike_start",
]
