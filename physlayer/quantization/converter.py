"""What all analogue-to-digital converters share: gain and offset before the comparators, codes, bits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import check_images, image_size, plain_number
from physlayer.quantization.quantizers import Grid, codes_of, quantize

__all__ = ["Converter"]


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
        self.size = None if size is None else image_size(size)
        self.register_physical("gain", gain, unit="1", low=0.0)
        self.register_physical("offset", offset, unit="full scale")

    def grid(self, x_shape: tuple[int, ...]) -> Grid:
        """The staircase for images of this shape."""
        raise NotImplementedError

    def analogue(self, x_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Gain and offset, broadcastable over the images."""
        gain = self.sized("gain", x_shape)
        return gain, self.sized("offset", x_shape)

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
