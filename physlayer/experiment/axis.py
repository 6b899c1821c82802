"""Values of an axis as a user writes them: ``1..8``, ``1,2,4``, ``10..10000`` in decades, ``1/2..1/256`` in halves."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["EXAMPLES", "SCALES", "parse_values", "shown_value"]

SCALES = ("linear", "log", "halves")
EXAMPLES = {
    "linear": "1..8, 1,2,4 or 8",
    "log": "a range such as 10..10000 (1, 3, 10 per decade)",
    "halves": "1/2..1/256 (halved each time), 1/4,1/16 or 0.1",
}
NUMBER = r"(?:\d+/\d+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


def parse_values(
    text: str, name: str, minimum: float, maximum: float, *, whole: bool = True, scale: str = "linear"
) -> list[float]:
    """Values of an axis, ascending.

    Args:
        text: what stands behind ``--name``. name: of the option. minimum, maximum: admissible values.
        whole: only whole numbers. scale: how a range ``first..last`` is filled: ``"linear"`` by ones, ``"log"`` by
            1, 3, 10 in every decade, ``"halves"`` by halving from the larger end.

    Raises:
        ValueError: if the text is none of these, a range runs backwards, or a value is out of range.

    Example:
        >>> parse_values("1..4", "bits", 1, 16), parse_values("1,2,8", "bits", 1, 16)
        ([1, 2, 3, 4], [1, 2, 8])
        >>> parse_values("10..1000", "photons", 1, 1e6, scale="log")
        [10, 30, 100, 300, 1000]
        >>> parse_values("1/2..1/8", "keep", 0, 1, whole=False, scale="halves")
        [0.125, 0.25, 0.5]
    """
    text, like = text.strip(), f"Expected --{name} to look like {EXAMPLES[scale]}, but got {text!r}."
    if found := re.fullmatch(rf"({NUMBER})\.\.({NUMBER})", text):
        first, last = (_number(part, whole, like) for part in found.groups())
        rising = first <= last
        if first != last and rising is (scale == "halves"):
            kind = "falling" if scale == "halves" else "rising"
            raise ValueError(f"Expected --{name} to be a {kind} range, but got {text}; write {found[2]}..{found[1]}.")
        for value in (first, last):  # before a range of millions is written out
            _check(value, name, minimum, maximum, text)
        values = _filled(first, last, whole, scale, like)
    elif re.fullmatch(rf"{NUMBER}(\s*,\s*{NUMBER})*", text):
        values = sorted({_number(part, whole, like) for part in text.split(",")})
    else:
        raise ValueError(like)
    for value in values:
        _check(value, name, minimum, maximum, text)
    return values


def shown_value(value: float, scale: str = "linear") -> str:
    """A value as it is written on an axis.

    Example:
        >>> shown_value(0.0625, "halves"), shown_value(1000, "log")
        ('1/16', '1000')
    """
    if scale == "halves" and 0 < value < 1 and Fraction(value).numerator == 1:
        return str(Fraction(value))
    return format(value, "g")


def _filled(first: float, last: float, whole: bool, scale: str, like: str) -> list[float]:
    if scale == "halves":
        values, value = [], first
        while value >= last * (1 - 1e-9):
            values.append(value)
            value /= 2
        return sorted(values)
    if scale == "log":
        if first <= 0:
            raise ValueError(like)
        steps = (mantissa * 10.0**power for power in range(-12, 13) for mantissa in (1, 3))
        values = sorted({first, last, *(v for v in steps if first <= v <= last)})
        return [int(value) for value in values] if whole else values
    if not whole:
        raise ValueError(like)
    return list(range(int(first), int(last) + 1))


def _number(text: str, whole: bool, like: str) -> float:
    text = text.strip()
    if re.fullmatch(r"\d+/0+", text):
        raise ValueError(like)
    value = Fraction(text)
    if whole:
        if value.denominator != 1:
            raise ValueError(like)
        return int(value)
    return float(value)


def _check(value: float, name: str, minimum: float, maximum: float, text: str) -> None:
    if not minimum <= value <= maximum:
        share = f"; it is a share: for {value:g} of 64 write {value:g}/64" if maximum == 1 and value > 1 else ""
        raise ValueError(f"Expected --{name} to lie in {minimum:g}..{maximum:g}, but got {value:g} in {text!r}{share}.")
