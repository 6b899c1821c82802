"""Eyes of the ultrasound phantom: their size and place, and how strongly every piece of tissue echoes."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

FIELD_MM = 32.0  # side of the field; rows are depth, columns are scan lines
FINE = 128  # samples of a map along either side: 0.25 mm
REFERENCE = 0.25  # echo that the display shows as white: the strongest wall, rms

# Population: Bekerman 2014 (transverse diameter), axial length 23.48 mm (South China), 23.05 mm (South Africa)
HORIZONTAL_MM, HORIZONTAL_SPREAD_MM, HORIZONTAL_RANGE_MM = 24.2, 0.9, (21.0, 27.0)
VERTICAL_MM, VERTICAL_SPREAD_MM, VERTICAL_RANGE_MM = 23.5, 1.0, (20.5, 27.0)
FELLOW_SPREAD_MM = 0.2  # of one eye about the mean of both
TILT_SPREAD_DEGREES = 4.0

# Echo strength, rms of the field in units of the wall's own
FAT, WALL, WALL_ASIDE, VITREOUS, LENS, LID, SHADOW, LESION = 0.55, 0.8, 0.05, 0.012, 0.02, 0.6, 0.12, 0.15
SPECULAR = 4.0  # a wall across the beam is as strong as a mirror, though drawn as speckle
FULL_SCALE = (WALL * (1 + SPECULAR) + WALL_ASIDE) / REFERENCE  # strength of a magnitude of 1: the field stays below
FRONT_MM = 3.2  # depth of the front pole in the field
WALL_MM, CORNEA_MM, CORNEA_RADIUS_MM = 1.0, 0.55, 5.75
LENS_DEPTH_MM, LENS_SEMI_AXES_MM, CAPSULE_MM = 5.6, (4.6, 2.0), 0.35
BUMP_SPREAD_MM = 0.07  # of the real and the imaginary part of 3, 4 and 5 waves around the globe
MUSCLE_LOW, MUSCLE_HIGH = (
    (0.5, 0.03),
    (3.5, 0.3),
)  # thickness, mm, and strength of the straight muscles beside the globe
TEXTURE_SPREAD_DB, TEXTURE_POINTS = 4.0, 14  # of the orbit, on a grid of points over the field
ATTENUATION_DB_PER_CM = 4.0  # of tissue, both ways, beyond what the scanner compensates; the vitreous has none


@dataclass(frozen=True)
class Globe:
    """One eye, lengths in mm, places in the field: x along a row, z in depth."""

    semi_axes: tuple[float, float]
    centre: tuple[float, float]
    tilt: float  # radian, clockwise in the image
    nerve: float  # from the axis of the eye
    lesion: tuple[float, float, float] | None = None  # place from the centre of the globe, and radius
    bumps: tuple[complex, ...] = ()  # of the wall, mm: amplitude and phase of 3, 4, … waves around the globe
    muscles: tuple[float, float, float, float] = (0.0, FAT, 0.0, FAT)  # thickness and strength, right and left of it

    def diameters(self) -> tuple[float, float]:
        r"""Horizontal and vertical extent of the middle of the wall: of the tilted ellipse, and its bumps.

        Example:
            >>> [round(side, 3) for side in Globe((12.0, 11.0), (16.0, 16.0), 0.0, 2.0).diameters()]
            [24.0, 22.0]
        """
        (a, b), turn = self.semi_axes, np.linspace(0, 2 * np.pi, 1441)
        u, w = a * np.cos(turn), b * np.sin(turn)
        across, along = u / a**2, w / b**2
        out = self.bump(u, w) / np.hypot(across, along)
        u, w = u + out * across, w + out * along
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        return float(np.ptp(c * u - s * w)), float(np.ptp(s * u + c * w))

    def bump(self, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        """How far the wall stands out in the direction of a place, mm."""
        if not self.bumps:
            return np.zeros_like(u)
        turn = (u + 1j * w).astype(np.complex64)
        turn /= np.abs(turn) + 1e-9
        total, power = np.zeros_like(turn), turn**2
        for amplitude in self.bumps:
            power = power * turn
            total += amplitude * power
        return total.real


@dataclass(frozen=True)
class Patient:
    """What both eyes share: their size but for a fifth of a millimetre, their tissue, and the scanner's settings."""

    horizontal_mm: float
    vertical_mm: float
    fat: float  # factor of the strength of fat
    gain_db: float
    compensation_db_per_cm: float  # error of the time-gain compensation


