"""Shapes for the blood-cell phantom, drawn on one fine grid over the field of view.

Every function works in double precision: it costs about a millisecond per image and keeps images equal from
one machine to the next, because the last digits of ``exp`` differ between processors and shot noise would
amplify them.
"""

import numpy as np
from numpy.random import Generator

FIELD_UM = 24.0  # side of the square field of view
FINE = 128  # fine samples per side: twice the 64 px camera
PITCH_UM = FIELD_UM / FINE
AXIS_UM = (np.arange(FINE) + 0.5) * PITCH_UM  # centres of the fine samples, the same for rows and columns
EDGE_UM = 0.12  # softness of an outline

_FREQUENCY_SQUARED = np.fft.fftfreq(FINE, PITCH_UM)[:, None] ** 2 + np.fft.rfftfreq(FINE, PITCH_UM)[None] ** 2

Window = tuple[slice, slice]


def _span(low_um: float, high_um: float) -> slice:
    """Return the samples of one axis from ``low_um`` to ``high_um``, cut to the field."""
    first, last = int(np.floor(low_um / PITCH_UM)), int(np.ceil(high_um / PITCH_UM))
    return slice(min(max(first, 0), FINE), min(max(last, 0), FINE))


def _inside(distance_um: np.ndarray, softness_um: float) -> np.ndarray:
    """Return 1 inside an outline, 0 outside, with a logistic edge; ``distance_um`` is positive inside."""
    # tanh cannot overflow, whatever the distance
    return 0.5 + 0.5 * np.tanh(distance_um / (2 * softness_um))


def blob(
    generator: Generator,
    row_um: float,
    column_um: float,
    radius_um: float,
    *,
    stretch: float = 0.0,
    roughness: float = 0.05,
) -> tuple[Window, np.ndarray]:
    r"""Draw a soft disc whose radius wanders with the angle.

    .. math:: r(\theta) = R\,\bigl(1 + \varepsilon\cos 2(\theta-\theta_0)
              + \sum_{k=3}^{5} \tfrac{\rho\,g_k}{k-1}\cos(k\theta+\varphi_k)\bigr)

    Args:
        generator: source of the angles and of the normal numbers :math:`g_k`.
        row_um, column_um: centre. Unit: µm.
        radius_um: mean radius :math:`R`. Unit: µm.
        stretch: elongation :math:`\varepsilon`, relative.
        roughness: :math:`\rho`, relative.

    Returns:
        The window (two slices into the fine grid) and the coverage 0…1 inside it; outside it is 0.

    Example:
        >>> window, coverage = blob(np.random.default_rng(0), 12.0, 12.0, 3.0, roughness=0.0)
        >>> round(float(np.sqrt(coverage.sum() * PITCH_UM**2 / np.pi)), 1)
        3.0
    """
    orders = np.arange(2, 6)
    amplitude = np.concatenate([[stretch], roughness / (orders[1:] - 1) * generator.standard_normal(3)])
    wave = amplitude * np.exp(1j * generator.uniform(0, 2 * np.pi, 4))
    reach = radius_um * (1 + np.abs(amplitude).sum()) + 6 * EDGE_UM
    rows, columns = _span(row_um - reach, row_um + reach), _span(column_um - reach, column_um + reach)
    offset = (AXIS_UM[columns] - column_um)[None] + 1j * (AXIS_UM[rows] - row_um)[:, None]
    distance = np.abs(offset)
    # e^{i theta}: its powers give every cos(k theta) without an arctangent
    turn = offset / np.maximum(distance, 1e-9)
    series = (((wave[3] * turn + wave[2]) * turn + wave[1]) * turn + wave[0]) * turn * turn
    return (rows, columns), _inside(radius_um * (1 + series.real) - distance, EDGE_UM)


