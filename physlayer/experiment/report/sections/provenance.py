"""What to know before trusting the numbers: what the audit found, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from physlayer.experiment.plot_style import count
from physlayer.experiment.report.blocks import Block, Facts, Missing, Paragraph, Table
from physlayer.experiment.report.comparisons import control_notes
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.formats import value_name
from physlayer.experiment.report.registry import section

__all__ = ["audit_section", "provenance_section"]


@section("Audit", place=160)
def audit_section(context: ReportContext) -> Iterator[Block]:
    body = []
    for record in context.records:
        # A frozen camera is not meant to move.
        frozen = [name for name, state in record.audit.gradient.items() if state == "frozen"]
        found = [n for n in record.notes if not n.startswith(tuple(f"{name} did not move" for name in frozen))]
        still = [name for name, entry in record.audit.moved.items() if not entry.moved]
        found += [f"{name} did not move" for name in still if name not in " ".join(record.notes)]
        found += control_notes(context, record)
        body += [[record.variant, value_name(record.value), str(record.seed), note] for note in found]
    if body:
        yield Table(["arm", context.sweep.parameter, "seed", "note"], body)
    else:
        yield Paragraph("Nothing to report.")


@section("Provenance", place=170)
def provenance_section(context: ReportContext) -> Iterator[Block]:
    records, test = context.records, context.test_set
    notes = [r.provenance for r in records]
    shared = {k: v for k, v in records[0].config.as_dict().items() if k not in ("variant", "value", "seed", "source")}
    versions = sorted({f"{k} {v}" for n in notes for k, v in n.versions.items()})
    dates = sorted({n.date for n in notes})
    lines = {
        "data": f"SHA-256 {records[0].provenance.data}",
        "notes on the data": " ".join(test.notes) or "none",
        "test set": f"{count(len(test.targets), 'image')} of {count(len(set(test.groups)), 'source')}; "
        + ", ".join(context.problem.names or (f"{name} {n}" for name, n in counts_of(context))),
        "arms": "; ".join(f"{v.name} ({v.label})" for v in context.variants),
        f"values ({context.sweep.axis})": ", ".join(map(value_name, context.values)) or "none",
        "seeds": ", ".join(str(s) for s in sorted({r.seed for r in records})),
        "runs": f"{len(records)}, {sum(n.seconds for n in notes):.0f} s of training in all",
        "commit": ", ".join(sorted({n.commit for n in notes})),
        "versions": ", ".join(versions),
        "devices": ", ".join(sorted({n.device for n in notes})),
        "dates": dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        "configuration": json.dumps(shared, sort_keys=True),
    }
    yield Facts(lines)
    if len({n.data for n in notes}) > 1:
        yield Missing("The records come from more than one version of the data.")
    yield from map(Paragraph, context.sweep.notes)


def counts_of(context: ReportContext) -> list[tuple[str, int]]:
    """Test images of each class; nothing for masks."""
    if context.problem.kind != "classification":
        return []
    return [(name, int((context.targets == k).sum())) for k, name in enumerate(context.class_names)]
