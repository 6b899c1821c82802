"""Numbers with a unit: loss, score and metrics."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.problems.base import all_exposures, described

__all__ = ["Regression"]


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
        for name, middle, spread in zip(names, mean, deviation, strict=True):
            if not spread > 0:
                raise ValueError(
                    f"Expected {name} to differ between images, but got {middle:g} in all {len(seen)}; there is "
                    "nothing to learn."
                )
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
        from physlayer.metrics.regression import regression_metrics

        outputs, targets, groups = all_exposures(outputs, targets.double(), groups, 2)
        truth, predicted = self.true(targets).numpy(), self.predicted(outputs.double(), targets).numpy()
        return regression_metrics(truth, predicted, groups, names=self.names, tolerance=self.tolerance)

    def answers(self, outputs: Tensor, targets: Tensor) -> list[list[float]]:
        return self.predicted(outputs.double(), targets.double()).tolist()

    def truth(self, targets: Tensor) -> list[list[float]]:
        return self.true(targets.double()).tolist()

    def blind(self, targets: Tensor, seen: Tensor) -> tuple[float, str]:
        """The mean of the training targets for every image; scaled, the mean of :math:`y/s` times its scale."""
        score = float(self.score_images(torch.zeros(len(targets), self.outputs), targets).mean())
        return score, "mean share of the picture" if self.scaled else "mean of the training set"

    def describe(self) -> dict:
        return described(self) | {"names": list(self.names), "tolerance": self.tolerance}
