"""Networks that any task may use: convolutional ones of three sizes, and one that knows every pixel's place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["NETWORKS", "ConvolutionalNetwork", "Perceptron", "build_network"]


class ConvolutionalNetwork(nn.Module):
    """Blocks of 3×3 convolution, batch norm, ReLU and 2×2 pooling, then a linear layer on the channel means.

    The reading is first normalised by one rule that is the same for every camera (batch norm without learned
    scale): a digital step, so that no arm of a comparison wins by the scale of its output.

    Args:
        channels: channels of the reading. classes: number of logits. widths: channels after each block.
        depth: convolutions per block. dropout: share of features dropped before the linear layer.
        first_stride: 2 halves the image in the first convolution (5×5) and skips its pooling.
        maxima: hand the classifier the channel maxima too: small rare features train in far fewer steps.

    Shape:
        ``(B, channels, H, W)`` to ``(B, classes)``.

    Example:
        >>> ConvolutionalNetwork(3, 4)(torch.rand(2, 3, 60, 80)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: tuple[int, ...] = (16, 32, 64, 64),
        depth: int = 1,
        dropout: float = 0.3,
        first_stride: int = 1,
        maxima: bool = False,
    ):
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm2d(channels, affine=False)]
        for block, width in enumerate(widths):
            strided = block == 0 and first_stride == 2
            for number in range(depth):
                large = strided and number == 0
                layers += [
                    nn.Conv2d(
                        channels,
                        width,
                        5 if large else 3,
                        padding=2 if large else 1,
                        stride=2 if large else 1,
                        bias=False,
                    ),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                channels = width
            if not strided:
                layers.append(Halve())
        self.features = nn.Sequential(*layers)
        self.maxima = maxima
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels * (1 + maxima), classes))

    def forward(self, reading: Tensor) -> Tensor:
        # channels-last convolutions are about a third faster on CPUs; only strides change, not values
        features = self.features(reading.contiguous(memory_format=torch.channels_last))
        pooled = features.mean((2, 3))
        if self.maxima:
            pooled = torch.cat([pooled, features.amax((2, 3))], 1)
        return self.classifier(pooled)


class Halve(nn.Module):
    """2×2 max pooling, of images that still have two pixels along both axes: a camera may leave fewer.

    Example:
        >>> Halve()(torch.zeros(1, 1, 4, 6)).shape, Halve()(torch.zeros(1, 1, 1, 6)).shape
        (torch.Size([1, 1, 2, 3]), torch.Size([1, 1, 1, 6]))
    """

    def forward(self, features: Tensor) -> Tensor:
        return functional.max_pool2d(features, 2) if min(features.shape[2:]) > 1 else features


class Perceptron(nn.Module):
    """Fully connected layers on all pixels: a weight per place, so it can use a few pixels that lie apart.

    A convolutional network that ends in channel means knows what was seen, not where, and a lone pixel is no shape.
    There is no batch norm between the layers: in training :class:`physlayer.SensorPlacement` shows every image
    through other places, and statistics over those are not the ones of the places that are kept.

    Args:
        shape: ``(C, H, W)`` of the reading. classes: number of logits. widths: of the hidden layers.

    Shape:
        ``(B, C, H, W)`` to ``(B, classes)``.

    Example:
        >>> Perceptron((1, 28, 28), 10)(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, *, widths: tuple[int, ...] = (128, 64)):
        super().__init__()
        # the same rule of scale as above: the fewer pixels are read, the larger each becomes
        layers: list[nn.Module] = [nn.BatchNorm2d(shape[0], affine=False), nn.Flatten()]
        features = math.prod(shape)
        for width in widths:
            layers += [nn.Linear(features, width), nn.ReLU(inplace=True)]
            features = width
        self.layers = nn.Sequential(*layers, nn.Linear(features, classes))

    def forward(self, reading: Tensor) -> Tensor:
        return self.layers(reading)


NETWORKS = {
    "small": lambda shape, classes: ConvolutionalNetwork(
        shape[0], classes, widths=(12, 24, 48), dropout=0.1, first_stride=2, maxima=True
    ),
    "course": lambda shape, classes: ConvolutionalNetwork(shape[0], classes, widths=(16, 32, 64, 64)),
    "large": lambda shape, classes: ConvolutionalNetwork(shape[0], classes, widths=(32, 64, 128, 128), depth=2),
    "mlp": Perceptron,
}


def build_network(name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A fresh network by name, for readings ``(C, H, W)``.

    Raises:
        ValueError: if there is none of that name, with the names that exist.
    """
    if name not in NETWORKS:
        raise ValueError(f"Expected network to be one of {', '.join(NETWORKS)}, but got {name!r}.")
    return NETWORKS[name](shape, classes)
