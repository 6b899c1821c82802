"""Digits from 128 training images: how far turning, shifting and zooming them carries.

A task of its own, so that every sweep takes it as ``--task digits_128``: the images, classes, test set and networks
of :mod:`physlayer.tasks.digits`, another pool and another augmentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.tasks.base import Options
from physlayer.tasks.digits import Digits
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "FewDigits", "FewImages", "balanced_draw", "turn_shift_zoom"]

IMAGES, DRAW_SEED = 128, 128  # of the training set, the same for everybody
RESERVE = 2000  # other training images at most, for choosing settings
DEGREES, SHIFT, ZOOM = 15.0, 0.05, 0.2  # ±; of the width and of the size


@dataclass(frozen=True, eq=False)
class FewImages(TaskData):
    """Task data of a pool too small to hold anything back.

    Args:
        reserve: images of the training set outside the pool, on which settings may be chosen.
    """

    reserve: ImageSet | None = None

    def split(self, seed: int, validation_fraction: float = 0.2) -> dict[str, ImageSet]:
        """All of the pool, for training and again as validation (:class:`FewDigits` says why), and the test set."""
        return {"train": self.pool, "validation": self.pool, "test": self.test}

    def development(self) -> TaskData:
        """The whole pool, judged on the reserve instead of the test set: a quarter of few images says nothing."""
        note = f"DEVELOPMENT: {len(self.reserve)} other training images stand in for the test set, which was not used."
        return replace(
            self, test=self.reserve, fingerprint=fingerprint(self.fingerprint, "development"), notes=(note, *self.notes)
        )


class FewDigits(Digits):
    """The digits task from 128 training images.

    The pool is drawn once, evenly over the classes (12 or 13 each), and is the same for every seed; test set and
    networks are those of :class:`physlayer.tasks.digits.Digits`.

    **No image is held back, so a record's validation score is that of the fitted images: compare nothing by it.**
    A validation set is there to choose the epoch. Out of 128 images it would be 28, where one image is 3.6 points:
    in pilots of one seed the luckiest epoch was often an early one, up to 6 points worse than the last, which was
    within a point of the best; and 100 images teach less than 128. More images from the rest of the training set
    would be labels that somebody with 128 does not have. So the number of epochs is settled
    beforehand, with a rate that falls to a hundredth and a running mean of the weights, and the choice is left to
    the fitted images: once all are right, by their loss, which is least in the last epochs. Arms of a
    sweep that search on validation have nothing to search by here; give them :mod:`physlayer.tasks.digits`.

    Epochs, rate, batch, network and ranges of the augmentation were chosen with ``--development``, which scores on
    2000 other training images: more labels than the task has, for a handful of settings and for no weight.
    """

    name = "digits_128"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``, as :meth:`physlayer.tasks.digits.Digits.load`, with 128 of its training images.

        Raises:
            ValueError: as there, or if a class has fewer training images than its share of the 128.
        """
        whole = super().load(options)
        pool, rest = balanced_draw(whole.pool.targets, IMAGES, DRAW_SEED)
        notes = (
            f"{IMAGES} of {len(whole.pool)} training images, 12 or 13 per class, drawn once and the same for every "
            "seed: intervals do not hold for another draw.",
            "None of them is held back: validation scores are those of the fitted images.",
        )
        return FewImages(
            self.name, whole.problem, whole.pool.subset(pool), whole.test,
            fingerprint(whole.fingerprint, pool), (*notes, *whole.notes), whole.pool.subset(rest[:RESERVE]),
        )  # fmt: skip

    def default_network(self, options: Options) -> str:
        """The one that ends in channel means: what needs no place needs fewer examples of it."""
        return "course"

    def recipe(self, options: Options) -> Recipe:
        """Few, long epochs: every image about thirty times in each, never twice the same."""
        return Recipe(
            epochs=2 if options.fast else 8, lr=4e-3, lr_physics=0.06, batch_size=32,
            images_per_class=40 if options.fast else 400,
        )  # fmt: skip

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turned by up to 15°, shifted by 5 % of the width and zoomed by 20 %, under the lamp of ``digits``."""
        return super().augment(turn_shift_zoom(images, generator), targets, generator)


def balanced_draw(targets: Tensor, images: int, seed: int) -> tuple[Tensor, Tensor]:
    r"""Draw ``images`` evenly over the classes.

    .. math:: n_k = \lfloor n / K \rfloor + [k < n \bmod K]

    Args:
        targets: class of each image, int64, ``(N,)``. images: :math:`n`. seed: the draw.

    Returns:
        Ascending indices of the drawn images, ``(n,)``, and those of all others in random order, int64.

    Raises:
        ValueError: if a class has fewer images than its share.

    Example:
        >>> drawn, others = balanced_draw(torch.arange(10).repeat(20), 128, seed=0)
        >>> len(drawn), len(others), torch.arange(10).repeat(20)[drawn].bincount().tolist()
        (128, 72, [13, 13, 13, 13, 13, 13, 13, 13, 12, 12])
    """
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    classes = targets.unique().tolist()
    taken = torch.zeros(len(targets), dtype=torch.bool)
    for number, label in enumerate(classes):
        share = images // len(classes) + (number < images % len(classes))
        members = order[targets[order] == label]
        if len(members) < share:
            raise ValueError(
                f"Expected at least {share} training images of class {label}, to draw {images} evenly, but got "
                f"{len(members)}; take the whole training set."
            )
        taken[members[:share]] = True
    return taken.nonzero().flatten(), order[~taken[order]]


def turn_shift_zoom(
    images: Tensor, generator: torch.Generator, degrees: float = DEGREES, shift: float = SHIFT, zoom: float = ZOOM
) -> Tensor:
    r"""Turned, zoomed and shifted about the middle, each image differently; bilinear, with black outside.

    .. math:: y(R_\alpha\, m\,(r - r_0) + r_0 + t) = x(r), \qquad
              \alpha \in \pm A, \quad m \in 1 \pm M, \quad t \in \pm T\,(W, H)

    evenly distributed, with the middle :math:`r_0`.

    Args:
        images: ``(B, C, H, W)``. generator: the randomness (a CPU generator). degrees: :math:`A`, unit degree.
        shift: :math:`T`, share of the width and of the height. zoom: :math:`M`.

    Returns:
        As ``images``; digits keep their brightness and a zoom their ink per area.

    Example:
        >>> turn_shift_zoom(torch.rand(2, 1, 28, 28), torch.Generator()).shape
        torch.Size([2, 1, 28, 28])
    """
    from kornia.geometry.transform import warp_affine

    height, width = images.shape[2:]
    angle, size, right, down = (2 * torch.rand(4, len(images), generator=generator) - 1).unbind()
    angle, size = math.radians(degrees) * angle, 1 + zoom * size
    cosine, sine = size * angle.cos(), size * angle.sin()
    x, y = (width - 1) / 2, (height - 1) / 2
    rows = (
        torch.stack([cosine, sine, x - cosine * x - sine * y + shift * width * right], 1),
        torch.stack([-sine, cosine, y + sine * x - cosine * y + shift * height * down], 1),
    )
    moves = torch.stack(rows, 1).to(images)
    return warp_affine(images, moves, (height, width), mode="bilinear", padding_mode="zeros", align_corners=True)


TASK = FewDigits()
