"""Make the figure and the table of docs/phantom.md.

    python benchmarks/phantom_difficulty.py --size 32 --seeds 0 1 --out docs/results/phantom_difficulty.csv
    python docs/build/make_phantom.py

Nothing in the page between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch
from pages import fill

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks/ is not installed

from benchmarks.phantom_difficulty import CONDITIONS, TEST_SEED
from physlayer.color.srgb import linear_to_srgb
from physlayer.experiment.plot_style import BOUND_COLOUR, COLOURS, bare
from physlayer.tasks.blood_cells.phantom import CLASS_NAMES, make_phantom

DOCS = Path(__file__).resolve().parents[1]
SHOWN = ("full", "2-bit", "1-bit", "/4", "grey")
SIZE = 32
PLAIN = {"mean colour": "mean colour only", "nearest pixels": "nearest pixels", "oracle": "oracle: true shapes"}


def main() -> None:
    with open(DOCS / "results" / "phantom_difficulty.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    draw(rows)
    fill(DOCS / "phantom.md", {"difficulty": table(rows)})


def draw(rows: list[dict]) -> None:
    """Cells of the four classes under some conditions, and the accuracy under all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.0))
    phantom = make_phantom(4 * len(CLASS_NAMES), seed=TEST_SEED, size=SIZE)
    chosen = [int((phantom.targets == k).nonzero()[0][0]) for k in range(len(CLASS_NAMES))]
    scenes = torch.from_numpy(phantom.images[chosen])
    grid = left.subplots(len(SHOWN), len(chosen), squeeze=False)
    for line, name in zip(grid, SHOWN, strict=True):
        images = linear_to_srgb(CONDITIONS[name](scenes)).permute(0, 2, 3, 1).numpy()
        for axes, image, kind in zip(line, images, CLASS_NAMES, strict=True):
            axes.imshow(image, interpolation="nearest")
            bare(axes)
            if name == SHOWN[0]:
                axes.set_title(kind.capitalize(), fontsize=6)
        line[0].set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center")
    axes = right.subplots()
    for place, row in enumerate(rows):
        score, low, high = (float(row[name]) for name in ("accuracy", "low", "high"))
        cnn = row["condition"] not in PLAIN
        axes.errorbar(score, place, xerr=[[score - low], [high - score]], color=COLOURS[0] if cnn else BOUND_COLOUR,
                      marker="o" if cnn else "s", markersize=4, linewidth=1)  # fmt: skip
    chance = 1 / len(CLASS_NAMES)
    axes.axvline(chance, color=BOUND_COLOUR, linewidth=0.8, linestyle=":")
    axes.text(chance + 0.01, -0.6, "chance", fontsize=6, va="center")
    names = [PLAIN.get(row["condition"], row["condition"]) for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set(ylim=(len(rows) - 0.5, -1.0), xlim=(0.2, 1.02))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel("test accuracy, 95 % interval", fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "figures" / "phantom.png", dpi=160)


def table(rows: list[dict]) -> str:
    def interval(row: dict, name: str, low: str, high: str, mark: str = "") -> str:
        if not row[name]:
            return "–"
        score, low, high = (100 * float(row[key]) for key in (name, low, high))
        return f"{score:{mark}.1f} [{low:{mark}.1f}, {high:{mark}.1f}]"

    lines = ["| condition | accuracy / % | minus `full` / points |", "|---|---|---|"]
    for row in rows:
        score = interval(row, "accuracy", "low", "high")
        loss = interval(row, "minus_full", "minus_full_low", "minus_full_high", "+")
        lines.append(f"| {PLAIN.get(row['condition'], row['condition'])} | {score} | {loss} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
