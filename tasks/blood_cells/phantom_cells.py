"""The four white blood cells of the phantom as two stain densities, methylene blue and eosin.

The ranges are close on purpose: eosinophil and neutrophil differ in granule size, granule hue and lobes,
lymphocyte and monocyte in notch and chromatin, and in a blurred, noisy image none of these is sure. Widening
or narrowing a range moves a curve: granule hue sets what colour is worth, chromatin and granule scale what
resolution is worth, their contrast what bits are worth (``benchmarks/phantom_difficulty.py`` measures all).
Cell and lobe sizes follow ordinary haematology (leucocyte 10–18 µm, red cell 7.4 µm across).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from physlayer.tasks.blood_cells.phantom_shapes import FIELD_UM, FINE, band_noise, blob, bridge, hump, specks

CLASS_NAMES = ("eosinophil", "lymphocyte", "monocyte", "neutrophil")
EOSINOPHIL, LYMPHOCYTE, MONOCYTE, NEUTROPHIL = range(4)

LOBE_RADIUS_UM = 2.45  # sets both the arc on which lobes sit and the size of a lobe
LOBE_SIZE = {2: 0.98, 3: 0.80, 4: 0.68, 5: 0.60}  # more lobes are smaller lobes: equal nuclear area
CHROMATIN_CONTRAST = (0.12, 0.20)  # of the nuclear stain
NUCLEAR_EOSIN = 0.28  # eosin taken up by a nucleus, per unit of methylene blue

Range = tuple[float, float]


@dataclass(frozen=True)
class Granules:
    """Granules of one cell type: ranges are uniform, densities relative to the stain scale."""

    chance: float
    count: tuple[int, int]
    radius_um: Range
    density: Range
    eosin: Range
    blue: Range


@dataclass(frozen=True)
class CellType:
    """One row of the recipe; ``radius_um`` is of the cell where a nucleus has lobes, else of the nucleus."""

    lobe_odds: tuple[float, ...]  # chance of 1, 2, 3, 4 and 5 lobes
    radius_um: Range  # mean, standard deviation
    rim_um: tuple[float, float, float, float]  # cytoplasm round it: mean, deviation, least, most
    notch_chance: float
    notch_radius_um: Range
    notch_offset_um: float  # centre of the notch beyond the rim of the nucleus
    outline: Range  # greatest stretch, and roughness, of a lobeless nucleus
    nuclear_stain: Range  # mean, standard deviation
    chromatin_um: float  # median of a log-normal with deviation 0.28
    cytoplasm: Range  # median methylene blue, median eosin
    granules: Granules
    vacuoles: float  # mean number


RECIPE = (
    CellType(
        (0, 0.72, 0.28, 0, 0), (6.6, 0.45), (0, 0, 0, 0), 0, (0, 0), 0, (0, 0), (0.83, 0.10), 0.40,
        (0.065, 0.10), Granules(1, (60, 130), (0.36, 0.54), (0.20, 0.32), (0.80, 1.0), (0.05, 0.40)), 0,
    ),
    CellType(
        (1, 0, 0, 0, 0), (4.7, 0.7), (1.6, 0.8, 0.3, 3.6), 0.40, (0.8, 1.9), 0.3, (0.08, 0.035), (0.82, 0.10),
        0.48, (0.165, 0.07), Granules(0.25, (4, 12), (0.25, 0.25), (0.15, 0.15), (0, 0), (1, 1)), 0,
    ),
    CellType(
        (1, 0, 0, 0, 0), (4.9, 0.65), (1.9, 0.8, 0.5, 4.0), 0.65, (1.2, 3.0), 0.2, (0.15, 0.06), (0.82, 0.10),
        0.25, (0.155, 0.07), Granules(1, (10, 50), (0.18, 0.18), (0.12, 0.12), (0, 0), (1, 1)), 1.5,
    ),
    CellType(
        (0, 0.25, 0.40, 0.25, 0.10), (6.5, 0.45), (0, 0, 0, 0), 0, (0, 0), 0, (0, 0), (0.83, 0.10), 0.40,
        (0.065, 0.10), Granules(1, (170, 420), (0.20, 0.34), (0.14, 0.24), (0.60, 0.90), (0.25, 0.75)), 0,
    ),
)  # fmt: skip


def _around(generator: Generator, centre_um: np.ndarray, low_um: float, high_um: float) -> np.ndarray:
    """Draw a place (row, column) at a random bearing and a distance between two bounds."""
    bearing, distance = generator.uniform(0, 2 * np.pi), generator.uniform(low_um, high_um)
    return centre_um + distance * np.array([np.sin(bearing), np.cos(bearing)])


def _clutter(generator: Generator, centre_um: np.ndarray, blue: np.ndarray, eosin: np.ndarray) -> None:
    """Add red cells around the white cell, and platelets anywhere."""
    for _ in range(generator.integers(3, 9)):
        place = _around(generator, centre_um, 8.5, 15.0)
        stretch = generator.uniform(0, 0.12)
        window, disc = blob(generator, *place, generator.normal(3.7, 0.25), stretch=stretch, roughness=0.03)
        # A red cell is a biconcave disc: half as thick in the middle
        eosin[window] += disc * generator.normal(0.34, 0.04) * (1 - 0.5 * hump(window, *place, 1.5))
        blue[window] += 0.05 * disc
    for _ in range(generator.poisson(0.7)):
        place = generator.uniform(0, FIELD_UM, 2)
        window, disc = blob(generator, *place, generator.uniform(0.7, 1.2), stretch=0.1, roughness=0.1)
        blue[window] += 0.25 * disc


def _lobed_nucleus(generator: Generator, lobes: int, centre_um: np.ndarray) -> np.ndarray:
    """Draw lobes strung along an arc, neighbours joined by a strand."""
    nucleus = np.zeros((FINE, FINE))
    step = generator.uniform(0.9, 1.25) * (1.35 if lobes == 2 else 1.05)
    bearings = generator.uniform(0, 2 * np.pi) + step * (np.arange(lobes) - (lobes - 1) / 2)
    bearings = bearings + generator.normal(0, 0.15, lobes)
    arc_um = generator.uniform(0.9, 1.15) * LOBE_RADIUS_UM
    places = centre_um + arc_um * np.stack([np.sin(bearings), np.cos(bearings)], axis=1)
    for place in places:
        radius_um = LOBE_SIZE[lobes] * LOBE_RADIUS_UM * generator.uniform(0.85, 1.12)
        window, disc = blob(generator, *place, radius_um, stretch=generator.uniform(0, 0.18))
        nucleus[window] = np.maximum(nucleus[window], disc)
    for start, end in pairwise(places):
        window, strand = bridge(start, end, generator.uniform(0.35, 0.8))
        nucleus[window] = np.maximum(nucleus[window], strand)
    return nucleus


def _round_nucleus(
    generator: Generator, cell: CellType, centre_um: np.ndarray, radius_um: float
) -> tuple[np.ndarray, float]:
    """Draw a disc, with a bite out of its rim for some cells; return it and the depth of the bite in µm."""
    nucleus = np.zeros((FINE, FINE))
    stretch, roughness = cell.outline
    window, disc = blob(generator, *centre_um, radius_um, stretch=generator.uniform(0, stretch), roughness=roughness)
    nucleus[window] = disc
    if generator.random() >= cell.notch_chance:
        return nucleus, 0.0
    notch_um = generator.uniform(*cell.notch_radius_um)
    distance_um = radius_um + cell.notch_offset_um
    place = _around(generator, centre_um, distance_um, distance_um)
    window, disc = blob(generator, *place, notch_um)
    nucleus[window] *= 1 - disc
    return nucleus, notch_um - cell.notch_offset_um


def draw_smear(generator: Generator, target: int) -> tuple[np.ndarray, dict[str, float]]:
    """Draw one white cell among red cells and platelets, before staining of the slide, light and optics.

    Args:
        generator: source of everything random.
        target: class, index into :data:`CLASS_NAMES`.

    Returns:
        The stain densities (2, 128, 128), methylene blue then eosin, dimensionless, and the latent
        parameters: lengths in µm, counts, area ratio; a cue that is absent counts as 0.

    Example:
        >>> stains, latents = draw_smear(np.random.default_rng(0), EOSINOPHIL)
        >>> stains.shape, latents["lobes"] in (2, 3)
        ((2, 128, 128), True)
    """
    cell = RECIPE[target]
    blue, eosin = stains = np.zeros((2, FINE, FINE))
    centre_um = FIELD_UM / 2 + generator.normal(0, 1.2, 2)
    _clutter(generator, centre_um, blue, eosin)

    # Nucleus and outline
    lobes = int(generator.choice(5, p=cell.lobe_odds)) + 1
    radius_um, nucleus_centre_um = generator.normal(*cell.radius_um), centre_um + generator.normal(0, 0.4, 2)
    if lobes > 1:
        nucleus, notch_um = _lobed_nucleus(generator, lobes, nucleus_centre_um), 0.0
    else:
        nucleus, notch_um = _round_nucleus(generator, cell, nucleus_centre_um, radius_um)
        mean_um, deviation_um, least_um, most_um = cell.rim_um
        radius_um += np.clip(generator.normal(mean_um, deviation_um), least_um, most_um)
    body = nucleus.copy()
    window, disc = blob(generator, *centre_um, radius_um, stretch=generator.uniform(0, 0.06), roughness=0.02)
    body[window] = np.maximum(body[window], disc)
    cytoplasm = body - nucleus
    stains *= 1 - 0.85 * body  # a white cell lies over its neighbours and hides most of them

    # Nuclear stain with chromatin, and cytoplasm
    chromatin_um = cell.chromatin_um * np.exp(generator.normal(0, 0.28))
    texture = generator.uniform(*CHROMATIN_CONTRAST) * band_noise(generator, chromatin_um)
    nuclear = nucleus * np.clip(generator.normal(*cell.nuclear_stain) * (1 + texture), 0, None)
    blue_base, eosin_base = np.array(cell.cytoplasm) * np.exp(generator.normal(0, 0.35, 2))
    blue += nuclear + blue_base * cytoplasm
    eosin += NUCLEAR_EOSIN * nuclear + eosin_base * cytoplasm

    # Granules, mostly in the cytoplasm, some over the nucleus
    count, granule_um, eosin_share = 0, 0.0, 0.0
    if generator.random() < cell.granules.chance:
        kind = cell.granules
        count, granule_um = int(generator.integers(*kind.count)), generator.uniform(*kind.radius_um)
        granules = body * specks(generator, cytoplasm + 0.15 * nucleus, count, granule_um)
        granules *= generator.uniform(*kind.density)
        eosin_share, blue_share = generator.uniform(*kind.eosin), generator.uniform(*kind.blue)
        eosin += eosin_share * granules
        blue += blue_share * granules
        eosin_share /= eosin_share + blue_share

    vacuoles = int(generator.poisson(cell.vacuoles))
    for _ in range(vacuoles):
        place = _around(generator, centre_um, 0.3 * radius_um, 0.95 * radius_um)
        window, disc = blob(generator, *place, generator.uniform(0.35, 0.7))
        stains[(slice(None), *window)] *= 1 - 0.6 * disc * cytoplasm[window]

    return stains, {
        "lobes": lobes,
        "cell_radius_um": float(radius_um),
        "nucleus_radius_um": float(np.sqrt(nucleus.sum() / np.pi) * FIELD_UM / FINE),
        "nucleus_cell_ratio": float(nucleus.sum() / body.sum()),
        "notch_depth_um": float(notch_um),
        "chromatin_um": float(chromatin_um),
        "cytoplasm_blue": float(blue_base),
        "cytoplasm_eosin": float(eosin_base),
        "granules": count,
        "granule_radius_um": float(granule_um),
        "granule_eosin_share": float(eosin_share),
        "vacuoles": vacuoles,
    }
