"""The layers of a convolutional network in NumPy, one equation each, in double precision; images are ``(B, C, H, W)``.

To read, not to train: what is left of a difference to PyTorch is PyTorch's rounding.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["Pair", "batch_norm", "convolve", "dense", "flatten", "hard_tanh", "max_pool", "relu"]

Pair = tuple[int, int]


def convolve(
    images: np.ndarray,
    kernels: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
) -> np.ndarray:
    r"""Convolution as networks have it, without turning the kernel: a correlation.

    .. math:: y_{o,i,j} = b_o + \sum_{u,v} \sum_c h_{o,c,u,v}\, x_{c,\; s i + u - p,\; s j + v - p}

    with the kernel :math:`h_o` of feature map :math:`o`, bias :math:`b`, stride :math:`s` and border :math:`p`; pixels
    outside the image are 0. The sum over the places :math:`(u, v)` of the kernel is the loop: for each of them the
    image is shifted, and the channels are summed.

    Args:
        images: ``(B, C, H, W)``. kernels: ``(O, C, K, L)``. bias: ``(O,)``. stride, padding: along each axis.

    Returns:
        ``(B, O, H', W')`` with :math:`H' = \lfloor (H + 2p - K) / s \rfloor + 1`.

    Raises:
        ValueError: if the images have other channels than the kernels, or are smaller.

    Example:
        >>> convolve(np.arange(6.0).reshape(1, 1, 2, 3), np.array([[[[1.0, 10.0]]]]))
        array([[[[10., 21.],
                 [43., 54.]]]])
    """
    places = kernels.shape[2:]
    images = _bordered(images, padding, 0.0)
    if images.shape[1] != kernels.shape[1] or any(images.shape[2 + axis] < places[axis] for axis in (0, 1)):
        raise ValueError(
            f"Expected images with their border to have {kernels.shape[1]} channels and at least "
            f"{places[0]}×{places[1]} pixels, as the kernels, but got {images.shape[1:]}."
        )
    size = tuple((images.shape[2 + axis] - places[axis]) // stride[axis] + 1 for axis in (0, 1))
    result = np.zeros((len(images), len(kernels), *size))
    for u in range(places[0]):
        for v in range(places[1]):
            shifted = _every(images, (u, v), stride, size)
            result += np.einsum("oc,bcij->boij", kernels[:, :, u, v], shifted)
    return result if bias is None else result + bias[:, None, None]


def max_pool(
    images: np.ndarray, window: Pair, *, stride: Pair | None = None, padding: Pair = (0, 0), partial: bool = False
) -> np.ndarray:
    r"""The largest value of each window.

    .. math:: y_{c,i,j} = \max_{u,v}\; x_{c,\; s i + u - p,\; s j + v - p}

    Places outside the image never are the largest.

    Args:
        images: ``(B, C, H, W)``. window: its height and width. stride: :math:`s`, ``None`` for the window's size.
        padding: :math:`p`. partial: also keep the last window if only a part of it lies in the image.

    Returns:
        ``(B, C, H', W')``; for windows of 2 half of the pixels, rounded down, or up with ``partial``.

    Example:
        >>> max_pool(np.arange(6.0).reshape(1, 1, 2, 3), (2, 2), partial=True)
        array([[[[4., 5.]]]])
    """
    stride = window if stride is None else stride
    size = tuple(
        _windows(images.shape[2 + axis], window[axis], stride[axis], padding[axis], partial) for axis in (0, 1)
    )
    images = _bordered(images, padding, -np.inf)
    missing = [max((size[a] - 1) * stride[a] + window[a] - images.shape[2 + a], 0) for a in (0, 1)]
    images = np.pad(images, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), constant_values=-np.inf)
    result = np.full((*images.shape[:2], *size), -np.inf)
    for u in range(window[0]):
        for v in range(window[1]):
            result = np.maximum(result, _every(images, (u, v), stride, size))
    return result


def batch_norm(
    images: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    scale: np.ndarray | None = None,
    shift: np.ndarray | None = None,
    *,
    epsilon: float = 1e-5,
) -> np.ndarray:
    r"""Batch normalisation in evaluation: with the mean and variance of the training, kept for each channel.

    .. math:: y_c = \gamma_c\, \frac{x_c - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c

    Args:
        images: ``(B, C, H, W)``. mean, variance: :math:`\mu, \sigma^2`, ``(C,)``.
        scale, shift: :math:`\gamma, \beta`, ``(C,)``; ``None`` for 1 and 0. epsilon: keeps a dark channel finite.

    Example:
        >>> batch_norm(np.full((1, 1, 1, 1), 5.0), np.array([3.0]), np.array([4.0]), epsilon=0.0)
        array([[[[1.]]]])
    """
    factor = 1 / np.sqrt(variance + epsilon)
    factor = factor if scale is None else factor * scale
    result = (images - mean[:, None, None]) * factor[:, None, None]
    return result if shift is None else result + shift[:, None, None]


def relu(values: np.ndarray) -> np.ndarray:
    r""":math:`y = \max(x, 0)`.

    Example:
        >>> relu(np.array([-2.0, 3.0]))
        array([0., 3.])
    """
    return np.maximum(values, 0)


def hard_tanh(values: np.ndarray, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    r""":math:`y = \min(\max(x, l), h)`, a straight line between the limits :math:`l` and :math:`h`.

    Example:
        >>> hard_tanh(np.array([-2.0, 0.5, 3.0]))
        array([-1. ,  0.5,  1. ])
    """
    return np.minimum(np.maximum(values, low), high)


def flatten(images: np.ndarray) -> np.ndarray:
    r"""All pixels of an image in one row: :math:`y_{(c H + i) W + j} = x_{c,i,j}`.

    Example:
        >>> flatten(np.arange(4.0).reshape(1, 2, 1, 2))
        array([[0., 1., 2., 3.]])
    """
    return images.reshape(len(images), -1)


def dense(values: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    r"""Fully connected: :math:`y_o = \sum_n W_{o,n}\, x_n + b_o`.

    Args:
        values: ``(B, N)``. weights: ``(O, N)``. bias: ``(O,)``.

    Returns:
        ``(B, O)``.

    Raises:
        ValueError: if there are not as many values as weights.

    Example:
        >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([0.5]))
        array([[11.5]])
    """
    if values.shape[-1] != weights.shape[1]:
        raise ValueError(f"Expected {weights.shape[1]} values, one per weight, but got {values.shape[-1]}.")
    result = values @ weights.T
    return result if bias is None else result + bias


def _bordered(images: np.ndarray, padding: Pair, value: float) -> np.ndarray:
    edges = tuple((width, width) for width in (0, 0, *padding))
    return np.pad(images, edges, constant_values=value)


def _every(images: np.ndarray, start: Pair, stride: Pair, size: Pair) -> np.ndarray:
    """``size`` pixels from ``start``, ``stride`` apart: where one place of a kernel or window lies."""
    rows, columns = (slice(start[a], start[a] + (size[a] - 1) * stride[a] + 1, stride[a]) for a in (0, 1))
    return images[:, :, rows, columns]


def _windows(pixels: int, window: int, stride: int, padding: int, partial: bool) -> int:
    steps = (pixels + 2 * padding - window) / stride
    if not partial:
        return math.floor(steps) + 1
    count = math.ceil(steps) + 1
    return count - 1 if (count - 1) * stride >= pixels + padding else count  # none starts beyond the image
