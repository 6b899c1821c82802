"""What a network is asked about an image: its class, some numbers, or a mask. Loss, score and metrics of each.

A problem is the one place that knows what targets mean. Training minimises its ``loss``, keeps the epoch with the best
mean ``score_images``, and a sweep plots that score with an interval over sources; everything else about runs, splits,
noise and statistics is the same for all three.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Classification", "Problem", "Regression", "Segmentation"]


class Problem(Protocol):
    """Interface of the three problems.

    Attributes:
        kind: ``"classification"``, ``"regression"`` or ``"segmentation"``. score: name of the score in tables.
        label: of the score on an axis, with its unit. unit: of the score, ``""`` for shares, which are shown in %.
        higher_is_better: whether a larger score is better. outputs: numbers or maps that the network gives.
    """

    kind: str
    score: str
    label: str
    unit: str
    higher_is_better: bool
    outputs: int

    def check(self, targets: Tensor, images: Tensor) -> None:
        """Refuse targets of another kind."""

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Mean loss of a batch, differentiable."""

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Score of every image by itself, ``(N,)``, float64."""

    def metrics(self, outputs: Tensor, targets: Tensor, groups: np.ndarray) -> dict:
        """All metrics, of one set of outputs ``(N, …)`` or of several exposures ``(D, N, …)``."""

    def answers(self, outputs: Tensor, targets: Tensor) -> list | None:
        """What is recorded of every image, or ``None``."""

    def truth(self, targets: Tensor) -> list:
        """What the answers should be."""

    def constant(self, targets: Tensor) -> float:
        """Score of the best answer that does not look at the image."""

    def describe(self) -> dict:
        """All that tables and figures need, as JSON."""


def _described(problem: Problem) -> dict:
    return {name: getattr(problem, name) for name in ("kind", "score", "label", "unit", "higher_is_better")}


def _all_exposures(
    outputs: Tensor, targets: Tensor, groups: np.ndarray, ndim: int
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Exposures one after the other, each with the targets and the sources."""
    if outputs.ndim == ndim:
        return outputs, targets, groups
    draws = len(outputs)
    return outputs.flatten(0, 1), targets.repeat(draws, *(1,) * (targets.ndim - 1)), np.tile(groups, draws)


class Classification:
    r"""One of K classes: cross entropy, scored by accuracy.

    Args:
        class_names: target ``k`` means ``class_names[k]``.
        edge: of classes in order, the first of the upper side: adds ``binary_accuracy``, the share of images whose side
            is the one with the larger sum of probabilities, and ``balanced_binary_accuracy``, its mean over the sides.

    Example:
        >>> cells = Classification(("a", "b"))
        >>> cells.score_images(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0]))
        tensor([1., 0.], dtype=torch.float64)
    """

    kind, score, label, unit, higher_is_better = "classification", "accuracy", "test accuracy", "", True

    def __init__(self, class_names: tuple[str, ...], *, edge: int | None = None):
        self.class_names = tuple(class_names)
        self.outputs = len(self.class_names)
        if edge is not None and not 0 < edge < self.outputs:
            raise ValueError(f"Expected edge to be 1 to {self.outputs - 1}, a class above the first, but got {edge}.")
        self.edge = edge

    def check(self, targets: Tensor, images: Tensor) -> None:
        """
        Raises:
            ValueError: if targets are no classes, or one has no name.
        """
        if targets.dtype != torch.int64 or targets.ndim != 1:
            raise ValueError(
                f"Expected targets of a classification to be int64, one per image, but got {targets.dtype} of shape "
                f"{tuple(targets.shape)}; use Regression or Segmentation for others."
            )
        if int(targets.max()) >= self.outputs:
            raise ValueError(f"Expected class_names to name target {int(targets.max())}, but got {self.outputs} names.")

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(1) == targets).double()

    def metrics(self, outputs: Tensor, targets: Tensor, groups: np.ndarray) -> dict:
        from physlayer.metrics import classification_metrics, group_macro_accuracy

        outputs, targets, groups = _all_exposures(outputs, targets, groups, 2)
        probabilities = torch.softmax(outputs.double(), 1).numpy()
        found = classification_metrics(targets.numpy(), probabilities, class_names=self.class_names)
        found["source_accuracy"] = group_macro_accuracy(targets.numpy(), probabilities, groups)
        if self.edge is not None:
            upper = targets.numpy() >= self.edge
            right = (probabilities[:, self.edge :].sum(1) > 0.5) == upper
            found["binary_accuracy"] = float(right.mean())
            found["balanced_binary_accuracy"] = float(np.mean([right[upper == side].mean() for side in set(upper)]))
        return found

    def answers(self, outputs: Tensor, targets: Tensor) -> list[int]:
        return outputs.argmax(1).tolist()

    def truth(self, targets: Tensor) -> list[int]:
        return targets.tolist()

    def constant(self, targets: Tensor) -> float:
        """One class for all, where all are equally frequent."""
        return 1 / self.outputs

    def describe(self) -> dict:
        return _described(self) | {"class_names": list(self.class_names)}


