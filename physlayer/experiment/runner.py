"""Run a grid: in parallel, resumable, each run judged once on the test set."""

from __future__ import annotations

import datetime
import functools
import platform
import subprocess
import time
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from pickle import PicklingError

import torch
from torch import Tensor, nn

from physlayer.core.camera import export_camera
from physlayer.data.image_set import TaskData
from physlayer.experiment.build import assemble, camera_of, chosen_candidate, point_of, scenes_of
from physlayer.experiment.records import read_record, record_path, write_json
from physlayer.experiment.spec import Run, Sweep, Variant
from physlayer.training.loop import TrainingError, fit
from physlayer.training.prediction import DRAWS, predict_exposures
from physlayer.training.recipe import Recipe

__all__ = ["execute", "run_one"]

MEASURED_SCENES = 256  # of the test set, evenly
SEARCH_SHARE = 0.5  # a searched variant tries each candidate for this share of the epochs


@functools.lru_cache(maxsize=2)
def task_data(task: str, options) -> TaskData:
    """Data of a task, by its name, loaded once per process."""
    from physlayer.tasks.base import get_task

    data = get_task(task).load(options)
    return data.development() if options.development else data


def execute(
    sweep: Sweep, variants: list[Variant], runs: list[Run], out: Path, settings: dict, *, jobs: int
) -> tuple[int, list[str]]:
    """Compute what is missing; returns how many runs were computed, and a sentence for each that failed.

    Runs whose camera comes from another run wait for it. Every finished run is on disk before the next begins,
    so an interruption loses only what was in flight.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after the bar is closed.
    """
    from tqdm import tqdm

    named = {variant.name: variant for variant in variants}
    records = {run.key: read_record(record_path(out, run.key)) for run in runs}
    missing = [run for run in runs if records[run.key] is None]
    _tell_of_other_commits([record for record in records.values() if record is not None])
    needed = {run.source_key for run in missing if run.source_key}
    lost = [run for run in runs if run.key in needed and not (out / "cameras" / f"{run.key}.pt").exists()]
    missing += [run for run in lost if run not in missing]  # its camera is gone: train it again
    waves = [[r for r in missing if r.source_key is None], [r for r in missing if r.source_key is not None]]
    failures: list[str] = []
    with tqdm(total=len(runs), initial=len(runs) - len(missing), unit="run", dynamic_ncols=True) as bar:
        for wave in waves:
            work = [(named[run.config["variant"]], run) for run in wave]
            for key, failure in _parallel(sweep, work, out, settings, jobs):
                if failure:
                    failures.append(f"{key}: {failure}")
                bar.set_postfix_str(key.rsplit("_", 1)[0])
                bar.update()
    return len(missing) - len(failures), failures


def _parallel(sweep: Sweep, work: list, out: Path, settings: dict, jobs: int):
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


