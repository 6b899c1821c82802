"""Sections of a report that only classes, only numbers or only masks have."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import torch

from physlayer.experiment.plot_style import BOUND_COLOUR, COLOURS, bare, panels, short
from physlayer.experiment.report import figures as report_parts
from physlayer.experiment.report.context import Material, data_of
from physlayer.experiment.report.figures import number, picture, shown, table, value_name
from physlayer.problems.segmentation import resized

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["agreement", "calibration", "confusion", "features", "mistakes", "overlap", "ranking", "worst"]

WORST = 4  # images shown
MISTAKES = 8  # images shown
MAPPED = 300  # test images in a map of features
COLUMNS = 4  # panels beside each other
OVERLAPS = ("smallest", "lower quartile", "median", "upper quartile", "largest")


def confusion(material: Material) -> Iterator[str]:
    caption = "Row: true class, column: predicted class; percent of the true class, summed over seeds."
    yield picture(report_parts.confusion_figure(material), caption)


def ranking(material: Material) -> Iterator[str]:
    caption = "One class against the rest; mean curve over seeds, with the mean area under the curve (AUC)."
    yield picture(report_parts.roc_figure(material), caption)


def calibration(material: Material) -> Iterator[str]:
    body = []
    for variant, value in material.points():
        tests = [r["metrics"]["test"] for r in material.members(variant, value)]
        error = np.mean([t["expected_calibration_error"] for t in tests])
        null = np.mean([t["expected_calibration_error_null"]["percentile_95"] for t in tests])
        loss = np.mean([t["negative_log_likelihood"] for t in tests])
        areas = [t["roc_auc"]["macro"] for t in tests if t["roc_auc"]["macro"] is not None]
        area = np.mean(areas) if areas else None
        body.append([variant.name, value_name(value), number(error), number(null), number(loss), number(area)])
    yield table(["arm", material.sweep.parameter, "calibration error (ECE)", "calibrated model stays below (95 %)",
                 "log loss / nat", "AUC, mean of classes"], body)  # fmt: skip
    yield picture(report_parts.reliability_figure(material), "Bins of equally many images; the diagonal is ideal.")


def mistakes(material: Material) -> Iterator[str]:
    """Test images that the network got wrong and was most sure of, at most one of a source, lowest seed."""
    test = data_of(material.records[0], material.settings).test
    for variant, value in material.ends():
        record = material.members(variant, value)[0]
        probabilities = material.probabilities(record)
        sure, found = probabilities.max(1), probabilities.argmax(1)
        wrong = [i for i in np.argsort(-sure, kind="stable") if found[i] != material.targets[i]]
        sources = dict.fromkeys(test.groups[wrong])
        wrong = [next(i for i in wrong if test.groups[i] == source) for source in list(sources)[:MISTAKES]]
        yield f"<h3>{escape(material.name(variant, value).replace(chr(10), ', '))}</h3>"
        if not wrong:
            yield "<p>None: every test image was right.</p>"
            continue
        scenes = test.batch(torch.tensor(wrong), linear=material.linear)
        figure, grid = panels(len(wrong), MISTAKES, 0.95, 0.45 + 0.95 * scenes.shape[2] / scenes.shape[3])
        for axes, scene, i in zip(grid, scenes, wrong, strict=True):
            axes.imshow(shown(scene, material.linear), cmap="gray", interpolation="nearest")
            true, taken = (short(material.class_names[k]) for k in (material.targets[i], found[i]))
            axes.set_title(f"{true}\nas {taken} {sure[i]:.2f}", fontsize=6)
            bare(axes)
        yield picture(figure, "True class, and what it was taken for with which probability; most confident first.")


def features(material: Material) -> Iterator[str]:
    """Maps of the test images as the network sees them: without a layer, and of the arms at their lowest value."""
    shown = "class" if material.problem.kind == "classification" else material.problem.words
    if material.problem.kind == "regression":
        shown = f"true {material.problem.names[0]} / {material.problem.unit}"
    caption = (
        f"t-SNE of what the last layer is given, up to {MAPPED} test images, lowest seed; colour: {shown}. Near ones "
        "are alike to the network, distances mean little."
    )
    yield picture(feature_figure(material), caption)


def feature_figure(material: Material) -> Figure:
    """One panel per arm, at its lowest value."""
    from physlayer.saliency.embedding import feature_map, features_of

    lowest = material.values[0] if material.values else None
    points = [(v, lowest if v.swept else None) for v in material.variants if v.source is None and not v.translate]
    points = [(v, x) for v, x in points if material.members(v, x)][:COLUMNS]
    test = data_of(material.records[0], material.settings).test
    index = torch.linspace(0, len(test) - 1, min(MAPPED, len(test))).long()
    scenes = test.batch(index, linear=material.linear)
    figure, grid = panels(len(points), COLUMNS, 1.75, 1.7)
    for axes, (variant, value) in zip(grid, points, strict=True):
        record = material.members(variant, value)[0]
        place = feature_map(features_of(material.model(variant, record), scenes))
        drawn = axes.scatter(place[:, 0], place[:, 1], s=5, linewidths=0, c=colours_of(material, record, index))
        bare(axes)
        axes.set_title(material.name(variant, value), fontsize=7)
    if material.problem.kind == "classification":
        for k, name in enumerate(material.class_names):
            grid[0].plot([], [], ".", markersize=4, color=COLOURS[k % len(COLOURS)], label=short(name))
        figure.legend(loc="outside lower center", ncols=5, fontsize=6, frameon=False)
    else:
        figure.colorbar(drawn, ax=grid, shrink=0.7, aspect=20).ax.tick_params(labelsize=6)
    return figure


def colours_of(material: Material, record: dict, index: torch.Tensor) -> np.ndarray | list[str]:
    """The colour of each image's class; or a number: the first true one, or how well its mask was found."""
    if material.problem.kind == "classification":
        return [COLOURS[k % len(COLOURS)] for k in material.targets[index]]
    if material.problem.kind == "regression":
        return material.targets[index, 0]
    return np.array(record["scores"]["test"])[index]


