"""What may be said of arms and seeds side by side: paired differences, controls and their source, learned maps."""

from __future__ import annotations

import numpy as np
from torch import nn

from physlayer.core.camera import export_camera
from physlayer.experiment.camera_maps import is_map, learned_quantities
from physlayer.experiment.record import Record
from physlayer.experiment.records import camera_export
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.rebuild import NOT_REBUILT, camera_at_start, data_of
from physlayer.experiment.spec import Variant
from physlayer.experiment.summary import PairedRow, paired_rows
from physlayer.metrics.significance import seed_correlation

__all__ = ["compared", "control_notes", "map_agreement"]

ROUNDING = 1e-5  # records keep seven digits: a smaller spread is no pattern


def compared(context: ReportContext) -> list[PairedRow]:
    """Paired differences: all arms from the fixed one, learned from tuned ones, controls from their source."""
    names = [v.name for v in context.variants]
    swept = [v.name for v in context.variants if v.swept]
    baseline = context.sweep.baseline if context.sweep.baseline in names else swept[0]
    rows = paired_rows(context.records, context.test_set, baseline)
    pairs = [(v.name, "tuned") for v in context.variants if (v.learned or v.camera_from) and "tuned" in names]
    for variant in context.variants:
        if variant.camera_from is None:
            continue
        # A changed camera was followed by a fresh network; its fair partner is the unchanged one that was, too.
        partner = f"{variant.camera_from}_retrained"
        pairs.append((variant.name, partner if variant.change and partner in names else variant.camera_from))
    for name, other in pairs:
        if baseline not in (name, other):
            both = [r for r in context.records if r.variant in (name, other)]
            rows += paired_rows(both, context.test_set, other)
    return rows


def control_notes(context: ReportContext, record: Record) -> list[str]:
    """What the changed camera of a control shares with its source, where that limits what the control can show."""
    variant = next(v for v in context.variants if v.name == record.variant)
    source = next((r for r in context.records if r.key == record.config.source), None)
    if variant.change is None or source is None:
        return []
    before, after = learned_quantities(source.camera), learned_quantities(record.camera, fixed_too=True)
    pairs = {name: (before[name][0], after[name][0]) for name in before if name in after and is_map(after[name][0])}
    pairs = {name: pair for name, pair in pairs.items() if pair[0].size == pair[1].size}
    if pairs and all(np.array_equal(*pair) for pair in pairs.values()):
        return [f"the control changes nothing: {', '.join(pairs)} as in {source.variant}"]
    notes = []
    for name, (old, new) in pairs.items():
        if not np.array_equal(np.sort(old.ravel()), np.sort(new.ravel())):
            notes.append(f"{name} differs from {source.variant} in its values, not only in their places")
    return notes


def map_agreement(context: ReportContext, variant: Variant, value: float | None, name: str) -> list[str]:
    """Number of seeds, and how the learned map and its change since the start correlate between them.

    Two maps that began alike agree even if nothing was learned, hence the change.
    """
    records = [r for r in context.members(variant, value) if name in learned_quantities(r.camera)]
    ends = [learned_quantities(r.camera)[name][0] for r in records]
    try:
        starts = []
        for record in records:
            data = data_of(record, context.settings)
            camera = nn.Sequential(*camera_at_start(variant, record, data))
            channels, height, width = data.pool.images.shape[1:]
            exported = export_camera(camera, (channels, height, width), full=True)
            starts.append(learned_quantities(camera_export(exported))[name][0])
    except NOT_REBUILT:  # without the data there is no start; the maps themselves are in the records
        return [str(len(ends)), correlation(ends), "–"]
    return [str(len(ends)), correlation(ends), correlation([e - s for e, s in zip(ends, starts, strict=True)])]


def correlation(maps: list[np.ndarray]) -> str:
    """Mean correlation of maps between seeds, or why there is none."""
    if len(maps) < 2:
        return "needs two seeds"
    if any(np.ptp(values) <= ROUNDING * max(1.0, float(np.abs(values).max())) for values in maps):
        return "none: constant in a seed"
    return f"{seed_correlation(np.stack(maps)):.2f}"
