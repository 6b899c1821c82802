"""From records to tidy rows with intervals over seeds and sources, and to the files a user opens."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from physlayer.experiment.axis import shown_value
from physlayer.experiment.problem_info import Asked, asked
from physlayer.experiment.scores import judged
from physlayer.experiment.spec import Sweep, Variant

__all__ = ["COLUMNS", "paired_rows", "summary_rows"]

COLUMNS = (
    "sweep",
    "task",
    "variant",
    "parameter",
    "value",
    "seed",
    "split",
    "metric",
    "score",
    "low",
    "high",
    "n_clusters",
)
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


def statistics_of(problem: Asked) -> dict[str, str]:
    """Metric of summary.csv that has an interval, and its statistic of the bootstrap.

    Example:
        >>> statistics_of(Asked(kind="regression", score="mean_absolute_error"))
        {'mean_absolute_error': 'mean', 'source_mean_absolute_error': 'group_mean'}
    """
    balanced = {"balanced_accuracy": "class_mean"} if problem.kind == "classification" else {}
    return {problem.score: "mean", **balanced, f"source_{problem.score}": "group_mean"}


def summary_rows(records: list[dict], test_set: dict) -> list[dict]:
    """One row per run and metric, and one row with ``seed=all`` per point with its 95 % interval."""
    rows, points, scores = [], defaultdict(list), judged(records, test_set)
    intervals = statistics_of(asked(test_set))
    for record in records:
        points[record["variant"], record["value"]].append(record)
        for split, metrics in record["metrics"].items():
            for name, score in _scalars(metrics).items():
                rows.append(_row(record, record["seed"], split, name, score))
    for point, members in points.items():
        members.sort(key=lambda record: record["seed"])
        for name, statistic in intervals.items():
            interval = scores.score(point, statistic=statistic)
            row = _row(members[0], "all", "test", name, interval.estimate)
            rows.append(row | {"low": interval.low, "high": interval.high, "n_clusters": interval.n_clusters})
        for split in members[0]["metrics"]:
            for name in _scalars(members[0]["metrics"][split]):
                if split == "test" and name in intervals:
                    continue
                found = [_scalars(r["metrics"][split])[name] for r in members]
                rows.append(_row(members[0], "all", split, name, float(np.mean(found))))
    return rows


def paired_rows(records: list[dict], test_set: dict, baseline: str = "fixed") -> list[dict]:
    """Score of each arm minus the baseline, at the same value if it is swept: paired over seeds and over sources."""
    scores, rows = judged(records, test_set), []
    points = scores.points()
    anywhere = (baseline, None) in points
    for variant, value in points:
        if variant == baseline or (value is None and not anywhere):
            continue
        difference = scores.difference((variant, value), (baseline, None if anywhere else value))
        if difference is None:
            continue
        rows.append({
            "variant": variant, "baseline": baseline, "value": value, "seeds": len(difference.per_seed),
            "difference": difference.estimate, "low": difference.low, "high": difference.high,
            "p_sign_flip": difference.p_sign_flip, "per_seed": list(difference.per_seed),
        })  # fmt: skip
    return rows


def write_summary(path: Path, rows: list[dict]) -> None:
    """Write the rows atomically, sorted, numbers to six decimals."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in sorted(rows, key=_order):
            writer.writerow({name: _written(name, row[name]) for name in COLUMNS})
    temporary.replace(path)


def _written(name: str, value):
    if not isinstance(value, float):
        return value
    return f"{value:.10g}" if name == "value" else f"{value:.6f}"


def table_lines(
    sweep: Sweep, variants: list[Variant], rows: list[dict], differences: list[dict], problem: Asked
) -> list[str]:
    """The table that the terminal shows: score with its interval, difference from the baseline."""
    score = {
        (r["variant"], r["value"]): r
        for r in rows
        if r["seed"] == "all" and r["metric"] == problem.score and r["split"] == "test"
    }
    paired = {(d["variant"], d["value"]): d for d in differences}
    values = sorted({value for _, value in score if value != ""})
    unit = f" / {problem.unit}" if problem.unit else ""
    lines = [f"test {problem.words}{unit} [95 % interval], difference from {sweep.baseline}"]
    for variant in variants:
        for value in values if variant.swept else [""]:
            row = score.get((variant.name, value))
            if row is None:
                continue
            place = "" if value == "" else f"{sweep.parameter} {shown_value(value, sweep.scale)}"
            line = f"{variant.name:24s}{place:16s}"
            line += f"{row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            if d := paired.get((variant.name, None if value == "" else value)):
                line += f"   {d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]"
            lines.append(line)
    return lines


def _scalars(metrics: dict) -> dict[str, float]:
    found = {name: metrics[name] for name in SCALARS if metrics.get(name) is not None}
    for name in ("roc_auc", "average_precision"):
        macro = metrics.get(name, {}).get("macro") if isinstance(metrics.get(name), dict) else None
        if macro is not None:
            found[name] = macro
    return {name: float(score) for name, score in found.items()}


def _row(record: dict, seed: int | str, split: str, metric: str, score: float) -> dict:
    value = "" if record["value"] is None else record["value"]
    base = {name: record[name] for name in ("sweep", "task", "variant", "parameter")}
    return base | {
        "value": value,
        "seed": seed,
        "split": split,
        "metric": metric,
        "score": score,
        "low": "",
        "high": "",
        "n_clusters": "",
    }


def _order(row: dict) -> tuple:
    value, seed = row["value"], row["seed"]
    return (
        row["variant"],
        -1 if value == "" else value,
        row["split"],
        row["metric"],
        seed == "all",
        0 if seed == "all" else seed,
    )
