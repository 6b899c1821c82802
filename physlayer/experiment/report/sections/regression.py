"""What only numbers have: agreement with the truth, after Bland and Altman."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from physlayer.experiment.plot_style import BOUND_COLOUR, COLOURS, panels
from physlayer.experiment.report.blocks import Block, Picture, Table
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.formats import number, value_name
from physlayer.experiment.report.registry import section
from physlayer.metrics.regression import bland_altman

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bland_altman_section"]

COLUMNS = 4  # panels beside each other


@section("Agreement with the truth", place=40, problems=("regression",))
def bland_altman_section(context: ReportContext) -> Iterator[Block]:
    """Errors of each number, predicted against true, Bland–Altman, and the distribution of the truth."""
    body = []
    for variant, value in context.points():
        tests = context.metrics(variant, value)
        for name in context.problem.names:
            entries = [t["numbers"][name] for t in tests]
            mean = {key: float(np.mean([e[key] for e in entries], 0)) for key in ("mean_absolute_error", "bias")}
            relative = 100 * np.mean([e["relative_error"] for e in entries])
            within = 100 * np.mean([e.get("within_tolerance", np.nan) for e in entries])  # older records have none
            low, high = np.mean([e["limits_of_agreement"] for e in entries], 0)
            body.append([variant.name, value_name(value), name, number(mean["mean_absolute_error"]),
                         f"{relative:.1f}", number(within, ".1f"),
                         number(mean["bias"], "+.3f"), f"{low:+.3f} to {high:+.3f}"])  # fmt: skip
    unit = context.problem.unit
    head = ["arm", context.sweep.parameter, "number", f"mean absolute error / {unit}", "in % of the truth",
            f"% within {context.problem.tolerance:g} {unit}"]  # fmt: skip
    yield Table([*head, f"bias / {unit}", f"limits of agreement / {unit}"], body)
    yield Picture(bland_altman_figure(context), "Left: predicted against true. Right: Bland–Altman, difference against "
                  "the mean, with the bias and the limits of 95 %. Lowest seed.")  # fmt: skip
    yield Picture(boxes_figure(context), "Left: the true numbers of the test images. Others: predicted − true, lowest "
                  "seed. Median, quartiles, range.")  # fmt: skip


def bland_altman_figure(context: ReportContext) -> Figure:
    """A row per arm at its lowest and highest value; two panels, a colour per number."""
    points = context.ends()
    figure, grid = panels(2 * len(points), 4 if len(points) > 1 else 2, 1.75, 1.6)
    for place, (variant, value) in enumerate(points):
        record = context.members(variant, value)[0]
        predicted, scatter, limits = context.predictions(record), grid[2 * place], grid[2 * place + 1]
        ends = [context.targets.min(), context.targets.max()]
        scatter.plot(ends, ends, color=BOUND_COLOUR, linewidth=0.6)
        for k, name in enumerate(context.problem.names):
            colour = COLOURS[k % len(COLOURS)]
            scatter.plot(context.targets[:, k], predicted[:, k], ".", markersize=1.5, color=colour, label=name)
            found = bland_altman(context.targets[:, k], predicted[:, k])
            limits.plot(found.middle, found.difference, ".", markersize=1.5, color=colour)
            for level, line in ((found.bias, "-"), (found.low, "--"), (found.high, "--")):
                limits.axhline(level, color=colour, linewidth=0.6, linestyle=line)
        scatter.set_title(context.name(variant, value), fontsize=7)
        scatter.set_ylabel("predicted", fontsize=6)
        limits.set_ylabel("predicted − true", fontsize=6)
    grid[0].legend(fontsize=5.5, frameon=False, loc="upper left", markerscale=3)
    figure.supxlabel(f"true, and mean of both / {context.problem.unit}", fontsize=7)
    return figure


def boxes_figure(context: ReportContext) -> Figure:
    """Boxes of the truth, and of the errors of each arm at its lowest and highest value."""
    points = context.ends()
    figure, grid = panels(1 + len(points), COLUMNS, 1.75, 1.7)
    drawn = [(context.targets, f"true / {context.problem.unit}", "truth")]
    for variant, value in points:
        predicted = context.predictions(context.members(variant, value)[0])
        drawn.append((predicted - context.targets, "predicted − true", context.name(variant, value)))
    for axes, (numbers, label, title) in zip(grid, drawn, strict=True):
        axes.boxplot(numbers, whis=(0, 100), widths=0.5, medianprops={"color": COLOURS[0]})
        axes.set_xticklabels(context.problem.names, fontsize=6)
        axes.set_ylabel(label, fontsize=6)
        axes.set_title(title, fontsize=7)
    return figure
