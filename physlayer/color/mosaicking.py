"""Mosaics: one colour at each pixel, its arrangement by place of the tile, and the colours between."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["PLACES", "demosaick", "filter_planes", "mosaic", "pack_phases"]

# places of red in a 2×2 tile; kornia names the tile by its pixels (1, 1) and (1, 2)
PLACES = {(0, 0): "BG", (0, 1): "GB", (1, 1): "RG", (1, 0): "GR"}


def mosaic(x: Tensor, weights: Tensor) -> Tensor:
    r"""One sum of the channels at each pixel, with weights that repeat over the sensor.

    .. math:: y(u) = \sum_c w_c(u \bmod P)\, x_c(u)

    Args:
        x: images. weights: :math:`w`, ``(C, P, Q)``, or ``(B, C, P, Q)`` for a tile of each image; its upper left place
            is the sensor's upper left pixel.

    Shape:
        ``(B, C, H, W)`` to ``(B, 1, H, W)``, of any size.

    Example:
        >>> import torch
        >>> mosaic(torch.tensor([[[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]]]), torch.eye(2).view(2, 1, 2))
        tensor([[[[ 1., 20.,  3.]]]])
    """
    height, width = x.shape[2:]
    rows, columns = weights.shape[-2:]
    repeats = (*(1,) * (weights.ndim - 2), -(-height // rows), -(-width // columns))
    return (x * weights.repeat(repeats)[..., :height, :width]).sum(1, keepdim=True)


def pack_phases(y: Tensor, tile: tuple[int, int]) -> Tensor:
    """A mosaic as one image per place of its tile, at the tile's pitch: nothing is lost, nothing is mixed.

    Args:
        y: a mosaic, ``(B, 1, H, W)``. tile: ``(P, Q)``.

    Shape:
        ``(B, 1, H, W)`` to ``(B, P Q, H / P, W / Q)``, places in reading order.

    Raises:
        ValueError: if the image does not hold whole tiles.

    Example:
        >>> import torch
        >>> pack_phases(torch.arange(8.0).view(1, 1, 2, 4), (2, 2))[0, :, 0]
        tensor([[0., 2.],
                [1., 3.],
                [4., 6.],
                [5., 7.]])
    """
    (rows, columns), (height, width) = tile, y.shape[2:]
    if height % rows or width % columns or not height * width:
        raise ValueError(
            f"Expected images of whole tiles of {rows}×{columns} pixels, but got {height}×{width}; "
            f"crop to x[..., :{height - height % rows}, :{width - width % columns}]."
        )
    tiles = y.reshape(len(y), height // rows, rows, width // columns, columns)
    return tiles.permute(0, 2, 4, 1, 3).flatten(1, 2)


def filter_planes(y: Tensor, choice: Tensor) -> Tensor:
    """A mosaic as one image per filter, 0 where another filter is: what a network needs to know of the layout.

    Args:
        y: a mosaic, ``(B, 1, H, W)``. choice: the filter at each place of the tile, ``(L, P, Q)``.

    Shape:
        ``(B, 1, H, W)`` to ``(B, L, H, W)``, of any size and the same for any tile of these filters.

    Example:
        >>> import torch
        >>> filter_planes(torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.eye(2).view(2, 1, 2))
        tensor([[[[1., 0., 3.]],
        <BLANKLINE>
                 [[0., 2., 0.]]]])
    """
    (height, width), (rows, columns) = y.shape[2:], choice.shape[-2:]
    return y * choice.to(y.dtype).repeat(1, -(-height // rows), -(-width // columns))[:, :height, :width]


def demosaick(y: Tensor, red: tuple[int, int] = (0, 0)) -> Tensor:
    """Red, green and blue at every pixel of a Bayer mosaic, each interpolated between its own pixels.

    Bilinear for red and blue, the mean of the four neighbours for green (``kornia.color.raw_to_rgb``); what was read is
    kept.

    Args:
        y: a mosaic, ``(B, 1, H, W)``, at least 2×2. red: row and column of the red pixel in the 2×2 tile.

    Shape:
        ``(B, 1, H, W)`` to ``(B, 3, H, W)``.

    Raises:
        ValueError: for less than 2×2 pixels.

    Example:
        >>> import torch
        >>> demosaick(torch.tensor([[0.9, 0.5], [0.5, 0.1]]).repeat(2, 2)[None, None])[0, :, 1, 2]
        tensor([0.9000, 0.5000, 0.1000])
    """
    from kornia.color import CFA, raw_to_rgb

    height, width = y.shape[2:]
    if height < 2 or width < 2:
        raise ValueError(f"Expected a mosaic of at least 2×2 pixels, but got {height}×{width}.")
    # mirrored at the last pixel, an odd side goes on with the right colours
    even = F.pad(y, (0, width % 2, 0, height % 2), mode="reflect") if width % 2 or height % 2 else y
    return raw_to_rgb(even, CFA[PLACES[red[0], red[1]]])[..., :height, :width]
