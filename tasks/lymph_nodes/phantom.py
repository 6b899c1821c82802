r"""Procedural patches of lymph node, with or without tumour in the centre, grouped by slide, nothing to download.

Lymphocytes are small, round, dark and dense. Tumour nuclei are large, of many sizes, shapes and densities, paler in
the middle, and lie apart in eosin. Germinal centres hide in half of all patches: their nuclei are large and pale too,
but alike and round. As in PatchCamelyon, only tumour in the central third counts: a patch with tumour at its border
alone is normal. Mean colours are right in 0.51 of patches (logistic regression), a network of two-convolution blocks in
0.82 (750 patches, 12 epochs, new slides, one seed). :mod:`physlayer.tasks.tissue` makes the image. Split by ``groups``,
or a network is tested on slides that it has learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from physlayer.core.validation import plain_number
from physlayer.tasks.tissue import Field, band_noise, draw_slide, expose, nuclei, scatter

__all__ = ["CLASS_NAMES", "FIELD", "LymphNodePhantom", "draw_node", "make_phantom"]

CLASS_NAMES = ("normal", "tumour")
FIELD = Field(93.0, 192)  # 96 pixels of 0.97 µm, or 48 of 1.94 µm
CENTRE_UM = FIELD.side_um / 3  # side of the central square that the label is about, as 32 of 96 pixels
THROWS = 900  # of a nucleus, per kind
GERMINAL_CHANCE = 0.55  # of patches of both classes
OUTSIDE_CHANCE = 0.25  # of normal patches that have tumour near the border
TUMOUR_UM = (9.0, 40.0)  # radius
NEST_UM = 6.0  # radius of tumour that is always whole; around it lymphocytes may stand between nests of tumour
SLIDE_STREAM = 10**6  # slide k draws from the stream (seed, 10**6 + k), image i from (seed, i)


@dataclass(frozen=True)
class LymphNodePhantom:
    """Images in linear light, classes, slides, and the parameters they were drawn from.

    Attributes:
        images: ``(N, 3, size, size)`` float32, 0…1 of full scale.
        targets: ``(N,)`` int64, index into :data:`CLASS_NAMES`.
        groups: ``(N,)`` str, the slide of each image; two seeds share no slide.
        latents: name to ``(N,)`` float64: ``tumour`` and ``central_tumour``, the shares of the patch and of its
            central third that tumour covers; ``germinal``, the share that a germinal centre covers; ``blur_um``.
    """

    images: Tensor
    targets: Tensor
    groups: np.ndarray
    latents: dict[str, np.ndarray]


@dataclass(frozen=True)
class Kind:
    """How the nuclei of one kind of cell look; pairs are means and standard deviations, or bounds."""

    gap_um: float  # least distance of two centres
    radius_um: tuple[float, float]
    density: tuple[float, float]
    eccentricity: tuple[float, float]  # bounds
    pale: tuple[float, float]  # bounds
    lognormal: bool = False  # radius: median, and deviation of the logarithm


LYMPHOCYTE = Kind(6.2, (3.2, 0.3), (0.72, 0.09), (0.0, 0.3), (0.0, 0.1))
CENTROCYTE = Kind(7.8, (4.2, 0.5), (0.53, 0.11), (0.0, 0.45), (0.1, 0.55))
TUMOUR = Kind(8.4, (4.7, 0.22), (0.55, 0.14), (0.05, 0.75), (0.1, 0.6), lognormal=True)
TUMOUR_EOSIN, GERMINAL_EOSIN = 0.06, (0.0, 0.06)  # more than that of the tissue around them


def _disc(centre_um: np.ndarray, radius_um: float, ragged: np.ndarray) -> np.ndarray:
    """Where a round region is, with a ragged border, boolean."""
    down, right = (FIELD.axis_um - centre for centre in centre_um)
    return np.hypot(down[:, None], right[None]) < radius_um + 2.5 * ragged


def _place(generator: Generator, label: int, ragged: np.ndarray) -> np.ndarray:
    """Where tumour is: over a point of the central third, or clear of it, or nowhere; boolean."""
    middle, half = FIELD.side_um / 2, CENTRE_UM / 2
    if not label and generator.random() >= OUTSIDE_CHANCE:
        return np.zeros((FIELD.samples, FIELD.samples), bool)
    if label:
        radius_um = generator.uniform(*TUMOUR_UM)
        centre_um = middle + generator.uniform(-half, half, 2)
    else:
        bearing, radius_um = generator.uniform(0, 2 * np.pi), generator.uniform(TUMOUR_UM[0], 30.0)
        away = np.array([np.sin(bearing), np.cos(bearing)])
        # from the middle to the edge of the square in that direction, then clear of it
        distance_um = half / np.abs(away).max() + radius_um * 1.15 + 8 + generator.uniform(0, 6)
        centre_um = middle + distance_um * away
    nests = band_noise(generator, FIELD, 4.0) > generator.uniform(-2.0, -0.2)
    tumour = _disc(centre_um, radius_um, ragged) & nests | _disc(centre_um, NEST_UM, 0 * ragged)
    return tumour if label else tumour & ~central()


def central() -> np.ndarray:
    """The central third of the patch, boolean ``(samples, samples)``."""
    inside = np.abs(FIELD.axis_um - FIELD.side_um / 2) < CENTRE_UM / 2
    return inside[:, None] & inside[None]


def _cells(generator: Generator, kind: Kind, region: np.ndarray) -> np.ndarray:
    """Haematoxylin of the nuclei of one kind whose centres lie in a region."""
    points = scatter(generator, FIELD, THROWS, kind.gap_um)
    row, column = np.clip((points / FIELD.pitch_um).astype(int), 0, FIELD.samples - 1).T
    points = points[region[row, column]]
    count = len(points)
    radius_um = generator.normal(*kind.radius_um, count)
    if kind.lognormal:
        radius_um = kind.radius_um[0] * np.exp(generator.normal(0, kind.radius_um[1], count))
    return nuclei(
        generator, FIELD, points, np.maximum(radius_um, 1.5), np.maximum(generator.normal(*kind.density, count), 0.2),
        eccentricity=generator.uniform(*kind.eccentricity, count), pale=generator.uniform(*kind.pale, count),
    )  # fmt: skip


def draw_node(generator: Generator, label: int) -> tuple[np.ndarray, dict[str, float]]:
    """Draw one patch before staining of the slide, light and optics.

    Args:
        generator: source of everything random. label: index into :data:`CLASS_NAMES`.

    Returns:
        Concentrations of haematoxylin and eosin ``(2, 192, 192)``, and the shares of :class:`LymphNodePhantom`.

    Example:
        >>> tissue, latent = draw_node(np.random.default_rng(0), 1)
        >>> tissue.shape, latent["central_tumour"] > 0
        ((2, 192, 192), True)
    """
    ragged = band_noise(generator, FIELD, 5.0)
    tumour = _place(generator, label, ragged)
    germinal = np.zeros_like(tumour)
    if generator.random() < GERMINAL_CHANCE:
        place = FIELD.side_um / 2 + generator.uniform(-CENTRE_UM, CENTRE_UM, 2)
        germinal = _disc(place, generator.uniform(18, 45), ragged) & ~tumour
    texture = band_noise(generator, FIELD, 1.2)
    eosin = 0.20 + 0.04 * ragged + 0.04 * texture + TUMOUR_EOSIN * tumour
    eosin += generator.uniform(*GERMINAL_EOSIN) * germinal
    haematoxylin = np.full_like(eosin, 0.10)
    for kind, region in ((LYMPHOCYTE, ~(tumour | germinal)), (CENTROCYTE, germinal), (TUMOUR, tumour)):
        if region.any():
            haematoxylin = np.maximum(haematoxylin, _cells(generator, kind, region))
    haematoxylin *= 1 + 0.12 * band_noise(generator, FIELD, 0.6)  # chromatin
    latent = {
        "tumour": float(tumour.mean()),
        "central_tumour": float(tumour[central()].mean()),
        "germinal": float(germinal.mean()),
    }
    return np.clip(np.stack([haematoxylin, eosin]), 0, None), latent


def make_phantom(images: int = 600, *, seed: int, size: int = 48, images_per_slide: int = 25) -> LymphNodePhantom:
    """Render patches of 93 µm, half of them with tumour in the central third.

    Image ``i`` depends on ``seed``, ``i``, ``size`` and ``images_per_slide`` only: fewer images are a prefix of more.
    The same tissue appears at every ``size``.

    Args:
        images: number of images, up to a million.
        seed: non-negative; two seeds share neither images nor slides.
        size: pixels per side, 12 to 192; 96 gives the 0.97 µm of PatchCamelyon, 48 gives 1.94 µm.
        images_per_slide: images that share stain, light and focus.

    Returns:
        A :class:`LymphNodePhantom`; the classes are balanced within a slide to one image.

    Raises:
        ValueError: if a number lies outside its range.

    References:
        Veeling et al. 2018, arXiv:1806.03962, for the size of a patch and the meaning of its label.

    Example:
        >>> phantom = make_phantom(2, seed=0)
        >>> tuple(phantom.images.shape), sorted(phantom.targets.tolist()), str(phantom.groups[0])
        ((2, 3, 48, 48), [0, 1], 'phantom-0-slide-00000')
    """
    images = plain_number("images", images, 1, SLIDE_STREAM, whole=True)
    seed = plain_number("seed", seed, 0, 2**63, whole=True)
    size = plain_number("size", size, 12, FIELD.samples, whole=True)
    images_per_slide = plain_number("images_per_slide", images_per_slide, 1, SLIDE_STREAM, whole=True)
    pictures, targets, latents = np.empty((images, 3, size, size), np.float32), np.empty(images, np.int64), []
    for number in range(images):
        slide_number, position = divmod(number, images_per_slide)
        if position == 0:
            slide_generator = np.random.default_rng([seed, SLIDE_STREAM + slide_number])
            slide = draw_slide(slide_generator, FIELD, size)
            # as even as a slide allows, in an order of its own: where an image stands does not tell its class
            labels = slide_generator.permutation(np.arange(number, number + images_per_slide) % 2)
        generator = np.random.default_rng([seed, number])
        targets[number] = labels[position]
        tissue, latent = draw_node(generator, int(labels[position]))
        pictures[number] = expose(generator, tissue, slide)
        latents.append(latent | {"blur_um": slide.blur_um})
    slides = np.arange(images) // images_per_slide
    return LymphNodePhantom(
        torch.from_numpy(pictures),
        torch.from_numpy(targets),
        np.array([f"phantom-{seed}-slide-{slide:05d}" for slide in slides]),
        {name: np.array([latent[name] for latent in latents], np.float64) for name in latents[0]},
    )
