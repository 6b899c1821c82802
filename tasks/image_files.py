"""Open one image file: what its header says, its codes in 8 or 16 bits, or a mask; by name where it cannot be.

8-bit files hold codes for a display, so all of them, grey ones too, are taken as sRGB: a picture means the same light
whether it was saved with one channel or with three equal ones. Grey files of 16 bits are detector counts, linear light,
as a fraction of 65535.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Header", "UnreadableError", "read_codes", "read_header", "read_mask"]

ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # EXIF tag of how the camera was held, and the values on its side
EIGHT_BITS = {"1": 1, "L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "P": 3, "PA": 3}  # channels without the opacity
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
FULL_SCALE = 2**16 - 1


class UnreadableError(ValueError):
    """A file is damaged, or no image: the only case that ``--skip-unreadable`` leaves out."""


class Header(NamedTuple):
    """Height and width as the image is seen, unit pixel; channels without the opacity; bits per channel."""

    height: int
    width: int
    channels: int
    bits: int


@contextmanager
def _opened(root: Path, name: str, *, whole: bool) -> Iterator:
    """The open file; ``whole``: with its pixels."""
    from PIL import Image

    image = None
    try:
        image = Image.open(root / name)
        if whole:
            image.load()
        else:  # all that is asked of a header, so that damage shows here
            _turned(image), getattr(image, "n_frames", 1)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        if image is not None:
            image.close()
        reason = str(error).replace(str(root / name), name) or type(error).__name__
        raise UnreadableError(f"{name}: {reason}") from error
    with image:
        yield image


def _turned(image) -> bool:
    """Whether the camera lay on its side; a PNG that does not say so at its start is not read to its end for it."""
    return (image.format != "PNG" or "exif" in image.info) and image.getexif().get(ORIENTATION) in TURNED


def read_header(root: Path, name: str) -> Header:
    """Size, channels and bits of a file.

    Raises:
        UnreadableError: if it is no image. ValueError: if it is one of another kind, saying how to save it.
    """
    with _opened(root, name, whole=False) as image:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # phones add a preview to a picture
        if frames > 1:
            raise ValueError(f"Expected {name} to hold one image, but got {frames} pages; save each to a file.")
        deep = [tile for tile in image.tile if ";16" in str(tile[-1]) and image.mode in EIGHT_BITS]
        if deep or image.mode not in (*EIGHT_BITS, *SIXTEEN_BITS):
            kind = "colours of 16 bits, which would be cut to 8" if deep else f"mode {image.mode}"
            raise ValueError(
                f"Expected {name} to be grey, RGB or palette of 8 bits, or grey of 16, but got {kind}; save it as one "
                "of these."
            )
        width, height = image.size
        if _turned(image):
            width, height = height, width
        return Header(height, width, EIGHT_BITS.get(image.mode, 1), 8 if image.mode in EIGHT_BITS else 16)


def read_codes(root: Path, name: str) -> np.ndarray:
    """Codes ``(H, W, C)``, uint8 or uint16, upright, without the opacity.

    Raises:
        UnreadableError: if the file is damaged. ValueError: if it is transparent, or its counts exceed 16 bits.
    """
    from PIL import ImageOps

    with _opened(root, name, whole=True) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode in SIXTEEN_BITS:
            counts = np.asarray(image)
            if counts.min() < 0 or counts.max() > FULL_SCALE:
                raise ValueError(
                    f"Expected {name} to hold counts of 0 to {FULL_SCALE}, but got {counts.min()} to {counts.max()}; "
                    "scale them to 16 bits."
                )
            return counts.astype(np.uint16)[..., None]
        grey = EIGHT_BITS[image.mode] == 1
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            codes = np.asarray(image.convert("LA" if grey else "RGBA"))
            if int(codes[..., -1].min()) < 255:
                raise ValueError(
                    f"Expected {name} to be opaque, but got transparent pixels, whose light is not known; save it "
                    "without transparency, on the background that it is meant to have."
                )
            return codes[..., :-1]
        codes = np.asarray(image.convert("L" if grey else "RGB"))
        return codes[..., None] if grey else codes


def read_mask(root: Path, name: str) -> np.ndarray:
    """Mask of 0 and 1, ``(H, W)`` uint8, from codes 0 and 1, or 0 and 255, grey or in equal channels.

    Palette files may hold black and white, or the numbers 0 and 1 in any two colours.

    Raises:
        UnreadableError: if the file is damaged. ValueError: if it holds other values.
    """
    codes = read_codes(root, name)
    if (codes != codes[..., :1]).any():
        with _opened(root, name, whole=True) as image:
            numbers = np.asarray(image) if image.mode == "P" else None
        if numbers is None or numbers.max() > 1:
            raise ValueError(
                f"Expected {name} to be black and white, but got colours; save 255 in objects, 0 elsewhere."
            )
        codes = numbers[..., None]
    values = np.unique(codes)
    if not (set(values.tolist()) <= {0, 1} or set(values.tolist()) <= {0, 255}):
        raise ValueError(
            f"Expected {name} to hold 0 and 1, or 0 and 255, but got {', '.join(map(str, values[:5].tolist()))}"
            f"{', …' if len(values) > 5 else ''}; masks that number objects become 255 * (mask > 0), and JPEG does not "
            "keep them."
        )
    return (codes[..., 0] > 0).astype(np.uint8)
