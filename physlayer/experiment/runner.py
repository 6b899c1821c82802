"""Compute one run: train it, judge it once on the test set, write its record."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from physlayer.core.audit import Movement
from physlayer.core.camera import export_camera
from physlayer.core.files import atomic_write
from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment.build import (
    assemble,
    camera_of,
    carry_learned,
    chosen_candidate,
    join,
    network_of,
    point_of,
    scenes_of,
)
from physlayer.experiment.provenance import provenance
from physlayer.experiment.record import Audit, Epoch, Provenance, Record, Trial
from physlayer.experiment.records import camera_export, write_record
from physlayer.experiment.run import Run
from physlayer.experiment.spec import Point, Sweep, Variant
from physlayer.problems.base import Problem
from physlayer.tasks.base import Options, get_task
from physlayer.training.loop import FitResult, TrainingError, fit
from physlayer.training.prediction import DRAWS, predict_exposures
from physlayer.training.recipe import Recipe

__all__ = ["run_one", "save_models", "task_data"]

MEASURED_SCENES = 256  # of the test set, evenly
SEARCH_SHARE = 0.5  # a searched variant tries each candidate for this share of the epochs

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
Train = Callable[..., tuple[nn.Sequential, FitResult]]


@functools.lru_cache(maxsize=2)
def task_data(task: str, options: Options) -> TaskData:
    """Data of a task, by its name, loaded once per process."""
    data: TaskData = get_task(task).load(options)
    return data.development() if options.development else data


def run_one(sweep: Sweep, variant: Variant, run: Run, out: Path, settings: dict[str, Any]) -> tuple[str, str]:
    """Train, judge and record one run; returns its key, and why it failed (empty if it did not).

    One thread per run: runs fill the cores, and numbers do not depend on how many ran at once.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            record = _compute(sweep, variant, run, out, settings)
    except (TrainingError, FileNotFoundError) as error:  # the others go on; the next command tries this one again
        return run.key, str(error)
    finally:
        torch.set_num_threads(threads)
    told = {str(entry.message) for entry in caught if issubclass(entry.category, UserWarning)}
    of_layers = sorted(text for text in told if text.startswith("Expected"))
    write_record(out, replace(record, notes=(*record.notes, *of_layers)))
    return run.key, ""


def _compute(sweep: Sweep, variant: Variant, run: Run, out: Path, settings: dict[str, Any]) -> Record:
    started = time.perf_counter()
    task, recipe = get_task(settings["task"]), Recipe(**run.recipe)  # from now on known by its name, too
    data = task_data(run.task, settings["options"])
    splits, point = data.split(run.seed), point_of(run, data)

    def train(layers: list[nn.Module], recipe: Recipe, log: str | None = None) -> tuple[nn.Sequential, FitResult]:
        model = assemble(task, run, layers, data)
        augment = translated(task.augment) if variant.translate else task.augment
        result = fit(
            model, splits["train"], splits["validation"], recipe, seed=run.seed, problem=data.problem, augment=augment,
            device=settings["device"], log_dir=log and str(Path(log) / run.key),
        )  # fmt: skip
        return model, result

    search = _searched(variant, point, data.problem, train, recipe)
    if variant.model_from is not None and run.source is not None:
        model, result = _handed_on(sweep, variant, run, out, data), FitResult([], 0, {}, {}, [])
        notes: list[str] = []
    else:
        layers, notes = _camera(variant, point, data.problem, search, run, out)
        model, result = train(layers, recipe, settings["log_dir"])
    found, outputs = _judged(sweep, model, data.problem, splits, run, settings["device"])
    save_models(out, run.key, model, outputs)
    return Record.of(
        run,
        provenance=Provenance(
            **provenance(), data=data.fingerprint, seconds=round(time.perf_counter() - started, 2),
            device=settings["device"],
        ),
        history=tuple(Epoch(**epoch) for epoch in result.history),
        best_epoch=result.best_epoch,
        search=search,
        **found,
        camera=camera_export(_rounded(export_camera(model, point.shape))),
        audit=Audit(result.gradients, {name: Movement(**moved) for name, moved in result.movement.items()}),
        notes=(*notes, *result.warnings),
    )  # fmt: skip


