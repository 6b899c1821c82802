"""Quantities as maps over the sensor: a number, one per channel, one per pixel, or a coarse grid."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["full_size"]


def full_size(value: Tensor, x_shape: tuple[int, ...], name: str, size: tuple[int, int] | None) -> Tensor:
    """Bring a quantity to a shape that broadcasts over ``(B, C, H, W)``; a coarse grid is upsampled bilinearly.

    Raises:
        ValueError: if a map has neither the size of the image nor a stated coarse grid.
    """
    if value.ndim < 2:
        if value.numel() > 1:
            raise ValueError(
                f"Expected {name} to be a scalar, (C, 1, 1), (H, W) or (C, H, W), but got {tuple(value.shape)}; "
                f"for one value per channel use nn.Parameter(torch.ones(C, 1, 1)) or a plain tensor of that shape."
            )
        return value.reshape(1, 1, 1, 1)
    if value.ndim > 4 or (value.ndim == 4 and value.shape[0] != 1):
        raise ValueError(
            f"Expected {name} to be a number, (C, 1, 1), (H, W) or (C, H, W), but got {tuple(value.shape)}."
        )
    value = value.reshape((1,) * (4 - value.ndim) + tuple(value.shape))
    channels, height, width = x_shape[-3:]
    if value.shape[1] not in (1, channels):
        raise ValueError(
            f"Expected {name} to have {'1 channel' if channels == 1 else f'1 or {channels} channels'}, as the images "
            f"do, but got {value.shape[1]}; give it the shape ({channels}, 1, 1) or one number."
        )
    if tuple(value.shape[2:]) in ((1, 1), (height, width)):
        return value
    if (height, width) == (value.shape[3], value.shape[2]):
        raise ValueError(
            f"Expected {name} to be a map of {height}×{width} pixels (rows × columns), but got "
            f"{value.shape[2]}×{value.shape[3]}, which looks transposed; use {name}.mT."
        )
    if value.shape[2] > height or value.shape[3] > width:
        raise ValueError(
            f"Expected {name} to be no larger than the image's {height}×{width} pixels, but got "
            f"{value.shape[2]}×{value.shape[3]}."
        )
    if size is None:
        raise ValueError(
            f"Expected {name} to be a map of the image's {height}×{width} pixels, but got "
            f"{value.shape[2]}×{value.shape[3]}; for a coarse grid pass size=({height}, {width})."
        )
    if (height, width) != tuple(size):
        raise ValueError(f"Expected images of size={tuple(size)} pixels, but got {height}×{width}.")
    return F.interpolate(value, size=size, mode="bilinear", align_corners=False)
