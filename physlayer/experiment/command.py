"""What the command line of a sweep does: refuse early, say what is to come, compute what is missing."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from physlayer.data.image_set import TaskData
from physlayer.experiment.arguments import check_counts, chosen_variants, folder_name, parse_seeds
from physlayer.experiment.outputs import write_outputs
from physlayer.experiment.preflight import require_answers, require_cameras, require_judgement, require_scenes
from physlayer.experiment.problem_info import problem_description
from physlayer.experiment.record import TestSet
from physlayer.experiment.records import read_record, read_records, record_path, writable_folder, write_test_set
from physlayer.experiment.run import Run, make_runs
from physlayer.experiment.runner import task_data
from physlayer.experiment.scheduler import execute
from physlayer.experiment.spec import Sweep, Variant
from physlayer.tasks.base import Options, Task, get_task, sendable_task
from physlayer.training.recipe import Recipe

__all__ = ["run_command"]

FEW_GROUPS = 10  # of the test set: below, a bootstrap over groups says little
LEAK_SHARE = 0.05  # of the test images with a group in the pool: above, the test says little


def run_command(sweep: Sweep, args: argparse.Namespace) -> int:
    """Run a sweep with the options of :func:`.build_parser`; returns the exit code.

    Raises:
        ValueError: for options or data that do not fit, before anything is computed.
    """
    values = sweep.values(args.values)
    seeds = parse_seeds(args.seeds)
    chosen = chosen_variants(sweep, args.variants, retrain=args.retrain)
    check_counts(args)
    out = writable_folder(args.out or Path("runs") / sweep.name)
    task = get_task(args.task)
    require_scenes(sweep, task)
    options = Options(
        data=args.data, fast=args.fast, groups=args.groups, skip_unreadable=args.skip_unreadable,
        drop_straddling=args.drop_straddling, width=args.width, development=args.development,
    )  # fmt: skip
    data = task_data(task.name, options)
    require_judgement(data)
    for seed in seeds:
        data.split(seed)  # every seed must give a valid split before hours are spent on the first
    recipe = recipe_of(task, options, args)
    network = args.network or task.default_network(options)
    require_answers(task, network, data, default=task.default_network(options))
    shared = {"task": task.name, "data": data.fingerprint, "network": network, "recipe": recipe}
    runs = make_runs(sweep, chosen, values, seeds, shared)
    require_cameras(chosen, [run for run in runs if not record_path(out, run.key).exists()], data)
    announce(test_set_of(data, task.name, args, other_looks(out, runs)), out)
    print(
        f"{sweep.name}: {len(values)} values × {len(chosen)} arms × {len(seeds)} seeds, {len(runs)} runs of "
        f"{recipe['epochs']} epochs, {args.jobs} at a time, records in {out}/records"
    )
    settings = {"task": sendable_task(task.name), "options": options, "device": args.device, "log_dir": args.log_dir}
    return compute(sweep, chosen, runs, out, settings, jobs=args.jobs, report=not args.no_report)


def recipe_of(task: Task, options: Options, args: argparse.Namespace) -> dict[str, Any]:
    """The task's recipe with the settings of the command line.

    Raises:
        ValueError: for a setting out of range.
    """
    recipe: dict[str, Any] = task.recipe(options).as_dict() | {"linear": args.encoding == "linear"}
    recipe |= {} if args.epochs is None else {"epochs": args.epochs}
    recipe |= {} if args.lr_physics is None else {"lr_physics": args.lr_physics}
    recipe |= {"augment": False} if args.no_augment else {}
    Recipe(**recipe)
    return recipe


def test_set_of(data: TaskData, task: str, args: argparse.Namespace, looked: str) -> TestSet:
    """What the runs will be judged on; ``looked`` says with which other settings it was."""
    groups = data.test.groups.tolist()
    notes = list(data.notes)
    if args.fast:
        notes.insert(0, "SMOKE RUN (--fast): few images, few epochs; the numbers mean little.")
    if (number := len(set(groups))) < FEW_GROUPS:
        notes.append(f"Only {number} test sources: the intervals are narrower than they should be.")
    if looked:
        notes.append(looked)
    return TestSet(
        fingerprint=data.fingerprint,
        problem=problem_description(data),
        notes=tuple(notes),
        title=f"{task}, {folder_name(args.data, task)}" + (", SMOKE RUN" if args.fast else ""),
        targets=data.problem.truth(data.test.targets),
        groups=groups,
        straddling=sorted(set(groups) & set(data.pool.groups.tolist())),
    )


def announce(test_set: TestSet, out: Path) -> None:
    """Write the test set down, and print what must be known of it before hours are spent."""
    write_test_set(out, test_set)
    for note in test_set.notes:
        print(note)
    straddling = set(test_set.straddling)
    shared = sum(group in straddling for group in test_set.groups)
    if shared > LEAK_SHARE * len(test_set.groups):
        warnings.warn(
            f"Expected test images of sources that training never sees, but got {shared} of "
            f"{len(test_set.groups)} whose source is in the pool too; use --drop-straddling.",
            stacklevel=2,
        )


def compute(
    sweep: Sweep,
    variants: Sequence[Variant],
    runs: Sequence[Run],
    out: Path,
    settings: dict[str, Any],
    *,
    jobs: int,
    report: bool,
) -> int:
    """Compute what is missing and write what a user opens, on Ctrl-C without a report; returns the exit code."""
    started = time.perf_counter()
    try:
        computed, failures = execute(sweep, variants, runs, out, settings, jobs=jobs)
    except KeyboardInterrupt:
        done = [run for run in runs if read_record(record_path(out, run.key))]
        if done:
            write_outputs(sweep, variants, done, out, settings, report=False)
        raise
    kept = len(runs) - computed - len(failures)
    print(f"{computed} runs computed, {kept} were already done; {time.perf_counter() - started:.0f} s")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    for line in write_outputs(sweep, variants, runs, out, settings, report=report):
        print(line)
    return 1 if failures else 0


def other_looks(out: Path, runs: Sequence[Run]) -> str:
    """A sentence if this folder's records judged the same test set with other settings; else an empty string."""
    ours, first = {run.key for run in runs}, runs[0]
    differing: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged records are told when they are computed again
        records = read_records(out)
    for theirs in (record.config for record in records):
        same = (theirs.sweep, theirs.task, theirs.data) == (first.sweep, first.task, first.data)
        if theirs.key in ours or not same:
            continue
        old, new = (run.recipe | {"network": run.network} for run in (theirs, first))
        changed = [f"{name} {old.get(name)}" for name in sorted(new) if old.get(name) != new[name] and name != "linear"]
        differing |= {", ".join(changed)} if changed else set()
    if not differing:
        return ""
    return (
        f"This test set was also judged with other settings ({'; '.join(sorted(differing))}): the best of several "
        f"is not a held-out result. Choose settings with --development."
    )
