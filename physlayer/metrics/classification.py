"""Numbers that describe one run of a classifier: accuracy, ranking, calibration.

``targets`` are ``(N,)`` integer labels and ``probabilities`` ``(N, K)`` rows that sum to 1. The largest
probability is the prediction; ties go to the lowest index. Intervals are in `physlayer.metrics.statistics`.

**Absent classes.** A class without test images has no recall and no ranking: its entry is ``None``, macro
averages run over the other classes, and ``absent_classes`` names it. A class that has all the images has no
ranking either.
"""

from typing import NamedTuple

import numpy as np

CALIBRATION_BINS = 15
TEMPERATURES = 0.05, 20.0


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


class ReliabilityPoints(NamedTuple):
    """Mean confidence, accuracy and images of each filled bin."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def _matrix(values, name):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"Expected {name} to have shape (N, K), but got {values.shape}; pass rows.")
    if not np.isfinite(values).all():
        raise ValueError(f"Expected {name} to be finite, but got NaN or infinity; has the run diverged?")
    return values


def _probabilities(values):
    values = _matrix(values, "probabilities")
    total = values.sum(1)
    if values.min() < 0 or values.max() > 1 or np.abs(total - 1).max() > 1e-3:
        raise ValueError(
            "Expected probabilities to lie in 0…1 and sum to 1 over classes, but got rows summing to "
            f"{total.min():.4g}…{total.max():.4g}; apply a softmax."
        )
    return values


def _labels(targets, shape):
    targets = np.asarray(targets)
    if targets.shape != shape[:1] or not np.issubdtype(targets.dtype, np.integer):
        found = f"{targets.dtype} of shape {targets.shape}"
        raise ValueError(f"Expected targets to be {shape[0]} class indices, but got {found}; pass integers.")
    if targets.min() < 0 or targets.max() >= shape[1]:
        found = f"{targets.min()}…{targets.max()}"
        raise ValueError(f"Expected targets to lie in 0…{shape[1] - 1}, but got {found}; check the classes.")
    return targets


def _scores(positive, scores):
    positive, scores = np.asarray(positive), np.asarray(scores, dtype=np.float64)
    if positive.ndim != 1 or positive.shape != scores.shape or not np.isfinite(scores).all():
        found = f"{positive.shape} and {scores.shape}"
        raise ValueError(f"Expected positive and scores to be finite, both (N,), but got {found}.")
    found = np.unique(positive).tolist()
    if found != [0, 1]:
        raise ValueError(f"Expected positive to hold 0 and 1, but got {found[:4]}; choose another class.")
    return positive.astype(bool), scores


def classification_metrics(targets, probabilities, *, class_names, seed=0) -> dict:
    r"""Summarize one set of predictions as a dictionary that ``json.dumps`` accepts.

    .. math:: \mathrm{balanced} = \frac{1}{|P|}\sum_{c\in P}\frac{C_{cc}}{\sum_j C_{cj}},\quad
              \mathrm{NLL} = -\frac1N\sum_i\ln p_{i,t_i},\quad
              \mathrm{Brier} = \frac1N\sum_i\sum_c (p_{ic}-[c=t_i])^2

    with C the ``confusion`` counts (rows true, columns predicted), P the classes present, t the targets, p
    the probabilities (1), NLL in nat (p floored at 1e-12), Brier in 0…2. ``roc_auc`` and
    ``average_precision`` are one-vs-rest: ``{"macro": …, "micro": …, "per_class": {name: …}}``.
    ``expected_calibration_error_null`` is `calibration_null` with ``seed``.

    Shapes: targets (N,), probabilities (N, K), class_names K.
    Raises: ValueError on bad shapes, NaN, rows that are no probabilities, labels or names out of range.
    Source: Brodersen 2010, doi:10.1109/ICPR.2010.764; Brier 1950,
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    >>> p = [[.9, .1, 0], [.6, .4, 0], [.2, .8, 0]]
    >>> report = classification_metrics([0, 1, 1], p, class_names=("a", "b", "c"))
    >>> report["confusion"], report["balanced_accuracy"], report["absent_classes"]
    ([[1, 0, 0], [1, 1, 0], [0, 0, 0]], 0.75, ['c'])
    """
    from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

    probabilities = _probabilities(probabilities)
    targets = _labels(targets, probabilities.shape)
    images, classes = probabilities.shape
    names = [str(name) for name in class_names]
    if len(names) != classes or len(set(names)) != classes:
        raise ValueError(f"Expected class_names to be {classes} unique names, but got {names}; one a column.")
    one_hot = np.arange(classes) == targets[:, None]
    confusion = confusion_matrix(targets, probabilities.argmax(1), labels=np.arange(classes))
    present = one_hot.any(0)
    ranked = np.flatnonzero(present & ~one_hot.all(0))

    def one_vs_rest(score):
        values = {int(c): float(score(one_hot[:, c], probabilities[:, c])) for c in ranked}
        return {
            "macro": float(np.mean(list(values.values()))) if values else None,
            "micro": float(score(one_hot.ravel(), probabilities.ravel())) if values else None,
            "per_class": {name: values.get(c) for c, name in enumerate(names)},
        }

    likelihood = np.maximum(probabilities[np.arange(images), targets], 1e-12)
    null_mean, null_high = calibration_null(probabilities, seed=seed)
    return {
        "images": images,
        "absent_classes": [name for name, here in zip(names, present, strict=True) if not here],
        "accuracy": float(np.trace(confusion) / images),
        "balanced_accuracy": float(np.mean(np.diag(confusion)[present] / confusion.sum(1)[present])),
        "confusion": confusion.tolist(),
        "roc_auc": one_vs_rest(roc_auc_score),
        "average_precision": one_vs_rest(average_precision_score),
        "prevalence": dict(zip(names, one_hot.mean(0).tolist(), strict=True)),
        "negative_log_likelihood": float(-np.log(likelihood).mean()),
        "brier": float(((probabilities - one_hot) ** 2).sum(1).mean()),
        "expected_calibration_error": expected_calibration_error(targets, probabilities),
        "expected_calibration_error_null": {"mean": null_mean, "percentile_95": null_high},
    }


def group_accuracy(targets, probabilities, groups) -> float:
    r"""Accuracy in which each group counts once, however many images were made from it.

    .. math:: A = \frac1G\sum_{g}\frac{1}{n_g}\sum_{i\in g}[\hat t_i = t_i]

    with G groups (source images, patients or slides), n_g the images of group g, t the targets and t̂ the
    predictions (A in 0…1).

    Shapes: targets and groups (N,), probabilities (N, K). Raises: ValueError on other shapes or values.
    Source: Williamson, Datta, Satten 2003, doi:10.1111/1541-0420.00005 (weights 1/n_g).

    >>> group_accuracy([0, 0, 0, 1], [[1, 0], [1, 0], [1, 0], [1, 0]], ["a", "a", "a", "b"])
    0.5
    """
    probabilities = _probabilities(probabilities)
    targets, groups = _labels(targets, probabilities.shape), np.asarray(groups)
    if groups.shape != targets.shape:
        raise ValueError(f"Expected groups to have shape {targets.shape}, but got {groups.shape}; one each.")
    _, index, size = np.unique(groups, return_inverse=True, return_counts=True)
    return float((np.bincount(index, probabilities.argmax(1) == targets) / size).mean())


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

    return RocPoints(*roc_curve(*_scores(positive, scores)))


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
    return PrecisionRecallPoints(*precision_recall_curve(positive, scores), float(positive.mean()))


def _equal_mass_bins(confidence, bins):
    if bins < 1 or int(bins) != bins:
        raise ValueError(f"Expected bins to be a whole number from 1, but got {bins}; try 15.")
    order = np.sort(confidence)
    rank = (np.searchsorted(order, confidence, "left") + np.searchsorted(order, confidence, "right")) / 2
    return np.unique((rank * bins / len(rank)).astype(np.int64), return_inverse=True)[1]  # filled bins only


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
    probabilities = _probabilities(probabilities)
    right = probabilities.argmax(1) == _labels(targets, probabilities.shape)
    index = _equal_mass_bins(probabilities.max(1), bins)
    count = np.bincount(index)
    confidence = np.bincount(index, probabilities.max(1)) / count
    return ReliabilityPoints(confidence, np.bincount(index, right) / count, count)


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
    confidence = _probabilities(probabilities).max(1)
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

    logits = _matrix(logits, "logits")
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

    logits = _matrix(validation_logits, "validation_logits")
    targets = _labels(validation_targets, logits.shape)

    def loss(inverse):  # convex in 1/T
        return -log_softmax(inverse * logits, axis=1)[np.arange(len(targets)), targets].mean()

    bounds = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(1 / best.x)
