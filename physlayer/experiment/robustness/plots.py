"""Figures of robustness: train level × test level as a matrix, and accuracy against test level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from physlayer.core.files import atomic_write
from physlayer.experiment.axis import shown_value
from physlayer.experiment.plot_style import COLOURS, COLUMN_WIDTH, FONT, MARKERS, heading, image_bytes
from physlayer.experiment.record import TestSet
from physlayer.experiment.robustness.levels import Level
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import SummaryRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy_curves", "accuracy_matrix", "draw_matrix", "sweep_matrix"]

SLANTED: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}  # labels with units are long
DARK = 0.5  # of the colour scale: below, white figures can be read


def accuracy_matrix(
    mean: np.ndarray, interval: np.ndarray, trained: Sequence[Level], tested: Sequence[Level], title: str
) -> Figure:
    """Heat map, train level × test level: accuracy ± half the width of its interval.

    Args:
        mean: ``(train, test)``. interval: low and high end, ``(train, test, 2)``.
    """
    columns, lines = ([level.label for level in levels] for levels in (tested, trained))
    figure = _matrix(mean, interval, columns, lines, "test accuracy", title)
    figure.axes[0].set_xlabel(_condition("tested at", tested))
    figure.axes[0].set_ylabel(_condition("trained at", trained))
    return figure


def sweep_matrix(sweep: Sweep, variants: Sequence[Variant], rows: Sequence[SummaryRow], test_set: TestSet) -> Figure:
    """The same of a sweep whose arms are trained at one value and judged at all.

    Args:
        variants: those that were run; the ones without ``model_from`` are left out.
        rows: as :func:`.summary_rows`. test_set: says what the score is.
    """
    problem = test_set.problem
    chosen = [row for row in rows if row.split == "test" and row.metric == problem.score]
    pooled = {row.point: row for row in chosen if row.pooled}
    trained = [variant for variant in variants if variant.model_from is not None]
    values = sorted({value for name, value in pooled if value is not None})
    cells = [[pooled.get((variant.name, value)) for value in values] for variant in trained]
    missing = math.nan, math.nan, math.nan
    found = np.array([[(c.score, c.low, c.high) if c else missing for c in line] for line in cells], dtype=float)
    names = [shown_value(value, sweep.scale) for value in values], [variant.label for variant in trained]
    title = f"{heading(chosen, test_set)}\n± half the 95 % interval"
    figure = _matrix(found[..., 0], found[..., 1:], *names, problem.label, title, share=not problem.unit)
    figure.axes[0].set_xlabel(sweep.axis)
    return figure


def draw_matrix(
    sweep: Sweep, variants: Sequence[Variant], rows: Sequence[SummaryRow], test_set: TestSet, out: Path
) -> list[str]:
    """Write :func:`sweep_matrix` as ``matrix.png`` (200 dpi) to ``out``; returns its name."""
    atomic_write(out / "matrix.png", image_bytes(sweep_matrix(sweep, variants, rows, test_set), "png", dpi=200))
    return ["matrix.png"]


def accuracy_curves(
    per_seed: np.ndarray, trained: Sequence[Level], tested: Sequence[Level], chance: float, title: str
) -> Figure:
    """Accuracy against test level, a line per train level, with the standard deviation over seeds.

    Args:
        per_seed: ``(train, test, seed)``.
    """
    import matplotlib
    from matplotlib.figure import Figure

    spread = per_seed.std(2, ddof=1) if per_seed.shape[2] > 1 else np.zeros(per_seed.shape[:2])
    place = np.arange(len(tested))
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(COLUMN_WIDTH, 2.5 + 0.15 * len(trained)), layout="constrained")
        axes = figure.add_subplot()
        for i, level in enumerate(trained):
            aside = 0.06 * (i - (len(trained) - 1) / 2)  # so that error bars can be told apart
            axes.errorbar(
                place + aside, per_seed[i].mean(1), yerr=spread[i], label=f"trained: {level.label}",
                color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], markersize=3.6, linewidth=1.1,
            )  # fmt: skip
        axes.set_xticks(place, [level.label for level in tested], **SLANTED)
        axes.set_xlabel(_condition("tested at", tested))
        axes.axhline(chance, color="black", linewidth=0.9, linestyle=":", zorder=1)
        axes.annotate(f"chance {chance:.2g}", (0.01, chance), (0, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", fontsize=7)  # fmt: skip
        axes.set_ylabel("test accuracy")
        axes.set_title(title)
        axes.grid(axis="y", color="#dddddd", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower left", fontsize=7, frameon=False)
    return figure


def _matrix(
    mean: np.ndarray,
    interval: np.ndarray,
    tested: Sequence[str],
    trained: Sequence[str],
    label: str,
    title: str,
    *,
    share: bool = True,
) -> Figure:
    """Colours and figures of ``mean``, ``(train, test)``; shares on a scale of whole tenths."""
    import matplotlib
    from matplotlib.figure import Figure

    half = (interval[..., 1] - interval[..., 0]) / 2
    rows, columns = mean.shape
    low, high = float(np.nanmin(mean)), float(np.nanmax(mean))
    if share:
        low, high = math.floor(10 * low) / 10, math.ceil(10 * high) / 10
    high = max(high, low + 0.1)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(1.9 + 0.72 * columns, 1.2 + 0.5 * rows), layout="constrained")
        axes = figure.add_subplot()
        # cividis is the same to all eyes, and its lightness rises with the value
        shown = axes.imshow(mean, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for (i, j), value in np.ndenumerate(mean):
            colour = "black" if (value - low) / (high - low) > DARK else "white"
            axes.text(j, i, f"{value:.2f}\n±{half[i, j]:.2f}", ha="center", va="center", color=colour, fontsize=7)
        axes.set_xticks(range(columns), tested, **SLANTED)
        axes.set_yticks(range(rows), trained)
        axes.set_title(title)
        figure.colorbar(shown, ax=axes, label=label)
    return figure


def _condition(verb: str, levels: Sequence[Level]) -> str:
    quantities = dict.fromkeys(", ".join(name for name, _, _ in level.settings) for level in levels if level.settings)
    return f"{verb}: {' or '.join(quantities)}" if quantities else verb
