"""Colour filter patterns by name: tiles of letters, read from the upper left pixel of the sensor."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["PATTERNS", "filter_transmissions", "pattern_from_code", "pattern_rows", "tile_from_rows"]

WHITE = "RGB"  # what a pixel without a colour filter sees behind an infrared cut


def pattern_from_code(code: str, columns: int, letters: str = "RGBW") -> tuple[str, ...]:
    """Rows of letters from a string of digits in reading order, 0 for the first letter.

    Raises:
        ValueError: if the code is no whole number of rows or holds a digit beyond the letters.

    Example:
        >>> pattern_from_code("0112", 2)
        ('RG', 'GB')
    """
    if not code.isdecimal() or max(int(digit) for digit in code) >= len(letters) or len(code) % columns:
        raise ValueError(f"Expected code to be whole rows of {columns} digits below {len(letters)}, but got {code!r}.")
    names = "".join(letters[int(digit)] for digit in code)
    return tuple(names[start : start + columns] for start in range(0, len(names), columns))


# Bayer 1976, US patent 3,971,065. X-Trans: the order that raw converters use. Half white: white on a checkerboard and
# the colours between, an arrangement of our own of the kind that Kodak announced in 2007. Sparse: Chakrabarti, Freeman
# & Zickler 2014, doi:10.1109/ICCPHOT.2014.6831801. Chakrabarti: the learned 8×8 tile of Chakrabarti 2016,
# arXiv:1605.07078, from the code string that the author publishes with it, in reading order.
PATTERNS: dict[str, tuple[str, ...]] = {
    "white": ("W",),
    "bayer": ("RG", "GB"),
    "x-trans": ("GGRGGB", "GGBGGR", "BRGRBG", "GGBGGR", "GGRGGB", "RBGBRG"),
    "rgbw": ("RG", "WB"),
    "half white": ("WBWG", "BWGW", "WGWR", "GWRW"),
    "sparse": ("GBWW", "RGWW", "WWWW", "WWWW"),
    "chakrabarti": pattern_from_code("3133033303333303132232330233131233333103303133100323133331333322", 8),
}


def pattern_rows(pattern: str) -> tuple[str, ...]:
    """Rows of letters of a pattern given by name, or by its rows with a stroke between: ``"RG/GB"``.

    Raises:
        ValueError: if the name is unknown or the rows differ in length.

    Example:
        >>> pattern_rows("bayer") == pattern_rows("RG/GB") == ("RG", "GB")
        True
    """
    rows = PATTERNS.get(pattern) or tuple(pattern.split("/"))
    if pattern not in PATTERNS and "/" not in pattern and len(pattern) > 1:
        raise ValueError(f"Expected a pattern to be one of {', '.join(PATTERNS)} or rows as 'RG/GB', not {pattern!r}.")
    if len({len(row) for row in rows}) > 1 or not rows[0]:
        raise ValueError(f"Expected rows of a pattern to be equally long, but got {pattern!r}.")
    return rows


def tile_from_rows(rows: tuple[str, ...], filters: str = "RGBW") -> Tensor:
    """Rows of letters as a map with one 1 at each place, ``(L, P, Q)``.

    Args:
        rows: P strings of Q letters. filters: the L letters, in the order of the channels.

    Raises:
        ValueError: if a letter is not among the filters.

    Example:
        >>> tile_from_rows(("RG", "GB"), "RGB")[1]
        tensor([[0., 1.],
                [1., 0.]])
    """
    unknown = sorted(set("".join(rows)) - set(filters))
    if unknown:
        raise ValueError(
            f"Expected a pattern of the filters {filters!r}, but got {', '.join(unknown)}; add to filters."
        )
    index = torch.tensor([[filters.index(letter) for letter in row] for row in rows])
    return (index == torch.arange(len(filters)).view(-1, 1, 1)).to(torch.get_default_dtype())


def filter_transmissions(
    filters: str = "RGBW", channels: str = "RGB", neutral_density: float = 0.25, leak: float = 0.0
) -> Tensor:
    r"""What each filter passes of each channel of the scene, :math:`T`, ``(L, C)``, 0…1.

    A letter that names a channel passes that channel (``I`` for infrared, say), ``W`` passes red, green and blue, ``N``
    the same through a neutral-density filter.

    Args:
        filters: L letters. channels: C letters. neutral_density: transmission of ``N``.
        leak: what a filter passes of the channels that it blocks, and takes from those that it passes, 0…0.5; above 0
            for a start that is then learned.

    Raises:
        ValueError: if a filter is neither ``W``, ``N`` nor a channel, or a number is out of range.

    Example:
        >>> filter_transmissions("RIW", "RGBI")
        tensor([[1., 0., 0., 0.],
                [0., 0., 0., 1.],
                [1., 1., 1., 0.]])
    """
    for name, value, most in (("neutral_density", neutral_density, 1.0), ("leak", leak, 0.5)):
        if not 0 <= value <= most:
            raise ValueError(f"Expected {name} to be in 0…{most:g}, but got {value:g}.")
    passed = {"W": {c: 1.0 for c in WHITE}, "N": {c: neutral_density for c in WHITE}}
    rows = []
    for letter in filters:
        if letter not in channels and letter not in passed:
            raise ValueError(f"Expected filters to be W, N or among the channels {channels!r}, but got {letter!r}.")
        own = {letter: 1.0} if letter in channels else passed[letter]
        rows.append([own.get(channel, 0.0) for channel in channels])
    return torch.tensor(rows).clamp(leak, 1 - leak)
