"""The physical parameters that were learned: maps, numbers, and how the score depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from physlayer.experiment.camera_maps import flat_map, is_map, learned_quantities
from physlayer.experiment.plot_style import bare, panels
from physlayer.experiment.report.blocks import Block, Heading, Missing, Paragraph, Picture, Table
from physlayer.experiment.report.comparisons import map_agreement
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.explanations import parameter_sensitivity
from physlayer.experiment.report.formats import listed, reason, value_name
from physlayer.experiment.report.rebuild import NOT_REBUILT
from physlayer.experiment.report.registry import section
from physlayer.experiment.spec import Variant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["learned_section"]

Sensitivity: TypeAlias = dict[float | None, dict[str, np.ndarray]]  # by value, then by quantity
MOST_SEEDS = 6  # maps beside each other; the mean is over all seeds


@section("Learned parameters", place=140)
def learned_section(context: ReportContext) -> Iterator[Block]:
    arms = [v for v in context.variants if v.learned and context.ends([v])]
    if not arms:
        yield Paragraph("No arm of this sweep learns a physical parameter.")
    for variant in arms:
        yield Heading(variant.label)
        yield from learned_arm(context, variant)


def learned_arm(context: ReportContext, variant: Variant) -> Iterator[Block]:
    sensitivity: Sensitivity = {}
    body: list[list[str]] = []
    maps: dict[str, list[list[str]]] = {}
    for _, value in context.ends([variant]):
        try:
            sensitivity[value] = parameter_sensitivity(context, variant, value)
        except NOT_REBUILT as error:  # the maps come from the records alone and can do without
            yield Missing(f"Sensitivity at {value_name(value)} is missing: {reason(error)}")
    for _, value in context.points([variant]):
        members = [(r.seed, learned_quantities(r.camera)) for r in context.members(variant, value)]
        for name in dict.fromkeys(name for _, found in members for name in found):
            if is_map(members[0][1][name][0]):
                maps.setdefault(name, []).append([value_name(value), *map_agreement(context, variant, value, name)])
                continue
            for seed, found in members:
                gradient = sensitivity.get(value, {}).get(name) if seed == members[0][0] else None
                body.append([name, value_name(value), str(seed), listed(found[name][0]), found[name][1],
                             "" if gradient is None else listed(gradient)])  # fmt: skip
    for name, lines in maps.items():
        yield Picture(
            map_figure(context, variant, name, sensitivity),
            f"{name} of each seed and the mean over seeds (mean over channels); sensitivity: mean size of the "
            "gradient of the true class's score, lowest seed.",
        )
        yield Table([context.sweep.parameter, "seeds", f"correlation of {name} between seeds", "of its change"], lines)
    if body:
        head = ["quantity", context.sweep.parameter, "seed", "per channel", "unit", "mean |∂score/∂value|"]
        yield Table(head, body)


def map_figure(context: ReportContext, variant: Variant, name: str, sensitivity: Sensitivity) -> Figure:
    """Learned map of each seed, their mean, and the sensitivity of the score to it, at the first and last value.

    Args:
        context: the records. variant: a learned arm. name: a quantity, such as ``"0.bits"``.
        sensitivity: for each value the result of :func:`parameter_sensitivity`, or nothing.
    """
    rows = []
    for _, value in context.points([variant]):
        found = {r.seed: learned_quantities(r.camera).get(name) for r in context.members(variant, value)}
        stack = [(seed, flat_map(entry[0])) for seed, entry in found.items() if entry is not None]
        units = [entry[1] for entry in found.values() if entry is not None]
        if not stack:  # as at the end of an axis, where nothing may be left to learn
            continue
        pictures = [(f"seed {seed}", image) for seed, image in stack[:MOST_SEEDS]]
        pictures.append((f"mean of {len(stack)}", np.mean([image for _, image in stack], 0)))
        rows.append((value, units[0], pictures, sensitivity.get(value, {}).get(name)))
    rows = rows[:1] + rows[1:][-1:]
    columns = max(len(pictures) for _, _, pictures, _ in rows) + 1
    height, width = rows[0][2][0][1].shape
    figure, grid = panels(len(rows) * columns, columns, 1.15, 1.15 * height / width + 0.15)
    for row, (value, unit, pictures, gradient) in enumerate(rows):
        line = grid[row * columns : (row + 1) * columns]
        low, high = (float(edge([image for _, image in pictures])) for edge in (np.min, np.max))
        if low == high:  # a constant map: a scale of one unit, or its bar would show rounding
            low, high = low - 0.5, high + 0.5
        for axes in line:
            bare(axes)
        for axes, (title, image) in zip(line, pictures, strict=False):
            drawn = axes.imshow(image, vmin=low, vmax=high, interpolation="nearest")
            axes.set_title(title, fontsize=6.5)
        line[0].set_ylabel(f"{context.sweep.parameter} {value_name(value)}", fontsize=6.5)
        bar = figure.colorbar(drawn, ax=line[:-1], aspect=12, pad=0.01)
        bar.set_label("ratio" if unit == "1" else unit, fontsize=6)
        bar.ax.tick_params(labelsize=6)
        if gradient is not None and is_map(gradient):
            drawn = line[-1].imshow(flat_map(gradient), cmap="magma", interpolation="nearest")
            line[-1].set_title("sensitivity", fontsize=6.5)
            bar = figure.colorbar(drawn, ax=line[-1], aspect=12, pad=0.01)
            bar.set_label("logit" if unit == "1" else f"logit / {unit}", fontsize=6)
            bar.ax.tick_params(labelsize=6)
    return figure
