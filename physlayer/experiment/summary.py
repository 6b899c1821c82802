"""From records to tidy rows with intervals over seeds and groups, and to the files a user opens."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physlayer.core.files import atomic_write
from physlayer.experiment.axis import shown_value
from physlayer.experiment.problem_info import ProblemInfo
from physlayer.experiment.record import Record, TestSet
from physlayer.experiment.scores import score_table
from physlayer.experiment.spec import Sweep, Variant

__all__ = ["COLUMNS", "SCALARS", "PairedRow", "SummaryRow", "paired_rows", "summary_rows", "table_lines"]

COLUMNS = {  # of summary.csv, format 1, and the attribute of the row
    **{n: n for n in ("sweep", "task", "variant", "parameter", "value", "seed", "split", "metric", "score")},
    **{"low": "low", "high": "high", "n_clusters": "n_groups"},
}
SCALARS = (
    "accuracy",
    "balanced_accuracy",
    "binary_accuracy",
    "balanced_binary_accuracy",
    "source_accuracy",
    "negative_log_likelihood",
    "brier",
    "expected_calibration_error",
    "mean_absolute_error",
    "source_mean_absolute_error",
    "root_mean_square_error",
    "within_tolerance",
    "r_squared",
    "dice",
    "source_dice",
    "jaccard",
    "pixel_accuracy",
    "psnr_db",
    "ssim",
)


@dataclass(frozen=True)
class SummaryRow:
    """A row of ``summary.csv``: a metric of one run, or of all seeds of a point.

    Attributes:
        value: of the swept parameter, or ``None``. seed: of the run; ``None`` for all seeds together.
        low, high: ends of the 95 % interval, ``None`` where there is none. n_groups: test groups that it is over.
    """

    sweep: str
    task: str
    variant: str
    parameter: str
    value: int | float | None
    seed: int | None
    split: str
    metric: str
    score: float
    low: float | None = None
    high: float | None = None
    n_groups: int | None = None

    @property
    def pooled(self) -> bool:
        """Whether the row is over all seeds."""
        return self.seed is None

    @property
    def point(self) -> tuple[str, int | float | None]:
        """Arm and value."""
        return self.variant, self.value

    def ends(self) -> tuple[float, float]:
        """Low and high end of the interval.

        Raises:
            ValueError: if the row has none.
        """
        if self.low is None or self.high is None:
            raise ValueError(
                f"Expected a row with an interval, but got {self.metric} without; use a pooled test score."
            )
        return self.low, self.high


@dataclass(frozen=True)
class PairedRow:
    """Score of an arm minus that of another, paired over seeds and groups, with its 95 % interval.

    Attributes:
        seeds: number of pairs. per_seed: their differences. p_sign_flip: as in :class:`.Difference`.
    """

    variant: str
    baseline: str
    value: int | float | None
    seeds: int
    difference: float
    low: float
    high: float
    p_sign_flip: float
    per_seed: tuple[float, ...]


def statistics_of(problem: ProblemInfo) -> dict[str, str]:
    """Metric of summary.csv that has an interval, and its statistic of the bootstrap.

    Example:
        >>> statistics_of(ProblemInfo(kind="regression", score="mean_absolute_error"))
        {'mean_absolute_error': 'mean', 'source_mean_absolute_error': 'group_mean'}
    """
    balanced = {"balanced_accuracy": "class_mean"} if problem.kind == "classification" else {}
    return {problem.score: "mean", **balanced, f"source_{problem.score}": "group_mean"}


def summary_rows(records: Iterable[Record], test_set: TestSet) -> list[SummaryRow]:
    """One row per run and metric, and one row per point over all seeds with its 95 % interval."""
    records = list(records)
    rows, points, scores = [], defaultdict(list), score_table(records, test_set)
    intervals = statistics_of(test_set.problem)
    for record in records:
        points[record.point].append(record)
        for split, metrics in record.metrics.items():
            rows += [_row(record, record.seed, split, name, score) for name, score in _scalars(metrics).items()]
    for point, members in points.items():
        members.sort(key=lambda record: record.seed)
        first = members[0]
        for name, statistic in intervals.items():
            found = scores.score(point, statistic=statistic)
            rows.append(_row(first, None, "test", name, found.estimate, found.low, found.high, found.n_groups))
        for split in first.metrics:
            for name in _scalars(first.metrics[split]):
                if split == "test" and name in intervals:
                    continue
                mean = float(np.mean([_scalars(r.metrics[split])[name] for r in members]))
                rows.append(_row(first, None, split, name, mean))
    return rows


def _row(record: Record, seed: int | None, split: str, metric: str, *score: Any) -> SummaryRow:
    return SummaryRow(
        record.sweep, record.task, record.variant, record.parameter, record.value, seed, split, metric, *score
    )


def _scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    found = {name: metrics[name] for name in SCALARS if metrics.get(name) is not None}
    for name in ("roc_auc", "average_precision"):
        macro = metrics[name].get("macro") if isinstance(metrics.get(name), dict) else None
        if macro is not None:
            found[name] = macro
    return {name: float(score) for name, score in found.items()}


def paired_rows(records: Iterable[Record], test_set: TestSet, baseline: str = "fixed") -> list[PairedRow]:
    """Score of each arm minus the baseline, at the same value if it is swept: paired over seeds and over groups."""
    scores, rows = score_table(records, test_set), []
    points = scores.points()
    anywhere = (baseline, None) in points
    for variant, value in points:
        if variant == baseline or (value is None and not anywhere):
            continue
        found = scores.difference((variant, value), (baseline, None if anywhere else value))
        if found is None:
            continue
        ends, per_seed = (found.low, found.high), tuple(found.per_seed)
        rows.append(
            PairedRow(variant, baseline, value, len(per_seed), found.estimate, *ends, found.p_sign_flip, per_seed)
        )
    return rows


def write_summary(path: Path, rows: Iterable[SummaryRow]) -> None:
    """Write the rows sorted, numbers to six decimals."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=_order):
        writer.writerow([_written(row, attribute) for attribute in COLUMNS.values()])
    atomic_write(path, text.getvalue())


