"""Numbers per run, and intervals and paired differences over groups and seeds."""

from physlayer.metrics.calibration import (
    ReliabilityPoints,
    calibration_null,
    expected_calibration_error,
    reliability_points,
    scaled_probabilities,
    temperature_scale,
)
from physlayer.metrics.classification import classification_metrics, group_accuracy
from physlayer.metrics.curves import (
    PrecisionRecallPoints,
    RocPoints,
    precision_recall_points,
    roc_points,
)
from physlayer.metrics.groups import group_mean
from physlayer.metrics.intervals import (
    Difference,
    Interval,
    cluster_bootstrap,
    paired_difference,
    wilson_interval,
)
from physlayer.metrics.regression import Agreement, bland_altman, regression_metrics
from physlayer.metrics.segmentation import dice, jaccard, segmentation_metrics
from physlayer.metrics.significance import (
    holm,
    knee,
    mcnemar_exact,
    seed_correlation,
    sign_flip_p,
)

__all__ = [
    "Agreement",
    "Difference",
    "Interval",
    "PrecisionRecallPoints",
    "ReliabilityPoints",
    "RocPoints",
    "bland_altman",
    "calibration_null",
    "classification_metrics",
    "cluster_bootstrap",
    "dice",
    "expected_calibration_error",
    "group_accuracy",
    "group_mean",
    "holm",
    "jaccard",
    "knee",
    "mcnemar_exact",
    "paired_difference",
    "precision_recall_points",
    "regression_metrics",
    "reliability_points",
    "roc_points",
    "scaled_probabilities",
    "seed_correlation",
    "segmentation_metrics",
    "sign_flip_p",
    "temperature_scale",
    "wilson_interval",
]
