"""Read all images of a folder to one size, with their masks: by averaging light over area, in threads."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from physlayer.color import srgb as light
from physlayer.color.srgb import linear_to_srgb, srgb_to_linear
from physlayer.pixels import area_sampling as areas
from physlayer.pixels.area_sampling import collect_area
from physlayer.tasks import image_files as one_file
from physlayer.tasks.cache import cached
from physlayer.tasks.folder.sizes import brightest, common, require_masks_fit
from physlayer.tasks.image_files import FULL_SCALE, UnreadableError, read_codes, read_header, read_mask
from physlayer.tasks.tables import some

__all__ = ["Images", "read_images", "resized_light"]

CACHED_BYTES = 50e6  # of all files together: beyond, decoding is kept in the cache
THREADS = 4


class Images(NamedTuple):
    """What was read.

    Attributes:
        images: ``(N, C, H, W)``, uint8 codes or float32. masks: ``(N, H, W)`` uint8, or ``None``.
        encoding: ``"srgb"`` of 8-bit files, ``"linear"`` of 16-bit ones. kept: boolean, which files were readable.
        marks: ``(N,)`` str, equal where the pixels of two files are. notes: what a report must say.
    """

    images: Tensor
    masks: Tensor | None
    encoding: str
    kept: np.ndarray
    marks: np.ndarray
    notes: tuple[str, ...]


def read_images(
    root: Path,
    names: np.ndarray,
    masks: np.ndarray | None = None,
    *,
    width: int | None = None,
    skip_unreadable: bool = False,
) -> Images:
    """Read files, all of one size or reduced to ``width``, the height following the commonest aspect ratio.

    Args:
        root: the folder. names: of images, below it. masks: of their masks. width: of the result, unit pixel; ``None``
            for the files' own. skip_unreadable: leave out what is damaged, with its mask, with a warning and a note.

    Raises:
        ValueError: if a file is unreadable, sizes differ and there is no ``width``, a mask has another size than its
            image, 8 and 16 bits are mixed, or a file is of a kind that :mod:`physlayer.tasks.image_files` refuses.
    """
    headers, reasons = _in_threads(lambda name: read_header(root, name), names)
    if masks is not None:
        shapes, also = _in_threads(lambda name: read_header(root, name), masks)
        reasons = [image or mask for image, mask in zip(reasons, also, strict=True)]
        require_masks_fit(names, masks, headers, shapes)
    readable = np.array([not reason for reason in reasons])
    _require_readable(reasons, skip_unreadable)
    known = [header for header in headers if header is not None]
    size, channels, bits, notes = common(names[[header is not None for header in headers]], known, width)

    def one(pair: tuple[str, str]) -> tuple[np.ndarray, np.ndarray, str]:
        codes = read_codes(root, pair[0])
        mark = hashlib.sha256(f"{codes.shape}".encode() + codes.tobytes()).hexdigest()[:16]
        mask = np.zeros((0, 0), np.uint8) if masks is None else _reduced_mask(read_mask(root, pair[1]), size)
        return _reduced(codes, size, channels), mask, mark

    def make() -> dict[str, np.ndarray]:
        pairs = list(zip(names[readable], (names if masks is None else masks)[readable], strict=True))
        found, reasons = _in_threads(one, pairs)
        whole = [each for each in found if each is not None]
        kinds = (np.float32 if bits == 16 else np.uint8, np.uint8, None)
        stacked = [np.array([each[place] for each in whole], kind) for place, kind in enumerate(kinds)]
        return dict(zip(("images", "masks", "marks", "reasons"), (*stacked, np.array(reasons, str)), strict=True))

    listed = [str(name) for part in (names, masks) if part is not None for name in part[readable]]
    status = [(root / name).stat() for name in listed]
    if sum(each.st_size for each in status) > CACHED_BYTES:
        seen = [f"{name} {each.st_size} {each.st_mtime_ns}" for name, each in zip(listed, status, strict=True)]
        settings = "\n".join([f"{root.resolve()} {size} {channels} {readable.sum()}", *seen])
        made = cached("folder", (sys.modules[__name__], one_file, areas, light), settings, make)
    else:
        made = make()
    damaged = np.array(reasons, dtype=object)
    damaged[readable] = made["reasons"]
    _require_readable(damaged.tolist(), skip_unreadable)
    kept = np.array([not reason for reason in damaged])
    if not kept.all():
        left = [reason for reason in damaged if reason]
        notes += (f"{len(left)} unreadable files were left out ({some(left)}).",)
        warnings.warn(notes[-1], stacklevel=3)
    images = torch.from_numpy(made["images"])
    if bits == 16:
        notes += (brightest(float(images.max())),)
    seen_masks = None if masks is None else torch.from_numpy(made["masks"])
    return Images(images, seen_masks, "srgb" if bits == 8 else "linear", kept, made["marks"], notes)


def resized_light(light: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean light over the area of each new pixel, ``(C, H, W)`` to ``(C, *size)``; other aspects are stretched.

    Example:
        >>> resized_light(torch.tensor([[[0.0, 3.0, 6.0]]]), (1, 2))
        tensor([[[1., 5.]]])
    """
    edges = [
        torch.arange(new + 1, dtype=torch.float64) * (old / new) for new, old in zip(size, light.shape[1:], strict=True)
    ]
    rows, columns = ((along[:-1].float(), along[1:].float()) for along in edges)
    area = (light.shape[1] / size[0]) * (light.shape[2] / size[1])
    return collect_area(light[None], rows, columns)[0] / area


