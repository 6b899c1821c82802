"""Single-photon sensors: many frames of one bit per pixel, with learned exposure and threshold."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import warn_if_saturated
from physlayer.core.randomness import Noise
from physlayer.core.validation import Accepts, check_images, plain_number

__all__ = ["QuantaSensor", "bit_density", "exposure_estimate"]

DEVIATIONS = 6.0  # of the read noise above the threshold: beyond, a pixel that has so many electrons always fires
LEAST_NOISE = 1e-3  # electrons; a smaller read noise is a hard threshold in float32


def bit_density(exposure: Tensor, threshold: Tensor | float = 0.5, read_noise: Tensor | float = 0.0) -> Tensor:
    r"""Chance that a pixel fires in one frame.

    .. math::
        P(1 \mid H) = 1 - \sum_{n \ge 0} e^{-H}\frac{H^n}{n!}\,
        \Phi\!\Bigl(\frac{\theta - n}{\sigma_r}\Bigr)

    A threshold of 0.5 electrons fires at one electron, :math:`P = 1 - e^{-H}`; 1.5 at two. The sum ends where the
    normal distribution :math:`\Phi` has fallen to nothing, six deviations above the threshold.

    Args:
        exposure: :math:`H`, electrons per pixel and frame. threshold: :math:`\theta`, electrons.
        read_noise: :math:`\sigma_r`, electrons rms.

    References:
        Fossum 2013, doi:10.1109/JEDS.2013.2284054; Chan 2022, arXiv:2203.06086.

    Example:
        >>> bit_density(torch.tensor([0.1, 1.0, 3.0]))
        tensor([0.0952, 0.6321, 0.9502])
    """
    threshold, read_noise = (
        torch.as_tensor(value, dtype=exposure.dtype, device=exposure.device) for value in (threshold, read_noise)
    )
    sigma = read_noise.clamp(min=LEAST_NOISE)
    most = math.ceil(float(threshold.detach().max()) + DEVIATIONS * float(sigma.detach().max()))
    dark = torch.zeros_like(exposure)
    logarithm = exposure.clamp(min=1e-30).log()
    for electrons in range(most + 1):
        # by its logarithm: exp(−H) alone is 0 in float32 from H = 104 on
        pmf = torch.exp(electrons * logarithm - exposure - math.lgamma(electrons + 1))
        dark = dark + pmf * torch.special.ndtr((threshold - electrons) / sigma)
    return 1 - dark


def exposure_estimate(density: Tensor) -> Tensor:
    r"""Maximum-likelihood exposure from the share of frames in which a one-electron pixel fired.

    .. math:: \hat H = -\ln(1 - S/N_f), \qquad \mathrm{var}\,\hat H \approx (e^H - 1)/N_f

    Args:
        density: :math:`S/N_f`, 0…1; where every frame fired the estimate is infinite.

    Example:
        >>> exposure_estimate(torch.tensor(0.6321)).round(decimals=2)
        tensor(1.)
    """
    return -torch.log1p(-density)


class QuantaSensor(PhysicalLayer):
    r"""Pixels that say only whether they saw enough electrons, in ``frames`` short exposures.

    .. math::
        H = \eta\,\Phi x + d, \qquad k \sim \mathrm{Binomial}(N_f, P(1 \mid H)), \qquad y = k / N_f

    ``frames + 1`` values are possible: :math:`\log_2(N_f + 1)` bits. Surrogate: the gradient of the expectation
    :math:`P`, unbiased for a linear reader, plus ``leak`` times that of :math:`\ln(1 + H)`, without which a pixel
    that always fires could never come back. Noise is fresh in ``train()``, fixed per image in ``eval()``.

    Args:
        frames: :math:`N_f`, 1 or more.
        exposure_photons: :math:`\Phi`, photons per pixel and frame where the scene is 1; to learn it brings most of
            what learned thresholds would.
        quantum_efficiency: :math:`\eta`, 0…1. threshold_electrons: :math:`\theta` (0.5 fires at one electron).
        dark_electrons: :math:`d`, per pixel and frame. read_noise_electrons: :math:`\sigma_r`, rms.
        leak: backward only. noise_seed: of the noise.

    Shape:
        ``(B, C, H, W)`` to the same.

    References:
        Yang et al. 2012, arXiv:1106.0954; Gnanasambandam & Chan 2020, arXiv:2006.02026.

    Example:
        >>> camera = QuantaSensor(frames=7, exposure_photons=nn.Parameter(torch.tensor(1.0)))
        >>> camera.codes(torch.rand(1, 1, 2, 2)).max() <= 7
        tensor(True)
    """

    noisy = True
    accepts = Accepts(low=0.0)

    def __init__(
        self,
        frames: int = 1,
        *,
        exposure_photons: float | Tensor | nn.Parameter = 1.0,
        quantum_efficiency: float | Tensor | nn.Parameter = 0.8,
        threshold_electrons: float | Tensor | nn.Parameter = 0.5,
        dark_electrons: float | Tensor | nn.Parameter = 0.0,
        read_noise_electrons: float | Tensor | nn.Parameter = 0.19,
        leak: float = 0.01,
        noise_seed: int = 0,
    ):
        super().__init__()
        self.frames = plain_number("frames", frames, 1, 65_535, whole=True)
        self.leak = plain_number("leak", leak, 1e-6, 1.0)
        self.noise = Noise(plain_number("noise_seed", noise_seed, 0, 2**62, whole=True))
        register = self.register_physical
        register("exposure_photons", exposure_photons, unit="photons per pixel and frame", low=0.0, logarithmic=True)
        register("quantum_efficiency", quantum_efficiency, unit="electrons per photon", low=0.0, high=1.0)
        register("threshold_electrons", threshold_electrons, unit="electrons", low=0.0, logarithmic=True)
        register("dark_electrons", dark_electrons, unit="electrons per frame", low=0.0, logarithmic=True)
        register("read_noise_electrons", read_noise_electrons, unit="electrons", low=0.0, logarithmic=True)

    def exposure(self, x: Tensor) -> Tensor:
        """Mean electrons per pixel and frame, ``(B, C, H, W)``."""
        photons = self.sized("exposure_photons", x.shape)
        response = self.sized("quantum_efficiency", x.shape)
        return photons * response * x + self.sized("dark_electrons", x.shape)

    def density(self, exposure: Tensor) -> Tensor:
        """Chance that a pixel fires in one frame, for exposures as :meth:`exposure` gives them."""
        threshold, noise = (
            self.sized(name, exposure.shape) for name in ("threshold_electrons", "read_noise_electrons")
        )
        return bit_density(exposure, threshold, noise)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        exposure = self.exposure(x)
        density = self.density(exposure)
        fired = self.noise.binomial(self.frames, density, training=self.training) / self.frames
        warn_if_saturated(fired.detach() >= 1, "lower exposure_photons")
        leak = self.leak * torch.log1p(exposure)
        return fired + ((density - density.detach()) + (leak - leak.detach()))

    def codes(self, x: Tensor) -> Tensor:
        """In how many frames each pixel fired, int64, 0 … frames."""
        check_images(x, full=True, accepts=self.accepts)
        with torch.no_grad():
            density = self.density(self.exposure(x))
            return self.noise.binomial(self.frames, density, training=self.training).to(torch.int64)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        samples = math.prod(shape)
        photons = float(self.physical()["exposure_photons"].mean()) * samples * self.frames
        return super().cost(shape) | {"bits_per_image": self.frames * samples, "photons": photons}

    def settings(self) -> dict:
        return {"frames": self.frames, "noise_seed": self.noise.seed}
