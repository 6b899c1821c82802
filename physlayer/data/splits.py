"""Splits by group, and epochs with equal weight for classes and groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["epoch_order", "group_codes", "group_split"]

SPLIT_ATTEMPTS = 100


def group_split(
    targets: Tensor,
    groups: np.ndarray | Tensor,
    fraction: float,
    seed: int,
    *,
    class_names: Sequence[str] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Split by group, class by class, so that all images of a group fall on one side.

    .. math:: n_k = \mathrm{clip}(\mathrm{round}(f\,s_k),\, 1,\, s_k - 1)

    of the :math:`s_k` groups of class :math:`k` go to validation. Rare classes choose first; a group of
    several classes counts for each, so :math:`n_k` may then be missed by a few.

    Args:
        targets: class of each image, int64, ``(N,)``.
        groups: source image, patient or slide of each image, names or integer codes, ``(N,)``.
        fraction: :math:`f`, wanted share of the groups in validation, between 0 and 1.
        seed: the split; the same seed gives the same split.
        class_names: names for the error message.

    Returns:
        Ascending indices ``(train, validation)``, int64.

    Raises:
        ValueError: if ``fraction`` is not in 0…1, or a class cannot be on both sides.

    Example:
        >>> train, validation = group_split(torch.zeros(6).long(), np.array(list("aabbcc")), 0.3, seed=0)
        >>> len(train), len(validation)
        (4, 2)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"Expected fraction to lie between 0 and 1, but got {fraction}.")
    codes = _paired_codes(targets, groups)
    classes, labels = torch.unique(targets, return_inverse=True)
    names = [class_names[k] if class_names else str(k) for k in classes.tolist()]
    holds = torch.zeros(int(codes.max()) + 1, len(classes), dtype=torch.bool)
    holds[codes, labels] = True
    for name, n_groups in zip(names, holds.sum(0).tolist(), strict=True):
        if n_groups < 2:
            raise ValueError(
                f"Expected class {name} to have at least 2 sources, for training and validation, "
                f"but got {n_groups}; add another source or leave the class out."
            )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(SPLIT_ATTEMPTS):
        held_out = _draw_sides(holds, fraction, generator)
        if (holds[held_out].any(0) & holds[~held_out].any(0)).all():
            chosen = held_out[codes]
            return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()
    raise ValueError(
        f"Expected sources to let every class be on both sides, but got none in {SPLIT_ATTEMPTS} draws; "
        "check the groups: many hold several classes."
    )


def epoch_order(
    targets: Tensor, groups: np.ndarray | Tensor, *, per_class: int | None, generator: torch.Generator
) -> Tensor:
    r"""Order of an epoch with equal weight for every class, and for every group within its class.

    .. math:: m_s \in \{\lfloor m / s_k \rfloor, \lceil m / s_k \rceil\}, \quad \sum_s m_s = m

    Of group :math:`s`, :math:`m_s` images are drawn; one repeats only after all others of the group.

    Args:
        targets: class of each image, int64, ``(N,)``.
        groups: source image, patient or slide of each image, names or (faster) integer codes, ``(N,)``.
        per_class: :math:`m`, images per class; ``None`` takes every image once.
        generator: the randomness (a CPU generator).

    Returns:
        Indices, int64, ``(classes * m,)`` or ``(N,)``.

    Raises:
        ValueError: if ``per_class`` is not 1 or more.

    Example:
        >>> targets = torch.tensor([0, 0, 0, 1])
        >>> order = epoch_order(targets, np.array(list("aabc")), per_class=2, generator=torch.Generator())
        >>> targets[order].sort().values
        tensor([0, 0, 1, 1])
    """
    if per_class is None:
        return torch.randperm(len(targets), generator=generator)
    if per_class < 1:
        raise ValueError(f"Expected per_class to be 1 or more, or None for all images, but got {per_class}.")
    codes = _paired_codes(targets, groups)
    _, labels = torch.unique(targets, return_inverse=True)
    n_codes = int(codes.max()) + 1
    pairs, pair, copies = torch.unique(labels * n_codes + codes, return_inverse=True, return_counts=True)
    # images sorted by group (hence by class), in random order within each
    shuffled = torch.randperm(len(targets), generator=generator)
    by_group = shuffled[pair[shuffled].argsort(stable=True)]

    # each group gets the floor of its share, and randomly chosen ones of its class the remainder
    group_class = pairs // n_codes
    counts = torch.bincount(group_class)
    lottery = torch.randperm(len(pairs), generator=generator)
    lottery = lottery[group_class[lottery].argsort(stable=True)]
    rank = torch.empty_like(lottery)
    rank[lottery] = torch.arange(len(pairs)) - _starts(counts)[group_class]
    share = counts[group_class]
    quota = per_class // share + (rank < per_class % share)

    owner = torch.repeat_interleave(torch.arange(len(pairs)), quota)
    turn = torch.arange(len(owner)) - _starts(quota)[owner]
    order = by_group[_starts(copies)[owner] + turn % copies[owner]]
    return order[torch.randperm(len(order), generator=generator)]


def _starts(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


def _draw_sides(holds: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Boolean ``(groups,)``: which go to validation, given ``holds`` ``(groups, classes)``."""
    side = torch.full((len(holds),), -1)
    for label in holds.sum(0).argsort(stable=True):
        members = holds[:, label].nonzero().flatten()
        wanted = min(max(round(fraction * len(members)), 1), len(members) - 1)
        free = members[side[members] < 0]
        free = free[torch.randperm(len(free), generator=generator)]
        missing = max(wanted - int((side[members] == 1).sum()), 0)
        side[free] = 0
        side[free[:missing]] = 1
    return side == 1


def _paired_codes(targets: Tensor, groups: np.ndarray | Tensor) -> Tensor:
    if targets.ndim != 1 or len(targets) == 0 or len(groups) != len(targets):
        raise ValueError(
            "Expected one target and one group per image, "
            f"but got {tuple(targets.shape)} targets and {len(groups)} groups."
        )
    return group_codes(groups)


def group_codes(groups: np.ndarray | Tensor) -> Tensor:
    """Groups as int64 numbers from 0, ordered by name."""
    if isinstance(groups, Tensor):
        return torch.unique(groups, return_inverse=True)[1]
    return torch.from_numpy(np.unique(groups, return_inverse=True)[1].astype(np.int64))
