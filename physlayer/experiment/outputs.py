"""The files that a user opens: the summary and, with a report, the figure and the page."""

from __future__ import annotations

import json
from pathlib import Path

from physlayer.experiment.problem_info import asked
from physlayer.experiment.records import read_record, record_path
from physlayer.experiment.spec import Run, Sweep, Variant
from physlayer.experiment.summary import paired_rows, summary_rows, table_lines, write_summary

__all__ = ["write_outputs"]


def write_outputs(
    sweep: Sweep, variants: list[Variant], runs: list[Run], out: Path, settings: dict, *, report: bool
) -> list[str]:
    """Write ``summary.csv`` and, with ``report``, the figure and the report; returns lines to print."""
    test_set = json.loads((out / "test_set.json").read_text(encoding="utf-8"))
    records = [record for run in runs if (record := read_record(record_path(out, run.key)))]
    rows = summary_rows(records, test_set)
    write_summary(out / "summary.csv", rows)
    lines = table_lines(sweep, variants, rows, paired_rows(records, test_set, sweep.baseline), asked(test_set))
    written = ["summary.csv"]
    if report:
        from physlayer.experiment.plot_curves import draw_figure
        from physlayer.experiment.report.page import write_report

        written += draw_figure(sweep, variants, rows, test_set, out)
        written += write_report(sweep, variants, records, rows, test_set, out, settings)
    return [*lines, f"wrote {', '.join(written)} in {out}"]
