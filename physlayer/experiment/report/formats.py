"""Numbers, values, images and errors as a report shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from physlayer.color.srgb import linear_to_srgb

__all__ = ["listed", "number", "on_screen", "reason", "value_name"]


def number(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where there is none.

    Example:
        >>> number(0.5), number(None), number(float("nan"))
        ('0.500', '–', '–')
    """
    return "–" if value is None or not np.isfinite(value) else format(value, form)


def value_name(value: float | None) -> str:
    """The swept value as text; a bound, which has none, is the same at any.

    Example:
        >>> value_name(8.0), value_name(None)
        ('8', 'any')
    """
    return "any" if value is None else format(value, "g")


def listed(values: np.ndarray) -> str:
    """A few numbers in a cell.

    Example:
        >>> listed(np.array([[1.0], [0.25]]))
        '1, 0.25'
    """
    return ", ".join(f"{x:.3g}" for x in np.ravel(values))


def reason(error: Exception) -> str:
    """The error in words; of a file only its name, since a report may be passed on.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory", "/home/me/models/a.pt"))
        'a.pt: No such file or directory.'
    """
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}."
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def on_screen(image: Tensor, linear: bool) -> np.ndarray:
    """Image ``(C, H, W)`` as ``(H, W, 3)`` for a screen: linear light gets sRGB-encoded, grey stays grey."""
    image = image.detach().float().clamp(0, 1)
    image = linear_to_srgb(image) if linear else image
    if image.shape[0] != 3:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    return image.permute(1, 2, 0).numpy()
