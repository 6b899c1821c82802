"""Scores, values and labels as the statistics take them, refused with the fix where they are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["checked_labels", "checked_scores", "checked_vector", "expect"]


def expect(condition: bool | np.bool_, what: str, got: object, fix: str) -> None:
    """Raise a ``ValueError`` of one sentence unless the condition holds."""
    if not condition:
        raise ValueError(f"Expected {what}, but got {got}; {fix}.")


def checked_vector(values: ArrayLike, name: str) -> np.ndarray:
    """Finite numbers, ``(n,)``."""
    values = np.asarray(values, dtype=np.float64)
    good = values.ndim == 1 and values.size > 0 and np.isfinite(values).all()
    expect(good, f"{name} to be finite, of shape (n,)", values.shape, "drop what is NaN")
    return values


def checked_scores(values: ArrayLike, name: str) -> np.ndarray:
    """Finite scores ``(seeds, images)``, also of a single seed."""
    values = np.asarray(values, dtype=np.float64)
    values = values[None] if values.ndim == 1 else values
    good = values.ndim == 2 and values.size > 0 and np.isfinite(values).all()
    expect(good, f"{name} to be finite, of shape (seeds, images)", values.shape, "drop diverged runs")
    return values


def checked_labels(values: ArrayLike, name: str, images: int) -> tuple[np.ndarray, np.ndarray]:
    """The different labels of ``images`` images, and the place of each image's own among them."""
    values = np.asarray(values)
    what = f"{name} to have shape ({images},)"
    expect(values.shape == (images,), what, values.shape, "all seeds share one test set")
    return np.unique(values, return_inverse=True)
