"""Zernike polynomials: the aberrations of a round pupil, one by one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["noll_indices", "zernike", "zernike_start"]


def noll_indices(number: int) -> tuple[int, int]:
    """Radial order n and azimuthal frequency m of a Noll number; m > 0 goes with cos, m < 0 with sin.

    Example:
        >>> [noll_indices(j) for j in (1, 2, 3, 4, 5, 11)]
        [(0, 0), (1, 1), (1, -1), (2, 0), (2, -2), (4, 0)]
    """
    if isinstance(number, bool) or int(number) != number or number < 1:
        raise ValueError(f"Expected a Noll number to be 1, 2, 3, …, but got {number!r}.")
    order = (math.isqrt(8 * number - 7) - 1) // 2
    place, odd = number - order * (order + 1) // 2, order % 2
    frequency = 2 * ((place + odd) // 2) - odd
    return order, frequency if number % 2 == 0 else -frequency


def zernike(number: int, x: Tensor, y: Tensor) -> Tensor:
    r"""Zernike polynomial in Noll's order, of root mean square 1 over the unit disc.

    .. math::
        Z_j = \sqrt{n+1}\,R_n^{|m|}(\rho) \cdot \bigl(1,\; \sqrt2\cos m\theta,\; \sqrt2\sin |m|\theta\bigr)
        \ \text{for}\ m = 0,\ m > 0,\ m < 0

    :math:`\theta` runs from the columns' axis (right) to the rows' axis (down): positive :math:`Z_2` tilts, and moves
    the image, to the right, positive :math:`Z_3` down.

    Args:
        number: :math:`j`, from 1. x, y: coordinates in pupil radii, the same shape.

    References:
        Noll 1976, doi:10.1364/JOSA.66.000207.

    Example:
        >>> x = torch.tensor([0.0, 0.5, 1.0])
        >>> zernike(4, x, 0 * x)
        tensor([-1.7321, -0.8660,  1.7321])
    """
    order, frequency = noll_indices(number)
    m, rho = abs(frequency), torch.hypot(x, y)
    radial = torch.zeros_like(rho)
    for k in range((order - m) // 2 + 1):
        below = math.factorial(k) * math.factorial((order + m) // 2 - k) * math.factorial((order - m) // 2 - k)
        radial = radial + (-1) ** k * math.factorial(order - k) / below * rho ** (order - 2 * k)
    if m == 0:
        return math.sqrt(order + 1) * radial
    angle = m * torch.atan2(y, x)
    return math.sqrt(2 * (order + 1)) * radial * (angle.cos() if frequency > 0 else angle.sin())


def zernike_start(generator: torch.Generator, count: int = 12, rms_waves: float = 0.05) -> Tensor:
    """Small random coefficients to start a learned pupil from, ``(count,)``, waves rms.

    At 0 the gradient of every even aberration (defocus, astigmatism, spherical) vanishes: a flat pupil never learns.

    Example:
        >>> zernike_start(torch.Generator().manual_seed(0), 3)
        tensor([ 0.0770, -0.0147, -0.1089])
    """
    return rms_waves * torch.randn(count, generator=generator)