def draw_patient(generator: Generator) -> Patient:
    """Draw one patient (spreads are the constants at the top of this file).

    Example:
        >>> 20 < draw_patient(np.random.default_rng(0)).vertical_mm < 28
        True
    """
    own = [np.sqrt(spread**2 - FELLOW_SPREAD_MM**2) for spread in (HORIZONTAL_SPREAD_MM, VERTICAL_SPREAD_MM)]
    return Patient(
        generator.normal(HORIZONTAL_MM, own[0]),
        generator.normal(VERTICAL_MM, own[1]),
        float(np.exp(generator.normal(0, 0.15))),
        generator.normal(-2, 1.5),
        generator.normal(0, 0.7),
    )


def draw_globe(generator: Generator, patient: Patient, left: bool) -> Globe:
    """Draw one eye of a patient; the optic nerve leaves it on the side of the nose.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> draw_globe(rng, draw_patient(rng), left=True).nerve < 0
        True
    """
    horizontal = np.clip(patient.horizontal_mm + generator.normal(0, FELLOW_SPREAD_MM), *HORIZONTAL_RANGE_MM)
    vertical = np.clip(patient.vertical_mm + generator.normal(0, FELLOW_SPREAD_MM), *VERTICAL_RANGE_MM)
    shift = np.clip(generator.normal(0, 0.6, 2), (-1.5, -0.8), (1.5, 0.8))
    tilt = np.radians(generator.normal(0, TILT_SPREAD_DEGREES))
    nerve = abs(generator.normal(2.0, 0.7)) * (-1 if left else 1)
    lesion = None
    place = generator.uniform((-5, -1, 0.4), (5, 6, 1.4))
    if generator.random() < 0.3:
        lesion = tuple(place.tolist())
    centre = (FIELD_MM / 2 + shift[0], FRONT_MM + shift[1] + vertical / 2)
    waves = generator.normal(0, BUMP_SPREAD_MM, (3, 2))
    bumps = tuple(complex(*pair) for pair in waves.tolist())
    muscles = tuple(generator.uniform(MUSCLE_LOW * 2, MUSCLE_HIGH * 2).tolist())
    return Globe((horizontal / 2, vertical / 2), centre, float(tilt), float(nerve), lesion, bumps, muscles)


def _inside(distance: np.ndarray) -> np.ndarray:
    """Share of a sample inside a border, from its signed distance (mm, negative inside)."""
    return np.clip(0.5 - distance * (FINE / FIELD_MM), 0, 1)


