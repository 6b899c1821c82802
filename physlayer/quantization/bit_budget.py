"""Whole-number bits per pixel, learned under a hard total."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.allocation import allocate_through
from physlayer.core.broadcast import full_size
from physlayer.core.quantity import Quantity
from physlayer.core.validation import plain_number
from physlayer.quantization.converter import Converter
from physlayer.quantization.quantizers import BlockSum, Grid, blocks, quantize

__all__ = ["BitBudget", "quantize_bits"]


def bit_grid(bits: Tensor) -> Grid:
    """Mid-tread staircase with a number of bits per pixel; a pixel of 0 bits reads a constant 0."""
    steps = torch.exp2(bits) - 1
    # At 0 bits there is no step: divide by 1 so that the one code, 0, reads 0 and not 0/0.
    return Grid(steps, 0.5, steps, 0.0, steps.clamp(min=1))


def quantize_bits(x: Tensor, bits: Tensor, gain: Tensor, offset: Tensor, leak: float) -> Tensor:
    r"""Quantize with ``bits`` per pixel, with the learned-step surrogate for the bits.

    The error of a converter shrinks as :math:`2^{-b}`, so with the reading written as signal plus error

    .. math::
        \frac{\partial y_u}{\partial b_u} = \ln 2\,\bigl(\mathrm{clip}(v_u, 0, 1) - y_u\bigr), \qquad v = g x + o.

    This is the step gradient of LSQ at a step of :math:`2^{-b}`. For a squared error its mean is minus
    :math:`2 \ln 2` times the error variance, so pixels trade bits until their errors are equal: reverse
    water-filling. Gradients to ``x``, ``gain`` and ``offset`` are those of :func:`.quantize`; a
    pixel of 0 bits passes none of these, but its bits keep theirs, so it can come back.

    References:
        Esser et al. 2020, arXiv:1902.08153.
    """
    y = quantize(x, bit_grid(bits.detach()), gain, offset, leak)
    if not bits.requires_grad:
        return y
    return _BitGradient.apply(y, bits, x.detach(), gain.detach(), offset.detach())


class _BitGradient(torch.autograd.Function):
    """The reading unchanged forward; the error of each pixel times ln 2 to its bits backward."""

    @staticmethod
    def forward(ctx, y, bits, x, gain, offset):
        ctx.save_for_backward(y, bits, x, gain, offset)
        return y.view_as(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        y, bits, x, gain, offset = ctx.saved_tensors
        total = BlockSum(bits)
        for start, stop in blocks(x):
            error = torch.mul(x[start:stop], gain).add_(offset).clamp_(0, 1).sub_(y[start:stop])
            total.add(error.mul_(grad[start:stop]))
        return grad, total.total.mul_(math.log(2)), None, None, None


class BitBudget(Converter):
    r"""A converter with its own whole number of bits at every pixel and a hard total over the sensor.

    .. math::
        b = \mathrm{allocate}(\theta,\ \lfloor \bar b\,N \rfloor), \qquad
        y = \frac{\mathrm{clip}(\lfloor (g x + o)(2^b - 1) + 1/2 \rfloor, 0, 2^b - 1)}{2^b - 1}

    :math:`b \in \{0, 1, \dots, b_\mathrm{max}\}` is whole in ``train()`` and ``eval()`` alike, and its mean is
    never above :math:`\bar b`. A pixel of 0 bits reads 0 whatever the light. The attribute ``bits`` is :math:`b`,
    ``demand_bits`` holds the demands :math:`\theta`, in bits; gradients reach them through :func:`quantize_bits` and
    :func:`.allocate_through`. All channels of a pixel share its bits unless the map has C channels.

    Args:
        bits: demand per pixel, ``(H, W)``, ``(1, H, W)`` or ``(C, H, W)``, in bits; ``nn.Parameter`` to learn it.
            A coarse grid with ``size`` is upsampled bilinearly before the bits are counted out. A plain map
            without ``size`` is taken as it is: whole numbers, mean at most ``mean_bits``.
        mean_bits: :math:`\bar b`, mean bits per sample over the sensor.
        most: :math:`b_\mathrm{max}`, 1…16.
        gain, offset, size, leak: as in :class:`physlayer.BitDepth`.

    Raises:
        ValueError: for a mean above ``most``, or a map that does not fit the image.

    References:
        Huang & Schultheiss 1963, doi:10.1109/TCOM.1963.1088759 (bits follow variance, the check in the tests).

    Example:
        >>> layer = BitBudget(nn.Parameter(torch.tensor([[0.5, 3.0], [0.4, 0.1]])), mean_bits=1.0)
        >>> layer.bits.detach()
        tensor([[[1., 3.],
                 [0., 0.]]])
    """

    def __init__(
        self,
        bits: Tensor | nn.Parameter,
        *,
        mean_bits: float,
        most: int = 8,
        gain: float | Tensor | nn.Parameter = 1.0,
        offset: float | Tensor | nn.Parameter = 0.0,
        size: tuple[int, int] | None = None,
        leak: float = 0.01,
    ):
        super().__init__(gain, offset, size, leak)
        most = plain_number("most", most, 1, 16, whole=True)
        mean_bits = plain_number("mean_bits", mean_bits, 0, 16)
        if not 0 < mean_bits <= most:
            raise ValueError(
                f"Expected mean_bits to lie in (0, {most}], but got {mean_bits}; raise most or ask for less."
            )
        if not isinstance(bits, Tensor) or bits.ndim not in (2, 3):
            raise ValueError(
                "Expected bits to be a map (H, W) or (C, H, W); for the same bits everywhere use BitDepth."
            )
        self.mean_bits, self.most = mean_bits, most
        self.given = not isinstance(bits, nn.Parameter) and size is None
        if self.given and (bool((bits != bits.round()).any()) or float(bits.double().mean()) > mean_bits + 1e-9):
            raise ValueError(
                f"Expected a fixed map of bits to hold whole numbers with a mean of at most {mean_bits:g}, but got "
                f"a mean of {float(bits.double().mean()):g}; use allocate(demand, total, high=most) to make one."
            )
        # Half a bit of room on either side lets 0 and `most` be reached without saturating the bound.
        demand = Quantity("demand_bits", "bit", -0.5, most + 0.5)
        self.register_physical("bits", bits, unit="bit", low=0.0, high=float(most), free=demand)

    @property
    def bits(self) -> Tensor:
        """Whole bits at every pixel, ``(1 or C, H, W)``, with the gradient to the demands."""
        height, width = self.size or self.demand_bits.shape[-2:]
        demand = full_size(self.demand_bits, (1, *self.demand_bits.shape[:-2], height, width), "bits", self.size)[0]
        if self.given:
            return demand
        total = int(self.mean_bits * demand.numel() + 1e-6)
        return allocate_through(demand, total, low=0, high=self.most)

    def grid(self, x_shape: tuple[int, ...]) -> Grid:
        return bit_grid(self.sized("bits", x_shape).detach())

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return quantize_bits(x, self.sized("bits", x.shape), *self.analogue(x.shape), self.leak)

    def mean_bits_per_sample(self) -> float:
        return float(self.bits.detach().mean(dtype=torch.float64))

    def settings(self) -> dict:
        return {"mean_bits": self.mean_bits, "most": self.most} | super().settings()