def _written(row: SummaryRow, name: str) -> str | int:
    value: str | int | float | None = getattr(row, name)
    if value is None:
        return "all" if name == "seed" else ""
    if not isinstance(value, float):
        return value
    return f"{value:.10g}" if name == "value" else f"{value:.6f}"


def _order(row: SummaryRow) -> tuple[Any, ...]:
    value = -1 if row.value is None else row.value
    return row.variant, value, row.split, row.metric, row.pooled, row.seed or 0


def table_lines(
    sweep: Sweep,
    variants: Sequence[Variant],
    rows: Iterable[SummaryRow],
    differences: Iterable[PairedRow],
    problem: ProblemInfo,
) -> list[str]:
    """The table that the terminal shows: score with its interval, difference from the baseline."""
    score = {r.point: r for r in rows if r.pooled and r.metric == problem.score and r.split == "test"}
    paired = {(d.variant, d.value): d for d in differences}
    values = sorted({value for _, value in score if value is not None})
    unit = f" / {problem.unit}" if problem.unit else ""
    lines = [f"test {problem.score_name}{unit} [95 % interval], difference from {sweep.baseline}"]
    for variant in variants:
        for value in values if variant.swept else [None]:
            row = score.get((variant.name, value))
            if row is None:
                continue
            low, high = row.ends()
            place = "" if value is None else f"{sweep.parameter} {shown_value(value, sweep.scale)}"
            line = f"{variant.name:24s}{place:16s}{row.score:.3f} [{low:.3f}, {high:.3f}]"
            if d := paired.get((variant.name, value)):
                line += f"   {d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
            lines.append(line)
    return lines
