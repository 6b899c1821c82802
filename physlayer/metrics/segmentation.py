"""Metrics of masks: overlap of every image by itself, with a rule for empty ones."""

from __future__ import annotations

import numpy as np

from physlayer.metrics.groups import group_mean

__all__ = ["dice", "jaccard", "segmentation_metrics"]

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def dice(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Dice overlap of every image, ``(N,)``; 1 where neither has an object.

    .. math:: D = \frac{2\,|P \cap T|}{|P| + |T|}

    Args:
        predicted, truth: masks of 0 and 1, ``(N, H, W)``.

    References:
        Dice 1945, doi:10.2307/1932409.

    Example:
        >>> dice(np.array([[[1, 1]], [[0, 0]]]), np.array([[[1, 0]], [[0, 0]]])).round(3).tolist()
        [0.667, 1.0]
    """
    both, each, _ = _areas(predicted, truth)
    return np.where(each > 0, 2 * both / np.maximum(each, 1), 1.0)


def jaccard(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Jaccard overlap (intersection over union) of every image, ``(N,)``; 1 where neither has an object.

    .. math:: J = \frac{|P \cap T|}{|P \cup T|} = \frac{D}{2 - D}

    Example:
        >>> jaccard(np.array([[[1, 1]], [[0, 0]]]), np.array([[[1, 0]], [[0, 0]]])).tolist()
        [0.5, 1.0]
    """
    both, each, _ = _areas(predicted, truth)
    return np.where(each > 0, both / np.maximum(each - both, 1), 1.0)


def segmentation_metrics(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> dict:
    """Overlaps of masks: means over images, over sources, and the distribution of Dice over images.

    Args:
        truth, predicted: masks of 0 and 1, ``(N, H, W)``. groups: source of each image.

    Returns:
        ``dice``, ``jaccard``, ``pixel_accuracy`` (means over images), ``source_dice`` (every source the same weight),
        ``pooled_dice`` (all pixels of all images as one mask), and ``dice_quantiles``: smallest, quartiles, largest.

    Example:
        >>> mask = np.array([[[1, 0]]])
        >>> segmentation_metrics(mask, mask, np.array(["a"]))["dice"]
        1.0
    """
    both, each, right = _areas(predicted, truth)
    overlaps = dice(predicted, truth)
    return {
        "dice": float(overlaps.mean()),
        "jaccard": float(jaccard(predicted, truth).mean()),
        "pixel_accuracy": float(right.mean()),
        "source_dice": group_mean(overlaps, groups),
        "pooled_dice": float(2 * both.sum() / each.sum()) if each.any() else 1.0,
        "dice_quantiles": [float(q) for q in np.quantile(overlaps, QUANTILES)],
    }


def _areas(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Area of both, sum of the areas, and share of right pixels, of every image."""
    if predicted.shape != truth.shape or truth.ndim != 3:
        raise ValueError(f"Expected two sets of masks (N, H, W), but got {predicted.shape} and {truth.shape}.")
    p, t = ((mask == 1).reshape(len(mask), -1) for mask in (predicted, truth))
    return (p & t).sum(1).astype(float), (p.sum(1) + t.sum(1)).astype(float), (p == t).mean(1)
