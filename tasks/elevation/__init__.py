"""How much heat flows out of the sea floor? Four classes from detrended elevation: an embedded phantom, or HDF5.

Scenes are heights, not light: 0.5 is on the trend, and one scale holds for all patches, so that a converter's codes
mean metres (:mod:`physlayer.tasks.elevation.scale`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import group_split
from physlayer.problems.classification import Classification
from physlayer.tasks.augmentation import eight_views, small_turn
from physlayer.tasks.base import Options, refuse
from physlayer.tasks.cache import rendered_sets
from physlayer.tasks.elevation.scale import CLASS_NAMES
from physlayer.tasks.networks import build_network
from physlayer.tasks.number_networks import NetworkInNetwork
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "Elevation"]

SIZE = 50  # pixels of the phantom; files have 200
POOL, TEST = 800, 400
FAST_POOL, FAST_TEST = 240, 120
TEST_FRACTION, SPLIT_SEED = 0.25, 222  # of a file, the same for everybody
BINARY_EDGE = 2  # "binary accuracy": up to the second edge of the classes, or above


class Elevation:
    """The task: a phantom by default, an HDF5 file with ``data``."""

    name = "elevation"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``; a width makes larger pixels by averaging.

        Raises:
            ValueError: if sources are given apart from the file, or the width is not between 16 and that of the file.
                As the loader.
        """
        refuse(
            options, self.name, groups="the array /groups of the file names the regions",
            skip_unreadable="there is one file", drop_straddling="no region is on both sides",
        )  # fmt: skip
        if options.data is None:
            from physlayer.tasks.elevation import phantom, scale

            size = SIZE if options.width is None else options.width

            def render(count: int, seed: int) -> tuple:
                made = phantom.make_phantom(count, seed=seed, size=size)
                return scale.normalise_elevation(made.elevation_m.numpy()), made.targets, made.groups

            counts = (FAST_POOL, FAST_TEST) if options.fast else (POOL, TEST)
            sets = rendered_sets("terrain_images", (phantom, scale), render, counts, size)
            notes = (f"Embedded phantom of terrain, {size}×{size} pixels; sources are regions.",)
        else:
            from physlayer.tasks.elevation.loaders import load_hdf5

            patches, notes = load_hdf5(options.data)
            images = patches.images
            if options.width is not None:
                if not 16 <= options.width <= images.shape[3]:
                    raise ValueError(f"Expected --width to be 16 to {images.shape[3]} pixels, but got {options.width}.")
                height = round(options.width * images.shape[2] / images.shape[3])
                images = F.adaptive_avg_pool2d(images, (height, options.width))
            whole = ImageSet(images, patches.targets, patches.groups, "linear")
            split = group_split(whole.targets, whole.group_codes, TEST_FRACTION, SPLIT_SEED, class_names=CLASS_NAMES)
            sets = [whole.subset(part) for part in split]
            notes = (f"A fixed {TEST_FRACTION:.0%} of the sources is the test set.", *notes)
        problem = Classification(CLASS_NAMES, edge=BINARY_EDGE)
        return TaskData(self.name, problem, *sets, fingerprint(*sets), tuple(notes))

    def network(self, name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        """A fresh network by name; ``network_in_network`` is the class projects', with dropout."""
        if name == "network_in_network":
            return NetworkInNetwork(shape, outputs, dropout=0.3)
        return build_network(name, shape, outputs)

    def default_network(self, options: Options) -> str:
        """That of the class projects: ``small`` often stays at guessing for all its epochs."""
        return "network_in_network"

    def recipe(self, options: Options) -> Recipe:
        """Every class as often as the others, whatever the file holds."""
        if options.data is not None:
            return Recipe(epochs=4 if options.fast else 60, lr=2e-3, batch_size=16, images_per_class=40)
        per_class = 40 if options.fast else 200
        return Recipe(epochs=3 if options.fast else 24, lr=2e-3, batch_size=32, images_per_class=per_class)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All eight ways to look down at terrain, half of them turned by any angle; heights stay."""
        images, targets = eight_views(images, targets, generator)
        turned = torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device) < 0.5
        return torch.where(turned, small_turn(images, generator, 45.0), images), targets


TASK = Elevation()
