"""The scales of the elevation task: classes of heat flow, and metres as a fraction of full scale."""

from __future__ import annotations

import numpy as np

__all__ = ["CLASS_NAMES", "EDGES", "FULL_SCALE_M", "heat_flow_classes", "normalise_elevation"]

EDGES = (25.0, 50.0, 200.0)  # of the classes, in the unit of the heat flow
CLASS_NAMES = ("up to 25", "up to 50", "up to 200", "above 200")
FULL_SCALE_M = 2600.0  # above and below the trend


def heat_flow_classes(heat_flow: np.ndarray, edges: tuple[float, ...] = EDGES) -> np.ndarray:
    """Class of each heat-flow residual, int64: how many edges it exceeds; a value on an edge is below it.

    Example:
        >>> heat_flow_classes(np.array([-3.0, 25.0, 25.1, 200.0, 900.0]))
        array([0, 0, 1, 2, 3])
    """
    return np.digitize(heat_flow, edges, right=True).astype(np.int64)


def normalise_elevation(elevation_m: np.ndarray, full_scale_m: float = FULL_SCALE_M) -> np.ndarray:
    r"""Metres as a fraction of full scale, the trend at mid-scale.

    .. math:: x = \mathrm{clip}\Bigl(\tfrac12 + \tfrac{z}{2 z_{\max}},\ 0,\ 1\Bigr)

    One scale for all patches keeps the sign and the size: what is above the trend stays above 0.5, and a steep patch
    stays steeper than a flat one. A code of 8 bits is then 20 m.

    Args:
        elevation_m: :math:`z`, above the trend. Unit: m. full_scale_m: :math:`z_{\max}`. Unit: m.

    Returns:
        float32, 0…1.

    Raises:
        ValueError: if ``full_scale_m`` is not above 0.

    Example:
        >>> normalise_elevation(np.array([-2600.0, 0.0, 650.0, 9000.0]))
        array([0.   , 0.5  , 0.625, 1.   ], dtype=float32)
    """
    if not full_scale_m > 0:
        raise ValueError(f"Expected full_scale_m to be above 0 m, but got {full_scale_m}.")
    return np.clip(0.5 + elevation_m / (2 * full_scale_m), 0, 1).astype(np.float32)
