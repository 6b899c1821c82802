"""Decode image files once, reduced by averaging light over area, and keep them in a cache."""

from __future__ import annotations

import hashlib
import os
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from physlayer.color.srgb import linear_to_srgb, srgb_to_linear
from physlayer.core.files import atomic_write

__all__ = ["cached_images"]

CACHE_FORMAT = 1


def cached_images(
    files: list[Path],
    names: list[str],
    *,
    height: int,
    width: int,
    cache: str | Path | None,
    skip_unreadable: bool,
    jobs: int,
    progress: bool,
) -> tuple[Tensor, set[str]]:
    """Decoded images ``(N, 3, H, W)`` uint8 of the readable files, and the names of the others.

    Args:
        files: the image files. names: what they are called in messages, and in the key of the cache.
        height, width, cache, skip_unreadable, jobs, progress: as for
            :func:`physlayer.tasks.blood_cells.kaggle.load_folder`.

    Raises:
        ValueError: if a file is unreadable and ``skip_unreadable`` is not set.
    """
    digest = hashlib.sha256(f"{CACHE_FORMAT} {height} {width}".encode())
    for file, name in zip(files, names, strict=True):
        status = file.stat()
        digest.update(f"\n{name} {status.st_size} {status.st_mtime_ns}".encode())
    home = Path(cache) if cache else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "physlayer"
    path = home / f"blood_cells_{height}x{width}_{digest.hexdigest()[:16]}.npz"
    if path.exists():
        try:
            with path.open("rb") as file, np.load(file) as stored:
                images = stored["images"]
            if images.shape == (len(files), 3, height, width) and images.dtype == np.uint8:
                return torch.from_numpy(images), set()
            reason = f"shape {images.shape}"
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            reason = str(error)
        warnings.warn(f"The cache {path} is corrupt ({reason}) and is made again.", stacklevel=3)
    images, unreadable = _decode_all(files, names, height, width, skip_unreadable, jobs, progress)
    if not unreadable:
        try:
            atomic_write(path, lambda file: np.savez(file, images=images))
        except OSError as error:
            warnings.warn(f"The cache {path} was not written ({error}).", stacklevel=3)
    return torch.from_numpy(images), unreadable


def _decode_all(
    files: list[Path], names: list[str], height: int, width: int, skip_unreadable: bool, jobs: int, progress: bool
) -> tuple[np.ndarray, set[str]]:
    from tqdm import tqdm

    images = np.empty((len(files), 3, height, width), np.uint8)
    good = np.ones(len(files), bool)
    with ThreadPoolExecutor(jobs) as workers:
        decoded = workers.map(partial(_decode, height=height, width=width), files)
        decoded = tqdm(decoded, "decoding", len(files), disable=not progress, unit="image")
        for number, image in enumerate(decoded):
            if isinstance(image, np.ndarray):
                images[number] = image
                continue
            good[number] = False
            if not skip_unreadable:
                workers.shutdown(wait=False, cancel_futures=True)
                raise ValueError(
                    f"Expected every image to be readable, but got {names[number]}: {image}; "
                    "restore it, or leave it out with skip_unreadable."
                )
            warnings.warn(f"{names[number]} is unreadable ({image}) and is left out.", stacklevel=4)
    return images[good], {name for name, keep in zip(names, good, strict=True) if not keep}


def _decode(file: Path, height: int, width: int) -> np.ndarray | str:
    """The image as uint8 ``(3, height, width)``, or why it cannot be read."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            codes = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        return str(error).replace(str(file), file.name) or type(error).__name__
    table = srgb_to_linear(torch.arange(256) / 255).numpy()
    planes = [Image.fromarray(table.take(codes[..., channel])) for channel in range(3)]
    planes = [np.asarray(plane.resize((width, height), Image.Resampling.BOX)) for plane in planes]
    light = torch.from_numpy(np.stack(planes)).clamp(0, 1)
    return (linear_to_srgb(light) * 255).round().to(torch.uint8).numpy()
