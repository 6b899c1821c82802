r"""The tile of a colour filter array: what may be given, and the choice of one filter at each place that is learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.color.cfa_patterns import filter_transmissions, pattern_rows, tile_from_rows
from physlayer.color.mosaicking import PLACES
from physlayer.core.subset import choose
from physlayer.core.validation import one_of

__all__ = ["RELAXATIONS", "annealed_sharpness", "as_tile", "as_transmission", "place_of_red", "tile_of_logits"]

RELAXATIONS = ("straight_through", "softmax")


def annealed_sharpness(step: int, steps: int, last: float = 400.0) -> float:
    r"""Sharpness of a softmax that hardens as training goes on, :math:`\alpha = 1 + (\gamma t)^2`.

    Args:
        step: :math:`t`, steps of the optimiser so far. steps: at which :math:`\alpha` is ``last``, which sets
            :math:`\gamma = \sqrt{\mathrm{last} - 1} / \mathrm{steps}`. last: unit 1.

    References:
        Chakrabarti 2016, arXiv:1605.07078: 400 after 800,000 steps, in training that goes on to 1,500,000.

    Example:
        >>> [round(annealed_sharpness(step, 800_000), 2) for step in (0, 100_000, 400_000, 800_000, 1_500_000)]
        [1.0, 7.23, 100.75, 400.0, 1403.73]
    """
    return 1.0 + (last - 1.0) * (step / steps) ** 2


def tile_of_logits(
    logits: Tensor,
    *,
    relaxation: str = "straight_through",
    sharpness: Tensor | float = 1.0,
    temperature: float = 2.0,
    gumbel: Tensor | None = None,
) -> Tensor:
    r"""One filter at each place, :func:`physlayer.core.subset.choose` with k = 1, or a mixture of all.

    .. math:: M = \mathrm{softmax}(\alpha (\phi + g))\ \text{("softmax")}

    Args:
        logits: :math:`\phi`, ``(L, P, Q)``. relaxation: one of ``RELAXATIONS``. sharpness: :math:`\alpha`.
        temperature: of the surrogate of the choice. gumbel: :math:`g`, ``(…, P, Q, L)``, or ``None`` for no noise.

    Shape:
        ``(L, P, Q)``, or ``(…, L, P, Q)`` with noise.

    Example:
        >>> tile_of_logits(torch.tensor([0.1, 0.3]).view(2, 1, 1)).flatten()
        tensor([0., 1.])
    """
    places = logits.movedim(0, -1)
    if one_of("relaxation", relaxation, RELAXATIONS) == "softmax":
        mixed = torch.softmax(sharpness * (places if gumbel is None else places + gumbel), -1)
    else:
        mixed = choose(places, 1, temperature=temperature, gumbel=gumbel)
    return mixed.movedim(-1, -3)


def as_tile(tile: str | Tensor | nn.Parameter, filters: str) -> Tensor:
    """The tile ``(L, P, Q)`` that a name, rows of letters or a tensor amount to.

    Raises:
        ValueError: if it is none of them, or a plain tensor that is no choice of one filter at each place.

    Example:
        >>> as_tile("RG/GB", "RGB").argmax(0)
        tensor([[0, 1],
                [1, 2]])
    """
    if isinstance(tile, str):
        tile = tile_from_rows(pattern_rows(tile), filters)
    if not isinstance(tile, Tensor) or tile.ndim != 3 or len(tile) != len(filters):
        raise ValueError(
            f"Expected tile to be a name, rows as 'RG/GB' or ({len(filters)}, P, Q) for the filters {filters!r}, "
            f"but got {tuple(tile.shape) if isinstance(tile, Tensor) else type(tile).__name__}."
        )
    chosen = bool(((tile == 0) | (tile == 1)).all()) and bool((tile.sum(0) == 1).all())
    if not isinstance(tile, nn.Parameter) and not chosen:
        raise ValueError(
            "Expected a given tile to hold one 1 at each place and else 0; to learn logits, use nn.Parameter."
        )
    return tile


def as_transmission(transmission: Tensor | nn.Parameter | None, filters: str) -> Tensor:
    """Transmission of the filters ``(L, C)``, by default :func:`.filter_transmissions` of their letters.

    Raises:
        ValueError: if the letters are not different, or not one for each row.

    Example:
        >>> as_transmission(None, "RW")
        tensor([[1., 0., 0.],
                [1., 1., 1.]])
    """
    if not filters or len(set(filters)) < len(filters):
        raise ValueError(f"Expected filters to be different letters, but got {filters!r}.")
    if transmission is None:
        return filter_transmissions(filters)
    if not isinstance(transmission, Tensor) or transmission.ndim != 2 or len(transmission) != len(filters):
        raise ValueError(
            f"Expected transmission to be (L, C) with a row for each of the filters {filters!r}, but got "
            f"{tuple(getattr(transmission, 'shape', ()))}; give filters as many letters."
        )
    return transmission


def place_of_red(tile: Tensor, filters: str) -> tuple[int, int] | None:
    """Where red stands in a given Bayer tile; ``None`` if it is no such tile, or learned.

    Example:
        >>> place_of_red(as_tile("GR/BG", "RGB"), "RGB")
        (0, 1)
    """
    if isinstance(tile, nn.Parameter) or tile.shape[1:] != (2, 2):
        return None
    rows = [[filters[i] for i in row] for row in tile.argmax(0).tolist()]
    for row, column in PLACES:
        if rows[row][column] == "R" and rows[1 - row][1 - column] == "B":
            return (row, column) if rows[1 - row][column] == rows[row][1 - column] == "G" else None
    return None
