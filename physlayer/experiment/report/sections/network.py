"""What the network looks at, and what it makes of the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from physlayer.experiment.plot_style import COLOURS, bare, panels, short
from physlayer.experiment.record import Record
from physlayer.experiment.report.blocks import Block, Picture
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.explanations import saliency_maps, scale_of
from physlayer.experiment.report.formats import on_screen
from physlayer.experiment.report.registry import section
from physlayer.experiment.scores import scores_of
from physlayer.saliency.embedding import feature_map, features_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["features_section", "saliency_section"]

MAPPED = 300  # test images in a map of features
COLUMNS = 4  # panels beside each other


@section("Saliency", place=120)
def saliency_section(context: ReportContext) -> Iterator[Block]:
    caption = (
        "Score of the true class, the first number or the object, lowest seed. One colour scale per method for all "
        "arms and values, cut at the 99th percentile. The gradient (summed over channels) passes the quantiser by its "
        "surrogate."
    )
    yield Picture(saliency_figure(context), caption)


def saliency_figure(context: ReportContext) -> Figure:
    """Gradient and Grad-CAM of the true class at the lowest and highest value, a colour scale per method."""
    scenes, targets = context.examples()
    points, maps, count = context.ends(), saliency_maps(context, scenes, targets), len(scenes)
    limits = {method: scale_of(found) for method, found in maps.items()}
    height = 0.78 * scenes.shape[2] / scenes.shape[3]
    methods, columns = list(maps), len(maps) * count
    figure, grid = panels((len(points) + 1) * columns, columns, 0.78, height)
    figure.set_size_inches(0.78 * columns + 1.1, figure.get_figheight() + 0.6)  # names at the left, bars on top
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    pictures = {}
    for place, axes in enumerate(grid):
        row, column = divmod(place, columns)
        method, image = methods[column // count], column % count
        bare(axes)
        if row == 0:
            axes.imshow(on_screen(scenes[image], context.linear), interpolation="nearest")
            axes.set_title(short(context.example_names(targets)[image]), fontsize=6)
        else:
            low = -limits[method] if method == "gradient" else 0.0
            pictures[method] = axes.imshow(
                maps[method][row - 1][image], cmap="RdBu_r" if low else "viridis", vmin=low,
                vmax=limits[method], interpolation="nearest",
            )  # fmt: skip
        if column == 0:
            text = "scene" if row == 0 else context.name(*points[row - 1])
            axes.set_ylabel(text, fontsize=6, rotation=0, ha="right", va="center")
    labels = {"gradient": "gradient / (logit per full scale)", "grad_cam": "Grad-CAM / logit"}
    for number, method in enumerate(methods):
        part = [a for i, a in enumerate(grid) if i % columns // count == number]
        bar = figure.colorbar(pictures[method], ax=part, location="top", aspect=30, shrink=0.8, pad=0.01,
                              extend="both" if method == "gradient" else "max")  # fmt: skip
        bar.set_label(labels[method], fontsize=7)
        bar.ax.tick_params(labelsize=6)
    return figure


@section("What the network makes of it", place=130)
def features_section(context: ReportContext) -> Iterator[Block]:
    """Maps of the test images as the network sees them: without a layer, and of the arms at their lowest value."""
    colour = "class" if context.problem.kind == "classification" else context.problem.score_name
    if context.problem.kind == "regression":
        colour = f"true {context.problem.names[0]} / {context.problem.unit}"
    caption = (
        f"t-SNE of what the last layer is given, up to {MAPPED} test images, lowest seed; colour: {colour}. Near ones "
        "are alike to the network, distances mean little."
    )
    yield Picture(feature_figure(context), caption)


def feature_figure(context: ReportContext) -> Figure:
    """One panel per arm, at its lowest value."""
    lowest = context.values[0] if context.values else None
    points = [(v, lowest if v.swept else None) for v in context.variants if v.camera_from is None and not v.translate]
    points = [(v, x) for v, x in points if context.members(v, x)][:COLUMNS]
    test = context.test_images
    index = torch.linspace(0, len(test) - 1, min(MAPPED, len(test))).long()
    scenes = test.batch(index, linear=context.linear)
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.7)
    for axes, (variant, value) in zip(grid, points, strict=True):
        record = context.members(variant, value)[0]
        place = feature_map(features_of(context.model(variant, record), scenes))
        drawn = axes.scatter(place[:, 0], place[:, 1], s=5, linewidths=0, c=colours_of(context, record, index))
        bare(axes)
        axes.set_title(context.name(variant, value), fontsize=7)
    if context.problem.kind == "classification":
        for k, name in enumerate(context.class_names):
            grid[0].plot([], [], ".", markersize=4, color=COLOURS[k % len(COLOURS)], label=short(name))
        figure.legend(loc="outside lower center", ncols=5, fontsize=6, frameon=False)
    else:
        figure.colorbar(drawn, ax=grid, shrink=0.7, aspect=20).ax.tick_params(labelsize=6)
    return figure


def colours_of(context: ReportContext, record: Record, index: torch.Tensor) -> np.ndarray | list[str]:
    """The colour of each image's class; or a number: the first true one, or how well its mask was found."""
    if context.problem.kind == "classification":
        return [COLOURS[k % len(COLOURS)] for k in context.targets[index]]
    if context.problem.kind == "regression":
        return np.asarray(context.targets[index, 0])
    return np.asarray(scores_of(record, context.targets)[index])
