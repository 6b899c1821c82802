r"""A folder of your own images, without code: classes by folder, a CSV file of classes or numbers, or masks.

``--task folder --data DIR`` takes

- ``DIR/apple/1.png``, ``DIR/pear/2.jpg``, or the same below ``DIR/train`` and ``DIR/test``: classes;
- images with a CSV file in ``DIR``, one row for each. A column ``label`` or ``class`` holds classes (words, or up to 20
  different whole numbers); without it all columns of numbers are predicted;
- ``DIR/images/1.png`` with ``DIR/masks/1.png``, or ``1.png`` with ``1_mask.png``: masks of 0 and 1, or 0 and 255.

Images of one source (a patient, a slide, a tree) must not be on both sides of a split. The source is named by a column
of the CSV file (``group``, ``source``, ``patient``, ``slide``, …), or by ``--groups``, which is

1. a file, if one of that name exists: a CSV file with the columns ``file,group``;
2. else the name of a column of the CSV file in ``DIR``;
3. else a regular expression with one pair of parentheses around the source, ``'^(\d+)_'``: it is searched for in the
   file's name, or, if it holds a slash, in its path below ``DIR``.

Without either, every image is a source of its own, which is right for independent photographs alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.data.image_set import TaskData
from physlayer.tasks.augmentation import lamp, mirror
from physlayer.tasks.base import Options
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "Folder"]

FAST_IMAGES = 50  # per class and epoch


class Folder:
    """The task: whatever the folder asks."""

    name = "folder"

    def load(self, options: Options) -> TaskData:
        """Data of the folder ``options.data``.

        Raises:
            FileNotFoundError: if there is no such folder, or a table of sources is missing.
            ValueError: if no folder is given, or what it holds cannot be learned from; the message says why.
        """
        from physlayer.tasks.folder.kinds import understand
        from physlayer.tasks.folder.reading import read_images
        from physlayer.tasks.folder.sets import task_data

        found = understand(self._folder(options), options.groups)
        seen = read_images(
            found.root, found.images, found.masks, width=options.width, skip_unreadable=options.skip_unreadable
        )
        return task_data(found.subset(seen.kept), seen, drop_straddling=options.drop_straddling)

    def _folder(self, options: Options) -> str:
        if options.data is None:
            raise ValueError(
                "Expected --data DIR for the task folder, which has no images of its own, but got none; give a folder "
                "of images in class folders, with a CSV file, or with masks."
            )
        return options.data

    def network(self, name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        """A fresh network by name, for readings ``(C, H, W)``: those for classes also give numbers, and reversely.

        Raises:
            ValueError: if there is none of that name, with the names that exist.
        """
        from physlayer.tasks import mask_networks as masks
        from physlayer.tasks import networks
        from physlayer.tasks import number_networks as numbers

        if name in numbers.NETWORKS:
            return numbers.NETWORKS[name](shape, outputs)
        if name in masks.NETWORKS:
            return masks.build_network(name, shape, outputs)
        if name not in networks.NETWORKS:
            raise ValueError(
                f"Expected network to be one of {', '.join(networks.NETWORKS)} (classes), "
                f"{', '.join(numbers.NETWORKS)} (numbers) or {', '.join(masks.NETWORKS)} (masks), but got {name!r}."
            )
        return networks.build_network(name, shape, outputs)

    def default_network(self, options: Options) -> str:
        """The small one of each kind: ``small`` for classes, ``shared`` for numbers, ``unet`` for masks."""
        from physlayer.tasks.folder.kinds import CLASSES, MASKS, NUMBERS, understand

        kind = understand(self._folder(options), options.groups).kind
        return {CLASSES: "small", NUMBERS: "shared", MASKS: "unet"}[kind]

    def recipe(self, options: Options) -> Recipe:
        """A moderate one: a few hundred to a few thousand images, all seen in every epoch."""
        rates = {"lr": 4e-3, "batch_size": 16}
        if options.fast:
            return Recipe(epochs=2, images_per_class=FAST_IMAGES, validation_per_class=FAST_IMAGES, **rates)
        return Recipe(epochs=30, **rates)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For classes and masks a small change of the lamp, and the mirror image, left to right; numbers stay alone.

        No turns, and no mirror image upside down: photographs have an up and a down, and a class such as 6 or 9 may be
        told by it. A number may be a place, an angle, or what brightness tells: another image would need another one.
        Where left and right are classes of their own, train with ``--no-augment``.
        """
        if targets.is_floating_point():
            return images, targets
        images, targets = mirror(images, targets, generator, axes=(3,))
        return lamp(images, generator), targets


TASK = Folder()
