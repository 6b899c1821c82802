"""Read all images of a folder to one size, with their masks: by averaging light over area, in threads."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from physlayer.areas import collect_area
from physlayer.light import linear_to_srgb, srgb_to_linear
from tasks.cache import cached
from tasks.folder import files as one_file
from tasks.folder.files import FULL_SCALE, Header, UnreadableError, read_codes, read_header, read_mask
from tasks.folder.tables import some

__all__ = ["Images", "read_images", "resized_light"]

SMALLEST = 8  # pixels along a side: networks halve them
LARGEST_BYTES = 4e9  # of all images together: beyond, --width is asked for
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
            image, 8 and 16 bits are mixed, or a file is of a kind that :mod:`tasks.folder.files` refuses.
    """
    if width is not None and width < SMALLEST:
        raise ValueError(f"Expected --width to be {SMALLEST} pixels or more, but got {width}.")
    headers, reasons = _in_threads(lambda name: read_header(root, name), names)
    if masks is not None:
        shapes, also = _in_threads(lambda name: read_header(root, name), masks)
        reasons = [image or mask for image, mask in zip(reasons, also, strict=True)]
        _require_masks_fit(names, masks, headers, shapes)
    readable = np.array([not reason for reason in reasons])
    _tell_unreadable(reasons, skip_unreadable)
    known = [header for header in headers if header is not None]
    size, channels, bits, notes = _common(names[[header is not None for header in headers]], known, width)

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

    status = [(root / name).stat() for part in (names, masks) if part is not None for name in part]
    if sum(each.st_size for each in status) > CACHED_BYTES:
        listed = [*names.tolist(), *([] if masks is None else masks.tolist())]
        seen = [f"{name} {each.st_size} {each.st_mtime_ns}" for name, each in zip(listed, status, strict=True)]
        settings = "\n".join([f"{root.resolve()} {size} {channels} {readable.sum()}", *seen])
        made = cached("folder", (sys.modules[__name__], one_file), settings, make)
    else:
        made = make()
    damaged = np.array(reasons, dtype=object)
    damaged[readable] = made["reasons"]
    _tell_unreadable(damaged.tolist(), skip_unreadable)
    kept = np.array([not reason for reason in damaged])
    if not kept.all():
        left = [reason for reason in damaged if reason]
        notes.append(f"{len(left)} unreadable files were left out ({some(left)}).")
    images = torch.from_numpy(made["images"])
    if bits == 16:
        notes.append(_brightest(float(images.max())))
    seen_masks = None if masks is None else torch.from_numpy(made["masks"])
    return Images(images, seen_masks, "srgb" if bits == 8 else "linear", kept, made["marks"], tuple(notes))


