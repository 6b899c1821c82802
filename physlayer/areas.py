r"""Light collected by areas: exact box integrals of an image along one axis, for pixels of any width and place."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["collect", "collect_area", "coverage"]


def coverage(low: Tensor, high: Tensor, size: int, *, circular: bool = False) -> Tensor:
    r"""Share of each of ``size`` scene pixels that lies between ``low`` and ``high``, ``(n, size)``.

    .. math::
        a_{ji} = C_i(h_j) - C_i(l_j), \qquad C_i(u) = \min(\max(u - i, 0), 1), \qquad
        \frac{\partial C_i}{\partial u} = [i < u < i + 1]

    At the border of two scene pixels the derivative is half of either's. Beyond the scene there is nothing, or the
    scene again.

    Args:
        low, high: :math:`l, h`, ``(n,)``, positions, unit scene pixel. size: of the scene along the axis.
        circular: the scene goes on circularly.

    Example:
        >>> coverage(torch.tensor([0.0, 1.5]), torch.tensor([1.5, 3.0]), 3)
        tensor([[1.0000, 0.5000, 0.0000],
                [0.0000, 0.5000, 1.0000]])
    """
    return _covered(high, size, circular) - _covered(low, size, circular)


def _covered(place: Tensor, size: int, circular: bool) -> Tensor:
    """Share of each scene pixel between 0 and ``place``; with a circular scene, how often it is passed."""
    turns = (place.detach() / size).floor() if circular else torch.zeros_like(place)
    along = (place - turns * size)[:, None] - torch.arange(size, device=place.device, dtype=place.dtype)
    covered = along.detach().clamp(0, 1)
    # clamp's own derivative would count both neighbours in full where an edge lies between two scene pixels
    end = along == 1
    if circular:  # place 0 also ends the last scene pixel of the turn before
        end = end | (along == 1 - size)
    slope = ((along > 0) & (along < 1)).to(place.dtype) + 0.5 * ((along == 0).to(place.dtype) + end.to(place.dtype))
    return turns[:, None] + covered + (slope * along - (slope * along).detach())


def collect(x: Tensor, low: Tensor, high: Tensor, *, circular: bool = False) -> Tensor:
    r"""Integrals of ``x`` along its last axis between ``low`` and ``high``, in scene pixels.

    .. math::
        y_j = \int_{l_j}^{h_j} x(u)\,du = \sum_i a_{ji}\,x_i, \qquad
        \frac{\partial y_j}{\partial h_j} = x(h_j), \quad \frac{\partial y_j}{\partial l_j} = -x(l_j)

    The scene is constant within a pixel, so with the :func:`coverage` :math:`a` values and gradients are exact.

    Args:
        x: ``(…, W)``. low, high: ``(n,)``, positions, unit scene pixel. circular: the scene goes on circularly.

    Shape:
        ``(…, W)`` to ``(…, n)``.

    Example:
        >>> x = torch.tensor([1.0, 2.0, 4.0])
        >>> collect(x, torch.tensor([0.0, 1.5]), torch.tensor([1.5, 3.0]))
        tensor([2., 5.])
        >>> collect(x, torch.tensor([2.0]), torch.tensor([4.0]), circular=True)
        tensor([5.])
    """
    with torch.autocast(x.device.type, enabled=False):  # half precision would lose the bits of a converter behind
        return x @ coverage(low, high, x.shape[-1], circular=circular).to(x.dtype).T


def collect_area(
    x: Tensor, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor], *, circular: bool = False
) -> Tensor:
    """Light on a tensor grid of rectangles, ``(B, C, H, W)`` to ``(B, C, n_rows, n_columns)``.

    Args:
        x: images. rows, columns: ``(low, high)`` edges in scene pixels. circular: as in :func:`collect`.

    Example:
        >>> edges = (torch.tensor([0.0, 2.0]), torch.tensor([2.0, 4.0]))
        >>> collect_area(torch.ones(1, 1, 4, 4), edges, edges)[0, 0]
        tensor([[4., 4.],
                [4., 4.]])
    """
    across = collect(x, *columns, circular=circular)
    with torch.autocast(x.device.type, enabled=False):
        return coverage(*rows, x.shape[-2], circular=circular).to(x.dtype) @ across
