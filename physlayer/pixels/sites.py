"""Sites of a power diagram: starts (equal, random, rings that grow outwards), and new places for empty pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from physlayer.core.validation import plain_number
from physlayer.pixels.power_diagram import power_distance

__all__ = ["grid_sites", "log_polar_sites", "random_sites", "reseed_sites"]

MARGIN = 1e-3  # a learned site needs room to the border of the sensor, see Interval


def grid_sites(rows: int, columns: int) -> Tensor:
    r"""Sites of equal rectangular pixels, :math:`s_{jk} = ((j + \tfrac12)/R, (k + \tfrac12)/C)`, row by row.

    Args:
        rows, columns: :math:`R, C`, pixels along each axis.

    Returns:
        ``(rows * columns, 2)``, row and column as shares of the sensor's sides.

    Example:
        >>> grid_sites(1, 2)
        tensor([[0.5000, 0.2500],
                [0.5000, 0.7500]])
    """
    sides = (plain_number("rows", rows, 1, 1e5, whole=True), plain_number("columns", columns, 1, 1e5, whole=True))
    return torch.cartesian_prod(*((torch.arange(side) + 0.5) / side for side in sides))


def random_sites(n: int, generator: torch.Generator) -> Tensor:
    """Sites drawn evenly over the sensor, ``(n, 2)``, as shares of its sides.

    Args:
        n: number of pixels. generator: of the draw.

    Example:
        >>> random_sites(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    n = plain_number("n", n, 1, 1e7, whole=True)
    return MARGIN + (1 - 2 * MARGIN) * torch.rand(n, 2, generator=generator, device=generator.device)


def log_polar_sites(n: int, *, fovea: float = 0.2) -> Tensor:
    r"""Sites on rings whose pixels grow outwards, as in a retina: fine in the centre, coarse at the border.

    .. math:: r_k = a\,(e^{k\delta} - 1), \qquad m_k \propto \frac{r_k}{r_k + a}, \qquad 1 + \sum_k m_k = n

    The pitch is proportional to :math:`r + a`, along and across the rings alike; the circles are stretched along their
    radii to the square of the sensor, so that its corners are pixels too.

    Args:
        n: number of pixels. fovea: :math:`a`, distance from the centre at which the pitch is twice that of the centre,
            as a share of the sensor's side, 0.01…10; the central pixels have :math:`(1 + 1/2a)^{-2}` of the area of
            those at the border, so a small fovea needs a scene of many pixels (dead pixels:
            :meth:`physlayer.PowerLayout.reseed`).

    Returns:
        ``(n, 2)``, row and column as shares of the sensor's sides, from the centre outwards.

    References:
        Schwartz 1980, doi:10.1016/0042-6989(80)90090-5 (the map log(z + a)).

    Example:
        >>> sites = log_polar_sites(50)
        >>> sites[0], sites.shape
        (tensor([0.5000, 0.5000]), torch.Size([50, 2]))
    """
    n = plain_number("n", n, 1, 1e6, whole=True)
    a = plain_number("fovea", fovea, 0.01, 10)
    best: list[float] = []
    for rings in range(1, n):
        step = math.log1p(0.5 / a) / (rings + 0.5)  # the outermost ring ends at the border
        wanted = [2 * math.pi * -math.expm1(-k * step) / step for k in range(1, rings + 1)]  # square pixels
        if best and abs(sum(wanted) - n + 1) >= abs(sum(best) - n + 1):
            break
        best = wanted
    total, taken, sites = sum(best), 0, [torch.full((1, 2), 0.5)]
    step = math.log1p(0.5 / a) / (len(best) + 0.5)
    for k in range(1, len(best) + 1):
        count = round((n - 1) * sum(best[:k]) / total) - taken
        angle = 2 * math.pi * torch.arange(count) / max(count, 1)
        circle = torch.stack([angle.sin(), angle.cos()], 1)
        square = circle / circle.abs().amax(1, keepdim=True)
        sites.append(0.5 + a * math.expm1(k * step) * square)
        taken += count
    return torch.cat(sites)


def reseed_sites(
    sites: Tensor, weights: Tensor, size: tuple[int, int], generator: torch.Generator, *, weigh: bool
) -> tuple[Tensor, Tensor, list[int]]:
    """Move the site of each empty cell into the largest cell, one empty cell after the other.

    That cell has its own site near its middle, so the new one goes beside it, to a scene pixel that it wins. Cells of
    one scene pixel are not divided.

    Args:
        sites, weights, size: as in :func:`physlayer.pixels.power_diagram.power_distance`. generator: of the side.
        weigh: give the site the weight of that cell too, so that it wins anywhere; otherwise it keeps its own.

    Returns:
        New sites and weights, and which were moved.

    Example:
        >>> same = torch.full((2, 2), 0.5)
        >>> sites, _, moved = reseed_sites(same, torch.zeros(2), (1, 3), torch.Generator().manual_seed(0), weigh=False)
        >>> moved, float(sites[1, 0]), abs(float(sites[1, 1]) - 0.5) > 0.3
        ([1], 0.5, True)
    """
    sites, weights, n = sites.detach().clone(), weights.detach().clone(), len(sites)
    pixels = torch.cartesian_prod(*(torch.arange(side, device=sites.device) + 0.5 for side in size)).to(sites)
    nearest, cells = power_distance(sites, weights, size).min(1)
    moved = []
    for empty in (torch.bincount(cells, minlength=n) == 0).nonzero()[:, 0].tolist():
        own = weights[cells] if weigh else weights[empty].expand_as(nearest)
        wins = nearest + own > 1e-5  # not on top of another site
        area = torch.bincount(cells, minlength=n)
        host = (area * (torch.bincount(cells[wins], minlength=n) > 0)).argmax()
        if area[host] < 2 or not bool(wins.any()):
            continue
        inside = (wins & (cells == host)).nonzero()[:, 0]
        away = (pixels[inside] - pixels[cells == host].mean(0)).norm(dim=1)
        near = inside[away <= away.min() + 0.5]
        place = near[int(torch.randint(len(near), (), generator=generator, device=generator.device))]
        sites[empty], weights[empty] = pixels[place] / sites.new_tensor(size), own[place]
        distance = (pixels - pixels[place]).square().sum(1) * n / math.prod(size) - weights[empty]
        cells = torch.where(distance < nearest, empty, cells)
        nearest = torch.minimum(nearest, distance)
        moved.append(empty)
    return sites, weights, moved
