"""Networks that say for every pixel what it is: an encoder with two transposed convolutions, and a small U-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["NETWORKS", "EncoderDecoder", "UNet", "build_network"]

OutputSize = tuple[int, int] | None


def convolutions(channels: int, width: int, depth: int) -> nn.Sequential:
    """``depth`` times 3×3 convolution, batch norm, ReLU."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
    return nn.Sequential(*layers)


def upsampling(channels: int, width: int, kernel: int) -> nn.Sequential:
    """Transposed convolution that doubles both sides, batch norm, ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels, width, kernel, stride=2, padding=kernel // 2 - 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class SegmentationNetwork(nn.Module):
    """What both networks share: one rule of scale, readings of any size, logits at the size of the mask.

    The reading is normalised by batch norm without learned scale, the same for every camera. It is filled with zeros
    (its mean, by then) below and on the right up to a multiple of ``stride``, and the logits are cut back. A camera of
    fewer pixels than the mask gets its logits enlarged by bilinear interpolation to ``output_size``, not the reading:
    what was not measured is not looked for.

    Args:
        channels: channels of the reading. stride: of the deepest features, pixels.
        output_size: height and width of the logits; ``None`` for those of the reading.
    """

    def __init__(self, channels: int, stride: int, output_size: OutputSize):
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.stride = stride
        self.output_size = None if output_size is None else (int(output_size[0]), int(output_size[1]))

    def logits(self, reading: Tensor) -> Tensor:
        """Logits of a normalised reading whose sides are multiples of ``stride``."""
        raise NotImplementedError

    def forward(self, reading: Tensor) -> Tensor:
        height, width = reading.shape[2:]
        # channels-last convolutions are about a third faster on CPUs; only strides change, not values
        x = self.normalise(reading).contiguous(memory_format=torch.channels_last)
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride))
        logits = self.logits(x)[:, :, :height, :width]
        if self.output_size in (None, (height, width)):
            return logits.contiguous()
        return F.interpolate(logits, self.output_size, mode="bilinear", align_corners=False)


class EncoderDecoder(SegmentationNetwork):
    """Three blocks of convolutions with pooling between them, and two 4×4 transposed convolutions back to full size.

    Args:
        channels: channels of the reading. classes: number of logits per pixel.
        widths: channels of the three blocks. depth: convolutions per block.
        output_size: height and width of the logits; ``None`` for those of the reading.

    Shape:
        ``(B, channels, H, W)`` to ``(B, classes, H, W)``, or to ``output_size``.

    Example:
        >>> EncoderDecoder(2, 2, output_size=(128, 128))(torch.rand(2, 2, 33, 47)).shape
        torch.Size([2, 2, 128, 128])
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: tuple[int, int, int] = (8, 16, 32),
        depth: int = 2,
        output_size: OutputSize = None,
    ):
        super().__init__(channels, 4, output_size)
        first, second, third = widths
        self.layers = nn.Sequential(
            convolutions(channels, first, depth),
            nn.MaxPool2d(2),
            convolutions(first, second, depth),
            nn.MaxPool2d(2),
            convolutions(second, third, depth),
            upsampling(third, second, 4),
            upsampling(second, first, 4),
            nn.Conv2d(first, classes, 1),
        )

    def logits(self, reading: Tensor) -> Tensor:
        return self.layers(reading)


class UNet(SegmentationNetwork):
    """A U-Net: every level of the way up also sees the features of the same level of the way down.

    Args:
        channels: channels of the reading. classes: number of logits per pixel.
        widths: channels of the levels, from fine to coarse. depth: convolutions per level.
        output_size: height and width of the logits; ``None`` for those of the reading.

    Shape:
        ``(B, channels, H, W)`` to ``(B, classes, H, W)``, or to ``output_size``.

    References:
        Ronneberger, Fischer & Brox 2015, doi:10.1007/978-3-319-24574-4_28; here with padding and batch norm.

    Example:
        >>> UNet(3, 2)(torch.rand(2, 3, 33, 47)).shape
        torch.Size([2, 2, 33, 47])
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: tuple[int, ...] = (8, 16, 32, 64),
        depth: int = 2,
        output_size: OutputSize = None,
    ):
        super().__init__(channels, 2 ** (len(widths) - 1), output_size)
        before = (channels, *widths)
        self.down = nn.ModuleList(convolutions(before[level], width, depth) for level, width in enumerate(widths))
        levels = range(len(widths) - 2, -1, -1)
        self.up = nn.ModuleList(upsampling(widths[level + 1], widths[level], 2) for level in levels)
        self.join = nn.ModuleList(convolutions(2 * widths[level], widths[level], depth) for level in levels)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def logits(self, reading: Tensor) -> Tensor:
        x, skipped = self.down[0](reading), []
        for level in self.down[1:]:
            skipped.append(x)
            x = level(F.max_pool2d(x, 2))
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skipped.pop()], 1))
        return self.head(x)


NETWORKS = {
    "unet": UNet,
    "encoder": EncoderDecoder,
    "encoder-wide": lambda channels, classes, output_size=None: EncoderDecoder(
        channels, classes, widths=(10, 20, 40), output_size=output_size
    ),
}


def build_network(
    name: str, shape: tuple[int, int, int], classes: int, output_size: OutputSize = None
) -> SegmentationNetwork:
    """A fresh network by name: ``unet``, ``encoder`` (8-16-32 feature maps) or ``encoder-wide`` (10-20-40).

    Args:
        name: of :data:`NETWORKS`. shape: ``(C, H, W)`` of the reading. classes: number of logits per pixel.
        output_size: height and width of the logits, those of the mask; ``None`` for those of the reading.

    Raises:
        ValueError: if there is none of that name, with the names that exist.

    Example:
        >>> build_network("encoder", (2, 64, 64), 2, output_size=(128, 128))(torch.rand(1, 2, 64, 64)).shape
        torch.Size([1, 2, 128, 128])
    """
    if name not in NETWORKS:
        raise ValueError(f"Expected network to be one of {', '.join(NETWORKS)}, but got {name!r}.")
    return NETWORKS[name](shape[0], classes, output_size=output_size)
