"""What all analogue-to-digital converters share: gain and offset before the comparators, codes, bits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.base import PhysicalLayer
from physlayer.checks import check_images, plain_number
from physlayer.quantize import Grid, codes_of, quantize

__all__ = ["Converter", "full_size"]


def full_size(value: Tensor, x_shape: tuple[int, ...], name: str, size: tuple[int, int] | None) -> Tensor:
    """Bring a quantity to a shape that broadcasts over ``(B, C, H, W)``; a coarse grid is upsampled bilinearly.

    Raises:
        ValueError: if a map has neither the size of the image nor a stated coarse grid.
    """
    if value.ndim < 2:
        if value.numel() > 1:
            raise ValueError(
                f"Expected {name} to be a scalar, (C, 1, 1), (H, W) or (C, H, W), but got {tuple(value.shape)}; "
                f"for one value per channel use nn.Parameter(torch.ones(C, 1, 1)) or a plain tensor of that shape."
            )
        return value.reshape(1, 1, 1, 1)
    if value.ndim > 4 or (value.ndim == 4 and value.shape[0] != 1):
        raise ValueError(
            f"Expected {name} to be a number, (C, 1, 1), (H, W) or (C, H, W), but got {tuple(value.shape)}."
        )
    value = value.reshape((1,) * (4 - value.ndim) + tuple(value.shape))
    channels, height, width = x_shape[-3:]
    if value.shape[1] not in (1, channels):
        raise ValueError(f"Expected {name} to have 1 or {channels} channels, but got {value.shape[1]}.")
    if tuple(value.shape[2:]) in ((1, 1), (height, width)):
        return value
    if (height, width) == (value.shape[3], value.shape[2]):
        raise ValueError(
            f"Expected {name} to be a map of {height}×{width} pixels (rows × columns), but got "
            f"{value.shape[2]}×{value.shape[3]}, which looks transposed; use {name}.mT."
        )
    if value.shape[2] > height or value.shape[3] > width:
        raise ValueError(
            f"Expected {name} to be no larger than the image's {height}×{width} pixels, but got "
            f"{value.shape[2]}×{value.shape[3]}."
        )
    if size is None:
        raise ValueError(
            f"Expected {name} to be a map of the image's {height}×{width} pixels, but got "
            f"{value.shape[2]}×{value.shape[3]}; for a coarse grid pass size=({height}, {width})."
        )
    if (height, width) != tuple(size):
        raise ValueError(f"Expected images of size={tuple(size)} pixels, but got {height}×{width}.")
    return F.interpolate(value, size=size, mode="bilinear", align_corners=False)


class Converter(PhysicalLayer):
    """Base of the converters with an analogue gain and offset: subclasses say only which staircase.

    The reading is not divided by the gain again: that would be a digital step, and belongs to the network.
    """

    def __init__(
        self,
        gain: float | Tensor | nn.Parameter,
        offset: float | Tensor | nn.Parameter,
        size: tuple[int, int] | None,
        leak: float,
    ):
        super().__init__()
        # the smallest leak is not 0: that would let saturated pixels die
        self.leak = plain_number("leak", leak, 1e-6, 1.0)
        if size is not None and not (isinstance(size, tuple | list | torch.Size) and len(size) == 2 and min(size) >= 1):
            raise ValueError(f"Expected size to be (height, width) of the images, but got {size!r}.")
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.register_physical("gain", gain, unit="1", low=0.0)
        self.register_physical("offset", offset, unit="full scale")

    def grid(self, x_shape: tuple[int, ...]) -> Grid:
        """The staircase for images of this shape."""
        raise NotImplementedError

    def analogue(self, x_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Gain and offset, broadcastable over the images."""
        gain = full_size(self.gain, x_shape, "gain", self.size)
        return gain, full_size(self.offset, x_shape, "offset", self.size)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return quantize(x, self.grid(x.shape), *self.analogue(x.shape), self.leak)

    def codes(self, x: Tensor) -> Tensor:
        """Integer codes the converter puts out, int64, 0 … 2^bits − 1."""
        check_images(x, full=True)
        with torch.no_grad():
            return codes_of(x, self.grid(x.shape), *self.analogue(x.shape))

    def mean_bits_per_sample(self) -> float:
        """Bits that one sample (one pixel of one channel) costs, on average."""
        raise NotImplementedError

    def settings(self) -> dict:
        return {} if self.size is None else {"size": list(self.size)}

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        bits = self.mean_bits_per_sample() * math.prod(shape)
        return super().cost(shape) | {"bits_per_image": int(bits) if float(bits).is_integer() else bits}
