r"""Procedural elevation patches in four classes of heat flow, grouped by region, nothing to download.

Heat rises where the crust is broken: along fault scarps, a few metres to tens of metres high, and under young cones.
Both are small beside the hills around them, which say nothing: a scarp is one or two codes of an 8-bit scale of
±2600 m. Part of the heat flow is not to be seen in the terrain at all, so no network is always right: the rule that
made the classes, without its noise, is right in 0.66 of patches. A plain network reaches 0.47 (50 cells, 900 patches,
10 epochs, other regions, one seed; the most frequent class 0.32). With hills of 150 to 380 m it learned nothing in the
same time, but 0.56 from second differences, where hills hardly show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from physlayer.core.validation import plain_number
from physlayer.tasks.elevation.scale import heat_flow_classes

__all__ = ["ElevationPhantom", "draw_terrain", "heat_flow", "make_phantom"]

CELLS = 200  # of a patch before it is averaged over larger ones
ROUGHNESS = 2.4  # amplitude of hills falls as frequency to this power
EROSION_CELLS = 9.0  # Gaussian width to which old hills have worn; scarps and cones are younger and sharp
HILLS_M = (30.0, 80.0)  # standard deviation, of a region; 150 to 380 is as high as mountains, and hard to learn
STRIKE_DEG = (80.0, 17.0)  # of a region: mean, standard deviation
STRIKE_SPREAD_DEG = 8.0  # of scarps within a region
SCARPS, CONES = 2.2, 0.8  # mean number per patch
SCARP_M = (8.0, 45.0)
SCARP_CELLS = 2.4  # width
CONE_CELLS = (6.0, 14.0)  # radius
CONE_SLOPE_M = (4.0, 9.0)  # per cell
FRONT_CHANCE, FRONT_M, FRONT_CELLS = 0.5, 150.0, 16.0  # a range front: one broad step
UNSEEN = 0.45  # standard deviation of the part of the heat flow that the terrain does not show
WEIGHTS = (0.9 / 25, 0.55, 0.15)  # of scarp height × length (m × patch side), cones, and the front (of FRONT_M)
SCORES, HEAT_FLOWS = (-2.0, 0.9, 1.5, 2.2, 7.0), (0.0, 25.0, 50.0, 200.0, 1000.0)
REGION_STREAM = 10**6  # region k draws from the stream (seed, 10**6 + k), patch i from (seed, i)


@dataclass(frozen=True)
class ElevationPhantom:
    """Patches of elevation, their heat flow, regions, and the parameters they were drawn from.

    Attributes:
        elevation_m: ``(N, 1, size, size)`` float32, above the plane that fits best. Unit: m.
        heat_flow: ``(N,)`` float32, the largest residual in the patch, in the unit of the class edges.
        targets: ``(N,)`` int64, its class.
        groups: ``(N,)`` str, the region of each patch; two seeds share no region.
        latents: name to ``(N,)`` float64: ``scarps`` (sum of height × length, m × patch side), ``cones`` and
            ``front`` (its height, m).
    """

    elevation_m: Tensor
    heat_flow: Tensor
    targets: Tensor
    groups: np.ndarray
    latents: dict[str, np.ndarray]


def heat_flow(scarps: np.ndarray, cones: np.ndarray, front: np.ndarray, unseen: np.ndarray | float = 0.0) -> np.ndarray:
    r"""Heat flow that a terrain gives rise to.

    .. math:: q = 0.9 \sum_k \frac{h_k}{25\,\mathrm m}\frac{L_k}{L} + 0.55\,n - 0.15\,\frac{|s|}{150\,\mathrm m} + u

    and from the score :math:`q` to heat flow by straight lines through the class edges: 0.9, 1.5 and 2.2 are 25, 50
    and 200.

    Args:
        scarps: :math:`\sum h_k L_k / L`, height times length over the side of the patch. Unit: m.
        cones: :math:`n`, their number. front: :math:`s`, height of the range front. Unit: m.
        unseen: :math:`u`, what the terrain does not show, unit 1.

    Example:
        >>> heat_flow(np.array([25.0]), np.array([0]), np.array([0.0])).round(1)
        array([25.])
    """
    score = WEIGHTS[0] * scarps + WEIGHTS[1] * cones - WEIGHTS[2] * np.abs(front) / FRONT_M + unseen
    return np.interp(score, SCORES, HEAT_FLOWS)


def _hills(generator: Generator) -> np.ndarray:
    """Fractal terrain of unit standard deviation, cut from one twice as wide so that its borders do not match."""
    cells = 2 * CELLS
    frequency = np.hypot(np.fft.fftfreq(cells)[:, None], np.fft.rfftfreq(cells)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(generator.standard_normal((cells, cells))) / frequency**ROUGHNESS
    spectrum *= np.exp(-2 * (np.pi * EROSION_CELLS * np.where(np.isinf(frequency), 0, frequency)) ** 2)
    hills = detrend(np.fft.irfft2(spectrum, s=(cells, cells))[:CELLS, :CELLS])
    return hills / hills.std()


def detrend(elevation: np.ndarray) -> np.ndarray:
    """Elevation above the plane that fits it best.

    Example:
        >>> bool(np.abs(detrend(np.add.outer(3.0 * np.arange(5), np.arange(4)))).max() < 1e-9)
        True
    """
    down, right = (np.arange(length) - (length - 1) / 2 for length in elevation.shape)
    # on a full grid mean, row and column are orthogonal: three sums instead of a matrix
    plane = elevation.mean() + np.outer(down @ elevation.mean(1) / (down @ down) * down, np.ones(len(right)))
    return elevation - plane - right @ elevation.mean(0) / (right @ right) * right[None]


def draw_terrain(generator: Generator, hills_m: float, strike_deg: float) -> tuple[np.ndarray, dict[str, float]]:
    """Draw one patch: hills, fault scarps, cones and a range front, less the plane that fits best.

    Args:
        generator: source of everything random. hills_m: standard deviation of the hills. Unit: m.
        strike_deg: direction of the scarps, from the rows' axis. Unit: degree.

    Returns:
        ``(200, 200)`` in metres, and the latent parameters of :class:`ElevationPhantom`.

    Example:
        >>> terrain, latent = draw_terrain(np.random.default_rng(0), 200.0, 80.0)
        >>> terrain.shape, sorted(latent)
        ((200, 200), ['cones', 'front', 'scarps'])
    """
    terrain = hills_m * _hills(generator)
    axis = np.arange(CELLS) + 0.5
    scarps = 0.0
    for _ in range(generator.poisson(SCARPS)):
        across, along = _frame(axis, generator.uniform(0, CELLS, 2), generator.normal(strike_deg, STRIKE_SPREAD_DEG))
        height, length = generator.uniform(*SCARP_M), generator.uniform(0.4, 1.0)
        ends = 0.5 + 0.5 * np.tanh((length * CELLS / 2 - np.abs(along)) / 5)
        # a step that dies out on both sides and at both ends, so that it is no hill of its own
        step = np.tanh(across / (SCARP_CELLS / 2)) * np.exp(-np.abs(across) / (CELLS / 8))
        terrain += generator.choice([-1, 1]) * height / 2 * step * ends
        scarps += height * float((ends * (np.abs(across) < 0.5)).sum()) / CELLS
    cones = int(generator.poisson(CONES))
    for _ in range(cones):
        row, column = generator.uniform(0.05 * CELLS, 0.95 * CELLS, 2)
        radius, slope = generator.uniform(*CONE_CELLS), generator.uniform(*CONE_SLOPE_M)
        terrain += slope * np.maximum(radius - np.hypot((axis - row)[:, None], (axis - column)[None]), 0)
    front = 0.0
    if generator.random() < FRONT_CHANCE:
        front = generator.normal(0, 1.5 * FRONT_M)
        across, _ = _frame(axis, generator.uniform(0.2 * CELLS, 0.8 * CELLS, 2), generator.normal(strike_deg, 20))
        terrain += front / 2 * np.tanh(across / FRONT_CELLS)
    return detrend(terrain), {"scarps": scarps, "cones": float(cones), "front": front}


def _frame(axis: np.ndarray, centre: np.ndarray, strike_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances of all cells across and along a line through a point."""
    angle = np.deg2rad(strike_deg)
    down, right = (axis - centre[0])[:, None], (axis - centre[1])[None]
    return right * np.cos(angle) - down * np.sin(angle), down * np.cos(angle) + right * np.sin(angle)