def resized_light(light: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean light over the area of each new pixel, ``(C, H, W)`` to ``(C, *size)``; other aspects are stretched.

    Example:
        >>> resized_light(torch.tensor([[[0.0, 3.0, 6.0]]]), (1, 2))
        tensor([[[1., 5.]]])
    """
    edges = [torch.arange(new + 1, dtype=torch.float64) * (old / new) for new, old in zip(size, light.shape[1:], strict=True)]
    rows, columns = ((along[:-1].float(), along[1:].float()) for along in edges)
    area = (light.shape[1] / size[0]) * (light.shape[2] / size[1])
    return collect_area(light[None], rows, columns)[0] / area


@functools.cache
def _light_of_codes() -> Tensor:
    return srgb_to_linear(torch.arange(256) / 255)


def _reduced(codes: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """Codes ``(H, W, C)`` as ``(channels, *size)``: uint8 sRGB codes, or float32 fractions of 16 bits."""
    planes = np.ascontiguousarray(codes.transpose(2, 0, 1))
    deep, same = codes.dtype == np.uint16, codes.shape[:2] == size
    if deep:
        light = torch.from_numpy(planes.astype(np.float32) / FULL_SCALE)
        planes = (light if same else resized_light(light, size).clamp(0, 1)).numpy()
    elif not same:
        light = resized_light(_light_of_codes()[torch.from_numpy(planes).int()], size).clamp(0, 1)
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


def _tell_unreadable(reasons: list[str], skip: bool) -> None:
    bad = [reason for reason in reasons if reason]
    if bad and not skip:
        raise ValueError(
            f"Expected every file to be readable, but got {len(bad)} that {'is' if len(bad) == 1 else 'are'} not "
            f"({some(bad)}); restore {'it' if len(bad) == 1 else 'them'}, or leave unreadable files out with "
            "--skip-unreadable."
        )
    if len(bad) == len(reasons):
        raise ValueError(f"Expected readable images, but got none in {len(reasons)} files (first {bad[0]}).")
    if bad:
        warnings.warn(f"{len(bad)} unreadable files are left out ({some(bad)}).", stacklevel=3)


def _require_masks_fit(names, masks, headers: list[Header | None], shapes: list[Header | None]) -> None:
    for name, mask, image, shape in zip(names, masks, headers, shapes, strict=True):
        if image is not None and shape is not None and image[:2] != shape[:2]:
            raise ValueError(
                f"Expected {mask} to have the {_size(image)} of {name}, but got {_size(shape)}; resize masks by nearest "
                "neighbour, so that they keep their values, or take the right one."
            )


def _common(names: np.ndarray, headers: list[Header], width: int | None) -> tuple[tuple[int, int], int, int, list[str]]:
    """Size, channels and bits of the result, and what to say of them."""
    bits = {header.bits: name for header, name in zip(headers, names, strict=True)}
    if len(bits) > 1:
        raise ValueError(
            f"Expected images all of 8 bits or all of 16, but got {bits[8]} with 8 and {bits[16]} with 16; save all in "
            "one way: codes of 8 bits are taken as sRGB, counts of 16 bits as linear light."
        )
    bits, notes = headers[0].bits, []
    channels = max(header.channels for header in headers)
    grey = sum(header.channels == 1 for header in headers)
    sizes = Counter(header[:2] for header in headers)
    most = max(sizes, key=lambda size: (sizes[size], size))
    if width is None:
        if len(sizes) > 1:
            other = next(name for header, name in zip(headers, names, strict=True) if header[:2] != most)
            raise ValueError(
                f"Expected images of one size, but got {len(sizes)} sizes, {_size(most)} {sizes[most]} times and others "
                f"such as {other}; use --width to resize them all, or crop them first."
            )
        size = most
    else:
        narrowest = min(range(len(headers)), key=lambda place: headers[place].width)
        if width > headers[narrowest].width:
            raise ValueError(
                f"Expected --width to be at most {headers[narrowest].width}, as wide as {names[narrowest]}, but got "
                f"{width}; more pixels would show nothing more."
            )
        aspects = Counter(round(header.height / header.width, 2) for header in headers)
        aspect = max(aspects, key=lambda each: (aspects[each], each))
        tall = next(header for header in headers if round(header.height / header.width, 2) == aspect)
        size = (max(1, round(width * tall.height / tall.width)), width)
    if min(size) < SMALLEST:
        fix = "a larger --width" if width is not None else "larger ones"
        raise ValueError(f"Expected images of {SMALLEST} pixels or more along each side, but got {_size(size)}; use {fix}.")
    if (total := len(headers) * channels * size[0] * size[1] * bits // 8 * (1 if bits == 8 else 2)) > LARGEST_BYTES:
        raise ValueError(
            f"Expected images to fill at most {LARGEST_BYTES / 1e9:g} GB together, but got {total / 1e9:.0f} GB of "
            f"{_size(size)}; use a smaller --width."
        )
    notes.append(f"Images are {_size(size)}, {'grey' if channels == 1 else 'RGB'}.")
    if width is not None and set(sizes) != {size}:
        stretched = len(headers) - aspects[aspect]
        notes.append(
            f"They were resized from {'one size' if len(sizes) == 1 else f'{len(sizes)} sizes'} ({_size(most)} "
            f"{sizes[most]} times) by averaging linear light over area; {stretched} of another aspect ratio were stretched."
        )
    if 0 < grey < len(headers):
        notes.append(f"{grey} grey images among RGB ones have three equal channels.")
    if bits == 8:
        notes.append(
            "Values are 8-bit codes, taken as sRGB, grey ones too; if yours are linear detector counts, --encoding srgb "
            "hands them to the camera as they are."
        )
    return size, channels, bits, notes


def _brightest(value: float) -> str:
    told = f"Values are 16-bit counts, taken as linear light, full scale {FULL_SCALE}; the brightest has {value:.3g} of it"
    return told + ("; if your detector has fewer bits, scale the files to use all." if value < 0.25 else ".")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} pixels (width × height)"
