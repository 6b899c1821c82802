"""Masks on the sensor, longer or shorter exposure, and the gamma of a display chain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.broadcast import full_size
from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import saturate, warn_if_saturated
from physlayer.core.quantity import Quantity
from physlayer.core.validation import image_size, plain_number
from physlayer.exposure.response import power_response

__all__ = ["Exposure", "Gamma", "TransmissionMask"]


class TransmissionMask(PhysicalLayer):
    r"""A mask on the sensor that lets through a share of the light at every pixel.

    .. math::
        y = t \odot x, \qquad t = T \cdot \min\!\Bigl(1, \frac{\beta}{\bar T}\Bigr), \quad 0 < T < 1

    A ``photon_budget`` :math:`\beta` limits the mean transmission in ``train()`` and ``eval()`` alike: the attribute
    ``transmission`` is :math:`t`, and :math:`T` is in ``unlimited_transmission``.

    Args:
        transmission: :math:`T`, ``(H, W)``, ``(C, H, W)``, ``(C, 1, 1)`` or a number, unit 1, 0…1; ``nn.Parameter``
            learns it (start inside, 0.5 or 0.99).
        photon_budget: :math:`\beta`, largest mean transmission, or ``None`` for any.
        size: ``(H, W)`` of the images if the transmission is a coarse grid, upsampled bilinearly.

    Shape:
        ``(B, C, H, W)`` to the same.

    Example:
        >>> mask = TransmissionMask(nn.Parameter(torch.full((4, 4), 0.9)), photon_budget=0.3)
        >>> round(float(mask(torch.ones(1, 1, 4, 4)).mean().detach()), 4)
        0.3
    """

    def __init__(
        self,
        transmission: float | Tensor | nn.Parameter,
        *,
        photon_budget: float | None = None,
        size: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.photon_budget = None if photon_budget is None else plain_number("photon_budget", photon_budget, 1e-6, 1.0)
        self.size = None if size is None else image_size(size)
        free = Quantity("unlimited_transmission", low=0.0, high=1.0)
        self.register_physical("transmission", transmission, unit="1", low=0.0, high=1.0, free=free)

    @property
    def transmission(self) -> Tensor:
        """Transmission within the budget, of the shape that was given."""
        mask = self.unlimited_transmission
        if self.photon_budget is None:
            return mask
        size = self.size or mask.shape[-2:]  # a number or one per channel counts alike everywhere
        shown = full_size(mask, (1, *mask.shape[:-2], *size), "transmission", self.size)
        return mask * (self.photon_budget / shown.mean()).clamp(max=1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x * self.sized("transmission", x.shape)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        with torch.no_grad():
            return super().cost(shape) | {"transmission": float(self.sized("transmission", (1, *shape)).mean())}

    def settings(self) -> dict:
        return {"photon_budget": self.photon_budget} | ({} if self.size is None else {"size": list(self.size)})


class Exposure(PhysicalLayer):
    r"""Longer or shorter exposure with saturation, :math:`y = \min(f x, 1)`.

    Surrogate: :func:`.saturate`, slope ``leak`` beyond saturation; forward is the hard minimum.

    Args:
        factor: :math:`f > 0`, unit 1: a number, ``(C, 1, 1)`` or a map; ``nn.Parameter`` learns its logarithm.
        leak: backward only.

    Shape:
        ``(B, C, H, W)`` to the same.

    Example:
        >>> Exposure(2.0)(torch.tensor([0.2, 0.7]).view(1, 1, 1, 2)).flatten()
        tensor([0.4000, 1.0000])
    """

    def __init__(self, factor: float | Tensor | nn.Parameter = 1.0, *, leak: float = 0.01):
        super().__init__()
        self.leak = plain_number("leak", leak, 1e-6, 1.0)
        self.register_physical("factor", factor, unit="1", low=0.0, logarithmic=True)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        exposed = self.sized("factor", x.shape) * x
        warn_if_saturated(exposed.detach() >= 1, "lower factor")
        return saturate(exposed, x.new_ones(()), self.leak)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        return super().cost(shape) | {"transmission": float(self.factor.detach().mean())}


class Gamma(PhysicalLayer):
    r"""Gain and gamma of a display chain, :math:`y = g\,x^\gamma`, both within stated ranges.

    :func:`.power_response` keeps the slope at black finite. Where only the response before a
    converter matters, :class:`physlayer.Response` is the same curve without the gain.

    Args:
        gamma: :math:`\gamma`. gain: :math:`g`. Both unit 1, one number or ``(C, 1, 1)``; ``nn.Parameter`` learns them.
        gamma_range, gain_range: bounds, by parametrization.

    Shape:
        ``(B, C, H, W)`` to the same.

    Example:
        >>> Gamma(nn.Parameter(torch.tensor(1.1)))
        Gamma(gamma_range=[0.8, 1.2], gain_range=[0.8, 1.2], gamma=1.1 (learned, in (0.8, 1.2)), gain=1 (fixed))
    """

    def __init__(
        self,
        gamma: float | Tensor | nn.Parameter = 1.0,
        gain: float | Tensor | nn.Parameter = 1.0,
        *,
        gamma_range: tuple[float, float] = (0.8, 1.2),
        gain_range: tuple[float, float] = (0.8, 1.2),
    ):
        super().__init__()
        self.gamma_range, self.gain_range = list(gamma_range), list(gain_range)
        for name, (low, high) in (("gamma_range", gamma_range), ("gain_range", gain_range)):
            if not 0 < low < high:
                raise ValueError(f"Expected {name} to be (low, high) with 0 < low < high, but got {(low, high)}.")
        self.register_physical("gamma", gamma, unit="1", low=gamma_range[0], high=gamma_range[1])
        self.register_physical("gain", gain, unit="1", low=gain_range[0], high=gain_range[1])

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        curve = power_response(x, self.sized("gamma", x.shape))
        return self.sized("gain", x.shape) * curve

    def settings(self) -> dict:
        return {"gamma_range": self.gamma_range, "gain_range": self.gain_range}
