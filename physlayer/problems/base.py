"""What every problem offers, and what the three kinds share."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

__all__ = ["Problem", "all_exposures", "described"]


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

    def blind(self, targets: Tensor, seen: Tensor) -> tuple[float, str]:
        """Score of the best answer that does not look at the image, and its name; ``seen`` are training targets."""

    def describe(self) -> dict:
        """All that tables and figures need, as JSON."""


def described(problem: Problem) -> dict:
    return {name: getattr(problem, name) for name in ("kind", "score", "label", "unit", "higher_is_better")}


def all_exposures(outputs: Tensor, targets: Tensor, groups: np.ndarray, ndim: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Exposures one after the other, each with the targets and the sources."""
    if outputs.ndim == ndim:
        return outputs, targets, groups
    draws = len(outputs)
    return outputs.flatten(0, 1), targets.repeat(draws, *(1,) * (targets.ndim - 1)), np.tile(groups, draws)
