"""Cells of a power diagram on whole scene pixels: which pixel collects what light, and how soft cells would differ."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["cell_areas", "cell_shares", "collect_cells", "power_distance", "spread_cells"]


def power_distance(sites: Tensor, weights: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Power distance of every scene pixel to every site, ``(H W, n)``, in mean pixel areas.

    .. math:: d_{ij} = \frac{|r_i - s_j|^2}{p^2} - \omega_j, \qquad p^2 = \frac{HW}{n}

    Args:
        sites: :math:`s`, ``(n, 2)``, row and column as shares of the sensor's sides. weights: :math:`\omega`, ``(n,)``,
            unit mean pixel area :math:`p^2`. size: ``(H, W)``, scene pixels; their centres are :math:`r`.

    Example:
        >>> power_distance(torch.tensor([[0.5, 0.25], [0.5, 0.75]]), torch.zeros(2), (2, 4))
        tensor([[0.1250, 1.6250],
                [0.1250, 0.6250],
                [0.6250, 0.1250],
                [1.6250, 0.1250],
                [0.1250, 1.6250],
                [0.1250, 0.6250],
                [0.6250, 0.1250],
                [1.6250, 0.1250]])
    """
    pitch = math.sqrt(math.prod(size) / len(sites))
    rows, columns = (
        (((torch.arange(side, device=sites.device, dtype=sites.dtype) + 0.5)[:, None] - place * side) / pitch) ** 2
        for side, place in zip(size, sites.unbind(1), strict=True)
    )
    return ((rows - weights)[:, None] + columns).flatten(0, 1)


def cell_shares(distance: Tensor, steepness: float) -> Tensor:
    r"""Soft assignment of scene pixels to cells, :math:`a_{ij} = \mathrm{softmax}_j(-\beta d_{ij})`, ``(H W, n)``.

    For any :math:`\beta` the shares of a scene pixel sum to 1, so areas :math:`\sum_i a_{ij}` and light
    :math:`\sum_i a_{ij} x_i` are conserved; :math:`\beta \to \infty` is the power diagram.

    Args:
        distance: :math:`d`, ``(H W, n)``, mean pixel areas. steepness: :math:`\beta`, per mean pixel area.

    Example:
        >>> cell_shares(torch.tensor([[0.125, 0.625]]), 4.0)
        tensor([[0.8808, 0.1192]])
    """
    return torch.softmax(-steepness * distance, 1)


class _Through(torch.autograd.Function):
    """``exact`` forward; backward it is ``values @ shares`` to the shares: their product is never formed forward."""

    @staticmethod
    def forward(ctx, exact: Tensor, values: Tensor, shares: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return exact.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        (values,) = ctx.saved_tensors
        return grad, None, values.flatten(0, 1).T @ grad.flatten(0, 1)


def cell_areas(cells: Tensor, n: int, shares: Tensor | None = None) -> Tensor:
    r"""Area of each cell, :math:`A_j = |\{i : c(i) = j\}|`, scene pixels, ``(n,)``.

    .. math:: \frac{\partial A_j}{\partial a_{ij}} := 1

    Args:
        cells, n, shares: as in :func:`collect_cells`.

    Example:
        >>> cell_areas(torch.tensor([1, 0, 1]), 3)
        tensor([1, 2, 0])
    """
    area = cells.new_zeros(n).scatter_add(0, cells, torch.ones_like(cells))
    if shares is None:
        return area
    soft = shares.sum(0)
    return area + (soft - soft.detach())


def collect_cells(x: Tensor, cells: Tensor, n: int, shares: Tensor | None = None) -> Tensor:
    r"""Light that each cell collects, with the gradient of the soft cells.

    .. math::
        Y_j = \sum_{i:\,c(i) = j} x_i, \qquad \frac{\partial Y_j}{\partial a_{ij}} := x_i

    Args:
        x: images, ``(B, C, H, W)``. cells: :math:`c`, ``(H W,)``, whole numbers below ``n``. n: number of cells.
        shares: :math:`a`, ``(H W, n)``, from :func:`cell_shares`; ``None`` for no gradient to the cells.

    Shape:
        ``(B, C, H, W)`` to ``(B, C, n)``, unit that of ``x`` times scene pixels.

    Example:
        >>> collect_cells(torch.tensor([[[[1.0, 2.0, 4.0]]]]), torch.tensor([1, 0, 1]), 3)
        tensor([[[2., 5., 0.]]])
    """
    flat = x.flatten(2)
    # in float64: neither the order of the sum nor its length shows in the reading
    light = flat.new_zeros((*flat.shape[:2], n), dtype=torch.float64)
    light = light.scatter_add(2, cells.expand_as(flat), flat.double()).to(x.dtype)
    return light if shares is None else _Through.apply(light, flat.detach(), shares.to(x.dtype))


def spread_cells(y: Tensor, cells: Tensor, shares: Tensor | None = None) -> Tensor:
    r"""Image in which each scene pixel shows its cell's value, with the gradient of the soft cells.

    .. math:: \hat x_i = y_{c(i)}, \qquad \frac{\partial \hat x_i}{\partial a_{ij}} := y_j

    Args:
        y: values, ``(B, C, n)``. cells: :math:`c`, ``(H, W)``. shares: :math:`a`, ``(H W, n)``, or ``None``.

    Shape:
        ``(B, C, n)`` to ``(B, C, H, W)``.

    Example:
        >>> spread_cells(torch.tensor([[[0.2, 0.7]]]), torch.tensor([[1, 0, 0]]))
        tensor([[[[0.7000, 0.2000, 0.2000]]]])
    """
    image = y.index_select(2, cells.flatten())
    if shares is not None:
        image = _Through.apply(image, y.detach(), shares.to(y.dtype).T)
    return image.unflatten(2, cells.shape)
