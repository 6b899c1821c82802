"""Spectra: the wavelength axis, emission of fluorophores, and the three channels of a colour camera."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "FLUOROPHORES",
    "cell_borders",
    "emission_spectra",
    "gaussian_curve",
    "rgb_camera_curves",
    "trapezoid_weights",
    "wavelength_axis",
]

# Peaks of excitation and emission, nm, as commonly quoted. Spectra: FPbase (Lambert 2019,
# doi:10.1038/s41592-019-0352-8).
FLUOROPHORES: dict[str, tuple[float, float]] = {
    "DAPI": (358.0, 461.0),
    "mTurquoise2": (434.0, 474.0),
    "EGFP": (488.0, 507.0),
    "EYFP": (513.0, 527.0),
    "mOrange2": (549.0, 565.0),
    "mCherry": (587.0, 610.0),
    "Cy5": (649.0, 670.0),
}
RGB_CAMERA = ((605.0, 35.0), (535.0, 40.0), (460.0, 38.0))  # centre and standard deviation, nm
INFRARED_CUT_NM = 680.0


def wavelength_axis(low_nm: float = 400.0, high_nm: float = 750.0, step_nm: float = 5.0) -> Tensor:
    """Wavelengths, nm, ends included.

    Example:
        >>> len(wavelength_axis())
        71
    """
    return torch.linspace(low_nm, high_nm, round((high_nm - low_nm) / step_nm) + 1)


def cell_borders(wavelengths_nm: Tensor) -> Tensor:
    """Borders of the cells around the wavelengths, nm, ``(Λ + 1,)``: halfway between neighbours, and both ends.

    Raises:
        ValueError: if the wavelengths do not rise.

    Example:
        >>> cell_borders(torch.tensor([400.0, 405.0, 410.0]))
        tensor([400.0000, 402.5000, 407.5000, 410.0000])
    """
    if wavelengths_nm.ndim != 1 or len(wavelengths_nm) < 2 or not bool((wavelengths_nm.diff() > 0).all()):
        raise ValueError("Expected wavelengths_nm to be a rising list (Λ,) of at least two; use wavelength_axis().")
    middle = (wavelengths_nm[1:] + wavelengths_nm[:-1]) / 2
    return torch.cat([wavelengths_nm[:1], middle, wavelengths_nm[-1:]])


def trapezoid_weights(wavelengths_nm: Tensor) -> Tensor:
    """Weights of the trapezoid rule, nm: the widths of the cells, half as wide at the ends.

    Example:
        >>> trapezoid_weights(torch.tensor([400.0, 405.0, 410.0]))
        tensor([2.5000, 5.0000, 2.5000])
    """
    return cell_borders(wavelengths_nm).diff()


def gaussian_curve(wavelengths_nm: Tensor, centre_nm: Tensor, width_nm: Tensor) -> Tensor:
    r"""Gaussians with peak 1, :math:`e^{-4 \ln 2\,(\lambda - c)^2 / w^2}`.

    Args:
        wavelengths_nm: :math:`\lambda`, ``(Λ,)``. centre_nm: :math:`c`, ``(K,)``.
        width_nm: :math:`w`, full width at half maximum, ``(K,)``.

    Shape:
        ``(K, Λ)``.

    Example:
        >>> gaussian_curve(torch.tensor([500.0, 510.0]), torch.tensor([500.0]), torch.tensor([20.0]))
        tensor([[1.0000, 0.5000]])
    """
    return torch.exp(-4 * math.log(2) * ((wavelengths_nm - centre_nm[:, None]) / width_nm[:, None]).square())


def emission_spectra(
    fluorophores: list[str | float],
    wavelengths_nm: Tensor,
    *,
    width_nm: float = 38.0,
    skew: float = 1.3,
    shoulder: float = 0.25,
    shoulder_shift_nm: float = 35.0,
    shoulder_sigma_nm: float = 22.0,
) -> Tensor:
    r"""Emission spectra of unit area: a Gaussian that falls more slowly to the red, with a shoulder there.

    .. math::
        E(\lambda) \propto e^{-(\lambda - \lambda_0)^2 / 2\sigma_\pm^2}
        + s\, e^{-(\lambda - \lambda_0 - d)^2 / 2 \sigma_s^2}, \qquad \sigma_+ = k\,\sigma_-

    A stand-in, the same shape for all: the peaks are those of the fluorophores (the shoulder moves them by 1 to 2 nm),
    the shapes are not measured.

    Args:
        fluorophores: F names in ``FLUOROPHORES``, or peaks :math:`\lambda_0`, nm.
        wavelengths_nm: ``(Λ,)``. width_nm: full width at half maximum without the shoulder. skew: :math:`k`, unit 1.
        shoulder: :math:`s`, unit 1. shoulder_shift_nm: :math:`d`. shoulder_sigma_nm: :math:`\sigma_s`.

    Shape:
        ``(F, Λ)``, per nm, of area 1 by the trapezoid rule over these wavelengths.

    Raises:
        ValueError: if a name is unknown, or a spectrum has no light at these wavelengths.

    Example:
        >>> axis = wavelength_axis()
        >>> spectra = emission_spectra(["EGFP", 529.0], axis)
        >>> axis[spectra.argmax(1)].tolist(), (spectra @ trapezoid_weights(axis)).round(decimals=4).tolist()
        ([510.0, 530.0], [1.0, 1.0])
    """
    unknown = [name for name in fluorophores if isinstance(name, str) and name not in FLUOROPHORES]
    if unknown or not fluorophores:
        raise ValueError(f"Expected fluorophores among {', '.join(FLUOROPHORES)} or peaks in nm, but got {unknown}.")
    peaks = [FLUOROPHORES[name][1] if isinstance(name, str) else float(name) for name in fluorophores]
    away = wavelengths_nm - wavelengths_nm.new_tensor(peaks)[:, None]
    blue = width_nm / math.sqrt(2 * math.log(2)) / (1 + skew)
    main = torch.exp(-(away / torch.where(away < 0, blue, skew * blue)).square() / 2)
    spectra = main + shoulder * torch.exp(-((away - shoulder_shift_nm) / shoulder_sigma_nm).square() / 2)
    area = spectra @ trapezoid_weights(wavelengths_nm)
    if not bool((area > 1e-6).all()):
        raise ValueError(f"Expected peaks near the wavelengths, but got {peaks} nm; widen wavelength_axis.")
    return spectra / area[:, None]


def rgb_camera_curves(wavelengths_nm: Tensor) -> Tensor:
    """Red, green and blue of a colour camera behind an infrared cut, ``(3, Λ)``, peak 1.

    Gaussians that stand in for measured curves: 605, 535 and 460 nm with standard deviations of 35, 40 and 38 nm, and
    nothing beyond 680 nm. Measured ones of 28 cameras: Jiang et al. 2013 (WACV).

    Example:
        >>> axis = wavelength_axis()
        >>> axis[rgb_camera_curves(axis).argmax(1)].tolist()
        [605.0, 535.0, 460.0]
    """
    centre, sigma = wavelengths_nm.new_tensor(RGB_CAMERA).unbind(1)
    borders = cell_borders(wavelengths_nm)
    passed = ((INFRARED_CUT_NM - borders[:-1]) / borders.diff()).clamp(0, 1)
    return gaussian_curve(wavelengths_nm, centre, sigma * math.sqrt(8 * math.log(2))) * passed
