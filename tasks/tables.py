"""Read a table beside the images: which column names the files, what is asked of them, who is their source.

Files are named by the column whose cells match the most of them, whatever it is called.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = [
    "FileNames",
    "Table",
    "cells_of",
    "file_column",
    "read_table",
    "rows_of",
    "some",
    "source_column",
    "split_column",
]

ENDINGS = (".csv", ".tsv")
FILES = ("file", "filename", "file_name", "image", "image_name", "path", "name", "id", "image_id")
SOURCES = ("group", "source", "patient", "patient_id", "subject", "subject_id", "donor", "case", "slide", "wsi")
SPLITS = ("split", "subset", "partition")
EMPTY = ("", "nan", "n/a", "null")  # no answer, of words


class Table(NamedTuple):
    """A CSV file: its name, its columns, and its rows as dictionaries of stripped cells."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_table(path: Path) -> Table:
    """A table with commas, semicolons or tabs, whichever its first line holds most of.

    Raises:
        ValueError: if it is no UTF-8 text, a quotation mark is not closed, it has no rows, two columns of one name, or
            a row of another length.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            f"Expected {path.name} to be UTF-8 text, but got other bytes; save it as 'CSV UTF-8'."
        ) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        cells = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(
            f"Expected {path.name} to be a table of cells, but got: {error}; is a quotation mark not closed?"
        ) from None
    lines = [[cell.strip() for cell in line] for line in cells]
    lines = [line for line in lines if any(line)]
    if len(lines) < 2:
        raise ValueError(f"Expected {path.name} to hold a line of names and rows below, but got {len(lines)} lines.")
    columns = tuple(lines[0])
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"Expected {path.name} to name every column once, but got {twice[0]!r} twice; rename one.")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(columns):
            raise ValueError(
                f"Expected line {number} of {path.name} to have the {len(columns)} cells of its first line, but got "
                f"{len(line)}; put text with a {delimiter!r} in quotation marks."
            )
    return Table(path.name, columns, tuple(dict(zip(columns, line, strict=True)) for line in lines[1:]))


class FileNames:
    """Finds the image that a cell means: a path below the folder or the end of one, with or without its ending.

    A path that names a folder is never matched to a file of another one.

    Args:
        names: paths below the folder, with ``/``.

    Example:
        >>> names = FileNames(["a/1.png", "b/1.png", "b/2.png"])
        >>> names.find("fruit/a/1.png"), names.find("2.png"), names.find("2"), names.find("1.png")
        ('a/1.png', 'b/2.png', 'b/2.png', None)
        >>> names.find("a/2.png") is None and FileNames(["1.png"]).find("pear/1.png") is None
        True
    """

    def __init__(self, names: Iterable[str]):
        self.names = set(names)
        found: dict[str, set[str]] = {}
        for name in self.names:
            for tail in _tails(name):
                found.setdefault(tail, set()).add(name)
                found.setdefault(tail.rpartition(".")[0], set()).add(name)
        self._by_tail = {tail: next(iter(some)) for tail, some in found.items() if len(some) == 1}

    def find(self, cell: str) -> str | None:
        """The one image that is meant, or ``None``."""
        cell = cell.replace("\\", "/").removeprefix("./")
        if not cell:
            return None
        whole = next((tail for tail in _tails(cell) if tail in self.names and ("/" in tail or tail == cell)), None)
        return whole or self._by_tail.get(cell)


def _tails(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def file_column(table: Table, names: FileNames) -> str | None:
    """The column whose cells name the most images, ``None`` if none names any; with endings rather than without.

    Example:
        >>> table = Table("t.csv", ("", "picture"), ({"": "0", "picture": "0.png"}, {"": "1", "picture": "1.png"}))
        >>> file_column(table, FileNames(["0.png", "1.png"]))  # not the numbers of the rows
        'picture'
    """

    def fits(column: str) -> tuple[int, int, bool]:
        cells = [row[column] for row in table.rows if names.find(row[column]) is not None]
        return len(cells), sum("." in cell for cell in cells), column.lower() in FILES

    best = max(table.columns, key=fits)
    return best if fits(best)[0] else None


def source_column(table: Table, files: str | None = None) -> str | None:
    """The column that names the source of every image: the first of :data:`SOURCES` that is there."""
    lower = {column.lower(): column for column in table.columns if column != files}
    return next((lower[name] for name in SOURCES if name in lower), None)


def split_column(table: Table, files: str | None = None) -> str | None:
    """The column that says what is training and what is test."""
    lower = {column.lower(): column for column in table.columns if column != files}
    return next((lower[name] for name in SPLITS if name in lower), None)


def rows_of(table: Table, images: Sequence[str], files: str | None, *, all_used: bool) -> list[dict[str, str]]:
    """The row of every image.

    Args:
        files: the column that names them. all_used: every row must have an image, too.

    Raises:
        ValueError: if no column names images, rows and images do not match, or an image has two rows.
    """
    if files is None:
        raise ValueError(
            f"Expected {table.name} to have a column that names the images, such as {images[0]}, but none of "
            f"{','.join(table.columns)} does; write file names or paths below the folder into a column file."
        )
    finder, found = FileNames(images), {}
    for row in table.rows:
        name = finder.find(row[files])
        if name is None and all_used:
            missing = [each[files] for each in table.rows if finder.find(each[files]) is None]
            raise ValueError(
                f"Expected an image for every row of {table.name}, but got none, or several of that name, for "
                f"{len(missing)} of {len(table.rows)} ({files}: {some(missing)}); restore them, write their paths "
                "below the folder, or remove the rows."
            )
        if name is not None and found.setdefault(name, row) is not row:
            raise ValueError(f"Expected one row of {table.name} per image, but got two for {name}; keep one.")
    without = [name for name in images if name not in found]
    if without:
        raise ValueError(
            f"Expected a row of {table.name} for every image, but got none for {len(without)} of {len(images)} "
            f"(column {files}: {some(without)}); add rows, or move these images away"
            f"{', or write a line of names above the table' if finder.find(files) else ''}."
        )
    return [found[name] for name in images]


def cells_of(table: Table, images: Sequence[str], column: str, files: str | None) -> np.ndarray:
    """A column of words, as a source or a split, for every image.

    Raises:
        ValueError: as :func:`rows_of`, or if a cell is empty.
    """
    cells = [row[column] for row in rows_of(table, images, files, all_used=False)]
    empty = [name for name, cell in zip(images, cells, strict=True) if cell.lower() in EMPTY]
    if empty:
        raise ValueError(
            f"Expected {column} of {table.name} for every image, but got an empty cell for {some(empty)}; fill it."
        )
    return np.array(cells, dtype=str)


def some(names: Sequence[str]) -> str:
    """A few of many names.

    Example:
        >>> some(["a", "b", "c", "d"])
        'a, b, c, …'
    """
    return ", ".join(name or repr(name) for name in names[:3]) + (", …" if len(names) > 3 else "")
