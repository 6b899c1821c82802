"""Glands and the stroma around them, as concentrations of haematoxylin and eosin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from physlayer.tasks.tissue import Field, band_noise, nuclei

__all__ = ["FIELD", "Gland", "draw_gland", "draw_glands"]

FIELD = Field(160.0, 256)  # 64 pixels of 2.5 µm or 128 of 1.25 µm
GLANDS = (10, 30)  # throws of a gland per image; those that overlap an earlier one are lost
RADIUS_UM = (16.0, 42.0)
MARGIN_UM = 15.0  # how far outside the field a centre may lie: glands are cut by the border, as in a real section
EPITHELIUM_UM = (9.0, 14.0)  # at least
EPITHELIUM_SHARE = (0.25, 0.65)  # of the radius, where that is more: many lumens are narrow
NUCLEUS_UM = (2.4, 3.4)
NUCLEAR_STAIN = (0.75, 0.12)  # mean, standard deviation
EOSIN = (0.26, 0.05)  # of epithelium and of stroma alike
BASOPHILIA = (0.10, 0.05)  # haematoxylin between nuclei, of both
MOTTLE = (0.06, 0.05)  # of eosin, at 6 µm and 1.5 µm, of both
SOLID_CHANCE = 0.25  # of glands cut beside their lumen
RIM_SEEN = (0.45, 1.0)  # share of the outline that shows nuclei; the rest is cut obliquely
ORDERS = np.arange(2, 7)  # of the Fourier series of an outline


@dataclass(frozen=True)
class Gland:
    """Outline :math:`r(\\theta) = R (1 + \\sum_k |c_k| \\cos(k\\theta + \\arg c_k))` and what is in it."""

    centre_um: np.ndarray  # (2,): row, column
    radius_um: float
    waves: np.ndarray  # (5,) complex, c_k
    epithelium_um: float
    eosin: float
    basophilia: float
    mucin: float  # haematoxylin in the lumen and in goblet cells
    secretion: float  # eosin in the lumen
    goblets: int
    rim_seen: float
    nuclear_stain: float

    def outline_um(self, turn: np.ndarray) -> np.ndarray:
        """Radius of the outline in the directions ``turn``, which are :math:`e^{i\\theta}`."""
        series = np.zeros_like(turn)
        for wave in self.waves[::-1]:  # Horner's rule: powers of e^{i theta} without an arctangent
            series = series * turn + wave
        return self.radius_um * (1 + (series * turn**2).real)


def draw_gland(generator: Generator, malignant: bool) -> Gland:
    """Draw one gland; malignant ones have ragged outlines, thick epithelium and little mucin."""
    roughness = (0.10 if malignant else 0.03) / np.sqrt(np.arange(1, len(ORDERS) + 1))
    amplitudes = np.abs(generator.normal(0, roughness))
    amplitudes[0] = generator.uniform(0, 0.28)  # most glands are cut obliquely: ellipses
    radius_um = generator.uniform(*RADIUS_UM)
    thickness_um = max(generator.uniform(*EPITHELIUM_UM), generator.uniform(*EPITHELIUM_SHARE) * radius_um)
    thickness_um *= 1.2 if malignant else 1.0
    return Gland(
        generator.uniform(-MARGIN_UM, FIELD.side_um + MARGIN_UM, 2),
        radius_um,
        amplitudes * np.exp(1j * generator.uniform(0, 2 * np.pi, len(ORDERS))),
        radius_um if generator.random() < SOLID_CHANCE else min(thickness_um, 0.85 * radius_um),
        max(generator.normal(*EOSIN), 0.08),
        max(generator.normal(*BASOPHILIA), 0.01),
        generator.uniform(0.0, 0.20),
        generator.uniform(0.02, 0.30),
        int(generator.integers(0, 4)) if malignant else int(generator.integers(0, 16)),
        generator.uniform(*RIM_SEEN),
        generator.normal(*NUCLEAR_STAIN) * generator.uniform(0.7, 1.0),
    )


def _inside(distance_um: np.ndarray, softness_um: float = 0.5) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(distance_um / (2 * softness_um))


def _blend(tissue: np.ndarray, cover: np.ndarray, haematoxylin: np.ndarray | float, eosin: np.ndarray | float) -> None:
    """Put something over the tissue that hides what is below."""
    tissue *= 1 - cover
    tissue[0] += cover * haematoxylin
    tissue[1] += cover * eosin


def _stroma(generator: Generator, tissue: np.ndarray) -> None:
    """Spindle nuclei along fibres, lymphocytes in some images, tears and vessels in half of them each."""
    count = int(generator.integers(25, 71))
    centres_um = generator.uniform(0, FIELD.side_um, (count, 2))
    bearing = generator.uniform(0, np.pi) + generator.normal(0, 0.5, count)
    radius_um, eccentricity = generator.uniform(1.8, 2.8, count), generator.uniform(0.3, 0.95, count)
    if generator.random() < 0.6:  # an infiltrate of round nuclei, as dense as a rim of epithelium
        extra = int(generator.integers(30, 110))
        place, width_um = generator.uniform(0, FIELD.side_um, 2), generator.uniform(10, 35)
        centres_um = np.concatenate([centres_um, place + generator.normal(0, width_um, (extra, 2))])
        bearing = np.concatenate([bearing, generator.uniform(0, np.pi, extra)])
        radius_um = np.concatenate([radius_um, generator.normal(2.6, 0.3, extra)])
        eccentricity = np.concatenate([eccentricity, generator.uniform(0, 0.5, extra)])
    density = generator.normal(*NUCLEAR_STAIN, len(radius_um))
    drawn = nuclei(generator, FIELD, centres_um, radius_um, density, eccentricity=eccentricity, bearing=bearing)
    tissue[0] = np.maximum(tissue[0], drawn)
    for wall in (False, True):
        for _ in range(generator.integers(1, 4) if generator.random() < 0.5 else 0):
            _hole(generator, tissue, wall)


def _hole(generator: Generator, tissue: np.ndarray, wall: bool) -> None:
    """A tear, clear as a lumen; with a wall and flat nuclei around it, a vessel, clear or full of red cells."""
    place, radius_um = generator.uniform(0, FIELD.side_um, (1, 2)), generator.uniform(6, 20, 1)
    shape = dict(eccentricity=generator.uniform(0, 0.95), bearing=generator.uniform(0, np.pi, 1))
    filling = generator.uniform(0.02, 0.45) if wall else 0.02
    if wall:
        layer = nuclei(generator, FIELD, place, radius_um + generator.uniform(2, 6), np.ones(1), **shape)
        _blend(tissue, layer, generator.uniform(0.05, 0.2), generator.uniform(0.2, 0.4))
    _blend(tissue, nuclei(generator, FIELD, place, radius_um, np.ones(1), **shape), 0.0, filling)
    if wall:
        count = int(2 * np.pi * radius_um[0] / generator.uniform(6, 12))
        steps = 2 * np.pi * (np.arange(count) + generator.uniform(-0.4, 0.4, count)) / count
        places_um = _around(place[0], steps, np.full(count, radius_um[0] + 1.5))
        density = generator.normal(*NUCLEAR_STAIN, count)
        flat = nuclei(
            generator, FIELD, places_um, generator.uniform(1.8, 2.8, count), density, eccentricity=0.9, bearing=-steps
        )
        tissue[0] = np.maximum(tissue[0], flat)


def _around(centre_um: np.ndarray, angles: np.ndarray, distance_um: np.ndarray) -> np.ndarray:
    """Places at some angles and distances, ``(K, 2)``."""
    return centre_um + distance_um[:, None] * np.stack([np.sin(angles), np.cos(angles)], 1)


def _add_gland(
    generator: Generator, tissue: np.ndarray, cover: np.ndarray, gland: Gland, malignant: bool, mottle: np.ndarray
) -> None:
    """Draw a gland over the tissue and add it to what glands cover."""
    reach_um = gland.radius_um * (1 + np.abs(gland.waves).sum()) + 4
    window = tuple(slice(*np.searchsorted(FIELD.axis_um, (c - reach_um, c + reach_um))) for c in gland.centre_um)
    down, right = (FIELD.axis_um[part] - centre for part, centre in zip(window, gland.centre_um, strict=True))
    offset = right[None] + 1j * down[:, None]
    distance = np.abs(offset)
    turn = offset / np.maximum(distance, 1e-9)
    depth = gland.outline_um(turn) - distance  # below the outline, along a radius
    seen = tissue[:, window[0], window[1]]
    cover[window] = np.maximum(cover[window], _inside(depth))
    _blend(seen, _inside(depth), gland.basophilia, gland.eosin + mottle[window])
    _blend(seen, _inside(depth - gland.epithelium_um), gland.mucin, gland.secretion)

    # Goblet cells: pale drops between the nuclei and the lumen
    steps = generator.uniform(0, 2 * np.pi, gland.goblets)
    depths = generator.uniform(0.45, 0.95, gland.goblets)
    drops_um = _around(gland.centre_um, steps, gland.outline_um(np.exp(1j * steps)) - gland.epithelium_um * depths)
    drops = nuclei(generator, FIELD, drops_um, generator.uniform(2.0, 3.6, gland.goblets), np.ones(gland.goblets))
    _blend(tissue, drops, gland.mucin, 0.05)

    # Nuclei along the outer rim, crowded and in two layers where malignant
    pitch_um, layers = (5.5, 2) if malignant else (6.5, 1)
    for layer in range(layers):
        count = max(int(2 * np.pi * gland.radius_um / pitch_um), 3)
        steps = 2 * np.pi * (np.arange(count) + generator.uniform(-0.3, 0.3, count)) / count
        steps = generator.uniform(0, 2 * np.pi) + steps[: max(int(gland.rim_seen * count), 1)]
        count = len(steps)
        below = 3.2 + 4.5 * layer + generator.normal(0, 1.5 if malignant else 0.9, count)
        away = np.maximum(gland.outline_um(np.exp(1j * steps)) - below, 0)
        places_um = _around(gland.centre_um, steps, away)
        radius_um = generator.uniform(*NUCLEUS_UM, count) * (1.1 if malignant else 1.0)
        drawn = nuclei(
            generator, FIELD, places_um, radius_um, generator.normal(gland.nuclear_stain, NUCLEAR_STAIN[1], count),
            eccentricity=generator.uniform(0.2, 0.8, count), bearing=np.pi / 2 - steps,
            pale=0.4 if malignant else 0.1,
        )  # fmt: skip
        tissue[0] = np.maximum(tissue[0], drawn)


def _apart(one: Gland, other: Gland) -> bool:
    return np.linalg.norm(one.centre_um - other.centre_um) > 1.05 * (one.radius_um + other.radius_um)


def draw_glands(generator: Generator, malignant: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw one piece of tissue before staining of the slide, light and optics.

    Returns:
        Concentrations of haematoxylin and eosin ``(2, 256, 256)``, what glands cover ``(256, 256)`` in 0…1, and the
        number of glands.

    Example:
        >>> tissue, cover, glands = draw_glands(np.random.default_rng(0), malignant=False)
        >>> tissue.shape, bool(cover.max() <= 1)
        ((2, 256, 256), True)
    """
    coarse, fine = band_noise(generator, FIELD, 6.0), band_noise(generator, FIELD, 1.5)
    mottle = MOTTLE[0] * coarse + MOTTLE[1] * fine
    basophilia, eosin = max(generator.normal(*BASOPHILIA), 0.01), max(generator.normal(*EOSIN), 0.08)
    tissue = np.stack([basophilia + 0.03 * coarse, eosin + mottle])
    _stroma(generator, tissue)
    placed: list[Gland] = []
    cover = FIELD.empty()
    for _ in range(generator.integers(GLANDS[0], GLANDS[1] + 1)):
        gland = draw_gland(generator, malignant)
        if all(_apart(gland, other) for other in placed):
            placed.append(gland)
            _add_gland(generator, tissue, cover, gland, malignant, mottle)
    tissue[0] *= 1 + 0.08 * band_noise(generator, FIELD, 0.8)
    return np.clip(tissue, 0, None), cover, len(placed)
