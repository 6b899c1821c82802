"""Random changes of scenes that tasks share: mirror images, turns, lamps, noise. Masks move with their image."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["eight_views", "lamp", "mirror", "quarter_turn", "small_turn", "white_noise"]


def mirror(
    images: Tensor, targets: Tensor, generator: torch.Generator, axes: tuple[int, ...] = (2, 3)
) -> tuple[Tensor, Tensor]:
    """Half of the images mirrored along each axis, independently.

    Example:
        >>> image, mask = torch.rand(4, 1, 3, 3), torch.zeros(4, 3, 3, dtype=torch.uint8)
        >>> mirror(image, mask, torch.Generator())[0].shape
        torch.Size([4, 1, 3, 3])
    """
    for axis in axes:
        chosen = torch.rand(len(images), generator=generator).to(images.device) < 0.5
        images = torch.where(chosen.view(-1, 1, 1, 1), images.flip(axis), images)
        if targets.ndim == 3:
            targets = torch.where(chosen.view(-1, 1, 1), targets.flip(axis - 1), targets)
    return images, targets


def quarter_turn(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the square images turned by 90°; with :func:`mirror`, all eight ways to look at them.

    Raises:
        ValueError: for images that are not square.
    """
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"Expected square images to turn by 90°, but got {tuple(images.shape)}; mirror them instead.")
    chosen = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    images = torch.where(chosen.view(-1, 1, 1, 1), images.transpose(2, 3), images)
    if targets.ndim == 3:
        targets = torch.where(chosen.view(-1, 1, 1), targets.transpose(1, 2), targets)
    return images, targets


def eight_views(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All ways to look at what has no up and no down: mirrored and, where the images are square, turned."""
    images, targets = mirror(images, targets, generator)
    square = images.shape[2] == images.shape[3]
    return quarter_turn(images, targets, generator) if square else (images, targets)


def small_turn(images: Tensor, generator: torch.Generator, degrees: float) -> Tensor:
    """Turned by up to ±``degrees`` about the middle, bilinearly; the border repeats."""
    from kornia.geometry.transform import rotate

    angles = degrees * (2 * torch.rand(len(images), generator=generator).to(images.device) - 1)
    return rotate(images, angles, padding_mode="border")


def lamp(images: Tensor, generator: torch.Generator, spread: float = 0.2, colour: float = 0.1) -> Tensor:
    """Brightness within ± half of ``spread``, and of each channel within ± half of ``colour``; cut at full scale."""

    def draw(channels: int) -> Tensor:
        return torch.rand(len(images), channels, 1, 1, generator=generator).to(images.device) - 0.5

    return (images * (1 + spread * draw(1) + colour * draw(images.shape[1]))).clamp(0, 1)


def white_noise(images: Tensor, generator: torch.Generator, deviation: float) -> Tensor:
    """Gaussian noise of up to ``deviation`` full scales, another level for every image; cut at 0 and full scale."""
    level = deviation * torch.rand(len(images), 1, 1, 1, generator=generator)
    noise = level * torch.randn(images.shape, generator=generator)
    return (images + noise.to(images.device)).clamp(0, 1)
