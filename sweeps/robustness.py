"""Train at every level of a noise, a blur or a pixel size, test at every other: a matrix of accuracies.

    python sweeps/robustness.py
    python sweeps/robustness.py --noise photon --levels 1,10,100 --seeds 3
    python sweeps/robustness.py --noise speckle --data DIR --seeds 6 --out runs/speckle
    python sweeps/robustness.py --noise pixel_size --fast

Levels: clean, and those of --levels in the unit of the kind: gaussian (standard deviation in full scales), photon
(photons on a white pixel), speckle (contrast), salt_pepper (probability), blur (standard deviation in scene pixels),
pixel_size (scene pixels per sensor pixel). Nothing is learned in front of the network. Noise is fresh per image and
pass in training; every test score is the mean over five exposures of each image.

Writes robustness.csv, figure.png (train level × test level, accuracy ± half the 95 % interval) and curves.png
(± standard deviation over seeds) to --out. One record per train level and seed: a rerun skips what is done.
"""

from __future__ import annotations

import argparse
import csv
import functools
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from physlayer.tasks.base import Options, Task, get_task, require_pictures, sendable_task
from torch import Tensor, nn

from physlayer import Blur, GaussianNoise, PhotonNoise, PixelBinning, SaltPepper, SpeckleNoise
from physlayer.core.files import atomic_write
from physlayer.experiment.arguments import check_counts, parse_seeds
from physlayer.experiment.axis import parse_values
from physlayer.experiment.cli import program_name
from physlayer.experiment.plot_style import image_bytes
from physlayer.experiment.records import writable_folder
from physlayer.experiment.robustness.grid import robustness_grid
from physlayer.experiment.robustness.levels import Level, make_levels
from physlayer.experiment.robustness.result import RobustnessGrid
from physlayer.experiment.runner import task_data
from physlayer.training.loop import TrainingError


@dataclass(frozen=True)
class Kind:
    """One way to make images worse: its quantity, unit, layer, admissible range and default levels."""

    quantity: str
    unit: str
    layer: Callable[[float], nn.Module]
    minimum: float
    maximum: float
    default: str
    more_is_better: bool = False


KINDS = {
    "gaussian": Kind("noise", "full scale", GaussianNoise, 0, 1, "0.03,0.1,0.3"),
    "photon": Kind("exposure", "photons", PhotonNoise, 0.25, 1e6, "3,30,300", more_is_better=True),
    "speckle": Kind("contrast", "1", SpeckleNoise, 0, 1, "0.1,0.3,1"),
    "salt_pepper": Kind("probability", "1", SaltPepper, 0, 1, "0.01,0.05,0.2"),
    "blur": Kind("blur", "pixels", Blur, 0, 100, "0.5,1,2"),
    "pixel_size": Kind("pixel size", "scene pixels", PixelBinning, 1, 100, "2,4,8"),
}


def build_parser() -> argparse.ArgumentParser:
    """Options, named as those of the other sweeps."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog=program_name(),
        description=__doc__.replace("python sweeps/robustness.py", program_name()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--noise", choices=KINDS, default="gaussian", help="what makes the images worse (default gaussian)")
    defaults = "; ".join(f"{name} {kind.default}" for name, kind in KINDS.items())
    add("--levels", metavar="LIST", help=f"levels beside clean, in the unit of the kind (default {defaults})")
    add("--task", default="blood_cells", help="name of a task, or path/to/file.py:NAME (default blood_cells)")
    add("--data", help="folder of the real data (default: the task's embedded data)")
    add("--width", type=int, help="width of the images in pixels (default: the task's own)")
    add("--seeds", default="3", help="number of paired seeds, or a list (default 3)")
    add("--epochs", type=int, help="passes over the training set (default: the task's recipe)")
    add("--network", help="network of the task (default: the task's choice)")
    add("--fast", action="store_true", help="smoke size: the numbers mean little")
    add("--jobs", type=int, default=2, help="trainings at a time (default 2)")
    add("--device", default="cpu", help="cpu, cuda, … (default cpu)")
    add("--out", help="output folder (default runs/robustness_NOISE)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    args = build_parser().parse_args(arguments)
    try:
        return _run(args)
    except KeyboardInterrupt:
        print("\nstopped; finished trainings are kept and the same command continues from them", file=sys.stderr)
        return 130
    except (ValueError, OSError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    grid, out = grid_of(args), folder_of(args)
    write_outputs(grid, out)
    for line in table_lines(grid):
        print(line)
    for note in grid.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(f"wrote robustness.csv, figure.png, curves.png in {out}")
    return 0


def folder_of(args: argparse.Namespace) -> Path:
    return writable_folder(args.out or Path("runs") / f"robustness_{args.noise}")


def grid_of(args: argparse.Namespace) -> RobustnessGrid:
    """The grid of the command line; trainings whose record is there are not repeated."""
    levels, seeds = levels_of(args.noise, args.levels), parse_seeds(args.seeds)
    check_counts(args)
    out = folder_of(args)
    task, options = get_task(args.task), Options(args.data, args.fast, width=args.width)
    require_pictures(task, "robustness")
    data, recipe = task_data(task.name, options), task.recipe(options)
    recipe = recipe if args.epochs is None else replace(recipe, epochs=args.epochs)
    name = args.network or task.default_network(options)
    for note in (*(["SMOKE RUN (--fast): the numbers mean little."] if args.fast else []), *data.notes):
        print(note)
    print(f"{len(levels)} levels × {len(seeds)} seeds, {recipe.epochs} epochs, records in {out}/records")
    sent = sendable_task(task.name)
    return robustness_grid(
        data, functools.partial(network_of, sent, name), levels, recipe,
        seeds=seeds, augment=augmentation_of(sent), jobs=args.jobs, device=args.device, folder=out, progress=True,
    )  # fmt: skip


def network_of(sent: str | Task, name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of a task, in whichever process."""
    return get_task(sent).network(name, shape, classes)


def augmentation_of(sent: str | Task) -> Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]:
    """The augmentation of a task, in whichever process; records are keyed by its name."""

    def augment(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return get_task(sent).augment(images, targets, generator)

    own = get_task(sent).augment
    augment.__qualname__ = getattr(own, "__qualname__", type(own).__qualname__)
    return augment


def levels_of(noise: str, text: str | None) -> list[Level]:
    """Clean, then the levels of one kind from mild to severe."""
    kind = KINDS[noise]
    values = parse_values(text or kind.default, "levels", kind.minimum, kind.maximum, whole=False)
    return [Level(), *make_levels(kind.quantity, values[:: -1 if kind.more_is_better else 1], kind.unit, kind.layer)]


def write_outputs(grid: RobustnessGrid, out: Path) -> None:
    """Table and figures, each complete or absent."""
    rows, text = grid.rows(), io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    atomic_write(out / "robustness.csv", text.getvalue())
    for name, figure in (("figure.png", grid.plot()), ("curves.png", grid.plot_curves())):
        atomic_write(out / name, image_bytes(figure, "png", dpi=200))


def table_lines(grid: RobustnessGrid) -> list[str]:
    """The matrix as the terminal shows it."""
    width = 4 + max(len(level.label) for level in (*grid.train_levels, *grid.test_levels))
    lines = ["test accuracy, trained at (rows), tested at (columns)"]
    lines.append(" " * width + "".join(level.label.rjust(width) for level in grid.test_levels))
    for level, row in zip(grid.train_levels, grid.mean(), strict=True):
        lines.append(level.label.ljust(width) + "".join(f"{value:.3f}".rjust(width) for value in row))
    return lines


if __name__ == "__main__":
    sys.exit(main())
