"""Sizes whose Fourier transform is fast."""

from __future__ import annotations

__all__ = ["fast_length"]


def fast_length(length: int, *, odd: bool = False) -> int:
    """The next size whose transform is fast: even and of factors 2, 3 and 5, or odd and of 3, 5 and 7.

    Example:
        >>> fast_length(263), fast_length(88, odd=True)
        (270, 105)
    """
    size = length + (length + odd) % 2
    while True:
        rest = size
        for factor in (3, 5, 7) if odd else (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2