def _searched(variant: Variant, point: Point, problem: Problem, train: Train, recipe: Recipe) -> tuple[Trial, ...]:
    """Every setting of a searched arm, tried for a share of the epochs; none if there is but one."""
    if variant.candidates is None or variant.camera_from is not None:
        return ()
    candidates = variant.candidates(point)
    if len(candidates) == 1:
        return ()
    best = max if problem.higher_is_better else min
    trials = []
    for candidate in candidates:
        _, tried = train(variant.camera(point, **candidate), recipe.scaled(SEARCH_SHARE))
        trials.append(Trial(candidate, best(epoch["validation_hard"] for epoch in tried.history)))
    return tuple(trials)


def _camera(
    variant: Variant, point: Point, problem: Problem, search: tuple[Trial, ...], run: Run, out: Path
) -> tuple[list[nn.Module], list[str]]:
    """The physical layers of a run before it is trained, and what the record must say of them."""
    if variant.camera_from is not None:
        layers = variant.camera(point)
        stored = torch.load(out / "cameras" / f"{run.source}.pt", weights_only=True, map_location="cpu")
        nn.Sequential(*layers).load_state_dict(stored)
        if variant.change is not None:
            layers = variant.change(layers, torch.Generator().manual_seed(1000 + run.seed))
        for layer in layers:
            layer.requires_grad_(False)
        return layers, []
    if variant.candidates is None:
        return variant.camera(point), []
    chosen = chosen_candidate(variant, point, search, problem)
    return variant.camera(point, **chosen), [f"chosen on validation: {chosen}"]


def _handed_on(sweep: Sweep, variant: Variant, run: Run, out: Path, data: TaskData) -> nn.Sequential:
    """The trained model of the run that ``variant.model_from`` names, with the camera of this run before it."""
    name, value = variant.model_from or (variant.name, run.value)
    trainer = replace(run, variant=name, value=value, source=None)
    trained = assemble(get_task(run.task), trainer, sweep.variant(name).camera(point_of(trainer, data)), data)
    trained.load_state_dict(torch.load(out / "models" / f"{run.source}.pt", weights_only=True, map_location="cpu"))
    point = point_of(run, data)
    layers = carry_learned(list(camera_of(trained)), variant.camera(point), f"{run.parameter} {run.value:g}")
    return join(layers, network_of(trained), point.shape)


def _judged(
    sweep: Sweep, model: nn.Sequential, problem: Problem, splits: dict[str, ImageSet], run: Run, device: str
) -> tuple[dict[str, Any], Tensor]:
    """``metrics``, ``predictions`` and ``scores`` of the record, and the outputs for one exposure of the test images.

    The only place where test images meet a model, once per run.
    """
    metrics: dict[str, dict[str, Any]] = {}
    for name in ("validation", "test"):
        part = splits[name]
        # validation has chosen already, on one exposure of each image; several would cost as much as the training
        most = DRAWS if name == "test" else 1
        outputs = predict_exposures(model, part, most=most, linear=run.linear, device=device)
        metrics[name] = problem.metrics(outputs, part.targets, part.groups)
    if sweep.measure is not None:
        scenes = scenes_of(splits["test"], run.linear, MEASURED_SCENES).to(device)
        with torch.inference_mode():
            metrics["test"] |= sweep.measure(camera_of(model).eval(), scenes)
    targets = splits["test"].targets
    answers, scores = problem.answers(outputs[0], targets), None
    if len(outputs) > 1 or problem.kind != "classification":
        # every exposure is judged by itself: to average outputs would be a camera with as many times the photons
        scores = torch.stack([problem.score_images(seen, targets) for seen in outputs]).mean(0).tolist()
    return {
        "metrics": metrics,
        "predictions": None if answers is None else {"test": answers},
        "scores": None if scores is None else {"test": scores},
    }, outputs[0]


def save_models(out: Path, key: str, model: nn.Sequential, logits: Tensor) -> None:
    """Camera, network and test logits beside the record, for dependent runs and the report."""
    for folder, content in (
        ("cameras", camera_of(model).state_dict()),
        ("models", model.state_dict()),
        ("logits", logits),
    ):
        atomic_write(out / folder / f"{key}.pt", functools.partial(torch.save, content))


def translated(augment: Augment) -> Augment:
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


def _rounded(content: Any) -> Any:
    """Numbers to 7 significant digits: what float32 holds, at half the file size."""
    if isinstance(content, float):
        return float(f"{content:.7g}")
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content
