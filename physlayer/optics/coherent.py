"""Coherent imaging: a thin sample in laser or LED light, a phase given to the light, an aperture, and intensity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.field import intensity
from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import saturate
from physlayer.core.validation import LIMIT, Accepts, one_of, plain_number

__all__ = ["CoherentImaging", "aperture_cells", "coherent_image", "plane_wave", "round_aperture", "thin_sample"]

INPUTS = ("phase", "intensity", "field")
CONVENTIONS = {"waves": 2 * math.pi, "radians": 1.0}  # phase of one wave of thickness
DARKEST = 1e-4  # below, the slope of the square root is no larger


def thin_sample(
    x: Tensor, *, thickness_waves: float = 1.0, convention: str = "waves", absorption: float = 0.0
) -> Tensor:
    r"""Field behind a thin transparent sample in a plane wave of amplitude 1.

    .. math:: o = e^{i\kappa x - \alpha x/2}, \qquad \kappa = 2\pi t/\lambda\ \text{("waves")}\ \text{or}\
        t/\lambda\ \text{("radians")}

    The conventions differ by 2π, and with them the contrast: one wave of thickness is a whole turn of phase at
    ``x = 1`` in waves, and 1 rad in radians.

    Args:
        x: path difference, 0…1 of ``thickness_waves``. thickness_waves: :math:`t/\lambda`.
        convention: ``"waves"`` or ``"radians"``. absorption: :math:`\alpha`, natural optical depth at ``x = 1``.

    Shape:
        Any to the same, complex.

    Example:
        >>> o = thin_sample(torch.tensor([0.0, 0.25, 1.0]))
        >>> (o.real.round(decimals=3) + 0.0).tolist(), (o.imag.round(decimals=3) + 0.0).tolist()
        ([1.0, 0.0, 1.0], [0.0, 1.0, 0.0])
    """
    factor = CONVENTIONS[one_of("convention", convention, CONVENTIONS)]
    return torch.polar(torch.exp(-absorption / 2 * x), factor * thickness_waves * x)


def root_amplitude(x: Tensor) -> Tensor:
    r"""Amplitude of an intensity, :math:`\sqrt x`; surrogate: the slope stays at 50 below :math:`x = 10^{-4}`."""
    slope = 0.5 / x.detach().clamp(min=DARKEST).sqrt()
    return x.detach().clamp(min=0).sqrt() + slope * (x - x.detach())


def plane_wave(size: tuple[int, int], cycles: Tensor) -> Tensor:
    r"""Light from the side, :math:`e^{i 2\pi (p j/H + q k/W)}`, with ``cycles`` (p, q) across rows and columns.

    An angle θ has :math:`W\Delta\sin\theta/\lambda` cycles at pitch Δ. Whole numbers of cycles join at the border.

    Shape:
        ``(…, 2)`` to ``(…, H, W)``, complex.

    Example:
        >>> plane_wave((1, 4), torch.tensor([0.0, 1.0])).imag.round(decimals=3).abs()
        tensor([[0., 1., 0., 1.]])
    """
    rows, columns = (torch.arange(n, device=cycles.device, dtype=cycles.dtype) / n for n in size)
    angle = 2 * math.pi * (cycles[..., 0, None, None] * rows[:, None] + cycles[..., 1, None, None] * columns)
    return torch.polar(torch.ones_like(angle), angle)


def aperture_cells(numerical_aperture: float, wavelength_um: float, pitch_um: float, width: int) -> float:
    r"""Radius of an aperture on the Fourier grid of images ``width`` pixels wide, :math:`\mathrm{NA}\,W\Delta/\lambda`.

    Example:
        >>> aperture_cells(0.25, 0.5, 0.5, 64)
        16.0
    """
    return numerical_aperture * width * pitch_um / wavelength_um


def round_aperture(size: tuple[int, int], radius_cells: float) -> Tensor:
    """1 within the radius of the middle (index ``n // 2``), else 0, ``(H, W)``.

    The radius counts cells along the columns; images that are not square see the same frequencies in both directions.

    Example:
        >>> int(round_aperture((64, 64), 19).sum()), int(round_aperture((28, 28), 8).sum())
        (1129, 197)
    """
    height, width = size
    rows = (torch.arange(height, dtype=torch.float64) - height // 2) * width / height
    columns = torch.arange(width, dtype=torch.float64) - width // 2
    return (torch.hypot(rows[:, None], columns) <= radius_cells + 1e-9).to(torch.get_default_dtype())


def coherent_image(field: Tensor, aperture: Tensor) -> Tensor:
    r"""Intensity of a field behind an aperture, :math:`|F^{-1}\{H \cdot F\{E\}\}|^2`.

    H is a function of the frequency, as on the Fourier grid; the pupil of :func:`.point_spread` is the
    same turned by 180° (Goodman 2017, section 7.2). A phase ramp of H that rises to the right moves the image left.

    Args:
        field: E, ``(…, H, W)``, complex. aperture: H, ``(…, H, W)``, real or complex, frequency 0 at ``n // 2``.

    Shape:
        ``(…, H, W)``, real. The image is circular: light that leaves on one side enters on the other.

    Example:
        >>> coherent_image(torch.ones(1, 4, 4) + 0j, round_aperture((4, 4), 1)).mean()
        tensor(1.)
    """
    spectrum = torch.fft.fft2(field) * torch.fft.ifftshift(aperture, (-2, -1))
    return intensity(torch.fft.ifft2(spectrum))


class CoherentImaging(PhysicalLayer):
    r"""A thin sample in coherent light that may carry a phase, seen through an aperture that may carry another.

    .. math:: y = |F^{-1}\{H \cdot F\{o\,e^{i 2\pi \phi}\}\}|^2, \qquad H = [\rho \le r]\,A\,e^{i 2\pi W}

    An open aperture that holds all frequencies gives :math:`y = |o|^2`: a transparent sample is invisible, and no phase
    of the light changes that. A constant added to either phase changes nothing. Light that a phase gathers in one place
    exceeds 1; beyond 16 full scales, where the next layer takes readings for codes, it saturates
    (:func:`physlayer.core.photons.saturate`).

    Args:
        radius_cells: r, cells of the Fourier grid along the columns (:func:`aperture_cells` for a numerical aperture).
        input: what the images are: ``"phase"``, a path difference in 0…1 of ``thickness_waves``
            (:func:`thin_sample`); ``"intensity"``, transmitted light, :math:`o = \sqrt x` (surrogate slope 50 at most,
            near black); ``"field"``, a complex field o.
        thickness_waves, convention, absorption: of a phase sample: ``"waves"`` gives 2π and ``"radians"`` 1 rad per
            wave of thickness.
        illumination_waves: :math:`\phi`, of a spatial light modulator before the sample. tilt_cycles: ``(2,)``, of a
            plane wave, cycles across rows and columns. aperture_waves: :math:`W`. Phases in waves, maps ``(H, W)`` or
            ``(C, H, W)``. aperture_amplitude: :math:`A`, 0…1. ``nn.Parameter`` learns each of the four.
        size: ``(H, W)`` of the images for maps on a coarse grid, upsampled bilinearly.

    Shape:
        ``(B, C, H, W)`` to the same, real; complex in for ``input="field"``.

    Raises:
        TypeError: for complex images of another input, or real ones of a field.
        ValueError: for maps that do not fit the images, or an unknown input or convention.

    References:
        Goodman 2017, Introduction to Fourier Optics, section 7.2; Horstmeyer et al. 2017, arXiv:1709.07223.

    Example:
        >>> phases = [nn.Parameter(torch.zeros(64, 64)) for _ in range(2)]
        >>> microscope = CoherentImaging(19, convention="radians", illumination_waves=phases[0], aperture_waves=phases[1])
        >>> microscope(torch.rand(2, 1, 64, 64)).shape
        torch.Size([2, 1, 64, 64])
    """  # noqa: E501

    def __init__(
        self,
        radius_cells: float,
        *,
        input: str = "phase",
        thickness_waves: float = 1.0,
        convention: str = "waves",
        absorption: float = 0.0,
        illumination_waves: Tensor | nn.Parameter | None = None,
        tilt_cycles: Tensor | nn.Parameter | None = None,
        aperture_waves: Tensor | nn.Parameter | None = None,
        aperture_amplitude: Tensor | nn.Parameter | None = None,
        size: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.radius_cells = plain_number("radius_cells", radius_cells, 0, 1e6)
        self.input, self.convention = one_of("input", input, INPUTS), one_of("convention", convention, CONVENTIONS)
        self.thickness_waves = plain_number("thickness_waves", thickness_waves, -1e6, 1e6)
        self.absorption = plain_number("absorption", absorption, 0, 1e3)
        self.size = None if size is None else tuple(size)
        self.accepts = {"phase": Accepts(), "intensity": Accepts(low=0.0), "field": Accepts(complex=True)}[input]
        maps = {"illumination_waves": illumination_waves, "aperture_waves": aperture_waves}
        for name, value in maps.items():
            if value is not None:
                self.register_physical(name, value, unit="waves")
        if aperture_amplitude is not None:
            self.register_physical("aperture_amplitude", aperture_amplitude, unit="1", low=0.0, high=1.0)
        if tilt_cycles is not None:
            if not isinstance(tilt_cycles, Tensor) or tuple(tilt_cycles.shape) != (2,):
                raise ValueError("Expected tilt_cycles to be (2,), cycles across the rows and across the columns.")
            self.register_physical("tilt_cycles", tilt_cycles, unit="cycles")

    def field(self, x: Tensor) -> Tensor:
        """Complex field behind the lit sample, ``(B, C, H, W)``."""
        if self.input == "phase":
            optics = {"thickness_waves": self.thickness_waves, "convention": self.convention}
            field = thin_sample(x, **optics, absorption=self.absorption)
        else:
            field = torch.complex(root_amplitude(x), torch.zeros_like(x)) if self.input == "intensity" else x
        if "illumination_waves" in self.quantities:
            field = field * _turned(self.sized("illumination_waves", x.shape)).to(field.dtype)
        if "tilt_cycles" in self.quantities:
            field = field * plane_wave((x.shape[2], x.shape[3]), self.tilt_cycles).to(field.dtype)
        return field

    def aperture(self, x_shape: tuple[int, ...]) -> Tensor:
        """H on the Fourier grid, frequency 0 at ``n // 2``, broadcastable over images of that shape."""
        aperture = round_aperture((x_shape[-2], x_shape[-1]), self.radius_cells)[None, None]
        if "aperture_amplitude" in self.quantities:
            amplitude = self.sized("aperture_amplitude", x_shape)
            aperture = aperture.to(amplitude) * amplitude
        if "aperture_waves" in self.quantities:
            turned = _turned(self.sized("aperture_waves", x_shape))
            aperture = aperture.to(turned.device) * turned
        return aperture

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            field, aperture = self.field(x), self.aperture(x.shape).to(x.device)
            precise = field.dtype if aperture.is_complex() else field.real.dtype
            y = coherent_image(field, aperture.to(precise))
            return saturate(y, y.new_tensor(LIMIT))

    def settings(self) -> dict:
        settings = {"radius_cells": self.radius_cells, "input": self.input}
        if self.input == "phase":
            settings |= {"thickness_waves": self.thickness_waves, "convention": self.convention}
            settings |= {"absorption": self.absorption}
        return settings | ({} if self.size is None else {"size": list(self.size)})


def _turned(waves: Tensor) -> Tensor:
    return torch.polar(torch.ones_like(waves), 2 * math.pi * waves)
