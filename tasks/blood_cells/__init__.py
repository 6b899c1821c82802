"""Four classes of white blood cells on stained smears: an embedded phantom, or the real set from a folder."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor, nn

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.tasks.base import Options
from physlayer.tasks.cache import cached
from physlayer.tasks.networks import build_network
from physlayer.training.recipe import Recipe

__all__ = ["TASK", "BloodCells"]

CLASSES = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
PHANTOM_POOL, PHANTOM_TEST, PHANTOM_SIZE = 2000, 1000, 32
PHANTOM_SIZES = (16, 32, 64, 128)  # what its fine grid can be averaged to
FAST_POOL, FAST_TEST = 400, 300
POOL_SEED, TEST_SEED = 1, 2  # two seeds share no slide
REAL_HEIGHT, REAL_WIDTH = 60, 80
SMALLEST, LARGEST = 16, 320  # pixels along a row; Kaggle's images have 320


class BloodCells:
    """The blood-cell task: phantom by default, Kaggle's folder with ``data``."""

    name = "blood_cells"

    def load(self, options: Options) -> TaskData:
        """Data for ``options``: rendered (and cached) in seconds, or decoded once from the folder."""
        if options.data is not None:
            return self._load_real(options)
        size = PHANTOM_SIZE if options.width is None else options.width
        if size not in PHANTOM_SIZES:
            raise ValueError(f"Expected --width of the phantom to be 16, 32, 64 or 128 pixels, but got {size}.")
        pool_images, test_images = (FAST_POOL, FAST_TEST) if options.fast else (PHANTOM_POOL, PHANTOM_TEST)
        pool = cached_phantom(pool_images, POOL_SEED, size)
        test = cached_phantom(test_images, TEST_SEED, size)
        note = f"Embedded phantom of stained smears, {size}×{size} pixels; no real cells."
        return _task_data(pool, test, CLASSES, (note,))

    def _load_real(self, options: Options) -> TaskData:
        from physlayer.tasks.blood_cells.kaggle import load_folder

        width = REAL_WIDTH if options.width is None else options.width
        if not SMALLEST <= width <= LARGEST:
            raise ValueError(f"Expected --width to be {SMALLEST} to {LARGEST} pixels, but got {width}.")
        pool, test, class_names, notes = load_folder(
            options.data,
            height=round(width * REAL_HEIGHT / REAL_WIDTH),
            width=width,
            groups=options.groups,
            skip_unreadable=options.skip_unreadable,
            drop_straddling=options.drop_straddling,
        )
        return _task_data(pool, test, class_names, notes)

    def network(self, name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """A fresh network by name."""
        return build_network(name, shape, classes)

    def default_network(self, options: Options) -> str:
        """The small network for the phantom, the course-sized one for real images."""
        return "course" if options.data else "small"

    def recipe(self, options: Options) -> Recipe:
        """Copies of one original add little: 400 images per class and epoch, drawn evenly over originals."""
        if options.data is not None:
            per_class = 100 if options.fast else 400
            epochs = 2 if options.fast else 32
            return Recipe(epochs=epochs, images_per_class=per_class, validation_per_class=150, lr=3e-3, lr_physics=1e-2)
        return Recipe(epochs=3 if options.fast else 6, lr=8e-3, batch_size=64)

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror images of the scene, and a small change of the lamp's brightness and colour.

        No turns: the real copies were turned when the set was made, the phantom's cells lie in all directions.
        """
        from kornia.geometry.transform import hflip, vflip

        def draw(*size: int) -> Tensor:
            return torch.rand(size, generator=generator).to(images.device)

        mirror = draw(2, len(images), 1, 1, 1) < 0.5
        images = torch.where(mirror[0], hflip(images), images)
        images = torch.where(mirror[1], vflip(images), images)
        lamp = 1 + 0.2 * (draw(len(images), 1, 1, 1) - 0.5) + 0.1 * (draw(len(images), images.shape[1], 1, 1) - 0.5)
        return (images * lamp).clamp(0, 1), targets


def cached_phantom(images: int, seed: int, size: int) -> ImageSet:
    """The phantom as an image set, kept in the cache folder because rendering takes longer than reading."""
    from physlayer.tasks.blood_cells import phantom, phantom_cells, phantom_shapes

    def make() -> dict[str, np.ndarray]:
        made = phantom.make_phantom(images, seed=seed, size=size, jobs=min(2, os.cpu_count() or 1))
        return {"images": made.images.astype(np.float16), "targets": made.targets, "groups": made.groups}

    stored = cached("blood_phantom", (phantom, phantom_cells, phantom_shapes), f"{images} {seed} {size}", make)
    return _image_set(stored["images"], stored["targets"], stored["groups"])


def _image_set(images: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> ImageSet:
    # float16 has 11 bits: finer than the phantom's photon noise, half the memory in the cache
    return ImageSet(
        torch.from_numpy(images.astype(np.float32)),
        torch.from_numpy(targets.astype(np.int64)),
        groups,
        "linear",
    )


def _task_data(pool: ImageSet, test: ImageSet, class_names: tuple[str, ...], notes: tuple[str, ...]) -> TaskData:
    mark = fingerprint(pool, test, ",".join(class_names))
    return TaskData("blood_cells", tuple(class_names), pool, test, mark, tuple(notes))


TASK = BloodCells()