def agreement(material: Material) -> Iterator[str]:
    """Errors of each number, predicted against true, Bland–Altman, and the distribution of the truth."""
    body = []
    for variant, value in material.points():
        tests = [r["metrics"]["test"] for r in material.members(variant, value)]
        for name in material.problem.names:
            entries = [t["numbers"][name] for t in tests]
            mean = {key: float(np.mean([e[key] for e in entries], 0)) for key in ("mean_absolute_error", "bias")}
            relative = 100 * np.mean([e["relative_error"] for e in entries])
            within = 100 * np.mean([e.get("within_tolerance", np.nan) for e in entries])  # older records have none
            low, high = np.mean([e["limits_of_agreement"] for e in entries], 0)
            body.append([variant.name, value_name(value), name, number(mean["mean_absolute_error"]),
                         f"{relative:.1f}", number(within, ".1f"),
                         number(mean["bias"], "+.3f"), f"{low:+.3f} to {high:+.3f}"])  # fmt: skip
    unit = material.problem.unit
    head = ["arm", material.sweep.parameter, "number", f"mean absolute error / {unit}", "in % of the truth",
            f"% within {material.problem.tolerance:g} {unit}"]  # fmt: skip
    yield table([*head, f"bias / {unit}", f"limits of agreement / {unit}"], body)
    yield picture(agreement_figure(material), "Left: predicted against true. Right: Bland–Altman, difference against "
                  "the mean, with the bias and the limits of 95 %. Lowest seed.")  # fmt: skip
    yield picture(boxes_figure(material), "Left: the true numbers of the test images. Others: predicted − true, lowest "
                  "seed. Median, quartiles, range.")  # fmt: skip