def run_one(sweep: Sweep, variant: Variant, run: Run, out: Path, settings: dict) -> tuple[str, str]:
    """Train, judge and record one run; returns its key, and why it failed (empty if it did not).

    One thread per run: runs fill the cores, and numbers do not depend on how many ran at once.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            record = _compute(sweep, variant, run, out, settings)
        told = {str(entry.message) for entry in caught if issubclass(entry.category, UserWarning)}
        record["notes"] += sorted(text for text in told if text.startswith("Expected"))  # those of the layers
    except (TrainingError, FileNotFoundError) as error:  # the others go on; the next command tries this one again
        return run.key, str(error)
    finally:
        torch.set_num_threads(threads)
    write_json(record_path(out, run.key), record)
    return run.key, ""


def _tell_of_other_commits(records: list[dict]) -> None:
    """Numbers of another commit are kept, and told: the key holds the settings, not the code."""
    commits = Counter(record["provenance"]["commit"] for record in records)
    others = {commit: count for commit, count in commits.items() if commit != provenance()["commit"]}
    if others:
        found = ", ".join(f"{count} by {commit}" for commit, count in others.items())
        warnings.warn(
            f"Expected records made by this commit, {provenance()['commit']}, but got {found}; they are kept. "
            f"If the code between changes numbers, use another --out.",
            stacklevel=2,
        )


def _compute(sweep: Sweep, variant: Variant, run: Run, out: Path, settings: dict) -> dict:
    from physlayer.tasks.base import get_task

    started = time.perf_counter()
    config, seed = run.config, run.config["seed"]
    task, recipe = get_task(settings["task"]), Recipe(**config["recipe"])  # from now on known by its name, too
    data = task_data(config["task"], settings["options"])
    splits, problem = data.split(seed), data.problem
    better = 1 if problem.higher_is_better else -1

    def train(layers: list[nn.Module], recipe: Recipe, log: str | None = None):
        model = assemble(task, config, layers, data)
        augment = translated(task.augment) if variant.translate else task.augment
        result = fit(
            model, splits["train"], splits["validation"], recipe, seed=seed, problem=problem, augment=augment,
            device=settings["device"], log_dir=log and str(Path(log) / run.key),
        )  # fmt: skip
        return model, result

    point = point_of(config, data)
    notes, search = [], []
    if variant.source is not None:
        layers = variant.camera(point)
        stored = torch.load(out / "cameras" / f"{run.source_key}.pt", weights_only=True, map_location="cpu")
        nn.Sequential(*layers).load_state_dict(stored)
        if variant.change is not None:
            layers = variant.change(layers, torch.Generator().manual_seed(1000 + seed))
        for layer in layers:
            layer.requires_grad_(False)
    elif variant.candidates is not None:
        candidates = variant.candidates(point)
        for candidate in candidates if len(candidates) > 1 else []:
            _, tried = train(variant.camera(point, **candidate), recipe.scaled(SEARCH_SHARE))
            best = max((epoch["validation_hard"] for epoch in tried.history), key=lambda score: better * score)
            search.append({"candidate": candidate, "validation": best})
        chosen = chosen_candidate(variant, point, search, problem)
        layers = variant.camera(point, **chosen)
        notes.append(f"chosen on validation: {chosen}")
    else:
        layers = variant.camera(point)

    model, result = train(layers, recipe, settings["log_dir"])
    metrics, predicted = {}, {}
    for name in ("validation", "test"):  # the only place where test images meet a model, once per run
        part = splits[name]
        # validation has chosen already, on one exposure of each image; several would cost as much as the training
        most = DRAWS if name == "test" else 1
        outputs = predict_exposures(model, part, most=most, linear=recipe.linear, device=settings["device"])
        metrics[name] = problem.metrics(outputs, part.targets, part.groups)
        predicted[name] = outputs
    if sweep.measure is not None:
        scenes = scenes_of(splits["test"], recipe.linear, MEASURED_SCENES).to(settings["device"])
        with torch.inference_mode():
            metrics["test"] |= sweep.measure(camera_of(model).eval(), scenes)
    answers = problem.answers(predicted["test"][0], splits["test"].targets)
    known = {} if answers is None else {"predictions": {"test": answers}}
    if len(predicted["test"]) > 1 or problem.kind != "classification":
        # every exposure is judged by itself: to average outputs would be a camera with as many times the photons
        each = torch.stack([problem.score_images(seen, splits["test"].targets) for seen in predicted["test"]])
        known["scores"] = {"test": each.mean(0).tolist()}
    save_models(out, run.key, model, predicted["test"][0])
    return {
        "format": 1,
        "key": run.key,
        **{name: config[name] for name in ("sweep", "task", "variant", "parameter", "value", "seed")},
        "config": config,
        "provenance": provenance() | {
            "data": data.fingerprint, "seconds": round(time.perf_counter() - started, 2),
            "device": settings["device"],
        },
        "history": result.history,
        "best_epoch": result.best_epoch,
        "search": search,
        "metrics": metrics,
        **known,
        "camera": _rounded(export_camera(model, point.shape)),
        "audit": {"gradient": result.gradients, "moved": result.movement},
        "notes": notes + result.warnings,
    }  # fmt: skip


def save_models(out: Path, key: str, model: nn.Sequential, logits: Tensor) -> None:
    """Camera, network and test logits beside the record, for dependent runs and the report."""
    for folder, content in (
        ("cameras", camera_of(model).state_dict()),
        ("models", model.state_dict()),
        ("logits", logits),
    ):
        path = out / folder / f"{key}.pt"
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".tmp")
        torch.save(content, temporary)
        temporary.replace(path)


def translated(augment):
    """The augmentation followed by a random circular shift of each scene: the control for position."""

    def shifted(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images, targets = augment(images, targets, generator)
        shifts = torch.rand(len(images), 2, generator=generator)
        height, width = images.shape[2:]
        ways = [(int(dy * height), int(dx * width)) for dy, dx in shifts.tolist()]
        moved = torch.stack([image.roll(way, (1, 2)) for image, way in zip(images, ways, strict=True)])
        if targets.ndim == 3:  # masks move along
            targets = torch.stack([mask.roll(way, (0, 1)) for mask, way in zip(targets, ways, strict=True)])
        return moved, targets

    return shifted


@functools.cache
def provenance() -> dict:
    """Commit, versions and date of a run."""
    import numpy
    import scipy

    root = Path(__file__).resolve().parents[2]
    try:
        if not (root / ".git").exists():
            raise FileNotFoundError("installed: a repository around it is somebody else's")
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        commit = "unknown"
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    versions |= {"scipy": scipy.__version__, "physlayer": version("physlayer")}
    return {"commit": commit, "versions": versions, "date": datetime.date.today().isoformat()}


def _rounded(content):
    """Numbers to 7 significant digits: what float32 holds, at half the file size."""
    if isinstance(content, float):
        return float(f"{content:.7g}")
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content
