"""Image sensors that can be bought, and gain and offset for the light that falls on them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from physlayer.core.validation import check_bits, one_of, plain_number
from physlayer.sensor.electrons import Sensor

__all__ = ["HEADROOM", "SENSORS", "fitted_gain", "industrial_sensor", "photons_at_full_well"]

DARK_DEVIATIONS = 4.0  # of read noise between code 0 and the dark signal: next to nothing is cut off

# Use as Sensor(12, **SENSORS["imx174"]).
SENSORS: dict[str, dict[str, float]] = {
    # industrial CMOS of the IMX174 kind at 525 nm; vendor's EMVA 1288 sheet
    "imx174": {"full_well_electrons": 32_691, "read_noise_electrons": 6.83, "quantum_efficiency": 0.77},
    # CCD ICX625; Basler's EMVA 1288 sheet
    "icx625": {"full_well_electrons": 7_000, "read_noise_electrons": 13.0, "quantum_efficiency": 0.47},
    # CMOS of the IMX250 kind, typical values
    "pregius345": {"full_well_electrons": 10_500, "read_noise_electrons": 2.3, "quantum_efficiency": 0.65},
}

KIND = "pregius345"  # unless said otherwise
HEADROOM = 1.25  # of the last code above white


def fitted_gain(
    bits: int, exposure_photons: float, *, kind: str = KIND, headroom: float = HEADROOM
) -> dict[str, float]:
    r"""Settings of a sensor of `SENSORS` whose codes hold white, with headroom, and the dark noise.

    .. math:: K = \frac{2^b - 1}{\min(h\,\eta\,\Phi + 8 \sigma_r,\; N_\mathrm{fw})}, \qquad o = 4 \sigma_r K

    Args:
        bits: :math:`b`. exposure_photons: :math:`\Phi`, photons on a pixel where the scene is 1.
        kind: key of `SENSORS`. headroom: :math:`h`, of the last code above white, as a ratio.

    Returns:
        Arguments of :class:`Sensor`; the gain in DN per electron, the offset in DN.

    Raises:
        ValueError: for bits, light or headroom out of range, or an unknown kind.

    Example:
        >>> import torch
        >>> camera = Sensor(12, **fitted_gain(12, 1000.0))
        >>> 0.7 < float(camera.eval()(torch.ones(1, 1, 50, 50)).mean()) < 0.85  # white is below the last code
        True
    """
    one_of("kind", kind, SENSORS)
    photons = plain_number("exposure_photons", exposure_photons, 1e-6, 1e12)
    headroom = plain_number("headroom", headroom, 1e-3, 1e3)
    read = SENSORS[kind]["read_noise_electrons"]
    most = headroom * photons * SENSORS[kind]["quantum_efficiency"] + 2 * DARK_DEVIATIONS * read
    gain = (2 ** check_bits(bits) - 1) / min(most, SENSORS[kind]["full_well_electrons"])
    fitted = {"exposure_photons": photons, "gain_dn_per_electron": gain, "offset_dn": DARK_DEVIATIONS * read * gain}
    return SENSORS[kind] | fitted


def industrial_sensor(
    exposure_photons: float,
    *,
    bits: int = 12,
    kind: str = KIND,
    headroom: float = HEADROOM,
    gain_dn_per_electron: Tensor | nn.Parameter | None = None,
    read_noise_electrons: float | None = None,
    dark_current_electrons_per_second: float = 0.0,
) -> Sensor:
    r"""A sensor of `SENSORS` whose codes hold white, with headroom, and the dark noise: see :func:`fitted_gain`.

    Args:
        exposure_photons: photons on a pixel where the scene is 1. bits: of the converter.
        kind: key of `SENSORS`. headroom: of the last code above white, as a ratio.
        gain_dn_per_electron: another gain than the fitted one, one number or per channel ``(C, 1, 1)``;
            ``nn.Parameter`` learns it. The offset is that of the dark noise at this gain, and stays there.
        read_noise_electrons: other than that of the kind. dark_current_electrons_per_second: of a pixel.

    Raises:
        ValueError: for bits, light or headroom out of range, or an unknown kind.

    Example:
        >>> import torch
        >>> camera = industrial_sensor(1000.0).eval()
        >>> camera.bits, 0.7 < float(camera(torch.ones(1, 1, 50, 50)).mean()) < 0.85  # white is below the last code
        (12, True)
    """
    settings: dict[str, Any] = {**fitted_gain(bits, exposure_photons, kind=kind, headroom=headroom)}
    settings["dark_current_electrons_per_second"] = dark_current_electrons_per_second
    if gain_dn_per_electron is not None:
        scale = gain_dn_per_electron.detach() / settings["gain_dn_per_electron"]
        settings |= {"gain_dn_per_electron": gain_dn_per_electron, "offset_dn": settings["offset_dn"] * scale}
    if read_noise_electrons is not None:
        settings["read_noise_electrons"] = read_noise_electrons
    return Sensor(bits, **settings)


def photons_at_full_well(kind: str = KIND) -> float:
    r"""Photons that fill a pixel of a sensor of `SENSORS`, :math:`N_\mathrm{fw} / \eta`.

    Raises:
        ValueError: for an unknown kind.

    Example:
        >>> round(photons_at_full_well("icx625"))
        14894
    """
    sensor = SENSORS[one_of("kind", kind, SENSORS)]
    return sensor["full_well_electrons"] / sensor["quantum_efficiency"]