@functools.cache
def _light_of_codes() -> np.ndarray:
    """Linear light of the 256 codes: NumPy looks up millions of pixels in a fifth of torch's time."""
    return srgb_to_linear(torch.arange(256) / 255).numpy()


def _reduced(codes: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """Codes ``(H, W, C)`` as ``(channels, *size)``: uint8 sRGB codes, or float32 fractions of 16 bits."""
    planes = np.ascontiguousarray(codes.transpose(2, 0, 1))
    deep, same = codes.dtype == np.uint16, codes.shape[:2] == size
    if deep:
        light = torch.from_numpy(planes.astype(np.float32) / FULL_SCALE)
        planes = (light if same else resized_light(light, size).clamp(0, 1)).numpy()
    elif not same:
        light = resized_light(torch.from_numpy(_light_of_codes()[planes]), size).clamp(0, 1)
        planes = (linear_to_srgb(light) * 255).round().to(torch.uint8).numpy()
    return np.repeat(planes, channels // len(planes), 0)


def _reduced_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A new pixel is object where at least half of its area is."""
    if mask.shape == size:
        return mask
    return (resized_light(torch.from_numpy(mask)[None].float(), size)[0] >= 0.5 - 1e-6).to(torch.uint8).numpy()


def _in_threads(work: Callable, items: np.ndarray | list) -> tuple[list, list[str]]:
    """What ``work`` gives for each, ``None`` where it is unreadable, and why (empty where it is not)."""

    def tried(item):
        try:
            return work(item), ""
        except UnreadableError as error:
            return None, str(error)

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as workers:
        try:
            found = list(workers.map(tried, items))
        except ValueError:
            workers.shutdown(wait=False, cancel_futures=True)  # the first refusal is enough
            raise
    return [each for each, _ in found], [reason for _, reason in found]


def _require_readable(reasons: list[str], skip: bool) -> None:
    bad = [reason for reason in reasons if reason]
    if bad and not skip:
        raise ValueError(
            f"Expected every file to be readable, but got {len(bad)} that {'is' if len(bad) == 1 else 'are'} not "
            f"({some(bad)}); restore {'it' if len(bad) == 1 else 'them'}, or leave unreadable files out with "
            "--skip-unreadable."
        )
    if len(bad) == len(reasons):
        raise ValueError(f"Expected readable images, but got none in {len(reasons)} files (first {bad[0]}).")