class Regression:
    r"""Numbers with a unit, such as two diameters: smooth absolute error of standardised numbers.

    .. math:: \hat y = s\,(\mu + \sigma z), \qquad L = \mathrm{Huber}\Bigl(z - \frac{y/s - \mu}{\sigma}\Bigr)

    The score of an image is its absolute error, the mean over the numbers. :math:`s` is 1; or, ``scaled``, a size that
    the image says nothing of, such as that of a pixel: the network then learns what it can see, :math:`y/s`, and is
    judged in the unit.

    Args:
        names: of the K numbers. unit: of them all. mean, deviation: :math:`\mu, \sigma` of the training targets, so
            that the network starts near the mean and all numbers weigh the same. tolerance: an error below it counts as
            right in ``within_tolerance``, in the unit.
        scaled: targets are ``(N, 2K)``: the numbers :math:`y/s` and, behind them, :math:`s` in the unit.

    Example:
        >>> eye = Regression(("length",), "mm", mean=(23.5,), deviation=(1.0,), tolerance=0.5)
        >>> eye.score_images(torch.tensor([[0.5]]), torch.tensor([[23.0]]))
        tensor([1.], dtype=torch.float64)
    """

    kind, score, higher_is_better = "regression", "mean_absolute_error", False

    def __init__(
        self,
        names: tuple[str, ...],
        unit: str,
        *,
        mean: tuple[float, ...],
        deviation: tuple[float, ...],
        tolerance: float,
        scaled: bool = False,
    ):
        if not len(names) == len(mean) == len(deviation) or not names:
            raise ValueError(f"Expected one mean and deviation for each of {names}, but got {mean} and {deviation}.")
        if not all(map(math.isfinite, mean)) or not all(d > 0 and math.isfinite(d) for d in deviation):
            raise ValueError(f"Expected finite means and deviations above 0, but got {mean} and {deviation}.")
        if not tolerance > 0:
            raise ValueError(f"Expected tolerance to be above 0 {unit}, but got {tolerance}.")
        self.names, self.unit, self.tolerance = tuple(names), unit, float(tolerance)
        self.mean, self.deviation = tuple(map(float, mean)), tuple(map(float, deviation))
        self.outputs, self.label, self.scaled = len(self.names), f"mean absolute error / {unit}", bool(scaled)

    @classmethod
    def of(
        cls, targets: Tensor, names: tuple[str, ...], unit: str, *, tolerance: float, scaled: bool = False
    ) -> Regression:
        """With the mean and the deviation of these targets, ``(N, K)`` or, scaled, ``(N, 2K)``."""
        seen = targets[:, : len(names)].double()
        mean, deviation = (tuple(part.tolist()) for part in (seen.mean(0), seen.std(0)))
        return cls(names, unit, mean=mean, deviation=deviation, tolerance=tolerance, scaled=scaled)

    def check(self, targets: Tensor, images: Tensor) -> None:
        """
        Raises:
            ValueError: if targets are no finite numbers of this count.
        """
        columns = self.outputs * (1 + self.scaled)
        if not targets.is_floating_point() or targets.ndim != 2 or targets.shape[1] != columns:
            raise ValueError(
                f"Expected targets of a regression to be floating, (N, {columns}), but got {targets.dtype} of "
                f"shape {tuple(targets.shape)}."
            )
        if not bool(torch.isfinite(targets).all()):
            bad = (~torch.isfinite(targets)).any(1).nonzero().flatten()
            raise ValueError(
                f"Expected finite targets, but got {len(bad)} images without, first {int(bad[0])}; leave them out."
            )

    def scale(self, targets: Tensor) -> Tensor:
        """:math:`s` of every number, in the unit."""
        return targets[:, self.outputs :] if self.scaled else torch.ones_like(targets)

    def true(self, targets: Tensor) -> Tensor:
        """The numbers that should be found, in the unit."""
        return targets[:, : self.outputs] * self.scale(targets)

    def predicted(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The numbers that were found, in the unit; of the targets only the scale is read."""
        return (outputs * outputs.new_tensor(self.deviation) + outputs.new_tensor(self.mean)) * self.scale(targets)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        seen = targets[:, : self.outputs]
        wanted = (seen - seen.new_tensor(self.mean)) / seen.new_tensor(self.deviation)
        return F.smooth_l1_loss(outputs, wanted.to(outputs.dtype), beta=0.5)

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        targets = targets.double()
        return (self.predicted(outputs.double(), targets) - self.true(targets)).abs().mean(1)

    def metrics(self, outputs: Tensor, targets: Tensor, groups: np.ndarray) -> dict:
        from physlayer.regression_metrics import regression_metrics

        outputs, targets, groups = _all_exposures(outputs, targets.double(), groups, 2)
        truth, predicted = self.true(targets).numpy(), self.predicted(outputs.double(), targets).numpy()
        return regression_metrics(truth, predicted, groups, names=self.names, tolerance=self.tolerance)

    def answers(self, outputs: Tensor, targets: Tensor) -> list[list[float]]:
        return self.predicted(outputs.double(), targets.double()).tolist()

    def truth(self, targets: Tensor) -> list[list[float]]:
        return self.true(targets.double()).tolist()

    def constant(self, targets: Tensor) -> float:
        """The mean of the training targets for every image, times its scale."""
        return float(self.score_images(torch.zeros(len(targets), self.outputs), targets).mean())

    def describe(self) -> dict:
        return _described(self) | {"names": list(self.names), "tolerance": self.tolerance}


class Segmentation:
    r"""A class for every pixel: cross entropy plus soft Dice loss, scored by the Dice of each image.

    .. math:: L = -\overline{\log p_{t}} + 1 - \frac{2 \sum p_1 t + \epsilon}{\sum p_1 + \sum t + \epsilon}, \qquad
        \mathrm{Dice} = \frac{2\,|P \cap T|}{|P| + |T|}

    The score is of class 1 (the object); an image without an object in which none is found scores 1. Maps of another
    size than the mask, of a camera with fewer pixels, are interpolated to it.

    Args:
        class_names: of the pixels; the first is the background.

    Example:
        >>> glands = Segmentation(("stroma", "gland"))
        >>> found = torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]])  # gland everywhere
        >>> glands.score_images(found, torch.tensor([[[1, 0]]], dtype=torch.uint8))
        tensor([0.6667], dtype=torch.float64)
    """

    kind, score, label, unit, higher_is_better = "segmentation", "dice", "Dice of a test image", "", True

    def __init__(self, class_names: tuple[str, ...] = ("background", "object")):
        if len(class_names) != 2:
            raise ValueError(f"Expected class_names to name background and object, but got {class_names}.")
        self.class_names = tuple(class_names)
        self.outputs = 2

    def check(self, targets: Tensor, images: Tensor) -> None:
        """
        Raises:
            ValueError: if targets are no masks of 0 and 1 as large as the images.
        """
        wanted = (len(images), *images.shape[2:])
        if targets.dtype != torch.uint8 or tuple(targets.shape) != wanted:
            raise ValueError(
                f"Expected masks to be uint8 of shape {wanted}, but got {targets.dtype} of {tuple(targets.shape)}."
            )
        if int(targets.max()) > 1:
            raise ValueError(
                f"Expected masks to hold 0 and 1, but got {int(targets.max())}; divide masks of 0 and 255."
            )

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        outputs = resized(outputs, targets)
        entropy = F.cross_entropy(outputs, targets.long(), label_smoothing=label_smoothing)
        share, truth = outputs.softmax(1)[:, 1].flatten(1), targets.flatten(1).to(outputs.dtype)
        both, each = (share * truth).sum(1), share.sum(1) + truth.sum(1)
        return entropy + (1 - (2 * both + 1) / (each + 1)).mean()

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        from physlayer.segmentation_metrics import dice

        return torch.from_numpy(dice(self.masks(outputs, targets), targets.numpy()))

    def masks(self, outputs: Tensor, targets: Tensor) -> np.ndarray:
        """Class of every pixel at the size of the masks."""
        return resized(outputs, targets).argmax(1).numpy()

    def metrics(self, outputs: Tensor, targets: Tensor, groups: np.ndarray) -> dict:
        from physlayer.segmentation_metrics import segmentation_metrics

        outputs, targets, groups = _all_exposures(outputs, targets, groups, 4)
        return segmentation_metrics(targets.numpy(), self.masks(outputs, targets), groups)

    def answers(self, outputs: Tensor, targets: Tensor) -> None:
        """Masks are large: the scores say what tables need, and the report has the outputs."""
        return None

    def truth(self, targets: Tensor) -> list[int]:
        """Nothing: masks stay in the data."""
        return [0] * len(targets)

    def constant(self, targets: Tensor) -> float:
        """The object everywhere."""
        share = targets.double().flatten(1).mean(1)
        return float((2 * share / (1 + share)).mean())

    def describe(self) -> dict:
        return _described(self) | {"class_names": list(self.class_names)}


def resized(outputs: Tensor, targets: Tensor) -> Tensor:
    """Maps at the size of the masks.

    Example:
        >>> resized(torch.zeros(1, 2, 4, 4), torch.zeros(1, 8, 6)).shape
        torch.Size([1, 2, 8, 6])
    """
    if outputs.shape[-2:] == targets.shape[-2:]:
        return outputs
    return F.interpolate(outputs, size=tuple(targets.shape[-2:]), mode="bilinear", align_corners=False)
