"""Work out what a folder of images asks: a class by folder or by table, numbers by table, or masks."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from physlayer.tasks.folder.answers import Answers, answers
from physlayer.tasks.folder.layout import PARTS, class_of, mask_pairs, part_of
from physlayer.tasks.folder.sources import given_sources, groups_file
from physlayer.tasks.tables import (
    ENDINGS,
    FileNames,
    Table,
    cells_of,
    file_column,
    read_table,
    some,
    source_column,
    split_column,
)

__all__ = ["CLASSES", "MASKS", "NUMBERS", "Found", "understand"]

CLASSES, NUMBERS, MASKS = "classes", "numbers", "masks"
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
LAYOUTS = (
    "DIR/apple/1.png and DIR/pear/1.png for classes, a CSV file beside the images for classes or numbers, or images/ "
    "and masks/ (or 1.png with 1_mask.png) for masks"
)


@dataclass(frozen=True, eq=False)
class Found:
    """What a folder holds, before any image is read; arrays are in the order of the images.

    Args:
        root: the folder. kind: :data:`CLASSES`, :data:`NUMBERS` or :data:`MASKS`.
        images: paths below the folder. masks: those of their masks, or ``None``.
        names: of the classes or the numbers; targets: int64 or float32, ``None`` for masks.
        parts: ``"pool"`` or ``"test"`` of an official split, all ``""`` without one.
        sources: of the images, ``None`` if nothing tells them. by: how they were found.
        notes: what a report must say.
    """

    root: Path
    kind: str
    images: np.ndarray
    masks: np.ndarray | None
    names: tuple[str, ...]
    targets: np.ndarray | None
    parts: np.ndarray
    sources: np.ndarray | None
    by: str
    notes: tuple[str, ...]

    def subset(self, kept: np.ndarray) -> Found:
        """The images ``kept``, boolean."""
        arrays = {name: getattr(self, name) for name in ("images", "masks", "targets", "parts", "sources")}
        return replace(self, **{name: None if array is None else array[kept] for name, array in arrays.items()})


def understand(folder: str | Path, groups: str | None = None) -> Found:
    """The kind of a folder, its answers, sources and official split; no image is opened.

    Masks are seen by their folder or their names; else a table with answers counts; else folders are classes.

    Args:
        folder: with the images. groups: as :func:`physlayer.tasks.folder.sources.given_sources`.

    Raises:
        FileNotFoundError: if the folder, or a table of sources, is missing.
        ValueError: if there are no images, nothing says what is asked or two things do, there is one class only, or
            answers and images do not match.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected --data to be a folder of images, but got {folder}, which is none.")
    images, tables, others = _listed(folder)
    if not images:
        kinds = ", ".join(f"{count} {suffix or 'without ending'}" for suffix, count in others.most_common(3))
        raise ValueError(
            f"Expected {folder} to hold images ({', '.join(SUFFIXES)}), but got "
            f"none{f' among {kinds}' if kinds else ''}; give the folder above the images, and save other formats as "
            "PNG."
        )
    given = groups_file(groups, folder)
    tables = [file for file in tables if given is None or not file.samefile(given)]
    pairs = mask_pairs(images)
    images = sorted(pairs) if pairs else images
    table, said = _table(tables, images, groups)
    files = file_column(table, FileNames(images)) if table else None
    folders = [class_of(name) for name in images]
    _require_one_question(table, said, files, pairs, folders)

    notes, masks = [], None
    if pairs:
        kind, names, targets, masks = MASKS, ("background", "object"), None, np.array([pairs[name] for name in images])
        notes.append(f"Kind: masks (segmentation); {len(images)} images with a mask each.")
    elif said is not None:
        kind = CLASSES if said.targets.ndim == 1 else NUMBERS
        names, targets = said.names, said.targets
        asked = "classification" if kind == CLASSES else f"regression of {', '.join(names)}"
        notes += [f"Kind: {kind} by the table {table.name} ({asked}); {len(images)} images, named by {files}."]
        notes += said.notes
    else:
        kind, (names, targets) = CLASSES, _by_folder(folder, images, folders)
        notes.append(f"Kind: classes by folder (classification); {len(images)} images.")
    if kind == CLASSES:
        if len(names) < 2:
            raise ValueError(f"Expected at least 2 classes, but got {names[0]} for all images; add images of another.")
        counts = np.bincount(targets, minlength=len(names))
        notes.append(
            "Classes: " + ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True)) + "."
        )
    if others := [f"{count} {suffix}" for suffix, count in others.most_common() if suffix not in ENDINGS]:
        notes.append(f"Files that are no images were not read: {', '.join(others[:5])}.")

    sources, by = None, ""
    if groups is not None:
        sources, by = given_sources(groups, images, folder, table)
    elif table is not None and (column := source_column(table, files)) is not None:
        sources, by = cells_of(table, images, column, files), f"the column {column} of {table.name}"
    parts = _parts(table, images, files, below=int(kind == CLASSES and said is None))
    return Found(folder, kind, np.array(images), masks, names, targets, parts, sources, by, tuple(notes))


