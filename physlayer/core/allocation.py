"""Whole-number shares under a hard total: the one rule behind every budgeted choice (bits, pixels, elements)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["allocate", "allocate_through"]

GOLDEN = 0.6180339887498949  # spreads ties evenly instead of filling the first rows
TIE = 1e-6


def allocate(demand: Tensor, total: int, *, low: int = 0, high: int = 1) -> Tensor:
    r"""Integer shares that follow ``demand`` as closely as the total allows.

    .. math::
        n = \mathrm{round}_\Sigma\bigl(\mathrm{clip}(d - \lambda, l, h)\bigr), \qquad \textstyle\sum n = T

    :math:`\lambda` is the price at which the clipped demand meets the total (the Euclidean projection of
    :math:`d`), and :math:`\mathrm{round}_\Sigma` is rounding by largest remainder, so the sum is exact. With
    ``high=1`` it chooses the ``total`` largest demands.

    Args:
        demand: any shape, real numbers on the scale of the shares.
        total: sum of all shares.
        low: smallest share.
        high: largest share.

    Returns:
        Shares of the shape of ``demand``, same dtype, whole numbers that sum to ``total``.

    Raises:
        ValueError: if ``total`` cannot be reached with shares in ``low…high``, or a demand is not finite.

    Example:
        >>> allocate(torch.tensor([0.1, 2.6, 1.4, 9.0]), 6, high=4)
        tensor([0., 2., 0., 4.])
        >>> allocate(torch.tensor([0.3, 0.9, 0.1, 0.8]), 2)
        tensor([0., 1., 0., 1.])
    """
    size = demand.numel()
    if int(total) != total or not low * size <= total <= high * size:
        raise ValueError(f"Expected total to be a whole number in {low * size}…{high * size}, but got {total}.")
    if not bool(torch.isfinite(demand).all()):
        raise ValueError("Expected demand to be finite, but got NaN or infinity.")
    flat = demand.detach().reshape(-1).to(torch.float64)
    flat = flat.clamp(min=flat.max() - (high - low + 1) * size)  # further below changes nothing, and keeps digits
    flat = flat + TIE * ((torch.arange(size, device=flat.device, dtype=torch.float64) * GOLDEN) % 1)
    left, right = flat.min() - high, flat.max() - low  # everything at high … everything at low
    for _ in range(60):
        price = (left + right) / 2
        over = (flat - price).clamp(low, high).sum() > total
        left, right = torch.where(over, price, left), torch.where(over, right, price)
    shares = (flat - right).clamp(low, high)
    whole = torch.floor(shares + 1e-9)
    missing = int(total) - int(whole.sum())
    if missing > 0:
        remainder = torch.where(whole < high, shares - whole, -1.0)
        whole[remainder.topk(missing).indices] += 1
    return whole.reshape(demand.shape).to(demand.dtype)


def allocate_through(demand: Tensor, total: int, *, low: int = 0, high: int = 1) -> Tensor:
    r"""As :func:`allocate`, with the gradient of the projection on the plane of constant total.

    Surrogate: :math:`\partial L/\partial d_i = g_i - \bar g`, so raising all demands together changes nothing.
    """
    return _Allocate.apply(demand, int(total), low, high)


class _Allocate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, demand, total, low, high):
        return allocate(demand, total, low=low, high=high)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad - grad.mean(), None, None, None
