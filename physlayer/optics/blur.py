"""Blur: convolution of the scene with a point spread function that is the same all over the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import one_of, plain_number
from physlayer.optics.convolution import BORDERS, METHODS, convolve

__all__ = ["Blur", "disc_kernel", "gaussian_kernel"]

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


def disc_kernel(radius_pixels: Tensor, radius: int) -> Tensor:
    r"""A uniform disc, the blur of a lens out of focus, its edge one pixel wide, of sum 1.

    .. math:: h_{ab} \propto \min(\max(R + \tfrac12 - \sqrt{a^2 + b^2},\, 0),\, 1), \qquad a, b = -r \ldots r

    Below :math:`R = \tfrac12` it is the identity and does not depend on R.

    Args:
        radius_pixels: :math:`R`, pixels, any shape. radius: :math:`r`, pixels.

    Shape:
        ``(…)`` to ``(…, 2 r + 1, 2 r + 1)``.

    Example:
        >>> disc_kernel(torch.tensor(1.0), 1)
        tensor([[0.0257, 0.1496, 0.0257],
                [0.1496, 0.2991, 0.1496],
                [0.0257, 0.1496, 0.0257]])
    """
    place = torch.arange(-radius, radius + 1, device=radius_pixels.device, dtype=radius_pixels.dtype)
    distance = torch.hypot(place[:, None], place)
    covered = (radius_pixels[..., None, None] + 0.5 - distance).clamp(0, 1)
    return covered / covered.sum((-2, -1), keepdim=True)


class Blur(PhysicalLayer):
    r"""A point spread function that is the same all over the image: a Gaussian, a disc, or any kernel.

    .. math:: y = h * x, \qquad h \ge 0, \quad \sum h = 1

    Give exactly one of ``sigma_pixels``, ``disc_pixels`` and ``kernel``. A flat field stays flat and, except for
    ``border="zero"``, all light is kept (at a mirror, by kernels that are their own mirror image). It is a convolution:
    weight at the lower right of the kernel moves the image to the lower right. A learned Gaussian hardly moves below
    σ = 0.2 pixels, a learned disc not at all below 0.5, so start above.

    Args:
        sigma_pixels: :math:`\sigma` of a Gaussian, pixels of the image at this place: one number, or one per channel
            ``(C, 1, 1)``; ``nn.Parameter`` learns it, between 0 and ``radius / 4``.
        disc_pixels: :math:`R` of a disc, pixels: as σ; learned between 0 and ``radius``.
        kernel: :math:`h`, ``(2 r + 1, 2 s + 1)`` or ``(C, 2 r + 1, 2 s + 1)``, non-negative, divided by its sum;
            ``nn.Parameter`` learns the logarithm of every value or, where the start has zeros as the identity does,
            every value by its magnitude (:class:`.Magnitude`). What is given or learned, of any sum, is in
            ``unscaled_kernel``; the attribute ``kernel`` is the point spread function of sum 1, whichever form.
        radius: reach of a Gaussian or disc, pixels; ``None`` for :math:`4\sigma` or :math:`R + 1`, or twice as much and
            8 pixels at least where it is learned and may grow. It does not follow the width.
        border: ``"reflect"``, ``"circular"`` or ``"zero"``. method: ``"direct"``, ``"fft"``, or ``"auto"``. Both as in
            :func:`physlayer.optics.convolution.convolve`.

    Shape:
        ``(B, C, H, W)`` to the same, of any size.

    Raises:
        ValueError: if not exactly one is given, a width is negative or beyond the radius, a kernel is negative or of
            even size, or the border is unknown.

    References:
        Goodman 2017, Introduction to Fourier Optics, 4th edition, chapter 7 (incoherent imaging is a convolution).

    Example:
        >>> round(float(Blur(1.0)(torch.ones(1, 1, 5, 5)).sum()), 4)
        25.0
        >>> Blur(nn.Parameter(torch.tensor(1.5)))
        Blur(radius=12, border='reflect', sigma_pixels=1.5 pixels (learned, in (0, 3)))
        >>> Blur(kernel=torch.tensor([[0.0, 0.0, 2.0]]), border="zero")(torch.tensor([[[[1.0, 2.0, 3.0]]]]))
        tensor([[[[0., 1., 2.]]]])
    """

    def __init__(
        self,
        sigma_pixels: float | Tensor | nn.Parameter | None = None,
        *,
        disc_pixels: float | Tensor | nn.Parameter | None = None,
        kernel: Tensor | nn.Parameter | None = None,
        radius: int | None = None,
        border: str = "reflect",
        method: str = "auto",
    ):
        super().__init__()
        given = {"sigma_pixels": sigma_pixels, "disc_pixels": disc_pixels, "kernel": kernel}
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1:
            raise ValueError(f"Expected exactly one of {', '.join(given)}, but got {', '.join(names) or 'none'}.")
        self.border, self.method = one_of("border", border, BORDERS), one_of("method", method, METHODS)
        (self.form,) = names
        if kernel is not None:
            self._register_kernel(kernel, radius)
            return
        width, reach = (disc_pixels, 1.0) if sigma_pixels is None else (sigma_pixels, TRUNCATE)
        assert width is not None  # it is the one that is given
        if isinstance(width, Tensor) and width.shape not in ((), (1,), (width.numel(), 1, 1)):
            raise ValueError(f"Expected {self.form} to be one number or (C, 1, 1), but got shape {tuple(width.shape)}.")
        wanted = _reach(width, reach, self.form == "disc_pixels") if radius is None else radius
        self.radius = plain_number("radius", wanted, 1, 10_000, whole=True)
        self.register_physical(self.form, width, unit="pixels", low=0.0, high=self.radius / reach)

    def _register_kernel(self, kernel: Tensor | nn.Parameter, radius: int | None) -> None:
        if radius is not None:
            raise ValueError(f"Expected no radius with a kernel, which has its own size, but got {radius}.")
        if not isinstance(kernel, Tensor) or kernel.ndim not in (2, 3) or 0 in (n % 2 for n in kernel.shape[-2:]):
            shape = tuple(kernel.shape) if isinstance(kernel, Tensor) else type(kernel).__name__
            raise ValueError(f"Expected kernel to be (h, w) or (C, h, w) of odd size, but got {shape}.")
        if not bool((kernel.detach().sum((-2, -1)) > 0).all()):
            least = float(kernel.detach().sum((-2, -1)).min())
            raise ValueError(f"Expected kernel to have a positive sum, but got {least:.3g}: no light would arrive.")
        self.radius = max(kernel.shape[-2:]) // 2
        dark = isinstance(kernel, nn.Parameter) and bool((kernel.detach() == 0).any())
        if dark and bool((kernel.detach() > 0).any()):  # a step of the optimiser is a share of the light
            with torch.no_grad():
                kernel /= kernel.sum((-2, -1), keepdim=True)
        free = Quantity("unscaled_kernel", low=0.0)
        self.register_physical(
            "kernel", kernel, unit="1", low=0.0, high=1.0, logarithmic=not dark, magnitude=dark, free=free
        )

    @property
    def kernel(self) -> Tensor:
        """The point spread function of the hardware, of sum 1, ``(h, w)`` or one for each channel ``(C, h, w)``."""
        if self.form == "kernel":
            return self.unscaled_kernel / self.unscaled_kernel.sum((-2, -1), keepdim=True)
        width = getattr(self, self.form)
        width = width.flatten() if width.numel() > 1 else width.reshape(())
        if self.form == "disc_pixels":
            return disc_kernel(width, self.radius)
        line = gaussian_kernel(width, self.radius)
        return line[..., :, None] * line[..., None, :]

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if self.form != "kernel":
            self.sized(self.form, x.shape)  # refuses other channels
        return convolve(x, self.kernel, border=self.border, method=self.method)

    def settings(self) -> dict:
        # a kernel may have been replaced by one of another size
        radius = self.radius if self.form != "kernel" else max(self.unscaled_kernel.shape[-2:]) // 2
        return {"radius": radius, "border": self.border}


def _reach(width: float | Tensor, reach: float, disc: bool) -> int:
    """Radius of a kernel whose width starts here; nonsense is left for :meth:`register_physical` to refuse."""
    number = isinstance(width, int | float) or (isinstance(width, Tensor) and width.numel() > 0)
    largest = float(torch.as_tensor(width).detach().max()) if number else 0.0
    if not math.isfinite(largest):
        return 1
    if isinstance(width, nn.Parameter):
        return max(8, math.ceil(2 * reach * largest))
    return max(1, math.ceil(reach * largest) + disc)
