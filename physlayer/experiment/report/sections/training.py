"""How training went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from physlayer.experiment.plot_style import BOUND_COLOUR, panels
from physlayer.experiment.report.blocks import Block, Picture
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.registry import section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["history_section"]

HISTORY = (
    ("loss", "training loss"), ("validation_loss", "validation loss"),
    ("validation_hard", "validation score"), ("gap", "soft − hard score"),
)  # fmt: skip


@section("Training history", place=100)
def history_section(context: ReportContext) -> Iterator[Block]:
    caption = "Each line is a run, coloured by the swept value. The gap is soft minus hard validation accuracy."
    yield Picture(history_figure(context), caption)


def history_figure(context: ReportContext) -> Figure:
    """Losses, hard validation accuracy and soft–hard gap per epoch: a row per arm, a line per run that was trained."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    trained = [record for record in context.records if record.history]
    arms = [v for v in context.variants if any(r.variant == v.name for r in trained)]
    figure, grid = panels(len(HISTORY) * len(arms), len(HISTORY), 1.75, 1.05)
    steps = np.linspace(0, 0.9, len(context.values))
    colour = dict(zip(context.values, colormaps["viridis"](steps), strict=True))
    for place, axes in enumerate(grid):
        row, column = divmod(place, len(HISTORY))
        name, label = HISTORY[column]
        if row == 0:
            axes.set_title(label, fontsize=7)
        else:
            axes.sharey(grid[column])
        for record in (r for r in trained if r.variant == arms[row].name):
            drawn = BOUND_COLOUR if record.value is None else colour[record.value]
            epochs, numbers = zip(*((epoch.epoch, getattr(epoch, name)) for epoch in record.history), strict=True)
            axes.plot(epochs, numbers, linewidth=0.7, alpha=0.8, color=drawn)
        if column == 0:
            axes.set_ylabel(context.name(arms[row], None), fontsize=6)
    figure.supxlabel("epoch", fontsize=7)
    handles = [Line2D([], [], color=c, label=f"{x:g}") for x, c in colour.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=10, fontsize=6.5, frameon=False,
                  title=context.sweep.axis, title_fontsize=6.5)  # fmt: skip
    return figure
