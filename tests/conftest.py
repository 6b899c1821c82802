"""What several test files share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers fill the cores
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """``real(name)``: the folder of a real data set; without one the test is skipped, and says where it looked."""
    places = [os.environ.get("PHYSLAYER_DATA"), Path(__file__).parents[2] / "shared" / "data"]

    def find(name: str) -> Path:
        found = [Path(place) / name for place in places if place and (Path(place) / name).is_dir()]
        if not found:
            pytest.skip(f"no folder {name} here; set PHYSLAYER_DATA to the folder that holds it")
        return found[0]

    return find


@pytest.fixture(scope="session")
def own_task_code() -> str:
    """A file of a user's own: 48 images of 8×8 pixels, bright in one half or everywhere alike, and a linear network."""
    return """
import math

import numpy as np
import torch
from torch import nn

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import group_split
from physlayer.training.recipe import Recipe

CLASSES = ("half", "whole")


class Mine:
    name = "mine"

    def load(self, options):
        targets = torch.arange(48) % 2
        images = torch.randint(0, 100, (48, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        images[targets == 1, :, :4] += 100
        groups = np.array([f"scene_{i // 4}_{i % 2}" for i in range(48)])
        whole = ImageSet(images, targets, groups, "linear")
        pool, test = group_split(targets, groups, 0.25, seed=0, class_names=CLASSES)
        key = fingerprint(images, targets, groups)
        return TaskData("mine", CLASSES, whole.subset(pool), whole.subset(test), key, ())

    def network(self, name, shape, outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs))

    def default_network(self, options):
        return "linear"

    def recipe(self, options):
        return Recipe(epochs=1)

    def augment(self, images, targets, generator):
        return images, targets


TASK = Mine()
"""
