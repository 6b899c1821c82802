"""Counts of photons and electrons: the gradient through a Poisson draw, and saturation."""

from __future__ import annotations

import warnings
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["SaturatingSensor", "photon_counts", "saturate", "warn_if_saturated"]

FEWEST_ELECTRONS = 0.1  # below this mean the exact gradient's variance grows as 1/mean without saying more


class SaturatingSensor(Protocol):
    """What a digital step asks of the sensor before it."""

    def black_reading(self) -> Tensor:
        """Mean reading without light."""

    def saturation_reading(self) -> Tensor:
        """Reading of a pixel that is full."""


class _Counts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mean: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(mean, counts)
        return counts.clone()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        mean, counts = ctx.saved_tensors
        return grad * (1 + (counts - mean) / (2 * mean.clamp(min=FEWEST_ELECTRONS))), None


def photon_counts(mean: Tensor, counts: Tensor) -> Tensor:
    r"""Poisson counts forward, the Gaussian reparametrisation's gradient backward.

    .. math::
        y \sim \mathrm{Poisson}(\lambda), \qquad
        \frac{\partial y}{\partial\lambda} := 1 + \frac{y - \lambda}{2\max(\lambda, 0.1)}

    Exact in expectation for readers up to second order where :math:`\lambda \ge 0.1`; below, the floor trades the
    second order for a bounded variance, and the first stays exact. At :math:`\lambda = 9` the gradient of
    :math:`E\,y, E\,y^2, E\,y^3` is 1, 19 and 298.5, where the truth is 1, 19 and 298; the straight-through
    estimator gives 1, 18 and 270.

    Args:
        mean: :math:`\lambda`, electrons. counts: a draw of :math:`y`, electrons, from :meth:`Noise.poisson`.

    Example:
        >>> mean = torch.tensor([9.0], requires_grad=True)
        >>> photon_counts(mean, torch.tensor([12.0])).backward(); mean.grad
        tensor([1.1667])
    """
    return _Counts.apply(mean, counts)


ALL = 0.99  # share of the pixels


def saturate(electrons: Tensor, full_well: Tensor, leak: float = 0.01) -> Tensor:
    r"""Full well: :math:`\min(e, N_\mathrm{fw})` exactly, with a surrogate gradient that lets a full pixel come back.

    .. math::
        \frac{\partial y}{\partial e} := \begin{cases} 1 & e < N_\mathrm{fw} \\ \mathrm{leak} & e \ge N_\mathrm{fw}
        \end{cases}, \qquad \frac{\partial y}{\partial N_\mathrm{fw}} = [e \ge N_\mathrm{fw}]

    Args:
        electrons: :math:`e`, electrons. full_well: :math:`N_\mathrm{fw}`, electrons. leak: backward only.

    Example:
        >>> e = torch.tensor([5.0, 20.0], requires_grad=True)
        >>> y = saturate(e, torch.tensor(10.0)); y.sum().backward(); y.detach(), e.grad
        (tensor([ 5., 10.]), tensor([1.0000, 0.0100]))
    """
    full = electrons >= full_well
    over = torch.where(full, electrons, electrons.detach())
    return torch.where(full, full_well, electrons) + leak * (over - over.detach())


def warn_if_saturated(full: Tensor, fix: str) -> None:
    """Say that (nearly) every pixel is full, with the share: such a reading holds no image.

    Args:
        full: whether each pixel is. fix: what to change.
    """
    if not torch.compiler.is_compiling() and (share := float(full.float().mean())) >= ALL:
        warnings.warn(f"Expected pixels below saturation, but got {share:.0%} of them full; {fix}.", stacklevel=3)
