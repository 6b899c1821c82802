"""Read real ultrasound images with two diameters each: an HDF5 file, or a folder of images with ``labels.csv``.

Both give :class:`.diameters.DiameterImages`, horizontal diameter first, whatever the file's own order
and unit.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import torch

from physlayer.tasks.hdf5 import dataset, group_names, open_hdf5
from physlayer.tasks.image_files import UnreadableError, read_codes, read_header
from physlayer.tasks.tables import read_table, some
from physlayer.tasks.ultrasound.diameters import DiameterImages, reduce_images, require_diameters, require_seen

__all__ = ["load_folder", "load_hdf5", "patient_of"]

COLUMNS = ("file", "horizontal_mm", "vertical_mm", "pixel_mm")
PATIENT_COLUMN = "patient"  # optional
UNKNOWN = "NO PATIENT IS KNOWN: every image counts as one, and a patient may be on both sides of a split"
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of coloured files
LARGEST_CM = 10.0  # a label above is one in millimetres
PATIENT = re.compile(r"(\d+)_\d*HC")  # 017_HC.png and 017_2HC.png are two pictures of patient 017


def patient_of(name: str) -> str:
    """Patient of a file of the HC18 set; any other file is a patient of its own.

    Example:
        >>> patient_of("017_HC.png"), patient_of("017_2HC.png"), patient_of("eye.png")
        ('017', '017', 'eye')
    """
    stem = Path(name).stem
    found = PATIENT.fullmatch(stem)
    return found[1] if found else stem


def load_hdf5(
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    crop: float = 0.2,
    pixel_mm: float | None = None,
) -> DiameterImages:
    """Load ocular ultrasound with diameters in centimetres, **vertical first**, as the course's ``US_train.h5``.

    Values are scaled to 0…1 by one rule for the whole file: as they are if real and in 0…1, by 255 if in 0…255, by the
    full scale of 16 bits if they are such codes, else from the least to the largest value of the file.

    Args:
        path: with ``/images`` (N, H, W) or (N, C, H, W), and ``/meta`` (N, 2): vertical and horizontal diameter, cm. An
            array ``/groups`` (N,), if there is one, names the patients.
        size: rows and columns, or columns alone, ``None`` for the file's own after the crop.
        crop: share of either side that is cut off.
        pixel_mm: side of a pixel of the file, for :meth:`DiameterImages.fractions`; ``None`` if unknown.

    Returns:
        :class:`DiameterImages`, horizontal first, in mm. Without ``/groups`` every image is a group.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: without h5py.
        ValueError: if the file is no HDF5, lacks ``/images`` or ``/meta``, or they do not match, or a label is no
            diameter in centimetres.
    """
    with open_hdf5(path) as file:
        images, meta = (np.asarray(dataset(file, name)) for name in ("images", "meta"))
        named = group_names(file)
    if images.ndim not in (3, 4) or not images.size or images.dtype.kind not in "uif":
        raise ValueError(
            f"Expected /images to be numbers (N, H, W) or (N, C, H, W), but got {images.dtype} {images.shape}."
        )
    if images.ndim == 4 and images.shape[-1] in (1, 3) and images.shape[1] > 4:
        raise ValueError(f"Expected /images to be (N, C, H, W), but got {images.shape}, which looks like (N, H, W, C).")
    if meta.shape != (len(images), 2) or meta.dtype.kind not in "uif":
        raise ValueError(
            f"Expected /meta to be ({len(images)}, 2), vertical and horizontal diameter in cm for each of the "
            f"{len(images)} images, but got {meta.dtype} {meta.shape}."
        )
    names = [f"row {number} of /meta" for number in range(len(meta))]
    require_diameters(meta, names, "cm")
    if meta.max() > LARGEST_CM:
        raise ValueError(f"Expected /meta to be in cm, but got {meta.max():g}, which looks like mm; divide by 10.")

    scaled, rule = _scaled(images)
    reduced, left = reduce_images(torch.from_numpy(scaled if scaled.ndim == 4 else scaled[:, None]), size, crop)
    targets = torch.from_numpy(10.0 * meta[:, ::-1].astype(np.float32))
    extent = None if pixel_mm is None else torch.tensor([left[1], left[0]]).mul(float(pixel_mm)).expand(len(meta), 2)
    if extent is not None:
        require_seen(targets, extent, names)
    groups = np.array([f"image-{number:05d}" for number in range(len(meta))]) if named is None else named
    if len(groups) != len(meta):
        raise ValueError(f"Expected /groups to name the patients of {len(meta)} images, but got {len(groups)} names.")
    patients = f"{len(set(groups))} patients" if named is not None else f"{UNKNOWN} (an array /groups would name them)"
    notes = (
        f"{len(meta)} images; {patients}.",
        f"The border was cut off, {images.shape[-2]}×{images.shape[-1]} to {left[0]}×{left[1]} pixels; "
        f"values were {rule}.",
    )
    return DiameterImages(reduced.contiguous(), targets, groups, extent, notes)


def load_folder(
    folder: str | Path,
    *,
    size: int | tuple[int, int] | None = 80,
    crop: float = 0.0,
) -> DiameterImages:
    """Load grey images with ``labels.csv``: fetal heads of the HC18 set, or one's own.

    The network sees pixels, not millimetres: train on :meth:`DiameterImages.fractions` and multiply by
    :attr:`DiameterImages.extent_mm`. The crop is 0 by default because a head may fill the picture: 20 % would cut
    into a head in 103 of the 800 images.

    Args:
        folder: with ``labels.csv`` (columns ``file,horizontal_mm,vertical_mm,pixel_mm``, and ``patient`` if the files'
            names do not tell; others are ignored) and the images in ``images/`` or beside it. Images of one shape, of 8
            or 16 bits; of colours, the luma.
        size: rows and columns, or columns alone, ``None`` for the file's own after the crop.
        crop: share of either side that is cut off.

    Returns:
        :class:`DiameterImages` in the order of the table, one channel, with the patients as groups
        (:func:`patient_of`).

    Raises:
        FileNotFoundError: if the folder or ``labels.csv`` is missing.
        ValueError: if files and labels do not match, a label is no diameter, or a file is unreadable, by name.

    Source:
        van den Heuvel et al. (2018), HC18, doi:10.5281/zenodo.1322001.
    """
    folder = Path(folder)
    table = folder / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(f"Expected {folder} to hold labels.csv and images, but got no labels.csv.")
    names, numbers, patients = _labels(table)
    root = folder / "images" if (folder / "images").is_dir() else folder
    _require_files(names, root)
    require_diameters(numbers, names, "mm")

    reduced, shape, left = [], None, None
    for name in names:
        codes, full = _decode(root, name)
        shape = codes.shape if shape is None else shape
        if codes.shape != shape:
            raise ValueError(
                f"Expected all images to have the {shape[0]}×{shape[1]} pixels of {names[0]}, but got "
                f"{codes.shape[0]}×{codes.shape[1]} in {name}."
            )
        image, left = reduce_images(torch.from_numpy(codes)[None, None] / full, size, crop)
        reduced.append(image)
    targets = torch.from_numpy(numbers[:, :2].astype(np.float32))
    extent = torch.from_numpy(numbers[:, 2:].astype(np.float32)) * torch.tensor([float(left[1]), float(left[0])])
    if crop == 0:
        require_seen(targets, extent, names)
    groups = np.array([patient_of(name) for name in names] if patients is None else patients)
    cut = int((targets > extent).any(1).sum())
    if patients is not None or any(PATIENT.fullmatch(Path(name).stem) for name in names):
        notes = [f"{len(names)} images of {len(set(groups))} patients; count patients, not images."]
    else:
        notes = [f"{len(names)} images; {UNKNOWN} (a column patient tells)."]
    if cut:
        notes.append(f"A diameter of {cut} images is larger than what the crop of {crop:.0%} leaves of them.")
    return DiameterImages(torch.cat(reduced), targets, groups, extent, tuple(notes))


def _labels(file: Path) -> tuple[list[str], np.ndarray, list[str] | None]:
    """File names; ``(N, 3)``: horizontal and vertical diameter and size of a pixel, mm; patients if they are told."""
    table = read_table(file)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise ValueError(f"Expected {table.name} to have the columns {','.join(COLUMNS)}, but got no {missing[0]}.")
    names = [row["file"] for row in table.rows]
    numbers = np.empty((len(names), 3))
    for number, row in enumerate(table.rows):
        for place, column in enumerate(COLUMNS[1:]):
            try:
                numbers[number, place] = float(row[column])
            except ValueError:
                raise ValueError(
                    f"Expected {column} of {names[number] or f'row {number + 2}'} to be a number, but got "
                    f"{row[column]!r}; correct {table.name}."
                ) from None
    if PATIENT_COLUMN not in table.columns:
        return names, numbers, None
    patients = [row[PATIENT_COLUMN] for row in table.rows]
    unnamed = [name for name, patient in zip(names, patients, strict=True) if not patient]
    if unnamed:
        raise ValueError(f"Expected {table.name} to name the {PATIENT_COLUMN} of every image, but not {some(unnamed)}.")
    return names, numbers, patients


def _require_files(names: list[str], root: Path) -> None:
    """Every label has an image and every image has one label."""
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"Expected one label per file, but got several for {some(twice)}.")
    missing = [name for name in names if not name or not (root / name).is_file()]
    if missing:
        raise ValueError(f"Expected an image for every label, but got none in {root.name} for {some(missing)}.")
    suffixes = {Path(name).suffix.lower() for name in names}
    there = {file.name for file in root.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")}
    extra = sorted(there - {Path(name).name for name in names})
    if extra:
        raise ValueError(f"Expected a label for every image, but got none in labels.csv for {some(extra)}.")


def _decode(root: Path, name: str) -> tuple[np.ndarray, int]:
    """Grey codes, ``(H, W)`` float32, and the code of full scale."""
    try:
        read_header(root, name)
        codes = read_codes(root, name)
    except UnreadableError as error:
        raise ValueError(f"Expected every image to be readable, but got {error}; restore it.") from error
    full = int(np.iinfo(codes.dtype).max)
    if codes.shape[2] == 1:
        return codes[..., 0].astype(np.float32), full
    return np.rint(codes.astype(np.float32) @ LUMA), full


def _scaled(images: np.ndarray) -> tuple[np.ndarray, str]:
    """Values as float32 in 0…1, and how."""
    if images.dtype.itemsize <= 2 and images.dtype.kind in "ui" and images.min() >= 0:
        full = 255 if images.max() <= 255 else np.iinfo(images.dtype).max
        return (images / np.float32(full)).astype(np.float32), f"divided by {full}"
    low, high = float(images.min()), float(images.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("Expected /images to be finite, but got NaN or infinity.")
    if low >= 0 and high <= 1:
        return images.astype(np.float32), "taken as they are"
    if low >= 0 and high <= 255:
        return (images / 255).astype(np.float32), "divided by 255"
    return ((images - low) / (high - low or 1.0)).astype(np.float32), f"scaled from {low:g}…{high:g} to 0…1"
