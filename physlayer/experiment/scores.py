"""How every run scored on each test image, and what may be said of arms from that: paired over seeds and groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from physlayer.experiment.record import Record, TestSet
from physlayer.metrics.intervals import Difference, Interval, cluster_bootstrap, paired_difference

__all__ = ["ScoreTable", "TablePoint", "score_table", "scores_of", "strata_of"]

TablePoint: TypeAlias = tuple[str, int | float | None]  # arm and value


@dataclass(frozen=True)
class ScoreTable:
    """Scores of all test images in all runs of a sweep.

    Attributes:
        scores: ``(variant, value, seed)`` to ``(N,)``. targets: class of every image, 0 where there are none.
        groups: source image, patient or slide of every image.
        strata: the class of every image if groups are resampled within classes, else ``None``.
    """

    scores: dict[tuple[str, int | float | None, int], np.ndarray]
    targets: np.ndarray
    groups: np.ndarray
    strata: np.ndarray | None

    def points(self) -> list[TablePoint]:
        """All ``(variant, value)``, in the order of the records."""
        return list(dict.fromkeys((variant, value) for variant, value, _ in self.scores))

    def seeds(self, *points: TablePoint) -> list[int]:
        """Seeds that all these points have."""
        return sorted(set.intersection(*({s for v, x, s in self.scores if (v, x) == point} for point in points)))

    def stacked(self, point: TablePoint, seeds: Sequence[int]) -> np.ndarray:
        """Scores ``(seeds, N)`` of a point."""
        return np.array([self.scores[*point, seed] for seed in seeds])

    def score(self, point: TablePoint, *, keep: np.ndarray | None = None, statistic: str = "mean") -> Interval:
        """Mean score of a point with its interval, on the images of the mask ``keep``; see ``cluster_bootstrap``."""
        keep = np.ones(len(self.targets), dtype=bool) if keep is None else keep
        targets, groups = self.targets[keep], self.groups[keep]
        return cluster_bootstrap(
            self.stacked(point, self.seeds(point))[:, keep], groups, statistic=statistic,
            classes=targets if statistic == "class_mean" else None, strata=strata_of(targets, groups),
        )  # fmt: skip

    def difference(self, one: TablePoint, other: TablePoint) -> Difference | None:
        """First point minus second on the seeds that both have, or ``None``; see ``paired_difference``."""
        seeds = self.seeds(one, other)
        if not seeds:
            return None
        ours, theirs = (self.stacked(point, seeds) for point in (one, other))
        return paired_difference(ours, theirs, self.groups, strata=self.strata)


def score_table(records: Iterable[Record], test_set: TestSet) -> ScoreTable:
    """The scores that records hold."""
    groups = np.array(test_set.groups)
    targets = np.zeros(len(groups), dtype=int)
    if test_set.problem.kind == "classification":
        targets = np.array(test_set.targets)
    scores = {(r.variant, r.value, r.seed): scores_of(r, targets) for r in records}
    return ScoreTable(scores, targets, groups, strata_of(targets, groups))


def scores_of(record: Record, targets: np.ndarray) -> np.ndarray:
    """Score of every test image, ``(N,)``: right or wrong, an error or an overlap, the mean over its exposures.

    Raises:
        ValueError: if the record says neither scores nor predictions.
    """
    if record.scores is not None:
        return np.array(record.scores["test"], dtype=float)
    if record.predictions is None:
        raise ValueError(f"Expected record {record.key} to hold scores or predictions, but got neither; run it again.")
    right: np.ndarray = np.array(record.predictions["test"]) == targets
    return right.astype(float)


def strata_of(targets: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Classes, if every group holds one class; else ``None`` (groups are then resampled all together)."""
    pairs = {(group, target) for group, target in zip(groups.tolist(), targets.tolist(), strict=True)}
    return targets if len(pairs) == len({group for group, _ in pairs}) else None
