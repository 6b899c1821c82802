"""What the camera reads, and what it was exported as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from physlayer.experiment.camera_maps import brief
from physlayer.experiment.plot_style import bare, panels, short
from physlayer.experiment.report.blocks import Block, Listing, Note, Picture
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.explanations import readings
from physlayer.experiment.report.formats import on_screen
from physlayer.experiment.report.registry import section
from physlayer.experiment.spec import Variant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["exported_section", "sensor_section"]


@section("What the sensor sees", place=110)
def sensor_section(context: ReportContext) -> Iterator[Block]:
    for variant in context.variants:
        # A retrained copy has the camera of its source: its pictures would be the same.
        if (
            variant.swept
            and not (variant.camera_from and variant.change is None)
            and any(context.members(variant, x) for x in context.values)
        ):
            light = "linear light, shown sRGB-encoded" if context.linear else "sRGB-encoded values"
            caption = f"{variant.label}: first test image of each class and its reading ({light})."
            yield Picture(sensor_figure(context, variant), caption)


def sensor_figure(context: ReportContext, variant: Variant) -> Figure:
    """One test image per class as the scene, and as the arm's sensor reads it at each value (lowest seed)."""
    scenes, targets = context.examples()
    names = context.example_names(targets)
    columns = [("scene", scenes)]
    for value, images in readings(context, variant, scenes).items():
        columns.append((f"{context.sweep.parameter} {value:g}", images))
    height = 1.05 * scenes.shape[2] / scenes.shape[3]
    figure, grid = panels(len(scenes) * len(columns), len(columns), 1.05, height)
    for place, axes in enumerate(grid):
        row, column = divmod(place, len(columns))
        title, images = columns[column]
        axes.imshow(on_screen(images[row], context.linear), interpolation="nearest")
        bare(axes)
        if row == 0:
            axes.set_title(title, fontsize=6.5)
        if column == 0:
            axes.set_ylabel(short(names[row]), fontsize=6, rotation=0, ha="right", va="center")
    return figure


@section("Exported parameters", place=150)
def exported_section(context: ReportContext) -> Iterator[Block]:
    yield Note("Maps are cut to shape and range here; records/ holds them in full.")
    for variant, value in context.points():
        for record in context.members(variant, value):
            text = json.dumps(brief(record.camera), indent=1, ensure_ascii=False)
            yield Listing(f"{context.title(variant, value)}, seed {record.seed}", text)
