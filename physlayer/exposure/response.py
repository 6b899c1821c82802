"""Non-linear response before the converter: square root, gamma, learned gamma."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import plain_number

__all__ = ["Response", "power_response"]


def power_response(x: Tensor, gamma: Tensor | float, toe: float = 1e-3) -> Tensor:
    r"""Power-law response with a toe that keeps the slope at black finite.

    .. math::
        y = \frac{(x + \epsilon)^\gamma - \epsilon^\gamma}{(1 + \epsilon)^\gamma - \epsilon^\gamma}

    0 and 1 stay where they are; :math:`\gamma = 1` is the identity and :math:`\gamma = 1/2` the square root that
    makes photon noise uniform. Without :math:`\epsilon` the slope at 0 is infinite for :math:`\gamma < 1` and the
    first black pixel turns every gradient into NaN. Below 0 the response continues in a straight line.

    Args:
        x: intensity, full scale. gamma: exponent, unit 1. toe: :math:`\epsilon`, full scale.

    Example:
        >>> power_response(torch.tensor([0.0, 0.25, 1.0]), 0.5).round(decimals=3)
        tensor([0.0000, 0.4840, 1.0000])
    """
    gamma = torch.as_tensor(gamma, dtype=x.dtype, device=x.device)
    floor = torch.as_tensor(toe, dtype=x.dtype, device=x.device) ** gamma
    span = (1 + toe) ** gamma - floor
    dark = x.clamp(max=0)  # what is left above keeps one slope at 0, where two clamps would count it twice
    curve = (x - dark + toe) ** gamma - floor
    tangent = gamma * floor / toe * dark
    return (curve + tangent) / span


class Response(PhysicalLayer):
    r"""Response curve of the pixel before the converter, :math:`y \propto (x + \epsilon)^\gamma`.

    Args:
        gamma: exponent in 0.1…4, unit 1; 0.5 is the square-root (companding) response; ``nn.Parameter`` learns it.
        toe: :math:`\epsilon` of :func:`power_response`, full scale.

    Shape:
        ``(B, C, H, W)`` to the same.

    References:
        Buckler et al. 2017, arXiv:1705.04352 (gamma before a low-precision converter).

    Example:
        >>> from physlayer import BitDepth
        >>> camera = nn.Sequential(Response(gamma=nn.Parameter(torch.tensor(0.5))), BitDepth(2))
        >>> camera[0]
        Response(toe=0.001, gamma=0.5 (learned, in (0.1, 4)))
    """

    def __init__(self, gamma: float | Tensor | nn.Parameter = 0.5, *, toe: float = 1e-3):
        super().__init__()
        self.toe = plain_number("toe", toe, 1e-6, 0.5)
        self.register_physical("gamma", gamma, unit="1", low=0.1, high=4.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return power_response(x, self.sized("gamma", x.shape), self.toe)

    def settings(self) -> dict:
        return {"toe": self.toe}
