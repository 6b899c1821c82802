"""Colours to fewer channels: a weighted sum of the channels at every pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import one_of

__all__ = ["ColorWeights"]

CONSTRAINTS = {  # with the range of a weight
    "non_negative": (0.0, math.inf),
    "filter": (0.0, 1.0),
    "free": (-math.inf, math.inf),
    "simplex": (0.0, math.inf),
}


class ColorWeights(PhysicalLayer):
    r"""Weighted sums of the channels, as a filter before a monochrome sensor or a sum after a colour one.

    .. math:: y_k = \sum_c w_{kc}\,x_c

    Args:
        weights: :math:`w`, ``(K, C)``, or ``(K, C, H, W)`` for weights of each pixel, unit 1; ``nn.Parameter`` learns
            them (start above 0 unless they are free).
        constraint: ``"non_negative"`` (light cannot be subtracted), ``"filter"`` (0…1, a filter before a sensor),
            ``"free"`` (a digital sum), or ``"simplex"``: non-negative, and divided by :math:`\sum_c w_{kc}`, so that
            white stays white.

    Shape:
        ``(B, C, H, W)`` to ``(B, K, H, W)``.

    Raises:
        ValueError: if the image has other channels than the weights, or weights of a pixel are all 0 on the simplex.

    Example:
        >>> ColorWeights(torch.full((1, 3), 1 / 3))(torch.tensor([0.3, 0.6, 0.9]).view(1, 3, 1, 1)).flatten()
        tensor([0.6000])
        >>> ColorWeights(nn.Parameter(torch.ones(1, 4)), constraint="simplex").weights.detach()
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def __init__(self, weights: Tensor | nn.Parameter, *, constraint: str = "non_negative"):
        super().__init__()
        if not isinstance(weights, Tensor) or weights.ndim not in (2, 4):
            raise ValueError("Expected weights to be (K, C) or (K, C, H, W); use torch.full((1, 3), 1 / 3).")
        self.constraint = one_of("constraint", constraint, CONSTRAINTS)
        if constraint == "simplex" and not bool((weights.detach().sum(1) > 0).all()):
            raise ValueError("Expected weights of every output to have a positive sum on the simplex, but got 0.")
        low, high = CONSTRAINTS[constraint]
        free = Quantity("unscaled_weights", low=low, high=high)
        self.register_physical(
            "weights", weights, unit="1", low=low, high=1.0 if constraint == "simplex" else high, free=free
        )

    @property
    def weights(self) -> Tensor:
        """The weights of the hardware, on the simplex if so constrained."""
        weights = self.unscaled_weights
        return weights / weights.sum(1, keepdim=True) if self.constraint == "simplex" else weights

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        weights = self.weights.to(x.dtype)
        wanted = (weights.shape[1], *(weights.shape[2:] or x.shape[2:]))
        if tuple(x.shape[1:]) != wanted:
            channels, height, width = wanted
            raise ValueError(
                f"Expected images of {channels} channels and {height}×{width} pixels, but got {tuple(x.shape[1:])}; "
                f"give weights of that shape."
            )
        with torch.autocast(x.device.type, enabled=False):  # light, not yet codes: bfloat16 has 8 bits
            return torch.einsum("bchw,kc->bkhw" if weights.ndim == 2 else "bchw,kchw->bkhw", x, weights)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return len(self.unscaled_weights), *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        """What white gives an output, as a share of white: more than 1 is more light than the scene has."""
        optical = {} if self.constraint == "free" else {"transmission": float(self.weights.detach().sum(1).mean())}
        return super().cost(shape) | optical

    def settings(self) -> dict:
        return {"constraint": self.constraint}
