"""Command line of every sweep: typed options, one-sentence errors with exit code 2, nothing lost on Ctrl-C."""

from __future__ import annotations

import argparse
import re
import sys
import warnings

from physlayer.experiment.axis import EXAMPLES
from physlayer.experiment.command import run_command
from physlayer.experiment.spec import Sweep

__all__ = ["build_parser", "main", "program_name"]


def build_parser(sweep: Sweep, manual: str, own: argparse.ArgumentParser | None = None) -> argparse.ArgumentParser:
    """Options shared by all sweeps, behind the ``own`` ones of a script (a parser with ``add_help=False``)."""
    parser = argparse.ArgumentParser(
        prog=program_name(),
        description=re.sub(r"python sweeps/\w+\.py", lambda _: program_name(), manual),
        parents=[] if own is None else [own],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --lr would be --lr-physics
    )
    add = parser.add_argument
    add(f"--{sweep.parameter}", dest="values", default=sweep.default, metavar="LIST",
        help=f"values to sweep, as {EXAMPLES[sweep.scale]} (default {sweep.default})")  # fmt: skip
    add("--task", default=sweep.task, help=f"name of a task, or path/to/file.py:NAME (default {sweep.task})")
    add("--data", help="folder of the real data (default: the task's embedded data)")
    add("--width", type=int, help="width of the images in pixels (default: the task's own)")
    add("--variants", default=",".join(sweep.chosen), metavar="LIST",
        help=f"arms to compare (default {','.join(sweep.chosen)}; {sweep.bound} is always run; "
             f"all: {','.join(v.name for v in sweep.variants)})")  # fmt: skip
    add(
        "--seeds",
        default="3",
        help="number of paired seeds, or a list: 3 is 0,1,2; 4,5 is 4 and 5 (default 3)",
    )
    add("--epochs", type=int, help="passes over the training set (default: the task's recipe)")
    add("--lr-physics", type=float, help="peak rate of the learned physical parameters (default: the task's recipe)")
    add("--network", help="network of the task (default: the task's choice)")
    add("--encoding", choices=("linear", "srgb"), default="linear",
        help="what the sensor sees: linear light (the physics) or the file's sRGB codes (default linear)")  # fmt: skip
    add(
        "--retrain",
        action="store_true",
        help="add, per learned arm, a fresh network behind the frozen learned layer",
    )
    add("--fast", action="store_true", help="smoke size: minutes become seconds, the numbers mean little")
    add("--jobs", type=int, default=2, help="runs at a time (default 2)")
    add("--device", default="cpu", help="cpu, cuda, … (default cpu)")
    add("--out", help=f"output folder (default runs/{sweep.name})")
    add("--log-dir", help="write TensorBoard logs here")
    add(
        "--groups",
        help="where the source of every image stands: a CSV file with the columns file,group; for --task folder also a "
        "column of its table or a pattern of file names; for blood cells also: content",
    )
    add("--skip-unreadable", action="store_true", help="leave out images that cannot be read, with a warning")
    add(
        "--drop-straddling",
        action="store_true",
        help="leave out test images whose source is also in the pool",
    )
    add(
        "--development",
        action="store_true",
        help="score on held-out training sources instead of the test set: for choosing settings",
    )
    add("--no-augment", action="store_true",
        help="train on the images as they are, without the task's mirrors, turns, lamps and noise")  # fmt: skip
    add("--no-report", action="store_true", help="write summary.csv only, no figure and no report")
    return parser


def program_name() -> str:
    """How the running script was started: by its file, or by ``-m`` and its module."""
    spec = sys.modules["__main__"].__spec__
    return f"python {sys.argv[0]}" if spec is None else f"python -m {spec.name}"


def main(
    sweep: Sweep, manual: str, arguments: list[str] | None = None, own: argparse.ArgumentParser | None = None
) -> int:
    """Run a sweep from the command line; returns the exit code.

    Args:
        manual: what ``--help`` begins with. arguments: of the command line, if not those of the process.
        own: options of the script itself, which has read them: ``sweep`` is what they mean.
    """
    args = build_parser(sweep, manual, own).parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            return run_command(sweep, args)
    except KeyboardInterrupt:
        print("\nstopped; finished runs are kept and the same command continues from them", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
