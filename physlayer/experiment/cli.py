"""Command line of every sweep: typed options, one-sentence errors with exit code 2, nothing lost on Ctrl-C."""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from pathlib import Path

from physlayer.data.image_set import TaskData
from physlayer.experiment.axis import EXAMPLES, parse_values
from physlayer.experiment.preflight import require_answers, require_cameras, require_judgement
from physlayer.experiment.records import read_record, read_records, record_path, writable_folder, write_json
from physlayer.experiment.spec import Run, Sweep, Variant, make_runs, retrained
from physlayer.training.recipe import Recipe

FEW_SOURCES = 10  # of the test set: below, a bootstrap over sources says little
LEAK_SHARE = 0.05  # of the test images with a source in the pool: above, the test says little

__all__ = ["build_parser", "main", "parse_values"]


def build_parser(sweep: Sweep, manual: str) -> argparse.ArgumentParser:
    """Options shared by all sweeps."""
    parser = argparse.ArgumentParser(
        prog=program_name(),
        description=manual.replace(f"python sweeps/{sweep.name}.py", program_name()),
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


def main(sweep: Sweep, manual: str, arguments: list[str] | None = None) -> int:
    """Run a sweep from the command line; returns the exit code."""
    args = build_parser(sweep, manual).parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            return _run(sweep, args)
    except KeyboardInterrupt:
        print("\nstopped; finished runs are kept and the same command continues from them", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _run(sweep: Sweep, args: argparse.Namespace) -> int:
    from physlayer.experiment.outputs import write_outputs
    from physlayer.experiment.runner import execute, task_data
    from physlayer.tasks.base import Options, get_task, require_pictures, sendable_task

    values = parse_values(
        args.values, sweep.parameter, sweep.minimum, sweep.maximum, whole=sweep.whole, scale=sweep.scale
    )
    seeds = parse_seeds(args.seeds)
    chosen = chosen_variants(sweep, args.variants, retrain=args.retrain)
    check_counts(args)
    out = writable_folder(args.out or Path("runs") / sweep.name)
    task = get_task(args.task)
    require_pictures(task, sweep.name)
    if sweep.tasks and task.name not in sweep.tasks:
        raise ValueError(
            f"Expected --task to be {' or '.join(sweep.tasks)}, whose scenes {sweep.name} understands, but got "
            f"{task.name}."
        )
    options = Options(
        data=args.data, fast=args.fast, groups=args.groups, skip_unreadable=args.skip_unreadable,
        drop_straddling=args.drop_straddling, width=args.width, development=args.development,
    )  # fmt: skip
    data = task_data(task.name, options)
    require_judgement(data)
    for seed in seeds:
        data.split(seed)  # every seed must give a valid split before hours are spent on the first
    recipe = task.recipe(options).as_dict() | {"linear": args.encoding == "linear"}
    recipe |= {} if args.epochs is None else {"epochs": args.epochs}
    recipe |= {} if args.lr_physics is None else {"lr_physics": args.lr_physics}
    recipe |= {"augment": False} if args.no_augment else {}
    Recipe(**recipe)  # a setting out of range is refused here
    network = args.network or task.default_network(options)
    require_answers(task, network, data, default=task.default_network(options))
    shared = {"task": task.name, "data": data.fingerprint, "network": network, "recipe": recipe}
    runs = make_runs(sweep, chosen, values, seeds, shared)
    require_cameras(chosen, [run for run in runs if not record_path(out, run.key).exists()], data)
    settings = {"task": sendable_task(task.name), "options": options}
    settings |= {"device": args.device, "log_dir": args.log_dir}
    test_set = {"fingerprint": data.fingerprint, "problem": described(data), "notes": list(data.notes)}
    if args.fast:
        test_set["notes"].insert(0, "SMOKE RUN (--fast): few images, few epochs; the numbers mean little.")
    title = f"{task.name}, {folder_name(args.data, task.name)}"
    test_set["title"] = title + (", SMOKE RUN" if args.fast else "")
    test_set |= {"targets": data.problem.truth(data.test.targets), "groups": data.test.groups.tolist()}
    test_set["straddling"] = sorted(set(data.test.groups.tolist()) & set(data.pool.groups.tolist()))
    if (sources := len(set(test_set["groups"]))) < FEW_SOURCES:
        test_set["notes"].append(f"Only {sources} test sources: the intervals are narrower than they should be.")
    if looked := other_looks(out, runs):
        test_set["notes"].append(looked)
    write_json(out / "test_set.json", test_set)
    for note in test_set["notes"]:
        print(note)
    straddling = set(test_set["straddling"])
    shared_images = sum(group in straddling for group in test_set["groups"])
    if shared_images > LEAK_SHARE * len(test_set["groups"]):
        warnings.warn(
            f"Expected test images of sources that training never sees, but got {shared_images} of "
            f"{len(test_set['groups'])} whose source is in the pool too; use --drop-straddling.",
            stacklevel=2,
        )
    print(
        f"{sweep.name}: {len(values)} values × {len(chosen)} arms × {len(seeds)} seeds, {len(runs)} runs of "
        f"{recipe['epochs']} epochs, {args.jobs} at a time, records in {out}/records"
    )
    started = time.perf_counter()
    try:
        computed, failures = execute(sweep, chosen, runs, out, settings, jobs=args.jobs)
    except KeyboardInterrupt:
        done = [run for run in runs if read_record(record_path(out, run.key))]
        if done:
            write_outputs(sweep, chosen, done, out, settings, report=False)
        raise
    done = len(runs) - computed - len(failures)
    print(f"{computed} runs computed, {done} were already done; {time.perf_counter() - started:.0f} s")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    for line in write_outputs(sweep, chosen, runs, out, settings, report=not args.no_report):
        print(line)
    return 1 if failures else 0


def other_looks(out: Path, runs: list[Run]) -> str:
    """A sentence if this folder's records judged the same test set with other settings; else an empty string."""
    ours = {run.key: run.config for run in runs}
    first = next(iter(ours.values()))
    differing: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged records are told when they are computed again
        records = read_records(out)
    for record in records:
        theirs = record["config"]
        if record["key"] in ours or any(theirs[name] != first[name] for name in ("sweep", "task", "data")):
            continue
        old, new = (config["recipe"] | {"network": config["network"]} for config in (theirs, first))
        changed = [f"{name} {old.get(name)}" for name in sorted(new) if old.get(name) != new[name] and name != "linear"]
        differing |= {", ".join(changed)} if changed else set()
    if not differing:
        return ""
    return (
        f"This test set was also judged with other settings ({'; '.join(sorted(differing))}): the best of several "
        f"is not a held-out result. Choose settings with --development."
    )


def parse_seeds(text: str) -> list[int]:
    """``3`` is seeds 0, 1, 2; a list names them.

    Example:
        >>> parse_seeds("2"), parse_seeds("4,7")
        ([0, 1], [4, 7])
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ValueError(f"Expected --seeds to be a count such as 3 or a list such as 4,5, but got {text!r}.")
    if "," in text:
        return sorted({int(part) for part in text.split(",")})
    if int(text) < 1:
        raise ValueError(f"Expected --seeds to be 1 or more, but got {text}.")
    return list(range(int(text)))


def chosen_variants(sweep: Sweep, text: str, *, retrain: bool) -> list[Variant]:
    """The arms named in ``text``, with the bound and, for ``retrain``, the frozen copies."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError(f"Expected --variants to name at least one arm, but got {text!r}.")
    chosen = [sweep.variant(name) for name in dict.fromkeys([*names, sweep.bound])]
    for variant in [v for v in chosen if v.source is not None and v.source not in {c.name for c in chosen}]:
        chosen.append(sweep.variant(variant.source))
    if retrain:
        chosen += [retrained(v) for v in chosen if v.learned and not v.translate]
    return chosen


def check_counts(args: argparse.Namespace) -> None:
    """Refuse counts below one and devices that are not there."""
    for name in ("epochs", "jobs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"Expected --{name} to be 1 or more, but got {value}.")
    import torch

    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"Expected --device to be available, but got {args.device!r}: {reason}") from error


def folder_name(data: str | None, task: str) -> str:
    """Which of a task's sets it is, in a word for the figure."""
    if data is None:
        return "embedded"
    name = Path(data).resolve().name
    return "real" if name == task else name


def described(data: TaskData) -> dict:
    """The problem, with the score of an answer that does not look at the image."""
    score, words = data.problem.blind(data.test.targets, data.pool.targets)
    return data.problem.describe() | {"constant": score, "blind": words}
