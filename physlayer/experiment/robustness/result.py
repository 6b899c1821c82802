"""What a robustness grid found: accuracies with intervals over seeds and groups, as arrays, rows and plots."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physlayer.experiment.robustness.levels import Level
from physlayer.metrics.intervals import Difference, cluster_bootstrap, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RobustnessGrid"]


@dataclass(frozen=True, eq=False)
class RobustnessGrid:
    """Scores of every trained network at every test level.

    Args:
        task: name of the task. train_levels, test_levels: the conditions. seeds: of the trainings.
        scores: ``(train, test, seed, image)``, share of the exposures of an image that were classified rightly, 0…1.
        targets, groups: class and source of the test images, ``(image,)``. notes: warnings of the trainings.
    """

    task: str
    train_levels: tuple[Level, ...]
    test_levels: tuple[Level, ...]
    seeds: tuple[int, ...]
    scores: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    notes: tuple[str, ...] = ()

    def mean(self) -> np.ndarray:
        """Accuracy, ``(train, test)``."""
        return self.scores.mean((2, 3))

    def interval(self, level: float = 0.95) -> np.ndarray:
        """Low and high end of the interval over seeds and groups, ``(train, test, 2)``.

        By :func:`physlayer.metrics.intervals.cluster_bootstrap`, within classes where every group holds one class.
        """
        shape, strata = self.scores.shape, self._strata()
        found = [cluster_bootstrap(cell, self.groups, strata=strata, level=level) for cell in self._cells()]
        return np.array([(cell.low, cell.high) for cell in found]).reshape(*shape[:2], 2)

    def difference(self, train: str, baseline: str, test: str, level: float = 0.95) -> Difference:
        """Accuracy at level ``test`` of the network trained at ``train``, minus that trained at ``baseline``; paired.

        Raises:
            ValueError: if a label names no level.
        """
        rows = [_named(self.train_levels, label, "train") for label in (train, baseline)]
        ours, base = self.scores[rows, _named(self.test_levels, test, "test")]
        return paired_difference(ours, base, self.groups, strata=self._strata(), level=level)

    def rows(self) -> list[dict]:
        """A row per pair of levels and seed, and one with ``seed="all"`` and its 95 % interval; ready for CSV."""
        interval, found = self.interval(), []
        for (i, train), (j, test) in itertools.product(enumerate(self.train_levels), enumerate(self.test_levels)):
            base = {"task": self.task, **_columns("train", train), **_columns("test", test)}
            per_seed = self.scores[i, j].mean(1)
            found += [
                base | {"seed": seed, "accuracy": float(score), "low": "", "high": "", "n_sources": ""}
                for seed, score in zip(self.seeds, per_seed, strict=True)
            ]
            whole = {"low": float(interval[i, j, 0]), "high": float(interval[i, j, 1])}
            whole |= {"n_sources": len(np.unique(self.groups))}
            found.append(base | {"seed": "all", "accuracy": float(per_seed.mean())} | whole)
        return found

    def plot(self) -> Figure:
        """Heat map, train level × test level: accuracy ± half the width of its 95 % interval."""
        from physlayer.experiment.robustness.plots import accuracy_matrix

        levels = self.train_levels, self.test_levels
        return accuracy_matrix(self.mean(), self.interval(), *levels, self._title("± half the 95 % interval"))

    def plot_curves(self) -> Figure:
        """Accuracy against test level, a line per train level, with the standard deviation over seeds."""
        from physlayer.experiment.robustness.plots import accuracy_curves

        title = self._title("± SD over seeds" if len(self.seeds) > 1 else "one seed")
        chance = 1 / len(np.unique(self.targets))
        return accuracy_curves(self.scores.mean(3), self.train_levels, self.test_levels, chance, title)

    def _cells(self) -> np.ndarray:
        return self.scores.reshape(-1, *self.scores.shape[2:])

    def _title(self, what: str) -> str:
        from physlayer.experiment.plot_style import count

        groups = len(np.unique(self.groups))
        return f"{self.task}: {count(len(self.seeds), 'seed')}, {count(groups, 'test source')}\n{what}"

    def _strata(self) -> np.ndarray | None:
        from physlayer.experiment.scores import strata_of

        return strata_of(self.targets, self.groups)


def _columns(side: str, level: Level) -> dict[str, str]:
    """The settings of a level as columns, several joined by a semicolon."""
    joined = [";".join(format(part, "g") if isinstance(part, float) else str(part) for part in column)
              for column in zip(*level.settings, strict=True)] or ["", "", ""]  # fmt: skip
    return {side: level.label} | dict(zip((f"{side}_quantity", f"{side}_value", f"{side}_unit"), joined, strict=True))


def _named(levels: tuple[Level, ...], label: str, side: str) -> int:
    labels = [level.label for level in levels]
    if label not in labels:
        raise ValueError(f"Expected {side} to be one of {', '.join(labels)}, but got {label!r}.")
    return labels.index(label)
