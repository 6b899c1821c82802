r"""Procedural Giemsa-stained blood smears: four classes, grouped by slide, nothing to download.

A smear is two stain densities (:mod:`physlayer.tasks.blood_cells.phantom_cells`). Here it becomes an image:
Beer–Lambert absorption, the lamp, the objective, the pixels, photon and read noise. Everything that a
laboratory sets once per slide is drawn once per slide: split by ``groups``, or a network is tested on slides
that it has learnt.
"""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from physlayer.tasks.blood_cells.phantom_cells import CLASS_NAMES, draw_smear
from physlayer.tasks.blood_cells.phantom_shapes import AXIS_UM, FIELD_UM, FINE

# Optical density of the two Giemsa stains in red, green, blue, unit vectors (G. Landini's table for ImageJ)
METHYLENE_BLUE = (0.8348, 0.5136, 0.1963)
EOSIN = (0.0928, 0.9541, 0.2831)
OPTICAL_DENSITY = 1.25  # of a stain density of one
STAIN_JITTER = 0.03  # of each component of a stain vector
STAIN_SPREAD = 0.26  # of the log of the strength of each stain
WHITE_BALANCE_SPREAD = 0.03
TILT_SPREAD = 0.06  # change of the illumination across the field
BRIGHTNESS = (0.80, 0.95)  # clear glass, of full scale
SHARP_UM = 0.178  # Gaussian width of a 40x/0.65 objective in focus
DEFOCUS_UM = 0.35  # most that a slide adds
FULL_WELL_ELECTRONS = 10_000.0  # of a pixel of 0.375 µm; a larger pixel holds more
READ_NOISE_ELECTRONS = 7.0

SLIDE_STREAM = 10**6  # slide k draws from the stream (seed, 10**6 + k), image i from (seed, i)


@dataclass(frozen=True)
class Phantom:
    """Images in linear light with their classes, slides and the parameters they were drawn from.

    Attributes:
        images: (N, 3, size, size) float32, 0…1 of full scale.
        targets: (N,) int64, index into ``CLASS_NAMES``.
        groups: (N,) str, the slide of each image; two seeds share no slide.
        latents: name to (N,) float64. Lengths in µm; a cue that a cell lacks is 0.
    """

    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    latents: dict[str, np.ndarray]


@dataclass(frozen=True)
class Slide:
    """What all images of one slide share."""

    stains: np.ndarray  # (3, 2): optical density in red, green, blue of one unit of either stain
    light: np.ndarray  # (3, 128, 128): intensity without a smear
    optics: np.ndarray  # (size, 128): blur and pixel, for rows and for columns
    blur_um: float


def pixel_response(size: int, blur_um: float) -> np.ndarray:
    r"""Return the weight of each fine sample in each pixel, along one axis.

    .. math:: A_{pj} \propto \Phi\!\left(\tfrac{b_{p+1} - x_j}{\sigma}\right)
              - \Phi\!\left(\tfrac{b_p - x_j}{\sigma}\right), \qquad \sum_j A_{pj} = 1

    A Gaussian blur followed by the area of a pixel is an integral of a Gaussian, and both axes separate, so
    an image is :math:`A I A^{\mathsf T}`. The rows sum to one: a uniform field stays uniform at its border.

    Args:
        size: pixels along the side; :math:`b_p` are their borders. Unit: µm.
        blur_um: Gaussian width :math:`\sigma`. Unit: µm.

    Returns:
        (size, 128).

    Example:
        >>> pixel_response(64, 0.2).sum(axis=1).round(6).min()
        np.float64(1.0)
    """
    from scipy.special import ndtr

    borders = np.linspace(0, FIELD_UM, size + 1)
    weight = np.diff(ndtr((borders[:, None] - AXIS_UM) / blur_um), axis=0)
    return weight / weight.sum(axis=1, keepdims=True)