def _listed(folder: Path) -> tuple[list[str], list[Path], Counter]:
    """Images below the folder in the order of their paths, tables in it, and how many other files of each ending."""
    images, tables, others = [], [], Counter()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for file in sorted(name for name in files if not name.startswith(".")):
            path = Path(place) / file
            suffix = path.suffix.lower()
            if suffix in SUFFIXES:
                images.append(path.relative_to(folder).as_posix())
            elif suffix in ENDINGS and Path(place) == folder:
                tables.append(path)
            else:
                others[suffix] += 1
    return sorted(images), tables, others


def _by_folder(folder: Path, images: list[str], folders: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    loose = [name for name, each in zip(images, folders, strict=True) if not each]
    if all(not each or each.lower() in PARTS for each in folders):
        raise ValueError(
            f"Expected {folder} to say what is asked of its {len(images)} images, but got images alone; make one of "
            f"these: {LAYOUTS}."
        )
    if loose:
        raise ValueError(
            f"Expected every image to lie in the folder of its class, but got {len(loose)} beside them "
            f"({some(loose)}); move them into one, or away."
        )
    beside = [name for name in images if not part_of(name, below=1)]
    if 0 < len(beside) < len(images):
        raise ValueError(
            f"Expected all classes to lie in train and test, but got {len(beside)} images beside them "
            f"({some(beside)}); move them."
        )
    names = tuple(sorted(set(folders)))
    if len(names) < 2:
        below = {name.split("/")[1] for name in images if name.count("/") > 1}
        fix = f"give the folder {folder / names[0]}" if len(below) > 1 else f"make one of these: {LAYOUTS}"
        raise ValueError(f"Expected at least 2 classes, a folder for each, but got only {names[0]}; {fix}.")
    return names, np.array([names.index(each) for each in folders], np.int64)


def _table(tables: list[Path], images: list[str], groups: str | None) -> tuple[Table | None, Answers | None]:
    """The table that names the images, and its answers if it has any; of several, the one with answers.

    Raises:
        ValueError: as :mod:`physlayer.tasks.tables`, or if several have answers.
    """
    finder, found = FileNames(images), []
    for table in map(read_table, tables):
        files = file_column(table, finder)
        if files is None and len(tables) > 1:
            continue  # one about something else
        found.append((table, answers(table, images, files, sources=groups)))
    told = [pair for pair in found if pair[1] is not None]
    if len(told) > 1:
        raise ValueError(
            f"Expected one table of answers, but got {' and '.join(table.name for table, _ in told)}; move all but one "
            "away."
        )
    return (told or found or [(None, None)])[0]


def _require_one_question(table, said, files, pairs: dict, folders: list[str]) -> None:
    """Refuse a table with answers beside masks, or beside class folders that say something else."""
    if said is None:
        return
    fix = "move one of both away; a table that only names sources may have file,group, or be given as --groups"
    if pairs:
        raise ValueError(f"Expected one question, but got masks, and {', '.join(said.names)} in {table.name}; {fix}.")
    paths = any("/" in row[files] for row in table.rows)  # then the table knows the folders, and means more
    folders = [each if each.lower() not in PARTS else "" for each in folders]
    same = said.targets.ndim == 1 and [said.names[k] for k in said.targets.tolist()] == folders
    if len(set(folders) - {""}) > 1 and not paths and not same:
        raise ValueError(
            f"Expected one question, but got folders ({some(sorted(set(folders) - {''}))}) that may be classes, and "
            f"{', '.join(said.names)} in {table.name}; write paths with their folder into {files} if the table is "
            f"meant, or {fix}."
        )


def _parts(table: Table | None, images: list[str], files: str | None, below: int) -> np.ndarray:
    """``"pool"`` or ``"test"`` of every image where table or folders say so, else ``""``."""
    column = split_column(table, files) if table is not None else None
    if column is None:
        parts = np.array([part_of(name, below) for name in images])
    else:
        cells = cells_of(table, images, column, files)
        unknown = sorted({cell for cell in cells.tolist() if cell.lower() not in PARTS})
        if unknown:
            raise ValueError(
                f"Expected {column} of {table.name} to say train, val or test, but got {some(unknown)}; rename the "
                "column if it says something else."
            )
        parts = np.array([PARTS[cell.lower()] for cell in cells.tolist()])
    return parts if set(parts.tolist()) == {"pool", "test"} else np.full(len(images), "", dtype=str)
