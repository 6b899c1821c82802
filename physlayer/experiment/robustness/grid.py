"""Robustness grid: networks trained at each level of a noise, a blur or a pixel size, and tested at every other.

One call gives the whole matrix, ``train level × test level × seed × image``. Levels carry units::

    levels = [Level(), *make_levels("exposure", (300, 30), "photons", PhotonNoise)]
    grid = robustness_grid(data, network, levels, Recipe(epochs=6))
    grid.plot().savefig("figure.png")

With the data of a task, ``sweeps/robustness.py`` does the same as a sweep, with records and a report.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.data.image_set import TaskData
from physlayer.experiment.build import carry_learned, handed_over, join, network_input, scene_shape
from physlayer.experiment.robustness.levels import Level
from physlayer.experiment.robustness.result import RobustnessGrid
from physlayer.training.loop import fit, seeded
from physlayer.training.prediction import predict_exposures
from physlayer.training.recipe import Recipe

__all__ = ["robustness_grid"]

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
    progress: bool = False,
) -> RobustnessGrid:
    """Train a network at every level with every seed, and judge each at every test level.

    Trainings of one seed share their split, start, order and augmentation, and their noise starts from the same seeds;
    test image i meets the same random numbers behind every network and level of one kind. Noisy levels are judged
    over five exposures. A reading smaller than the scene is spread over the scene's pixels, so that one network
    stands behind every pixel size. What was learned in front of the network (a denoiser) goes with it, what is fixed
    is that of the test level: :func:`.carry_learned`.

    Args:
        data: the task. network: makes an untrained network, ``((C, H, W), classes) -> nn.Module``.
        levels: to train at, and to test at unless ``test_levels`` are given. recipe: of all trainings.
        seeds: of split, start, order, augmentation and noise. augment: ``(images, targets, generator) ->
            (images, targets)``.
        jobs: trainings at a time, one thread each. device: where to train. progress: show a bar.

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
    job = functools.partial(_row, data, network, tests, recipe, augment, device)
    work = list(itertools.product(trains, seeds))
    from joblib import Parallel, delayed
    from tqdm import tqdm

    results = Parallel(n_jobs=jobs, return_as="generator")(delayed(job)(level, seed) for level, seed in work)
    rows = list(tqdm(results, total=len(work), unit="training", disable=not progress, dynamic_ncols=True))
    scores = np.array([scores for scores, _ in rows]).reshape(len(trains), len(seeds), len(tests), -1)
    told = zip(work, rows, strict=True)
    notes = [f"{level.label}, seed {seed}: {note}" for (level, seed), (_, own) in told for note in own]
    targets = data.test.targets.numpy()
    return RobustnessGrid(
        data.name, trains, tests, seeds, scores.transpose(0, 2, 1, 3), targets, data.test.groups, tuple(notes)
    )


def _check_fit(data: TaskData, trains: tuple[Level, ...], tests: tuple[Level, ...]) -> None:
    """Refuse before hours are spent what would fail after the first training."""
    scene = scene_shape(data)
    for train, test in itertools.product(trains, tests):
        layers = carry_learned(train.camera(), test.camera(), test.label)
        ours, theirs = (_channels(camera, level, scene) for camera, level in ((train.camera(), train), (layers, test)))
        if ours != theirs:
            raise ValueError(
                f"Expected the camera at {test.label} to give {ours} channels as at {train.label}, but got {theirs}; "
                f"one network cannot stand behind both."
            )


def _channels(camera: Sequence[nn.Module], level: Level, scene: tuple[int, int, int]) -> int:
    reading = handed_over(nn.Sequential(*camera), scene)
    if reading[1] > scene[1] or reading[2] > scene[2]:
        raise ValueError(
            f"Expected the camera at {level.label} to give images no larger than the scene's {scene[1]}×{scene[2]} "
            f"pixels, but got {reading}; put what follows into the network."
        )
    return reading[0]


def _row(
    data: TaskData,
    network: Network,
    tests: tuple[Level, ...],
    recipe: Recipe,
    augment: Augment | None,
    device: str,
    level: Level,
    seed: int,
) -> tuple[list[list[float]], list[str]]:
    """Train once, judge at every test level: scores, test levels × images, and what the training had to say."""
    scene = scene_shape(data)
    with seeded(seed):  # a denoiser in the camera starts from the seed too
        layers = level.camera()
        behind = network(network_input(layers, scene), data.problem.outputs)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        splits = data.split(seed)
        result = fit(
            join(layers, behind, scene), splits["train"], splits["validation"], recipe, seed=seed,
            problem=data.problem, augment=augment, device=device,
        )  # fmt: skip
        scores = []
        for test in tests:
            judged = join(carry_learned(layers, test.camera(), test.label), behind, scene)
            outputs = predict_exposures(judged, data.test, linear=recipe.linear, device=device)
            each = torch.stack([data.problem.score_images(seen, data.test.targets) for seen in outputs])
            scores.append(each.mean(0).tolist())
    finally:
        torch.set_num_threads(threads)
    return scores, result.warnings
