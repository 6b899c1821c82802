"""The class-project quantizer: a soft staircase that hardens as its sharpness grows."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import check_bits, check_images, one_number, plain_number
from physlayer.quantization.quantizers import nearest_code

__all__ = ["SoftStaircase", "soft_staircase"]


def soft_staircase(u: Tensor, top_code: int, sharpness: float) -> Tensor:
    r"""Expected code under a softmax over all codes, in memory that does not grow with their number.

    .. math::
        Q(u) = \sum_{k=0}^{K} k\,\mathrm{softmax}_k\bigl(-\psi |u - k|\bigr), \qquad K = 2^b - 1

    With :math:`m = \lfloor u \rfloor`, :math:`f = u - m` and :math:`r = e^{-\psi}`, the codes up to :math:`m` and
    those above are two geometric series, so the sum has a closed form; nothing of size :math:`2^b` is made.
    As :math:`\psi \to \infty` it becomes rounding with clipping. For finite :math:`\psi` it is strictly monotone:
    a network can invert it, so it may train but must never be reported.

    Args:
        u: input in codes, any shape. top_code: :math:`K`. sharpness: :math:`\psi > 0`, per code.

    Example:
        >>> [round(q, 3) for q in soft_staircase(torch.tensor([0.2, 1.5, 7.0]), 3, 10.0).tolist()]
        [0.002, 1.5, 3.0]
    """
    u = u.clamp(0, top_code)
    m = torch.floor(u.detach()).clamp(max=top_code - 1)  # codes 0…m lie at or below u, m+1…K above
    f = u - m
    r = math.exp(-sharpness)
    below, above = m + 1, top_code - m  # how many codes on each side
    # Each side is weight × (count-limited geometric sum, and that sum weighted by the distance j from its first code).
    # Distances are taken from the nearer code, or both weights would underflow to 0/0 at a large sharpness.
    nearest = torch.minimum(f, 1 - f).detach()
    weight_below, weight_above = (
        torch.exp(sharpness * (nearest - f)),
        torch.exp(sharpness * (nearest - 1 + f)),
    )
    sum_below, far_below = _geometric(r, below)
    sum_above, far_above = _geometric(r, above)
    total = weight_below * sum_below + weight_above * sum_above
    moment = weight_above * (sum_above + far_above) - weight_below * far_below  # Σ weight × (k − m)
    return m + moment / total


def _geometric(r: float, count: Tensor) -> tuple[Tensor, Tensor]:
    """Σ r^j and Σ j r^j for j = 0 … count − 1."""
    power = r**count
    total = (1 - power) / (1 - r)
    return total, (r * (1 - power) / (1 - r) - count * power) / (1 - r)


class SoftStaircase(PhysicalLayer):
    r"""The staircase quantizer of past class projects: soft in ``train()``, a true converter in ``eval()``.

    .. math::
        \text{train: } y = Q(\alpha x)/K, \qquad
        \text{eval: } y = \lfloor \mathrm{clip}(\alpha x, 0, K) + 1/2 \rfloor / K, \quad K = 2^b - 1

    Surrogate: the exact derivative of :func:`soft_staircase` in ``train()``; in ``eval()`` straight-through,
    slope :math:`\alpha/K` inside the range. Log the gap between both: it is what the network learned to
    read through the soft steps and no hardware will show it. :class:`physlayer.BitDepth` has no such gap.

    Args:
        bits: 1…16.
        gain_codes: :math:`\alpha`, codes per full scale; ``None`` for a learned one that starts at K.
        sharpness: :math:`\psi` per code; 10 in the projects.

    Shape:
        ``(B, C, H, W)`` to the same.

    Example:
        >>> layer = SoftStaircase(2).eval()
        >>> layer(torch.tensor([0.1, 0.4, 0.9]).view(1, 1, 1, 3)).flatten()
        tensor([0.0000, 0.3333, 1.0000], grad_fn=<ViewBackward0>)
    """

    def __init__(self, bits: int, gain_codes: float | Tensor | nn.Parameter | None = None, *, sharpness: float = 10.0):
        super().__init__()
        self.bits = check_bits(bits)
        self.top_code = 2**self.bits - 1
        self.sharpness = plain_number("sharpness", sharpness, 0.01, 1e6)
        gain_codes = nn.Parameter(torch.tensor(float(self.top_code))) if gain_codes is None else gain_codes
        one_number("gain_codes", gain_codes, "BitDepth has maps")
        self.register_physical("gain_codes", gain_codes, unit="codes per full scale", low=0.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        u = self.gain_codes * x
        if self.training:
            return soft_staircase(u, self.top_code, self.sharpness) / self.top_code
        inside = u.clamp(0, self.top_code)
        return nearest_code(inside, self.top_code) / self.top_code + (inside - inside.detach()) / self.top_code

    def codes(self, x: Tensor) -> Tensor:
        """Integer codes, int64, 0 … 2^bits − 1."""
        check_images(x, full=True)
        return nearest_code(self.gain_codes * x, self.top_code).to(torch.int64)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        return super().cost(shape) | {"bits_per_image": self.bits * math.prod(shape)}

    def settings(self) -> dict:
        return {"bits": self.bits, "sharpness": self.sharpness}
