"""Convolution of images with a point spread function, direct or by FFT, with a backward pass of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.core.fft import fast_length
from physlayer.core.validation import one_of

__all__ = ["BORDERS", "bordered", "convolve"]

BORDERS = ("reflect", "circular", "zero")
METHODS = ("auto", "direct", "fft")
Margin = tuple[tuple[int, int], tuple[int, int]]  # above and below, left and right: what is cut off
DIRECT_TAPS = 9  # of a kernel: up to here a depthwise convolution is faster than two transforms


def convolve(x: Tensor, kernel: Tensor, *, border: str = "reflect", method: str = "auto") -> Tensor:
    r"""Convolve (not correlate) every channel with a kernel; the image keeps its size.

    .. math:: y_{jk} = \sum_{a,b} h_{ab}\, x_{j-a,\,k-b}, \qquad a = -r \ldots r,\; b = -s \ldots s

    A kernel whose weight lies at :math:`a > 0` moves the image down. Where the kernel leaves the image it meets its
    mirror image (``"reflect"``, the pixels at the border repeated: scipy's name and meaning), its other side
    (``"circular"``) or darkness (``"zero"``).

    Args:
        x: images. kernel: :math:`h`, ``(2 r + 1, 2 s + 1)``, or ``(C, 2 r + 1, 2 s + 1)`` for one per channel.
        border: one of ``BORDERS``. method: ``"direct"``, ``"fft"``, or ``"auto"`` for the faster by kernel size.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for a kernel of even size or of other channels, or an unknown border or method.

    Example:
        >>> down = torch.tensor([[0.0], [0.0], [1.0]])
        >>> convolve(torch.eye(3)[None, None], down, border="zero")[0, 0]
        tensor([[0., 0., 0.],
                [1., 0., 0.],
                [0., 1., 0.]])
    """
    one_of("border", border, BORDERS)
    one_of("method", method, METHODS)
    if kernel.ndim not in (2, 3) or (kernel.ndim == 3 and len(kernel) not in (1, x.shape[1])):
        raise ValueError(f"Expected kernel to be (h, w) or ({x.shape[1]}, h, w), but got {tuple(kernel.shape)}.")
    height, width = kernel.shape[-2:]
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"Expected a kernel of odd size, but got {height}×{width}; add a row or column of zeros.")
    kernel = kernel.to(x.dtype)[None] if kernel.ndim == 2 else kernel.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):  # half precision would lose the bits of a converter behind
        if method == "direct" or (method == "auto" and height * width <= DIRECT_TAPS):
            padded = bordered(bordered(x, height // 2, 2, border), width // 2, 3, border)
            # torch's convolution is a correlation: turn the kernel
            weight = kernel.flip(1, 2)[:, None].expand(x.shape[1], 1, height, width)
            return F.conv2d(padded, weight, groups=x.shape[1])
        if border == "circular":  # the transform's own border: nothing to add
            return _Product.apply(x, kernel, ((0, 0), (0, 0)), tuple(x.shape[2:]))
        margin, sizes = [], []
        for axis, radius in ((2, height // 2), (3, width // 2)):
            side = x.shape[axis]
            added = fast_length(side + (radius if border == "zero" else 2 * radius))
            if border == "zero":  # what wraps around falls on the margin, which is cut off
                edge, length = (0, 0), added
            elif fast_length(2 * side) == 2 * side < added:  # a mirrored image is periodic, however wide the kernel
                x, edge, length = torch.cat([x, x.flip(axis)], axis), (0, side), 2 * side
            else:
                x, edge, length = bordered(x, radius, axis, border), (radius, radius), added
            margin.append(edge)
            sizes.append(length)
        return _Product.apply(x, kernel, tuple(margin), tuple(sizes))


class _Product(torch.autograd.Function):
    """Convolution as a product of transforms; both backward products reuse the forward ones."""

    @staticmethod
    def forward(ctx, x: Tensor, kernel: Tensor, margin: Margin, sizes: tuple[int, int]) -> Tensor:
        scene = torch.fft.rfft2(x, s=sizes)
        transfer = torch.fft.rfft2(_centred(kernel, sizes))
        ctx.save_for_backward(scene if ctx.needs_input_grad[1] else None, transfer)
        ctx.margin, ctx.sizes, ctx.shapes = margin, sizes, (x.shape, kernel.shape)
        kept = scene * transfer if ctx.needs_input_grad[1] else scene.mul_(transfer)
        return _cut(torch.fft.irfft2(kept, s=sizes), margin, x.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        scene, transfer = ctx.saved_tensors
        (rows, columns), (shape, size) = ctx.margin, ctx.shapes
        if any(rows + columns):
            grad = F.pad(grad, columns + rows)
        seen = torch.fft.rfft2(grad, s=ctx.sizes)
        found_x = found_kernel = None
        if ctx.needs_input_grad[1]:
            together = torch.einsum("bchw,bchw->chw", seen, scene.conj())
            together = together.sum(0, keepdim=True) if size[0] == 1 else together
            found_kernel = _uncentred(torch.fft.irfft2(together, s=ctx.sizes), size[1:])
        if ctx.needs_input_grad[0]:
            found_x = torch.fft.irfft2(seen.mul_(transfer.conj()), s=ctx.sizes)[..., : shape[2], : shape[3]]
        return found_x, found_kernel, None, None


def _centred(kernel: Tensor, sizes: tuple[int, int]) -> Tensor:
    """The kernel on a grid of that size, its middle at the origin; a larger one is laid around it several times."""
    height, width = kernel.shape[1:]
    down, across = _laps(kernel.shape[1:], sizes)
    moved = F.pad(kernel, (0, across * sizes[1] - width, 0, down * sizes[0] - height))
    moved = moved.roll((-(height // 2), -(width // 2)), (1, 2))
    return moved.unflatten(2, (across, -1)).unflatten(1, (down, -1)).sum((1, 3)) if down * across > 1 else moved


def _uncentred(grid: Tensor, extents: torch.Size) -> Tensor:
    """The gradient of a kernel of those extents from that of :func:`_centred`: its transpose."""
    (height, width), (down, across) = extents, _laps(extents, grid.shape[1:])
    whole = grid.repeat(1, down, across) if down * across > 1 else grid
    return whole.roll((height // 2, width // 2), (1, 2))[:, :height, :width]


def _laps(extents: torch.Size, sizes: tuple[int, int] | torch.Size) -> list[int]:
    """How many times a kernel goes around a grid along each axis, begun laps counted."""
    return [math.ceil(extent / side) for extent, side in zip(extents, sizes, strict=True)]


def _cut(image: Tensor, margin: Margin, shape: torch.Size) -> Tensor:
    (up, down), (left, right) = margin
    return image[..., up : shape[2] - down, left : shape[3] - right]


def bordered(x: Tensor, radius: int, axis: int, border: str) -> Tensor:
    """``x`` with ``radius`` more pixels on both sides of axis 2 or 3; the radius may exceed the image."""
    size = x.shape[axis]
    if radius == 0:
        return x
    if border == "zero":
        return F.pad(x, (0, 0, radius, radius) if axis == 2 else (radius, radius))
    if radius <= size:  # slices, whose gradient is a slice again
        first, last = x.narrow(axis, 0, radius), x.narrow(axis, size - radius, radius)
        before, after = (last, first) if border == "circular" else (first.flip(axis), last.flip(axis))
        return torch.cat([before, x, after], axis)
    place = torch.arange(-radius, size + radius, device=x.device)
    if border == "reflect":
        place = place % (2 * size)
        place = torch.minimum(place, 2 * size - 1 - place)
    return x.index_select(axis, place % size)