def draw_slide(generator: Generator, size: int) -> Slide:
    """Draw staining, lamp and focus of one slide (spreads are the constants at the top of this file).

    Example:
        >>> draw_slide(np.random.default_rng(0), 64).light.shape
        (3, 128, 128)
    """
    vectors = np.abs(np.array([METHYLENE_BLUE, EOSIN]) + generator.normal(0, STAIN_JITTER, (2, 3)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = OPTICAL_DENSITY * np.exp(generator.normal(0, STAIN_SPREAD, 2))
    balance = generator.uniform(*BRIGHTNESS) * np.exp(generator.normal(0, WHITE_BALANCE_SPREAD, 3))
    down, right = generator.normal(0, TILT_SPREAD, 2)
    place = AXIS_UM / FIELD_UM - 0.5
    light = balance[:, None, None] * (1 + down * place[:, None] + right * place[None])
    blur_um = float(np.hypot(SHARP_UM, generator.uniform(0, DEFOCUS_UM)))
    return Slide((vectors * strength[:, None]).T, light, pixel_response(size, blur_um), blur_um)


def expose(generator: Generator, smear: np.ndarray, slide: Slide) -> np.ndarray:
    r"""Photograph a smear through a slide's stain, light and optics.

    .. math:: I_c = L_c\,10^{-\sum_s M_{cs} d_s}, \qquad
              y = \tfrac{1}{N}\bigl(\mathrm{Poisson}(N\,A I_c A^{\mathsf T}) + \mathcal N(0, \sigma_r^2)\bigr)

    Args:
        generator: source of the noise.
        smear: (2, 128, 128) stain densities :math:`d`.
        slide: :math:`M`, :math:`L` and :math:`A`.

    Returns:
        (3, size, size) float32, 0…1 of full scale, linear in light.
    """
    density = np.tensordot(slide.stains, smear, axes=1)
    image = slide.optics @ (slide.light * np.exp(-np.log(10) * density)) @ slide.optics.T
    # A pixel twice as wide collects four times the light; read noise it adds only once
    full_well = FULL_WELL_ELECTRONS * (64 / len(slide.optics)) ** 2
    electrons = generator.poisson(image * full_well) + generator.normal(0, READ_NOISE_ELECTRONS, image.shape)
    return np.clip(electrons / full_well, 0, 1).astype(np.float32)


def _make_slide(number: int, seed: int, size: int, images_per_slide: int, kept: int) -> tuple:
    """Render the first ``kept`` images of one slide."""
    slide_generator = np.random.default_rng([seed, SLIDE_STREAM + number])
    slide = draw_slide(slide_generator, size)
    first = number * images_per_slide
    # As even as a slide allows, in an order of its own: where an image stands does not tell its class
    classes = np.arange(first, first + images_per_slide) % len(CLASS_NAMES)
    targets = slide_generator.permutation(classes)[:kept]
    images, latents = np.empty((kept, 3, size, size), np.float32), []
    for position, target in enumerate(targets):
        generator = np.random.default_rng([seed, first + position])
        smear, latent = draw_smear(generator, int(target))
        images[position] = expose(generator, smear, slide)
        latents.append(latent | {"blur_um": slide.blur_um})
    return images, targets, latents


def _checked(name: str, value: int, least: int, most: int | None = None) -> int:
    """Return ``value`` as an int inside its range."""
    wanted = f"an integer of at least {least}" + ("" if most is None else f" and at most {most}")
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least or (most is not None and number > most):
        msg = f"Expected {name} to be {wanted}, but got {value!r}."
        raise ValueError(msg)
    return number


def make_phantom(images: int, *, seed: int, size: int = 64, images_per_slide: int = 25, jobs: int = 1) -> Phantom:
    """Render labelled white blood cells, one per image, in a field of 24 µm.

    Image ``i`` depends on ``seed``, ``i``, ``size`` and ``images_per_slide`` only: fewer images are a prefix
    of more, and ``jobs`` changes the time, never the result. The same cells appear at every ``size``.

    Args:
        images: number of images, up to a million.
        seed: non-negative; two seeds share neither images nor slides.
        size: pixels per side, a divisor of 128 and at least 8; 64 gives pixels of 0.375 µm.
        images_per_slide: images that share stain, light and focus.
        jobs: processes.

    Returns:
        A :class:`Phantom`; the classes are balanced within a slide to one image.

    Raises:
        ValueError: an argument is no integer or lies outside its range.

    Source:
        Ruifrok & Johnston (2001), Anal. Quant. Cytol. Histol. 23:291, for optical density from stain vectors.

    Example:
        >>> phantom = make_phantom(4, seed=0)
        >>> phantom.images.shape, str(phantom.groups[0])
        ((4, 3, 64, 64), 'phantom-0-slide-00000')
    """
    images = _checked("images", images, 1, SLIDE_STREAM)
    seed = _checked("seed", seed, 0)
    size = _checked("size", size, 8, FINE)
    images_per_slide = _checked("images_per_slide", images_per_slide, 1)
    jobs = _checked("jobs", jobs, 1)
    if FINE % size:
        msg = f"Expected size to divide {FINE}, but got {size}."
        raise ValueError(msg)
    starts = range(0, images, images_per_slide)
    work = [
        (number, seed, size, images_per_slide, min(images_per_slide, images - first))
        for number, first in enumerate(starts)
    ]
    if jobs == 1:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn

        # The matrices are small: threads that wait for one another cost more than they save
        with threadpool_limits(1, user_api="blas"):
            parts = [_make_slide(*item) for item in work]
    else:
        from joblib import Parallel, delayed

        parts = Parallel(n_jobs=jobs)(delayed(_make_slide)(*item) for item in work)
    latents = [latent for part in parts for latent in part[2]]
    slides = np.arange(images) // images_per_slide
    return Phantom(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]).astype(np.int64),
        np.array([f"phantom-{seed}-slide-{slide:05d}" for slide in slides]),
        {name: np.array([latent[name] for latent in latents], np.float64) for name in latents[0]},
    )
