"""Which fluorophore dominates? Procedural cells that hold mixtures of four, two of them hard to tell apart.

No real images: scenes are abundances ``(F, H, W)``, one channel per fluorophore, and become light behind
:class:`physlayer.SpectralFilters` with ``emission=EMISSION``. mTurquoise2, EGFP, EYFP and mCherry emit at 474, 507, 527
and 610 nm; EGFP and EYFP overlap most. Every cell is drawn from shapes that know nothing of the label, its brightness
is random, and all four fluorophores are in every structure: only the ratio of the abundances tells the class.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.color.spectra import emission_spectra, wavelength_axis
from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.tasks.base import Options, refuse
from physlayer.tasks.networks import build_network
from physlayer.training.recipe import Recipe

__all__ = ["CLASSES", "EMISSION", "TASK", "Fluorophores", "make_cells"]

CLASSES = ("mTurquoise2", "EGFP", "EYFP", "mCherry")
EMISSION = emission_spectra(list(CLASSES), wavelength_axis())  # (F, Λ), per nm
SIZE = 16  # pixels along a side
POOL, TEST = 1600, 800
FAST_POOL, FAST_TEST = 400, 200
POOL_SEED, TEST_SEED = 1, 2  # two seeds share no dish
PER_DISH = 8  # cells of one dish share the background and the brightness
DOMINANT = (0.34, 0.55)  # share of the dominant fluorophore
RIVAL = 0.85  # of the dominant share: largest share of another
VARIATION = 0.15  # of the shares between the structures of a cell, as a ratio


class Fluorophores:
    """The task: an embedded set alone."""

    name = "fluorophores"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``.

        Raises:
            ValueError: if a folder, sources or a width are given.
        """
        refuse(
            options,
            self.name,
            **dict.fromkeys(("data", "groups", "width", "skip_unreadable", "drop_straddling"), "the task is made here"),
        )
        pool, test = (
            make_cells(images, seed=seed)
            for images, seed in (
                (FAST_POOL if options.fast else POOL, POOL_SEED),
                (FAST_TEST if options.fast else TEST, TEST_SEED),
            )
        )
        note = (
            f"Embedded procedural cells, {SIZE}×{SIZE} pixels, abundances of {', '.join(CLASSES)}; no real images, "
            "spectra of one stand-in shape at the real peaks."
        )
        return TaskData("fluorophores", CLASSES, pool, test, fingerprint(pool, test, ",".join(CLASSES)), (note,))

    def network(self, name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """A fresh network by name."""
        return build_network(name, shape, classes)

    def default_network(self, options: Options) -> str:
        """The small one: colours are to be compared, not shapes."""
        return "small"

    def recipe(self, options: Options) -> Recipe:
        """Short: the images are tiny and all differ."""
        return Recipe(epochs=4 if options.fast else 12, lr=8e-3, batch_size=64)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror images; the abundances stay as they are."""
        for axis in (2, 3):
            mirrored = torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device) < 0.5
            images = torch.where(mirrored, images.flip(axis), images)
        return images, targets


def make_cells(images: int, *, seed: int) -> ImageSet:
    """Cells of all classes in turn, eight to a dish.

    Returns:
        Abundances ``(images, 4, 16, 16)``, whose sum is at most 1 in every pixel, and the dominant fluorophore.

    Example:
        >>> cells = make_cells(8, seed=0)
        >>> cells.images.shape, cells.targets.tolist(), float(cells.images.sum(1).max()) <= 1
        (torch.Size([8, 4, 16, 16]), [0, 1, 2, 3, 0, 1, 2, 3], True)
    """
    random = np.random.default_rng([seed, 507])
    found = np.empty((images, len(CLASSES), SIZE, SIZE), np.float32)
    for number in range(images):
        if number % PER_DISH == 0:
            brightness, background = random.uniform(0.4, 1.0), random.uniform(0.0, 0.05)
        shares = _shares(number % len(CLASSES), random)
        cell = np.full((len(CLASSES), SIZE, SIZE), background / len(CLASSES))
        for structure in _structures(random):
            varied = shares * random.uniform(1 - VARIATION, 1 + VARIATION, len(CLASSES))
            cell += (varied / varied.sum())[:, None, None] * structure
        found[number] = brightness * cell / cell.sum(0).max()
    groups = np.array([f"dish_{seed}_{number // PER_DISH:04d}" for number in range(images)])
    targets = torch.arange(images) % len(CLASSES)
    return ImageSet(torch.from_numpy(found), targets, groups, "linear")


def _shares(dominant: int, random: np.random.Generator) -> np.ndarray:
    """Shares of the fluorophores in a cell: one is largest, none of the others comes near it."""
    while True:
        others = random.dirichlet(np.ones(len(CLASSES) - 1))
        largest = random.uniform(*DOMINANT)
        if (1 - largest) * others.max() <= RIVAL * largest:
            return np.insert((1 - largest) * others, dominant, largest)


def _structures(random: np.random.Generator) -> list[np.ndarray]:
    """Cytoplasm, nucleus and some granules, each ``(SIZE, SIZE)``, in arbitrary units of brightness."""
    place = np.arange(SIZE) - (SIZE - 1) / 2
    middle, turn = random.uniform(-1.5, 1.5, 2), random.uniform(0, np.pi)
    x, y = place[None] - middle[0], place[:, None] - middle[1]
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    long, short = random.uniform(5, 7), random.uniform(3.5, 5)
    inside = np.hypot(u / long, v / short)  # 1 at the border of the cell
    drawn = [random.uniform(0.3, 0.7) / (1 + np.exp(8 * (inside - 1)))]
    drawn.append(random.uniform(0.2, 0.8) / (1 + np.exp(8 * (np.hypot(u / long, v / short) * 2.2 - 1))))
    for _ in range(random.integers(2, 6)):
        angle, distance = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(0, 0.8))
        du, dv = u - distance * long * np.cos(angle), v - distance * short * np.sin(angle)
        drawn.append(random.uniform(0.2, 0.6) * np.exp(-(du**2 + dv**2) / (2 * 0.8**2)))
    return drawn


TASK = Fluorophores()
