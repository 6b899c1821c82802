"""What a table asks of the images: classes or numbers.

A column ``label`` or ``class`` holds the answers, or else all columns of numbers do, or else the only column of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from physlayer.tasks.tables import EMPTY, SOURCES, SPLITS, Table, cells_of, rows_of, source_column, split_column

__all__ = ["Answers", "answers", "common_unit"]

COUNTERS = ("", "index", "unnamed: 0", "row", "id")  # columns that number the rows
LABELS = ("label", "class", "labels", "classes")
FEW = 20  # different whole numbers in a column of labels: classes up to here, numbers above
MISSING = (*EMPTY, "na", "none")  # no answer, of numbers
WRITTEN = re.compile(r"[-+]?\d+,\d+\s*[^\W\d]*|[-+]?\d+(\.\d+)?\s*[^\W\d]{1,3}")  # a decimal comma, a unit in the cell
UNIT = re.compile(r"[\[(]\s*([^\])]+?)\s*[\])]\s*$|_(nm|um|µm|mm|cm|m|km|px|deg|rad|ms|s|h|g|kg|years|percent)$")


class Answers(NamedTuple):
    """What a table says of the images, in their order.

    Attributes:
        names: of the classes, or of the numbers. targets: int64 ``(N,)`` or float32 ``(N, K)``. notes: what was seen.
    """

    names: tuple[str, ...]
    targets: np.ndarray
    notes: tuple[str, ...]


def answers(table: Table, images: Sequence[str], files: str | None, *, sources: str | None = None) -> Answers | None:
    """Classes or numbers that the table gives, ``None`` if it has no column for them.

    Args:
        table: the table. images: paths below the folder. files: the column that names them. sources: a column that
            is no answer because ``--groups`` names it.

    Raises:
        ValueError: as :func:`rows_of`; or if an answer is missing or no number, there are several columns of words and
            none named label, or numbers are in different units.
    """
    apart = {files, sources, source_column(table, files), split_column(table, files)}
    columns = [name for name in table.columns if name not in apart and name.lower() not in COUNTERS]
    columns = [name for name in columns if any(row[name] for row in table.rows)]
    columns = [name for name in columns if name.lower() not in (*SOURCES, *SPLITS)]
    label = next((name for name in columns if name.lower() in LABELS), None)
    numeric = [name for name in columns if _is_numeric(table, name)]
    words = [name for name in columns if name not in numeric]
    if label is not None:
        chosen = [label]
    elif numeric:
        chosen = numeric
    elif len(words) > 1:
        raise ValueError(
            f"Expected {table.name} to have numbers, or one column of words, but got the words {', '.join(words)}; "
            "name the one to be learned label."
        )
    else:
        chosen = words
    if not chosen:
        return None
    rows = rows_of(table, images, files, all_used=True)
    unused = [name for name in columns if name not in chosen]
    notes = [f"Columns of {table.name} that were not used: {', '.join(unused)}."] if unused else []
    if label is not None and label in numeric:
        values = _numbers(table.name, label, images, rows)
        if (values == values.round()).all() and len(np.unique(values)) <= FEW:
            named = np.array([str(int(value)) for value in values])
            order = sorted(set(named.tolist()), key=int)
            notes.append(f"The whole numbers of {label} are taken as classes; to predict numbers, rename the column.")
            return _classes(order, named, notes)
    if chosen[0] in words:
        if label is None:
            _require_words(table, chosen[0])
        named = cells_of(table, images, chosen[0], files)
        return _classes(sorted(set(named.tolist())), named, notes)
    values = np.stack([_numbers(table.name, name, images, rows) for name in chosen], 1)
    varied = np.ptp(values, axis=0) > 0
    if not varied.any():
        raise ValueError(
            f"Expected the numbers of {table.name} to differ from image to image, but got {chosen[0]} "
            f"{values[0, 0]:g} for all; there is nothing to learn."
        )
    if not varied.all():
        same = [name for name, differs in zip(chosen, varied, strict=True) if not differs]
        notes.append(f"Columns of {table.name} that are the same for all images were not used: {', '.join(same)}.")
    names = tuple(name for name, differs in zip(chosen, varied, strict=True) if differs)
    return Answers(names, values[:, varied].astype(np.float32), tuple(notes))


def common_unit(names: tuple[str, ...]) -> str:
    """The unit that columns are in, from names such as ``width_mm`` or ``width (mm)``; ``units`` if they do not say.

    Raises:
        ValueError: if they are in different ones: one score cannot average them.

    Example:
        >>> common_unit(("width_mm", "height [mm]")), common_unit(("age",))
        ('mm', 'units')
    """
    matches = [UNIT.search(name) for name in names]
    units = {match[1] or match[2] if match else "units" for match in matches}
    if len(units) > 1:
        raise ValueError(
            f"Expected columns of numbers in one unit, but got {', '.join(names)}, in {', '.join(sorted(units))}; one "
            "error cannot average them: keep the columns of one unit in the table."
        )
    return units.pop()


def _classes(order: list[str], named: np.ndarray, notes: list[str]) -> Answers:
    place = {name: number for number, name in enumerate(order)}
    return Answers(tuple(order), np.array([place[name] for name in named.tolist()], np.int64), tuple(notes))


def _require_words(table: Table, column: str) -> None:
    """Refuse numbers that are written as words: as classes they would have no order."""
    cells = [row[column] for row in table.rows if row[column].lower() not in MISSING]
    written = [cell for cell in cells if WRITTEN.fullmatch(cell)]
    if 2 * len(written) >= len(cells):
        raise ValueError(
            f"Expected column {column} of {table.name} to hold numbers or words, but got {written[0]!r}; write numbers "
            "with a decimal point and their unit in the heading (length_mm), or name a column of classes label."
        )


def _is_numeric(table: Table, column: str) -> bool:
    """Whether most of the cells that say something are numbers."""
    cells = [row[column] for row in table.rows if row[column].lower() not in MISSING]
    return bool(cells) and 2 * sum(_number(cell) is not None for cell in cells) >= len(cells)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(table: str, column: str, images: Sequence[str], rows: list[dict[str, str]]) -> np.ndarray:
    values = [_number(row[column]) for row in rows]
    bad = [place for place, value in enumerate(values) if value is None or not math.isfinite(value)]
    if bad:
        raise ValueError(
            f"Expected a finite number in column {column} of {table} for every image, but got {len(bad)} of "
            f"{len(rows)} without, first {rows[bad[0]][column]!r} for {images[bad[0]]}; complete them (with a decimal "
            "point), or remove the rows and their images."
        )
    return np.array(values)
