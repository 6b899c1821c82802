"""The sections that come with physlayer, a file for what belongs together; to import them registers them."""

from physlayer.experiment.report.sections.camera import exported_section, sensor_section
from physlayer.experiment.report.sections.classification import (
    calibration_section,
    confusion_section,
    mistakes_section,
    roc_section,
)
from physlayer.experiment.report.sections.learned import learned_section
from physlayer.experiment.report.sections.network import features_section, saliency_section
from physlayer.experiment.report.sections.provenance import audit_section, provenance_section
from physlayer.experiment.report.sections.regression import bland_altman_section
from physlayer.experiment.report.sections.scores import differences_section, every_seed_section, scores_section
from physlayer.experiment.report.sections.segmentation import overlap_section, worst_section
from physlayer.experiment.report.sections.training import history_section

__all__ = [
    "audit_section",
    "bland_altman_section",
    "calibration_section",
    "confusion_section",
    "differences_section",
    "every_seed_section",
    "exported_section",
    "features_section",
    "history_section",
    "learned_section",
    "mistakes_section",
    "overlap_section",
    "provenance_section",
    "roc_section",
    "saliency_section",
    "scores_section",
    "sensor_section",
    "worst_section",
]
