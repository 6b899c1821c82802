"""Read lymph-node patches: PatchCamelyon's HDF5 files, or a folder of images with a table of labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from physlayer.tasks.hdf5 import dataset, open_hdf5, read_rows
from physlayer.tasks.image_files import UnreadableError, read_codes, read_header
from physlayer.tasks.tables import read_table

__all__ = ["PatchSet", "load_image_folder", "load_patch_camelyon"]

SPLITS = ("train", "valid", "test")
PREFIX = "camelyonpatch_level_2_split_"
TABLES = ("labels.csv", "train_labels.csv")
PLACES = (".", "train", "images")  # of the image files, below the folder
SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
SOURCES = ("group", "wsi", "slide", "patient")  # columns that name the source of an image, the first that is there


class PatchSet(NamedTuple):
    """Patches with classes and sources.

    Attributes:
        images: ``(N, 3, H, W)`` uint8, sRGB-encoded.
        targets: ``(N,)`` int64, 1 with tumour in the centre, else 0.
        groups: ``(N,)`` str, the slide where it is known, else one of its own for every image.
    """

    images: Tensor
    targets: Tensor
    groups: np.ndarray


def load_patch_camelyon(
    folder: str | Path, *, limit: int | None = None, seed: int = 0
) -> tuple[dict[str, PatchSet], tuple[str, ...]]:
    """Load the official split of PatchCamelyon, 96×96 pixels of 0.97 µm.

    Args:
        folder: with ``camelyonpatch_level_2_split_train_x.h5``, ``…_y.h5``, the same for ``test``, perhaps ``valid``.
            Slides are known where ``…_meta.csv`` with a column ``wsi`` is beside them.
        limit: patches per split, drawn at random; ``None`` for all (the training set then needs 7.3 GB of memory).
        seed: which are drawn.

    Returns:
        ``({"train": …, "test": …}, notes)``, with ``"valid"`` if it is there: a :class:`PatchSet` each, and what a
        report must say.

    Raises:
        ImportError: if h5py is not installed. FileNotFoundError: if the folder or a file is missing.
        ValueError: if a file is damaged, or an array is missing or of another shape or kind.

    References:
        Veeling et al. 2018, arXiv:1806.03962.
    """
    folder = _existing(folder, "PatchCamelyon files")
    sets, unknown = {}, []
    for split in SPLITS:
        names = [f"{PREFIX}{split}_{part}.h5" for part in "xy"]
        if split == "valid" and not any((folder / name).exists() for name in names):
            continue
        with open_hdf5(folder / names[0]) as images_file, open_hdf5(folder / names[1]) as labels_file:
            images, labels = dataset(images_file, "x"), dataset(labels_file, "y")
            if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
                raise ValueError(
                    f"Expected x in {names[0]} to be uint8 (N, H, W, 3), but got {images.dtype} {images.shape}."
                )
            targets = labels[:].reshape(len(labels), -1)
            if targets.shape != (len(images), 1):
                raise ValueError(
                    f"Expected y in {names[1]} to hold a label for each of {len(images)} patches, but got the shape "
                    f"{labels.shape}; are the two files of one split?"
                )
            index = _drawn(len(images), limit, seed)
            pixels = read_rows(images, index)
        groups = _slides(folder / f"{PREFIX}{split}_meta.csv", len(targets))
        if groups is None:
            unknown.append(split)
            groups = np.array([f"{split}-{number:06d}" for number in range(len(targets))])
        images, targets = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), _classes(targets[:, 0], names[1])
        sets[split] = PatchSet(images, targets[index], groups[index])
    notes = [f"{split}: {len(part.targets)} patches, {_share(part)} with tumour." for split, part in sets.items()]
    if unknown:
        notes.append(
            f"The slides of {', '.join(unknown)} are not known (no meta.csv): keep the official split, another one "
            "would put patches of one slide on both sides."
        )
    return sets, tuple(notes)


def load_image_folder(
    folder: str | Path, *, table: str | Path | None = None, limit: int | None = None, seed: int = 0
) -> tuple[PatchSet, tuple[str, ...]]:
    """Load images named in a table with the columns ``id,label``.

    Args:
        folder: with the images, or with ``train`` or ``images`` that hold them; TIFF, PNG or JPEG.
        table: CSV file; ``None``: ``labels.csv`` or ``train_labels.csv`` in the folder. ``id`` is the name of a file,
            with or without its ending, ``label`` 0 or 1. A column ``group`` (or ``wsi``, ``slide``, ``patient``)
            names the source of each image.
        limit: images, drawn at random; ``None`` for all. seed: which are drawn.

    Returns:
        ``(patches, notes)``: a :class:`PatchSet`, without any split, and what a report must say.

    Raises:
        FileNotFoundError: if the folder or the table is missing.
        ValueError: if a column, a label or an image is missing or wrong, or images differ in size.
    """
    folder = _existing(folder, "images with a table of labels")
    tables = [Path(table)] if table is not None else [folder / name for name in TABLES]
    found = next((path for path in tables if path.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"Expected a table with the columns id,label, but got none at {' or '.join(map(str, tables))}; name it "
            "with table."
        )
    rows, source = _rows(found)
    files = {
        file.name: file
        for place in PLACES
        if (folder / place).is_dir()
        for file in sorted((folder / place).iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    }
    by_stem = {file.stem: file for file in files.values()}
    chosen = [rows[number] for number in _drawn(len(rows), limit, seed)]
    paths = [files.get(row["id"], by_stem.get(row["id"])) for row in chosen]
    missing = [row["id"] for row, path in zip(chosen, paths, strict=True) if path is None]
    if missing:
        raise ValueError(
            f"Expected an image for every id of {found.name}, but got none for {len(missing)} of {len(chosen)} "
            f"(first: {missing[0]}) in {folder} or its train or images; restore them, or remove the rows."
        )
    first = _decoded(paths[0])
    pixels = np.empty((len(paths), *first.shape), np.uint8)
    for number, path in enumerate(paths):
        image = _decoded(path)
        if image.shape != first.shape:
            raise ValueError(
                f"Expected all images to have the {first.shape[0]}×{first.shape[1]} pixels of {paths[0].name}, but got "
                f"{image.shape[0]}×{image.shape[1]} in {path.name}."
            )
        pixels[number] = image
    patches = PatchSet(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(),
        _classes(np.array([row["label"] for row in chosen]), found.name),
        np.array([row[source] if source else row["id"] for row in chosen], dtype=str),
    )
    notes = [f"{len(patches.targets)} patches, {_share(patches)} with tumour."]
    if source:
        notes.append(f"Sources are those of the column {source}: {len(set(patches.groups))}.")
    else:
        notes.append(
            "Every image counts as a source of its own: patches of one slide may be on both sides of a split, and "
            "accuracy is then too high; add a column group to the table."
        )
    return patches, tuple(notes)


def _existing(folder: str | Path, what: str) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected a folder of {what}, but got {folder}, which is missing.")
    return folder


def _drawn(count: int, limit: int | None, seed: int) -> np.ndarray:
    """Ascending indices of all, or of ``limit`` at random."""
    if count == 0:
        raise ValueError("Expected at least one patch, but got none.")
    if limit is None or limit >= count:
        return np.arange(count)
    if limit < 1:
        raise ValueError(f"Expected limit to be 1 or more, or None for all, but got {limit}.")
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def _classes(labels: np.ndarray, name: str) -> Tensor:
    """Labels 0 and 1, numbers or words, as int64."""
    words = np.unique(labels)
    others = [str(word) for word in words.tolist() if str(word).strip() not in ("0", "1")]
    if others:
        raise ValueError(f"Expected the labels of {name} to be 0 or 1, but got {', '.join(others[:5])}.")
    return torch.from_numpy(labels.astype(np.int64))


def _slides(table: Path, count: int) -> np.ndarray | None:
    if not table.is_file():
        return None
    rows, source = _rows(table, needed=())
    if source is None or len(rows) != count:
        raise ValueError(
            f"Expected {table.name} to have {count} rows and a column wsi, but got {len(rows)} rows; remove the file "
            "to do without slides."
        )
    return np.array([row[source] for row in rows], dtype=str)


def _rows(table: Path, needed: tuple[str, ...] = ("id", "label")) -> tuple[list[dict[str, str]], str | None]:
    """Rows of a CSV file, and the column that names sources, if there is one."""
    found = read_table(table)
    if not set(needed) <= set(found.columns):
        raise ValueError(
            f"Expected {table.name} to have the columns {','.join(needed)}, but got {','.join(found.columns)}."
        )
    source, rows = next((name for name in SOURCES if name in found.columns), None), list(found.rows)
    if source and any(not row[source] for row in rows):
        raise ValueError(f"Expected every row of {table.name} to name its {source}, but got one that is empty.")
    twice = next((name for name, times in Counter(row.get("id", "") for row in rows).items() if times > 1), None)
    if "id" in needed and twice is not None:
        raise ValueError(f"Expected every id of {table.name} once, but got {twice} twice.")
    return rows, source


def _decoded(file: Path) -> np.ndarray:
    """Codes ``(H, W, 3)`` uint8; a grey file has three equal channels."""
    try:
        header = read_header(file.parent, file.name)
        if header.bits != 8:
            raise ValueError(f"Expected {file.name} to have 8 bits per channel, but got {header.bits}; save it so.")
        codes = read_codes(file.parent, file.name)
    except UnreadableError as error:
        raise ValueError(f"Expected every file to be a readable image, but got {error}; restore it.") from error
    return codes if codes.shape[2] == 3 else codes.repeat(3, 2)


def _share(patches: PatchSet) -> str:
    return f"{100 * float(patches.targets.float().mean()):.0f} %"
