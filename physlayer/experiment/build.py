"""From a run's configuration to its camera and network: the same for training, for reports, for dependent runs."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.modes import evaluating
from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment.record import Trial
from physlayer.experiment.run import Run
from physlayer.experiment.spec import Point, Variant
from physlayer.problems.base import Problem
from physlayer.tasks.base import Task
from physlayer.training.loop import seeded

__all__ = [
    "assemble",
    "camera_of",
    "carry_learned",
    "chosen_candidate",
    "handed_over",
    "join",
    "network_input",
    "network_of",
    "point_of",
    "quantiles_of",
    "scene_shape",
    "scenes_of",
]

QUANTILE_SCENES, QUANTILE_SAMPLES = 256, 200_000
SAMPLE_SCENES = 1024


def scene_shape(data: TaskData) -> tuple[int, int, int]:
    """``(C, H, W)`` of the scenes of a task."""
    channels, height, width = data.pool.images.shape[1:]
    return channels, height, width


def point_of(run: Run, data: TaskData) -> Point:
    """What an arm may look at to build the camera of a run."""

    @functools.cache
    def train() -> ImageSet:  # only the arms that ask pay for the split
        return data.split(run.seed)["train"]

    @functools.cache
    def quantile() -> Callable[[float], Tensor]:
        return quantiles_of(train(), run.linear)

    return Point(
        value=run.value,  # type: ignore[arg-type]  # None only for arms that do not look at it
        shape=scene_shape(data),
        quantile=lambda share: quantile()(share),
        scenes=lambda: scenes_of(train(), run.linear),
        generator=torch.Generator().manual_seed(run.seed),
    )


def chosen_candidate(variant: Variant, point: Point, search: Sequence[Trial], problem: Problem) -> dict[str, Any]:
    """Setting that an arm takes: the first of the best on validation, the only one there is, or none to choose.

    Args:
        search: all that were tried; empty if there is but one.
    """
    if variant.candidates is None:
        return {}
    if not search:
        return variant.candidates(point)[0]
    better = max if problem.higher_is_better else min
    return better(search, key=lambda trial: trial.validation).candidate


def assemble(task: Task, run: Run, layers: list[nn.Module], data: TaskData) -> nn.Sequential:
    """Camera and an untrained network for what the camera hands over; the network is always the last module."""
    scene = scene_shape(data)
    reading = handed_over(nn.Sequential(*layers), scene)
    with seeded(run.seed):
        network = task.network(run.network, _seen(reading, scene), data.problem.outputs)
    return _joined(layers, network, reading, scene)


class SpreadReading(nn.Sequential):
    """A network behind a reading that is spread over the scene's pixels."""

    def __init__(self, network: nn.Module, size: tuple[int, int]):
        super().__init__(nn.Upsample(size=size, mode="nearest"), network)


def network_input(layers: Sequence[nn.Module], scene: tuple[int, int, int]) -> tuple[int, int, int]:
    """Shape of what a network sees behind a camera: the reading, or as many pixels as the scene if it has fewer."""
    return _seen(handed_over(nn.Sequential(*layers), scene), scene)


def join(layers: Sequence[nn.Module], network: nn.Module, scene: tuple[int, int, int]) -> nn.Sequential:
    """Camera and network as one model.

    A reading smaller than the scene is spread over the scene's pixels (nearest, so no value is invented): the network
    then has the same field of view, depth and cost behind every camera.
    """
    return _joined(layers, network, handed_over(nn.Sequential(*layers), scene), scene)


def _seen(reading: tuple[int, int, int], scene: tuple[int, int, int]) -> tuple[int, int, int]:
    return (reading[0], *scene[1:]) if reading[1] < scene[1] or reading[2] < scene[2] else reading


def _joined(
    layers: Sequence[nn.Module], network: nn.Module, reading: tuple[int, int, int], scene: tuple[int, int, int]
) -> nn.Sequential:
    if _seen(reading, scene) != reading:
        network = SpreadReading(network, scene[1:])
    return nn.Sequential(*layers, network)


