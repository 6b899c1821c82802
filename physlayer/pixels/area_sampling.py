r"""Light collected by areas: exact box integrals of an image along one axis, for pixels of any width and place."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["collect", "collect_area", "coverage"]


def coverage(low: Tensor, high: Tensor, size: int, *, circular: bool = False) -> Tensor:
    r"""Share of each of ``size`` scene pixels that lies between ``low`` and ``high``, ``(n, size)``.

    .. math::
        a_{ji} = C_i(h_j) - C_i(l_j), \qquad C_i(u) = \min(\max(u - i, 0), 1)

    Beyond the scene there is nothing, or the scene again.

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
    turns = (place / size).floor() if circular else torch.zeros_like(place)
    along = (place - turns * size)[:, None] - torch.arange(size, device=place.device, dtype=place.dtype)
    return turns[:, None] + along.clamp(0, 1)


def collect(x: Tensor, low: Tensor, high: Tensor, *, axis: int = -1, circular: bool = False) -> Tensor:
    r"""Integrals of ``x`` along an axis between ``low`` and ``high``, in scene pixels.

    .. math::
        y_j = \int_{l_j}^{h_j} x(u)\,du = \sum_i a_{ji}\,x_i, \qquad
        \frac{\partial y_j}{\partial h_j} = x(h_j), \quad \frac{\partial y_j}{\partial l_j} = -x(l_j)

    The scene is constant within a pixel, so with the :func:`coverage` :math:`a` values and gradients are exact; at the
    border of two scene pixels the derivative is the mean of both.

    Args:
        x: ``(…, H, W)``. low, high: ``(n,)``, positions, unit scene pixel. axis: -1 or -2.
        circular: the scene goes on circularly.

    Shape:
        ``(…, H, W)`` to ``(…, H, n)``, or ``(…, n, W)`` along axis -2.

    Example:
        >>> x = torch.tensor([[1.0, 2.0, 4.0]])
        >>> collect(x, torch.tensor([0.0, 1.5]), torch.tensor([1.5, 3.0]))
        tensor([[2., 5.]])
        >>> collect(x, torch.tensor([2.0]), torch.tensor([4.0]), circular=True)
        tensor([[5.]])
    """
    return _Collect.apply(x, low, high, axis, circular)


class _Collect(torch.autograd.Function):
    """The light at the edges is all that their gradient needs: no product as large as the forward one."""

    @staticmethod
    def forward(ctx, x: Tensor, low: Tensor, high: Tensor, axis: int, circular: bool) -> Tensor:
        shares = coverage(low, high, x.shape[axis], circular=circular).to(x.dtype)
        ctx.save_for_backward(x if any(ctx.needs_input_grad[1:3]) else None, low, high, shares)
        ctx.axis, ctx.circular = axis, circular
        with torch.autocast(x.device.type, enabled=False):  # half precision would lose the bits of a converter behind
            return x @ shares.T if axis == -1 else shares @ x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        x, low, high, shares = ctx.saved_tensors
        axis = ctx.axis
        found: list[Tensor | None] = [None, None, None]
        with torch.autocast(grad.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                found[0] = grad @ shares if axis == -1 else shares.T @ grad
            for place, (edge, sign) in enumerate(((low, -1.0), (high, 1.0)), start=1):
                if ctx.needs_input_grad[place]:
                    found[place] = sign * _slope(grad, x, edge, axis, ctx.circular).to(edge.dtype)
        return *found, None, None


def _slope(grad: Tensor, x: Tensor, place: Tensor, axis: int, circular: bool) -> Tensor:
    """Gradient times the light at each place, summed: at the border of two scene pixels the mean of both."""
    size, slopes = x.shape[axis], []
    others = [dim for dim in range(-grad.ndim, 0) if dim != axis]
    sides = [place.ceil() - 1, place.floor()]
    if not torch.compiler.is_compiling() and torch.equal(*sides):  # no edge at a border, as soon as any has moved
        sides = sides[:1]
    for pixel in sides:
        index = (pixel % size if circular else pixel.clamp(0, size - 1)).long()
        light = x.index_select(axis, index).mul_(grad).sum(others) / len(sides)
        slopes.append(light if circular else light * ((pixel >= 0) & (pixel < size)))
    return sum(slopes[1:], slopes[0])


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
    axes = ((-2, rows), (-1, columns))
    # the axis with fewer pixels first: it leaves less to do for the other
    for axis, (low, high) in sorted(axes, key=lambda part: len(part[1][0])):
        x = collect(x, low, high, axis=axis, circular=circular)
    return x
