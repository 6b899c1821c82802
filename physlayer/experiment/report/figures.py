"""The plots of a report beside the main figure, each from one `Material` to one matplotlib figure."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from physlayer.color.srgb import linear_to_srgb
from physlayer.experiment.camera_maps import flat_map, is_map, learned_quantities
from physlayer.experiment.plot_style import BOUND_COLOUR, COLOURS, bare, image_bytes, panels, short
from physlayer.experiment.report.context import Material, readings, saliency_maps, scale_of
from physlayer.experiment.spec import Variant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "confusion_figure",
    "history_figure",
    "map_figure",
    "reliability_figure",
    "roc_figure",
    "saliency_figure",
    "sensor_figure",
]

HISTORY = (
    ("loss", "training loss"), ("validation_loss", "validation loss"),
    ("validation_hard", "validation score"), ("gap", "soft − hard score"),
)  # fmt: skip
HALVES = (0, 0.5, 1)
LINES = ("-", "--", "-.", ":")
COLUMNS = 4  # panels beside each other
MOST_SEEDS = 6  # maps beside each other; the mean is over all seeds
MOST_CELLS = 12  # classes above which a confusion matrix shows no numbers


def confusion_figure(material: Material) -> Figure:
    """Confusion matrices (row: true class) at the lowest and highest value, summed over seeds, in % of the row."""
    points, names = material.ends(), material.class_names
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.75)
    for place, (axes, (variant, value)) in enumerate(zip(grid, points, strict=True)):
        matrices = [np.array(r["metrics"]["test"]["confusion"]) for r in material.members(variant, value)]
        total = np.sum(matrices, axis=0)
        share = total / np.maximum(total.sum(1, keepdims=True), 1)
        drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_title(material.name(variant, value), fontsize=7)
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


def roc_figure(material: Material) -> Figure:
    """One-vs-rest ROC curves at the lowest and highest value, true positive rate averaged over seeds."""
    from physlayer.metrics.classification import roc_points

    points, rates = material.ends(), np.linspace(0, 1, 101)
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.8)
    for axes, (variant, value) in zip(grid, points, strict=True):
        members = material.members(variant, value)
        probabilities = [material.probabilities(r) for r in members]
        for k, name in enumerate(material.class_names):
            areas = [r["metrics"]["test"]["roc_auc"]["per_class"][name] for r in members]
            areas = [area for area in areas if area is not None]
            if not areas:
                continue
            curves = [roc_points(material.targets == k, p[:, k]) for p in probabilities]
            mean = np.mean([np.interp(rates, c.false_positive_rate, c.true_positive_rate) for c in curves], 0)
            axes.plot([0, *rates], [0, *mean], color=COLOURS[k % len(COLOURS)], linewidth=0.9,
                      linestyle=LINES[k % len(LINES)], label=f"{short(name)} {np.mean(areas):.2f}")  # fmt: skip
        axes.plot([0, 1], [0, 1], color=BOUND_COLOUR, linewidth=0.5)
        axes.set_title(material.name(variant, value), fontsize=7)
        axes.set(aspect="equal", xticks=HALVES, yticks=HALVES)
        axes.legend(fontsize=5.5, frameon=False, loc="lower right", title="AUC", title_fontsize=5.5,
                    labelspacing=0.2)  # fmt: skip
    figure.supxlabel("false positive rate", fontsize=7)
    figure.supylabel("true positive rate", fontsize=7)
    return figure


def reliability_figure(material: Material) -> Figure:
    """Accuracy against confidence at the lowest and highest value, one line per seed."""
    from physlayer.metrics.classification import reliability_points

    points = material.ends()
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.8)
    for axes, (variant, value) in zip(grid, points, strict=True):
        for place, record in enumerate(material.members(variant, value)):
            curve = reliability_points(material.targets, material.probabilities(record))
            axes.plot(curve.confidence, curve.accuracy, color=COLOURS[place % len(COLOURS)], linewidth=0.8,
                      marker=".", markersize=3, label=f"seed {record['seed']}")  # fmt: skip
        axes.plot([0, 1], [0, 1], color=BOUND_COLOUR, linewidth=0.5)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=HALVES, yticks=HALVES)
        axes.set_title(material.name(variant, value), fontsize=7)
    grid[0].legend(fontsize=5.5, frameon=False, loc="upper left", labelspacing=0.2)
    figure.supxlabel("confidence", fontsize=7)
    figure.supylabel("accuracy", fontsize=7)
    return figure


def history_figure(material: Material) -> Figure:
    """Losses, hard validation accuracy and soft–hard gap per epoch: a row per arm, a line per run."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    arms = [v for v in material.variants if any(r["variant"] == v.name for r in material.records)]
    figure, grid = panels(len(HISTORY) * len(arms), len(HISTORY), 1.75, 1.05)
    steps = np.linspace(0, 0.9, len(material.values))
    colour = dict(zip(material.values, colormaps["viridis"](steps), strict=True))
    for place, axes in enumerate(grid):
        row, column = divmod(place, len(HISTORY))
        key, label = HISTORY[column]
        if row == 0:
            axes.set_title(label, fontsize=7)
        else:
            axes.sharey(grid[column])
        for record in (r for r in material.records if r["variant"] == arms[row].name):
            epochs = [e for e in record["history"] if e.get(key) is not None]
            axes.plot([e["epoch"] for e in epochs], [e[key] for e in epochs], linewidth=0.7, alpha=0.8,
                      color=colour.get(record["value"], BOUND_COLOUR))  # fmt: skip
        if column == 0:
            axes.set_ylabel(arms[row].name.replace("_retrained", "\nretrained"), fontsize=6)
    figure.supxlabel("epoch", fontsize=7)
    handles = [Line2D([], [], color=c, label=f"{x:g}") for x, c in colour.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=10, fontsize=6.5, frameon=False,
                  title=material.sweep.axis, title_fontsize=6.5)  # fmt: skip
    return figure


