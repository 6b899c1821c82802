r"""Light collected by areas: exact box integrals of an image along one axis, for pixels of any width and place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["collect", "collect_area"]


def collect(x: Tensor, low: Tensor, high: Tensor, *, circular: bool = False) -> Tensor:
    r"""Integrals of ``x`` along its last axis between ``low`` and ``high``, in scene pixels.

    .. math::
        y_j = \int_{l_j}^{h_j} x(u)\,du = C(h_j) - C(l_j), \qquad
        \frac{\partial y_j}{\partial h_j} = x(h_j), \quad \frac{\partial y_j}{\partial l_j} = -x(l_j)

    The scene is constant within a pixel, so the integral image :math:`C` is linear between whole numbers and both
    values and gradients are exact. Beyond the border there is no light, or the scene again.

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
    # in float64: a difference of two long sums would lose the last bits of a 16-bit reading
    total = F.pad(x.cumsum(-1, dtype=torch.float64), (1, 0))
    return (_at(total, x, high, circular) - _at(total, x, low, circular)).to(x.dtype)


def _at(total: Tensor, x: Tensor, place: Tensor, circular: bool) -> Tensor:
    size, place, turned = x.shape[-1], place.to(x.dtype), 0.0
    if circular:
        turns = (place.detach() / size).floor()
        place, turned = place - turns * size, turns.to(total.dtype) * total[..., -1:]
    place = place.clamp(0, size)
    whole = place.detach().floor().clamp(max=size - 1).long()
    return turned + total.index_select(-1, whole) + (place - whole) * x.index_select(-1, whole)


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
    return collect(across.transpose(-1, -2), *rows, circular=circular).transpose(-1, -2)
