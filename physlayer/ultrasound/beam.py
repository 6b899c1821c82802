"""Beam of an ultrasound array: from the weights of its elements to the answer of a scan line to a point."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from physlayer.core.validation import one_of

__all__ = [
    "RECEIVES", "apodisation_window", "array_factor", "axial_pulse", "element_positions", "grating_lobes",
    "lateral_spread", "pulse_deviation", "signal_to_noise_efficiency",
]  # fmt: skip

Number = TypeVar("Number", float, Tensor)  # one in, the same out

RECEIVES = ("dynamic", "fixed", "none")
HALF_WIDTH = 2 * math.sqrt(2 * math.log(2))  # full width at half maximum of a Gaussian, in standard deviations
WINDOWS = {  # at u = -1…1 across the aperture
    "rectangular": lambda u: torch.ones_like(u),
    "hann": lambda u: 0.5 + 0.5 * torch.cos(math.pi * u),
    "hamming": lambda u: 0.54 + 0.46 * torch.cos(math.pi * u),
    "triangle": lambda u: 1 - u.abs(),
    "circular": lambda u: (1 - u**2).sqrt(),
}


def apodisation_window(name: str, elements: int) -> Tensor:
    """Weights of a named apodisation, ``(N,)``, in 0…1, sampled at the middle of every element, so that none is 0.

    ``"circular"`` is a round piston seen from the side: the length of its chords.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> apodisation_window("triangle", 4)
        tensor([0.2500, 0.7500, 0.7500, 0.2500])
    """
    return WINDOWS[one_of("window", name, WINDOWS)]((2 * torch.arange(elements) + 1) / elements - 1)


def signal_to_noise_efficiency(weights: Tensor) -> Tensor:
    r"""Share of the open array's signal-to-noise ratio (in power) on the axis, :math:`(\sum w)^2 / (N \sum w^2)`.

    Example:
        >>> signal_to_noise_efficiency(apodisation_window("hann", 64)).round(decimals=3)
        tensor(0.6670)
    """
    return weights.sum(-1).square() / (weights.shape[-1] * weights.square().sum(-1))


def element_positions(elements: int, pitch_mm: float) -> Tensor:
    """Positions of the elements along the array, mm from its middle, ``(N,)``.

    Example:
        >>> element_positions(3, 0.2)
        tensor([-0.2000,  0.0000,  0.2000], dtype=torch.float64)
    """
    return (torch.arange(elements, dtype=torch.float64) - (elements - 1) / 2) * pitch_mm


def grating_lobes(pitch_mm: float, wavelength_mm: float, steer_sine: float = 0.0) -> list[float]:
    r"""Sines of the directions in which all elements are in phase again, :math:`\sin\theta_s + m\lambda/p`, ascending.

    The main lobe (m = 0) is left out. There are none for :math:`p \le \lambda/2`, however the beam is steered
    (:math:`|\sin\theta_s| < 1`).

    Raises:
        ValueError: if the pitch or the wavelength is not above 0, or the beam is steered to 90° or beyond.

    Example:
        >>> grating_lobes(0.3, 0.15), grating_lobes(0.075, 0.15)
        ([-1.0, -0.5, 0.5, 1.0], [])
    """
    if not (pitch_mm > 0 and wavelength_mm > 0):
        raise ValueError(f"Expected pitch_mm and wavelength_mm to be above 0, but got {pitch_mm} and {wavelength_mm}.")
    if not -1 < steer_sine < 1:
        raise ValueError(f"Expected steer_sine to lie between -1 and 1, but got {steer_sine}.")
    step = wavelength_mm / pitch_mm
    most = math.ceil(2 / step) + 1
    places = [steer_sine + m * step for m in range(-most, most + 1) if m]
    return [place for place in places if abs(place) <= 1 + 1e-12]


def array_factor(
    weights: Tensor,
    sine: Tensor,
    *,
    pitch_mm: float,
    wavelength_mm: float | Tensor,
    steer_sine: float = 0.0,
    defocus_per_mm: float | Tensor = 0.0,
) -> Tensor:
    r"""One-way beam of point elements, in the far field or at the focus (or beside it).

    For waves of one frequency: the lobes of a short pulse are weaker, those of sparse arrays by 10 dB and more.

    .. math:: b(u) = \frac1N \sum_n w_n\, e^{i k [x_n (u - u_s) - x_n^2 \kappa / 2]}, \qquad k = 2\pi/\lambda

    Args:
        weights: :math:`w`, ``(…, N)``. sine: :math:`u = \sin\theta`, any shape S. pitch_mm: of the elements.
        wavelength_mm: :math:`\lambda`. steer_sine: :math:`u_s`.
        defocus_per_mm: :math:`\kappa = 1/z - 1/z_f`, 1/mm, in a shape that broadcasts over S; 0 at the focus.

    Returns:
        ``(…, *S)``, complex. It is 1 on the axis of the open array.

    References:
        Szabo 2014, Diagnostic Ultrasound Imaging, chapter 7.

    Example:
        >>> array_factor(torch.ones(8), torch.tensor([0.0, 0.125]), pitch_mm=0.1, wavelength_mm=0.1).abs().round()
        tensor([1., 0.])
    """
    place = element_positions(weights.shape[-1], pitch_mm).to(sine)
    column = place.reshape(-1, *((1,) * sine.ndim))
    path = column * (sine - steer_sine) - column.square() * (defocus_per_mm / 2)
    wave = 2 * math.pi * path / wavelength_mm
    wave = torch.polar(torch.ones_like(wave), wave)
    summed = weights.to(wave.dtype) @ wave.flatten(1) / len(place)
    return summed.reshape(*weights.shape[:-1], *sine.shape)


def lateral_spread(
    weights: Tensor,
    depth_mm: Tensor,
    offset_mm: Tensor,
    *,
    pitch_mm: float,
    wavelength_mm: float | Tensor,
    focus_mm: float | Tensor | None,
    receive: str = "dynamic",
    element_width_mm: float = 0.0,
) -> Tensor:
    r"""Answer of a scan line to a point beside it, the product of the transmitted and the received beam.

    .. math:: p(x; z) = b(u;\, 1/z - 1/z_f)\; b(u;\, \kappa_r)\; d(u)^2, \qquad u = \frac{x}{\sqrt{x^2 + z^2}}

    with :math:`\kappa_r = 0` for dynamic focusing and :math:`1/z - 1/z_f` for a fixed one, and the directivity of an
    element of width a, :math:`d = \mathrm{sinc}(a u/\lambda)`. Delays are parabolic (Fresnel), and the phase of the
    distance itself, common to all elements, is left with the scatterers.

    Args:
        weights: ``(…, N)``. depth_mm: z, above 0, ``(H,)``. offset_mm: x, point minus line, ``(L,)``.
        focus_mm: :math:`z_f`, or ``None`` for a focus at every depth. receive: ``"dynamic"``, ``"fixed"``, or
            ``"none"`` for the one-way beam. pitch_mm, wavelength_mm, element_width_mm: of the array.

    Returns:
        ``(…, H, L)``, complex.

    Example:
        >>> depth, offset = torch.tensor([20.0]), torch.tensor([0.0, 2.0])  # first null at λ z / D = 2 mm
        >>> kinds = {"pitch_mm": 0.1, "wavelength_mm": 0.1, "focus_mm": None}
        >>> lateral_spread(torch.ones(10), depth, offset, **kinds).abs().round(decimals=3)
        tensor([[1., 0.]])
    """
    one_of("receive", receive, RECEIVES)
    depth = depth_mm[:, None]
    sine = offset_mm / torch.hypot(offset_mm.expand(len(depth), -1), depth)
    defocus = 0.0 if focus_mm is None else 1 / depth - 1 / focus_mm
    spread = array_factor(weights, sine, pitch_mm=pitch_mm, wavelength_mm=wavelength_mm, defocus_per_mm=defocus)
    if receive != "none":
        same = receive == "fixed" or focus_mm is None
        back = spread if same else array_factor(weights, sine, pitch_mm=pitch_mm, wavelength_mm=wavelength_mm)
        spread = spread * back
    directivity = torch.sinc(element_width_mm * sine / wavelength_mm)
    return spread * (directivity if receive == "none" else directivity.square())


def pulse_deviation(frequency_mhz: Number, cycles: float, sound_mm_per_us: float) -> Number:
    r"""Standard deviation of the Gaussian pulse, mm; its −6 dB width is :math:`c\,n/(2 f)` for n cycles of frequency f.

    Example:
        >>> round(pulse_deviation(10.0, 1.5, 1.54) * HALF_WIDTH, 4)
        0.1155
    """
    return sound_mm_per_us * cycles / (2 * frequency_mhz) / HALF_WIDTH


def axial_pulse(frequency_mhz: Tensor, cycles: float, row_mm: float, radius: int, sound_mm_per_us: float) -> Tensor:
    """Gaussian pulse of :func:`pulse_deviation` along depth, of unit energy, ``(2 r + 1,)``.

    Args:
        frequency_mhz: f. cycles: n. row_mm: distance of the rows. radius: r, rows. sound_mm_per_us: c.

    Example:
        >>> axial_pulse(torch.tensor(10.0), 4.0, 0.154, 1, 1.54).round(decimals=3)
        tensor([0.4080, 0.8160, 0.4080])
    """
    deviation = pulse_deviation(frequency_mhz, cycles, sound_mm_per_us)
    row = torch.arange(-radius, radius + 1, device=deviation.device, dtype=deviation.dtype) * row_mm
    # a pulse far shorter than a row is one row, and its width has no gradient
    pulse = torch.exp(-row.square() / (2 * deviation.square().clamp(min=1e-6 * row_mm**2)))
    return pulse / pulse.square().sum().sqrt()