def _ellipse(u: np.ndarray, w: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signed distance to an ellipse (to first order, exact near it) and the gradient it has along u and w."""
    level = np.sqrt((u / a) ** 2 + (w / b) ** 2) + 1e-6
    down, up = u / a**2, w / b**2
    slope = np.hypot(down, up) + 1e-9
    return level * (level - 1) / slope, down / slope, up / slope


def echo_strength(globe: Globe, patient: Patient, generator: Generator | None = None) -> np.ndarray:
    """Mean intensity of the field of an eye, (128, 128), full scale squared.

    Lid, fat of the orbit, cornea and wall, lens with its capsule, vitreous, shadow of the optic nerve, straight
    muscles, at times a lesion. A wall along the beam sends its echo elsewhere: cornea and retina shine, the sides are
    hardly seen, and where a muscle as dark as the vitreous lies beside them they must be inferred.

    Args:
        globe: the eye. patient: the tissue. generator: of the texture of the orbit; ``None`` for an even one.

    Example:
        >>> patient = Patient(24.0, 23.0, 1.0, 0.0, 0.0)
        >>> strength = echo_strength(Globe((12.0, 11.5), (16.0, 15.0), 0.0, 2.0, None), patient)
        >>> bool(strength[66, 64] < 1e-2 * strength[66, 4])  # vitreous, fat
        True
    """
    place = ((np.arange(FINE) + 0.5) * (FIELD_MM / FINE)).astype(np.float32)
    x, z = place[None] - globe.centre[0], place[:, None] - globe.centre[1]
    c, s = np.float32(np.cos(globe.tilt)), np.float32(np.sin(globe.tilt))
    u, w = c * x + s * z, c * z - s * x
    a, b = globe.semi_axes
    distance, across, along = _ellipse(u, w, a, b)
    facing = np.abs(s * across + c * along)  # cosine between the beam and the normal of the wall
    distance = distance - globe.bump(u, w)
    inside = _inside(distance)

    strength = (FAT * patient.fat) ** 2 * _texture(generator)
    aside = np.clip(1.5 - 2.5 * facing, 0, 1)
    for side, thickness, echo in ((u > 0, *globe.muscles[:2]), (u < 0, *globe.muscles[2:])):
        _paint(strength, _inside(distance - thickness - WALL_MM / 2) * aside * side, echo)
    behind = _inside(np.abs(u - globe.nerve) - 1.6) * (1 - inside) * (w > 0)
    _paint(strength, behind, SHADOW)
    _paint(strength, inside, VITREOUS)
    if globe.lesion is not None:
        _paint(strength, _inside(np.hypot(u - globe.lesion[0], w - globe.lesion[1]) - globe.lesion[2]) * inside, LESION)
    depth = w + b - LENS_DEPTH_MM
    lens, _, _ = _ellipse(u, depth, *LENS_SEMI_AXES_MM)
    _paint(strength, _inside(lens), LENS)
    capsule = 0.35 + 0.6 * np.clip(np.abs(depth) / LENS_SEMI_AXES_MM[1], 0, 1) ** 2
    _paint(strength, _inside(np.abs(lens) - CAPSULE_MM / 2), capsule)
    mirror = facing**2 * (1 + SPECULAR * facing**4)
    front = _inside(np.abs(u) - CORNEA_RADIUS_MM) * (w < 0)
    thickness = WALL_MM + (CORNEA_MM - WALL_MM) * front
    wall = WALL * mirror + WALL_ASIDE
    _paint(strength, _inside(np.abs(distance) - thickness / 2), wall)
    _paint(strength, _inside(place[:, None] - 2.2) * (distance > WALL_MM / 2), LID)

    tissue_cm = np.cumsum(1 - inside, 0) * (FIELD_MM / FINE / 10)
    decibels = patient.gain_db - ATTENUATION_DB_PER_CM * tissue_cm
    decibels = decibels + patient.compensation_db_per_cm * (place[:, None] / 10)
    return strength * 10 ** (decibels / 10) / FULL_SCALE**2


def _texture(generator: Generator | None) -> np.ndarray:
    """Uneven echo of the orbit, intensity of median 1 and mean about 1.2, (128, 128)."""
    if generator is None:
        return np.ones((FINE, FINE), np.float32)
    place = np.linspace(0, TEXTURE_POINTS - 1, FINE, dtype=np.float32)[:, None]
    shares = np.clip(1 - np.abs(place - np.arange(TEXTURE_POINTS, dtype=np.float32)), 0, 1)
    points = generator.normal(0, TEXTURE_SPREAD_DB, (TEXTURE_POINTS, TEXTURE_POINTS)).astype(np.float32)
    return 10 ** (shares @ points @ shares.T / 10)


def _paint(strength: np.ndarray, share: np.ndarray, value: float | np.ndarray) -> None:
    """Cover a share of every sample with tissue of another strength: intensities mix, not amplitudes."""
    strength += share * (value**2 - strength)
