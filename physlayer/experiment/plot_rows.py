"""The figure of a sweep with a single value: a row per arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from physlayer.experiment.axis import shown_value
from physlayer.experiment.plot_style import BOUND_COLOUR, COLUMN_WIDTH, FONT, bars, heading, styles, values_of
from physlayer.experiment.record import TestSet
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import SummaryRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["row_figure"]


def row_figure(sweep: Sweep, variants: Sequence[Variant], rows: Sequence[SummaryRow], test_set: TestSet) -> Figure:
    """The figure of a single value: a row per arm, with every seed as a small dot."""
    import matplotlib
    from matplotlib.figure import Figure

    problem, looks = test_set.problem, styles(sweep, variants)
    pooled = {r.variant: r for r in rows if r.pooled}
    arms = [v for v in variants if v.name in pooled]
    chance = problem.baseline_score
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(COLUMN_WIDTH, 0.9 + 0.2 * (len(arms) + 1)), layout="constrained")
        axes = figure.add_subplot()
        for place, variant in enumerate(arms):
            row, style = pooled[variant.name], looks[variant.name]
            seeds = [r.score for r in rows if r.variant == variant.name and not r.pooled]
            axes.plot(seeds, [place] * len(seeds), ".", markersize=3, color=BOUND_COLOUR, alpha=0.6, zorder=2)
            axes.errorbar(
                row.score, place, xerr=bars([row]), color=style.colour, marker=style.marker or "o", markersize=4,
                markerfacecolor="white" if style.hollow else style.colour, elinewidth=1.1, capsize=0, zorder=3,
            )  # fmt: skip
        axes.axvline(chance, color="black", linewidth=0.9, linestyle=":", zorder=1)
        axes.annotate(
            f"{problem.baseline_name} {chance:.2g}", (chance, -0.75), (3, 0), textcoords="offset points", va="center",
            fontsize=7,
        )  # fmt: skip
        axes.set_yticks(range(len(arms)), [v.label for v in arms])
        axes.set_ylim(len(arms) - 0.5, -1.1)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#dddddd", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_xlabel(f"{problem.label}, 95 % interval")
        value = next((shown_value(value, sweep.scale) for value in values_of(rows)), "")
        figure.suptitle(heading(rows, test_set, f"{sweep.parameter} {value}".strip()), fontsize=8)
    return figure
