"""The four classical noises of a pixel, each with its level in units: Gaussian, photon, speckle, salt and pepper.

They act on a reading in full scales and know nothing of a sensor; :class:`physlayer.Sensor` is the camera in electrons.
None cuts its reading to 0…1: a converter behind does (:class:`physlayer.BitDepth` saturates).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import photon_counts
from physlayer.core.randomness import Noise
from physlayer.core.validation import LIMIT, Accepts, plain_number

__all__ = ["GaussianNoise", "PhotonNoise", "SaltPepper", "SpeckleNoise", "salt_and_pepper"]

FEWEST_PHOTONS = 0.25  # below, one count in 40,000 would pass LIMIT, where the next layer takes readings for codes
LEAST_CONTRAST = 1e-6  # below, the shape of the Gamma law is no float32


class _PixelNoise(PhysicalLayer):
    """Noise of one kind: fresh per sample and pass in ``train()``, fixed per image and draw in ``eval()``."""

    noisy = True

    def __init__(self, noise_seed: int):
        super().__init__()
        self.noise = Noise(plain_number("noise_seed", noise_seed, 0, 2**62, whole=True))

    def settings(self) -> dict:
        return {"noise_seed": self.noise.seed}


class GaussianNoise(_PixelNoise):
    r"""Additive noise of one strength at every light level, as of read-out electronics.

    .. math:: y = x + \sigma z, \qquad z \sim N(0, 1)

    Not cut: readings below 0 and above 1 occur. The gradient is exact (reparametrisation).

    Args:
        noise_rms: :math:`\sigma`, full scale, rms: one number, ``(C, 1, 1)`` or a map; ``nn.Parameter`` learns
            its logarithm. noise_seed: of the draws.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for a negative noise.

    References:
        Gonzalez, Woods 2018, Digital Image Processing, section 5.2.

    Example:
        >>> y = GaussianNoise(0.1)(torch.full((1, 1, 100, 100), 0.5))
        >>> round(float(y.mean()), 2), round(float(y.std()), 2)
        (0.5, 0.1)
    """

    def __init__(self, noise_rms: float | Tensor | nn.Parameter, *, noise_seed: int = 0):
        super().__init__(noise_seed)
        self.register_physical("noise_rms", noise_rms, unit="full scale", low=0.0, logarithmic=True)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x + self.sized("noise_rms", x.shape) * self.noise.normal(x, training=self.training)


class PhotonNoise(_PixelNoise):
    r"""Shot noise of light that gives a white pixel ``exposure_photons`` photons, all of which are counted.

    .. math:: y = \frac{n}{N}, \qquad n \sim \mathrm{Poisson}(N x), \qquad E\,y = x, \quad \mathrm{Var}\,y = \frac{x}{N}

    Surrogate: :func:`.photon_counts` through the draw, exact for readers up to second order. Not cut at
    1; beyond 16 full scales, where the next layer takes readings for codes, it saturates (one count in 40,000 at
    0.25 photons, none above 1).

    Args:
        exposure_photons: :math:`N`, photons on a pixel where the scene is 1, at least 0.25: one number, ``(C, 1, 1)``
            or a map; ``nn.Parameter`` learns its logarithm. noise_seed: of the draws.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for negative light, or fewer than 0.25 photons.

    References:
        Goodman 2015, Statistical Optics, chapter 9.

    Example:
        >>> y = PhotonNoise(100.0)(torch.full((1, 1, 100, 100), 0.25))
        >>> round(float(y.mean()), 2), round(float(y.var()), 4)
        (0.25, 0.0025)
    """

    accepts = Accepts(low=0.0)

    def __init__(self, exposure_photons: float | Tensor | nn.Parameter, *, noise_seed: int = 0):
        super().__init__(noise_seed)
        self.register_physical(
            "exposure_photons", exposure_photons, unit="photons per pixel", low=0.0, logarithmic=True
        )
        least = float(self.exposure_photons.detach().min())
        if least < FEWEST_PHOTONS:
            raise ValueError(
                f"Expected exposure_photons to be at least {FEWEST_PHOTONS}, but got {least:g}; "
                f"for less light use Sensor or QuantaSensor, which read in electrons."
            )

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        photons = self.sized("exposure_photons", x.shape)
        mean = photons * x
        counts = photon_counts(mean, self.noise.poisson(mean, training=self.training))
        return (counts / photons).clamp(max=LIMIT)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        samples = math.prod(shape)
        return super().cost(shape) | {"photons": float(self.physical()["exposure_photons"].mean()) * samples}


class SpeckleNoise(_PixelNoise):
    r"""Multiplicative noise of coherent light, independent at every pixel.

    .. math::
        y = s\,x, \qquad s \sim \mathrm{Gamma}\bigl(\text{shape } M, \text{ mean } 1\bigr), \quad M = \frac{1}{C^2},
        \qquad E\,y = x, \quad \mathrm{Var}\,y = C^2 x^2

    Polarised, fully developed speckle has contrast :math:`C = 1`: negative exponential intensity. The sum over M
    independent patterns (wavelengths, polarisations, a pixel of M speckles) has :math:`C = 1/\sqrt{M}`. The gradient is
    pathwise: :math:`\partial y/\partial x = s`, and the implicit derivative of :math:`s` with respect to C
    (:meth:`.gamma`). Not cut at 1; beyond 16 full scales (one white pixel in nine million at
    contrast 1) it saturates.

    Args:
        contrast: :math:`C`, standard deviation over mean of the intensity, unit 1, 0…1: one number, ``(C, 1, 1)`` or a
            map; ``nn.Parameter`` learns it. noise_seed: of the draws.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for negative light, or a contrast outside 0…1.

    References:
        Goodman 2007, Speckle Phenomena in Optics, sections 3.2 and 3.3; gradient: Figurnov 2018, arXiv:1805.08498.

    Example:
        >>> y = SpeckleNoise(0.5)(torch.full((1, 1, 200, 200), 0.4))
        >>> round(float(y.mean()), 2), round(float(y.std() / y.mean()), 1)
        (0.4, 0.5)
    """

    accepts = Accepts(low=0.0)

    def __init__(self, contrast: float | Tensor | nn.Parameter, *, noise_seed: int = 0):
        super().__init__(noise_seed)
        self.register_physical("contrast", contrast, unit="1", low=0.0, high=1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        contrast = self.sized("contrast", x.shape)
        patterns = contrast.clamp(min=LEAST_CONTRAST) ** -2
        intensity = self.noise.gamma(patterns.expand(x.shape).contiguous(), training=self.training) / patterns
        return torch.where(contrast < LEAST_CONTRAST, x, intensity * x).clamp(max=LIMIT)


def salt_and_pepper(x: Tensor, probability: Tensor, uniform: Tensor) -> Tensor:
    r"""Pixels that read black or white, with half the probability each, whatever light falls on them.

    .. math::
        y = \begin{cases} 0 & u < p/2 \\ 1 & u \ge 1 - p/2 \\ x & \text{else,} \end{cases} \qquad
        \frac{\partial y}{\partial x} = [y \text{ is } x], \quad
        \frac{\partial y}{\partial p} := \frac{\partial E\,y}{\partial p} = \frac12 - x

    The first derivative is exact; the draw has none with respect to :math:`p`, so the second is that of the expectation
    :math:`(1 - p)\,x + p/2`, exact on average for readers linear in y. The same ``uniform`` at a larger
    :math:`p` spoils the same pixels and more.

    Args:
        x: images. probability: :math:`p`, 0…1. uniform: :math:`u`, uniform in 0 ≤ u < 1.

    Example:
        >>> x, p = torch.tensor([0.2, 0.2, 0.2]), torch.tensor(0.5, requires_grad=True)
        >>> y = salt_and_pepper(x, p, torch.tensor([0.1, 0.5, 0.9])); y.sum().backward(); y.detach(), p.grad
        (tensor([0.0000, 0.2000, 1.0000]), tensor(0.9000))
    """
    white = uniform >= 1 - probability / 2
    spoilt = white | (uniform < probability / 2)
    expected = probability * (0.5 - x.detach())
    return torch.where(spoilt, white.to(x.dtype), x) + (expected - expected.detach())


class SaltPepper(_PixelNoise):
    r"""Defective readings: each value turns black or white, with half the ``probability`` each.

    .. math:: P(y = 0) = P(y = 1) = p/2, \qquad E\,y = (1 - p)\,x + p/2

    The channels of a pixel fail independently (each is a pixel of its own sensor), at other places in every exposure.
    Gradients: :func:`salt_and_pepper`.

    Args:
        probability: :math:`p`, unit 1, 0…1: one number, ``(C, 1, 1)`` or a map; ``nn.Parameter`` learns it.
        noise_seed: of the draws.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for a probability outside 0…1.

    References:
        Gonzalez, Woods 2018, Digital Image Processing, section 5.2.

    Example:
        >>> y = SaltPepper(0.2)(torch.full((1, 1, 100, 100), 0.5))
        >>> [round(float((y == value).float().mean()), 1) for value in (0.0, 0.5, 1.0)]
        [0.1, 0.8, 0.1]
    """

    def __init__(self, probability: float | Tensor | nn.Parameter, *, noise_seed: int = 0):
        super().__init__(noise_seed)
        self.register_physical("probability", probability, unit="1", low=0.0, high=1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        uniform = self.noise.uniform(x, training=self.training)
        return salt_and_pepper(x, self.sized("probability", x.shape), uniform)
