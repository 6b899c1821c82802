"""Targets and probabilities as the metrics of a classifier take them, refused with the fix where they are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["checked_logits", "checked_probabilities", "checked_targets"]


def checked_probabilities(values: ArrayLike) -> np.ndarray:
    """Rows ``(N, K)`` that sum to 1."""
    values = checked_logits(values, "probabilities")
    total = values.sum(1)
    if values.min() < 0 or values.max() > 1 or np.abs(total - 1).max() > 1e-3:
        raise ValueError(
            "Expected probabilities to lie in 0…1 and sum to 1 over classes, but got rows summing to "
            f"{total.min():.4g}…{total.max():.4g}; apply a softmax."
        )
    return values


def checked_targets(targets: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Class indices ``(N,)`` of probabilities or logits of this shape, ``(N, K)``."""
    targets = np.asarray(targets)
    if targets.shape != shape[:1] or not np.issubdtype(targets.dtype, np.integer):
        found = f"{targets.dtype} of shape {targets.shape}"
        raise ValueError(f"Expected targets to be {shape[0]} class indices, but got {found}; pass integers.")
    if targets.min() < 0 or targets.max() >= shape[1]:
        found = f"{targets.min()}…{targets.max()}"
        raise ValueError(f"Expected targets to lie in 0…{shape[1] - 1}, but got {found}; check the classes.")
    return targets


def checked_logits(values: ArrayLike, name: str = "logits") -> np.ndarray:
    """Finite rows ``(N, K)``."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"Expected {name} to have shape (N, K), but got {values.shape}; pass rows.")
    if not np.isfinite(values).all():
        raise ValueError(f"Expected {name} to be finite, but got NaN or infinity; has the run diverged?")
    return values
