"""The network of the class projects on lymph nodes: blocks of two convolutions, then dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DenseNetwork"]

WIDTHS = (16, 32, 64)
GRID = (4, 4)  # places that the dense layers tell apart


class DenseNetwork(nn.Module):
    """Three blocks of two 3×3 convolutions and pooling, then two dense layers with dropout.

    The reading is first normalised by one rule that is the same for every camera (batch norm without learned scale).

    Args:
        shape: ``(C, H, W)`` of the reading. outputs: classes. dropout: share dropped before each dense layer.

    Shape:
        ``(B, C, H, W)`` to ``(B, outputs)``.

    Example:
        >>> DenseNetwork((3, 48, 48), 2)(torch.rand(2, 3, 48, 48)).shape
        torch.Size([2, 2])
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int, *, dropout: float = 0.3):
        super().__init__()
        channels = shape[0]
        layers: list[nn.Module] = [nn.BatchNorm2d(channels, affine=False)]
        for width in WIDTHS:
            for _ in range(2):
                layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers += [nn.MaxPool2d(2, ceil_mode=True), nn.Dropout2d(dropout / 3)]
        layers += [nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), nn.Dropout(dropout)]
        layers += [nn.Linear(channels * GRID[0] * GRID[1], 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, outputs)]
        self.layers = nn.Sequential(*layers)

    def forward(self, reading: Tensor) -> Tensor:
        return self.layers(reading.contiguous(memory_format=torch.channels_last))