def network_of(model: nn.Sequential) -> nn.Module:
    """The network alone, without what spreads a smaller reading."""
    return model[-1][1] if isinstance(model[-1], SpreadReading) else model[-1]


def carry_learned(trained: Sequence[nn.Module], layers: list[nn.Module], place: str) -> list[nn.Module]:
    """Give a camera all that was learned in a ``trained`` one; returns ``layers``.

    Learned parameters, and the state of modules that are no physical layers (a denoiser's batch norm), are those of
    training; fixed physical quantities stay what they are.

    Args:
        place: where the camera is put, for the error.

    Raises:
        ValueError: if the two cameras do not hold the same learned modules in the same order.

    Example:
        >>> from physlayer import GaussianNoise
        >>> denoiser = nn.Conv2d(1, 1, 3, padding=1)
        >>> layers = [GaussianNoise(0.2), nn.Conv2d(1, 1, 3, padding=1)]
        >>> camera = carry_learned([GaussianNoise(0.1), denoiser], layers, "0.2 full scale")
        >>> camera[0], bool((camera[1].weight == denoiser.weight).all())
        (GaussianNoise(noise_seed=0, noise_rms=0.2 full scale (fixed)), True)
    """
    ours, theirs = ([state for module in camera if (state := _learned(module))] for camera in (trained, layers))
    shapes = [[{n: tuple(v.shape) for n, v in state.items()} for state in states] for states in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Expected the camera at {place} to learn {shapes[0] or 'nothing'} as that of the training, but got "
            f"{shapes[1] or 'nothing'}; put the denoiser into the camera of every level, or into the network."
        )
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            for name, value in other.items():
                value.copy_(mine[name])
    return layers


def _learned(module: nn.Module) -> dict[str, Tensor]:
    """Tensors of a module that training sets: all but the fixed quantities of physical layers."""
    fixed = [name for name, part in module.named_modules() if isinstance(part, PhysicalLayer)]
    buffers = {n: b for n, b in module.named_buffers() if n.rpartition(".")[0] not in fixed}
    return dict(module.named_parameters()) | buffers


def handed_over(camera: nn.Sequential, scene: tuple[int, int, int]) -> tuple[int, int, int]:
    """Shape of what a camera and its digital steps give for one scene, by giving them a dark one.

    What they warn of is the dark scene's, and says nothing of the images.
    """
    with evaluating(camera), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        channels, height, width = camera(torch.zeros(1, *scene)).shape[1:]
    return channels, height, width


def camera_of(model: nn.Sequential) -> nn.Sequential:
    """What stands before the network: physical layers, and any digital step between them."""
    return nn.Sequential(*list(model)[:-1])


def scenes_of(images: ImageSet, linear: bool, most: int = SAMPLE_SCENES) -> Tensor:
    """At most ``most`` of the images, ``(N, C, H, W)``, evenly over the set: the same ones every time."""
    some = torch.linspace(0, len(images) - 1, min(len(images), most)).long()
    return images.batch(some, linear=linear)


def quantiles_of(images: ImageSet, linear: bool) -> Callable[[float], Tensor]:
    """Per-channel quantiles of the training scenes, ``quantile(q) -> (C, 1, 1)``, from a fixed sample of pixels.

    Exactly black pixels are left out: they are the fill of augmented copies, and would put every low quantile at 0.
    """

    @functools.cache
    def pixels() -> Tensor:
        values = scenes_of(images, linear, QUANTILE_SCENES).transpose(0, 1).flatten(1)
        values = values[:, values.amax(0) > 0.02] if bool((values.amax(0) > 0.02).any()) else values
        return values[:, :: max(1, values.shape[1] // QUANTILE_SAMPLES)]

    return lambda q: torch.quantile(pixels(), q, dim=1).view(-1, 1, 1)
