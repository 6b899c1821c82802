"""Larger pixels: area-integrating pixels of any rational size, with fill factor."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import one_number, one_of, plain_number
from physlayer.pixels.area_sampling import collect_area

__all__ = ["READINGS", "PixelBinning", "pixel_edges", "pixel_mtf", "pixels_along"]

READINGS = ("mean", "light")  # of a pixel: light per sensitive area, or the light that it collects


def check_fill(fill_factor: float | Tensor | nn.Parameter) -> None:
    """Refuse a share of the pixel's area that is no number, or so small that nothing would be read."""
    one_number("fill_factor", fill_factor)
    if not isinstance(fill_factor, nn.Parameter) and float(fill_factor) < 1e-4:
        raise ValueError(f"Expected fill_factor to be at least 1e-4, but got {float(fill_factor):g}.")


def pixels_along(size: int, factor: float) -> int:
    """Pixels that tile ``size`` scene pixels at a pitch near ``factor``."""
    return max(1, math.floor(size / factor + 0.5))


def pixel_edges(size: int, pixels: int, fill: Tensor, shift: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    r"""Edges of the light-sensitive part of ``pixels`` equal pixels over ``size`` scene pixels.

    .. math:: l_j, h_j = p\,(j + \tfrac12 + \delta) \mp \tfrac12 p\,f, \qquad p = \mathrm{size}/\mathrm{pixels}

    Args:
        size, pixels: scene pixels and sensor pixels along the axis. fill: :math:`f`, linear fill factor, unit 1.
        shift: :math:`\delta`, in sensor pixels.

    Example:
        >>> pixel_edges(4, 2, torch.tensor(0.5))
        (tensor([0.5000, 2.5000]), tensor([1.5000, 3.5000]))
    """
    pitch = size / pixels
    centre = pitch * (torch.arange(pixels, device=fill.device, dtype=fill.dtype) + 0.5 + shift)
    half = 0.5 * pitch * fill
    return centre - half, centre + half


def pixel_mtf(frequency: Tensor | float, pitch: float = 1.0, fill: Tensor | float = 1.0) -> Tensor:
    r"""Modulation transfer of a pixel, :math:`|\mathrm{sinc}(f\,p\,w)|`: 0.637 at Nyquist, a null at 1/p.

    Args:
        frequency: cycles per unit length. pitch: :math:`p`, that unit. fill: :math:`w`, linear fill factor.

    Example:
        >>> pixel_mtf(0.5).round(decimals=3)
        tensor(0.6370)
    """
    return torch.sinc(torch.as_tensor(frequency) * pitch * fill).abs()


class PixelBinning(PhysicalLayer):
    r"""A sensor with ``factor`` times larger pixels: each reads the mean light on its sensitive area.

    .. math::
        y_{jk} = \frac{1}{|A_{jk}|} \int_{A_{jk}} x\, dA, \qquad |A_{jk}| = f^2 p^2

    Any rational factor: the sensor has :math:`\lfloor H/\mathrm{factor} \rceil` rows that tile the scene, so the
    pitch :math:`p` may differ a little from ``factor``.

    Args:
        factor: scene pixels per sensor pixel along each axis, 1 or more.
        fill_factor: :math:`f^2`, share of a pixel's area that is sensitive, 0…1; ``nn.Parameter`` learns it.
        reading: ``"mean"`` light on the sensitive area, as an image; ``"light"`` that a pixel collects, in units of
            what it would without gaps (:math:`f^2 y`), so that gaps cost a :class:`physlayer.Sensor` behind photons.

    Shape:
        ``(B, C, H, W)`` to ``(B, C, H', W')``.

    References:
        Boreman 2001, doi:10.1117/3.419857 (footprint MTF).

    Example:
        >>> PixelBinning(2)(torch.arange(16.0).view(1, 1, 4, 4) / 16)[0, 0] * 16
        tensor([[ 2.5000,  4.5000],
                [10.5000, 12.5000]])
    """

    def __init__(self, factor: float, *, fill_factor: float | Tensor | nn.Parameter = 1.0, reading: str = "mean"):
        super().__init__()
        self.reading = one_of("reading", reading, READINGS)
        self.factor = plain_number("factor", factor, 1, 1e4)
        check_fill(fill_factor)
        self.register_physical("fill_factor", fill_factor, unit="1", low=0.0, high=1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        _, height, width = self.output_shape((x.shape[1], x.shape[2], x.shape[3]))
        fill = self.fill_factor.to(x.dtype).reshape(()).sqrt()
        light = collect_area(x, pixel_edges(x.shape[2], height, fill), pixel_edges(x.shape[3], width, fill))
        sensitive = fill**2 if self.reading == "mean" else 1.0
        return light / (sensitive * (x.shape[2] / height) * (x.shape[3] / width))

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape[0], pixels_along(shape[1], self.factor), pixels_along(shape[2], self.factor)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        light = {} if self.reading == "mean" else {"transmission": float(self.fill_factor.detach())}
        return super().cost(shape) | light

    def settings(self) -> dict:
        return {"factor": self.factor, "reading": self.reading}
