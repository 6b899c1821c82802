"""What a robustness grid found: accuracies with intervals over seeds and sources, as arrays, rows and plots."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physlayer.experiment.robustness.levels import Level
from physlayer.metrics.statistics import Difference, cluster_bootstrap, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RobustnessGrid"]

SLANTED = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}  # labels with units are long


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
        """Low and high end of the interval over seeds and sources, ``(train, test, 2)``.

        By :func:`physlayer.metrics.statistics.cluster_bootstrap`, within classes where every source holds one class.
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
        return _heat_map(self)

    def plot_curves(self) -> Figure:
        """Accuracy against test level, a line per train level, with the standard deviation over seeds."""
        return _curves(self)

    def _cells(self) -> np.ndarray:
        return self.scores.reshape(-1, *self.scores.shape[2:])

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


def _heat_map(grid: RobustnessGrid) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure

    from physlayer.experiment.plot_style import FONT

    mean, interval = grid.mean(), grid.interval()
    half = (interval[..., 1] - interval[..., 0]) / 2
    rows, columns = mean.shape
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(1.9 + 0.72 * columns, 1.2 + 0.5 * rows), layout="constrained")
        axes = figure.add_subplot()
        # cividis is the same to all eyes, and its lightness rises with the value
        low, high = math.floor(10 * mean.min()) / 10, math.ceil(10 * mean.max()) / 10
        shown = axes.imshow(mean, cmap="cividis", vmin=low, vmax=max(high, low + 0.1), aspect="auto")
        for (i, j), value in np.ndenumerate(mean):
            colour = "black" if shown.norm(value) > 0.5 else "white"
            axes.text(j, i, f"{value:.2f}\n±{half[i, j]:.2f}", ha="center", va="center", color=colour, fontsize=7)
        _ticks(axes.set_xticks, axes.set_xlabel, "tested at", grid.test_levels, **SLANTED)
        _ticks(axes.set_yticks, axes.set_ylabel, "trained at", grid.train_levels)
        axes.set_title(_title(grid, "± half the 95 % interval"))
        figure.colorbar(shown, ax=axes, label="test accuracy")
    return figure


def _curves(grid: RobustnessGrid) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure

    from physlayer.experiment.plot_style import COLOURS, COLUMN_WIDTH, FONT, MARKERS

    per_seed = grid.scores.mean(3)
    spread = per_seed.std(2, ddof=1) if len(grid.seeds) > 1 else np.zeros(per_seed.shape[:2])
    place = np.arange(len(grid.test_levels))
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(COLUMN_WIDTH, 2.5 + 0.15 * len(grid.train_levels)), layout="constrained")
        axes = figure.add_subplot()
        for i, level in enumerate(grid.train_levels):
            aside = 0.06 * (i - (len(grid.train_levels) - 1) / 2)  # so that error bars can be told apart
            axes.errorbar(
                place + aside, per_seed[i].mean(1), yerr=spread[i], label=f"trained: {level.label}",
                color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], markersize=3.6, linewidth=1.1,
            )  # fmt: skip
        _ticks(axes.set_xticks, axes.set_xlabel, "tested at", grid.test_levels, **SLANTED)
        chance = 1 / len(np.unique(grid.targets))
        axes.axhline(chance, color="black", linewidth=0.9, linestyle=":", zorder=1)
        axes.annotate(f"chance {chance:.2g}", (0.01, chance), (0, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", fontsize=7)  # fmt: skip
        axes.set_ylabel("test accuracy")
        axes.set_title(_title(grid, "± SD over seeds" if len(grid.seeds) > 1 else "one seed"))
        axes.grid(axis="y", color="#dddddd", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower left", fontsize=7, frameon=False)
    return figure


def _ticks(set_ticks, set_label, verb: str, levels: tuple[Level, ...], **look: object) -> None:
    set_ticks(range(len(levels)), [level.label for level in levels], **look)
    quantities = dict.fromkeys(", ".join(name for name, _, _ in level.settings) for level in levels if level.settings)
    set_label(f"{verb}: {' or '.join(quantities)}" if quantities else verb)


def _title(grid: RobustnessGrid, what: str) -> str:
    from physlayer.experiment.plot_style import count

    sources = len(np.unique(grid.groups))
    return f"{grid.task}: {count(len(grid.seeds), 'seed')}, {count(sources, 'test source')}\n{what}"
