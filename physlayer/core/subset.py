r"""Choose k of N: exactly k ones forward, a relaxed choice backward.

The one rule behind every choice of hardware: pixels that are read, k-space lines, ultrasound elements, filters of a
mosaic (k = 1 over the library), views of a scanner. Shares above one (bits per pixel) are :mod:`.allocation`'s.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from physlayer.core.allocation import GOLDEN

__all__ = ["choose", "inclusion"]

BISECTIONS = 40  # halvings of the price of a place: float32 holds no more


def inclusion(logits: Tensor, k: int, temperature: float) -> Tensor:
    r"""Soft share of each place, :math:`s_i = \sigma((d_i - \tau)/T)` with :math:`\sum_i s_i = k`, over the last axis.

    Example:
        >>> inclusion(torch.tensor([0.0, 0.0, 9.0]), 1, 0.5).sum().round(decimals=4)
        tensor(1.)
    """
    count = logits.shape[-1]
    spread = temperature * (math.log(count * 8) + 1)
    low, high = logits.amin(-1, keepdim=True) - spread, logits.amax(-1, keepdim=True) + spread
    for _ in range(BISECTIONS):
        price = (low + high) / 2
        over = torch.sigmoid((logits - price) / temperature).sum(-1, keepdim=True) > k
        low, high = torch.where(over, price, low), torch.where(over, high, price)
    return torch.sigmoid((logits - (low + high) / 2) / temperature)


def choose(logits: Tensor, k: int, *, axes: int = 1, temperature: float = 2.0, gumbel: Tensor | None = None) -> Tensor:
    r"""Mask with exactly ``k`` ones where ``logits`` are largest, over the last ``axes`` axes.

    .. math::
        m = \mathrm{TopK}(\phi + g), \qquad
        \frac{\partial L}{\partial\phi_i} := w_i\Bigl(\frac{\partial L}{\partial m_i}
        - \frac{\sum_j w_j\,\partial L/\partial m_j}{\sum_j w_j}\Bigr), \quad w = \frac{s(1-s)}{T}

    Surrogate: the exact gradient of :func:`inclusion`, which meets the budget too, so :math:`\sum_i \partial L /
    \partial\phi_i = 0`. It costs a sort and no loop over k, and is not the Jacobian of Huijben's sequence of
    softmaxes, which needs k of them.

    Args:
        logits: :math:`\phi`, any shape, unit 1. k: ones per mask. axes: trailing axes that share one budget.
        temperature: :math:`T`, unit 1: how far from the border of the choice a place still learns.
        gumbel: :math:`g`, of the shape of the mask (it may have a batch axis more), or ``None`` for no noise. With
            it the choice is a draw without replacement with chances softmax(φ).

    Returns:
        Zeros and ones, of the shape of ``logits + gumbel``.

    Raises:
        ValueError: if ``k`` is not a whole number in 1…N, or a logit is not finite.

    References:
        Huijben et al. 2020, ICLR (deep probabilistic subsampling); Kool et al. 2019, arXiv:1903.06059 (Gumbel top-k).

    Example:
        >>> choose(torch.tensor([0.3, 0.9, 0.1, 0.8]), 2)
        tensor([0., 1., 0., 1.])
    """
    noisy = logits if gumbel is None else logits + gumbel
    shape = noisy.shape
    count = math.prod(shape[noisy.ndim - axes :])
    if isinstance(k, bool) or int(k) != k or not 1 <= k <= count:
        raise ValueError(f"Expected k to be a whole number in 1…{count}, but got {k}.")
    flat = noisy.reshape(*shape[: noisy.ndim - axes], count)
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(flat).all()):
        raise ValueError("Expected logits to be finite, but got NaN or infinity.")
    return _Choose.apply(flat, int(k), float(temperature)).reshape(shape)


class _Choose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, k: int, temperature: float) -> Tensor:
        ctx.save_for_backward(logits)
        ctx.k, ctx.temperature = k, temperature
        return torch.zeros_like(logits).scatter_(-1, _best(logits, k), 1.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        (logits,) = ctx.saved_tensors
        if ctx.k == logits.shape[-1]:
            return torch.zeros_like(grad), None, None  # all are taken: nothing to choose
        soft = inclusion(logits, ctx.k, ctx.temperature)
        weight = soft * (1 - soft) / ctx.temperature
        mean = (weight * grad).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True).clamp(min=1e-30)
        return weight * (grad - mean), None, None


def _best(logits: Tensor, k: int) -> Tensor:
    """Indices of the ``k`` largest; ties are broken by place, in an order that spreads them."""
    if k < logits.shape[-1] and not torch.compiler.is_compiling():
        top = torch.topk(logits, k + 1, dim=-1)
        if bool((top.values[..., k - 1] > top.values[..., k]).all()):  # no tie at the border: a third of the time
            return top.indices[..., :k]
    # never by a number added to the logits, which could overrule them
    order = ((torch.arange(logits.shape[-1], device=logits.device, dtype=torch.float64) * GOLDEN) % 1).argsort()
    return order[torch.sort(logits[..., order], dim=-1, descending=True, stable=True).indices[..., :k]]
