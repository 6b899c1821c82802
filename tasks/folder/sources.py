"""Which images come from one source: ``--groups`` as a CSV file, a column or a pattern; copies of one image."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from physlayer.tasks.tables import ENDINGS, SOURCES, FileNames, Table, cells_of, file_column, read_table, some
from physlayer.tasks.tables import source_column as column_of

__all__ = ["given_sources", "groups_file", "join_copies"]

WAYS = (
    "a CSV file with the columns file,group, the name of a column of the table, or a regular expression with one pair "
    r"of parentheses around the source, such as '^(\d+)_'"
)


def groups_file(groups: str | None, folder: Path) -> Path | None:
    """The CSV file that ``--groups`` names, as it stands or below the folder; ``None`` if it names none.

    Raises:
        FileNotFoundError: if it ends as a table does and there is no such file.
    """
    if groups is None:
        return None
    for place in (Path(groups), folder / groups):
        if os.path.isfile(place):  # a long pattern is no file name, and no error here
            return place
    if groups.lower().endswith(ENDINGS) and "(" not in groups:
        raise FileNotFoundError(f"Expected --groups to be {WAYS}, but got {groups}, a missing file.")
    return None


def given_sources(groups: str, images: Sequence[str], folder: Path, table: Table | None) -> tuple[np.ndarray, str]:
    """The source of every image by ``--groups``, and how it was found.

    An existing file is read as a table; a name with no parenthesis is looked for among the table's columns; anything
    else is a regular expression. It is searched for in the name of the file, or, if it holds a slash, in the path below
    the folder.

    Raises:
        FileNotFoundError: if a CSV file is missing.
        ValueError: if ``groups`` is none of these, or leaves an image without a source.

    Example:
        >>> sources, _ = given_sources(r"^(\\d+)_", ["a/12_0.png", "a/12_1.png", "b/7_0.png"], Path(), None)
        >>> sources.tolist()
        ['12', '12', '7']
    """
    file = groups_file(groups, folder)
    if file is not None:
        named = read_table(file)
        files = file_column(named, FileNames(images))
        column = column_of(named, files)
        if files is None or column is None:
            lacking = "names the images" if files is None else f"names their sources ({', '.join(SOURCES[:3])}, …)"
            raise ValueError(
                f"Expected {named.name} to have the columns file,group, but none of {','.join(named.columns)} "
                f"{lacking}; rename it."
            )
        return cells_of(named, images, column, files), f"the column {column} of {named.name}"
    if table is not None and groups in table.columns:
        return cells_of(table, images, groups, file_column(table, FileNames(images))), f"the column {groups}"
    return _by_pattern(groups, images), f"the pattern {groups}"


def _by_pattern(groups: str, images: Sequence[str]) -> np.ndarray:
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise ValueError(
            f"Expected --groups to be {WAYS}, but got {groups!r}, which is no pattern: {error}."
        ) from error
    if pattern.groups != 1:
        raise ValueError(
            f"Expected --groups to be {WAYS}, but got {groups!r}, which is neither a file nor a column, and has "
            f"{pattern.groups} pairs of parentheses."
        )
    searched = [name if "/" in groups else name.rpartition("/")[2] for name in images]
    found = [pattern.search(text) for text in searched]
    without = [text for text, match in zip(searched, found, strict=True) if match is None or not match[1]]
    if without:
        raise ValueError(
            f"Expected the pattern {groups} of --groups to find a source in every name, but got none in "
            f"{len(without)} of {len(images)} ({some(without)}); change the pattern, or give a CSV file with the "
            "columns file,group."
        )
    return np.array([match[1] for match in found], dtype=str)


def join_copies(sources: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, int]:
    """Images of one mark (of equal pixels) get the source of the first of them; also how many were joined.

    Args:
        sources: one of its own for every image. marks: equal where images are equal.

    Example:
        >>> join_copies(np.array(["a", "b", "c"]), np.array(["x", "y", "x"]))
        (array(['a', 'b', 'a'], dtype='<U1'), 1)
    """
    _, first, which = np.unique(marks, return_index=True, return_inverse=True)
    return sources[first[which]], len(marks) - len(first)
