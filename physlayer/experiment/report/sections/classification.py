"""What only classes have: confusions, ROC curves, calibration, mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from physlayer.experiment.plot_style import BOUND_COLOUR, COLOURS, bare, panels, short
from physlayer.experiment.report.blocks import Block, Heading, Paragraph, Picture, Table
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.formats import number, on_screen, value_name
from physlayer.experiment.report.registry import section
from physlayer.metrics import reliability_points, roc_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["calibration_section", "confusion_section", "mistakes_section", "roc_section"]

HALVES = (0, 0.5, 1)
LINES = ("-", "--", "-.", ":")
COLUMNS = 4  # panels beside each other
MISTAKES = 8  # images shown
MOST_CELLS = 12  # classes above which a confusion matrix shows no numbers


@section("Confusion matrices", place=40, problems=("classification",))
def confusion_section(context: ReportContext) -> Iterator[Block]:
    caption = "Row: true class, column: predicted class; percent of the true class, summed over seeds."
    yield Picture(confusion_figure(context), caption)


def confusion_figure(context: ReportContext) -> Figure:
    """Confusion matrices (row: true class) at the lowest and highest value, summed over seeds, in % of the row."""
    points, names = context.ends(), context.class_names
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.75)
    for place, (axes, (variant, value)) in enumerate(zip(grid, points, strict=True)):
        matrices = [np.array(metrics["confusion"]) for metrics in context.metrics(variant, value)]
        total = np.sum(matrices, axis=0)
        share = total / np.maximum(total.sum(1, keepdims=True), 1)
        drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_title(context.name(variant, value), fontsize=7)
        # The columns have the order of the rows, which have the longer names.
        axes.set_xticks(range(len(names)), [name[:3] for name in names], fontsize=6)
        axes.set_yticks(range(len(names)), ["" if place % COLUMNS else short(name) for name in names], fontsize=6)
        for (row, column), part in np.ndenumerate(share) if len(names) <= MOST_CELLS else ():
            colour = "white" if part > 0.55 else "black"
            axes.text(column, row, f"{100 * part:.0f}", ha="center", va="center", fontsize=6.5, color=colour)
    bar = figure.colorbar(drawn, ax=grid, location="top", shrink=0.4, aspect=30)
    bar.set_label("share of the true class", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    figure.supylabel("true class", fontsize=7)
    figure.supxlabel("predicted class", fontsize=7)
    return figure


@section("ROC curves", place=50, problems=("classification",))
def roc_section(context: ReportContext) -> Iterator[Block]:
    caption = "One class against the rest; mean curve over seeds, with the mean area under the curve (AUC)."
    yield Picture(roc_figure(context), caption)


def roc_figure(context: ReportContext) -> Figure:
    """One-vs-rest ROC curves at the lowest and highest value, true positive rate averaged over seeds."""
    points, rates = context.ends(), np.linspace(0, 1, 101)
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.8)
    for axes, (variant, value) in zip(grid, points, strict=True):
        members = context.members(variant, value)
        probabilities = [context.probabilities(r) for r in members]
        for k, name in enumerate(context.class_names):
            areas = [metrics["roc_auc"]["per_class"][name] for metrics in context.metrics(variant, value)]
            areas = [area for area in areas if area is not None]
            if not areas:
                continue
            curves = [roc_points(context.targets == k, p[:, k]) for p in probabilities]
            mean = np.mean([np.interp(rates, c.false_positive_rate, c.true_positive_rate) for c in curves], 0)
            axes.plot([0, *rates], [0, *mean], color=COLOURS[k % len(COLOURS)], linewidth=0.9,
                      linestyle=LINES[k % len(LINES)], label=f"{short(name)} {np.mean(areas):.2f}")  # fmt: skip
        axes.plot([0, 1], [0, 1], color=BOUND_COLOUR, linewidth=0.5)
        axes.set_title(context.name(variant, value), fontsize=7)
        axes.set(aspect="equal", xticks=HALVES, yticks=HALVES)
        axes.legend(fontsize=5.5, frameon=False, loc="lower right", title="AUC", title_fontsize=5.5,
                    labelspacing=0.2)  # fmt: skip
    figure.supxlabel("false positive rate", fontsize=7)
    figure.supylabel("true positive rate", fontsize=7)
    return figure


@section("Calibration", place=60, problems=("classification",))
def calibration_section(context: ReportContext) -> Iterator[Block]:
    body = []
    for variant, value in context.points():
        tests = context.metrics(variant, value)
        error = np.mean([t["expected_calibration_error"] for t in tests])
        null = np.mean([t["expected_calibration_error_null"]["percentile_95"] for t in tests])
        loss = np.mean([t["negative_log_likelihood"] for t in tests])
        areas = [t["roc_auc"]["macro"] for t in tests if t["roc_auc"]["macro"] is not None]
        area = np.mean(areas) if areas else None
        body.append([variant.name, value_name(value), number(error), number(null), number(loss), number(area)])
    yield Table(["arm", context.sweep.parameter, "calibration error (ECE)", "calibrated model stays below (95 %)",
                 "log loss / nat", "AUC, mean of classes"], body)  # fmt: skip
    yield Picture(reliability_figure(context), "Bins of equally many images; the diagonal is ideal.")


def reliability_figure(context: ReportContext) -> Figure:
    """Accuracy against confidence at the lowest and highest value, one line per seed."""
    points = context.ends()
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.8)
    for axes, (variant, value) in zip(grid, points, strict=True):
        for place, record in enumerate(context.members(variant, value)):
            curve = reliability_points(context.targets, context.probabilities(record))
            axes.plot(curve.confidence, curve.accuracy, color=COLOURS[place % len(COLOURS)], linewidth=0.8,
                      marker=".", markersize=3, label=f"seed {record.seed}")  # fmt: skip
        axes.plot([0, 1], [0, 1], color=BOUND_COLOUR, linewidth=0.5)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=HALVES, yticks=HALVES)
        axes.set_title(context.name(variant, value), fontsize=7)
    grid[0].legend(fontsize=5.5, frameon=False, loc="upper left", labelspacing=0.2)
    figure.supxlabel("confidence", fontsize=7)
    figure.supylabel("accuracy", fontsize=7)
    return figure


@section("Most confident mistakes", place=70, problems=("classification",))
def mistakes_section(context: ReportContext) -> Iterator[Block]:
    """Test images that the network got wrong and was most sure of, at most one of a group, lowest seed."""
    test = context.test_images
    for variant, value in context.ends():
        record = context.members(variant, value)[0]
        probabilities = context.probabilities(record)
        sure, found = probabilities.max(1), probabilities.argmax(1)
        wrong = [i for i in np.argsort(-sure, kind="stable") if found[i] != context.targets[i]]
        surest: dict[str, int] = {}
        for i in wrong:
            surest.setdefault(test.groups[i], i)
        wrong = list(surest.values())[:MISTAKES]
        yield Heading(context.title(variant, value))
        if not wrong:
            yield Paragraph("None: every test image was right.")
            continue
        scenes = test.batch(torch.tensor(wrong), linear=context.linear)
        figure, grid = panels(len(wrong), MISTAKES, 0.95, 0.45 + 0.95 * scenes.shape[2] / scenes.shape[3])
        for axes, scene, i in zip(grid, scenes, wrong, strict=True):
            axes.imshow(on_screen(scene, context.linear), interpolation="nearest")
            true, taken = (short(context.class_names[k]) for k in (context.targets[i], found[i]))
            axes.set_title(f"{true}\nas {taken} {sure[i]:.2f}", fontsize=6)
            bare(axes)
        yield Picture(figure, "True class, and what it was taken for with which probability; most confident first.")
