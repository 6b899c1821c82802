"""Measure a sensor layer as a laboratory measures a camera: EMVA 1288 photon transfer from pairs of flat fields."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from physlayer.core.randomness import noise_draw
from physlayer.sensor.electrons import Sensor

__all__ = ["CameraData", "emva1288"]

LINEAR = 0.7  # of saturation: the standard fits the photon transfer curve below
FEWEST_LEVELS = 5  # that a line with a free intercept needs
UNDERFLOW = 0.005  # share of dark pixels at code 0 that the standard allows
DARK_VARIANCE_FLOOR = 0.24  # DN²: below, rounding hides the read noise


@dataclass(frozen=True)
class CameraData:
    """What EMVA 1288 says of a camera, with the curves behind it.

    Attributes:
        gain_dn_per_electron: system gain K. quantum_efficiency: η, electrons per photon.
        read_noise_electrons: dark noise, ``nan`` where rounding hides it (a dark variance below 0.24 DN²).
        saturation_electrons: the plateau of the mean: full well, or the converter's top code.
        snr_max_db: :math:`20\\log_{10}\\sqrt{\\mu_{e,sat}}`. dynamic_range_db: saturation over the smallest signal that
            is seen, both in photons.
        photons, mean_dn, variance_dn2: the photon transfer curve, ``(levels,)``.
    """

    gain_dn_per_electron: float
    quantum_efficiency: float
    read_noise_electrons: float
    saturation_electrons: float
    snr_max_db: float
    dynamic_range_db: float
    photons: torch.Tensor
    mean_dn: torch.Tensor
    variance_dn2: torch.Tensor


def emva1288(sensor: Sensor, *, levels: int = 24, size: int = 256) -> CameraData:
    r"""Photon transfer of a sensor with codes, from two flat fields at each level of light.

    .. math::
        \sigma_y^2 = \tfrac12\langle(a-b)^2\rangle - \tfrac12(\langle a\rangle-\langle b\rangle)^2, \quad
        \sigma_y^2 - \sigma_{y,0}^2 = K(\mu_y - \mu_{y,0}), \quad
        \mu_y - \mu_{y,0} = K\eta\,\mu_p, \quad \sigma_r = \frac{\sqrt{\sigma_{y,0}^2 - 1/12}}{K}

    The difference of two frames leaves out the fixed pattern; both slopes go through the dark point and use levels up
    to 70 % of saturation. Read noise can be told only if :math:`K\sigma_r \gtrsim 0.5` DN; where rounding hides the
    dark noise, the lines go freely through the levels whose photon noise is above it.

    Args:
        sensor: a :class:`Sensor` with ``bits`` and one value per quantity. levels: of light, from dark to beyond
            saturation. size: pixels per side of a flat field.

    Raises:
        ValueError: if the sensor has no codes, a quantity with several values, never saturates within 16 full scales,
            its offset lets more than 0.5 % of dark pixels read code 0, where noise is cut off, or rounding hides the
            photon noise at all levels but a few.

    References:
        EMVA Standard 1288, Release 4.0 Linear, 2021.

    Example:
        >>> camera = Sensor(12, quantum_efficiency=0.6, read_noise_electrons=7.0, offset_dn=20.0)
        >>> found = emva1288(camera, size=128)
        >>> round(found.quantum_efficiency, 1), round(found.read_noise_electrons)
        (0.6, 7)
    """
    if sensor.bits is None:
        raise ValueError("Expected sensor to have bits, but got None; a laboratory measures codes.")
    for name, value in sensor.physical().items():
        if value.numel() != 1:
            raise ValueError(
                f"Expected {name} to be one number, but got shape {tuple(value.shape)}; measure one channel's sensor."
            )
    values = {name: float(value) for name, value in sensor.physical().items()}
    top = 2**sensor.bits - 1
    electrons = min(values["full_well_electrons"], (top - values["offset_dn"]) / values["gain_dn_per_electron"])
    per_scene = values["exposure_photons"] * values["quantum_efficiency"]
    brightest = 1.1 * electrons / per_scene
    if brightest > sensor.accepts.high:
        raise ValueError(
            f"Expected sensor to saturate within {sensor.accepts.high:g} full scales, but got {brightest:.3g}; "
            f"raise exposure_photons."
        )
    scenes = torch.linspace(0, brightest, levels)
    means, variances = [], []
    for place, scene in enumerate(scenes):
        flat = torch.full((1, 1, size, size), float(scene))
        a, b = (_frame(sensor, flat, 2 * place + k) for k in (0, 1))
        cut = float((a == 0).double().mean())
        if place == 0 and cut > UNDERFLOW and values["read_noise_electrons"] > 0:
            raise ValueError(
                f"Expected offset_dn to keep the dark signal above code 0, but got {cut:.0%} of dark pixels at 0; "
                f"raise offset_dn by a few times the read noise."
            )
        means.append(float((a.mean() + b.mean()) / 2))
        variances.append(float(((a - b) ** 2).mean() / 2 - (a.mean() - b.mean()) ** 2 / 2))
    mean, variance = torch.tensor(means).double(), torch.tensor(variances).double()
    photons = scenes.double() * values["exposure_photons"]
    signal, extra = mean - mean[0], variance - variance[0]
    saturated = int(variance.argmax())  # beyond it the variance rolls over
    linear = signal <= LINEAR * signal[saturated]
    hidden = float(variance[0]) < DARK_VARIANCE_FLOOR
    if hidden:
        seen = linear & (variance > DARK_VARIANCE_FLOOR)
        if int(seen.sum()) < FEWEST_LEVELS:
            raise ValueError(
                f"Expected photon noise to exceed rounding at {FEWEST_LEVELS} levels or more, but got it at "
                f"{int(seen.sum())}; give the sensor more bits or a larger gain_dn_per_electron."
            )
        gain, responsivity = _line(signal[seen], extra[seen]), _line(photons[seen], signal[seen])
    else:
        gain = float((signal * extra)[linear].sum() / (signal**2)[linear].sum())
        responsivity = float((photons * signal)[linear].sum() / (photons**2)[linear].sum())
    efficiency = responsivity / gain
    read_noise = math.nan if hidden else math.sqrt(float(variance[0]) - 1 / 12) / gain
    saturation = float(signal.max()) / gain
    least = (math.sqrt(max(float(variance[0]), DARK_VARIANCE_FLOOR)) / gain + 0.5) / efficiency
    return CameraData(
        gain, efficiency, read_noise, saturation, 10 * math.log10(saturation),
        20 * math.log10(saturation / efficiency / least), photons, mean, variance,
    )  # fmt: skip


def _line(x: torch.Tensor, y: torch.Tensor) -> float:
    """Slope of the straight line through the points."""
    centred = x - x.mean()
    return float((centred * y).sum() / (centred**2).sum())


def _frame(sensor: Sensor, flat: torch.Tensor, draw: int) -> torch.Tensor:
    training = sensor.training
    try:
        with noise_draw(sensor, draw=draw):
            return sensor.eval().codes(flat).double()
    finally:
        sensor.train(training)
