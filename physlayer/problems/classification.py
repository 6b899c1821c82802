"""What a network is asked about an image: its class, some numbers, or a mask. Loss, score and metrics of each.

A problem is the one place that knows what targets mean. Training minimises its ``loss``, keeps the epoch with the best
mean ``score_images``, and a sweep plots that score with an interval over sources; everything else about runs, splits,
noise and statistics is the same for all three.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.problems.base import all_exposures, described

__all__ = ["Classification"]

EVEN = 1.1  # times its even share: what the most frequent class may have where all count as equally frequent


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
        from physlayer.metrics.classification import classification_metrics, group_accuracy

        outputs, targets, groups = all_exposures(outputs, targets, groups, 2)
        probabilities = torch.softmax(outputs.double(), 1).numpy()
        found = classification_metrics(targets.numpy(), probabilities, class_names=self.class_names)
        found["source_accuracy"] = group_accuracy(targets.numpy(), probabilities, groups)
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

    def blind(self, targets: Tensor, seen: Tensor) -> tuple[float, str]:
        """The most frequent class of the training set for every image; chance, where all are about as frequent."""
        shares = torch.bincount(seen, minlength=self.outputs) / len(seen)
        if float(shares.max()) < EVEN / self.outputs:
            return 1 / self.outputs, "chance"
        return float((targets == shares.argmax()).double().mean()), "most frequent class"

    def describe(self) -> dict:
        return described(self) | {"class_names": list(self.class_names)}
