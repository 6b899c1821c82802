"""From records to tidy rows with intervals over seeds and sources, and to the files a user opens."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from physlayer.statistics import cluster_bootstrap, paired_difference
from physlayer.sweep.grid import Run, Sweep, Variant
from physlayer.sweep.records import read_record
from physlayer.sweep.values import shown_value

__all__ = ["COLUMNS", "paired_rows", "scores_of", "strata_of", "summary_rows", "write_outputs"]

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
    "source_accuracy",
    "negative_log_likelihood",
    "brier",
    "expected_calibration_error",
)
# metric of summary.csv -> statistic of the bootstrap
INTERVALS = {"accuracy": "mean", "balanced_accuracy": "class_mean", "source_accuracy": "group_mean"}


def summary_rows(records: list[dict], test_set: dict) -> list[dict]:
    """One row per run and metric, and one row with ``seed=all`` per point with its 95 % interval."""
    rows, points = [], defaultdict(list)
    targets, groups = np.array(test_set["targets"]), np.array(test_set["groups"])
    for record in records:
        points[record["variant"], record["value"]].append(record)
        for split, metrics in record["metrics"].items():
            for name, score in _scalars(metrics).items():
                rows.append(_row(record, record["seed"], split, name, score))
    for members in points.values():
        members.sort(key=lambda record: record["seed"])
        hits = np.array([scores_of(r, targets) for r in members])
        for name, statistic in INTERVALS.items():
            classes = targets if statistic == "class_mean" else None
            interval = cluster_bootstrap(
                hits, groups, statistic=statistic, classes=classes, strata=strata_of(targets, groups)
            )
            row = _row(members[0], "all", "test", name, interval.estimate)
            rows.append(row | {"low": interval.low, "high": interval.high, "n_clusters": interval.n_clusters})
        for split in members[0]["metrics"]:
            for name in _scalars(members[0]["metrics"][split]):
                if split == "test" and name in INTERVALS:
                    continue
                scores = [_scalars(r["metrics"][split])[name] for r in members]
                rows.append(_row(members[0], "all", split, name, float(np.mean(scores))))
    return rows


def scores_of(record: dict, targets: np.ndarray) -> np.ndarray:
    """Score of every test image, ``(N,)``: right or wrong, or the share of the exposures in which it was right."""
    if "scores" in record:
        return np.array(record["scores"]["test"], dtype=float)
    return (np.array(record["predictions"]["test"]) == targets).astype(float)


def paired_rows(records: list[dict], test_set: dict, baseline: str = "fixed") -> list[dict]:
    """Accuracy of each arm minus the baseline at the same value: paired over seeds and over sources."""
    targets, groups = np.array(test_set["targets"]), np.array(test_set["groups"])
    hits = {(r["variant"], r["value"], r["seed"]): scores_of(r, targets) for r in records}
    rows = []
    for variant, value in dict.fromkeys((r["variant"], r["value"]) for r in records):
        if variant == baseline or value is None:
            continue
        seeds = sorted(s for (v, x, s) in hits if v == variant and x == value and (baseline, value, s) in hits)
        if not seeds:
            continue
        ours, base = (np.array([hits[name, value, s] for s in seeds]) for name in (variant, baseline))
        difference = paired_difference(ours, base, groups, strata=strata_of(targets, groups))
        rows.append({
            "variant": variant, "baseline": baseline, "value": value, "seeds": len(seeds),
            "difference": difference.estimate, "low": difference.low, "high": difference.high,
            "p_sign_flip": difference.p_sign_flip, "per_seed": list(difference.per_seed),
        })  # fmt: skip
    return rows


def write_outputs(
    sweep: Sweep, variants: list[Variant], runs: list[Run], out: Path, settings: dict, *, report: bool
) -> list[str]:
    """Write ``summary.csv`` and, with ``report``, the figure and the report; returns lines to print."""
    test_set = json.loads((out / "test_set.json").read_text(encoding="utf-8"))
    records = [record for run in runs if (record := read_record(out / "records" / f"{run.key}.json"))]
    rows = summary_rows(records, test_set)
    write_summary(out / "summary.csv", rows)
    lines = table_lines(sweep, variants, rows, paired_rows(records, test_set, sweep.baseline))
    written = ["summary.csv"]
    if report:
        from physlayer.sweep.figure import draw_figure
        from physlayer.sweep.report import write_report

        written += draw_figure(sweep, variants, rows, test_set, out)
        written += write_report(sweep, variants, records, rows, test_set, out, settings)
    return [*lines, f"wrote {', '.join(written)} in {out}"]


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


def table_lines(sweep: Sweep, variants: list[Variant], rows: list[dict], differences: list[dict]) -> list[str]:
    """The table that the terminal shows: accuracy with its interval, difference from the baseline."""
    accuracy = {
        (r["variant"], r["value"]): r
        for r in rows
        if r["seed"] == "all" and r["metric"] == "accuracy" and r["split"] == "test"
    }
    paired = {(d["variant"], d["value"]): d for d in differences}
    values = sorted({value for _, value in accuracy if value != ""})
    lines = [f"test accuracy [95 % interval], difference from {sweep.baseline}"]
    for variant in variants:
        for value in values if variant.swept else [""]:
            row = accuracy.get((variant.name, value))
            if row is None:
                continue
            place = "" if value == "" else f"{sweep.parameter} {shown_value(value, sweep.scale)}"
            line = f"{variant.name:24s}{place:16s}"
            line += f"{row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            if (variant.name, value) in paired:
                d = paired[variant.name, value]
                line += f"   {d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]"
            lines.append(line)
    return lines


def strata_of(targets: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Classes, if every source holds one class; else ``None`` (sources are then resampled all together)."""
    pairs = {(group, target) for group, target in zip(groups.tolist(), targets.tolist(), strict=True)}
    return targets if len(pairs) == len({group for group, _ in pairs}) else None


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
