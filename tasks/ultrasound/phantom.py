r"""Procedural ocular ultrasound: scatterers of an eye, before the transducer, with its two diameters in mm.

An eye is a map of echo strength (:mod:`.phantom_eye`). Tissue has many scatterers in every pixel, so
its field is complex Gaussian: fully developed speckle. The array, envelope detection and the display are
physical layers (:func:`ocular_array`, :func:`ocular_camera`), so that they can be learned. The two eyes of one patient
share tissue, gain and, nearly, size: split by ``groups``.
"""

import operator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from physlayer.core.randomness import noise_draw
from physlayer.tasks.ultrasound.phantom_eye import FIELD_MM, FINE, REFERENCE, draw_globe, draw_patient, echo_strength
from physlayer.ultrasound.envelope import Envelope, LogCompression
from physlayer.ultrasound.transducer_array import TransducerArray

STANDOFF_MM = 5.0  # gel and lens of the probe, above the field
FOCUS_MM = 21.0  # of the transmitted beam, from the probe: the middle of the field
FREQUENCY_MHZ = 10.0
FINEST_MM = 0.1  # places at which the beam is taken; the two-way beam of 10 mm of elements is as wide at 8 mm of depth
NOISE_RMS = 2.5e-4  # of the open array: 60 dB below the reference

PATIENT_STREAM = 10**6  # patient k draws from the stream (seed, 10**6 + k), image i from (seed, i)
NAMES = ("horizontal_mm", "vertical_mm")


@dataclass(frozen=True)
class Phantom:
    """Scatterers of eyes with their diameters.

    Attributes:
        scatterers: (N, 2, size, size) float32, 0…1: magnitude of the field and its phase in waves, before the array.
        targets: (N, 2) float32, horizontal and vertical diameter, mm: extent of the middle of the wall along the
            columns and along the rows.
        groups: (N,) str, the patient of each image; two seeds share none.
        pixel_mm: side of a pixel.
        latents: name to (N,) float64, what the eye was drawn from.
    """

    scatterers: Tensor
    targets: Tensor
    groups: np.ndarray
    pixel_mm: float
    latents: dict[str, np.ndarray]