def agreement_figure(material: Material) -> Figure:
    """A row per arm at its lowest and highest value; two panels, a colour per number."""
    from physlayer.metrics.regression import bland_altman

    points = material.ends()
    figure, grid = panels(2 * len(points), 4 if len(points) > 1 else 2, 1.75, 1.6)
    for place, (variant, value) in enumerate(points):
        record = material.members(variant, value)[0]
        predicted, scatter, limits = np.array(record["predictions"]["test"]), grid[2 * place], grid[2 * place + 1]
        ends = [material.targets.min(), material.targets.max()]
        scatter.plot(ends, ends, color=BOUND_COLOUR, linewidth=0.6)
        for k, name in enumerate(material.problem.names):
            colour = COLOURS[k % len(COLOURS)]
            scatter.plot(material.targets[:, k], predicted[:, k], ".", markersize=1.5, color=colour, label=name)
            found = bland_altman(material.targets[:, k], predicted[:, k])
            limits.plot(found.middle, found.difference, ".", markersize=1.5, color=colour)
            for level, line in ((found.bias, "-"), (found.low, "--"), (found.high, "--")):
                limits.axhline(level, color=colour, linewidth=0.6, linestyle=line)
        scatter.set_title(material.name(variant, value), fontsize=7)
        scatter.set_ylabel("predicted", fontsize=6)
        limits.set_ylabel("predicted − true", fontsize=6)
    grid[0].legend(fontsize=5.5, frameon=False, loc="upper left", markerscale=3)
    figure.supxlabel(f"true, and mean of both / {material.problem.unit}", fontsize=7)
    return figure


def boxes_figure(material: Material) -> Figure:
    """Boxes of the truth, and of the errors of each arm at its lowest and highest value."""
    points = material.ends()
    figure, grid = panels(1 + len(points), COLUMNS, 1.75, 1.7)
    shown = [(material.targets, f"true / {material.problem.unit}", "truth")]
    for variant, value in points:
        predicted = np.array(material.members(variant, value)[0]["predictions"]["test"])
        shown.append((predicted - material.targets, "predicted − true", material.name(variant, value)))
    for axes, (numbers, label, title) in zip(grid, shown, strict=True):
        axes.boxplot(numbers, whis=(0, 100), widths=0.5, medianprops={"color": COLOURS[0]})
        axes.set_xticklabels(material.problem.names, fontsize=6)
        axes.set_ylabel(label, fontsize=6)
        axes.set_title(title, fontsize=7)
    return figure


def overlap(material: Material) -> Iterator[str]:
    """Overlaps, and how Dice is distributed over the images."""
    body = []
    for variant, value in material.points():
        tests = [r["metrics"]["test"] for r in material.members(variant, value)]
        means = [np.mean([t[key] for t in tests]) for key in ("dice", "jaccard", "pixel_accuracy", "pooled_dice")]
        quantiles = np.mean([t["dice_quantiles"] for t in tests], 0)
        body.append([variant.name, value_name(value), *map(number, means), *map(number, quantiles)])
    head = ["arm", material.sweep.parameter, "Dice", "Jaccard", "pixel accuracy", "Dice of all pixels"]
    yield table([*head, *(f"{name} image" for name in OVERLAPS)], body)
    yield '<p class="note">Means over seeds. An image without an object in which none is found counts as 1.</p>'


def worst(material: Material) -> Iterator[str]:
    """Input, truth and prediction of the images that an arm does worst, lowest seed."""
    for variant, value in material.ends():
        record = material.members(variant, value)[0]
        yield f"<h3>{escape(material.name(variant, value).replace(chr(10), ', '))}</h3>"
        yield picture(worst_figure(material, record), "Smallest Dice first: scene, truth, prediction.")


def worst_figure(material: Material, record: dict) -> Figure:
    test = data_of(record, material.settings).test
    scores = np.array(record["scores"]["test"])
    index = torch.from_numpy(np.argsort(scores, kind="stable")[:WORST].copy())
    outputs = torch.load(material.out / "logits" / f"{record['key']}.pt", weights_only=True)[index]
    truth = test.targets[index]
    found = resized(outputs.float(), truth).argmax(1)
    scenes = test.batch(index, linear=material.linear)
    figure, grid = panels(3 * len(index), 3, 1.05, 1.05 * scenes.shape[2] / scenes.shape[3])
    for row, place in enumerate(index.tolist()):
        pictures = (shown(scenes[row], material.linear), truth[row].numpy(), found[row].numpy())
        for column, image in enumerate(pictures):
            axes = grid[3 * row + column]
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            bare(axes)
        grid[3 * row].set_ylabel(f"{scores[place]:.2f}", fontsize=6, rotation=0, ha="right", va="center")
    return figure
