"""Make the figures and the tables of docs/robustness.md; the arguments are those of sweeps/robustness.py.

    python docs/build/make_robustness.py --noise gaussian --data DIR --width 40 --out runs/robustness_gaussian

Trainings whose record is in the folder are not repeated. Nothing in the page between ``<!-- begin: NAME -->`` and
``<!-- end: NAME -->`` is written by hand.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from pages import fill
from physlayer.sweeps.robustness import build_parser, folder_of, grid_of, write_outputs
from tables import DOCS, interval, table, verdict

from physlayer.experiment.robustness.result import RobustnessGrid


def main() -> None:
    args = build_parser().parse_args()
    grid, out, name = grid_of(args), folder_of(args), f"robustness_{args.noise}"
    write_outputs(grid, out)
    for file, place in (
        ("figure.png", f"figures/{name}.png"),
        ("curves.png", f"figures/{name}_curves.png"),
        ("robustness.csv", f"results/{name}.csv"),
    ):
        (DOCS / place).parent.mkdir(exist_ok=True)
        shutil.copy(out / file, DOCS / place)
    parts = {"accuracy": accuracy_table(grid), "differences": difference_table(grid)}
    fill(DOCS / "robustness.md", parts | {"provenance": provenance_lines(grid, args, out)})


def accuracy_table(grid: RobustnessGrid) -> str:
    """Mean and interval, trained at (rows), tested at (columns)."""
    mean, ends = grid.mean(), grid.interval()
    body = [
        [f"**{train.label}**", *(interval(mean[i, j], *ends[i, j]) for j in range(len(grid.test_levels)))]
        for i, train in enumerate(grid.train_levels)
    ]
    return table(["trained at ↓, tested at →", *(level.label for level in grid.test_levels)], body)


def difference_table(grid: RobustnessGrid) -> str:
    """The network trained at a level minus the one trained on clean images: at that level, and on clean images."""
    clean, body = grid.train_levels[0].label, []
    for level in grid.train_levels[1:]:
        for tested in (level.label, clean):
            d = grid.difference(level.label, clean, tested)
            body.append([level.label, tested, interval(d.estimate, d.low, d.high, True), verdict(d.low, d.high)])
    return table(["trained at", "tested at", "minus trained on clean images / points", "interval"], body)


def provenance_lines(grid: RobustnessGrid, args: argparse.Namespace, out: Path) -> str:
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "records").glob("*.json"))]
    made = [record["provenance"] for record in records]
    commits, dates = (sorted({entry[key] for entry in made}) for key in ("commit", "date"))
    seeds = ", ".join(map(str, grid.seeds))
    lines = [
        f"- {len(records)} trainings, seeds {seeds}, {dates[0]} to {dates[-1]}, commits {', '.join(commits)}, "
        f"torch {made[0]['versions']['torch']}",
        f"- data {made[0]['data'][:16]}, {len(grid.targets)} test images of {len(set(grid.groups))} sources",
        f"- {args.epochs or 'as many as the recipe says'} epochs, {args.width or 'the usual'} pixels along a row",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
