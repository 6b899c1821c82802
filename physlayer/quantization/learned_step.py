"""Learned step size quantization (LSQ) of the whole sensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import above_zero, check_bits, check_images, one_number
from physlayer.quantization.quantizers import blocks, nearest_code

__all__ = ["LearnedStep", "quantize_lsq"]


def quantize_lsq(x: Tensor, step: Tensor, top_code: int, gradient_scale: float = 1.0) -> Tensor:
    r"""Learned step size quantization, unsigned.

    .. math::
        \hat v = s \,\lfloor \mathrm{clip}(v/s, 0, Q_P) \rceil

    Surrogate (Esser et al. 2020): :math:`\partial\hat v/\partial v = 1` for :math:`0 \le v/s < Q_P`, else 0;
    :math:`\partial\hat v/\partial s = \lfloor v/s \rceil - v/s` inside, 0 below and :math:`Q_P` from
    :math:`Q_P` up, times ``gradient_scale``. Halves round up.

    Args:
        x: :math:`v`, one axis or more. step: :math:`s > 0`, scalar, unit of ``x``. top_code: :math:`Q_P = 2^b - 1`.
        gradient_scale: the paper uses :math:`1/\sqrt{N Q_P}`.

    References:
        Esser et al. 2020, *Learned step size quantization*, arXiv:1902.08153.

    Example:
        >>> quantize_lsq(torch.tensor([-0.1, 0.05, 0.3, 0.55, 0.9]), torch.tensor(0.25), 3)
        tensor([0.0000, 0.0000, 0.2500, 0.5000, 0.7500])
    """
    if x.ndim == 0:
        raise ValueError("Expected x to have at least one axis, but got a scalar; use x.reshape(1).")
    return _LearnedStep.apply(x, step.to(x.dtype), top_code, gradient_scale)


class _LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, step, top_code, gradient_scale):
        ctx.save_for_backward(x, step)
        ctx.top_code, ctx.gradient_scale = top_code, gradient_scale
        out = torch.empty_like(x)
        for start, stop in blocks(x):
            y = torch.div(x[start:stop], step, out=out[start:stop])
            y.clamp_(0, top_code).add_(0.5).floor_().clamp_(max=top_code).mul_(step)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, step = ctx.saved_tensors
        grad_x, grad_step = torch.empty_like(x), torch.zeros_like(step)
        for start, stop in blocks(x):
            ratio, g = x[start:stop] / step, grad[start:stop]
            saturated = ratio.ge(ctx.top_code)
            inside = torch.clamp(ratio, min=0).eq_(ratio).masked_fill_(saturated, 0)
            torch.mul(g, inside, out=grad_x[start:stop])
            slope = torch.add(ratio, 0.5).floor_().sub_(ratio).mul_(inside).masked_fill_(saturated, ctx.top_code)
            grad_step += torch.dot(g.reshape(-1), slope.reshape(-1))
        return grad_x, grad_step * ctx.gradient_scale, None, None


class LearnedStep(PhysicalLayer):
    r"""A converter of ``bits`` bits whose step, hence full scale, is learned (LSQ).

    .. math::
        y = s\,\lfloor \mathrm{clip}(x/s, 0, 2^b - 1) \rceil

    The reading keeps the scale of the scene. Surrogate gradient: :func:`quantize_lsq`, exactly the paper's.

    Args:
        bits: 1…16.
        step: :math:`s > 0` in full scales, scalar; ``nn.Parameter`` to learn it, ``None`` for a learned one
            that starts at one part in :math:`2^b - 1`.
        scale_gradient: use the paper's :math:`1/\sqrt{N Q_P}` with N the samples of one image.

    Shape:
        ``(B, C, H, W)`` to the same.

    References:
        Esser et al. 2020, arXiv:1902.08153.

    Example:
        >>> LearnedStep(2)
        LearnedStep(bits=2, step=0.333333 full scale (learned, in (0, inf)))
    """

    def __init__(self, bits: int, step: float | Tensor | nn.Parameter | None = None, *, scale_gradient: bool = True):
        super().__init__()
        self.bits = check_bits(bits)
        self.top_code = 2**self.bits - 1
        step = nn.Parameter(torch.tensor(1.0 / self.top_code)) if step is None else step
        one_number("step", step, "BitDepth has maps")
        self.register_physical("step", step, unit="full scale", low=0.0)
        above_zero("step", step, "the reading is a multiple of it")
        self.scale_gradient = scale_gradient

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        scale = 1 / math.sqrt(x[0].numel() * self.top_code) if self.scale_gradient else 1.0
        return quantize_lsq(x, self.step, self.top_code, scale)

    def codes(self, x: Tensor) -> Tensor:
        """Integer codes, int64, 0 … 2^bits − 1."""
        check_images(x, full=True)
        return nearest_code(x / self.step, self.top_code).to(torch.int64)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        return super().cost(shape) | {"bits_per_image": self.bits * math.prod(shape)}

    def settings(self) -> dict:
        return {"bits": self.bits}
