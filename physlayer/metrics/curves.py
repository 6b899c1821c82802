"""What a classifier's scores allow at every threshold: receiver operating characteristic, precision and recall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["PrecisionRecallPoints", "RocPoints", "precision_recall_points", "roc_points"]


class RocPoints(NamedTuple):
    """Rates in 0…1 and thresholds."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    threshold: np.ndarray


class PrecisionRecallPoints(NamedTuple):
    """Rates in 0…1; a random score has a precision of ``prevalence``."""

    precision: np.ndarray
    recall: np.ndarray
    threshold: np.ndarray
    prevalence: float


def roc_points(positive, scores) -> RocPoints:
    r"""True against false positive rate as the decision threshold falls, by scikit-learn.

    .. math:: \mathrm{TPR}(\tau) = P(s\ge\tau\mid +),\quad \mathrm{FPR}(\tau) = P(s\ge\tau\mid -)

    with s the score and τ the threshold, in one unit; the first is +∞, the point (0, 0).

    Shapes: positive, scores (N,); points (M,). Raises: ValueError on unequal shapes, NaN, one class only.
    Source: Fawcett 2006, doi:10.1016/j.patrec.2005.10.010.

    >>> curve = roc_points([0, 1, 1], [.1, .4, .8])
    >>> curve.true_positive_rate.tolist(), curve.false_positive_rate.tolist()
    ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0])
    """
    from sklearn.metrics import roc_curve

    positive, scores = _scores(positive, scores)
    return RocPoints(*roc_curve(positive, scores))


def precision_recall_points(positive, scores) -> PrecisionRecallPoints:
    r"""Precision against recall as the decision threshold rises, by scikit-learn.

    .. math:: \mathrm{precision}(\tau) = P(+\mid s\ge\tau),\quad \mathrm{recall}(\tau) = P(s\ge\tau\mid +)

    with s the score and τ the threshold, in one unit; the last point has no threshold.

    Shapes: positive, scores (N,); points (M + 1,), threshold (M,). Raises: ValueError as `roc_points`.
    Source: Davis, Goadrich 2006, doi:10.1145/1143844.1143874.

    >>> curve = precision_recall_points([0, 1, 1, 0], [.1, .4, .8, .6])
    >>> curve.recall.tolist(), curve.prevalence
    ([1.0, 1.0, 0.5, 0.5, 0.0], 0.5)
    """
    from sklearn.metrics import precision_recall_curve

    positive, scores = _scores(positive, scores)
    precision, recall, threshold = precision_recall_curve(positive, scores)
    return PrecisionRecallPoints(precision, recall, threshold, float(positive.mean()))


def _scores(positive, scores):
    positive, scores = np.asarray(positive), np.asarray(scores, dtype=np.float64)
    if positive.ndim != 1 or positive.shape != scores.shape or not np.isfinite(scores).all():
        found = f"{positive.shape} and {scores.shape}"
        raise ValueError(f"Expected positive and scores to be finite, both (N,), but got {found}.")
    found = np.unique(positive).tolist()
    if found != [0, 1]:
        raise ValueError(f"Expected positive to hold 0 and 1, but got {found[:4]}; choose another class.")
    return positive.astype(bool), scores
