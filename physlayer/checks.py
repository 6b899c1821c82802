"""Checks of what a user passes, each with a sentence that names the fix."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_images"]

SAMPLE = 4096  # values looked at per training step: enough to see 0…255 codes or a NaN batch, about 20 µs


def check_images(x: Tensor, name: str = "x", *, full: bool = False) -> None:
    """Refuse what is not a float ``(B, C, H, W)`` batch on the scale 0…1.

    A reading may leave 0…1 a little (noise before the converter, an exposure that saturates), so only values
    far outside, below -1 or above 2, are refused: they are integer codes that were never divided.

    Args:
        x: images, ``(B, C, H, W)``, intensities in 0…1 of full scale.
        name: what to call them in the message.
        full: look at every value (evaluation) instead of a strided sample (training).

    Raises:
        TypeError: if ``x`` is not a floating tensor.
        ValueError: if the shape is not ``(B, C, H, W)``, a value is not finite, or the scale is not 0…1.

    Example:
        >>> check_images(torch.rand(2, 3, 8, 8))
        >>> check_images(torch.rand(2, 8, 8, 3))
        Traceback (most recent call last):
        ...
        ValueError: Expected x to be (B, C, H, W), but got (2, 8, 8, 3), which looks like (B, H, W, C); ...
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"Expected {name} to be a torch tensor, but got {type(x).__name__}; use torch.as_tensor.")
    if not x.is_floating_point():
        raise TypeError(
            f"Expected {name} to be a floating tensor with intensities in 0…1, but got {x.dtype}; "
            f"for 8-bit images use {name}.float() / 255."
        )
    if x.ndim != 4:
        fix = f"; add the batch axis with {name}[None]" if x.ndim == 3 else ""
        raise ValueError(f"Expected {name} to be (B, C, H, W), but got {tuple(x.shape)}{fix}.")
    if x.shape[-1] in (1, 3, 4) and x.shape[1] > 4:
        raise ValueError(
            f"Expected {name} to be (B, C, H, W), but got {tuple(x.shape)}, which looks like (B, H, W, C); "
            f"use {name}.permute(0, 3, 1, 2)."
        )
    if x.numel() == 0:
        raise ValueError(f"Expected {name} to hold at least one image, but got shape {tuple(x.shape)}.")
    if torch.compiler.is_compiling():
        return
    seen = x.detach()
    if not full and seen.numel() > SAMPLE:
        seen = seen.reshape(-1) if seen.is_contiguous() else seen.flatten(0, 1)[0].reshape(-1)
        seen = seen[:: max(1, seen.numel() // SAMPLE)]
    low, high = (float(value) for value in torch.aminmax(seen))
    if not (low > -float("inf") and high < float("inf")):  # also false for NaN
        raise ValueError(f"Expected {name} to be finite, but got NaN or infinity.")
    if low < -1 or high > 2:
        raise ValueError(
            f"Expected {name} to hold intensities in 0…1 of full scale, but got values from {low:g} to {high:g}; "
            f"divide 8-bit codes by 255."
        )
