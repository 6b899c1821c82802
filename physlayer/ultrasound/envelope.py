"""What an ultrasound scanner shows of the field: its envelope, on a logarithmic scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.field import PARTS, field_of
from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import Accepts, above_zero, one_of

__all__ = ["Envelope", "LogCompression", "log_compress", "power_envelope"]

INPUTS = ("field", "parts")
DARKEST = 1e-4  # below, the slope of a power under 1 is no larger
LEAK = 0.01  # of the surrogate gradient outside the dynamic range, as of a saturated pixel


def power_envelope(field: Tensor, exponent: Tensor) -> Tensor:
    r"""Magnitude of a complex field to a power, :math:`|x|^p`.

    Surrogate: below :math:`|x| = 10^{-4}` the slope with respect to the magnitude stays at :math:`p\,10^{-4(p-1)}`,
    which is finite for p < 1; where the field is 0 its direction is unknown and the gradient is 0.

    Example:
        >>> power_envelope(torch.tensor([0j, 3 + 4j]), torch.tensor(2.0))
        tensor([ 0., 25.])
    """
    magnitude = field.abs()
    dark = magnitude < DARKEST
    value = torch.where(dark, DARKEST, magnitude) ** exponent
    held = magnitude.detach()
    exact, slope = held ** exponent.detach(), exponent.detach() * DARKEST ** (exponent.detach() - 1)
    return torch.where(dark, exact + slope * (magnitude - held), value)


class Envelope(PhysicalLayer):
    r"""Magnitude of a complex field, to a power, :math:`y = |x|^p`.

    It is the only step of the chain that is not linear in the field, so beams, elements and pulses belong before it and
    means over pixels after it. Surrogate near 0: :func:`power_envelope`.

    Args:
        exponent: :math:`p`, 0…2: 1 for the envelope, 2 for the intensity, below 1 for compression; ``nn.Parameter``
            learns it.
        input: ``"field"``, complex, or ``"parts"``, real parts and behind them imaginary parts as twice the channels.

    Shape:
        ``(B, C, H, W)`` complex, or ``(B, 2C, H, W)`` real, to ``(B, C, H, W)`` real.

    Raises:
        TypeError: for real images where a field is expected, or the reverse.
        ValueError: for an odd number of parts, or an unknown input.

    References:
        Szabo 2014, Diagnostic Ultrasound Imaging, chapter 8.

    Example:
        >>> Envelope()(torch.full((1, 1, 1, 1), 3 + 4j))
        tensor([[[[5.]]]])
    """

    def __init__(self, exponent: float | Tensor | nn.Parameter = 1.0, *, input: str = "field"):
        super().__init__()
        self.input = one_of("input", input, INPUTS)
        self.accepts = Accepts(complex=True) if input == "field" else PARTS
        self.register_physical("exponent", exponent, unit="1", low=0.0, high=2.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        field = x if self.input == "field" else field_of(x)
        return power_envelope(field, self.sized("exponent", field.shape))

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape if self.input == "field" else (shape[0] // 2, *shape[1:])

    def settings(self) -> dict:
        return {"input": self.input}


def log_compress(x: Tensor, dynamic_range_db: Tensor, reference: Tensor) -> Tensor:
    r"""Logarithmic scale of a display, :math:`\mathrm{clip}(1 + 20 \log_{10}(x/r) / D,\; 0,\; 1)`.

    Surrogate: outside the range, where the slope of the display is 0, the gradient is a hundredth of that of the
    logarithm above, and of its tangent at the floor :math:`r\,10^{-D/20}` below, which is finite at x = 0.

    Args:
        x: envelope, 0 or more. dynamic_range_db: :math:`D`, dB. reference: :math:`r`, shown as 1, unit of x.

    Example:
        >>> log_compress(torch.tensor([0.0, 0.001, 0.1, 1.0, 3.0]), torch.tensor(40.0), torch.tensor(1.0))
        tensor([0.0000, 0.0000, 0.5000, 1.0000, 1.0000])
    """
    floor = reference * torch.exp(-dynamic_range_db * (math.log(10) / 20))
    scale = 20 / (math.log(10) * dynamic_range_db)
    dark = x <= floor
    value = 1 + scale * torch.log(torch.where(dark, floor, x) / reference)
    tangent = scale * (x / floor - 1)
    bright = value >= 1
    leaking = torch.where(dark, tangent, value)
    shown = torch.where(dark | bright, bright.to(x.dtype), value)
    return torch.where(dark | bright, shown + LEAK * (leaking - leaking.detach()), shown)


class LogCompression(PhysicalLayer):
    r"""The display of a scanner: the envelope in decibels below a reference, cut to its dynamic range.

    .. math:: y = \mathrm{clip}\bigl(1 + 20 \log_{10}(x/r)/D,\; 0,\; 1\bigr)

    Surrogate outside the range: :func:`log_compress`.

    Args:
        dynamic_range_db: :math:`D`, dB, 1…200: one number, per channel ``(C, 1, 1)`` or a map.
        reference: :math:`r`, full scale, above 0, shown as 1; learned by its logarithm. A map ``(H, W)`` whose rows
            follow the echo of each depth is time-gain compensation.

    Shape:
        ``(B, C, H, W)``, envelopes of 0 or more, to the same, 0…1.

    Raises:
        ValueError: for negative images, or quantities out of range.

    References:
        Szabo 2014, Diagnostic Ultrasound Imaging, chapter 10.

    Example:
        >>> LogCompression(60.0)(torch.tensor([1e-4, 0.01, 1.0]).view(1, 1, 1, 3)).flatten()
        tensor([0.0000, 0.3333, 1.0000])
        >>> LogCompression(nn.Parameter(torch.tensor(60.0)))
        LogCompression(dynamic_range_db=60 dB (learned, in (1, 200)), reference=1 full scale (fixed))
    """

    accepts = Accepts(low=0.0)

    def __init__(
        self,
        dynamic_range_db: float | Tensor | nn.Parameter = 60.0,
        *,
        reference: float | Tensor | nn.Parameter = 1.0,
    ):
        super().__init__()
        self.register_physical("dynamic_range_db", dynamic_range_db, unit="dB", low=1.0, high=200.0)
        self.register_physical("reference", reference, unit="full scale", low=0.0, logarithmic=True)
        above_zero("reference", reference, "it is what decibels are counted from")

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return log_compress(x, self.sized("dynamic_range_db", x.shape), self.sized("reference", x.shape))
