"""What a user writes, with types: a camera in front of a network, a training, a sweep. Checked by mypy, and run."""

from __future__ import annotations

from typing import assert_type

import numpy as np
import torch
from torch import Tensor, nn

import physlayer as pl
from physlayer.experiment import no_layer
from physlayer.tasks.base import Options, get_task


class Attenuator(pl.PhysicalLayer):
    """Transmission of a neutral filter."""

    def __init__(self, transmission: float | nn.Parameter) -> None:
        super().__init__()
        self.register_physical("transmission", transmission, unit="1", low=0.0, high=1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.transmission * x


def small_network(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


def image_set(seed: int) -> pl.ImageSet:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(24) % 2
    images = (0.2 + 0.4 * targets.view(-1, 1, 1, 1) + 0.2 * torch.rand(24, 3, 8, 8, generator=generator)).clamp(0, 1)
    return pl.ImageSet(images, targets, np.array([f"slide {seed} {number}" for number in range(24)]), "linear")


def learned(point: pl.Point) -> list[nn.Module]:
    return [pl.BitDepth(int(point.value), gain=nn.Parameter(torch.ones(3, 1, 1)))]


SWEEP = pl.Sweep(
    name="mine",
    parameter="bits",
    axis="bits per pixel",
    minimum=1,
    maximum=8,
    default="1..4",
    variants=(
        pl.Variant("learned", "learned gain", learned, learned=True),
        pl.Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("learned",),
    baseline="learned",
)


def camera_in_front_of_a_network() -> nn.Sequential:
    x = torch.rand(2, 3, 8, 8)
    camera = pl.BitDepth(2, gain=nn.Parameter(torch.ones(3, 1, 1)), offset=0.0)
    assert_type(camera(x), Tensor)
    assert_type(camera.gain * 2, Tensor)
    assert_type(camera.codes(x), Tensor)
    mine = Attenuator(nn.Parameter(torch.tensor(0.5)))
    assert_type(mine(camera(x)), Tensor)
    assert_type(mine.transmission.detach(), Tensor)

    fixed = Attenuator(0.5)
    fixed.transmission = 0.25  # a fixed quantity may be set with a number
    model = nn.Sequential(fixed, camera, small_network(3, 2))
    optimizer = torch.optim.AdamW(pl.parameter_groups(model, lr=1e-3, lr_physics=1e-2))
    optimizer.step()
    return model


def train(model: nn.Sequential) -> float:
    recipe = pl.Recipe(epochs=1, batch_size=8)
    result = pl.fit(model, image_set(0), image_set(1), recipe, seed=0, problem=pl.Classification(("dark", "bright")))
    assert_type(result.best_epoch, int)
    logits = pl.predict(model, image_set(2))
    assert_type(logits, Tensor)
    return float(logits.mean())


def main() -> None:
    print(train(camera_in_front_of_a_network()))
    assert_type(SWEEP.variant("learned"), pl.Variant)
    task = get_task("digits")
    assert_type(task.recipe(Options(fast=True)), pl.Recipe)
    assert_type(task.network("small", (3, 8, 8), 2), nn.Module)


if __name__ == "__main__":
    main()
