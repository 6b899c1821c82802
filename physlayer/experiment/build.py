"""From a run's configuration to its camera and network: the same for training, for reports, for dependent runs."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from physlayer.core.modes import evaluating
from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment.spec import Point, Variant
from physlayer.training.loop import seeded

__all__ = ["assemble", "camera_of", "chosen_candidate", "point_of", "quantiles_of", "scenes_of"]

QUANTILE_SCENES, QUANTILE_SAMPLES = 256, 200_000
SAMPLE_SCENES = 1024


def point_of(config: dict, data: TaskData) -> Point:
    """What an arm may look at to build the camera of a run."""

    linear = config["recipe"]["linear"]

    @functools.cache
    def train() -> ImageSet:  # only the arms that ask pay for the split
        return data.split(config["seed"])["train"]

    @functools.cache
    def quantile() -> object:
        return quantiles_of(train(), linear)

    return Point(
        value=config["value"],
        shape=tuple(data.pool.images.shape[1:]),
        quantile=lambda share: quantile()(share),
        scenes=lambda: scenes_of(train(), linear),
        generator=torch.Generator().manual_seed(config["seed"]),
    )


def chosen_candidate(variant: Variant, point: Point, search: list[dict], problem) -> dict:
    """Setting that a searched arm takes: the first of the best on validation, or the only one there is.

    Args:
        search: ``{"candidate": …, "validation": score}`` for each that was tried; empty if there is but one.
    """
    if not search:
        return variant.candidates(point)[0]
    better = max if problem.higher_is_better else min
    return better(search, key=lambda entry: entry["validation"])["candidate"]


def assemble(task, config: dict, layers: list[nn.Module], data: TaskData) -> nn.Sequential:
    """Camera and an untrained network for what the camera hands over; the network is always the last module.

    A reading smaller than the scene is spread over the scene's pixels (nearest, so no value is invented): the network
    then has the same field of view, depth and cost behind every camera.
    """
    scene = tuple(data.pool.images.shape[1:])
    channels, height, width = handed_over(nn.Sequential(*layers), scene)
    smaller = height < scene[1] or width < scene[2]
    seen = (channels, *scene[1:]) if smaller else (channels, height, width)
    with seeded(config["seed"]):
        network = task.network(config["network"], seen, data.problem.outputs)
    if smaller:
        network = nn.Sequential(nn.Upsample(size=scene[1:], mode="nearest"), network)
    return nn.Sequential(*layers, network)


def handed_over(camera: nn.Sequential, scene: tuple[int, int, int]) -> tuple[int, int, int]:
    """Shape of what a camera and its digital steps give for one scene, by giving them a dark one."""
    with evaluating(camera), torch.no_grad():
        return tuple(camera(torch.zeros(1, *scene)).shape[1:])


def camera_of(model: nn.Sequential) -> nn.Sequential:
    """What stands before the network: physical layers, and any digital step between them."""
    return model[:-1]


def scenes_of(images: ImageSet, linear: bool, most: int = SAMPLE_SCENES) -> Tensor:
    """At most ``most`` of the images, ``(N, C, H, W)``, evenly over the set: the same ones every time."""
    some = torch.linspace(0, len(images) - 1, min(len(images), most)).long()
    return images.batch(some, linear=linear)


def quantiles_of(images: ImageSet, linear: bool):
    """Per-channel quantiles of the training scenes, ``quantile(q) -> (C, 1, 1)``, from a fixed sample of pixels.

    Exactly black pixels are left out: they are the fill of augmented copies, and would put every low quantile at 0.
    """

    @functools.cache
    def pixels() -> Tensor:
        values = scenes_of(images, linear, QUANTILE_SCENES).transpose(0, 1).flatten(1)
        values = values[:, values.amax(0) > 0.02] if bool((values.amax(0) > 0.02).any()) else values
        return values[:, :: max(1, values.shape[1] // QUANTILE_SAMPLES)]

    return lambda q: torch.quantile(pixels(), q, dim=1).view(-1, 1, 1)
