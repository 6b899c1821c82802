r"""Procedural glands in H&E-stained colon: images with masks, grouped by slide, nothing to download.

A gland is a lumen, a ring of epithelium with nuclei along its outer rim, and pale goblet cells; some are cut beside
the lumen, and parts of a rim do not show. Around it lies stroma with spindle nuclei, lymphocytes, tears and vessels.
No colour belongs to glands alone: what tells them is how nuclei, epithelium and lumen are arranged. The best threshold
of one channel has a Dice coefficient of 0.54, calling everything gland 0.53, a small U-Net on new slides 0.92 (64
pixels, 400 images, 16 epochs, one seed). :mod:`.glands` draws the tissue, :mod:`.tissue`
makes an image of it. Split by ``groups``, or a network is tested on slides that it has learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from physlayer.core.validation import plain_number
from physlayer.tasks.histology.glands import FIELD, draw_glands
from physlayer.tasks.tissue import draw_slide, expose

__all__ = ["HistologyPhantom", "make_phantom", "pixel_area"]

SLIDE_STREAM = 10**6  # slide k draws from the stream (seed, 10**6 + k), image i from (seed, i)


@dataclass(frozen=True)
class HistologyPhantom:
    """Images in linear light, masks, slides, and the parameters they were drawn from.

    Attributes:
        images: ``(N, 3, size, size)`` float32, 0…1 of full scale.
        masks: ``(N, size, size)`` uint8, 1 in glands, their lumen included, 0 elsewhere.
        groups: ``(N,)`` str, the slide of each image; two seeds share no slide.
        latents: name to ``(N,)`` float64: ``malignant`` (0 or 1), ``glands`` seen, ``blur_um``.
    """

    images: Tensor
    masks: Tensor
    groups: np.ndarray
    latents: dict[str, np.ndarray]


def make_phantom(images: int = 600, *, seed: int, size: int = 64, images_per_slide: int = 25) -> HistologyPhantom:
    """Render fields of 160 µm with their gland masks.

    Image ``i`` depends on ``seed``, ``i``, ``size`` and ``images_per_slide`` only: fewer images are a prefix of more.
    The same tissue appears at every ``size``. Half of the slides are malignant, every second one.

    Args:
        images: number of images, up to a million.
        seed: non-negative; two seeds share neither images nor slides.
        size: pixels per side, 16 to 256; 64 gives pixels of 2.5 µm.
        images_per_slide: images that share stain, light and focus.

    Returns:
        A :class:`HistologyPhantom`. A pixel belongs to a gland if at least half of its area does.

    Raises:
        ValueError: if a number lies outside its range.

    Example:
        >>> phantom = make_phantom(2, seed=0)
        >>> tuple(phantom.images.shape), tuple(phantom.masks.shape), str(phantom.groups[0])
        ((2, 3, 64, 64), (2, 64, 64), 'phantom-0-slide-00000')
    """
    images = plain_number("images", images, 1, SLIDE_STREAM, whole=True)
    seed = plain_number("seed", seed, 0, 2**63, whole=True)
    size = plain_number("size", size, 16, FIELD.samples, whole=True)
    images_per_slide = plain_number("images_per_slide", images_per_slide, 1, SLIDE_STREAM, whole=True)
    area = pixel_area(size)
    pictures, masks, latents = (
        np.empty((images, 3, size, size), np.float32),
        np.empty((images, size, size), np.uint8),
        [],
    )
    for number in range(images):
        slide_number = number // images_per_slide
        if number % images_per_slide == 0:
            slide_generator = np.random.default_rng([seed, SLIDE_STREAM + slide_number])
            slide, malignant = draw_slide(slide_generator, FIELD, size), bool((slide_number + seed) % 2)
        generator = np.random.default_rng([seed, number])
        tissue, cover, glands = draw_glands(generator, malignant)
        pictures[number] = expose(generator, tissue, slide)
        masks[number] = area @ cover @ area.T >= 0.5
        latents.append((malignant, glands, slide.blur_um))
    slides = np.arange(images) // images_per_slide
    return HistologyPhantom(
        torch.from_numpy(pictures),
        torch.from_numpy(masks),
        np.array([f"phantom-{seed}-slide-{slide:05d}" for slide in slides]),
        dict(zip(("malignant", "glands", "blur_um"), np.array(latents, np.float64).T, strict=True)),
    )


def pixel_area(size: int) -> np.ndarray:
    """Share of each fine sample in each pixel along one axis, ``(size, 256)``: area alone, without optics.

    Example:
        >>> pixel_area(128)[0, :3]
        array([0.5, 0.5, 0. ])
    """
    borders = np.linspace(0, FIELD.samples, size + 1)
    fine = np.arange(FIELD.samples)
    overlap = np.minimum(borders[1:, None], fine + 1) - np.maximum(borders[:-1, None], fine)
    return np.clip(overlap, 0, None) * size / FIELD.samples
