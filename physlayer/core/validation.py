"""Checks of what a user passes, each with a sentence that names the fix."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, overload

import torch
from torch import Tensor, nn

__all__ = [
    "IMAGES", "Accepts", "above_zero", "check_bits", "check_images", "image_size", "one_number", "one_of",
    "plain_number",
]  # fmt: skip

LIMIT = 16.0  # full scales: far above any exposure, far below 8-bit codes
ROUNDING = 1e-6  # full scales: a convolution by FFT leaves no less where there is no light
NORMALISED = -0.5  # full scales: noise seldom goes further below 0
SAMPLE = 4096  # values looked at per training step: enough to see 0…255 codes or a NaN batch, about 20 µs


@dataclass(frozen=True)
class Accepts:
    """What a layer takes: a range in full scales, a number of channels, complex fields.

    A reading may leave 0…1 (noise before the converter, an exposure that saturates), so by default only values far
    outside, beyond ±16, are refused: they are integer codes that were never divided.

    Args:
        low, high: smallest and largest value, full scale; of a complex field its magnitude.
        channels: number of channels, ``None`` for any. complex: take complex fields instead of intensities.
    """

    low: float = -LIMIT
    high: float = LIMIT
    channels: int | None = None
    complex: bool = False


IMAGES = Accepts()


def check_images(x: Tensor, name: str = "x", *, full: bool = False, accepts: Accepts = IMAGES) -> None:
    """Refuse what is not a float ``(B, C, H, W)`` batch on the scale that a layer accepts.

    Args:
        x: images, ``(B, C, H, W)``, intensities in 0…1 of full scale.
        name: what to call them in the message.
        full: look at every value (evaluation) instead of a strided sample (training).
        accepts: range, channels and kind.

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
    if accepts.complex != x.is_complex():
        wanted, fix = ("a complex field", "torch.complex(amplitude, 0 * amplitude)") if accepts.complex else (
            "real intensities", f"{name}.abs() ** 2"
        )  # fmt: skip
        raise TypeError(f"Expected {name} to be {wanted}, but got {x.dtype}; use {fix}.")
    if not x.is_complex() and not x.is_floating_point():
        raise TypeError(
            f"Expected {name} to be a floating tensor with intensities in 0…1, but got {x.dtype}; "
            f"for 8-bit images use {name}.float() / 255."
        )
    if x.dtype in (torch.float16, torch.bfloat16):
        raise TypeError(
            f"Expected {name} to be float32 or float64, but got {x.dtype}, too coarse for a converter's levels; "
            f"use {name}.float(), and under autocast give the camera its own block with enabled=False."
        )
    if x.ndim != 4:
        fix = f"; add the batch axis with {name}[None]" if x.ndim == 3 else ""
        raise ValueError(f"Expected {name} to be (B, C, H, W), but got {tuple(x.shape)}{fix}.")
    channels = accepts.channels
    if channels is not None and x.shape[1] != channels:
        fix = f"; use {name}.permute(0, 3, 1, 2)" if x.shape[-1] == channels else ""
        raise ValueError(f"Expected {name} to have {channels} channels, but got {tuple(x.shape)}{fix}.")
    wide = min(x.shape[1:3]) > 4  # a list of samples (B, C, 1, 1) or tiny pictures of many cameras are no mistake
    if channels is None and ((x.shape[-1] in (1, 3) and wide) or (x.shape[-1] == 4 and x.shape[1] >= 64)):
        raise ValueError(
            f"Expected {name} to be (B, C, H, W), but got {tuple(x.shape)}, which looks like (B, H, W, C); "
            f"use {name}.permute(0, 3, 1, 2)."
        )
    if x.numel() == 0:
        raise ValueError(f"Expected {name} to hold at least one image, but got shape {tuple(x.shape)}.")
    if torch.compiler.is_compiling():
        return
    if not full and x.device.type != "cpu":
        return  # looking at values would make the accelerator wait at every step; evaluation looks at all
    seen = x.detach().abs() if x.is_complex() else x.detach()
    if not full and seen.numel() > SAMPLE:
        # every image and channel, some rows and columns; works on any memory layout without a copy of the batch
        step = max(1, round((seen.numel() / SAMPLE) ** 0.5))
        seen = seen[:, :, step // 2 % seen.shape[2] :: step, step // 2 % seen.shape[3] :: step]
    low, high = (float(value) for value in torch.aminmax(seen))
    if not (low > -float("inf") and high < float("inf")):  # also false for NaN
        raise ValueError(f"Expected {name} to be finite, but got NaN or infinity.")
    if low < accepts.low - ROUNDING or high > accepts.high:
        fix = f"values must lie in {accepts.low:g}…{accepts.high:g}"
        if high > LIMIT:
            fix = "divide 8-bit codes by 255"
        elif low < accepts.low == 0:
            fix = "light is not negative: put any Normalize behind the camera"
        raise ValueError(
            f"Expected {name} to hold intensities in 0…1 of full scale, but got values from {low:g} to {high:g}; {fix}."
        )
    if accepts.low == -LIMIT and low < NORMALISED and not x.is_complex():
        _warn_if_normalised(seen, name)


def _warn_if_normalised(seen: Tensor, name: str) -> None:
    """Noise and differences may leave a reading below 0; a mean near 0 is the mark of a Normalize."""
    below = float((seen < 0).float().mean())
    if below > 0.4 and float(seen.mean()) < 0.25:
        warnings.warn(
            f"Expected {name} to hold intensities in 0…1, but got {below:.0%} below 0, as a Normalize leaves them; "
            "put it behind the camera.",
            stacklevel=4,
        )


@overload
def plain_number(name: str, value: float, low: float, high: float, *, whole: Literal[True]) -> int: ...


@overload
def plain_number(name: str, value: float, low: float, high: float, *, whole: Literal[False] = False) -> float: ...


def plain_number(name: str, value: float, low: float, high: float, *, whole: bool = False) -> float:
    """A setting that is no physical quantity: a plain number in range, never learned.

    Raises:
        TypeError: if it is no number, or an ``nn.Parameter``, which would silently stay fixed.
        ValueError: if it is out of range or not whole.

    Example:
        >>> plain_number("leak", 0.01, 0.0, 1.0)
        0.01
    """
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool | Tensor) or not isinstance(value, int | float):
        raise TypeError(
            f"Expected {name} to be {kind}, but got {type(value).__name__}; {name} is a setting, not learned."
        )
    if not low <= value <= high or (whole and int(value) != value):
        raise ValueError(f"Expected {name} to be {kind} in {low:g}…{high:g}, but got {value:g}.")
    return int(value) if whole else float(value)


