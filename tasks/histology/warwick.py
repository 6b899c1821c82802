"""Read the Warwick gland images: ``Train/image_NN.png`` with ``Train/label_NN.png``, and the same in ``Test``.

The reduced set holds the amounts of two stains in red and green, with blue 0: bright means stained, dark means
lumen. These are no light; only where blue is used too is an image RGB.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["GlandSet", "load_folder"]

SPLITS = ("Train", "Test")
IMAGE, LABEL = "image_", "label_"
OUTSIDE, INSIDE = 0, 255  # codes of a label


class GlandSet(NamedTuple):
    """Images with masks and sources.

    Attributes:
        images: ``(N, C, H, W)`` uint8; two stains, or RGB.
        masks: ``(N, H, W)`` uint8, 1 in glands, 0 elsewhere.
        groups: ``(N,)`` str, one of its own for every image.
    """

    images: Tensor
    masks: Tensor
    groups: np.ndarray


def load_folder(folder: str | Path) -> tuple[GlandSet, GlandSet, str, tuple[str, ...]]:
    """Load the official split of the Warwick glands.

    A few hundred small files: they are read again each time, in well under a second.

    Args:
        folder: the one with ``Train`` and ``Test``.

    Returns:
        ``(train, test, encoding, notes)``: two :class:`GlandSet`, ``"linear"`` for stain amounts and ``"srgb"`` for
        RGB files, and what a report must say about the data.

    Raises:
        FileNotFoundError: if the folder, or ``Train`` and ``Test`` in it, are missing.
        ValueError: if a folder has no images, a label or an image is missing or unreadable, sizes differ, a label
            holds other codes than 0 and 255, or some files have two channels and others three.

    References:
        Sirinukunwattana et al. 2017, doi:10.1016/j.media.2016.08.008.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected a folder of gland images, but got {folder}, which is missing.")
    missing = [split for split in SPLITS if not (folder / split).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"Expected {folder} to hold Train and Test, but {' and '.join(missing)} are not there; give the folder "
            "above them, and mind upper and lower case."
        )
    pairs = {split: _pairs(folder / split) for split in SPLITS}
    files = [pair for split in SPLITS for pair in pairs[split]]
    read = [(_image(image), _label(label)) for image, label in files]
    shape = read[0][0].shape[:2]
    for (image, label), (picture, mask) in zip(files, read, strict=True):
        if mask.shape != picture.shape[:2]:
            raise ValueError(
                f"Expected {_name(label)} to have the {_size(picture)} pixels of {_name(image)}, but got "
                f"{_size(mask)}; resize labels by nearest neighbour, so that they stay 0 and 255."
            )
        if picture.shape[:2] != shape:
            raise ValueError(
                f"Expected all images to have the {shape[0]}×{shape[1]} pixels of {_name(files[0][0])}, but got "
                f"{_size(picture)} in {_name(image)}; crop or resize them first, with their labels."
            )
    pictures = np.stack([picture for picture, _ in read])
    two = ~pictures[..., 2].any(axis=(1, 2))
    if two.any() and not two.all():
        stains, rgb = (_name(files[int(np.argmax(two == kind))][0]) for kind in (True, False))
        raise ValueError(
            f"Expected all images to hold two stains (blue 0) or all to be RGB, but got {stains} with two stains and "
            f"{rgb} with RGB; keep the two kinds in folders of their own."
        )
    images = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)[:, : 2 if two.all() else 3]))
    masks = torch.from_numpy(np.stack([mask for _, mask in read]))
    groups = np.array([f"{image.parent.name}-{image.stem.removeprefix(IMAGE)}" for image, _ in files])
    count = len(pairs["Train"])
    train, test = (GlandSet(images[part], masks[part], groups[part]) for part in (slice(count), slice(count, None)))
    return train, test, "linear" if two.all() else "srgb", _notes(train, test, bool(two.all()))


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Image and label files of one split, in the order of their names."""
    images = {file.stem.removeprefix(IMAGE): file for file in sorted(folder.glob(f"{IMAGE}*.png"))}
    labels = {file.stem.removeprefix(LABEL): file for file in sorted(folder.glob(f"{LABEL}*.png"))}
    if not images:
        raise ValueError(
            f"Expected {folder} to hold files image_NN.png, but got none; other formats are to be saved as PNG first."
        )
    for here, there, prefix in ((images, labels, LABEL), (labels, images, IMAGE)):
        for number in here:
            if number not in there:
                raise ValueError(
                    f"Expected {_name(here[number])} to have a partner {prefix}{number}.png, but got none; restore "
                    "it, or remove both."
                )
    return [(images[number], labels[number]) for number in images]


def _decoded(file: Path) -> tuple[np.ndarray, str]:
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            mode = image.mode
            return np.asarray(image.convert("RGB") if mode == "P" else image), mode
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).replace(str(file), file.name) or type(error).__name__
        raise ValueError(f"Expected {_name(file)} to be a readable PNG, but got: {reason}; restore it.") from error


def _image(file: Path) -> np.ndarray:
    """``(H, W, 3)`` uint8."""
    codes, mode = _decoded(file)
    if mode not in ("RGB", "RGBA", "P"):
        raise ValueError(
            f"Expected {_name(file)} to be an RGB file of 8 bits, its first two channels the stains, but got mode "
            f"{mode}; save it with three channels, blue 0."
        )
    return codes[..., :3]


def _label(file: Path) -> np.ndarray:
    """``(H, W)`` uint8, 0 and 1."""
    codes, _ = _decoded(file)
    if codes.ndim == 3:
        colours = codes[..., : 1 if codes.shape[2] == 2 else 3]  # without the opacity
        if (colours != colours[..., :1]).any():
            raise ValueError(
                f"Expected {_name(file)} to be black and white, but got colours; save 255 in glands, 0 elsewhere."
            )
        codes = colours[..., 0]
    if codes.dtype == bool:
        return codes.astype(np.uint8)
    values = np.unique(codes)
    others = values[(values != OUTSIDE) & (values != INSIDE)]
    if len(others):
        raise ValueError(
            f"Expected {_name(file)} to hold 0 outside and 255 inside glands, but got {_listed(others)} too; labels "
            "that number the glands become masks by 255 * (label > 0), and JPEG does not keep them."
        )
    return (codes == INSIDE).astype(np.uint8)


def _notes(train: GlandSet, test: GlandSet, stains: bool) -> tuple[str, ...]:
    seen = {image.numpy().tobytes() for image in train.images}
    twins = sum(image.numpy().tobytes() in seen for image in test.images)
    notes = [
        f"{len(train.images)} images to train and {len(test.images)} to test, the official split; "
        f"{100 * float(train.masks.float().mean()):.0f} % and {100 * float(test.masks.float().mean()):.0f} % of their "
        "pixels are gland.",
        "Every image counts as a source of its own: the files do not say which come from one patient.",
        "Channels are amounts of two stains, bright where stained: no light, so no camera saw them."
        if stains
        else "Images are RGB, taken as sRGB-encoded.",
    ]
    if twins:
        notes.append(f"{twins} test images are also in Train, pixel by pixel.")
    return tuple(notes)


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _size(array: np.ndarray) -> str:
    return f"{array.shape[0]}×{array.shape[1]}"


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(str(value) for value in values[:5].tolist())
    return shown + (f" and {len(values) - 5} others" if len(values) > 5 else "")
