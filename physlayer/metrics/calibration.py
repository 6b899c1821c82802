"""Whether a classifier is right as often as it says: reliability, its error, and the temperature that mends it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from physlayer.metrics.classification_inputs import checked_logits, checked_probabilities, checked_targets

__all__ = [
    "ReliabilityPoints",
    "calibration_null",
    "expected_calibration_error",
    "reliability_points",
    "scaled_probabilities",
    "temperature_scale",
]

CALIBRATION_BINS = 15
TEMPERATURES = 0.05, 20.0


class ReliabilityPoints(NamedTuple):
    """Mean confidence, accuracy and images of each filled bin."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability_points(targets, probabilities, bins=CALIBRATION_BINS) -> ReliabilityPoints:
    r"""Accuracy against confidence in bins of equally many images.

    .. math:: \bar c_b = \frac{1}{n_b}\sum_{i\in b}\max_c p_{ic},\quad
              a_b = \frac{1}{n_b}\sum_{i\in b}[\hat t_i = t_i]

    with p the probabilities (1), t the targets, t̂ the predictions and n_b the images of bin b. Equal
    confidences share a bin, so the order of images does not matter.

    Shapes: targets (N,), probabilities (N, K); points (M,), M ≤ bins. Raises: ValueError on other values.
    Source: Bröcker, Smith 2007, doi:10.1175/WAF993.1.

    >>> points = reliability_points([0, 0, 1], [[.6, .4], [.6, .4], [.1, .9]], bins=2)
    >>> points.confidence.tolist(), points.accuracy.tolist(), points.count.tolist()
    ([0.6, 0.9], [1.0, 1.0], [2, 1])
    """
    probabilities = checked_probabilities(probabilities)
    right = probabilities.argmax(1) == checked_targets(targets, probabilities.shape)
    index = _equal_mass_bins(probabilities.max(1), bins)
    count = np.bincount(index)
    confidence = np.bincount(index, probabilities.max(1)) / count
    return ReliabilityPoints(confidence, np.bincount(index, right) / count, count)


def _equal_mass_bins(confidence, bins):
    if bins < 1 or int(bins) != bins:
        raise ValueError(f"Expected bins to be a whole number from 1, but got {bins}; try 15.")
    order = np.sort(confidence)
    rank = (np.searchsorted(order, confidence, "left") + np.searchsorted(order, confidence, "right")) / 2
    return np.unique((rank * bins / len(rank)).astype(np.int64), return_inverse=True)[1]  # filled bins only


def expected_calibration_error(targets, probabilities, bins=CALIBRATION_BINS) -> float:
    r"""Mean gap between confidence and accuracy; biased upwards, so compare it with `calibration_null`.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N}\,\lvert a_b - \bar c_b\rvert

    with n_b images, accuracy a_b and mean confidence c̄_b in bin b (ECE in 0…1).

    Shapes: targets (N,), probabilities (N, K). Raises: ValueError as `reliability_points`.
    Source: Naeini 2015, doi:10.1609/aaai.v29i1.9602; equal mass: Nixon 2019, doi:10.48550/arXiv.1904.01685.

    >>> round(expected_calibration_error([0, 0], [[.6, .4], [.6, .4]]), 3)
    0.4
    """
    points = reliability_points(targets, probabilities, bins)
    return float(points.count @ np.abs(points.accuracy - points.confidence) / points.count.sum())


def calibration_null(probabilities, bins=CALIBRATION_BINS, *, resamples=200, seed=0) -> tuple[float, float]:
    r"""Mean and 95th percentile of the calibration error of a perfectly calibrated model.

    .. math:: \mathrm{ECE}_0 = \sum_b\frac1N\Bigl\lvert\sum_{i\in b}(r_i-c_i)\Bigr\rvert,\quad
              r_i\sim\mathrm{Bernoulli}(c_i),\quad c_i = \max_c p_{ic}

    with r the simulated correctness and c the confidence (1) of image i, all independent.

    Shapes: probabilities (N, K). Raises: ValueError on other values, bins or resamples below 1.
    Source: consistency resampling, Bröcker, Smith 2007, doi:10.1175/WAF993.1.

    >>> calibration_null([[1.0, 0.0], [0.0, 1.0]])
    (0.0, 0.0)
    """
    confidence = checked_probabilities(probabilities).max(1)
    index = _equal_mass_bins(confidence, bins)
    if resamples < 1:
        raise ValueError(f"Expected resamples to be at least 1, but got {resamples}; use 200.")
    random = np.random.default_rng(seed)
    draws = ((random.random(len(index)) < confidence) - confidence for _ in range(resamples))
    errors = [np.abs(np.bincount(index, gap)).sum() / len(index) for gap in draws]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def scaled_probabilities(logits, temperature) -> np.ndarray:
    r"""Softmax of logits over a temperature, which moves confidence and never the prediction.

    .. math:: p_{ic} = e^{z_{ic}/T} / \sum_j e^{z_{ij}/T}

    with z the logits (1) and T the temperature (1).

    Shapes: logits (N, K) to the same. Raises: ValueError on other shapes, NaN, or T not above 0.
    Source: Guo et al. 2017, doi:10.48550/arXiv.1706.04599.

    >>> scaled_probabilities([[2.0, 0.0]], 1e9).round(3).tolist()
    [[0.5, 0.5]]
    """
    from scipy.special import softmax

    logits = checked_logits(logits, "logits")
    if not 0 < temperature < np.inf:
        raise ValueError(f"Expected temperature to be above 0, but got {temperature}; fit it first.")
    return softmax(logits / temperature, axis=1)


def temperature_scale(validation_logits, validation_targets) -> float:
    r"""Temperature of least negative log likelihood, to be fitted on validation logits only.

    .. math:: T^* = \arg\min_T\; -\sum_i \ln\,\mathrm{softmax}(z_i/T)_{t_i}

    with z the logits (1), t the targets, T in 0.05…20 (1): 0.05 for perfectly separated logits.

    Shapes: logits (N, K), targets (N,). Raises: ValueError on other shapes, NaN, or labels out of range.
    Source: Guo et al. 2017, doi:10.48550/arXiv.1706.04599.

    >>> round(temperature_scale([[4.0, 0.0]] * 4, [0, 0, 0, 1]), 3)  # 4 / ln 3
    3.641
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = checked_logits(validation_logits, "validation_logits")
    targets = checked_targets(validation_targets, logits.shape)

    def loss(inverse):  # convex in 1/T
        return -log_softmax(inverse * logits, axis=1)[np.arange(len(targets)), targets].mean()

    bounds = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(1 / best.x)
