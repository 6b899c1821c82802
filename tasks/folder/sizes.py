"""One size for all images of a folder, from their headers: what they share, or what ``--width`` makes of them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from physlayer.tasks.image_files import FULL_SCALE, Header

__all__ = ["Common", "brightest", "common", "require_masks_fit"]

SMALLEST = 8  # pixels along a side: networks halve them
LARGEST_BYTES = 2e9  # of all images together: beyond, --width is asked for


class Common(NamedTuple):
    """Height and width, channels and bits of all images, and what a report must say of them."""

    size: tuple[int, int]
    channels: int
    bits: int
    notes: tuple[str, ...]


def require_masks_fit(names, masks, headers: list[Header | None], shapes: list[Header | None]) -> None:
    """Refuse a mask of another size than its image; unreadable ones (``None``) are told elsewhere."""
    for name, mask, image, shape in zip(names, masks, headers, shapes, strict=True):
        if image is not None and shape is not None and image[:2] != shape[:2]:
            raise ValueError(
                f"Expected {mask} to have the {_size(image)} of {name}, but got {_size(shape)}; resize masks by "
                "nearest neighbour, so that they keep their values, or take the right one."
            )


def common(names: np.ndarray, headers: list[Header], width: int | None) -> Common:
    """What all images become: their own size, or ``width`` with the commonest aspect ratio.

    Raises:
        ValueError: if sizes differ and there is no ``width``, it is larger than an image, 8 and 16 bits are mixed, or
            the images would be too small to learn from or too large together.
    """
    if width is not None and width < SMALLEST:
        raise ValueError(f"Expected --width to be {SMALLEST} pixels or more, but got {width}.")
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
                f"Expected images of one size, but got {len(sizes)} sizes, {_size(most)} {sizes[most]} times and "
                f"others such as {other}; use --width to resize them all, or crop them first."
            )
        size, stretched = most, 0
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
        size, stretched = (max(1, round(width * tall.height / tall.width)), width), len(headers) - aspects[aspect]
    if min(size) < SMALLEST:
        fix = "a larger --width" if width is not None else "larger ones"
        raise ValueError(
            f"Expected images of {SMALLEST} pixels or more along each side, but got {_size(size)}; use {fix}."
        )
    total = len(headers) * channels * size[0] * size[1] * (1 if bits == 8 else 4)  # uint8 or float32
    if total > LARGEST_BYTES:
        raise ValueError(
            f"Expected images to fill at most {LARGEST_BYTES / 1e9:g} GB together, but got {total / 1e9:.0f} GB of "
            f"{_size(size)}; use a smaller --width."
        )
    notes.append(f"Images are {_size(size)}, {'grey' if channels == 1 else 'RGB'}.")
    if width is not None and set(sizes) != {size}:
        notes.append(
            f"They were resized from {'one size' if len(sizes) == 1 else f'{len(sizes)} sizes'} ({_size(most)} "
            f"{sizes[most]} times) by averaging linear light over area; {stretched} of another aspect ratio were "
            "stretched."
        )
    if 0 < grey < len(headers):
        notes.append(f"{grey} grey images among RGB ones have three equal channels.")
    if bits == 8:
        notes.append(
            "Values are 8-bit codes, taken as sRGB, grey ones too; if yours are linear detector counts, --encoding "
            "srgb hands them to the camera as they are."
        )
    return Common(size, channels, bits, tuple(notes))


def brightest(value: float) -> str:
    """What to say of 16-bit counts whose largest is ``value`` full scales."""
    told = (
        f"Values are 16-bit counts, taken as linear light, full scale {FULL_SCALE}; the brightest has {value:.3g} of it"
    )
    return told + ("; if your detector has fewer bits, scale the files to use all." if value < 0.25 else ".")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} pixels (width × height)"
