"""Handwritten digits, ten classes, grey: an embedded set of 1797, or MNIST's original files from a folder.

Embedded: the test part of *Optical Recognition of Handwritten Digits* (E. Alpaydin and C. Kaynak, 1998, UCI Machine
Learning Repository, doi:10.24432/C50P49, CC BY 4.0), as scikit-learn ships it: 8×8 counts of inked pixels, 0…16.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import group_split
from physlayer.tasks.base import Options, refuse
from physlayer.tasks.digits.networks import build_network
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "Digits", "embedded_digits"]

CLASSES = tuple("0123456789")
SIZE = 28  # of the embedded images, as MNIST's
TWICE, BORDER = 64, 4  # of images twice as large in a black border, and the border
INK_LEVELS = 16  # of the embedded images: counts of inked pixels in a block of 4×4
TEST_FRACTION, SPLIT_SEED = 1 / 3, 1797  # of the embedded set, the same for everybody


class Digits:
    """The digit task: scikit-learn's small set by default, MNIST's folder with ``data``."""

    name = "digits"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``.

        Images have 28 pixels; with ``width`` 64 they are upsampled twice and a black border of 4 pixels is put around.

        Raises:
            ValueError: if sources are given (neither set says who wrote what, so there is nothing to check them
                with), or another width.
        """
        if options.width not in (None, SIZE, TWICE):
            raise ValueError(f"Expected --width of digits to be {SIZE} or {TWICE} pixels, but got {options.width}.")
        refuse(
            options, "digits", groups="the files do not say who wrote them, each image is its own source",
            skip_unreadable="all images are in one file", drop_straddling="each image is its own source",
        )  # fmt: skip
        return self._load_real(options) if options.data is not None else self._load_embedded(options)

    def _load_embedded(self, options: Options) -> TaskData:
        images, targets = embedded_digits(SIZE)
        images = sized(images, options.width)
        groups = np.array([f"digit_{number:04d}" for number in range(len(images))])
        pool, test = group_split(targets, groups, TEST_FRACTION, SPLIT_SEED, class_names=CLASSES)
        whole = ImageSet(images, targets, groups, "linear")
        notes = (
            f"Embedded real digits (Alpaydin and Kaynak 1998), 8×8 pixels upsampled to {SIZE}×{SIZE}: neighbouring "
            "pixels say nearly the same, so numbers of pixels read are not comparable with MNIST.",
            "The 13 writers are not told: every image counts as a source of its own, a writer may be in training and "
            "test, and intervals hold for new images of these writers, not for new writers.",
        )
        return _task_data(whole.subset(pool), whole.subset(test), notes)

    def _load_real(self, options: Options) -> TaskData:
        from physlayer.tasks.digits.idx import load_folder

        parts = load_folder(options.data)
        pool, test = (
            ImageSet(
                sized(torch.from_numpy(images.copy())[:, None], options.width),
                torch.from_numpy(labels.astype(np.int64)),
                np.array([f"{name}_{number:05d}" for number in range(len(images))]),
                "linear",  # grey is the share of a pixel that is inked, which is the light it sends back
            )
            for name, images, labels in (("train", *parts[:2]), ("t10k", *parts[2:]))
        )
        notes = (
            f"Official split: {len(pool)} training images, {len(test)} test images.",
            "The files do not say who wrote them: every image counts as a source of its own, and intervals hold for "
            "new images, not for new writers.",
        )
        return _task_data(pool, test, notes)

    def network(self, name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """A fresh network by name, one of the homework's or of :mod:`physlayer.tasks.networks`."""
        return build_network(name, shape, classes)

    def default_network(self, options: Options) -> str:
        """The perceptron: digits are centred, and it can use pixels that lie apart."""
        return "mlp"

    def recipe(self, options: Options) -> Recipe:
        """Many steps of a small network: the places of few sensors take longer to find than the weights."""
        rates = {"lr": 2e-3, "lr_physics": 0.06, "batch_size": 64}  # tried with --development, down to three pixels
        if options.data is not None:
            return Recipe(epochs=2 if options.fast else 16, images_per_class=1000, validation_per_class=150, **rates)
        return Recipe(epochs=8 if options.fast else 60, **rates)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A small change of the lamp's brightness; no mirror images or turns, which make other digits."""
        lamp = 1 + 0.2 * (torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device) - 0.5)
        return (images * lamp).clamp(0, 1), targets


def sized(images: Tensor, width: int | None) -> Tensor:
    """Codes of digits at 28 pixels, or twice as large in a black border.

    Example:
        >>> sized(torch.full((1, 1, 28, 28), 200, dtype=torch.uint8), 64)[0, 0, 30:34, 2:6].tolist()[0]
        [0, 0, 200, 200]
    """
    if width != TWICE:
        return images
    parts = [F.interpolate(part.double(), scale_factor=2, mode="bilinear").round() for part in images.split(1024)]
    return F.pad(torch.cat([part.to(torch.uint8) for part in parts]), (BORDER,) * 4)


def embedded_digits(size: int) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1797 digits, ink as bright, upsampled bicubically to ``size``.

    Returns:
        Codes ``(1797, 1, size, size)``, uint8, linear light, and the digits, int64.

    Example:
        >>> images, targets = embedded_digits(28)
        >>> images.shape, targets.bincount().tolist()
        (torch.Size([1797, 1, 28, 28]), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    ink = torch.from_numpy(found.images / INK_LEVELS)[:, None]
    # double precision and 8-bit codes: the same images on every machine
    smooth = F.interpolate(ink, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    return (255 * smooth).round().to(torch.uint8), torch.from_numpy(found.target.astype(np.int64))


def _task_data(pool: ImageSet, test: ImageSet, notes: tuple[str, ...]) -> TaskData:
    return TaskData("digits", CLASSES, pool, test, fingerprint(pool, test, ",".join(CLASSES)), notes)


TASK = Digits()
