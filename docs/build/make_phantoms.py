"""Make the figures and the table of docs/phantoms.md: embedded sets beside real ones, what each limit costs in them.

    for task in blood_cells digits digits_128 elevation histology lymph_nodes ultrasound; do
        python sweeps/overview.py --task $task --out runs/overview/$task
    done
    python docs/build/make_phantoms.py --runs runs/overview --data DIR

DIR holds the folders blood_cells, warwick, fetal_head and mnist; without ``--data`` the figure of images is left as it
is. Nothing in the page between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from pages import fill
from tables import DOCS, interval, load, provenance_lines, table

from physlayer.data.image_set import ImageSet
from physlayer.experiment import Sweep
from physlayer.experiment.plot_curves import draw_curves
from physlayer.experiment.plot_style import bare, image_bytes, panels
from physlayer.experiment.report.formats import on_screen
from physlayer.experiment.scores import ScoreTable, score_table
from physlayer.experiment.summary import summary_rows
from physlayer.sweeps.overview import SWEEP
from physlayer.tasks.base import Options, get_task

REAL = {"blood_cells": "blood_cells", "digits": "mnist", "histology": "warwick", "ultrasound": "fetal_head"}
SHOWN = 4  # images of each kind
PIXELS = 64  # of a thumbnail at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    found = {folder.name: load(folder) for folder in sorted(args.runs.iterdir()) if (folder / "test_set.json").exists()}
    if args.data:
        draw_images(args.data, [task for task in found if task != "digits_128"])
    draw_limits(SWEEP, found)
    parts = {"limits": limits_table(SWEEP, found)}
    for task, (records, test_set) in found.items():
        parts[f"provenance {task}"] = provenance_lines(records, test_set)
    fill(DOCS / "phantoms.md", parts)


def thumbnails(images: ImageSet) -> list[np.ndarray]:
    """Images of as many classes or sources as are shown, small; two channels as red and green, heights stretched."""
    classes = images.targets.dtype == torch.int64
    kinds = images.targets.numpy() if classes else np.unique(images.groups, return_inverse=True)[1]
    names = np.unique(kinds)
    wanted = names[np.linspace(0, len(names) - 1, SHOWN).round().astype(int)]
    chosen = [int(np.flatnonzero(kinds == kind)[sum(wanted[:place] == kind)]) for place, kind in enumerate(wanted)]
    scenes = images.batch(torch.tensor(chosen))
    light = scenes.shape[1] == 3  # the others are stains, echoes, ink or heights, shown as they are
    if scenes.shape[1] == 2:
        scenes = torch.cat([scenes, torch.zeros_like(scenes[:, :1])], 1)
    if scenes.amin() > 0.25 and scenes.amax() < 0.75:
        scenes = (scenes - scenes.amin()) / (scenes.amax() - scenes.amin())
    height, width = scenes.shape[2:]
    if width > PIXELS:
        scenes = torch.nn.functional.interpolate(scenes, (round(PIXELS * height / width), PIXELS), mode="area")
    return [on_screen(scene, light) for scene in scenes]


def draw_images(data: Path, tasks: list[str]) -> None:
    """A row per task: embedded images left, real ones right."""
    figure, grid = panels(len(tasks) * 2 * SHOWN, 2 * SHOWN, 0.8, 0.8)
    grid = np.array(grid).reshape(len(tasks), 2 * SHOWN)
    for line, task in zip(grid, tasks, strict=True):
        embedded = thumbnails(get_task(task).load(Options()).test)
        real = thumbnails(get_task(task).load(Options(data=str(data / REAL[task]))).test) if task in REAL else []
        for axes, image in zip(line, embedded + real + [None] * (SHOWN - len(real)), strict=True):
            bare(axes)
            axes.set_anchor("N")
            if image is not None:
                axes.imshow(image, interpolation="nearest")
        line[0].set_ylabel(task.replace("_", "\n"), fontsize=7, rotation=0, ha="right", va="center")
        if not real:
            text = line[SHOWN].text(0, 0.5, "none at hand", fontsize=6, va="center")
            text.set_in_layout(False)
    grid[0, 0].set_title("embedded", fontsize=8, loc="left")
    grid[0, SHOWN].set_title("real", fontsize=8, loc="left")
    (DOCS / "figures" / "phantoms.png").write_bytes(image_bytes(figure, "png", dpi=160))
    print("wrote figures/phantoms.png")


def draw_limits(sweep: Sweep, found: dict) -> None:
    """A panel per task: score against severity."""
    figure, grid = panels(len(found), 3, 2.3, 2.0)
    for axes, (task, (records, test_set)) in zip(grid, found.items(), strict=True):
        rows, problem = summary_rows(records, test_set), test_set.problem
        pooled = [r for r in rows if r.pooled and (r.split, r.metric) == ("test", problem.score)]
        draw_curves(axes, sweep, list(sweep.variants), pooled, problem)
        axes.set_xlabel("severity", fontsize=7)
        axes.set_ylabel(problem.label.replace("test ", ""), fontsize=7)
        axes.set_title(f"{task} (dotted: {problem.baseline_name})", fontsize=7)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    (DOCS / "figures" / "phantoms_limits.png").write_bytes(image_bytes(figure, "png", dpi=160))
    print("wrote figures/phantoms_limits.png")


def limits_table(sweep: Sweep, found: dict) -> str:
    """Score without a layer, and what the harshest severity of each arm changes, paired over seeds and sources."""
    names = [
        v.name for v in sweep.variants if any(r.variant == v.name for records, _ in found.values() for r in records)
    ]
    names.remove(sweep.baseline)
    body = []
    for task, (records, test_set) in found.items():
        scores, problem = score_table(records, test_set), test_set.problem
        whole = scores.score((sweep.baseline, None))
        cells = [f"{problem.score_name} / {problem.shown_unit}", f"{problem.scale * problem.baseline_score:.3g}",
                 interval(whole.estimate, whole.low, whole.high, problem=problem)]  # fmt: skip
        cells += [worst(scores, sweep, name, problem) for name in names]
        body.append([f"`{task}`", *cells])
    harshest = max(r.value for records, _ in found.values() for r in records if r.value is not None)
    labels = {v.name: f"`{v.name}`, severity {harshest:g}" if v.swept else f"`{v.name}`" for v in sweep.variants}
    return table(["task", "score", "blind answer", f"`{sweep.baseline}`", *(labels[name] for name in names)], body)


def worst(scores: ScoreTable, sweep: Sweep, name: str, problem) -> str:
    """Change of the score at the harshest severity that was run."""
    values = [value for arm, value in scores.points() if arm == name]
    if not values:
        return "–"
    point = (name, None if values[0] is None else max(values))
    change = scores.difference(point, (sweep.baseline, None))
    return interval(change.estimate, change.low, change.high, True, problem)


if __name__ == "__main__":
    main()
