"""The pupil of a lens: its grid, its edges, and the point spread and transfer functions that follow."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.core.field import intensity

__all__ = [
    "OBJECTIVES",
    "airy_radius_um",
    "border_energy",
    "cutoff_per_um",
    "defocus_waves",
    "depth_of_field_um",
    "disc",
    "modulation",
    "point_spread",
    "pupil_grid",
    "ring_zones",
    "sample_map",
]

# Use as IncoherentImaging(**OBJECTIVES["40x"], ...): typical markings of biological microscopes.
OBJECTIVES: dict[str, dict[str, float]] = {
    "100x oil": {"numerical_aperture": 1.25, "refractive_index": 1.515},
    "40x": {"numerical_aperture": 0.65, "refractive_index": 1.0},
    "20x": {"numerical_aperture": 0.50, "refractive_index": 1.0},
    "10x": {"numerical_aperture": 0.25, "refractive_index": 1.0},
}
EDGE_CELLS = 2.0  # width of the soft edge in the backward pass
RIM = 1e-6  # a cell on the rim lies inside, whatever the rounding


def airy_radius_um(numerical_aperture: float, wavelength_um: float) -> float:
    r"""Radius of the first dark ring of the clear pupil in focus, :math:`0.6098\,\lambda/\mathrm{NA}`, µm.

    Example:
        >>> round(airy_radius_um(0.65, 0.55), 3)
        0.516
    """
    return 0.6098349 * wavelength_um / numerical_aperture


def cutoff_per_um(numerical_aperture: float, wavelength_um: float) -> float:
    r"""Highest frequency in an incoherent image, :math:`2\,\mathrm{NA}/\lambda`, cycles per µm.

    Example:
        >>> round(cutoff_per_um(0.65, 0.55), 2)
        2.36
    """
    return 2 * numerical_aperture / wavelength_um


def depth_of_field_um(numerical_aperture: float, wavelength_um: float, refractive_index: float = 1.0) -> float:
    r"""Distance from focus, to either side, at a quarter wave of defocus, :math:`n\lambda/2\mathrm{NA}^2`, µm.

    Example:
        >>> round(depth_of_field_um(1.25, 0.55, 1.515), 2)
        0.27
    """
    return refractive_index * wavelength_um / (2 * numerical_aperture**2)


def defocus_waves(
    defocus_um: float | Tensor, numerical_aperture: float, wavelength_um: float | Tensor, refractive_index: float = 1.0
) -> float | Tensor:
    r"""Defocus at the rim of the pupil, :math:`W_{20} = \mathrm{NA}^2 \Delta z/(2 n \lambda)`, waves.

    The phase is :math:`W_{20}\rho^2`, so :math:`a_4 = W_{20}/2\sqrt3`. This is the parabola of small apertures; the
    sphere is 14 % deeper at the rim of NA 0.65 in air.

    Example:
        >>> round(defocus_waves(0.65, 0.65, 0.55), 2)
        0.25
    """
    return numerical_aperture**2 * defocus_um / (2 * refractive_index * wavelength_um)


def pupil_grid(size: int, radius_cells: float | Tensor) -> tuple[Tensor, Tensor]:
    r"""Coordinates of the cells of a pupil, in pupil radii, the middle at index ``size // 2``.

    A pupil of radius :math:`R` cells on :math:`N` cells belongs to a point spread function of pitch
    :math:`R\lambda/(N\,\mathrm{NA})`.

    Args:
        size: :math:`N`. radius_cells: :math:`R`, a number or ``(C,)``.

    Returns:
        ``x`` (columns, to the right) and ``y`` (rows, down), float64, ``(N, N)`` or ``(C, N, N)``.

    Example:
        >>> x, y = pupil_grid(64, 19)
        >>> int((x**2 + y**2 <= 1).sum())
        1129
    """
    radius = torch.as_tensor(radius_cells, dtype=torch.float64)
    place = (torch.arange(size, dtype=torch.float64) - size // 2) / radius[..., None]
    shape = (*radius.shape, size, size)
    return place[..., None, :].expand(shape), place[..., :, None].expand(shape)


def disc(rho: Tensor, radius: Tensor | float, cell: Tensor | float) -> Tensor:
    r"""1 where :math:`\rho \le r`, else 0: hard forward, soft backward.

    Surrogate: the slope of a straight edge two cells wide, :math:`\partial A/\partial r := 1/2c` where
    :math:`|\rho - r| \le c`, which sums to the line integral along the edge.

    Args:
        rho: distance from the axis. radius: :math:`r`. cell: :math:`c`, size of a cell. All in pupil radii.

    Example:
        >>> radius = torch.tensor(0.5, requires_grad=True)
        >>> a = disc(torch.tensor([0.0, 0.4, 0.6, 1.0]), radius, 0.2); a.sum().backward(); a.detach(), radius.grad
        (tensor([1., 1., 0., 0.]), tensor(5.))
    """
    hard = (rho <= radius + RIM).to(rho.dtype)
    if not (isinstance(radius, Tensor) and radius.requires_grad):
        return hard
    soft = ((radius - rho) / (EDGE_CELLS * cell) + 0.5).clamp(0, 1)
    return hard + (soft - soft.detach())


def ring_zones(rho: Tensor, radii: Tensor, waves: Tensor, cell: Tensor | float) -> Tensor:
    r"""Complex transmission of rings: 1 inside the first radius, :math:`e^{i 2\pi\phi_r}` from each radius to the next.

    A sum of fields, linear in the edges, so that the surrogate gradient of :func:`disc` is exact.

    Args:
        rho: distance from the axis, ``(…, n, n)``. radii: ``(R,)``, in any order. waves: :math:`\phi`, of the zones
            from the inside out, ``(R,)`` or ``(…, 1, 1, R)``. cell: size of a cell. Lengths in pupil radii.

    Example:
        >>> zones = ring_zones(torch.tensor([[0.2, 0.8]]), torch.tensor([0.5]), torch.tensor([0.5]), 0.1)
        >>> zones.real.round(decimals=3)
        tensor([[ 1., -1.]])
    """
    inside = [disc(rho, radius, cell) for radius in radii.sort().values]
    outer = [*inside[1:], torch.ones_like(rho)]
    angles = [2 * math.pi * angle for angle in waves.unbind(-1)]
    zones = [torch.polar(torch.ones_like(a), a) * (o - i) for a, i, o in zip(angles, inside, outer, strict=True)]
    return inside[0] + sum(zones)


def sample_map(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A map over the square around the pupil, read bilinearly at the cells of a pupil grid.

    Args:
        values: ``(n, n)`` or ``(C, n, n)``, over −1…1 pupil radii, rows down. x, y: ``(C', N, N)``, C and C' equal or 1.

    Shape:
        ``(max(C, C'), N, N)``.

    Example:
        >>> x, y = (c[None].float() for c in pupil_grid(3, 1.5))
        >>> sample_map(torch.eye(3), x, y)[0].round(decimals=4)
        tensor([[1., 0., 0.],
                [0., 1., 0.],
                [0., 0., 1.]])
    """  # noqa: E501
    values = values if values.ndim == 3 else values[None]
    count = max(len(values), len(x))
    places = torch.stack([x, y], -1).to(values.dtype).expand(count, *x.shape[1:], 2)
    values = values[:, None].expand(count, 1, *values.shape[1:])
    return F.grid_sample(values, places, mode="bilinear", padding_mode="border", align_corners=False)[:, 0]


