"""Linear light: of a complex field, and from and to the sRGB values that files hold."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear_to_srgb", "srgb_to_linear"]


def srgb_to_linear(value: Tensor) -> Tensor:
    r"""Decode sRGB values to linear light.

    .. math:: L = V / 12.92 \;(V \le 0.04045), \quad L = ((V + 0.055) / 1.055)^{2.4} \;\text{otherwise}

    Args:
        value: :math:`V`, code / 255, floating point, any shape; :math:`L` is a fraction of full scale.

    Raises:
        ValueError: if ``value`` is not floating point.

    Source: IEC 61966-2-1:1999.

    Example:
        >>> srgb_to_linear(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.2140, 1.0000])
    """
    _require_floating(value)
    curve = ((value.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(value <= 0.04045, value / 12.92, curve)


def linear_to_srgb(light: Tensor) -> Tensor:
    r"""Encode linear light as sRGB values.

    .. math:: V = 12.92\,L \;(L \le 0.0031308), \quad V = 1.055\,L^{1/2.4} - 0.055 \;\text{otherwise}

    Args:
        light: :math:`L`, a fraction of full scale, floating point, any shape; :math:`V` is code / 255.

    Raises:
        ValueError: if ``light`` is not floating point.

    Source: IEC 61966-2-1:1999.

    Example:
        >>> linear_to_srgb(torch.tensor([0.0, 0.2140, 1.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    _require_floating(light)
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, curve)


def _require_floating(value: Tensor) -> None:
    if not value.is_floating_point():
        raise ValueError(f"Expected values to be floating point, but got {value.dtype}; divide codes by 255.")