def check_bits(bits: int, low: int = 1, high: int = 16) -> int:
    """Return ``bits`` if it is a whole number in ``low…high``, else say what to do."""
    if isinstance(bits, nn.Parameter):
        raise TypeError("Expected bits to be a fixed number, but got an nn.Parameter; BitBudget learns bits per pixel.")
    number = isinstance(bits, int | float) and not isinstance(bits, bool)
    if not number or not low <= bits <= high or int(bits) != bits:
        fix = "; a pixel without bits is possible in BitBudget" if bits == 0 else ""
        raise ValueError(f"Expected bits to be a whole number in {low}…{high}, but got {bits!r}{fix}.")
    return int(bits)


def one_number(name: str, value: float | Tensor, fix: str = "") -> None:
    """Refuse a quantity of several values where the hardware has one.

    Raises:
        ValueError: if it has several, with what to do as ``fix``.

    Example:
        >>> one_number("step", torch.ones(3), "BitDepth has maps")
        Traceback (most recent call last):
        ...
        ValueError: Expected step to be one number, but got shape (3,); BitDepth has maps.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        shape = tuple(value.shape)
        raise ValueError(f"Expected {name} to be one number, but got shape {shape}{f'; {fix}' if fix else ''}.")


def above_zero(name: str, value: float | Tensor, why: str) -> None:
    """Refuse a 0 (or less) among the fixed values of a quantity that may come as near to 0 as it likes.

    A learned one is refused with its bound, by :meth:`physlayer.PhysicalLayer.register_physical`.

    Raises:
        ValueError: if a value is 0 or below, with the reason ``why``.

    Example:
        >>> above_zero("full_well_electrons", 0.0, "such a sensor reads nothing")
        Traceback (most recent call last):
        ...
        ValueError: Expected full_well_electrons to be above 0, but got 0; such a sensor reads nothing.
    """
    if not isinstance(value, nn.Parameter) and not (least := float(torch.as_tensor(value).min())) > 0:
        raise ValueError(f"Expected {name} to be above 0, but got {least:g}; {why}.")


def image_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of images in pixels, if that is what was given.

    Raises:
        TypeError: if a side is no number.
        ValueError: if there are not two sides, or one is not a whole number above 0.

    Example:
        >>> image_size(torch.zeros(1, 3, 28, 32).shape[2:])
        (28, 32)
    """
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"Expected size to be (H, W) in pixels, but got {size!r}; use tuple(x.shape[2:]).")
    height, width = (plain_number("size", side, 1, 1e6, whole=True) for side in size)
    return height, width


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """Return a setting if it is one of those that exist, else say which do.

    Raises:
        ValueError: if it is none of them.

    Example:
        >>> one_of("border", "zero", ("reflect", "circular", "zero"))
        'zero'
    """
    known = tuple(known)
    if value not in known:
        raise ValueError(f"Expected {name} to be one of {', '.join(known)}, but got {value!r}.")
    return value
