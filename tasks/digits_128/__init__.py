"""Digits from 128 training images: how far turning, shifting and zooming them carries.

A task of its own, so that every sweep takes it as ``--task digits_128``: the images, classes, test set and networks
of :mod:`tasks.digits`, another pool and another augmentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physlayer.data import ImageSet, TaskData, fingerprint
from physlayer.training import Recipe
from tasks.base import Options
from tasks.digits import Digits

__all__ = ["TASK", "DevelopmentReserve", "FewDigits", "balanced_draw", "turn_shift_zoom"]

IMAGES, DRAW_SEED = 128, 128  # of the training set, the same for everybody
RESERVE = 2000  # other training images at most, for choosing settings
DEGREES, SHIFT, ZOOM = 15.0, 0.1, 0.1  # ±; of the width and of the size


@dataclass(frozen=True, eq=False)
class DevelopmentReserve(TaskData):
    """Task data whose development set lies outside the pool: a quarter of 128 images would say nothing.

    Args:
        reserve: training images that are not in the pool, seen by nobody who judges on the test set.
    """

    reserve: ImageSet | None = None

    def development(self) -> TaskData:
        """The whole pool, judged on the reserve instead of the test set."""
        note = f"DEVELOPMENT: {len(self.reserve)} other training images stand in for the test set, which was not used."
        return TaskData(
            self.name, self.problem, self.pool, self.reserve,
            fingerprint(self.fingerprint, "development"), (note, *self.notes),
        )  # fmt: skip


class FewDigits(Digits):
    """The digits task from 128 training images.

    The pool is drawn once, evenly over the classes (12 or 13 each), and is the same for every seed; test set and
    networks are those of :class:`tasks.digits.Digits`.

    Validation comes out of the 128. Images from the rest of the training set would be labels that somebody with 128
    does not have, and to choose the epoch on the images it was fitted to is no choice. So a seed fits 100 images and
    28 choose the epoch: another 28 for each seed, so that means over seeds average over that draw too. One of 28
    images is 3.6 points: far too coarse to compare cameras or networks by (use the test set, once, over seeds), or
    to choose by often. The recipe therefore has few, long epochs of images drawn anew, a rate that falls to nothing
    and a running mean of the weights: the epochs among which is chosen differ little.

    The recipe and the augmentation were chosen once with ``--development``, which scores on 2000 other training
    images: more labels than the task has, used for a handful of settings and for no weight.
    """

    name = "digits_128"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``, as :meth:`tasks.digits.Digits.load`, with 128 of its training images.

        Raises:
            ValueError: as there, or if the folder has fewer training images than that of a class.
        """
        whole = super().load(options)
        pool, rest = balanced_draw(whole.pool.targets, IMAGES, DRAW_SEED)
        note = (
            f"{IMAGES} of {len(whole.pool)} training images, 12 or 13 per class, drawn once; of these a seed fits "
            "100, and 28 choose the epoch."
        )
        return DevelopmentReserve(
            self.name, whole.problem, whole.pool.subset(pool), whole.test,
            fingerprint(whole.fingerprint, pool), (note, *whole.notes), whole.pool.subset(rest[:RESERVE]),
        )  # fmt: skip

    def default_network(self, options: Options) -> str:
        """The homework's convolutional network: what it shares over places need not be learned at each."""
        return "cnn"

    def recipe(self, options: Options) -> Recipe:
        """Few, long epochs: every image about thirty times in each, never twice the same."""
        return Recipe(
            epochs=2 if options.fast else 12, lr=4e-3, lr_physics=0.06, batch_size=64,
            images_per_class=40 if options.fast else 400,
        )  # fmt: skip

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turned by ±15°, shifted by a tenth of the width and zoomed by 10 %, under the lamp of ``digits``."""
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
