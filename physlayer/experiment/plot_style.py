"""How figures look: colours and markers of the arms, fonts, headings, bare panels, files in memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from physlayer.experiment.record import TestSet
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import SummaryRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Style", "bare", "bars", "count", "heading", "image_bytes", "panels", "short", "styles", "values_of"]

# Okabe & Ito 2008, without yellow (too pale for a line). One marker more than colours, so that none repeats soon.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
CONTROL_MARKERS = ("o", "v", "s", "^", "D")
CONTROL_LINES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, (4, 1.5)),
    (0, (4, 1.5, 1, 1.5)),
    (0, (2, 1)),
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
    (0, (1.5, 2)),
)
BOUND_COLOUR = "#666666"
PANEL_FONT: dict[Any, Any] = {"font.size": 7, "axes.titlesize": 7, "xtick.labelsize": 6, "ytick.labelsize": 6}
COLUMN_WIDTH = 3.4  # inches, one column of a two-column page
FONT: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.titlesize": 8,
}


@dataclass(frozen=True)
class Style:
    """How an arm looks in every plot: colour of its family, hollow and dashed if it is a control."""

    colour: str
    marker: str
    line: str | tuple[float, tuple[float, ...]]
    hollow: bool


def styles(sweep: Sweep, variants: Sequence[Variant]) -> dict[str, Style]:
    """Style of each arm, the same whichever arms were chosen.

    Args:
        sweep: gives the order of the colours. variants: the arms to draw, retrained copies included.

    Example:
        >>> arms = (Variant("a", "a", list), Variant("shuffled", "b", list, camera_from="a"), Variant("c", "c", list))
        >>> looks = styles(Sweep("s", "bits", "bits", 1, 8, "1", arms, ("a",), bound="c", baseline="a"), arms)
        >>> looks["a"].colour == looks["shuffled"].colour, looks["shuffled"].hollow
        (True, True)
    """
    known = list({v.name: v for v in (*sweep.variants, *variants)}.values())
    plain = [v.name for v in known if not is_control(v) and v.name != sweep.bound]
    found: dict[str, Style] = {}
    controls: dict[str, int] = {}
    for variant in known:
        if variant.name == sweep.bound:
            found[variant.name] = Style(BOUND_COLOUR, "", "-", False)
            continue
        family = family_of(variant, known)
        index = plain.index(family) if family in plain else len(plain)
        colour = COLOURS[index % len(COLOURS)]
        if not is_control(variant):
            found[variant.name] = Style(colour, MARKERS[index % len(MARKERS)], "-", False)
            continue
        order = controls[family] = controls.get(family, -1) + 1
        line = CONTROL_LINES[order % len(CONTROL_LINES)]
        found[variant.name] = Style(colour, CONTROL_MARKERS[order % len(CONTROL_MARKERS)], line, True)
    return {variant.name: found[variant.name] for variant in variants}


def is_control(variant: Variant) -> bool:
    """Whether the arm reuses the camera of another, or differs from it only in how it was trained."""
    return variant.camera_from is not None or variant.translate


def family_of(variant: Variant, known: list[Variant]) -> str:
    """Name of the arm whose colour this one shares."""
    if variant.camera_from is not None or not is_control(variant):
        return variant.camera_from or variant.name
    # A control that is trained from scratch names no source, but it has the camera of its arm.
    arms = [v.name for v in known if v.camera is variant.camera and not is_control(v)]
    return arms[0] if arms else variant.name


def values_of(rows: Sequence[SummaryRow]) -> list[float]:
    return sorted({r.value for r in rows if r.value is not None})


def bars(rows: Sequence[SummaryRow]) -> list[list[float]]:
    """Lengths of the error bars below and above; an interval of few seeds may miss its estimate by a rounding error."""
    ends = [row.ends() for row in rows]
    below = [max(0.0, row.score - low) for row, (low, _) in zip(rows, ends, strict=True)]
    return [below, [max(0.0, high - row.score) for row, (_, high) in zip(rows, ends, strict=True)]]


def heading(rows: Sequence[SummaryRow], test_set: TestSet, value: str = "") -> str:
    """What was judged, at which value, over how many seeds and test sources."""
    pooled = next(r for r in rows if r.pooled)
    runs = Counter((r.variant, r.value) for r in rows if not r.pooled).values()
    least, most = min(runs), max(runs)
    seeds = count(most, "seed") if least == most else f"{least} to {count(most, 'seed')}"
    parts = [value, seeds, count(pooled.n_groups or 0, "test source")]
    return f"{test_set.title}: {', '.join(part for part in parts if part)}"


def count(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def panels(number: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``number`` axes of ``width × height`` inches, row by row."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = math.ceil(number / columns)
    with matplotlib.rc_context(PANEL_FONT):
        figure = Figure(figsize=(width * min(columns, number), height * rows), layout="constrained")
        grid = figure.subplots(rows, min(columns, number), squeeze=False).ravel()
        for axes in grid[number:]:
            axes.set_axis_off()
        # Labels and titles take their size when they are made, ticks when they are drawn.
        for axes in grid[:number]:
            axes.tick_params(labelsize=6)
    return figure, list(grid[:number])


def bare(axes: Axes) -> None:
    """No ticks and no frame: the axes show an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def short(name: str) -> str:
    """Class name at a length that fits beside a small panel."""
    return name if len(name) <= 9 else f"{name[:8]}…"


def image_bytes(figure: Figure, kind: str, *, dpi: int = 110) -> bytes:
    """The figure as a PNG or SVG file in memory, without date."""
    import io

    import matplotlib

    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "physlayer"}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata, facecolor="white")
    return buffer.getvalue()
