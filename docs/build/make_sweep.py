"""Make the figure and the tables of a sweep's page from its records.

    python docs/build/make_sweep.py resolution --runs runs/resolution_blood_cells [--doubled FOLDER]
    python docs/build/make_sweep.py sensor_placement --runs runs/sensor_placement_digits --page digits

Fills docs/SWEEP.md between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``; writes docs/figures and docs/results.
With ``--page NAME`` the parts and files carry that name too, for a second data set on the same page.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from pages import fill
from tables import (
    DOCS,
    accuracy_table,
    contrast_table,
    cost_table,
    difference_table,
    doubled_table,
    draw,
    found_table,
    load,
    measured_table,
    provenance_lines,
)

from physlayer.experiment import Sweep
from physlayer.experiment.record import Record
from physlayer.experiment.scores import score_table
from physlayer.experiment.summary import paired_rows, summary_rows, write_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--doubled", type=Path)
    parser.add_argument("--page", default="")
    args = parser.parse_args()
    sweep = importlib.import_module(f"physlayer.sweeps.{args.sweep}").SWEEP
    records, test_set = load(args.runs)
    rows, problem = summary_rows(records, test_set), test_set.problem
    mark = f" {args.page}" if args.page else ""
    name = "_".join(part for part in (args.sweep, args.page or records[0].task) if part)
    (DOCS / "results").mkdir(exist_ok=True)
    write_summary(DOCS / "results" / f"{name}.csv", rows)
    draw(sweep, tuple(v.name for v in sweep.variants), rows, test_set, args.runs, name)
    of_the_baseline = [r for r in records if baseline_of(sweep, records, r.variant) == sweep.baseline]
    parts = {
        f"accuracy{mark}": accuracy_table(sweep, rows, problem),
        f"differences{mark}": difference_table(sweep, paired_rows(of_the_baseline, test_set, sweep.baseline), problem),
        f"learned{mark}": contrast_table(
            sweep, score_table(records, test_set), learned_against_others(sweep, records), problem
        ),
        f"found{mark}": found_table(sweep, records),
        f"cost{mark}": cost_table(sweep, records),
        f"provenance{mark}": provenance_lines(records, test_set),
    }
    if sweep.measure is not None:
        parts[f"measured{mark}"] = measured_table(sweep, rows)
    if args.doubled:
        parts[f"doubled{mark}"] = doubled_table(sweep, records, load(args.doubled)[0])
    fill(DOCS / f"{args.sweep}.md", parts)


def baseline_of(sweep: Sweep, records: list[Record], name: str) -> str:
    """``fixed_turn`` is the baseline of the other arms that end in ``_turn``; that of the sweep of all others."""
    own = f"{sweep.baseline}_{name.rpartition('_')[2]}"
    return own if any(record.variant == own for record in records) else sweep.baseline


def learned_against_others(sweep: Sweep, records: list[Record]) -> tuple:
    """Every pair of the learned arm with another one at the same value, but its baseline, which has a table.

    Then every arm that has a baseline of its own against that one.
    """
    points = sorted({(r.variant, r.value) for r in records if not r.variant.endswith("_retrained")},
                    key=lambda point: (point[1] or 0, point[0]))  # fmt: skip
    values = sorted({value for name, value in points if name == "learned"})
    pairs = [
        (("learned", value), (name, other)) for value in values for name, other in points
        if name not in ("learned", sweep.baseline) and other in (value, None)
        and baseline_of(sweep, records, name) == sweep.baseline
    ]  # fmt: skip
    for name, value in points:
        own = baseline_of(sweep, records, name)
        if own not in (name, sweep.baseline):
            pairs.append(((name, value), (own, value)))
    return tuple(pairs)


if __name__ == "__main__":
    main()