def shown(image: Tensor, linear: bool) -> np.ndarray:
    """Image ``(C, H, W)`` as ``(H, W, 3)`` for a screen: linear light gets sRGB-encoded, grey stays grey."""
    image = image.detach().float().clamp(0, 1)
    image = linear_to_srgb(image) if linear else image
    if image.shape[0] != 3:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    return image.permute(1, 2, 0).numpy()


def sensor_figure(material: Material, variant: Variant) -> Figure:
    """One test image per class as the scene, and as the arm's sensor reads it at each value (lowest seed)."""
    scenes, targets = material.examples()
    names = material.example_names(targets)
    columns = [("scene", scenes)]
    for value, images in readings(material, variant, scenes).items():
        columns.append((f"{material.sweep.parameter} {value:g}", images))
    height = 1.05 * scenes.shape[2] / scenes.shape[3]
    figure, grid = panels(len(scenes) * len(columns), len(columns), 1.05, height)
    for place, axes in enumerate(grid):
        row, column = divmod(place, len(columns))
        title, images = columns[column]
        axes.imshow(shown(images[row], material.linear), interpolation="nearest")
        bare(axes)
        if row == 0:
            axes.set_title(title, fontsize=6.5)
        if column == 0:
            axes.set_ylabel(short(names[row]), fontsize=6, rotation=0, ha="right", va="center")
    return figure


def saliency_figure(material: Material) -> Figure:
    """Gradient and Grad-CAM of the true class at the lowest and highest value, a colour scale per method."""
    scenes, targets = material.examples()
    points, maps, count = material.ends(), saliency_maps(material, scenes, targets), len(scenes)
    limits = {method: scale_of(found) for method, found in maps.items()}
    height = 0.78 * scenes.shape[2] / scenes.shape[3]
    methods, columns = list(maps), len(maps) * count
    figure, grid = panels((len(points) + 1) * columns, columns, 0.78, height)
    figure.set_size_inches(0.78 * columns + 1.1, figure.get_figheight() + 0.6)  # names at the left, bars on top
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    pictures = {}
    for place, axes in enumerate(grid):
        row, column = divmod(place, columns)
        method, image = methods[column // count], column % count
        bare(axes)
        if row == 0:
            axes.imshow(shown(scenes[image], material.linear), interpolation="nearest")
            axes.set_title(short(material.example_names(targets)[image]), fontsize=6)
        else:
            low = -limits[method] if method == "gradient" else 0.0
            pictures[method] = axes.imshow(
                maps[method][row - 1][image], cmap="RdBu_r" if low else "viridis", vmin=low,
                vmax=limits[method], interpolation="nearest",
            )  # fmt: skip
        if column == 0:
            text = "scene" if row == 0 else material.name(*points[row - 1])
            axes.set_ylabel(text, fontsize=6, rotation=0, ha="right", va="center")
    labels = {"gradient": "gradient / (logit per full scale)", "grad_cam": "Grad-CAM / logit"}
    for number, method in enumerate(methods):
        part = [a for i, a in enumerate(grid) if i % columns // count == number]
        bar = figure.colorbar(pictures[method], ax=part, location="top", aspect=30, shrink=0.8, pad=0.01,
                              extend="both" if method == "gradient" else "max")  # fmt: skip
        bar.set_label(labels[method], fontsize=7)
        bar.ax.tick_params(labelsize=6)
    return figure


def map_figure(material: Material, variant: Variant, name: str, sensitivity: dict) -> Figure:
    """Learned map of each seed, their mean, and the sensitivity of the score to it; a row per value.

    Args:
        material: the records. variant: a learned arm. name: a quantity, such as ``"0.bits"``.
        sensitivity: for each value the result of :func:`parameter_sensitivity`, or nothing.
    """
    rows = []
    for _, value in material.ends([variant]):
        found = [(r["seed"], learned_quantities(r).get(name)) for r in material.members(variant, value)]
        stack = [(seed, flat_map(entry[0])) for seed, entry in found if entry is not None]
        unit = next(entry[1] for _, entry in found if entry is not None)
        pictures = [(f"seed {seed}", image) for seed, image in stack[:MOST_SEEDS]]
        pictures.append((f"mean of {len(stack)}", np.mean([image for _, image in stack], 0)))
        rows.append((value, unit, pictures, sensitivity.get(value, {}).get(name)))
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
        line[0].set_ylabel(f"{material.sweep.parameter} {value:g}", fontsize=6.5)
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


def table(head: list[str], body: list[list[str]]) -> str:
    """An HTML table of escaped texts."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in body)
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(lines)}</table></div>'


def number(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else format(value, form)


def value_name(value: float | None) -> str:
    """The swept value as text; a bound has none."""
    return "any" if value in (None, "") else format(value, "g")


def listed(values: np.ndarray) -> str:
    """A few numbers in a cell."""
    return ", ".join(f"{x:.3g}" for x in np.ravel(values))


def reason(error: Exception) -> str:
    """The error in words; of a file only its name, since a report may be passed on."""
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}."
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def picture(figure, caption: str, kind: str = "png", dpi: int = 120) -> str:
    """A figure inside the page."""
    data = base64.b64encode(image_bytes(figure, kind, dpi=dpi)).decode()
    media = "svg+xml" if kind == "svg" else kind
    source = f"data:image/{media};base64,{data}"
    text = escape(caption)
    return f'<figure class="wide"><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'
