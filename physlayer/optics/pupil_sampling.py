"""How finely a pupil is sampled: samples fine enough for the intensity, a window wide enough for what it spreads."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from physlayer.core.fft import fast_length
from physlayer.core.validation import plain_number
from physlayer.optics.pupil import pupil_grid

__all__ = ["lit_grid", "pupil_sampling"]

FEWEST_CELLS = 32  # of the pupil's radius: Zernike polynomials keep their rms within a percent
MOST_SAMPLES = 2048  # of the fine grid along one axis
REACH = 8.0  # half the window at least, λ/NA, beyond what defocus needs


def pupil_sampling(
    numerical_aperture: float,
    wavelength_um: Sequence[float],
    pitch_um: float,
    *,
    refractive_index: float = 1.0,
    defocus_um: float = 0.0,
    oversample: int | None = None,
    window_pixels: int | None = None,
) -> tuple[int, int]:
    r"""Samples per pixel, for a pitch of :math:`\lambda/4\mathrm{NA}` or less, and pixels along the window, both odd.

    Args:
        numerical_aperture: NA. wavelength_um: :math:`\lambda`, µm, of every channel. pitch_um: of the pixels, µm in the
            object. refractive_index: n at the object. defocus_um: the farthest from focus that is held, µm.
        oversample, window_pixels: what was asked for, ``None`` for enough.

    Raises:
        ValueError: if what was asked for is too little or even, or takes too many samples.

    Example:
        >>> pupil_sampling(0.25, [0.55], 0.6)
        (3, 125)
    """
    finest = min(wavelength_um) / (4 * numerical_aperture)
    wanted = math.ceil(pitch_um / finest * (1 - 1e-9))
    if oversample is None:
        oversample = wanted + 1 - wanted % 2
    oversample = plain_number("oversample", oversample, 1, 255, whole=True)
    if oversample < wanted or oversample % 2 == 0:
        raise ValueError(
            f"Expected oversample to be odd and at least {wanted}, so that samples are {finest:.3g} µm or finer, "
            f"but got {oversample}."
        )
    longest = max(wavelength_um)
    reach = REACH * longest / numerical_aperture + 1.25 * numerical_aperture * defocus_um / refractive_index
    least = math.ceil(FEWEST_CELLS * longest / (numerical_aperture * pitch_um) * (1 - 1e-9))
    if window_pixels is None:
        window_pixels = fast_length(max(least, math.ceil(2 * reach / pitch_um)), odd=True)
    window_pixels = plain_number("window_pixels", window_pixels, 1, 10**9, whole=True)
    if window_pixels < least or window_pixels % 2 == 0:
        raise ValueError(
            f"Expected window_pixels to be odd and at least {least}, so that the pupil has a radius of "
            f"{FEWEST_CELLS} cells, but got {window_pixels}."
        )
    if window_pixels * oversample > MOST_SAMPLES:
        raise ValueError(
            f"Expected a point spread function of at most {MOST_SAMPLES} samples along an axis, but got "
            f"{window_pixels * oversample}; lower the defocus or the aberrations, or bin the image first."
        )
    return oversample, window_pixels


def lit_grid(size: int, radii_cells: Tensor) -> tuple[Tensor, Tensor]:
    """The cells of :func:`.pupil_grid` that the largest pupil may light; those around it are dark and left out.

    Args:
        size: of the whole grid. radii_cells: of the pupils, ``(C,)``, cells.

    Example:
        >>> import torch
        >>> [axis.shape for axis in lit_grid(101, torch.tensor([20.0, 10.0]))]
        [torch.Size([2, 41, 41]), torch.Size([2, 41, 41])]
    """
    reach = math.ceil(float(radii_cells.max()))
    first, beyond = max(size // 2 - reach, 0), size // 2 + reach + 1
    x, y = (axis[:, first:beyond, first:beyond] for axis in pupil_grid(size, radii_cells))
    return x, y
