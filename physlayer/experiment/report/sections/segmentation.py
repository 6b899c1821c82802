"""What only masks have: overlaps, and the images with the worst."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from physlayer.experiment.plot_style import bare, panels
from physlayer.experiment.record import Record
from physlayer.experiment.report.blocks import Block, Heading, Note, Picture, Table
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.formats import number, on_screen, value_name
from physlayer.experiment.report.rebuild import data_of
from physlayer.experiment.report.registry import section
from physlayer.experiment.scores import scores_of
from physlayer.problems.segmentation import resized

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["overlap_section", "worst_section"]

WORST = 4  # images shown
OVERLAPS = ("smallest", "lower quartile", "median", "upper quartile", "largest")


@section("Overlap", place=40, problems=("segmentation",))
def overlap_section(context: ReportContext) -> Iterator[Block]:
    """Overlaps, and how Dice is distributed over the images."""
    body = []
    for variant, value in context.points():
        tests = context.metrics(variant, value)
        means = [np.mean([t[key] for t in tests]) for key in ("dice", "jaccard", "pixel_accuracy", "pooled_dice")]
        quantiles = np.mean([t["dice_quantiles"] for t in tests], 0)
        body.append([variant.name, value_name(value), *map(number, means), *map(number, quantiles)])
    head = ["arm", context.sweep.parameter, "Dice", "Jaccard", "pixel accuracy", "Dice of all pixels"]
    yield Table([*head, *(f"{name} image" for name in OVERLAPS)], body)
    yield Note("Means over seeds. An image without an object in which none is found counts as 1.")


@section("Worst images", place=50, problems=("segmentation",))
def worst_section(context: ReportContext) -> Iterator[Block]:
    """Input, truth and prediction of the images that an arm does worst, lowest seed."""
    for variant, value in context.ends():
        record = context.members(variant, value)[0]
        yield Heading(context.title(variant, value))
        yield Picture(worst_figure(context, record), "Smallest Dice first: scene, truth, prediction.")


def worst_figure(context: ReportContext, record: Record) -> Figure:
    test = data_of(record, context.settings).test
    scores = scores_of(record, context.targets)
    index = torch.from_numpy(np.argsort(scores, kind="stable")[:WORST].copy())
    outputs = context.outputs(record)[index]
    truth = test.targets[index]
    found = resized(outputs.float(), truth).argmax(1)
    scenes = test.batch(index, linear=context.linear)
    figure, grid = panels(3 * len(index), 3, 1.05, 1.05 * scenes.shape[2] / scenes.shape[3])
    for row, place in enumerate(index.tolist()):
        pictures = (on_screen(scenes[row], context.linear), truth[row].numpy(), found[row].numpy())
        for column, image in enumerate(pictures):
            axes = grid[3 * row + column]
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            bare(axes)
        grid[3 * row].set_ylabel(f"{scores[place]:.2f}", fontsize=6, rotation=0, ha="right", va="center")
    return figure
