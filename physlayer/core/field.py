"""Complex fields: their intensity, and the real pictures that hold them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from physlayer.core.validation import Accepts

__all__ = ["PARTS", "field_of", "intensity", "parts_of"]


def intensity(field: Tensor) -> Tensor:
    r"""Intensity of a complex field, :math:`|E|^2`, any shape.

    Example:
        >>> intensity(torch.tensor([3 + 4j]))
        tensor([25.])
    """
    return field.real.square() + field.imag.square()


PARTS = Accepts(low=-15.0)  # half of a field lies below 0, so no warning of a Normalize as at the usual −16


def parts_of(field: Tensor) -> Tensor:
    """A complex field as its real parts and, behind them, its imaginary parts, ``(B, C, H, W)`` to ``(B, 2C, H, W)``.

    Example:
        >>> parts_of(torch.full((1, 1, 1, 1), 2 - 3j)).flatten()
        tensor([ 2., -3.])
    """
    return torch.cat([field.real, field.imag], 1)


def field_of(x: Tensor, kind: str = "parts") -> Tensor:
    """The complex field of real images: the inverse of :func:`parts_of`, or of magnitudes and phases in waves.

    Args:
        x: ``(B, 2C, H, W)``. kind: ``"parts"`` or ``"polar"``.

    Raises:
        ValueError: for an odd number of channels.

    Example:
        >>> field_of(torch.tensor([2.0, 0.5]).view(1, 2, 1, 1), "polar").real.flatten()
        tensor([-2.])
    """
    if x.shape[1] % 2:
        raise ValueError(
            f"Expected x to hold {kind}, an even number of channels, but got {x.shape[1]}; "
            "stack both halves with torch.cat([…, …], 1)."
        )
    first, second = x.chunk(2, 1)
    return torch.complex(first, second) if kind == "parts" else torch.polar(first, 2 * math.pi * second)
