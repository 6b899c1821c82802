"""Read MNIST's original IDX files, gzipped or not, with the errors a broken download needs."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

__all__ = ["load_folder", "read_idx"]

UNSIGNED_BYTE = 0x08  # IDX type code, third byte of the magic number
GZIP = b"\x1f\x8b"
ROOTS = (".", "raw", "MNIST/raw")  # as other libraries unpack it
CLASSES = 10


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    r"""Read an IDX file of unsigned bytes.

    .. math:: \mathrm{magic} = 2^8 \cdot 8 + D, \quad \text{then } n_1 \dots n_D, \quad
              \text{then } \textstyle\prod_i n_i \text{ bytes}

    Big-endian 32-bit numbers. Whether the file is gzipped is seen from its first bytes, not from its name.

    Args:
        path: the file. dimensions: :math:`D`, 3 for images and 1 for labels.

    Returns:
        uint8, of the shape :math:`(n_1, \dots, n_D)` that the file states.

    Raises:
        ValueError: if the file is damaged or truncated, or is not of that kind.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "labels"
        ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(file, 1)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = path.read_bytes()
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"Expected {path.name} to be a whole gzip file, but got {len(content)} bytes that end early or are "
                f"damaged ({error}); download it again."
            ) from error
    header = 4 * (1 + dimensions)
    wanted, found = 256 * UNSIGNED_BYTE + dimensions, int.from_bytes(content[:4], "big")
    if len(content) < 4 or found != wanted:
        kind = {1: "labels", 3: "images"}[dimensions] if dimensions in (1, 3) else "unsigned bytes"
        raise ValueError(
            f"Expected {path.name} to start with {wanted}, the magic number of {kind}, but got {found}; "
            "it is another kind of file."
        )
    if len(content) < header:
        raise ValueError(f"Expected {path.name} to have a header of {header} bytes, but got {len(content)} in all.")
    shape = tuple(np.frombuffer(content, ">u4", count=dimensions, offset=4).tolist())
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"Expected {path.name} to hold the {' × '.join(map(str, shape))} bytes that its header states, but got "
            f"{len(content) - header}; download it again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def load_folder(folder: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images ``(N, H, W)`` and labels ``(N,)`` of the official training set, then of the official test set.

    Args:
        folder: with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same for ``t10k``; a ``.gz``
            behind each, or a dot for the last dash, is fine. So is the folder that holds ``MNIST/raw``.

    Raises:
        FileNotFoundError: if the folder or a file is missing.
        ValueError: if a file is damaged, sizes disagree, or a label is not 0…9.
    """
    folder, found = Path(folder), []
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected --data to be a folder with MNIST's four IDX files, but got {folder}.")
    for part in ("train", "t10k"):
        images, labels = (
            read_idx(_find(folder, f"{part}-images-idx3"), 3),
            read_idx(_find(folder, f"{part}-labels-idx1"), 1),
        )
        if len(images) != len(labels) or not images.size:
            raise ValueError(
                f"Expected {part} to have as many images as labels, and some of them, but got {len(images)} images of "
                f"{images.shape[1]}×{images.shape[2]} and {len(labels)} labels; take both from one download."
            )
        if labels.max() >= CLASSES:
            raise ValueError(f"Expected {part} labels to be digits 0…9, but got {labels.max()}; this is another set.")
        found += [images, labels]
    if found[0].shape[1:] != found[2].shape[1:]:
        sizes = [f"{height}×{width}" for _, height, width in (found[0].shape, found[2].shape)]
        raise ValueError(f"Expected t10k images to have train's size {sizes[0]}, but got {sizes[1]}.")
    return tuple(found)


def _find(folder: Path, name: str) -> Path:
    stem, kind = name.rsplit("-", 1)
    spelled = [f"{stem}{mark}{kind}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    for root in ROOTS:
        for candidate in spelled:
            if (folder / root / candidate).is_file():  # a folder of that name is how some archives unpack
                return folder / root / candidate
    raise FileNotFoundError(
        f"Expected {folder} to hold {spelled[1]} (or one of {', '.join(s for s in spelled if s != spelled[1])}), "
        "but it is missing; put MNIST's four files there."
    )
