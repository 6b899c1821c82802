"""One bit depth for the whole sensor; gain and offset, and so the thresholds, fixed or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.validation import check_bits, one_of
from physlayer.quantization.converter import Converter
from physlayer.quantization.quantizers import Grid, midrise, midtread

__all__ = ["BitDepth", "effective_bits"]

CONVENTIONS = {"midtread": midtread, "midrise": midrise}


def effective_bits(
    bits: int, gain: Tensor, offset: Tensor, brightest: Tensor | float = 1.0, darkest: Tensor | float = 0.0
) -> Tensor:
    r"""Bits that a mid-tread pixel really uses when it sees nothing outside ``darkest…brightest``.

    .. math::
        b_\mathrm{eff} = \log_2(1 + n(x_\mathrm{hi}) - n(x_\mathrm{lo})), \qquad
        n(x) = \min(2^b - 1, \lfloor \max(g x + o, 0)(2^b - 1) + 1/2 \rfloor)

    Args:
        bits: bits of the converter.
        gain: :math:`g`, unit 1. offset: :math:`o`, full scale.
        brightest: :math:`x_\mathrm{hi}`, full scale. darkest: :math:`x_\mathrm{lo}`, full scale.

    Example:
        >>> effective_bits(4, torch.tensor(1 / 15), torch.tensor(0.0))
        tensor(1.)
    """
    steps = 2**bits - 1
    high, low = (
        torch.floor((gain * x + offset).clamp(min=0) * steps + 0.5).clamp(max=steps) for x in (brightest, darkest)
    )
    return torch.log2(1 + high - low)


class BitDepth(Converter):
    r"""Analogue gain and offset, then a converter of ``bits`` bits for the whole sensor.

    .. math::
        v = g x + o, \qquad \mathrm{code} = \mathrm{clip}(\lfloor v (2^b - 1) + 1/2 \rfloor, 0, 2^b - 1),
        \qquad y = \mathrm{code} / (2^b - 1)

    At one bit this is a threshold at :math:`x = (1/2 - o)/g`. With a map for ``gain`` and ``-threshold`` for
    ``offset`` it is the course's proposal, *multiply the intensity of each pixel by a weight, then max() as
    threshold*. Surrogate gradient: straight-through, slope 1 inside full scale and ``leak`` outside
    (:func:`.quantize`); forward is the hard staircase in ``train()`` too, so nothing leaks.

    Args:
        bits: 1…16.
        gain: :math:`g > 0`, unit 1: scalar, ``(C, 1, 1)``, ``(H, W)``, ``(1, H, W)`` or ``(C, H, W)``.
        offset: :math:`o` in full scales, same shapes. ``nn.Parameter`` makes either learned.
        size: ``(H, W)`` of the images if gain or offset are coarse grids, upsampled bilinearly.
        convention: ``"midtread"`` (levels at 0 and 1) or ``"midrise"`` (centres of 2^b bins).
        leak: slope of the surrogate outside full scale.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for bits outside 1…16, a map that does not fit the image, or a gain below 0.

    References:
        Bengio 2013, arXiv:1308.3432 (surrogate); EMVA 1288 Release 4.0 (converter).

    Example:
        >>> camera = BitDepth(2, gain=nn.Parameter(torch.ones(3, 1, 1)))
        >>> print(camera)  # doctest: +NORMALIZE_WHITESPACE
        BitDepth(bits=2, convention='midtread', gain=3×1×1 from 1 to 1 (learned, in (0, inf)),
                 offset=0 full scale (fixed))
        >>> camera.codes(torch.tensor([0.0, 0.3, 0.6, 1.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4))[0, 0]
        tensor([[0, 1, 2, 3]])
    """

    def __init__(
        self,
        bits: int,
        *,
        gain: float | Tensor | nn.Parameter = 1.0,
        offset: float | Tensor | nn.Parameter = 0.0,
        size: tuple[int, int] | None = None,
        convention: str = "midtread",
        leak: float = 0.01,
    ):
        super().__init__(gain, offset, size, leak)
        self.bits = check_bits(bits)
        self.convention = one_of("convention", convention, CONVENTIONS)

    def grid(self, x_shape: tuple[int, ...]) -> Grid:
        return CONVENTIONS[self.convention](self.bits)

    def mean_bits_per_sample(self) -> float:
        return self.bits

    def settings(self) -> dict:
        return {"bits": self.bits, "convention": self.convention} | super().settings()