def scatter(generator: Generator, strength: np.ndarray, size: int) -> np.ndarray:
    r"""Draw the field of tissue with ten scatterers or more per pixel: :math:`s = \sqrt{I/2}\,(n_1 + i n_2)`.

    Args:
        generator: source of :math:`n`, standard normal. strength: mean intensity :math:`I`, (128, 128).
        size: pixels per side, a divisor of 128; the intensities of the samples of a pixel are averaged.

    Returns:
        (2, size, size) float32: magnitude, cut at 1, and phase in waves, 0…1.

    Example:
        >>> scatter(np.random.default_rng(0), np.full((128, 128), 0.01), 64).shape
        (2, 64, 64)
    """
    blocks = strength.reshape(size, FINE // size, size, FINE // size).mean((1, 3))
    # magnitude and phase of a complex Gaussian: Rayleigh and uniform
    magnitude = np.sqrt(blocks * generator.standard_exponential((size, size), np.float32))
    return np.stack([np.minimum(magnitude, 1), generator.random((size, size), np.float32)]).astype(np.float32)


def ocular_array(
    size: int = 64,
    *,
    elements: int = 64,
    pitch_mm: float = 0.16,
    focus_mm: float | Tensor | nn.Parameter = FOCUS_MM,
    frequency_mhz: float | Tensor | nn.Parameter = FREQUENCY_MHZ,
    weights: float | Tensor | nn.Parameter = 1.0,
    logits: Tensor | nn.Parameter | None = None,
    keep: int | None = None,
    noise_rms: float = NOISE_RMS,
    gumbel: bool = True,
) -> TransducerArray:
    """The array that looks at the phantom: 64 elements, 10 MHz, two-way width 0.28 mm; arguments as of the layer.

    Example:
        >>> ocular_array(32)(torch.rand(1, 2, 32, 32)).shape
        torch.Size([1, 1, 32, 32])
    """
    pixel = FIELD_MM / size
    return TransducerArray(
        elements,
        pitch_mm=pitch_mm,
        pixel_mm=pixel,
        depth_mm=STANDOFF_MM + pixel / 2,
        focus_mm=focus_mm,
        frequency_mhz=frequency_mhz,
        weights=weights,
        logits=logits,
        keep=keep,
        element_width_mm=0.9 * pitch_mm,
        noise_rms=noise_rms,
        oversample=round(pixel / FINEST_MM) | 1,
        input="polar",
        gumbel=gumbel,
    )


@torch.no_grad()
def tissue_gain(array: TransducerArray) -> Tensor:
    """Root mean square of the field that an array sees of tissue of rms 1, of every row, ``(H,)``.

    Example:
        >>> middle = torch.zeros(64).index_fill(0, torch.arange(24, 40), 1.0)
        >>> opened, few = tissue_gain(ocular_array()), tissue_gain(ocular_array(logits=middle, keep=16))
        >>> opened[[6, 32]].round(decimals=2), few[[6, 32]].round(decimals=2)  # at 8 mm, and at the focus
        (tensor([0.1700, 1.0000]), tensor([0.0900, 0.1200]))
    """
    drive = array.weights.expand(array.elements)
    drive = drive * array.mask if "mask" in array.quantities else drive
    size = [round(FIELD_MM / side) for side in array.pixel_mm]
    return array.point_spread(drive[None], tuple(size))[0].abs().square().sum(-1).sqrt()


def ocular_camera(
    array: TransducerArray,
    *,
    dynamic_range_db: float | Tensor | nn.Parameter = 60.0,
    reference: float | Tensor | nn.Parameter | None = None,
) -> nn.Sequential:
    """The whole scanner: array, envelope, logarithmic display; from scatterers to a B-mode image in 0…1.

    Args:
        array: :func:`ocular_array`. dynamic_range_db: of the display.
        reference: echo shown as white, full scale. ``None``: the strongest wall as this array sees it now at every
            depth, which is the time-gain compensation that an operator would set (:func:`tissue_gain`). It raises the
            noise with the echoes.

    Example:
        >>> ocular_camera(ocular_array(32))(torch.rand(1, 2, 32, 32)).shape
        torch.Size([1, 1, 32, 32])
    """
    if reference is None:
        gain = tissue_gain(array)
        reference = REFERENCE * gain[:, None].expand(-1, len(gain))
    return nn.Sequential(array, Envelope(), LogCompression(dynamic_range_db, reference=reference))


@torch.no_grad()
def render(scatterers: Tensor, camera: nn.Module | None = None, *, batch: int = 64) -> Tensor:
    """B-mode images of scatterers, as a scanner in ``eval()`` shows them; the noise of an image is its own.

    Args:
        scatterers: (N, 2, size, size), as :attr:`Phantom.scatterers`. camera: :func:`ocular_camera` or one's own;
            ``None`` for the default. batch: images at a time; it changes no value.

    Returns:
        (N, 1, size, size) float32, 0…1.

    Example:
        >>> render(make_phantom(2, seed=0, size=32).scatterers).shape
        torch.Size([2, 1, 32, 32])
    """
    camera = ocular_camera(ocular_array(scatterers.shape[-1])) if camera is None else camera
    training, parts = camera.training, []
    try:
        camera.eval()
        for first in range(0, len(scatterers), batch):
            with noise_draw(camera, first=first):
                parts.append(camera(scatterers[first : first + batch]))
    finally:
        camera.train(training)
    return torch.cat(parts)


def _checked(name: str, value: int, least: int, most: int | None = None) -> int:
    wanted = f"an integer of at least {least}" + ("" if most is None else f" and at most {most}")
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least or (most is not None and number > most):
        raise ValueError(f"Expected {name} to be {wanted}, but got {value!r}.")
    return number


def make_phantom(images: int, *, seed: int, size: int = 64) -> Phantom:
    """Draw eyes, a right and a left one of every patient, in a field of 32 mm.

    Image ``i`` depends on ``seed``, ``i`` and ``size`` only: fewer images are a prefix of more. The same eyes appear at
    every ``size``.

    Args:
        images: number of eyes, up to a million. seed: non-negative. size: pixels per side, a divisor of 128 and at
            least 16; 64 gives pixels of 0.5 mm.

    Returns:
        A :class:`Phantom`; :func:`render` makes B-mode images of its scatterers.

    Raises:
        ValueError: an argument is no integer or lies outside its range.

    Source:
        Bekerman et al. (2014), doi:10.1155/2014/503645, for the size of eyes; Wagner et al. (1983), IEEE T-SU 30:156,
        for speckle.

    Example:
        >>> phantom = make_phantom(4, seed=0)
        >>> phantom.scatterers.shape, phantom.targets.shape, phantom.groups.tolist()[1:3], phantom.pixel_mm
        (torch.Size([4, 2, 64, 64]), torch.Size([4, 2]), ['phantom-0-patient-00000', 'phantom-0-patient-00001'], 0.5)
    """
    images = _checked("images", images, 1, PATIENT_STREAM)
    seed, size = _checked("seed", seed, 0), _checked("size", size, 16, FINE)
    if FINE % size:
        raise ValueError(f"Expected size to divide {FINE}, but got {size}.")
    scatterers, targets, latents = np.empty((images, 2, size, size), np.float32), [], []
    for number in range(images):
        if number % 2 == 0:
            patient = draw_patient(np.random.default_rng([seed, PATIENT_STREAM + number // 2]))
        generator = np.random.default_rng([seed, number])
        globe = draw_globe(generator, patient, left=number % 2 == 1)
        scatterers[number] = scatter(generator, echo_strength(globe, patient, generator), size)
        targets.append(globe.diameters())
        latents.append(
            {
                "centre_x_mm": globe.centre[0],
                "centre_z_mm": globe.centre[1],
                "tilt_radian": globe.tilt,
                "nerve_mm": globe.nerve,
                "lesion": float(globe.lesion is not None),
                "fat": patient.fat,
                "gain_db": patient.gain_db,
                "compensation_db_per_cm": patient.compensation_db_per_cm,
            }
        )
    return Phantom(
        torch.from_numpy(scatterers),
        torch.tensor(targets, dtype=torch.float32),
        np.array([f"phantom-{seed}-patient-{number // 2:05d}" for number in range(images)]),
        FIELD_MM / size,
        {name: np.array([latent[name] for latent in latents], np.float64) for name in latents[0]},
    )