def bridge(start_um: tuple[float, float], end_um: tuple[float, float], width_um: float) -> tuple[Window, np.ndarray]:
    """Draw a straight strand with round ends, as between two lobes of a nucleus.

    Args:
        start_um, end_um: (row, column) of the two ends. Unit: µm.
        width_um: full width. Unit: µm.

    Returns:
        Window and coverage, as :func:`blob`.

    Example:
        >>> window, coverage = bridge((12.0, 10.0), (12.0, 14.0), 1.0)
        >>> bool(coverage.max() > 0.95)
        True
    """
    (row, column), (end_row, end_column) = start_um, end_um
    along_rows, along_columns = end_row - row, end_column - column
    reach = width_um / 2 + 6 * EDGE_UM
    rows = _span(min(row, end_row) - reach, max(row, end_row) + reach)
    columns = _span(min(column, end_column) - reach, max(column, end_column) + reach)
    down, right = (AXIS_UM[rows] - row)[:, None], (AXIS_UM[columns] - column)[None]
    length_squared = along_rows**2 + along_columns**2 + 1e-9
    share = np.clip((down * along_rows + right * along_columns) / length_squared, 0, 1)
    distance = np.hypot(down - share * along_rows, right - share * along_columns)
    return (rows, columns), _inside(width_um / 2 - distance, EDGE_UM)


def hump(window: Window, row_um: float, column_um: float, width_um: float) -> np.ndarray:
    r"""Return a Gaussian hump inside a window.

    .. math:: h = e^{-d^2/w^2}, \quad d \text{ the distance from a point}

    Args:
        window: two slices into the fine grid.
        row_um, column_um, width_um: point and width :math:`w`. Unit: µm.

    Example:
        >>> float(hump((slice(63, 65), slice(63, 65)), 12.0, 12.0, 1e3).min().round(3))
        1.0
    """
    down, right = AXIS_UM[window[0]] - row_um, AXIS_UM[window[1]] - column_um
    return np.exp(-((down / width_um) ** 2))[:, None] * np.exp(-((right / width_um) ** 2))[None]


def specks(generator: Generator, weight: np.ndarray, count: int, radius_um: float) -> np.ndarray:
    r"""Scatter Gaussian granules at random places.

    .. math:: g(x, y) = \sum_{j=1}^{n} a_j\,e^{-(y-y_j)^2/2s^2}\,e^{-(x-x_j)^2/2s^2},\quad s = r/1.5,
              \quad a_j \sim U(0.6, 1.4)

    Args:
        generator: source of places and heights.
        weight: (128, 128) non-negative; chance of a place, not normalised.
        count: number of granules :math:`n`.
        radius_um: granule radius :math:`r`. Unit: µm.

    Returns:
        (128, 128), dimensionless; about 1 in the middle of a lone granule.

    Example:
        >>> specks(np.random.default_rng(0), np.ones((128, 128)), 5, 0.3).shape
        (128, 128)
    """
    cumulated = np.cumsum(weight)
    place = np.searchsorted(cumulated, generator.random(count) * cumulated[-1])
    centre_um = (np.stack([place // FINE, place % FINE]) + generator.random((2, count))) * PITCH_UM
    # Each granule is separable, so the sum over all of them is one matrix product
    profile = np.exp(-0.5 * ((AXIS_UM - centre_um[..., None]) / (radius_um / 1.5)) ** 2)
    return (profile[0] * generator.uniform(0.6, 1.4, (count, 1))).T @ profile[1]


def band_noise(generator: Generator, scale_um: float) -> np.ndarray:
    r"""Draw unit-variance noise between two spatial scales, the look of chromatin.

    .. math:: n = \mathcal F^{-1}\bigl[\hat w\,(e^{-2\pi^2 s^2 f^2} - e^{-2\pi^2 (2.4 s)^2 f^2})\bigr]

    Args:
        generator: source of the white noise :math:`w`.
        scale_um: Gaussian width :math:`s` of the finest clumps. Unit: µm.

    Returns:
        (128, 128), mean 0 and standard deviation 1.

    Example:
        >>> round(float(band_noise(np.random.default_rng(0), 0.4).std()), 6)
        1.0
    """
    spectrum = np.fft.rfft2(generator.standard_normal((FINE, FINE)))
    exponent = -2 * np.pi**2 * scale_um**2 * _FREQUENCY_SQUARED
    noise = np.fft.irfft2(spectrum * (np.exp(exponent) - np.exp(2.4**2 * exponent)), s=(FINE, FINE))
    return noise / noise.std()
