"""Numbers that describe one run of a classifier: accuracy, ranking, calibration.

``targets`` are ``(N,)`` integer labels and ``probabilities`` ``(N, K)`` rows that sum to 1. The largest
probability is the prediction; ties go to the lowest index. Intervals are in `physlayer.metrics.intervals`.

**Absent classes.** A class without test images has no recall and no ranking: its entry is ``None``, macro
averages run over the other classes, and ``absent_classes`` names it. A class that has all the images has no
ranking either.
"""

from __future__ import annotations

import numpy as np

from physlayer.metrics.calibration import calibration_null, expected_calibration_error
from physlayer.metrics.classification_inputs import checked_probabilities, checked_targets
from physlayer.metrics.groups import group_mean

__all__ = ["classification_metrics", "group_accuracy"]


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

    probabilities = checked_probabilities(probabilities)
    targets = checked_targets(targets, probabilities.shape)
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
    probabilities = checked_probabilities(probabilities)
    targets = checked_targets(targets, probabilities.shape)
    return group_mean(probabilities.argmax(1) == targets, groups)
