"""Parametrizations that keep a learned physical quantity inside its range, whatever the optimiser does."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Interval", "Logarithmic", "Magnitude"]


class Interval(nn.Module):
    r"""Maps a free number θ to a quantity inside ``(low, high)``, never beyond, whatever θ is.

    .. math::
        v = l + (h - l)\,\sigma(\theta), \qquad v = l + \log(1 + e^{\theta})\ (h = \infty)

    Used with :func:`torch.nn.utils.parametrize.register_parametrization`: the optimiser moves θ, every
    reader sees ``v``. Clamping after the step is not used because a clamped quantity has no gradient at
    its bound and stays there.

    Args:
        low: lower bound, in the unit of the quantity; ``-inf`` for none.
        high: upper bound, in the unit of the quantity; ``inf`` for none.

    Raises:
        ValueError: if ``low`` is not below ``high``, or a value set from outside is not strictly inside.

    Example:
        >>> bound = Interval(0.0, 1.0)
        >>> bound(bound.right_inverse(torch.tensor([0.25])))
        tensor([0.2500])
    """

    def __init__(self, low: float, high: float, name: str = "value"):
        super().__init__()
        if not low < high:
            raise ValueError(f"Expected low to be below high, but got low={low} and high={high}.")
        self.low, self.high, self.name = float(low), float(high), name

    def forward(self, free: Tensor) -> Tensor:
        if math.isinf(self.low) and math.isinf(self.high):
            return free
        if math.isinf(self.high):
            return self.low + F.softplus(free)
        if math.isinf(self.low):
            return self.high - F.softplus(free)
        return self.low + (self.high - self.low) * torch.sigmoid(free)

    def right_inverse(self, value: Tensor) -> Tensor:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"Expected {self.name} to be set to a tensor, but got {type(value).__name__}; "
                f"use layer.{self.name} = torch.full_like(layer.{self.name}, value)."
            )
        # A start within a ten-thousandth of the bound would round onto it and have no gradient there.
        room = 1e-4 * (self.high - self.low) if math.isfinite(self.high - self.low) else 0.0
        if not bool(((value > self.low + room) & (value < self.high - room)).all()):
            raise ValueError(
                f"Expected learned {self.name} to lie strictly inside ({self.low:g}, {self.high:g}), but got "
                f"values from {float(value.min()):g} to {float(value.max()):g}; on its bound a learned "
                f"quantity has no gradient, so start it inside or pass a plain value to keep it fixed."
            )
        if math.isinf(self.low) and math.isinf(self.high):
            return value.clone()
        if math.isinf(self.high):
            return _softplus_inverse(value - self.low)
        if math.isinf(self.low):
            return _softplus_inverse(self.high - value)
        return torch.logit((value - self.low) / (self.high - self.low))

    def extra_repr(self) -> str:
        return f"{self.name} in ({self.low:g}, {self.high:g})"


def _softplus_inverse(value: Tensor) -> Tensor:
    # log(e^v - 1) = v + log(1 - e^-v): the second form does not overflow for large v.
    return value + torch.log(-torch.expm1(-value))


class Logarithmic(nn.Module):
    r"""Maps a free number θ to a positive quantity, :math:`v = e^\theta`: equal steps of θ are equal factors.

    For photons, electrons and other quantities whose size is known only to some powers of ten: a step of the optimiser
    that suits a gain of 1 would never move an exposure of 10,000.

    Raises:
        ValueError: if a value set from outside is not above 0.

    Example:
        >>> bound = Logarithmic("exposure")
        >>> bound(bound.right_inverse(torch.tensor([100.0])) + 0.01).round()
        tensor([101.])
    """

    def __init__(self, name: str = "value"):
        super().__init__()
        self.name = name

    def forward(self, free: Tensor) -> Tensor:
        return free.exp()

    def right_inverse(self, value: Tensor) -> Tensor:
        if not bool((value > 0).all()):
            raise ValueError(
                f"Expected learned {self.name} to be above 0, but got values from {float(value.min()):g} to "
                f"{float(value.max()):g}; start it above 0, or pass a plain value to keep it fixed."
            )
        return value.log()


class Magnitude(nn.Module):
    r"""Maps a free number θ to a quantity that is never negative and may start at 0 exactly, :math:`v = |\theta|`.

    .. math:: dv/d\theta = 1\ (\theta \ge 0), \quad -1\ (\theta < 0)

    At 0, where there is no derivative, that from the right is taken: a value of 0 has a gradient and can leave.

    Raises:
        ValueError: if a value set from outside is negative.

    Example:
        >>> bound, free = Magnitude("kernel"), torch.tensor([-0.5, 0.0], requires_grad=True)
        >>> bound(free)
        tensor([0.5000, 0.0000], grad_fn=<MulBackward0>)
        >>> torch.autograd.grad(bound(free).sum(), free)[0]
        tensor([-1.,  1.])
    """

    def __init__(self, name: str = "value"):
        super().__init__()
        self.name = name

    def forward(self, free: Tensor) -> Tensor:
        return free * torch.where(free < 0, -1.0, 1.0)

    def right_inverse(self, value: Tensor) -> Tensor:
        if not bool((value >= 0).all()):
            raise ValueError(f"Expected learned {self.name} to be 0 or more, but got {float(value.min()):g}.")
        return value.clone()
