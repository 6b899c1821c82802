"""Robustness grid: networks trained at each level of a noise, a blur or a pixel size, and tested at every other.

One call gives the whole matrix, ``train level × test level × seed × image``. Levels carry units::

    levels = [Level(), *make_levels("exposure", (300, 30), "photons", PhotonNoise)]
    grid = robustness_grid(data, network, levels, Recipe(epochs=6))
    grid.plot().savefig("figure.png")
"""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.data.image_set import TaskData
from physlayer.experiment.robustness.levels import Level, crossed, make_levels
from physlayer.experiment.robustness.result import RobustnessGrid
from physlayer.training.loop import fit, seeded
from physlayer.training.prediction import DRAWS, predict_exposures
from physlayer.training.recipe import Recipe

__all__ = ["Level", "RobustnessGrid", "crossed", "deployed", "make_levels", "robustness_grid"]

Network = Callable[[tuple[int, int, int], int], nn.Module]
Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def robustness_grid(
    data: TaskData,
    network: Network,
    levels: Sequence[Level],
    recipe: Recipe,
    *,
    test_levels: Sequence[Level] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    augment: Augment | None = None,
    jobs: int = 1,
    device: str = "cpu",
    folder: str | Path | None = None,
    progress: bool = False,
) -> RobustnessGrid:
    """Train a network at every level with every seed, and judge each at every test level.

    Trainings of one seed share their split, start, order and augmentation, and their noise starts from the same seeds;
    test image i meets the same random numbers behind every network and level of one kind. Noisy levels are judged
    over five exposures. A reading smaller than the scene is spread over the scene's pixels, so that one network
    stands behind every pixel size. What was learned in front of the network (a denoiser) goes with it, what is fixed
    is that of the test level: :func:`deployed`.

    Args:
        data: the task. network: makes an untrained network, ``((C, H, W), classes) -> nn.Module``.
        levels: to train at, and to test at unless ``test_levels`` are given. recipe: of all trainings.
        seeds: of split, start, order, augmentation and noise. augment: ``(images, targets, generator) ->
            (images, targets)``.
        jobs: trainings at a time, one thread each. device: where to train. folder: keep a JSON record per train level
            and seed in ``folder/records``, and skip what is there. progress: show a bar.

    Raises:
        ValueError: if two levels have one label, seeds repeat, a test level does not fit a network, or the data have no
            classes: the grid is one of accuracies.
        TrainingError: if a loss is not finite.
    """
    if data.problem.kind != "classification":
        raise ValueError(f"Expected data with classes for a grid of accuracies, but got a {data.problem.kind}.")
    trains, tests = tuple(levels), tuple(levels if test_levels is None else test_levels)
    seeds = tuple(seeds)
    labels = [[level.label for level in side] for side in (trains, tests)]
    for name, values in (("levels", labels[0]), ("test_levels", labels[1]), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"Expected {name} to be one or more, all different, but got {list(values)}.")
    _check_fit(data, trains, tests)
    job = functools.partial(_row, data, network, tests, recipe, augment, device, folder)
    work = list(itertools.product(trains, seeds))
    from joblib import Parallel, delayed
    from tqdm import tqdm

    results = Parallel(n_jobs=jobs, return_as="generator")(delayed(job)(level, seed) for level, seed in work)
    rows = list(tqdm(results, total=len(work), unit="training", disable=not progress, dynamic_ncols=True))
    scores = np.array([row["scores"] for row in rows]).reshape(len(trains), len(seeds), len(tests), -1)
    notes = [f"{level.label}, seed {s}: {n}" for (level, s), row in zip(work, rows, strict=True) for n in row["notes"]]
    targets = data.test.targets.numpy()
    return RobustnessGrid(
        data.name, trains, tests, seeds, scores.transpose(0, 2, 1, 3), targets, data.test.groups, tuple(notes)
    )


def deployed(trained: Sequence[nn.Module], level: Level) -> list[nn.Module]:
    """The camera of ``level`` with all that was learned in the ``trained`` camera.

    Learned parameters, and the state of modules that are no physical layers (a denoiser's batch norm), are those of
    training; fixed physical quantities are those of the level.

    Raises:
        ValueError: if the two cameras do not hold the same learned modules in the same order.

    Example:
        >>> from physlayer import GaussianNoise
        >>> denoiser = nn.Conv2d(1, 1, 3, padding=1)
        >>> level = Level(camera=lambda: [GaussianNoise(0.2), nn.Conv2d(1, 1, 3, padding=1)])
        >>> camera = deployed([GaussianNoise(0.1), denoiser], level)
        >>> camera[0], bool((camera[1].weight == denoiser.weight).all())
        (GaussianNoise(noise_seed=0, noise_rms=0.2 full scale (fixed)), True)
    """
    layers = level.camera()
    ours, theirs = ([state for module in camera if (state := _carried(module))] for camera in (trained, layers))
    shapes = [[{n: tuple(v.shape) for n, v in state.items()} for state in states] for states in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Expected the camera at {level.label} to learn {shapes[0] or 'nothing'} as that of the training, but got "
            f"{shapes[1] or 'nothing'}; put the denoiser into the camera of every level, or into the network."
        )
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            for name, value in other.items():
                value.copy_(mine[name])
    return layers


