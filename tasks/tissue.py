r"""Stained tissue from which histology phantoms are built: nuclei, textures, slides and the camera.

Tissue is two concentrations, haematoxylin and eosin, on a fine grid. Everything that a laboratory sets once per
slide (dyes, strength of the stain, lamp, focus) is drawn once per slide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.random import Generator

from physlayer.color.stains import light_through, stain_vectors

__all__ = ["Field", "Slide", "band_noise", "draw_slide", "expose", "nuclei", "pixel_response", "scatter"]

STAIN_JITTER = 0.03  # of each component of a stain vector
STAIN_SPREAD = 0.20  # of the logarithm of the strength of each stain
WHITE_BALANCE_SPREAD = 0.03
TILT_SPREAD = 0.05  # change of the illumination across the field
BRIGHTNESS = (0.80, 0.95)  # clear glass, of full scale
SHARP_UM = 0.24  # Gaussian width of a 20x/0.50 objective in focus, 0.2185 wavelength/NA at 0.55 µm
DEFOCUS_UM = 1.5  # most that a slide adds
FULL_WELL_ELECTRONS = 10_000.0
READ_NOISE_ELECTRONS = 7.0
EDGE_UM = 0.35  # softness of an outline


@dataclass(frozen=True)
class Field:
    """A square field of view on a fine grid.

    Args:
        side_um: side of the square. Unit: µm. samples: fine samples per side.

    Example:
        >>> Field(100.0, 200).axis_um[:2]
        array([0.25, 0.75])
    """

    side_um: float
    samples: int

    @property
    def pitch_um(self) -> float:
        """Distance of two fine samples. Unit: µm."""
        return self.side_um / self.samples

    @cached_property
    def axis_um(self) -> np.ndarray:
        """Centres of the fine samples, the same for rows and columns. Unit: µm."""
        return (np.arange(self.samples) + 0.5) * self.pitch_um

    def empty(self) -> np.ndarray:
        """A map of zeros, ``(samples, samples)``."""
        return np.zeros((self.samples, self.samples))


@dataclass(frozen=True)
class Slide:
    """What all images of one slide share."""

    stains: np.ndarray  # (2, 3): optical density in red, green, blue of one unit of haematoxylin and of eosin
    light: np.ndarray  # (3, samples, samples): intensity without tissue
    optics: np.ndarray  # (size, samples): blur and pixel, for rows and for columns
    blur_um: float


def nuclei(
    generator: Generator,
    field: Field,
    centres_um: np.ndarray,
    radius_um: np.ndarray,
    density: np.ndarray,
    *,
    eccentricity: np.ndarray | float = 0.0,
    bearing: np.ndarray | None = None,
    pale: np.ndarray | float = 0.0,
) -> np.ndarray:
    r"""Draw soft ellipses; where two overlap the denser one is seen.

    .. math:: h = \max_k d_k\,\bigl(1 - p_k e^{-(2 q_k)^2}\bigr)\,
              \tfrac12\Bigl(1 + \tanh\tfrac{(1 - q_k)\,r_k}{2 s}\Bigr), \qquad
              q_k^2 = \frac{u_k^2}{a_k^2} + \frac{v_k^2}{b_k^2}

    :math:`u, v` are distances along the axes of ellipse :math:`k` of eccentricity :math:`e` with semi-axes
    :math:`a = r (1-e^2)^{-1/4}`, :math:`b = r (1-e^2)^{1/4}`: its area is that of the disc of radius :math:`r`.

    Args:
        generator: source of the bearings where none are given.
        field: the grid.
        centres_um: row and column of each nucleus, ``(K, 2)``. Unit: µm. They may lie outside the field.
        radius_um: :math:`r`, ``(K,)``. Unit: µm.
        density: :math:`d`, haematoxylin of each, ``(K,)``.
        eccentricity: :math:`e`, 0 to below 1.
        bearing: of the long axis, from the rows to the columns. Unit: radian.
        pale: :math:`p`, how much paler the centre is (vesicular nuclei), 0 to 1.

    Returns:
        ``(samples, samples)``.

    Example:
        >>> field = Field(20.0, 200)
        >>> one = nuclei(np.random.default_rng(0), field, np.array([[10.0, 10.0]]), np.array([3.0]), np.array([1.0]))
        >>> round(float(np.sqrt((one > 0.5).sum() * field.pitch_um**2 / np.pi)), 1)
        3.0
    """
    drawn = field.empty()
    if not len(centres_um):
        return drawn
    bearing = generator.uniform(0, np.pi, len(centres_um)) if bearing is None else bearing
    squeeze = np.broadcast_to((1 - np.square(eccentricity)) ** 0.25, radius_um.shape)
    reach = int(np.ceil((float((radius_um / squeeze).max()) + 6 * EDGE_UM) / field.pitch_um))
    steps = np.arange(-reach, reach + 1)
    corner = np.floor(centres_um / field.pitch_um).astype(int)
    rows, columns = (corner[:, axis, None] + steps for axis in (0, 1))  # (K, n)
    down = ((rows + 0.5) * field.pitch_um - centres_um[:, :1])[:, :, None]
    right = ((columns + 0.5) * field.pitch_um - centres_um[:, 1:])[:, None, :]
    cosine, sine = np.cos(bearing)[:, None, None], np.sin(bearing)[:, None, None]
    squeeze, radius = squeeze[:, None, None], radius_um[:, None, None]
    along, across = (down * cosine + right * sine) * squeeze, (right * cosine - down * sine) / squeeze
    q = np.sqrt(along**2 + across**2) / radius
    shape = 0.5 + 0.5 * np.tanh((1 - q) * radius / (2 * EDGE_UM))
    pale = np.broadcast_to(pale, radius_um.shape)[:, None, None]
    values = density[:, None, None] * shape * (1 - pale * np.exp(-4 * q**2))
    inside = ((rows >= 0) & (rows < field.samples))[:, :, None] & ((columns >= 0) & (columns < field.samples))[:, None]
    place = (rows[:, :, None] * field.samples + columns[:, None])[inside]
    np.maximum.at(drawn.reshape(-1), place, values[inside])
    return drawn


def scatter(generator: Generator, field: Field, throws: int, distance_um: float, margin_um: float = 4.0) -> np.ndarray:
    """Throw points that keep a distance from one another, ``(K, 2)`` in µm: rows and columns.

    Each throw that comes too near an earlier one is lost. Points may lie ``margin_um`` outside the field, so that
    its border is filled as its middle.

    Example:
        >>> points = scatter(np.random.default_rng(0), Field(100.0, 200), 500, 8.0)
        >>> gaps = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 1e3 * np.eye(len(points))
        >>> bool(gaps.min() >= 8)
        True
    """
    points = generator.uniform(-margin_um, field.side_um + margin_um, (throws, 2))
    gap = (points[:, None, 0] - points[None, :, 0]) ** 2 + (points[:, None, 1] - points[None, :, 1]) ** 2
    near = gap < distance_um**2
    free = np.ones(throws, bool)
    for number in range(throws):
        if free[number]:  # it stays, and nothing that comes later may be near it
            free[number + 1 :] &= ~near[number, number + 1 :]
    return points[free]


@lru_cache(maxsize=32)
def _band(field: Field, scale_um: float) -> np.ndarray:
    down = np.fft.fftfreq(field.samples, field.pitch_um)[:, None]
    right = np.fft.rfftfreq(field.samples, field.pitch_um)[None]
    exponent = -2 * np.pi**2 * scale_um**2 * (down**2 + right**2)
    return np.exp(exponent) - np.exp(2.4**2 * exponent)


def band_noise(generator: Generator, field: Field, scale_um: float) -> np.ndarray:
    r"""Draw unit-variance noise between two spatial scales: chromatin, fibres, patches of stain.

    .. math:: n = \mathcal F^{-1}\bigl[\hat w\,(e^{-2\pi^2 s^2 f^2} - e^{-2\pi^2 (2.4 s)^2 f^2})\bigr]

    Args:
        generator: source of the white noise :math:`w`. field: the grid.
        scale_um: Gaussian width :math:`s` of the finest clumps. Unit: µm.

    Example:
        >>> round(float(band_noise(np.random.default_rng(0), Field(100.0, 128), 2.0).std()), 6)
        1.0
    """
    white = generator.standard_normal((field.samples, field.samples))
    noise = np.fft.irfft2(np.fft.rfft2(white) * _band(field, scale_um), s=white.shape)
    return noise / noise.std()


def pixel_response(field: Field, size: int, blur_um: float) -> np.ndarray:
    r"""Weight of each fine sample in each pixel, along one axis, ``(size, samples)``.

    .. math:: A_{pj} \propto \Phi\!\left(\tfrac{b_{p+1} - x_j}{\sigma}\right)
              - \Phi\!\left(\tfrac{b_p - x_j}{\sigma}\right), \qquad \sum_j A_{pj} = 1

    A Gaussian blur followed by the area of a pixel is an integral of a Gaussian, and both axes separate, so an image
    is :math:`A I A^{\mathsf T}`. The rows sum to one: a uniform field stays uniform at its border.

    Args:
        field: the grid; :math:`x_j` are its samples. Unit: µm.
        size: pixels along the side; :math:`b_p` are their borders. Unit: µm.
        blur_um: Gaussian width :math:`\sigma`. Unit: µm.

    Example:
        >>> pixel_response(Field(100.0, 200), 50, 0.5).sum(axis=1).round(6).min()
        np.float64(1.0)
    """
    from scipy.special import ndtr

    borders = np.linspace(0, field.side_um, size + 1)
    weight = np.diff(ndtr((borders[:, None] - field.axis_um) / blur_um), axis=0)
    return weight / weight.sum(axis=1, keepdims=True)


def draw_slide(generator: Generator, field: Field, size: int) -> Slide:
    """Draw dyes, lamp and focus of one slide (spreads are the constants at the top of this file).

    Example:
        >>> draw_slide(np.random.default_rng(0), Field(100.0, 200), 50).light.shape
        (3, 200, 200)
    """
    vectors = stain_vectors("haematoxylin", "eosin").double().numpy()
    vectors = np.abs(vectors + generator.normal(0, STAIN_JITTER, (2, 3)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = np.exp(generator.normal(0, STAIN_SPREAD, 2))
    balance = generator.uniform(*BRIGHTNESS) * np.exp(generator.normal(0, WHITE_BALANCE_SPREAD, 3))
    down, right = generator.normal(0, TILT_SPREAD, 2)
    place = field.axis_um / field.side_um - 0.5
    light = balance[:, None, None] * (1 + down * place[:, None] + right * place[None])
    blur_um = float(np.hypot(SHARP_UM, generator.uniform(0, DEFOCUS_UM)))
    return Slide(vectors * strength[:, None], light, pixel_response(field, size, blur_um), blur_um)


def expose(generator: Generator, tissue: np.ndarray, slide: Slide) -> np.ndarray:
    r"""Photograph tissue through the stain, light and optics of a slide.

    .. math:: I_c = L_c\,10^{-\sum_s M_{sc} q_s}, \qquad
              y = \tfrac{1}{N}\bigl(\mathrm{Poisson}(N\,A I_c A^{\mathsf T}) + \mathcal N(0, \sigma_r^2)\bigr)

    Args:
        generator: source of the noise.
        tissue: concentrations :math:`q` of haematoxylin and eosin, ``(2, samples, samples)``.
        slide: :math:`M`, :math:`L` and :math:`A`.

    Returns:
        ``(3, size, size)`` float32, 0…1 of full scale, linear in light.

    References:
        Ruifrok & Johnston 2001, Analytical and Quantitative Cytology and Histology 23:291–299.
    """
    density = torch.from_numpy(np.tensordot(slide.stains.T, tissue, axes=1))
    light = light_through(density, torch.from_numpy(slide.light)).numpy()
    image = slide.optics @ light @ slide.optics.T
    electrons = generator.poisson(image * FULL_WELL_ELECTRONS) + generator.normal(0, READ_NOISE_ELECTRONS, image.shape)
    return np.clip(electrons / FULL_WELL_ELECTRONS, 0, 1).astype(np.float32)
