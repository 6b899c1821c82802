"""Blur: convolution of the scene with a Gaussian point spread function."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.base import PhysicalLayer
from physlayer.checks import plain_number

__all__ = ["BORDERS", "Blur", "convolve_separable", "gaussian_kernel"]

BORDERS = ("reflect", "circular", "zero")
TRUNCATE = 4.0  # standard deviations that a kernel holds at least: what is left out is below 7e-5 of the light


def gaussian_kernel(sigma_pixels: Tensor, radius: int) -> Tensor:
    r"""A Gaussian sampled at the pixels, of sum 1.

    .. math:: h_i = \frac{e^{-i^2/2\sigma^2}}{\sum_j e^{-j^2/2\sigma^2}}, \qquad i, j = -r \ldots r

    At :math:`\sigma \to 0` it is the identity, and its derivative vanishes as :math:`e^{-1/2\sigma^2}`.

    Args:
        sigma_pixels: :math:`\sigma`, pixels, any shape. radius: :math:`r`, pixels; the length does not depend on σ.

    Shape:
        ``(…)`` to ``(…, 2 r + 1)``.

    Example:
        >>> gaussian_kernel(torch.tensor(0.5), 1)
        tensor([0.1065, 0.7870, 0.1065])
    """
    place = torch.arange(-radius, radius + 1, device=sigma_pixels.device, dtype=sigma_pixels.dtype)
    variance = sigma_pixels.square().clamp(min=1e-6)[..., None]
    return torch.softmax(-place.square() / (2 * variance), -1)


def convolve_separable(x: Tensor, rows: Tensor, columns: Tensor, border: str = "reflect") -> Tensor:
    r"""Convolve (not correlate) with the outer product of two kernels; the image keeps its size.

    .. math:: y_{jk} = \sum_{a,b} v_a\, w_b\, x_{j-a,\,k-b}, \qquad a, b = -r \ldots r

    A kernel whose weight lies at :math:`a > 0` moves the image down. Where the kernel leaves the image it meets its
    mirror image (``"reflect"``, the pixels at the border repeated: scipy's name and meaning), its other side
    (``"circular"``) or darkness (``"zero"``). Both first keep the light exactly for symmetric kernels of sum 1.

    Args:
        x: images. rows: :math:`v`, across the rows, ``(2 r + 1,)`` or ``(C, 2 r + 1)``. columns: :math:`w`, the same.
        border: one of ``BORDERS``.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for an even length or an unknown border.

    Example:
        >>> down = torch.tensor([0.0, 0.0, 1.0])
        >>> convolve_separable(torch.eye(3)[None, None], down, torch.tensor([1.0]), "zero")[0, 0]
        tensor([[0., 0., 0.],
                [1., 0., 0.],
                [0., 1., 0.]])
    """
    if border not in BORDERS:
        raise ValueError(f"Expected border to be one of {', '.join(BORDERS)}, but got {border!r}.")
    return _along(_along(x, rows, 2, border), columns, 3, border)


def _along(x: Tensor, kernel: Tensor, axis: int, border: str) -> Tensor:
    length, channels = kernel.shape[-1], x.shape[1]
    if length % 2 == 0:
        raise ValueError(f"Expected kernels to have an odd length, but got {length}; add a zero at one end.")
    padded = _bordered(x, length // 2, axis, border)
    # torch's convolution is a correlation: turn the kernel
    weight = kernel.to(x.dtype).flip(-1).expand(channels, length).reshape(channels, 1, -1)
    return F.conv2d(padded, weight.unsqueeze(5 - axis), groups=channels)


def _bordered(x: Tensor, radius: int, axis: int, border: str) -> Tensor:
    """``x`` with ``radius`` more pixels on both sides of an axis; the radius may exceed the image."""
    if border == "zero":
        return F.pad(x, (0, 0, radius, radius) if axis == 2 else (radius, radius))
    size = x.shape[axis]
    place = torch.arange(-radius, size + radius, device=x.device)
    if border == "reflect":
        place = place % (2 * size)
        place = torch.minimum(place, 2 * size - 1 - place)
    return x.index_select(axis, place % size)


class Blur(PhysicalLayer):
    r"""A Gaussian point spread function, the same all over the image.

    .. math:: y = h_\sigma * x, \qquad \sum h_\sigma = 1

    The kernel reaches ``radius`` pixels, four standard deviations or more, and is normalised: a flat field stays flat
    and, except for ``border="zero"``, all light is kept. σ = 0 is the identity; a learned σ hardly moves below 0.2
    pixels, where the derivative of a sampled Gaussian vanishes, so start it at 0.5 or more.

    Args:
        sigma_pixels: :math:`\sigma`, pixels of the image at this place: one number, or one per channel ``(C, 1, 1)``;
            ``nn.Parameter`` learns it, between 0 and ``radius / 4``.
        radius: reach of the kernel, pixels, at least :math:`4\sigma`; ``None`` for :math:`4\sigma`, or :math:`8\sigma`
            and 8 pixels at least where σ is learned and may grow. It does not follow σ.
        border: ``"reflect"``, ``"circular"`` or ``"zero"``, see :func:`convolve_separable`.

    Shape:
        ``(B, C, H, W)`` to the same, of any size.

    Raises:
        ValueError: if σ is negative or more than a quarter of the radius, or the border is unknown.

    References:
        Goodman 2017, Introduction to Fourier Optics, 4th edition, chapter 7 (incoherent imaging is a convolution).

    Example:
        >>> round(float(Blur(1.0)(torch.ones(1, 1, 5, 5)).sum()), 4)
        25.0
        >>> Blur(nn.Parameter(torch.tensor(1.5)))
        Blur(radius=12, border='reflect', sigma_pixels=1.5 pixels (learned, in (0, 3)))
    """

    def __init__(
        self, sigma_pixels: float | Tensor | nn.Parameter, *, radius: int | None = None, border: str = "reflect"
    ):
        super().__init__()
        if border not in BORDERS:
            raise ValueError(f"Expected border to be one of {', '.join(BORDERS)}, but got {border!r}.")
        if isinstance(sigma_pixels, Tensor) and sigma_pixels.shape not in ((), (1,), (sigma_pixels.numel(), 1, 1)):
            raise ValueError(
                f"Expected sigma_pixels to be one number or (C, 1, 1), but got shape {tuple(sigma_pixels.shape)}."
            )
        self.border = border
        self.radius = plain_number("radius", _reach(sigma_pixels) if radius is None else radius, 1, 10_000, whole=True)
        self.register_physical("sigma_pixels", sigma_pixels, unit="pixels", low=0.0, high=self.radius / TRUNCATE)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        kernel = gaussian_kernel(self.sized("sigma_pixels", x.shape)[0, :, 0, 0], self.radius)
        return convolve_separable(x, kernel, kernel, self.border)

    def settings(self) -> dict:
        return {"radius": self.radius, "border": self.border}


def _reach(sigma_pixels: float | Tensor) -> int:
    """Radius of a kernel whose σ starts here; nonsense is left for :meth:`register_physical` to refuse."""
    number = isinstance(sigma_pixels, int | float) or (isinstance(sigma_pixels, Tensor) and sigma_pixels.numel() > 0)
    largest = float(torch.as_tensor(sigma_pixels).detach().max()) if number else 0.0
    if not math.isfinite(largest):
        return 1
    if isinstance(sigma_pixels, nn.Parameter):
        return max(8, math.ceil(2 * TRUNCATE * largest))
    return max(1, math.ceil(TRUNCATE * largest))
