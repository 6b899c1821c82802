"""Guess which images are copies of one original, for folders without a table of sources."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CONTENT_DISTANCE = 0.006


def group_by_content(images: Tensor, distance: float = CONTENT_DISTANCE) -> np.ndarray:
    r"""Guess sources by colour: near images are linked, chains of links are one source.

    .. math:: d_{ij} = \sqrt{\tfrac{1}{K}\textstyle\sum_k (q_{ik} - q_{jk})^2}

    :math:`q` are 25 quantiles each of R, G, B, R − G and B − G over the pixels that are not black fill. Only
    a guess: on the Kaggle files, whose sources are known, 12 % of the images come out apart from most of
    their source (a leak), and some groups merge up to 8 sources. Prefer a table.

    Args:
        images: uint8 codes, ``(N, 3, H, W)``.
        distance: :math:`d`, longest link. Unit: fraction of full scale.

    Returns:
        Source names ``content_00000`` …, ``(N,)``.

    Example:
        >>> grey = torch.tensor([9, 9, 200], dtype=torch.uint8)
        >>> print(group_by_content(grey[:, None, None, None].expand(-1, 3, 8, 8)))
        ['content_00000' 'content_00000' 'content_00001']
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    features = torch.stack([_colour_quantiles(image) for image in images])
    links = []
    for start in range(0, len(images), 1024):
        near = torch.cdist(features[start : start + 1024], features) < distance * features.shape[1] ** 0.5
        links.append(near.nonzero() + torch.tensor([start, 0]))
    first, second = torch.cat(links).T.numpy()
    linked = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(images),) * 2)
    numbers = connected_components(linked, directed=False)[1]
    return np.array([f"content_{number:05d}" for number in numbers])


def _colour_quantiles(image: Tensor) -> Tensor:
    red, green, blue = pixels = image.flatten(1).float() / 255
    channels = torch.stack([red, green, blue, red - green, blue - green])
    lit = pixels.amax(0) > 0.1
    if lit.sum() < 25:
        lit = torch.ones_like(lit)
    ordered = channels[:, lit].sort(1).values
    return ordered[:, torch.linspace(0, ordered.shape[1] - 1, 27)[1:-1].long()].flatten()
