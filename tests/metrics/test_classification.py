"""Numbers of one run against analytic values, scikit-learn and simulated calibrated models."""

import json

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy.stats import mannwhitneyu

from physlayer import metrics

NAMES = ("eosinophil", "lymphocyte", "monocyte", "neutrophil")


def classifier(images=300, classes=4, skill=1.0, seed=0):
    random = np.random.default_rng(seed)
    targets = random.integers(classes, size=images)
    logits = random.normal(size=(images, classes)) + skill * np.eye(classes)[targets]
    return targets, logits, metrics.scaled_probabilities(logits, 1.0)


def calibrated_model(images, seed, low=0.82):
    """Two classes, confidence uniform in ``low``…1, correct exactly as often as it says."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(low, 1, images)
    return (random.random(images) >= confidence).astype(int), np.stack([confidence, 1 - confidence], 1)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("skill", [0.0, 1.0, 3.0])
def test_metrics_agree_with_scikit_learn(classes, skill):
    targets, _, probabilities = classifier(classes=classes, skill=skill)
    report = metrics.classification_metrics(targets, probabilities, class_names=NAMES[:classes])
    predicted, one_hot = probabilities.argmax(1), np.eye(classes)[targets]
    expected = {
        "accuracy": reference.accuracy_score(targets, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(targets, predicted),
        "negative_log_likelihood": reference.log_loss(targets, probabilities),
        "brier": ((probabilities - one_hot) ** 2).sum() / len(targets),
    }
    assert {key: report[key] for key in expected} == pytest.approx(expected, abs=1e-12)
    for key, score in (
        ("roc_auc", reference.roc_auc_score),
        ("average_precision", reference.average_precision_score),
    ):
        assert report[key]["macro"] == pytest.approx(score(one_hot, probabilities, average="macro"))
        assert report[key]["micro"] == pytest.approx(score(one_hot, probabilities, average="micro"))
        per_class = score(one_hot, probabilities, average=None)
        assert list(report[key]["per_class"].values()) == pytest.approx(per_class)


def test_confusion_has_true_rows_and_predicted_columns():
    report = metrics.classification_metrics([0, 0, 1], [[0.1, 0.9]] * 3, class_names=("a", "b"))
    assert report["confusion"] == [[0, 2], [0, 1]]
    assert report["accuracy"] == pytest.approx(np.trace(report["confusion"]) / 3)
    assert report["balanced_accuracy"] == 0.5  # recalls 0 and 1


def test_auc_is_the_probability_that_a_positive_outranks_a_negative():
    random = np.random.default_rng(1)
    scores = random.integers(11, size=200) / 10  # many ties
    targets = (random.random(200) < 0.3 + 0.4 * scores).astype(int)
    report = metrics.classification_metrics(targets, np.stack([1 - scores, scores], 1), class_names="ab")
    positive, negative = scores[targets == 1], scores[targets == 0]
    mann_whitney = mannwhitneyu(positive, negative).statistic / len(positive) / len(negative)
    assert report["roc_auc"]["per_class"]["b"] == pytest.approx(mann_whitney)
    inverted = metrics.classification_metrics(targets, np.stack([scores, 1 - scores], 1), class_names="ab")
    assert inverted["roc_auc"]["per_class"]["b"] == pytest.approx(1 - mann_whitney)


def test_constant_scores_have_auc_one_half_and_precision_of_the_prevalence():
    targets = np.repeat([0, 1], [75, 25])
    report = metrics.classification_metrics(targets, np.full((100, 2), 0.5), class_names="ab")
    assert report["roc_auc"]["macro"] == 0.5
    assert report["average_precision"]["per_class"] == report["prevalence"] == {"a": 0.75, "b": 0.25}


def test_curves_enclose_the_reported_areas():
    targets, _, probabilities = classifier()
    report = metrics.classification_metrics(targets, probabilities, class_names=NAMES)
    roc = metrics.roc_points(targets == 2, probabilities[:, 2])
    area = np.trapezoid(roc.true_positive_rate, roc.false_positive_rate)
    assert area == pytest.approx(report["roc_auc"]["per_class"]["monocyte"])
    curve = metrics.precision_recall_points(targets == 2, probabilities[:, 2])
    area = -(np.diff(curve.recall) * curve.precision[:-1]).sum()
    assert area == pytest.approx(report["average_precision"]["per_class"]["monocyte"])
    assert curve.prevalence == (targets == 2).mean() == report["prevalence"]["monocyte"]


def test_absent_class_is_named_and_left_out_of_the_averages():
    targets, _, probabilities = classifier()
    here = targets != 1
    report = metrics.classification_metrics(targets[here], probabilities[here], class_names=NAMES)
    assert report["absent_classes"] == ["lymphocyte"]
    for key in ("roc_auc", "average_precision"):
        values = report[key]["per_class"]
        assert values["lymphocyte"] is None
        assert report[key]["macro"] == pytest.approx(np.mean([v for v in values.values() if v is not None]))
    recalls = [(probabilities[targets == c].argmax(1) == c).mean() for c in (0, 2, 3)]
    assert report["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_single_class_has_accuracy_but_no_ranking():
    report = metrics.classification_metrics([1, 1], [[0.2, 0.8], [0.6, 0.4]], class_names="ab")
    assert report["accuracy"] == report["balanced_accuracy"] == 0.5
    assert report["roc_auc"] == {"macro": None, "micro": None, "per_class": {"a": None, "b": None}}


def test_report_is_strict_json_even_for_an_impossible_target():
    report = metrics.classification_metrics([0], [[0.0, 1.0]], class_names="ab")
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["negative_log_likelihood"] == pytest.approx(-np.log(1e-12))
    assert report["brier"] == 2


def test_metrics_do_not_depend_on_the_order_of_images():
    targets, _, probabilities = classifier(images=400, skill=2.0)
    probabilities = np.round(probabilities * 8)  # a coarse reading: many equal confidences
    probabilities /= probabilities.sum(1, keepdims=True)
    order = np.random.default_rng(3).permutation(400)
    assert metrics.expected_calibration_error(targets, probabilities) == pytest.approx(
        metrics.expected_calibration_error(targets[order], probabilities[order])
    )
    plain, mixed = (
        metrics.classification_metrics(targets[i], probabilities[i], class_names=NAMES) for i in (np.arange(400), order)
    )
    assert plain["roc_auc"]["macro"] == pytest.approx(mixed["roc_auc"]["macro"])
    assert plain["confusion"] == mixed["confusion"]


def test_reliability_bins_hold_equal_mass_and_match_a_slow_loop():
    targets, _, probabilities = classifier(images=150)
    points = metrics.reliability_points(targets, probabilities, bins=15)
    assert points.count.tolist() == [10] * 15
    order = np.argsort(probabilities.max(1)).reshape(15, 10)
    right = probabilities.argmax(1) == targets
    assert points.accuracy == pytest.approx([right[row].mean() for row in order])
    assert points.confidence == pytest.approx([probabilities.max(1)[row].mean() for row in order])
    slow = sum(abs(right[row].mean() - probabilities.max(1)[row].mean()) / 15 for row in order)
    assert metrics.expected_calibration_error(targets, probabilities) == pytest.approx(slow)


def test_overconfident_model_has_the_calibration_error_of_its_excess():
    targets = np.repeat([0, 1], [700, 300])
    probabilities = np.tile([0.9, 0.1], (1000, 1))
    assert metrics.expected_calibration_error(targets, probabilities) == pytest.approx(0.2)
    _, high = metrics.calibration_null(probabilities)
    assert high < 0.03


@pytest.mark.parametrize(("images", "expected"), [(71, 0.094), (200, 0.058), (1000, 0.026), (5000, 0.012)])
def test_calibrated_model_shows_the_calibration_error_of_its_null(images, expected):
    """Confidence uniform in 0.82…1, a model that is right nine times in ten."""
    models = [calibrated_model(images, seed) for seed in range(60)]
    observed = np.mean([metrics.expected_calibration_error(*model) for model in models])
    null, high = metrics.calibration_null(models[0][1], seed=1)
    assert null == pytest.approx(expected, rel=0.08)
    assert observed == pytest.approx(null, rel=0.08)
    assert null < high < 2 * null


def test_calibration_null_is_reproducible_and_follows_its_seed():
    probabilities = calibrated_model(100, 0)[1]
    assert metrics.calibration_null(probabilities, seed=4) == metrics.calibration_null(probabilities, seed=4)
    assert metrics.calibration_null(probabilities, seed=4) != metrics.calibration_null(probabilities, seed=5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_of_miscalibrated_logits_is_recovered(temperature):
    random = np.random.default_rng(5)
    logits = 2 * random.normal(size=(20000, 4))
    probabilities = metrics.scaled_probabilities(logits, 1.0)
    targets = (probabilities.cumsum(1) < random.random((20000, 1))).sum(1).clip(max=3)
    fitted = metrics.temperature_scale(temperature * logits, targets)
    assert fitted == pytest.approx(temperature, rel=0.03)
    better = metrics.scaled_probabilities(temperature * logits, fitted)
    assert (better.argmax(1) == logits.argmax(1)).all()
    _, high = metrics.calibration_null(better, resamples=50)
    assert metrics.expected_calibration_error(targets, better) < 1.2 * high


def test_separable_validation_logits_stop_at_the_sharpest_temperature():
    assert metrics.temperature_scale([[1.0, 0.0], [0.0, 1.0]], [0, 1]) == pytest.approx(0.05, rel=1e-3)


def test_softmax_survives_large_logits():
    assert metrics.scaled_probabilities([[1e4, 0.0]], 1.0).tolist() == [[1.0, 0.0]]


def test_source_with_many_copies_counts_once():
    targets, groups = np.zeros(101, dtype=int), np.array(["hard"] * 100 + ["easy"])
    probabilities = np.where(groups[:, None] == "hard", [[0.2, 0.8]], [[0.8, 0.2]])
    assert metrics.group_accuracy(targets, probabilities, groups) == 0.5
    single = np.arange(101)
    assert metrics.group_accuracy(targets, probabilities, single) == pytest.approx(1 / 101)


GOOD = np.array([[0.7, 0.3], [0.4, 0.6]])


@pytest.mark.parametrize(
    ("targets", "probabilities", "message"),
    [
        ([0, 1], GOOD[0], "shape \\(N, K\\)"),
        ([], np.empty((0, 2)), "shape \\(N, K\\)"),
        ([0, 1], GOOD * np.nan, "finite"),
        ([0, 1], GOOD * 0.9, "sum to 1"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], "sum to 1"),
        ([0, 1], [[0.6, 0.6, -0.2], [0.5, 0.5, 0.0]], "sum to 1"),
        ([0, 1, 1], GOOD, "targets to be 2 class indices"),
        ([0.0, 1.0], GOOD, "class indices"),
        ([[1, 0], [0, 1]], GOOD, "class indices"),
        ([0, 2], GOOD, "lie in 0…1"),
        ([0, -1], GOOD, "lie in 0…1"),
    ],
)
@pytest.mark.parametrize("function", ["classification_metrics", "reliability_points", "group_accuracy"])
def test_bad_predictions_are_refused(function, targets, probabilities, message):
    extra = {"classification_metrics": {"class_names": "ab"}, "group_accuracy": {"groups": [0, 1]}}
    with pytest.raises(ValueError, match=message):
        getattr(metrics, function)(targets, probabilities, **extra.get(function, {}))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.classification_metrics([0, 1], GOOD, class_names=["a"]), "2 unique names"),
        (lambda: metrics.classification_metrics([0, 1], GOOD, class_names=["a", "a"]), "2 unique names"),
        (lambda: metrics.group_accuracy([0, 1], GOOD, ["s"]), "groups to have shape"),
        (lambda: metrics.reliability_points([0, 1], GOOD, bins=0), "bins to be"),
        (lambda: metrics.reliability_points([0, 1], GOOD, bins=2.5), "bins to be"),
        (lambda: metrics.calibration_null(GOOD, resamples=0), "resamples to be"),
        (lambda: metrics.calibration_null([0.5, 0.5]), "shape \\(N, K\\)"),
        (lambda: metrics.roc_points([1, 1], [0.1, 0.2]), "positive to hold 0 and 1"),
        (lambda: metrics.precision_recall_points([0, 2], [0.1, 0.2]), "positive to hold 0 and 1"),
        (lambda: metrics.roc_points([0, 1], [0.1, np.nan]), "finite"),
        (lambda: metrics.roc_points([0, 1], [0.1]), "both \\(N,\\)"),
        (lambda: metrics.scaled_probabilities([[1.0, np.inf]], 1.0), "logits to be finite"),
        (lambda: metrics.scaled_probabilities([[1.0, 0.0]], 0.0), "temperature to be above 0"),
        (lambda: metrics.temperature_scale([[1.0, 0.0]], [2]), "lie in 0…1"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
