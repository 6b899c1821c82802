"""Classes, numbers and masks: losses, scores and metrics against scikit-learn and hand sums, and a whole sweep each."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score, mean_absolute_error
from torch import nn
from torch.nn import functional as F

from physlayer import BitDepth
from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.experiment import Sweep, Variant, main
from physlayer.experiment.records import read_test_set
from physlayer.metrics.regression import bland_altman
from physlayer.metrics.segmentation import dice, jaccard
from physlayer.problems.classification import Classification
from physlayer.problems.regression import Regression
from physlayer.problems.segmentation import Segmentation, resized
from physlayer.training.loop import fit
from physlayer.training.prediction import predict
from physlayer.training.recipe import Recipe

EYE = Regression(("horizontal", "vertical"), "mm", mean=(24.0, 23.0), deviation=(2.0, 1.0), tolerance=0.5)


def masks(count=6, size=9, seed=0):
    generator = np.random.default_rng(seed)
    truth, found = (generator.integers(0, 2, (count, size, size)).astype(np.uint8) for _ in range(2))
    truth[0] = found[0] = 0  # empty and found empty
    truth[1], found[2] = 0, 0
    return truth, found


def test_overlaps_are_those_of_scikit_learn_and_two_empty_masks_agree():
    truth, found = masks()
    pairs = list(zip(truth.reshape(6, -1), found.reshape(6, -1), strict=True))
    assert np.allclose(dice(found, truth), [f1_score(t, p, zero_division=1) for t, p in pairs])
    assert np.allclose(jaccard(found, truth), [jaccard_score(t, p, zero_division=1) for t, p in pairs])
    assert np.allclose(jaccard(found, truth), dice(found, truth) / (2 - dice(found, truth)))
    assert dice(found, truth)[:3].tolist() == [1, 0, 0]


def test_error_of_an_image_is_the_mean_over_its_numbers_in_their_unit():
    outputs, targets = torch.tensor([[0.5, -1.0], [0.0, 0.0]]), torch.tensor([[24.0, 23.5], [20.0, 23.0]])
    assert EYE.predicted(outputs, targets).tolist() == [[25.0, 22.0], [24.0, 23.0]]
    assert EYE.score_images(outputs, targets).tolist() == [1.25, 2.0]
    found = EYE.metrics(outputs, targets, np.array(["a", "b"]))
    assert found["mean_absolute_error"] == mean_absolute_error(targets, EYE.predicted(outputs, targets)) == 1.625
    assert found["within_tolerance"] == 0.25 and found["numbers"]["horizontal"]["bias"] == 2.5
    assert found["numbers"]["vertical"]["relative_error"] == pytest.approx(0.75 / 23.25)


def test_size_that_an_image_does_not_show_scales_what_was_seen_and_teaches_nothing():
    """A head across half a picture of 200 mm and of 100 mm looks the same: one loss, errors in mm."""
    head = Regression(("width",), "mm", mean=(0.4,), deviation=(0.1,), tolerance=5.0, scaled=True)
    outputs, targets = torch.zeros(2, 1), torch.tensor([[0.5, 200.0], [0.5, 100.0]])
    assert torch.allclose(head.score_images(outputs, targets), torch.tensor([20.0, 10.0]).double())
    assert float(head.loss(outputs[:1], targets[:1])) == float(head.loss(outputs[1:], targets[1:]))
    assert np.allclose(head.truth(targets), [[100], [50]]) and np.allclose(head.answers(outputs, targets), [[80], [40]])
    assert head.blind(targets, targets) == (pytest.approx(15), "mean share of the picture")
    seen = torch.tensor([[0.3, 1.0], [0.5, 9.0]])
    assert Regression.of(seen, ("width",), "mm", tolerance=1.0, scaled=True).mean == pytest.approx((0.4,))


def test_every_source_weighs_the_same_in_its_own_mean():
    outputs = torch.tensor([[0.0], [0.0], [0.0]])
    length = Regression(("length",), "mm", mean=(0.0,), deviation=(1.0,), tolerance=1.0)
    found = length.metrics(outputs, torch.tensor([[1.0], [1.0], [4.0]]), np.array(["a", "a", "b"]))
    assert (found["mean_absolute_error"], found["source_mean_absolute_error"]) == (2.0, 2.5)


def test_limits_of_agreement_hold_nineteen_of_twenty_normal_differences():
    generator = np.random.default_rng(0)
    truth = generator.normal(20, 3, 20_000)
    found = bland_altman(truth, truth + generator.normal(0.3, 0.5, 20_000))
    assert found.bias == pytest.approx(0.3, abs=0.02)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5, rel=0.02)
    assert np.mean((found.difference > found.low) & (found.difference < found.high)) == pytest.approx(0.95, abs=0.01)


def test_loss_of_numbers_does_not_depend_on_their_unit():
    """Metres and millimetres train alike."""
    z, y = torch.randn(8, 1), 23 + torch.randn(8, 1)
    in_mm = Regression(("length",), "mm", mean=(23.0,), deviation=(1.0,), tolerance=1.0)
    in_m = Regression(("length",), "m", mean=(0.023,), deviation=(0.001,), tolerance=0.001)
    assert float(in_mm.loss(z, y)) == pytest.approx(float(in_m.loss(z, y / 1000)), rel=1e-3)


def test_loss_of_masks_is_cross_entropy_and_one_minus_soft_dice():
    outputs = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    truth = torch.from_numpy(masks(3, 5)[0][:, :, :4].copy())
    share = torch.softmax(outputs, 1)[:, 1]
    overlap = [(2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1) for p, t in zip(share, truth, strict=True)]
    expected = F.cross_entropy(outputs, truth.long()) + 1 - torch.stack(overlap).mean()
    assert float(Segmentation().loss(outputs, truth)) == pytest.approx(float(expected), rel=1e-6)
    perfect = torch.stack([1 - 2.0 * truth, 2.0 * truth - 1], 1) * 50
    assert float(Segmentation().loss(perfect, truth)) < 1e-4


def test_maps_of_few_pixels_are_judged_at_the_size_of_the_mask():
    truth = torch.zeros(1, 8, 8, dtype=torch.uint8)
    truth[:, :, 4:] = 1
    coarse = torch.zeros(1, 2, 2, 2)
    coarse[0, 1] = torch.tensor([[-5.0, 5.0], [-5.0, 5.0]])
    assert resized(coarse, truth).shape == (1, 2, 8, 8)
    assert Segmentation().score_images(coarse, truth).tolist() == [1.0]


def test_constant_answers_are_the_ones_a_blind_network_can_give():
    letters, even = Classification(("a", "b", "c", "d")), torch.arange(40) % 4
    assert letters.blind(torch.zeros(3).long(), even) == (0.25, "chance")
    assert letters.blind(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 1, 0])) == (0.5, "most frequent class")
    eyes = torch.tensor([[25.0, 23.0], [23.0, 23.0]])
    assert EYE.blind(eyes, eyes) == (0.5, "mean of the training set")
    truth = torch.tensor([[[1, 0], [1, 0]]], dtype=torch.uint8)
    assert Segmentation().blind(truth, truth) == (pytest.approx(2 / 3), "object everywhere")
    mostly_empty = torch.cat([truth, torch.zeros(3, 2, 2, dtype=torch.uint8)])
    assert Segmentation().blind(mostly_empty, mostly_empty) == (0.75, "no object")


def test_exposures_are_judged_one_by_one():
    outputs, targets = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([0])
    found = Classification(("a", "b")).metrics(outputs, targets, np.array(["x"]))
    assert found["accuracy"] == 0.5


def test_two_sides_of_an_edge_are_judged_by_the_sum_of_their_classes():
    heat = Classification(("cold", "cool", "warm", "hot"), edge=2)
    shares = torch.tensor([[0.3, 0.3, 0.4, 0.0], [0.4, 0.0, 0.3, 0.3], [0.0, 0.6, 0.4, 0.0]])  # lower, upper, lower
    found = heat.metrics(shares.log(), torch.tensor([1, 3, 2]), np.array(["a", "b", "c"]))
    assert found["accuracy"] == 0.0
    assert found["binary_accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_binary_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    one_side = heat.metrics(shares.log(), torch.tensor([1, 0, 0]), np.array(["a", "b", "c"]))
    assert one_side["balanced_binary_accuracy"] == one_side["binary_accuracy"] == pytest.approx(2 / 3)
    assert "binary_accuracy" not in Classification(heat.class_names).metrics(
        shares.log(), torch.tensor([1, 3, 2]), np.array(["a", "b", "c"])
    )
    with pytest.raises(ValueError, match="edge to be 1 to 3"):
        Classification(heat.class_names, edge=4)


@pytest.mark.parametrize(
    ("problem", "targets", "message"),
    [
        (Classification(("a",)), torch.zeros(2, 1), "int64, one per image"),
        (Classification(("a",)), torch.tensor([0, 1]), "name target 1"),
        (EYE, torch.tensor([0, 1]), "floating, \\(N, 2\\)"),
        (EYE, torch.tensor([[1.0, float("nan")], [1.0, 1.0]]), "1 images without"),
        (Segmentation(), torch.zeros(2, 3, 3, dtype=torch.uint8), "uint8 of shape"),
        (Segmentation(), torch.full((2, 4, 4), 255, dtype=torch.uint8), "hold 0 and 1, but got 255"),
    ],
)
def test_targets_of_another_kind_are_refused(problem, targets, message):
    with pytest.raises(ValueError, match=message):
        problem.check(targets, torch.zeros(2, 1, 4, 4))


def scenes(count, seed):
    """A bright square of random size and place on a dark ground: its width and height, and its mask."""
    generator = np.random.default_rng(seed)
    images, sizes, found = np.full((count, 1, 16, 16), 0.2, np.float32), [], np.zeros((count, 16, 16), np.uint8)
    for i in range(count):
        width, height = generator.integers(3, 10, 2)
        top, left = generator.integers(0, 16 - height), generator.integers(0, 16 - width)
        images[i, 0, top : top + height, left : left + width] = 0.8
        found[i, top : top + height, left : left + width] = 1
        sizes.append((width, height))
    images += generator.normal(0, 0.02, images.shape).astype(np.float32)
    sources = np.array([f"scene_{seed}_{i // 2}" for i in range(count)])
    return torch.from_numpy(images.clip(0, 1)), torch.tensor(sizes).float(), torch.from_numpy(found), sources


class Squares:
    """A task of either kind, as a user would write it."""

    name = "squares"

    def __init__(self, kind):
        self.kind = kind

    def load(self, options):
        sets = []
        for count, seed in ((160, 1), (60, 2)):
            images, sizes, found, sources = scenes(count, seed)
            sets.append(ImageSet(images, sizes if self.kind == "regression" else found, sources, "linear"))
        problem = Segmentation()
        if self.kind == "regression":
            problem = Regression.of(sets[0].targets, ("width", "height"), "pixels", tolerance=1.0)
        return TaskData("squares", problem, *sets, fingerprint(sets[0].images, sets[0].targets), ("Squares.",))

    def network(self, name, shape, outputs):
        if self.kind == "segmentation":
            return nn.Sequential(nn.BatchNorm2d(1, affine=False), nn.Conv2d(1, outputs, 3, padding=1))
        return nn.Sequential(
            nn.BatchNorm2d(1, affine=False), nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, outputs)
        )

    def default_network(self, options):
        return "own"

    def recipe(self, options):
        return Recipe(epochs=8, lr=3e-2, batch_size=16)

    def augment(self, images, targets, generator):
        return images, targets


def adjusted(point):
    return [BitDepth(int(point.value), gain=nn.Parameter(torch.ones(())))]


SWEEP = Sweep(
    name="bits_of_squares",
    parameter="bits",
    axis="bits",
    minimum=1,
    maximum=8,
    default="1,8",
    variants=(
        Variant("fixed", "uniform", lambda point: [BitDepth(int(point.value))]),
        Variant("learned", "learned", adjusted, learned=True),
        Variant("shifted", "shifted", lambda point: [BitDepth(int(point.value))], translate=True),
        Variant("none", "no layer", lambda point: [], swept=False),
    ),
    chosen=("fixed", "learned", "shifted"),
)


@pytest.mark.parametrize("kind", ["regression", "segmentation"])
def test_sweep_reports_numbers_and_masks_as_it_does_classes(kind, tmp_path, monkeypatch, capsys):
    from physlayer.experiment import runner as engine
    from physlayer.tasks import base, register

    monkeypatch.setattr(base, "_found", {})
    register(Squares(kind))
    engine.task_data.cache_clear()
    command = ["--task", "squares", "--bits", "1,8", "--seeds", "2", "--jobs", "1", "--out", str(tmp_path)]
    assert main(SWEEP, "squares", command) == 0
    shown = capsys.readouterr().out
    engine.task_data.cache_clear()
    score = {"regression": "mean_absolute_error", "segmentation": "dice"}[kind]
    assert score.replace("_", " ") in shown and "incomplete" not in shown
    page = (tmp_path / "report.html").read_text()
    assert 'class="missing"' not in page
    assert ("Agreement with the truth" if kind == "regression" else "Worst images") in page
    assert "Confusion" not in page and "accuracy, 95" not in page
    rows = [line.split(",") for line in (tmp_path / "summary.csv").read_text().splitlines()]
    head = {name: place for place, name in enumerate(rows[0])}
    means = {
        (row[head["variant"]], row[head["value"]]): [float(row[head[name]]) for name in ("score", "low", "high")]
        for row in rows[1:]
        if row[head["metric"]] == score and row[head["seed"]] == "all" and row[head["split"]] == "test"
    }
    for mean, low, high in means.values():
        assert low <= mean <= high
    blind = read_test_set(tmp_path).problem.baseline_score
    learns = means["none", ""][0]
    assert learns < 0.6 * blind if kind == "regression" else learns > 0.9 > blind


@pytest.mark.parametrize(("name", "network"), [("histology", "of_classes"), ("digits", "of_maps")])
def test_network_that_answers_another_question_is_refused_first(name, network, tmp_path, monkeypatch, capsys):
    from physlayer.sweeps import bit_depth
    from physlayer.tasks.base import get_task

    wrong = {"of_classes": nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), "of_maps": nn.Conv2d(1, 10, 3)}[network]
    monkeypatch.setattr(get_task(name), "network", lambda *_: wrong, raising=False)
    command = ["--task", name, "--bits", "2", "--fast", "--network", network, "--out", str(tmp_path)]
    assert main(bit_depth.SWEEP, "bits", command) == 2
    told = capsys.readouterr().err
    assert f"Expected network {network} to give (B, " in told and "use --network" in told
    assert not list(tmp_path.glob("records/*"))


def test_epoch_that_is_kept_has_the_smallest_error():
    """A score of which less is better is not maximised."""
    images, sizes, _, sources = scenes(120, 3)
    train, validation = (
        ImageSet(images[part], sizes[part], sources[part], "linear") for part in (slice(80), slice(80, 120))
    )
    problem = Regression.of(train.targets, ("width", "height"), "pixels", tolerance=1.0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    result = fit(model, train, validation, Recipe(epochs=6, lr=3e-2, batch_size=16), seed=0, problem=problem)
    errors = [epoch["validation_hard"] for epoch in result.history]
    assert errors[result.best_epoch - 1] == min(errors) < max(errors)
    kept = problem.score_images(predict(model, validation), validation.targets).mean()
    assert float(kept) == pytest.approx(min(errors), rel=1e-5)
