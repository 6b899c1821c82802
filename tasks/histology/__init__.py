"""Which pixels belong to a gland? An embedded phantom of H&E-stained colon, or the Warwick glands from a folder.

Real: the reduced Warwick-QU set (GlaS, MICCAI 2015; K. Sirinukunwattana et al. 2017, doi:10.1016/j.media.2016.08.008),
128×128 pixels, two stain channels, its official split.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.problems.segmentation import Segmentation
from physlayer.tasks.augmentation import eight_views, lamp
from physlayer.tasks.base import Options, refuse
from physlayer.tasks.cache import rendered_sets
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "Histology"]

SIZE, FAST_SIZE = 64, 32  # pixels of the phantom
POOL, TEST = 400, 150
IMAGES_PER_SLIDE = 5  # few, so that intervals over the slides of the test set can be trusted
FAST_POOL, FAST_TEST = 100, 50


class Histology:
    """The task: a phantom by default, Warwick's folder with ``data``."""

    name = "histology"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``.

        Raises:
            ValueError: if sources are given, or a width with a folder. As the loader of the folder.
        """
        refuse(
            options, self.name, groups="every image of the set is its own source",
            skip_unreadable="remove damaged images with their masks", drop_straddling="the split is by image",
        )  # fmt: skip
        if options.data is None:
            from physlayer.color import stains
            from physlayer.tasks import tissue
            from physlayer.tasks.histology import glands, phantom

            size = (FAST_SIZE if options.fast else SIZE) if options.width is None else options.width

            def render(count: int, seed: int) -> tuple:
                made = phantom.make_phantom(count, seed=seed, size=size, images_per_slide=IMAGES_PER_SLIDE)
                return made.images, made.masks, made.groups

            counts = (FAST_POOL, FAST_TEST) if options.fast else (POOL, TEST)
            sets = rendered_sets("gland_images", (glands, phantom, tissue, stains), render, counts, size)
            notes = (
                f"Embedded phantom of H&E-stained glands, {size}×{size} pixels, linear light; sources are slides.",
            )
        else:
            from physlayer.tasks.histology.warwick import load_folder

            refuse(options, self.name, width="the files have their own size")
            train, test, encoding, notes = load_folder(options.data)
            sets = [ImageSet(part.images, part.masks, part.groups, encoding) for part in (train, test)]
        return TaskData(self.name, Segmentation(("stroma", "gland")), *sets, fingerprint(*sets), tuple(notes))

    def network(self, name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        """A fresh network by name, for readings ``(C, H, W)``; the problem brings its maps to the size of the mask."""
        from physlayer.tasks.mask_networks import build_network

        return build_network(name, shape, outputs)

    def default_network(self, options: Options) -> str:
        """The small U-Net: the course's encoder is faster and blurs the outlines."""
        return "unet"

    def recipe(self, options: Options) -> Recipe:
        """Few images, seen often."""
        if options.data is not None:
            return Recipe(epochs=4 if options.fast else 80, lr=5e-3, batch_size=8)
        return Recipe(epochs=5 if options.fast else 20, lr=5e-3, batch_size=8 if options.fast else 16)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All eight ways to look at tissue, and a small change of the lamp."""
        images, targets = eight_views(images, targets, generator)
        return lamp(images, generator), targets


TASK = Histology()
