"""Scores over groups: every source image, patient or slide counts once, however many images were made from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["group_mean"]


def group_mean(scores: ArrayLike, groups: ArrayLike) -> float:
    r"""Mean over groups of the mean score within each.

    .. math:: A = \frac1G\sum_{g}\frac{1}{n_g}\sum_{i\in g} x_i

    with G groups, n_g the images of group g and x the scores (any unit).

    Shapes: scores and groups (N,). Raises: ValueError on unequal shapes.
    Source: Williamson, Datta, Satten 2003, doi:10.1111/1541-0420.00005 (weights 1/n_g).

    >>> group_mean([1, 1, 1, 0], ["a", "a", "a", "b"])
    0.5
    """
    scores, groups = np.asarray(scores), np.asarray(groups)
    if groups.shape != scores.shape or scores.ndim != 1:
        raise ValueError(f"Expected groups to have shape {scores.shape}, but got {groups.shape}; one each.")
    _, index, size = np.unique(groups, return_inverse=True, return_counts=True)
    return float((np.bincount(index, scores) / size).mean())
