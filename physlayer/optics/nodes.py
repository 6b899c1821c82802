"""Quantities at the nodes of a coarse grid that spans the image, interpolated between them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["from_nodes", "node_weights"]


def node_weights(nodes: tuple[int, int], size: tuple[int, int], *, like: Tensor | None = None) -> Tensor:
    r"""Bilinear hats: the share that each node of a grid has in each pixel, of sum 1 over the nodes.

    Node :math:`(p, q)` of :math:`P \times Q` lies at the pixel :math:`(p\,(H-1)/(P-1),\; q\,(W-1)/(Q-1))`, the outer
    ones in the corners of the image; a single node is the same everywhere.

    Args:
        nodes: :math:`(P, Q)`. size: :math:`(H, W)`, pixels. like: tensor with the dtype and device to use.

    Shape:
        ``(P Q, H, W)``.

    Example:
        >>> node_weights((1, 2), (1, 5))
        tensor([[[1.0000, 0.7500, 0.5000, 0.2500, 0.0000]],
        <BLANKLINE>
                [[0.0000, 0.2500, 0.5000, 0.7500, 1.0000]]])
    """
    rows, columns = (_hats(count, pixels, like) for count, pixels in zip(nodes, size, strict=True))
    return (rows[:, None, :, None] * columns[None, :, None, :]).flatten(0, 1)


def _hats(count: int, pixels: int, like: Tensor | None) -> Tensor:
    kind = torch.empty(0) if like is None else like
    place = torch.linspace(0, count - 1, pixels, dtype=kind.dtype, device=kind.device)
    node = torch.arange(count, dtype=kind.dtype, device=kind.device)
    return (1 - (place - node[:, None]).abs()).clamp(min=0)


def from_nodes(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps ``(…, H, W)`` of a quantity given at nodes ``(…, P, Q)``, interpolated by :func:`node_weights`."""
    rows, columns = (_hats(count, pixels, values) for count, pixels in zip(values.shape[-2:], size, strict=True))
    return rows.mT @ values @ columns
