"""The source of every image file: from the shipped table of Kaggle's files, or from a table of the user's."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np

__all__ = ["given_sources", "shipped_sources"]

SHIPPED_TABLE = Path(__file__).with_name("groups.csv.gz")


def shipped_sources(files: list[Path], names: list[str]) -> np.ndarray:
    """Sources ``(N,)`` of Kaggle's files, which are known by class, name and size.

    Args:
        files: the image files. names: their paths below ``images``.

    Raises:
        ValueError: if a file is not in the table.
    """
    with gzip.open(SHIPPED_TABLE, "rt", encoding="utf-8", newline="") as table:
        known = {
            (f"{row['split']}/{row['class']}/{row['file']}", int(row["bytes"])): row["group"]
            for row in csv.DictReader(table)
        }
    found = [known.get((name, file.stat().st_size), "") for file, name in zip(files, names, strict=True)]
    return _require_sources(found, names, "the table of Kaggle's own files")


def given_sources(table: Path, names: list[str]) -> np.ndarray:
    """Sources ``(N,)`` by a CSV file with the columns ``file,group``; ``split,class`` may complete ``file``.

    Args:
        table: the file. names: paths of the images below ``images``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it lacks a column or the source of an image, or gives an image two.
    """
    if not table.is_file():
        raise FileNotFoundError(f"Expected groups to be a CSV file or 'content', but got {table}, a missing file.")
    known: dict[str, str] = {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"file", "group"} <= set(reader.fieldnames or ()):
            raise ValueError(f"Expected {table.name} to have the columns file,group, but got {reader.fieldnames}.")
        for row in reader:
            parts = [row.get("split"), row.get("class"), (row["file"] or "").strip().replace("\\", "/")]
            key = "/".join(part for part in parts if part).rpartition("images/")[2].removeprefix("./")
            group = (row["group"] or "").strip()
            if known.setdefault(key, group) != group:
                raise ValueError(
                    f"Expected one group for {key} in {table.name}, but got {known[key]} and {group}; "
                    "write its path below images."
                )
    unique = Counter(name.rpartition("/")[2] for name in names)
    found = []
    for name in names:
        base = name.rpartition("/")[2]
        found.append(known.get(name) or (known.get(base, "") if unique[base] == 1 else ""))
    return _require_sources(found, names, table.name)


def _require_sources(found: list[str], names: list[str], table: str) -> np.ndarray:
    unknown = [name for name, group in zip(names, found, strict=True) if not group]
    if unknown:
        raise ValueError(
            f"Expected a source for every image, but got {len(unknown)} of {len(names)} files "
            f"(first: {unknown[0]}) that are not in {table}; name the sources with --groups FILE, a CSV with columns "
            "file,group (a group of its own for every independent photograph), or --groups content to guess by colour: "
            "a random split would put copies of one original on both sides."
        )
    return np.array(found, dtype=str)
