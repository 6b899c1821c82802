"""What a network of :mod:`physlayer.tasks.digits.networks` computes, written out in NumPy: no torch in the arithmetic.

The equations stand in :mod:`physlayer.tasks.digits.numpy_layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor, nn

from physlayer.tasks.digits.networks import CourseNetwork
from physlayer.tasks.digits.numpy_layers import Pair, batch_norm, convolve, dense, flatten, hard_tanh, max_pool, relu
from physlayer.tasks.networks import Perceptron

__all__ = ["numpy_forward"]


def numpy_forward(model: nn.Module, images: np.ndarray | Tensor) -> np.ndarray:
    """What ``model`` gives in ``eval()``, by the functions of :mod:`physlayer.tasks.digits.numpy_layers`.

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