def make_phantom(
    patches: int = 600,
    *,
    seed: int,
    size: int = 100,
    patches_per_region: int = 10,
    hills_m: tuple[float, float] = HILLS_M,
) -> ElevationPhantom:
    """Render patches of elevation with their heat flow.

    Patch ``i`` depends on ``seed``, ``i``, ``size`` and ``patches_per_region`` only: fewer patches are a prefix of
    more. The same terrain appears at every ``size``, averaged over larger cells.

    Args:
        patches: number of patches, up to a million.
        seed: non-negative; two seeds share neither patches nor regions.
        size: cells per side, a divisor of 200 of at least 20.
        patches_per_region: patches that share height of the hills and direction of the faults.
        hills_m: least and largest standard deviation of the hills of a region. Unit: m.

    Returns:
        An :class:`ElevationPhantom`. :func:`physlayer.tasks.elevation.scale.normalise_elevation` brings it to 0…1.

    Raises:
        ValueError: if a number lies outside its range.

    Example:
        >>> phantom = make_phantom(3, seed=0)
        >>> tuple(phantom.elevation_m.shape), str(phantom.groups[0])
        ((3, 1, 100, 100), 'phantom-0-region-00000')
    """
    patches = plain_number("patches", patches, 1, REGION_STREAM, whole=True)
    seed = plain_number("seed", seed, 0, 2**63, whole=True)
    size = plain_number("size", size, 20, CELLS, whole=True)
    patches_per_region = plain_number("patches_per_region", patches_per_region, 1, REGION_STREAM, whole=True)
    if not 0 <= hills_m[0] <= hills_m[1]:
        raise ValueError(f"Expected hills_m to be two heights of 0 m or more, the smaller first, but got {hills_m}.")
    if CELLS % size:
        raise ValueError(f"Expected size to divide {CELLS}, but got {size}.")
    elevation, latents, unseen = np.empty((patches, 1, size, size), np.float32), [], np.empty(patches)
    for number in range(patches):
        if number % patches_per_region == 0:
            region = np.random.default_rng([seed, REGION_STREAM + number // patches_per_region])
            height_m, strike_deg = region.uniform(*hills_m), region.normal(*STRIKE_DEG)
        generator = np.random.default_rng([seed, number])
        unseen[number] = generator.normal(0, UNSEEN)
        terrain, latent = draw_terrain(generator, height_m, strike_deg)
        elevation[number, 0] = terrain.reshape(size, CELLS // size, size, CELLS // size).mean((1, 3))
        latents.append(latent)
    arrays = {name: np.array([latent[name] for latent in latents], np.float64) for name in latents[0]}
    flow = heat_flow(**arrays, unseen=unseen)
    regions = np.arange(patches) // patches_per_region
    return ElevationPhantom(
        torch.from_numpy(elevation),
        torch.from_numpy(flow.astype(np.float32)),
        torch.from_numpy(heat_flow_classes(flow)),
        np.array([f"phantom-{seed}-region-{region:05d}" for region in regions]),
        arrays,
    )
