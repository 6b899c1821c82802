"""The figure of a sweep: test accuracy against the swept value, one line per arm, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from physlayer.core.files import atomic_write
from physlayer.experiment.axis import shown_value
from physlayer.experiment.plot_rows import row_figure
from physlayer.experiment.plot_style import COLUMN_WIDTH, FONT, Style, bars, heading, image_bytes, styles, values_of
from physlayer.experiment.problem_info import ProblemInfo
from physlayer.experiment.record import TestSet
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import SummaryRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "draw_figure", "make_figure"]

AXES_WIDTH = 2.7  # inches of it that the axes get, or a little more
DODGE = 2.4  # points between the error bars of two arms, so that intervals can be told apart
LONG_SCORE = 24  # characters of a score's name that leave room for more beside the axis
LONG_LABEL = 22  # characters; longer ones leave no room for a second column of the legend
MANY_TICKS = 12


def make_figure(sweep: Sweep, variants: Sequence[Variant], rows: Sequence[SummaryRow], test_set: TestSet) -> Figure:
    """Draw the scores of ``rows`` in a figure of one column's width.

    Args:
        sweep: axis and bound. variants: the arms, in the order of the legend.
        rows: as :func:`physlayer.experiment.summary.summary_rows`. test_set: says what the score is.

    Raises:
        ValueError: if no row holds a test score with its interval.
    """
    import matplotlib
    from matplotlib.figure import Figure

    problem = test_set.problem
    chosen = [r for r in rows if r.split == "test" and r.metric == problem.score]
    pooled = [r for r in chosen if r.pooled]
    if not pooled:
        raise ValueError(f"Expected rows to hold a test {problem.score_name} over all seeds, but got none.")
    if len(values_of(pooled)) <= 1:
        return row_figure(sweep, variants, chosen, test_set)
    columns = 2 if max((len(v.label) for v in variants), default=0) <= LONG_LABEL else 1
    entries = math.ceil((len(swept_arms(variants, pooled)) + 1) / columns)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(COLUMN_WIDTH, 2.55 + 0.14 * entries), layout="constrained")
        axes = figure.add_subplot()
        draw_curves(axes, sweep, variants, pooled, problem)
        chance = problem.baseline_score
        low, high = axes.get_ylim()
        place = ((0, -3), "top") if chance - low > 0.1 * (high - low) else ((0, 2), "bottom")  # where no line is
        axes.annotate(
            f"{problem.baseline_name} {chance:.2g}", (0.99, chance), place[0], xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va=place[1], fontsize=7,
        )  # fmt: skip
        axes.set_title(heading(chosen, test_set))
        figure.legend(loc="outside lower left", ncols=columns, fontsize=7, frameon=False, handlelength=3,
                      labelspacing=0.25, borderpad=0.1)  # fmt: skip
    return figure


def swept_arms(variants: Sequence[Variant], rows: Sequence[SummaryRow]) -> list[Variant]:
    return [v for v in variants if v.swept and any(r.variant == v.name for r in rows)]


def draw_curves(
    axes: Axes, sweep: Sweep, variants: Sequence[Variant], pooled: Sequence[SummaryRow], problem: ProblemInfo
) -> None:
    """Axes with the scores ``pooled`` over the seeds of all arms, the bound grey and the blind answer dotted."""
    looks, swept, values = styles(sweep, variants), swept_arms(variants, pooled), values_of(pooled)
    chance = problem.baseline_score
    for variant in [v for v in variants if not v.swept]:
        colour = looks[variant.name].colour
        for row in [r for r in pooled if r.variant == variant.name]:
            axes.axhspan(*row.ends(), color=colour, alpha=0.18, linewidth=0, zorder=0)
            axes.axhline(row.score, color=colour, linewidth=1, label=variant.label, zorder=1)
    set_axes(axes, sweep, values, len(swept))
    set_score(axes, problem, [chance, *(end for r in pooled for end in r.ends())])
    for place, variant in enumerate(swept):
        own = sorted((r for r in pooled if r.variant == variant.name), key=lambda r: r.value or 0)
        draw_arm(axes, variant, own, looks[variant.name], shift_of(place, len(swept), len(values)))
    axes.axhline(chance, color="black", linewidth=0.9, linestyle=":", zorder=1)


def draw_arm(axes: Axes, variant: Variant, rows: Sequence[SummaryRow], style: Style, shift: float) -> None:
    """Line, markers and error bars of one arm, moved sideways by ``shift`` points and not in its data."""
    from matplotlib.transforms import ScaledTranslation

    moved = axes.transData + ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)
    axes.errorbar(
        [r.value or 0 for r in rows], [r.score for r in rows], yerr=bars(rows), color=style.colour,
        marker=style.marker, linestyle=style.line, markersize=3.6, linewidth=1.1, elinewidth=0.8, capsize=0,
        markeredgewidth=0.9, markerfacecolor="white" if style.hollow else style.colour, label=variant.label,
        transform=moved, zorder=3,
    )  # fmt: skip


def set_score(axes: Axes, problem: ProblemInfo, drawn: list[float]) -> None:
    """Shares from a round number below everything drawn up to 1; errors from 0."""
    if problem.unit:
        axes.set_ylim(0.0, 1.08 * max(drawn))
    else:
        axes.set_ylim(max(0.0, math.floor((min(drawn) - 0.02) * 10) / 10), 1.01)
    between = ", " if len(problem.label) <= LONG_SCORE else ",\n"
    axes.set_ylabel(f"{problem.label}{between}95 % interval")


def set_axes(axes: Axes, sweep: Sweep, values: list[float], arms: int) -> None:
    """Ticks at the swept values."""
    from matplotlib.ticker import NullLocator

    axes.set_xlabel(sweep.axis)
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if not values:
        axes.set_xticks([])
        return
    # Room at either end for the arms that are moved sideways, as a share of the span of the values.
    edge = (abs(shift_of(0, arms, len(values))) + 6) / (72 * AXES_WIDTH)
    room = edge / (1 - 2 * edge)
    if sweep.scale != "linear":
        axes.set_xscale("log")
        margin = (values[-1] / values[0]) ** room if len(values) > 1 else 2.0
        axes.set_xlim(values[0] / margin, values[-1] * margin)
    else:
        margin = room * (values[-1] - values[0]) or 0.5
        axes.set_xlim(values[0] - margin, values[-1] + margin)
    shown = values[:: math.ceil(len(values) / MANY_TICKS)]
    axes.set_xticks(shown, [shown_value(value, sweep.scale) for value in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def shift_of(place: int, arms: int, values: int) -> float:
    """Sideways move of an arm in points: all arms of a value stay nearer to it than to the next."""
    room = 0.6 * 72 * AXES_WIDTH / max(values, 2)
    step = min(DODGE, room / max(arms - 1, 1))
    return (place - (arms - 1) / 2) * step


def draw_figure(
    sweep: Sweep, variants: Sequence[Variant], rows: Sequence[SummaryRow], test_set: TestSet, out: Path
) -> list[str]:
    """Write ``figure.png`` (200 dpi) and ``figure.svg`` to ``out``; returns their names.

    The SVG is the same to the byte for the same rows: it holds no date and no random identifiers.

    Raises:
        ValueError: as :func:`make_figure`.
    """
    figure = make_figure(sweep, variants, rows, test_set)
    names = ["figure.png", "figure.svg"]
    for name in names:
        atomic_write(out / name, image_bytes(figure, name.rsplit(".", 1)[1], dpi=200))
    return names
