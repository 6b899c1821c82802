"""The best kernels of a locally connected deconvolution in closed form: from covariances, and from pairs of images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from physlayer.core.validation import plain_number
from physlayer.restoration.local_convolution import window_size

__all__ = ["local_least_squares", "local_lmmse"]


def local_lmmse(
    cross: Tensor, reading: Tensor, size: tuple[int, int], window: int | tuple[int, int], *, tied: bool = False
) -> Tensor:
    r"""The best linear estimate from a window: no trained layer of that window has a smaller expected error.

    .. math:: K(u) = C_{xy}(u, D_u)\; C_{yy}(D_u, D_u)^{-1}, \qquad D_u = \{u + d : d \in k \times k\}

    Args:
        cross: :math:`C_{xy} = \langle x\,y^T \rangle`. reading: :math:`C_{yy} = \langle y\,y^T \rangle` with its noise,
            both over the pixels row by row, one channel, zero mean.
        size: :math:`(H, W)`. window: :math:`k` or :math:`(k, l)`, odd.
        tied: one kernel for all, the best over the pixels whose window lies inside the image.

    Shape:
        ``(H W, H W)`` twice to ``(1, 1, k, l, H, W)``; 0 at places outside the image.

    Raises:
        ValueError: if a covariance is not of H W pixels, or a tied window does not fit into the image.

    References:
        Kay 1993, Fundamentals of Statistical Signal Processing: Estimation Theory, chapter 12.

    Example:
        >>> covariance = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
        >>> kernels = local_lmmse(covariance, covariance + 0.5 * torch.eye(2), (1, 2), (1, 3))
        >>> kernels[0, 0, 0, :, 0, 0]
        tensor([0.0000, 0.6250, 0.1250])
    """
    count, window = math.prod(size), window_size(window)
    if tuple(cross.shape) != (count, count) or cross.shape != reading.shape:
        raise ValueError(
            f"Expected covariances of {count}×{count} pixels, but got {tuple(cross.shape)} and {tuple(reading.shape)}."
        )
    place, inside = _places(size, window, cross.device)
    products = reading[place[:, :, None], place[:, None, :]]
    targets = cross[torch.arange(count, device=cross.device)[:, None], place]
    return _solve(products, targets, inside, size, window, tied)


def local_least_squares(
    x: Tensor, y: Tensor, window: int | tuple[int, int], *, ridge: float = 0.0, tied: bool = False
) -> Tensor:
    r"""The kernels with the smallest mean squared error on given pairs of images, without training.

    .. math:: K(u) = \arg\min_K \tfrac1B \textstyle\sum_b |x_b(u) - \sum_d K(u, d)\,y_b(u + d)|^2 + \rho\,|K - \delta|^2

    Args:
        x: what is wanted. y: what was read, one channel both.
        window: :math:`k` or :math:`(k, l)`, odd. ridge: :math:`\rho`, draws towards the identity; needed with fewer
            images than places in the window. tied: as in :func:`local_lmmse`.

    Shape:
        ``(B, 1, H, W)`` twice to ``(1, 1, k, l, H, W)``.

    Raises:
        ValueError: for other shapes, or too few images without a ridge.

    Example:
        >>> x = torch.rand(200, 1, 4, 5, generator=torch.Generator().manual_seed(0))
        >>> local_least_squares(x, 0.5 * x, 1)[0, 0, 0, 0, 0]
        tensor([2.0000, 2.0000, 2.0000, 2.0000, 2.0000])
    """
    if x.ndim != 4 or x.shape != y.shape or x.shape[1] != 1:
        raise ValueError(f"Expected two batches (B, 1, H, W), but got {tuple(x.shape)} and {tuple(y.shape)}.")
    size, window = (x.shape[2], x.shape[3]), window_size(window)
    ridge = plain_number("ridge", ridge, 0.0, math.inf)
    if len(x) < math.prod(window) and ridge == 0 and not tied:
        raise ValueError(f"Expected at least {math.prod(window)} images, but got {len(x)}; pass more or a ridge.")
    place, inside = _places(size, window, x.device)
    seen = y.flatten(1)[:, place].permute(1, 0, 2)  # (N, B, k l)
    products = seen.mT @ seen / len(x)
    targets = (seen.mT @ x.flatten(1).T[:, :, None])[..., 0] / len(x)
    products.diagonal(dim1=1, dim2=2).add_(ridge)
    targets[:, math.prod(window) // 2] += ridge
    return _solve(products, targets, inside, size, window, tied)


def _solve(products: Tensor, targets: Tensor, inside: Tensor, size, window, tied: bool) -> Tensor:
    if tied:
        whole = inside.all(1)
        if not bool(whole.any()):
            raise ValueError(f"Expected a window of {window[0]}×{window[1]} to fit into {size[0]}×{size[1]} pixels.")
        kernel = _solved(products[whole].mean(0), targets[whole].mean(0))
        return kernel.view(1, 1, *window, 1, 1).expand(-1, -1, -1, -1, *size)
    both = inside[:, :, None] & inside[:, None, :]
    products = torch.where(both, products, torch.eye(len(inside[0]), dtype=products.dtype, device=products.device))
    kernels = _solved(products, targets * inside)  # places outside the image get 0
    return kernels.T.reshape(1, 1, *window, *size)


def _solved(products: Tensor, targets: Tensor) -> Tensor:
    found, trouble = torch.linalg.solve_ex(products, targets[..., None])
    if bool(trouble.any()) or not bool(torch.isfinite(found).all()):
        raise ValueError("Expected the covariance of every window to be invertible, but got a singular one; add noise.")
    return found[..., 0]


def _places(size: tuple[int, int], window: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Which pixel each place of each window is, ``(H W, k l)``, and whether it lies inside the image."""
    rows, columns = (
        torch.arange(pixels, device=device)[:, None] + torch.arange(-(k // 2), k // 2 + 1, device=device)
        for pixels, k in zip(size, window, strict=True)
    )
    row = rows[:, None, :, None].expand(-1, size[1], -1, window[1]).reshape(math.prod(size), -1)
    column = columns[None, :, None, :].expand(size[0], -1, window[0], -1).reshape(math.prod(size), -1)
    inside = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    return torch.where(inside, row * size[1] + column, 0), inside
