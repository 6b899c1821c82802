"""Is there tumour in the middle of a patch? An embedded phantom of lymph nodes, or PatchCamelyon from its files.

Real: PatchCamelyon (B. S. Veeling et al. 2018, arXiv:1806.03962), 96×96 RGB, in HDF5 with its official split; or a
folder of images with a table ``id,label`` as Kaggle has them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import group_split
from physlayer.tasks.augmentation import eight_views, lamp
from physlayer.tasks.base import Options, refuse
from physlayer.tasks.cache import rendered_sets
from physlayer.tasks.networks import build_network
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "LymphNodes"]

CLASSES = ("normal", "tumour")
SIZE = 48  # pixels of the phantom
POOL, TEST = 800, 400
IMAGES_PER_SLIDE = 10  # few, so that intervals over the slides of the test set can be trusted
FAST_POOL, FAST_TEST = 200, 100
TEST_FRACTION, SPLIT_SEED = 0.25, 2018  # of a folder without a split, the same for everybody
LIMIT = 8000  # real patches per split that are drawn: all would need 7 GB


class LymphNodes:
    """The task: a phantom by default, PatchCamelyon's files or a folder with ``data``."""

    name = "lymph_nodes"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``.

        Raises:
            ValueError: if sources are given apart from the files, or a width with a folder. As the loaders.
        """
        refuse(
            options, self.name, groups="the files or a column of their table name the slides",
            skip_unreadable="remove damaged images from the table", drop_straddling="keep the split as it is",
        )  # fmt: skip
        if options.data is None:
            pool, test, notes = self._phantom(options)
        else:
            refuse(options, self.name, width="the files have their own size")
            pool, test, notes = self._real(options)
        return TaskData(self.name, CLASSES, pool, test, fingerprint(pool, test), notes)

    def _phantom(self, options: Options) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
        from physlayer.color import stains
        from physlayer.tasks import tissue
        from physlayer.tasks.lymph_nodes import phantom

        size = SIZE if options.width is None else options.width

        def render(count: int, seed: int) -> tuple:
            made = phantom.make_phantom(count, seed=seed, size=size, images_per_slide=IMAGES_PER_SLIDE)
            return made.images, made.targets, made.groups

        counts = (FAST_POOL, FAST_TEST) if options.fast else (POOL, TEST)
        sets = rendered_sets("node_images", (phantom, tissue, stains), render, counts, size)
        note = f"Embedded phantom of lymph nodes, {size}×{size} pixels, linear light; sources are slides."
        return *sets, (note,)

    def _real(self, options: Options) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
        from physlayer.tasks.lymph_nodes.loaders import PREFIX, load_image_folder, load_patch_camelyon

        if any(Path(options.data).glob(f"{PREFIX}*")):
            found, notes = load_patch_camelyon(options.data, limit=LIMIT)
            sets = [ImageSet(*found[split], "srgb") for split in ("train", "test")]
            return *sets, (f"At most {LIMIT} patches of each split; the official validation split is not used.", *notes)
        patches, notes = load_image_folder(options.data, limit=2 * LIMIT)
        whole = ImageSet(*patches, "srgb")
        pool, test = group_split(whole.targets, whole.group_codes, TEST_FRACTION, SPLIT_SEED, class_names=CLASSES)
        return (
            whole.subset(pool),
            whole.subset(test),
            (f"A fixed {TEST_FRACTION:.0%} of the sources is the test set.", *notes),
        )

    def network(self, name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        """A fresh network by name; ``dense`` is the class projects'."""
        if name == "dense":
            from physlayer.tasks.lymph_nodes.networks import DenseNetwork

            return DenseNetwork(shape, outputs)
        return build_network(name, shape, outputs)

    def default_network(self, options: Options) -> str:
        return "small" if options.data is None else "large"

    def recipe(self, options: Options) -> Recipe:
        """Weight decay stands for the L2 penalty of the class projects; their L1 penalty is ``l1``."""
        if options.data is not None:
            return Recipe(epochs=2 if options.fast else 10, weight_decay=1e-3, l1=1e-6)
        return Recipe(epochs=6 if options.fast else 24, lr=5e-3, weight_decay=1e-3)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All eight ways to look at tissue, and a small change of the lamp; the middle stays the middle."""
        images, targets = eight_views(images, targets, generator)
        return lamp(images, generator), targets


TASK = LymphNodes()