def _carried(module: nn.Module) -> dict[str, Tensor]:
    """Tensors of a module that training sets: all but the fixed quantities of physical layers."""
    fixed = [name for name, part in module.named_modules() if isinstance(part, PhysicalLayer)]
    buffers = {n: b for n, b in module.named_buffers() if n.rpartition(".")[0] not in fixed}
    return dict(module.named_parameters()) | buffers


def _check_fit(data: TaskData, trains: tuple[Level, ...], tests: tuple[Level, ...]) -> None:
    """Refuse before hours are spent what would fail after the first training."""
    scene = tuple(data.pool.images.shape[1:])
    for train, test in itertools.product(trains, tests):
        layers = deployed(train.camera(), test)
        ours, theirs = (_channels(camera, level, scene) for camera, level in ((train.camera(), train), (layers, test)))
        if ours != theirs:
            raise ValueError(
                f"Expected the camera at {test.label} to give {ours} channels as at {train.label}, but got {theirs}; "
                f"one network cannot stand behind both."
            )


def _channels(camera: Sequence[nn.Module], level: Level, scene: tuple[int, ...]) -> int:
    with torch.inference_mode():
        reading = nn.Sequential(*camera).eval()(torch.full((1, *scene), 0.5))
    if reading.ndim != 4 or reading.shape[2] > scene[1] or reading.shape[3] > scene[2]:
        raise ValueError(
            f"Expected the camera at {level.label} to give images no larger than the scene's {scene[1]}×{scene[2]} "
            f"pixels, but got {tuple(reading.shape[1:])}; put what follows into the network."
        )
    return reading.shape[1]


def _row(data, network, tests, recipe, augment, device, folder, level, seed) -> dict:
    """Train once, judge at every test level: ``scores``, test levels × images."""
    from physlayer.experiment.records import read_record, record_path, write_json
    from physlayer.experiment.runner import provenance

    scene = tuple(data.pool.images.shape[1:])
    with seeded(seed):  # a denoiser in the camera starts from the seed too
        layers = level.camera()
        behind = network((_channels(copy.deepcopy(layers), level, scene), *scene[1:]), data.problem.outputs)
    spread = nn.Upsample(size=scene[1:], mode="nearest")
    model = nn.Sequential(*layers, spread, behind)
    path = None
    if folder is not None:
        key = _key(data, model, level, tests, recipe, augment, seed)
        path = record_path(Path(folder), key)
        if (record := read_record(path)) is not None:
            return record
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        splits = data.split(seed)
        result = fit(
            model,
            splits["train"],
            splits["validation"],
            recipe,
            seed=seed,
            problem=data.problem,
            augment=augment,
            device=device,
        )
        scores = []
        for test in tests:
            judged = nn.Sequential(*deployed(layers, test), spread, behind)
            logits = predict_exposures(judged, data.test, linear=recipe.linear, device=device)
            each = torch.stack([data.problem.score_images(seen, data.test.targets) for seen in logits])
            scores.append(each.mean(0).tolist())
    finally:
        torch.set_num_threads(threads)
    accuracy = {test.label: float(np.mean(row)) for test, row in zip(tests, scores, strict=True)}
    record = {"train": level.label, "seed": seed, "scores": scores, "notes": result.warnings}
    record |= {"best_epoch": result.best_epoch, "metrics": {"test": {"accuracy": accuracy}}}
    if path is not None:
        write_json(path, {"key": key, "provenance": provenance() | {"data": data.fingerprint}} | record)
    return record


def _key(data, model, level, tests, recipe, augment, seed) -> str:
    """Hash of all that determines a row, with a readable beginning."""
    cameras = [[_described(module) for module in one.camera()] for one in (level, *tests)]
    acts = None if augment is None else getattr(augment, "__qualname__", type(augment).__qualname__)
    labels = [one.label for one in (level, *tests)]
    parts = [data.fingerprint, labels, cameras, repr(model), recipe.as_dict(), acts, seed, DRAWS]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return f"{''.join(c if c.isalnum() else '-' for c in level.label)}_{seed}_{digest}"


def _described(module: nn.Module) -> dict | str:
    return module.export(full=True) if isinstance(module, PhysicalLayer) else repr(module)
