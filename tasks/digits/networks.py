"""Networks of the course's homework on digits: 784-80-40-10 fully connected, and 8-16-32 convolutional."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from physlayer.core.validation import plain_number
from physlayer.tasks.networks import NETWORKS as SHARED
from physlayer.tasks.networks import Perceptron

__all__ = ["NETWORKS", "CourseNetwork", "build_network"]

ACTIVATIONS = {"relu": nn.ReLU, "hard_tanh": nn.Hardtanh}


class CourseNetwork(nn.Module):
    r"""Blocks of 3×3 convolution, activation and 2×2 max pooling, then one dense layer that knows every place.

    .. math:: z = W\,\mathrm{flatten}(P f(\dots P f(h_1 * \tilde x + b_1))) + b, \qquad
              \tilde x_c = (x_c - \mu_c) / \sqrt{\sigma_c^2 + 10^{-5}}

    with the reading :math:`x`, kernels :math:`h` that keep the size, the activation :math:`f` and pooling :math:`P`.
    The last pixel of an odd row is pooled alone, so nothing is cut off and readings of any size fit.

    The first step brings each channel to mean 0 and variance 1 (:math:`\mu_c, \sigma_c^2` of the training readings):
    one rule without learned numbers, the same for every camera. Weights start, and the learning rate is chosen, for
    that scale; without it a camera would win because its output happens to be large, not because it tells more. The
    step is digital and behind the sensor: it scales signal and noise alike and adds no levels, so a noisy or coarse
    reading stays as noisy or coarse as it was.

    The homework's variations are options; its other one, Adam for plain gradient descent, is no option here, as
    :func:`physlayer.fit` trains every network by AdamW.

    Args:
        shape: ``(C, H, W)`` of the reading. outputs: number of logits.
        widths: feature maps of each convolution; a fourth number is a fourth convolution.
        activation: ``"relu"``, or ``"hard_tanh"`` (:math:`f(x) = \min(\max(x, -1), 1)`).
        pool_first: pool before the activation. Both activations never fall, so the largest value is the same either
            way: logits and gradients are equal and a quarter of the activations is computed.
        batch_norm: normalise behind each convolution, with learned scale and shift in place of its bias.

    Raises:
        ValueError: for another activation, or widths or a shape that are not whole numbers of 1 or more.

    Shape:
        ``(B, C, H, W)`` to ``(B, outputs)``.

    Example:
        >>> import torch
        >>> CourseNetwork((1, 28, 28), 10)(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> CourseNetwork((3, 9, 5), 10, widths=(8, 16, 32, 64), batch_norm=True)(torch.rand(2, 3, 9, 5)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        outputs: int,
        *,
        widths: Sequence[int] = (8, 16, 32),
        activation: str = "relu",
        pool_first: bool = False,
        batch_norm: bool = False,
    ):
        if activation not in ACTIVATIONS:
            raise ValueError(f"Expected activation to be one of {', '.join(ACTIVATIONS)}, but got {activation!r}.")
        if len(shape) != 3:
            raise ValueError(f"Expected shape to be (C, H, W) of the reading, but got {tuple(shape)}.")
        if not widths:
            raise ValueError("Expected widths to name at least one convolution, but got none; use Perceptron.")
        for name, numbers in (("shape", shape), ("widths", widths)):
            for number in numbers:
                plain_number(name, number, 1, 10**6, whole=True)
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = [nn.BatchNorm2d(channels, affine=False)]
        for maps in widths:
            layers.append(nn.Conv2d(channels, maps, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(maps))
            pair = [ACTIVATIONS[activation](), nn.MaxPool2d(2, ceil_mode=True)]
            layers += reversed(pair) if pool_first else pair
            channels, height, width = maps, math.ceil(height / 2), math.ceil(width / 2)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, outputs))

    def forward(self, reading: Tensor) -> Tensor:
        return self.layers(reading)


NETWORKS = SHARED | {
    "dense": lambda shape, classes: Perceptron(shape, classes, widths=(80, 40)),
    "cnn": CourseNetwork,
    "cnn_pool_first": lambda shape, classes: CourseNetwork(shape, classes, pool_first=True),
    "cnn_batch_norm": lambda shape, classes: CourseNetwork(shape, classes, batch_norm=True),
    "cnn_four": lambda shape, classes: CourseNetwork(shape, classes, widths=(8, 16, 32, 64)),
    "cnn_hard_tanh": lambda shape, classes: CourseNetwork(shape, classes, activation="hard_tanh"),
}


def build_network(name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A fresh network by name, one of the homework's or of :mod:`physlayer.tasks.networks`, for readings ``(C, H, W)``.

    Raises:
        ValueError: if there is none of that name, with the names that exist.

    Example:
        >>> build_network("dense", (1, 28, 28), 10).layers[2]
        Linear(in_features=784, out_features=80, bias=True)
    """
    if name not in NETWORKS:
        raise ValueError(f"Expected network to be one of {', '.join(NETWORKS)}, but got {name!r}.")
    return NETWORKS[name](shape, classes)
