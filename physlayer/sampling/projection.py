"""Computed tomography: parallel projections, which views are taken, and filtered back-projection."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.core.validation import one_of, plain_number
from physlayer.sampling.subset_layer import SubsetLayer

__all__ = ["ProjectionSampling", "backproject", "project", "ram_lak"]

OUTPUTS = ("image", "sinogram")


MARGIN = 3  # detectors beyond either end that take what falls outside
NEIGHBOURS = (-1, 0, 1)  # a pixel's footprint is at most √2 wide: it meets three detectors


def _footprint(angle: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """Detector and share of the light for each of the three detectors that a square pixel's shadow meets."""
    middle = size // 2  # of rotation, as in scikit-image
    axis = torch.arange(size, device=angle.device, dtype=angle.dtype) - middle
    place = (axis * torch.cos(angle))[None, :] - (axis * torch.sin(angle))[:, None] + middle
    inside = axis[None, :] ** 2 + axis[:, None] ** 2 <= middle**2
    place = torch.where(inside, place, 1.0 - MARGIN).flatten()
    nearest = place.round()
    wide, high = (side.abs().clamp(min=1e-3) for side in (torch.cos(angle), torch.sin(angle)))

    def below(edge: Tensor) -> Tensor:
        """Share of the shadow, a trapezoid, that falls below the edge of a detector."""
        bends = ((wide + high) / 2, (wide - high) / 2, (high - wide) / 2, -(wide + high) / 2)
        parts = [(edge + bend).clamp(min=0) ** 2 / 2 for bend in bends]
        return (parts[0] - parts[1] - parts[2] + parts[3]) / (wide * high)

    offset = nearest - place
    edges = [torch.zeros_like(place), below(offset - 0.5), below(offset + 0.5), torch.ones_like(place)]
    first = (nearest + MARGIN).long().clamp(1, size + 2 * MARGIN - 2)
    return [(first + step, edges[k + 1] - edges[k]) for k, step in enumerate(NEIGHBOURS)]


def project(x: Tensor, angles: Tensor) -> Tensor:
    r"""Line integrals of square images, :math:`p(\theta, t) = \int x\,\delta(u\cos\theta - v\sin\theta - t)`.

    Each square pixel casts its exact shadow on detectors of its own width, and :func:`backproject` is exactly the
    transpose. Light outside the inscribed circle is ignored; scikit-image's ``radon(circle=True)`` expects none there.

    Args:
        x: ``(B, C, N, N)``. angles: ``(V,)``, radians.

    Returns:
        Sinogram ``(B, C, V, N)``, unit of ``x`` times scene pixel.

    Example:
        >>> import torch
        >>> x = torch.zeros(1, 1, 5, 5); x[..., 2, 3] = 1.0
        >>> project(x, torch.tensor([0.0]))[0, 0, 0].round(decimals=2)
        tensor([0., 0., 0., 1., 0.])
    """
    size, flat = x.shape[-1], x.flatten(2)
    views = []
    for angle in angles.to(x.dtype):
        line = flat.new_zeros(*flat.shape[:2], size + 2 * MARGIN)
        for detector, share in _footprint(angle, size):
            line = line.index_add(2, detector, flat * share)
        views.append(line[..., MARGIN:-MARGIN])
    return torch.stack(views, 2)


def backproject(sinogram: Tensor, angles: Tensor) -> Tensor:
    """Transpose of :func:`project`: ``(B, C, V, N)`` to ``(B, C, N, N)``."""
    size = sinogram.shape[-1]
    padded = F.pad(sinogram, (MARGIN, MARGIN))
    total = sinogram.new_zeros(*sinogram.shape[:2], size * size)
    for view, angle in enumerate(angles.to(sinogram.dtype)):
        line = padded[:, :, view]
        for detector, share in _footprint(angle, size):
            total = total + line.index_select(2, detector) * share
    return total.view(*sinogram.shape[:2], size, size)


def ram_lak(length: int) -> Tensor:
    r"""Ramp filter, ``(length // 2 + 1,)``: the transform of its exact samples, so that flat regions keep their value.

    .. math:: h_0 = \tfrac14, \qquad h_n = -\frac{1}{\pi^2 n^2}\ (n\ \mathrm{odd}), \qquad h_n = 0\ (n\ \mathrm{even})

    References:
        Kak & Slaney 1988, doi:10.1137/1.9780898719277, chapter 3.
    """
    n = torch.arange(length, dtype=torch.float64)
    n = torch.minimum(n, length - n)
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n.clamp(min=1)) ** 2, torch.zeros_like(n))
    kernel[0] = 0.25
    return torch.fft.rfft(kernel).real


