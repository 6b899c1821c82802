"""Networks that measure: Network-in-Network with every layer shared, or with a branch for each diameter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["NETWORKS", "BranchedNetwork", "NetworkInNetwork"]

WIDTHS = (24, 48, 64)
GRID = (4, 4)  # places that the head tells apart: a length is a difference of places, which a mean over all would lose


def network_in_network(channels: int, widths: tuple[int, ...]) -> list[nn.Module]:
    """Blocks of one 3×3 and two 1×1 convolutions, each with batch norm and ReLU, then 2×2 pooling."""
    layers: list[nn.Module] = []
    for width in widths:
        for size in (3, 1, 1):
            layers += [
                nn.Conv2d(channels, width, size, padding=size // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        layers.append(nn.MaxPool2d(2, ceil_mode=True))  # a camera may leave fewer pixels than blocks would halve
    return layers


def head(channels: int, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Means on a coarse grid of places, then a linear layer."""
    features = channels * GRID[0] * GRID[1]
    return nn.Sequential(nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), nn.Dropout(dropout), nn.Linear(features, outputs))


class NetworkInNetwork(nn.Module):
    """Blocks whose 1×1 convolutions are small perceptrons at every place; all outputs share all layers but the last.

    The reading is first normalised by one rule that is the same for every camera (batch norm without learned scale).

    Args:
        shape: ``(C, H, W)`` of the reading. outputs: numbers to predict, or classes. widths: of the blocks.
        dropout: share of features dropped before the linear layer.

    Shape:
        ``(B, C, H, W)`` to ``(B, outputs)``.

    References:
        Lin, Chen, Yan 2014, arXiv:1312.4400.

    Example:
        >>> NetworkInNetwork((1, 64, 64), 2)(torch.rand(3, 1, 64, 64)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self, shape: tuple[int, int, int], outputs: int, *, widths: tuple[int, ...] = WIDTHS, dropout: float = 0.0
    ):
        super().__init__()
        self.normalise = nn.BatchNorm2d(shape[0], affine=False)
        self.layers = nn.Sequential(*network_in_network(shape[0], widths), head(widths[-1], outputs, dropout))
        # channels-last is twice as fast for 1×1 convolutions on CPUs, if the weights lie so, too; only strides change
        self.to(memory_format=torch.channels_last)

    def forward(self, reading: Tensor) -> Tensor:
        return self.layers(self.normalise(reading).contiguous(memory_format=torch.channels_last))


class BranchedNetwork(nn.Module):
    """As :class:`NetworkInNetwork` with a shared trunk, and from there on a branch of its own for every output.

    Args:
        shape: ``(C, H, W)`` of the reading. outputs: numbers to predict. widths: of the blocks, those of
            a branch among them. branch: blocks of every branch.

    Shape:
        ``(B, C, H, W)`` to ``(B, outputs)``.

    Raises:
        ValueError: if no block is left for the trunk.

    References:
        Caruana 1997, Machine Learning 28:41, doi:10.1023/A:1007379606734 (multi-task learning).

    Example:
        >>> BranchedNetwork((1, 64, 64), 2)(torch.rand(3, 1, 64, 64)).shape
        torch.Size([3, 2])
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int, *, widths: tuple[int, ...] = WIDTHS, branch: int = 1):
        super().__init__()
        if not 1 <= branch < len(widths):
            raise ValueError(f"Expected branch to be 1…{len(widths) - 1} of {len(widths)} blocks, but got {branch}.")
        trunk, own = widths[:-branch], widths[-branch:]
        self.normalise = nn.BatchNorm2d(shape[0], affine=False)
        self.trunk = nn.Sequential(*network_in_network(shape[0], trunk))
        self.branches = nn.ModuleList(
            nn.Sequential(*network_in_network(trunk[-1], own), head(own[-1], 1)) for _ in range(outputs)
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, reading: Tensor) -> Tensor:
        shared = self.trunk(self.normalise(reading).contiguous(memory_format=torch.channels_last))
        return torch.cat([branch(shared) for branch in self.branches], 1)


NETWORKS = {"shared": NetworkInNetwork, "branched": BranchedNetwork}
