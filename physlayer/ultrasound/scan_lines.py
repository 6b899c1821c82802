"""Scan lines on a grid of pixels: a beam narrower than a pixel, and the field behind beam and pulse."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.core.fft import fast_length
from physlayer.core.field import intensity
from physlayer.ultrasound.beam import lateral_spread

__all__ = ["along_depth", "pixel_spread", "scanned"]

NEAR = 2  # pixels to either side of a scan line over which a narrow beam is averaged
PHASE_FLOOR = 1e-3  # of the mean power of a pixel: where the beam in its middle is weaker, it is left so


def pixel_spread(
    weights: Tensor,
    depth_mm: Tensor,
    columns: int,
    column_mm: float,
    *,
    oversample: int = 1,
    pitch_mm: float,
    wavelength_mm: float | Tensor,
    focus_mm: float | Tensor | None,
    receive: str = "dynamic",
    element_width_mm: float = 0.0,
) -> Tensor:
    """Answer of a scan line to a point in each pixel of a row: :func:`.lateral_spread` on a grid.

    A beam narrower than a pixel is seen as its rms over the pixel, with the phase in its middle: what many scatterers
    of any phase send back.

    Args:
        weights, depth_mm: as there. columns: W, of the scene. column_mm: their distance.
        oversample: places in each of the pixels next to the line at which the beam is taken; 1 takes the middle.
        pitch_mm, wavelength_mm, focus_mm, receive, element_width_mm: of the array, as there.

    Returns:
        ``(…, H, 2 W - 1)``, complex; offsets, point minus line, from −(W − 1) to W − 1 pixels.

    Example:
        >>> kinds = {"pitch_mm": 0.1, "wavelength_mm": 0.1, "focus_mm": None}  # first null at λ z / D = 2 mm
        >>> pixel_spread(torch.ones(10), torch.tensor([20.0]), 2, 2.0, **kinds).abs().round(decimals=3)
        tensor([[0., 1., 0.]])
        >>> pixel_spread(torch.ones(10), torch.tensor([20.0]), 2, 3.0, oversample=9, **kinds).abs().round(decimals=2)
        tensor([[0.0300, 0.6700, 0.0300]])
    """
    answer = functools.partial(
        lateral_spread, weights, depth_mm, pitch_mm=pitch_mm, wavelength_mm=wavelength_mm, focus_mm=focus_mm,
        receive=receive, element_width_mm=element_width_mm,
    )  # fmt: skip
    offset = torch.arange(1 - columns, columns, device=weights.device, dtype=weights.dtype)
    spread = answer(column_mm * offset)
    if oversample == 1:
        return spread
    first = max(0, columns - 1 - NEAR)
    inside = torch.arange(oversample, device=weights.device, dtype=weights.dtype)
    inside = (inside - (oversample - 1) / 2) / oversample
    near = slice(first, len(offset) - first)
    places = (offset[near, None] + inside).flatten()
    power = intensity(answer(column_mm * places)).unflatten(-1, (-1, oversample)).mean(-1)
    middle = spread[..., near]
    tiny = torch.finfo(power.dtype).tiny
    rms = middle * ((power + tiny) / (intensity(middle) + PHASE_FLOOR * power + tiny)).sqrt()
    return torch.cat([spread[..., :first], rms, spread[..., len(offset) - first :]], -1)


def scanned(field: Tensor, spread: Tensor) -> Tensor:
    """The field that the scan lines see: every row through its own spread, dark outside.

    Args:
        field: ``(B, C, H, W)``, complex. spread: ``(B or 1, H, 2 W - 1)``, from :func:`pixel_spread`.

    Example:
        >>> field, spread = torch.tensor([1 + 0j, 0j]), torch.tensor([0j, 1 + 0j, 0.5j])  # seen from one line beside
        >>> scanned(field.view(1, 1, 1, 2), spread.view(1, 1, 3)).flatten().abs()
        tensor([1., 0.])
        >>> scanned(field.flip(0).view(1, 1, 1, 2), spread.view(1, 1, 3)).flatten().abs()
        tensor([0.5000, 1.0000])
    """
    columns = field.shape[-1]
    length = fast_length(2 * columns - 1)
    # offsets are point minus line, those of a convolution are line minus point
    spectrum = torch.fft.fft(spread.flip(-1), n=length)[:, None] * torch.fft.fft(field, n=length)
    return torch.fft.ifft(spectrum)[..., columns - 1 : 2 * columns - 1]


def along_depth(field: Tensor, pulse: Tensor) -> Tensor:
    """The field convolved with a real, symmetric pulse down its columns, dark outside, ``(B, C, H, W)`` to the same.

    Args:
        field: complex. pulse: ``(2 r + 1,)``, from :func:`physlayer.ultrasound.beam.axial_pulse`.

    Example:
        >>> along_depth(torch.tensor([0j, 2j, 0j]).view(1, 1, 3, 1), torch.tensor([0.5, 1.0, 0.5])).flatten().imag
        tensor([1., 2., 1.])
    """
    parts = torch.view_as_real(field).movedim(-1, 0)  # a convolution of complex images is slow on processors
    flat = parts.reshape(-1, 1, *field.shape[2:])
    seen = F.conv2d(flat, pulse.to(flat.dtype)[None, None, :, None], padding=(len(pulse) // 2, 0))
    return torch.complex(*seen.reshape(parts.shape))