class ProjectionSampling(SubsetLayer):
    r"""Parallel-beam scanner with chosen, weighted views and filtered back-projection.

    .. math::
        p_v = m_v w_v\, R_{\theta_v} x, \qquad
        y = \frac{\pi}{\sum_v m_v} \sum_v R^{\mathsf T}_{\theta_v} F^{-1}\{g(\omega)\, |\omega|\, F p_v\}

    with whole :math:`m_v`, exactly ``keep`` of them 1 (:func:`physlayer.core.subset.choose`); :math:`w` and the gain
    :math:`g` of the ramp filter are positive.

    Args:
        views: number of equally spaced angles over 180°.
        logits: ``(V,)``, which views to take, with ``keep``; ``None`` takes all.
        keep: views that are taken.
        weights: :math:`w`, ``(V,)`` or a number, unit 1, above 0; ``nn.Parameter`` learns its logarithm.
        filter_gain: :math:`g`, ``(n,)`` from zero to the highest frequency (interpolated) or a number, unit 1, above
            0; 1 is Ram-Lak.
        output: ``"image"``, or ``"sinogram"`` ``(B, C, V, N)`` before filtering.
        temperature, gumbel, noise_seed: as in :class:`physlayer.SensorPlacement`.

    Shape:
        ``(B, C, N, N)`` to the same, or to ``(B, C, V, N)``.

    Raises:
        ValueError: if the images are not square, or a quantity does not have V or one value.

    References:
        Kak & Slaney 1988, doi:10.1137/1.9780898719277.

    Example:
        >>> import torch
        >>> ProjectionSampling(20)(torch.rand(1, 1, 16, 16)).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(
        self,
        views: int,
        *,
        logits: Tensor | nn.Parameter | None = None,
        keep: int | None = None,
        weights: float | Tensor | nn.Parameter = 1.0,
        filter_gain: float | Tensor | nn.Parameter = 1.0,
        output: str = "image",
        temperature: float = 2.0,
        gumbel: bool = True,
        noise_seed: int = 0,
    ):
        super().__init__()
        self.views = plain_number("views", views, 1, 100_000, whole=True)
        if isinstance(weights, Tensor) and tuple(weights.shape) not in ((), (self.views,)):
            raise ValueError(f"Expected weights to be ({self.views},), but got {tuple(weights.shape)}.")
        if isinstance(filter_gain, Tensor) and filter_gain.ndim > 1:
            raise ValueError(f"Expected filter_gain to be (n,), but got {tuple(filter_gain.shape)}.")
        self.output = one_of("output", output, OUTPUTS)
        self.register_physical("weights", weights, unit="1", low=0.0, logarithmic=True)
        self.register_physical("filter_gain", filter_gain, unit="1", low=0.0, logarithmic=True)
        self.register_choice(
            logits, keep, places=self.views, temperature=temperature, gumbel=gumbel, noise_seed=noise_seed
        )

    @property
    def angles(self) -> Tensor:
        """Angles of all views, taken or not, ``(V,)``, radians."""
        return torch.arange(self.views, device=self.weights.device, dtype=self.weights.dtype) * math.pi / self.views

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if x.shape[2] != x.shape[3]:
            raise ValueError(f"Expected square images, but got {x.shape[2]}×{x.shape[3]}; pad them.")
        sinogram = self.weights.to(x.dtype).reshape(-1, 1) * project(x, self.angles)
        if self.chooses:
            sinogram = sinogram * self.masks(x).to(x.dtype)[:, None, :, None]
        if self.output == "sinogram":
            return sinogram
        return backproject(self.filtered(sinogram), self.angles) * math.pi / self.keep

    def filtered(self, sinogram: Tensor) -> Tensor:
        """The sinogram after the ramp filter and its gain."""
        size = sinogram.shape[-1]
        length = max(64, 2 ** math.ceil(math.log2(2 * size)))
        ramp = ram_lak(length).to(sinogram)
        gain = self.filter_gain.to(sinogram.dtype).reshape(1, 1, -1)
        gain = F.interpolate(gain, size=len(ramp), mode="linear", align_corners=True).flatten()
        return torch.fft.irfft(torch.fft.rfft(sinogram, n=length) * ramp * gain, n=length)[..., :size]

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape if self.output == "image" else (shape[0], self.views, shape[2])

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        measured = shape[0] * self.keep * shape[2]
        # an image has no more independent samples than pixels, however many rays were measured
        samples = min(measured, math.prod(self.output_shape(shape)))
        return super().cost(shape) | {"n_samples": samples, "rays": measured, "views": self.keep}

    def settings(self) -> dict:
        return super().settings() | {"views": self.views, "output": self.output}
