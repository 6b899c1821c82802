"""Read elevation patches with their heat flow from one HDF5 file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from physlayer.tasks.elevation.scale import EDGES, FULL_SCALE_M, heat_flow_classes, normalise_elevation
from physlayer.tasks.hdf5 import dataset, group_names, open_hdf5

__all__ = ["ElevationSet", "data_share", "load_hdf5"]

FILLED_BELOW_M = -9000.0  # no terrain is as far below its trend: -9999 and -32768 are what maps hold without data
MOST_BEYOND = 0.01  # of the cells beyond full scale: more are no terrain above its trend


class ElevationSet(NamedTuple):
    """Patches of elevation with classes and sources.

    Attributes:
        images: ``(N, 1, H, W)`` float32, 0…1 of full scale; 0.5 is on the trend.
        targets: ``(N,)`` int64, class of the heat flow.
        groups: ``(N,)`` str, the region where it is known, else one of its own for every patch.
        heat_flow: ``(N,)`` float32, in the unit of the edges.
    """

    images: Tensor
    targets: Tensor
    groups: np.ndarray
    heat_flow: Tensor


def data_share(elevation_m: np.ndarray, missing: float | None = 0.0) -> np.ndarray:
    """Share of the cells of each patch that hold data, ``(N,)``.

    Args:
        elevation_m: ``(N, H, W)``. missing: value of a cell without data, besides NaN, infinities and heights of -9000
            m and below; a real cell is hardly ever exactly on the trend. ``None``: there is no such value.

    Example:
        >>> data_share(np.array([[[0.0, 3.0], [np.nan, -2.0]]]))
        array([0.5])
    """
    return _present(elevation_m, missing).mean((1, 2))


def load_hdf5(
    path: str | Path,
    *,
    full_scale_m: float = FULL_SCALE_M,
    least_data: float = 0.5,
    missing: float | None = 0.0,
    edges: tuple[float, ...] = EDGES,
) -> tuple[ElevationSet, tuple[str, ...]]:
    """Load patches, remove those with little data, put all on one scale and sort the heat flow into classes.

    Args:
        path: HDF5 file with ``/images`` ``(N, H, W)`` or ``(N, 1, H, W)``, metres above the trend, and ``/meta``
            ``(N,)``, the largest heat-flow residual of each patch. An array ``/groups`` ``(N,)``, if there is one,
            names their regions.
        full_scale_m: elevation that becomes 1, see :func:`.scale.normalise_elevation`. Unit: m.
        least_data: share of cells with data below which a patch is left out, 0 to 1.
        missing: value of a cell without data, see :func:`data_share`; such cells are put on the trend.
        edges: of the classes, ascending, in the unit of ``/meta``.

    Returns:
        ``(patches, notes)``: an :class:`ElevationSet`, without any split, and what a report must say.

    Raises:
        ImportError: if h5py is not installed. FileNotFoundError: if the file is missing.
        ValueError: if the file is damaged, an array is missing or of another shape, a heat flow is not finite, a
            setting is out of range, no patch has enough data, or more than 1 % of the cells are beyond full scale.
    """
    path = Path(path)
    if not 0 <= least_data <= 1:
        raise ValueError(f"Expected least_data to lie in 0…1, but got {least_data}.")
    if list(edges) != sorted(set(edges)) or not len(edges):
        raise ValueError(f"Expected edges to ascend, but got {edges}.")
    with open_hdf5(path) as file:
        elevation, flow = (np.asarray(dataset(file, name)) for name in ("images", "meta"))
        named = group_names(file)
    elevation, flow = _checked(path, elevation, flow)
    groups = np.array([f"patch-{number:05d}" for number in range(len(flow))]) if named is None else named
    if len(groups) != len(flow):
        raise ValueError(f"Expected /groups in {path.name} to name {len(flow)} patches, but got {len(groups)}.")
    share = data_share(elevation, missing)
    kept = share >= least_data
    if not kept.any():
        raise ValueError(
            f"Expected some patches of {path.name} to have data in {100 * least_data:g} % of their cells, but the best "
            f"has {100 * share.max():.0f} %; lower least_data, or name the value of cells without data with missing."
        )
    elevation, flow, groups = elevation[kept], flow[kept], groups[kept]
    elevation = np.where(_present(elevation, missing), elevation, 0)
    beyond = int((np.abs(elevation) > full_scale_m).sum())
    if beyond > MOST_BEYOND * elevation.size:
        raise ValueError(
            f"Expected /images in {path.name} to be metres above the trend, within ±{full_scale_m:g} m, but got "
            f"{100 * beyond / elevation.size:.0f} % of the cells beyond, {elevation.min():.0f} to "
            f"{elevation.max():.0f} m; subtract a plane from each patch, and set cells without data to NaN."
        )
    images = normalise_elevation(elevation, full_scale_m)[:, None]
    targets = heat_flow_classes(flow, edges)
    notes = [
        f"{len(flow)} patches with data in at least {100 * least_data:g} % of their cells; {int((~kept).sum())} with "
        "less were left out.",
        "Patches per class: " + ", ".join(map(str, np.bincount(targets, minlength=len(edges) + 1).tolist())) + ".",
        f"Elevation is on one scale of ±{full_scale_m:g} m, the trend at 0.5, from {elevation.min():.0f} to "
        f"{elevation.max():.0f} m" + (f"; {beyond} cells beyond it were clipped." if beyond else "."),
    ]
    if named is None:
        notes.append("Every patch counts as a source of its own: neighbours may be on both sides of a split.")
    tensors = (torch.from_numpy(array) for array in (images, targets))
    return ElevationSet(*tensors, groups, torch.from_numpy(flow.astype(np.float32))), tuple(notes)


def _present(elevation_m: np.ndarray, missing: float | None) -> np.ndarray:
    present = np.isfinite(elevation_m) & (elevation_m > FILLED_BELOW_M)
    return present if missing is None else present & (elevation_m != missing)


def _checked(path: Path, elevation: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elevation ``(N, H, W)`` and heat flow ``(N,)``."""
    if elevation.ndim == 4 and elevation.shape[1] == 1:
        elevation = elevation[:, 0]
    if elevation.ndim != 3 or elevation.dtype.kind not in "fiu" or not elevation.size:
        raise ValueError(
            f"Expected /images in {path.name} to be numbers (N, H, W) or (N, 1, H, W), but got {elevation.dtype} "
            f"{elevation.shape}."
        )
    if flow.shape not in ((len(elevation),), (len(elevation), 1)) or flow.dtype.kind not in "fiu":
        raise ValueError(
            f"Expected /meta in {path.name} to hold one heat flow for each of {len(elevation)} patches, but got "
            f"{flow.dtype} {flow.shape}."
        )
    flow = flow.reshape(-1).astype(float)
    if not np.isfinite(flow).all():
        raise ValueError(
            f"Expected every heat flow in {path.name} to be a number, but got {int((~np.isfinite(flow)).sum())} that "
            "are not; remove those patches."
        )
    return elevation.astype(np.float64), flow
