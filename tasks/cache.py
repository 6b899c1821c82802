"""Rendered phantoms in the user's cache folder: rendering takes longer than reading."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from physlayer.core.files import atomic_write
from physlayer.data.image_set import ImageSet

__all__ = ["cached", "rendered_sets"]

SEEDS = (1, 2)  # of pool and test: two seeds share no source


def cached(
    name: str, modules: tuple[ModuleType, ...], settings: str, make: Callable[[], dict]
) -> dict[str, np.ndarray]:
    """What ``make()`` gives, arrays by name, from the cache if the same code made it with the same settings.

    Args:
        name: of the file. modules: whose text decides what is made. settings: all that is given to ``make``.

    Example:
        >>> import numpy, tempfile, unittest.mock
        >>> with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict("os.environ", XDG_CACHE_HOME=folder):
        ...     made = [cached("ones", (), "3", lambda: {"x": numpy.ones(3)})["x"].sum() for _ in range(2)]
        >>> [float(total) for total in made]
        [3.0, 3.0]
    """
    sources = b"".join(Path(module.__file__).read_bytes() for module in modules)
    key = hashlib.sha256(sources + settings.encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "physlayer"
    path = folder / f"{name}_{key}.npz"
    if path.exists():
        try:
            with open(path, "rb") as file, np.load(file) as stored:
                return dict(stored)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # cut short: make it again
            path.unlink(missing_ok=True)
    made = {key: np.asarray(value) for key, value in make().items()}
    with contextlib.suppress(OSError):  # no place for a cache is no reason to stop
        atomic_write(path, lambda file: np.savez(file, **made))
    return made


def rendered_sets(
    name: str,
    modules: tuple[ModuleType, ...],
    render: Callable[[int, int], tuple[Tensor | np.ndarray, Tensor | np.ndarray, np.ndarray]],
    counts: tuple[int, int],
    size: int,
) -> list[ImageSet]:
    """Pool and test of a phantom in linear light, from the cache if they are there.

    Args:
        name, modules: as for :func:`cached`. render: images, targets and groups of ``(count, seed)``. counts: images in
            pool and test. size: of the images, pixels.
    """
    sets = []
    for count, seed in zip(counts, SEEDS, strict=True):

        def make(count: int = count, seed: int = seed) -> dict:
            return dict(zip(("images", "targets", "groups"), render(count, seed), strict=True))

        found = cached(name, modules, f"{count} {seed} {size}", make)
        tensors = (torch.from_numpy(found[part]) for part in ("images", "targets"))
        sets.append(ImageSet(*tensors, found["groups"], "linear"))
    return sets
