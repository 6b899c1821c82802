"""Compute a grid: what is missing, in parallel, dependent runs after those whose camera or model they take."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from pickle import PicklingError
from typing import Any

from physlayer.experiment.provenance import provenance
from physlayer.experiment.record import Record
from physlayer.experiment.records import read_record, record_path
from physlayer.experiment.run import Run
from physlayer.experiment.runner import run_one
from physlayer.experiment.spec import Sweep, Variant

__all__ = ["execute"]


def execute(
    sweep: Sweep, variants: Sequence[Variant], runs: Sequence[Run], out: Path, settings: dict[str, Any], *, jobs: int
) -> tuple[int, list[str]]:
    """Compute what is missing; returns how many runs were computed, and a sentence for each that failed.

    Runs whose camera or model comes from another run wait for it. Every finished run is on disk before the next begins,
    so an interruption loses only what was in flight.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after the bar is closed.
    """
    from tqdm import tqdm

    named = {variant.name: variant for variant in variants}
    records = {run.key: read_record(record_path(out, run.key)) for run in runs}
    missing = [run for run in runs if records[run.key] is None]
    _tell_of_other_commits([record for record in records.values() if record is not None])
    needed = {run.source for run in missing if run.source}
    files = {key: [out / folder / f"{key}.pt" for folder in ("cameras", "models")] for key in needed}
    lost = [run for run in runs if run.key in needed and not all(file.exists() for file in files[run.key])]
    missing += [run for run in lost if run not in missing]  # what it learned is gone: train it again
    waves = [[r for r in missing if r.source is None], [r for r in missing if r.source is not None]]
    failures: list[str] = []
    with tqdm(total=len(runs), initial=len(runs) - len(missing), unit="run", dynamic_ncols=True) as bar:
        for wave in waves:
            work = [(named[run.variant], run) for run in wave]
            for key, failure in _parallel(sweep, work, out, settings, jobs):
                if failure:
                    failures.append(f"{key}: {failure}")
                bar.set_postfix_str(key.rsplit("_", 1)[0])
                bar.update()
    return len(missing) - len(failures), failures


def _parallel(
    sweep: Sweep, work: list[tuple[Variant, Run]], out: Path, settings: dict[str, Any], jobs: int
) -> Iterator[tuple[str, str]]:
    if jobs == 1 or len(work) <= 1:
        for variant, run in work:
            yield run_one(sweep, variant, run, out, settings)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

    calls = (delayed(run_one)(sweep, variant, run, out, settings) for variant, run in work)
    try:
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs)(calls)
    except TerminatedWorkerError:  # killed, as for memory
        raise
    except (PicklingError, BrokenProcessPool) as error:
        reason = str(error.__cause__ or error).rstrip('"\n').splitlines()[-1]
        raise ValueError(
            f"Expected arms and a task that can be sent to other processes, but got {reason}; define them in a module "
            "that your script imports, or use --jobs 1."
        ) from error


def _tell_of_other_commits(records: Sequence[Record]) -> None:
    """Numbers of another commit are kept, and told: the key holds the settings, not the code."""
    commits = Counter(record.provenance.commit for record in records)
    others = {commit: count for commit, count in commits.items() if commit != provenance()["commit"]}
    if others:
        found = ", ".join(f"{count} by {commit}" for commit, count in others.items())
        warnings.warn(
            f"Expected records made by this commit, {provenance()['commit']}, but got {found}; they are kept. "
            f"If the code between changes numbers, use another --out.",
            stacklevel=2,
        )