def point_spread(
    amplitude: Tensor, phase_waves: Tensor | float, open_amplitude: Tensor, size: int | None = None
) -> Tensor:
    r"""Point spread function of a pupil: the share of the light of the open pupil that meets each sample.

    .. math:: h = \frac{|F\{A\,e^{i 2\pi W}\}|^2}{N^2 \sum |A_\mathrm{open}|^2}, \qquad
        \sum h = T = \frac{\sum |A|^2}{\sum |A_\mathrm{open}|^2}

    The open pupil is the measure, not the mask itself: a mask that absorbs light loses it, one of phase alone keeps
    :math:`\sum h = 1`. :math:`h_{-W}(x) = h_W(-x)` for real symmetric A, so the two sides of focus look alike.

    The gradient of every even aberration is zero at :math:`W = 0`; start at :func:`.zernike_start`.

    Args:
        amplitude: :math:`A`, 0…1, or complex with a phase of its own. phase_waves: :math:`W`, waves.
        open_amplitude: of the pupil without a mask. All ``(…, n, n)``: dark cells around the pupil may be left out.
        size: :math:`N`, of the whole grid, which fixes the pitch of the samples; n if ``None``.

    Shape:
        ``(…, N, N)``, real, the middle at ``N // 2``.

    Raises:
        ValueError: if ``size`` is less than n.

    References:
        Goodman 2017, Introduction to Fourier Optics, 4th edition, chapter 7.

    Example:
        >>> x, y = pupil_grid(65, 20)
        >>> clear = disc(torch.hypot(x, y), 1.0, 1 / 20)
        >>> round(float(point_spread(clear, 0.0, clear).sum()), 6)
        1.0
        >>> annulus = clear - disc(torch.hypot(x, y), 0.5, 1 / 20)
        >>> round(float(point_spread(annulus, 0.0, clear).sum()), 2)
        0.75
    """
    angle = 2 * math.pi * torch.as_tensor(phase_waves, dtype=open_amplitude.dtype, device=open_amplitude.device)
    pupil = amplitude * torch.polar(torch.ones_like(angle), angle)
    cells = max(pupil.shape[-2:])
    if size is not None and size < cells:
        raise ValueError(f"Expected size to be at least that of the pupil, {cells}, but got {size}.")
    grid = pupil.shape[-2:] if size is None else (size, size)
    seen = intensity(torch.fft.fft2(pupil, s=grid))  # where the pupil lies on its grid is a phase, which is not seen
    whole = seen.shape[-1] * seen.shape[-2] * open_amplitude.square().sum((-2, -1), keepdim=True)
    return torch.fft.fftshift(seen, (-2, -1)) / whole


def modulation(spread: Tensor) -> tuple[Tensor, Tensor]:
    r"""Optical transfer function of a point spread function, and its modulus, 1 at frequency 0.

    .. math:: \mathrm{OTF} = F\{h\}/\textstyle\sum h, \qquad \mathrm{MTF} = |\mathrm{OTF}|

    Of a clear pupil in focus, at :math:`\rho = f\lambda/2\mathrm{NA}`:
    :math:`\frac2\pi(\arccos\rho - \rho\sqrt{1-\rho^2})`, and 0 beyond.

    Shape:
        ``(…, N, N)`` to twice the same, complex and real, frequency 0 at ``N // 2``.

    Example:
        >>> h = torch.zeros(5, 5); h[2, 2] = 0.5
        >>> float(modulation(h)[1].min())
        1.0
    """
    transfer = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(spread, (-2, -1))), (-2, -1))
    transfer = transfer / spread.sum((-2, -1), keepdim=True)
    return transfer, transfer.abs()


def border_energy(spread: Tensor) -> Tensor:
    """Share of a point spread function's light that lies in the outermost samples of its window, ``(…)``.

    Example:
        >>> float(border_energy(torch.ones(4, 4)))
        0.75
    """
    return 1 - spread[..., 1:-1, 1:-1].sum((-2, -1)) / spread.sum((-2, -1))
