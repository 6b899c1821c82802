"""What a network of :mod:`physlayer.tasks.digits.networks` computes, written out in NumPy: no torch in the arithmetic.

To read, not to train: each function is one equation, in double precision, so what is left of a difference to
PyTorch is PyTorch's rounding. Images are ``(B, C, H, W)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from physlayer.tasks.digits.networks import CourseNetwork
from physlayer.tasks.networks import Perceptron
from torch import Tensor, nn

__all__ = ["batch_norm", "convolve", "dense", "flatten", "hard_tanh", "max_pool", "numpy_forward", "relu"]

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


def numpy_forward(model: nn.Module, images: np.ndarray | Tensor) -> np.ndarray:
    """What ``model`` gives in ``eval()``, by the functions above.

    Args:
        model: an ``nn.Sequential`` (others within it are walked too), a :class:`CourseNetwork` or a
            :class:`physlayer.tasks.networks.Perceptron`, in ``eval()``.
        images: ``(B, C, H, W)``, what the network is given.

    Returns:
        Logits, float64, ``(B, outputs)``; in general what the last module gives.

    Raises:
        ValueError: if the model is not in ``eval()``, has a module or an option without an equation here, or the
            images are not real ``(B, C, H, W)``.

    Example:
        >>> import torch
        >>> network, images = CourseNetwork((1, 28, 28), 10).eval(), torch.rand(2, 1, 28, 28)
        >>> np.allclose(numpy_forward(network, images), network(images).detach().numpy(), atol=1e-5)
        True
    """
    if any(module.training for module in model.modules()):
        raise ValueError("Expected model to be in eval(), but got one in training; call model.eval() first.")
    values = _array(images) if isinstance(images, Tensor) else np.asarray(images)
    if values.ndim != 4 or values.dtype.kind not in "fiu":
        raise ValueError(f"Expected images to be real (B, C, H, W), but got {values.dtype} of shape {values.shape}.")
    values = values.astype(np.float64)
    for module in _steps(model):
        for kind, step in STEPS.items():
            if type(module).forward is kind.forward:
                values = step(module, values)
                break
        else:
            known = ", ".join(kind.__name__ for kind in STEPS)
            raise ValueError(f"Expected modules to be of {known}, but got {type(module).__name__}; write its equation.")
    return values


def _steps(model: nn.Module) -> Iterator[nn.Module]:
    """The modules in the order in which they act."""
    if isinstance(model, CourseNetwork | Perceptron):
        model = model.layers
    if type(model).forward is nn.Sequential.forward:
        for module in model:
            yield from _steps(module)
    else:
        yield model


def _convolution(module: nn.Conv2d, images: np.ndarray) -> np.ndarray:
    _need(module, groups=1, dilation=(1, 1), padding_mode="zeros")
    padding = {"valid": (0, 0), "same": tuple((size - 1) // 2 for size in module.kernel_size)}.get(
        module.padding, module.padding
    )
    if module.padding == "same" and any(size % 2 == 0 for size in module.kernel_size):
        raise ValueError(f"Expected an odd kernel for padding 'same', but got {module.kernel_size}; state the padding.")
    return convolve(images, _array(module.weight), _array(module.bias), stride=module.stride, padding=padding)


def _pooling(module: nn.MaxPool2d, images: np.ndarray) -> np.ndarray:
    _need(module, return_indices=False)
    if _pair(module.dilation) != (1, 1):
        raise ValueError(f"Expected MaxPool2d to have dilation=1, but got {module.dilation}.")
    window, stride, padding = (_pair(getattr(module, name)) for name in ("kernel_size", "stride", "padding"))
    return max_pool(images, window, stride=stride, padding=padding, partial=module.ceil_mode)


def _normalisation(module: nn.BatchNorm2d, images: np.ndarray) -> np.ndarray:
    _need(module, track_running_stats=True)
    kept = (_array(part) for part in (module.running_mean, module.running_var, module.weight, module.bias))
    return batch_norm(images, *kept, epsilon=module.eps)


def _flattening(module: nn.Flatten, images: np.ndarray) -> np.ndarray:
    _need(module, start_dim=1, end_dim=-1)
    return flatten(images)


# each with the forward that the equation stands for: a subclass that computes something else is not taken for it
STEPS: dict[type[nn.Module], Callable[[nn.Module, np.ndarray], np.ndarray]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _normalisation,
    nn.ReLU: lambda module, values: relu(values),
    nn.Hardtanh: lambda module, values: hard_tanh(values, module.min_val, module.max_val),
    nn.MaxPool2d: _pooling,
    nn.Flatten: _flattening,
    nn.Linear: lambda module, values: dense(values, _array(module.weight), _array(module.bias)),
    nn.Dropout: lambda module, values: values,  # in eval() nothing is dropped
    nn.Identity: lambda module, values: values,
}


def _need(module: nn.Module, **wanted: object) -> None:
    for name, value in wanted.items():
        if getattr(module, name) != value:
            kind = type(module).__name__
            raise ValueError(f"Expected {kind} to have {name}={value!r}, but got {getattr(module, name)!r}.")


def _array(parameter: Tensor | None) -> np.ndarray | None:
    if parameter is None:
        return None
    parameter = parameter.detach().cpu()
    return (parameter if parameter.is_complex() else parameter.double()).numpy()


def _pair(number: int | Pair) -> Pair:
    return number if isinstance(number, tuple) else (number, number)


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
