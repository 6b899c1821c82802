"""The files that a user opens: the summary and, with a report, the figure and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from physlayer.experiment.records import read_record, read_test_set, record_path
from physlayer.experiment.run import Run
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import paired_rows, summary_rows, table_lines, write_summary

__all__ = ["write_outputs"]


def write_outputs(
    sweep: Sweep,
    variants: Sequence[Variant],
    runs: Sequence[Run],
    out: Path,
    settings: dict[str, Any],
    *,
    report: bool,
) -> list[str]:
    """Write ``summary.csv`` and, with ``report``, the figure and the report; returns lines to print."""
    test_set = read_test_set(out)
    records = [record for run in runs if (record := read_record(record_path(out, run.key)))]
    rows = summary_rows(records, test_set)
    write_summary(out / "summary.csv", rows)
    paired = paired_rows(records, test_set, sweep.baseline)
    lines = table_lines(sweep, variants, rows, paired, test_set.problem)
    written = ["summary.csv"]
    if report:
        from physlayer.experiment.plot_curves import draw_figure
        from physlayer.experiment.report.page import write_report
        from physlayer.experiment.robustness.plots import draw_matrix

        written += draw_figure(sweep, variants, rows, test_set, out)
        if any(variant.model_from is not None for variant in variants):
            written += draw_matrix(sweep, variants, rows, test_set, out)
        written += write_report(sweep, variants, records, rows, test_set, out, settings)
    return [*lines, f"wrote {', '.join(written)} in {out}"]
