"""Incoherent imaging: what a lens makes of a scene that shines by itself, through a pupil that can be learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from physlayer.core.randomness import Noise
from physlayer.core.validation import one_of, plain_number
from physlayer.optics.convolution import BORDERS, convolve
from physlayer.optics.pupil_layer import PupilLayer

__all__ = ["IncoherentImaging"]

GOLDEN = 0.6180339887498949


class IncoherentImaging(PupilLayer):
    r"""A lens with a pupil of amplitude A and phase W, for scenes that shine by themselves or are lit from everywhere.

    .. math::
        y_c = h_c * x_c, \quad h_c = \frac{|F\{A\,e^{i 2\pi W \lambda_0/\lambda_c}\}|^2}{N^2\sum|A_\mathrm{open}|^2},
        \quad W = \sum_j a_j Z_j + W_\mathrm{rings} + W_\mathrm{map} + \frac{\mathrm{NA}^2\Delta z}{2 n\lambda_0}\rho^2

    Light that a mask absorbs is lost: the open pupil is the measure. The point spread function is computed at λ/(4 NA)
    or finer; where the image is coarser it is integrated over the pixel, the scene's pixels being points.
    :math:`\lambda_0` is the mean wavelength; a phase is a path difference, so it is larger in the blue.

    Focus: a ``defocus_range_um`` draws one :math:`\Delta z` for each image in ``train()``, uniformly. In ``eval()``
    image i of a set, exposure d, is seen at the stated position :math:`(\lfloor P\,\mathrm{frac}(i\,0.618\ldots)\rfloor
    + d) \bmod P`: the same at every call, positions shared evenly over every part of a set, and every image at every
    position once in P exposures. Within ``at_defocus(z)`` all images are seen at z.

    The gradient of every even aberration (defocus, astigmatism, spherical, rings) is zero at a flat pupil in focus:
    start at :func:`.zernike_start`, or with a range of defocus. Radii of edges are hard; their surrogate
    gradient is that of :func:`physlayer.optics.pupil.disc`.

    Args:
        numerical_aperture: NA. wavelength_um: :math:`\lambda`, µm, one or one per channel. pitch_um: of the image's
            pixels, µm in the object. refractive_index: n of the medium at the object.
        outer_radius: of the aperture stop, pupil radii. inner_radius: of a central stop, 0 for none.
        zernike_waves: :math:`a`, ``(J,)``, waves rms. zernike_numbers: their Noll numbers, 4, 5, 6 … if ``None``.
        ring_radii: ``(R,)``, where rings begin, pupil radii, in any order. ring_waves: ``(R,)``, waves, of the zones
            outside each radius, from the inside out; the innermost zone has none.
        phase_map_waves: waves, ``(n, n)`` or ``(C, n, n)`` over the square around the pupil, read bilinearly.
        amplitude_map: the same, unit 1, 0…1.
        defocus_um: :math:`\Delta z`, µm. defocus_range_um: ``(low, high)`` to be added. stated_um: positions in
            ``eval()``, to be added; five evenly over the range if ``None``.
        border: ``"reflect"``, ``"circular"`` or ``"zero"``. oversample: odd samples per pixel, ``None`` for enough.
        window_pixels: side of the point spread function, odd, ``None`` for enough. noise_seed: of the defocus drawn.

        Of all, ``nn.Parameter`` is learned for radii, amplitudes, phases and ``defocus_um``.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: if the samples are too coarse, the window too small, or channels do not fit the wavelengths. A
            learned point spread function that outgrows its window warns in ``eval()``.

    References:
        Goodman 2017, Introduction to Fourier Optics, chapter 7; Elmalem et al. 2018, doi:10.1364/OE.26.015316 (rings);
        Sitzmann et al. 2018, doi:10.1145/3197517.3201333 (free phase).

    Example:
        >>> import torch
        >>> from physlayer.optics import OBJECTIVES, zernike_start
        >>> start = nn.Parameter(zernike_start(torch.Generator().manual_seed(0)))
        >>> lens = IncoherentImaging(**OBJECTIVES["40x"], wavelength_um=0.55, pitch_um=0.2, zernike_waves=start)
        >>> lens(torch.ones(1, 3, 16, 16)).shape, round(float(lens.kernels().sum().detach()), 4)
        (torch.Size([1, 3, 16, 16]), 1.0)
    """

    def __init__(
        self,
        *,
        numerical_aperture: float,
        wavelength_um: float | Sequence[float],
        pitch_um: float,
        refractive_index: float = 1.0,
        outer_radius: float | Tensor | nn.Parameter = 1.0,
        inner_radius: float | Tensor | nn.Parameter = 0.0,
        zernike_waves: Tensor | nn.Parameter | None = None,
        zernike_numbers: Sequence[int] | None = None,
        ring_radii: Tensor | nn.Parameter | None = None,
        ring_waves: Tensor | nn.Parameter | None = None,
        phase_map_waves: Tensor | nn.Parameter | None = None,
        amplitude_map: Tensor | nn.Parameter | None = None,
        defocus_um: float | Tensor | nn.Parameter = 0.0,
        defocus_range_um: tuple[float, float] | None = None,
        stated_um: Sequence[float] | None = None,
        border: str = "reflect",
        oversample: int | None = None,
        window_pixels: int | None = None,
        noise_seed: int = 0,
    ):
        super().__init__()
        self.border = one_of("border", border, BORDERS)
        self.held: float | None = None
        self.register_optics(numerical_aperture, wavelength_um, pitch_um, refractive_index)
        self.range_um, self.stated_um = _positions(defocus_range_um, stated_um)
        self.noisy, self.noise = self.range_um is not None, Noise(noise_seed)
        self.register_pupil(
            outer_radius=outer_radius,
            inner_radius=inner_radius,
            zernike_waves=zernike_waves,
            zernike_numbers=zernike_numbers,
            ring_radii=ring_radii,
            ring_waves=ring_waves,
            phase_map_waves=phase_map_waves,
            amplitude_map=amplitude_map,
            defocus_um=defocus_um,
            stated_um=self.stated_um,
            oversample=oversample,
            window_pixels=window_pixels,
        )

    def positions(self, x: Tensor) -> Tensor:
        """Defocus of each image of a batch, µm, ``(B,)``; see the class for the rule."""
        if self.held is not None:
            return x.new_full((len(x),), self.held)
        if self.range_um is None:
            return x.new_zeros(len(x))
        if self.training:
            low, high = self.range_um
            return low + (high - low) * self.noise.uniform(x.new_zeros(len(x), 1, 1, 1), training=True).flatten()
        images = range(self.noise.first, self.noise.first + len(x))
        count = len(self.stated_um)
        return x.new_tensor([self.stated_um[(int(count * (i * GOLDEN % 1)) + self.noise.draw) % count] for i in images])

    @contextmanager
    def at_defocus(self, position_um: float) -> Iterator[None]:
        """Within the block every image is seen at this defocus, in both modes: for the worst position of a range."""
        before, self.held = self.held, float(position_um)
        try:
            yield
        finally:
            self.held = before

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        count, channels, height, width = x.shape
        wanted = self.channels()
        if wanted not in (1, channels):
            raise ValueError(f"Expected images of {wanted} channels, one per wavelength or map, but got {channels}.")
        if self.range_um is None and self.held is None:
            return convolve(x, self.kernels()[0], border=self.border)
        places, which = self.positions(x).unique(return_inverse=True)
        kernels, order = self.kernels(places), which.argsort(stable=True)
        if len(places) == count:  # a position for each: all planes at once
            together = kernels[which].expand(-1, channels, -1, -1).flatten(0, 1)
            return convolve(x.reshape(1, -1, height, width), together, border=self.border).reshape(x.shape)
        shared = x[order].split(which.bincount().tolist())
        seen = [convolve(part, kernel, border=self.border) for part, kernel in zip(shared, kernels, strict=True)]
        return torch.cat(seen)[order.argsort()]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        return super().cost(shape) | {"transmission": self.transmission()}

    def settings(self) -> dict:
        settings = super().settings() | {"border": self.border}
        if self.range_um is not None:
            settings |= {"defocus_range_um": self.range_um, "stated_um": self.stated_um, "noise_seed": self.noise.seed}
        return settings


def _positions(defocus_range: tuple[float, float] | None, stated: Sequence[float] | None) -> tuple:
    """The range as a list, or None, and the positions of ``eval()``."""
    if defocus_range is None:
        if stated is not None:
            raise ValueError("Expected stated_um with a defocus_range_um; for one position use defocus_um.")
        return None, [0.0]
    low, high = (plain_number("defocus_range_um", value, -1e6, 1e6) for value in defocus_range)
    if not low < high:
        raise ValueError(f"Expected defocus_range_um to be (low, high), but got {tuple(defocus_range)}.")
    if stated is None:
        stated = [low + (high - low) * k / 4 for k in range(5)]
    places = [plain_number("stated_um", value, -1e6, 1e6) for value in stated]
    if not places or min(places) < low or max(places) > high:
        raise ValueError(f"Expected stated_um to hold positions in {low:g}…{high:g} µm, but got {places}.")
    return [low, high], places
