"""Metrics of predicted numbers: errors in their unit, and agreement as Bland and Altman show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physlayer.metrics.groups import group_mean

__all__ = ["Agreement", "bland_altman", "regression_metrics"]

LIMITS = 1.96  # standard deviations of the differences on either side, for 95 % of normal ones


@dataclass(frozen=True)
class Agreement:
    """Bland–Altman: mean of truth and prediction, their difference, its mean and the limits of 95 %."""

    middle: np.ndarray
    difference: np.ndarray
    bias: float
    low: float
    high: float


def bland_altman(targets: np.ndarray, predicted: np.ndarray) -> Agreement:
    r"""Differences between prediction and truth against their mean.

    .. math:: d_i = \hat y_i - y_i, \qquad \bar d \pm 1.96\, s_d

    Args:
        targets: :math:`y`. predicted: :math:`\hat y`; both ``(N,)``, in one unit.

    References:
        Bland, Altman 1986, doi:10.1016/S0140-6736(86)90837-8.

    Example:
        >>> found = bland_altman(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5]))
        >>> found.bias, found.low, found.high
        (0.5, 0.5, 0.5)
    """
    difference = predicted - targets
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    bias = float(difference.mean())
    return Agreement((predicted + targets) / 2, difference, bias, bias - LIMITS * spread, bias + LIMITS * spread)


def regression_metrics(
    targets: np.ndarray, predicted: np.ndarray, groups: np.ndarray, *, names: tuple[str, ...], tolerance: float
) -> dict:
    r"""Errors of numbers with one unit, over all of them and for each.

    Args:
        targets, predicted: ``(N, K)``, in the unit. groups: source of each image. names: of the K numbers.
        tolerance: largest error that counts as right, in the unit.

    Returns:
        ``mean_absolute_error`` (mean over images and numbers), ``source_mean_absolute_error`` (every source the same
        weight), ``root_mean_square_error``, ``within_tolerance`` (share of all numbers), ``r_squared`` (mean over the
        numbers), and ``numbers``: for each name its mean absolute error, relative error, bias, limits of agreement and
        share within the tolerance.

    Raises:
        ValueError: if a prediction is not finite.

    Example:
        >>> truth, guess = np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]])
        >>> regression_metrics(truth, guess, np.array(["a", "b"]), names=("x",), tolerance=0.5)["mean_absolute_error"]
        0.5
    """
    from sklearn.metrics import mean_absolute_error, r2_score

    if not np.isfinite(predicted).all():
        raise ValueError(f"Expected finite predictions, but got {int((~np.isfinite(predicted)).sum())} that are not.")
    errors = np.abs(predicted - targets)
    each = errors.mean(1)
    numbers = {}
    for k, name in enumerate(names):
        agreement = bland_altman(targets[:, k], predicted[:, k])
        numbers[name] = {
            "mean_absolute_error": float(errors[:, k].mean()),
            "relative_error": float(errors[:, k].mean() / np.abs(targets[:, k]).mean()),
            "bias": agreement.bias,
            "limits_of_agreement": [agreement.low, agreement.high],
            "within_tolerance": float((errors[:, k] <= tolerance).mean()),
        }
    varied = bool((targets.std(0) > 0).all()) and len(targets) > 1
    return {
        "mean_absolute_error": float(mean_absolute_error(targets, predicted)),
        "source_mean_absolute_error": group_mean(each, groups),
        "root_mean_square_error": float(np.sqrt(np.square(predicted - targets).mean())),
        "within_tolerance": float((errors <= tolerance).mean()),
        "r_squared": float(r2_score(targets, predicted)) if varied else None,
        "numbers": numbers,
    }
