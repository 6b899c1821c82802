"""How every run scored on each test image, and what may be said of arms from that: paired over seeds and sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physlayer.experiment.problem_info import asked
from physlayer.metrics.statistics import cluster_bootstrap, paired_difference

__all__ = ["Judged", "judged", "scores_of"]


@dataclass(frozen=True)
class Judged:
    """Scores of all test images in all runs of a sweep.

    Attributes:
        scores: ``(variant, value, seed)`` to ``(N,)``. targets: class of every image, 0 where there are none.
        groups: source of every image.
        strata: the class of every image if sources are resampled within classes, else ``None``.
    """

    scores: dict[tuple, np.ndarray]
    targets: np.ndarray
    groups: np.ndarray
    strata: np.ndarray | None

    def points(self) -> list[tuple]:
        """All ``(variant, value)``, in the order of the records."""
        return list(dict.fromkeys((variant, value) for variant, value, _ in self.scores))

    def seeds(self, *points: tuple) -> list[int]:
        """Seeds that all these points have."""
        return sorted(set.intersection(*({s for v, x, s in self.scores if (v, x) == point} for point in points)))

    def stacked(self, point: tuple, seeds: list[int]) -> np.ndarray:
        """Scores ``(seeds, N)`` of a point."""
        return np.array([self.scores[*point, seed] for seed in seeds])

    def score(self, point: tuple, *, keep: np.ndarray | None = None, statistic: str = "mean"):
        """Mean score of a point with its interval, on the images of the mask ``keep``; see ``cluster_bootstrap``."""
        keep = np.ones(len(self.targets), dtype=bool) if keep is None else keep
        targets, groups = self.targets[keep], self.groups[keep]
        return cluster_bootstrap(
            self.stacked(point, self.seeds(point))[:, keep], groups, statistic=statistic,
            classes=targets if statistic == "class_mean" else None, strata=strata_of(targets, groups),
        )  # fmt: skip

    def difference(self, one: tuple, other: tuple):
        """First point minus second on the seeds that both have, or ``None``; see ``paired_difference``."""
        seeds = self.seeds(one, other)
        if not seeds:
            return None
        return paired_difference(*(self.stacked(p, seeds) for p in (one, other)), self.groups, strata=self.strata)


def judged(records: list[dict], test_set: dict) -> Judged:
    """The scores that records hold."""
    targets, groups = np.array(test_set["targets"]), np.array(test_set["groups"])
    if asked(test_set).kind != "classification":
        targets = np.zeros(len(groups), dtype=int)
    scores = {(r["variant"], r["value"], r["seed"]): scores_of(r, targets) for r in records}
    return Judged(scores, targets, groups, strata_of(targets, groups))


def scores_of(record: dict, targets: np.ndarray) -> np.ndarray:
    """Score of every test image, ``(N,)``: right or wrong, an error or an overlap, the mean over its exposures."""
    if "scores" in record:
        return np.array(record["scores"]["test"], dtype=float)
    return (np.array(record["predictions"]["test"]) == targets).astype(float)


def strata_of(targets: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Classes, if every source holds one class; else ``None`` (sources are then resampled all together)."""
    pairs = {(group, target) for group, target in zip(groups.tolist(), targets.tolist(), strict=True)}
    return targets if len(pairs) == len({group for group, _ in pairs}) else None
