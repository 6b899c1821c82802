"""Make the figure and the table of docs/diameters.md: where a network looks when it measures a head.

    python sweeps/bit_depth.py --task ultrasound --data DIR --bits 1,2,4 --variants fixed,learned --seeds 3 --out RUNS
    python docs/build/make_diameters.py --runs RUNS --data DIR

Takes the networks without a layer. Nothing in the page between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is
written by hand.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from pages import fill
from tables import DOCS, load, provenance_lines, table

from physlayer.experiment.plot_style import bare, image_bytes, panels
from physlayer.experiment.report.explanations import scale_of
from physlayer.experiment.report.rebuild import data_of, rebuild_model
from physlayer.saliency import randomisation_check, rank_correlation, saliency
from physlayer.sweeps.bit_depth import SWEEP
from physlayer.tasks.base import Options

METHODS = {"guided_backpropagation": "guided backpropagation", "grad_cam": "Grad-CAM", "gradient": "gradient"}
DRAWN = ("guided_backpropagation", "grad_cam")
SHOWN, CHECKED = 4, 40  # heads of the test set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", required=True)
    args = parser.parse_args()
    records, test_set = load(args.runs)
    records = [record for record in records if record.variant == "none"]
    settings = {"options": Options(data=args.data)}
    models = [rebuild_model(SWEEP, SWEEP.variant("none"), record, args.runs, settings) for record in records]
    data = data_of(records[0], settings)
    firsts = np.unique(data.test.groups, return_index=True)[1]  # one head of a patient
    chosen = firsts[np.linspace(0, len(firsts) - 1, CHECKED).astype(int)]
    scenes = data.test.batch(torch.from_numpy(np.sort(chosen)))
    draw(models[0], scenes[:: CHECKED // SHOWN][:SHOWN], data.problem.names)
    fill(
        DOCS / "diameters.md",
        {"check": check(models, scenes, data.problem.names), "provenance": provenance_lines(records, test_set)},
    )


def draw(model: torch.nn.Module, scenes: torch.Tensor, names: tuple[str, ...]) -> None:
    """A row per head: the image, dark where it echoes, and over it each method's map for each diameter."""
    columns = 1 + len(DRAWN) * len(names)
    figure, grid = panels(len(scenes) * columns, columns, 1.4, 1.4 * scenes.shape[2] / scenes.shape[3] + 0.12)
    maps = {(method, k): saliency(model, scenes, k, method=method, relu=False).sum(1).detach().numpy()
            for method in DRAWN for k in range(len(names))}  # fmt: skip
    for (method, _), found in maps.items():
        if method == "grad_cam":  # its mean is the answer itself; what differs over the image says where it comes from
            found -= found.mean((1, 2), keepdims=True)
    for row, scene in enumerate(scenes[:, 0]):
        cells = [("head", None, 0.0)]
        for (method, k), found in maps.items():
            cells.append((f"{METHODS[method]},\n{names[k]}", found[row], scale_of(found)))
        for place, (title, found, scale) in enumerate(cells):
            axes = grid[row * columns + place]
            bare(axes)
            axes.imshow(scene, cmap="gray_r", vmin=0, vmax=1.0 if found is None else 1.6)
            if found is not None:  # where the map says nothing, the head shows through
                strength = np.clip(np.abs(found) / scale, 0, 1)
                axes.imshow(found, cmap="PuOr", vmin=-scale, vmax=scale, alpha=strength)
            if row == 0:
                axes.set_title(title, fontsize=6.5)
    (DOCS / "figures").mkdir(exist_ok=True)
    (DOCS / "figures" / "diameters.png").write_bytes(image_bytes(figure, "png", dpi=200))
    print("wrote figures/diameters.png")


def check(models: list[torch.nn.Module], scenes: torch.Tensor, names: tuple[str, ...]) -> str:
    """Rank correlation of a map with those of random weights, of the other diameter, and of another training."""
    body = []
    for method, words in METHODS.items():
        maps = [[saliency(model, scenes, k, method=method, relu=False).detach() for k in range(len(names))]
                for model in models]  # fmt: skip
        other = np.mean([rank_correlation(*both) for both in maps])
        for k, name in enumerate(names):
            forgotten = [
                randomisation_check(model, scenes, k, method, generator=torch.Generator().manual_seed(seed))
                for seed, model in enumerate(models)
            ]
            again = np.mean([rank_correlation(one[k], two[k]) for one, two in combinations(maps, 2)])
            each = ", ".join(f"{rho:+.2f}" for rho in forgotten)
            body.append([words, name, f"{np.mean(forgotten):+.2f} ({each})", f"{again:+.2f}", f"{other:+.2f}"])
    head = ["method", "diameter", "with random weights (each seed)", "with another seed", "with the other diameter"]
    return table(head, body)


if __name__ == "__main__":
    main()
