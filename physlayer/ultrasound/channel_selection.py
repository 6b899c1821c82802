"""The receive channels of an array that are digitised, and the weights of their sum."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.field import PARTS, field_of, parts_of
from physlayer.core.validation import Accepts, one_of
from physlayer.sampling.subset_layer import SubsetLayer

__all__ = ["ChannelSelection"]

INPUTS = ("field", "parts")


class ChannelSelection(SubsetLayer):
    r"""Weighted sums of k of N complex channels: one aperture, or several.

    .. math:: y_a = \sum_i m_{ai} w_{ai}\, x_i, \qquad \sum_{ai} m_{ai} = k, \quad 0 \le w \le 1

    The channels are delayed signals of single elements (in phase and quadrature), so their sum is a beam. A channel
    that serves two apertures counts twice. Exactly k are taken in ``train()`` and ``eval()`` alike, so that a sum
    cannot collapse to nothing; Gumbel noise and the surrogate gradient are those of :class:`physlayer.SensorPlacement`.

    Args:
        logits: ``(N,)``, or ``(A, N)`` for A apertures, unit 1; ``nn.Parameter`` learns the choice, a plain 0/1 map
            with ``keep`` ones is a given one.
        keep: :math:`k` of all :math:`A N` places.
        weights: :math:`w`, one number or of the shape of the logits, unit 1, 0…1; ``nn.Parameter`` learns them.
        input: ``"field"``, complex channels, or ``"parts"``: real parts and behind them imaginary parts, as twice the
            channels in and out.
        temperature, gumbel, noise_seed: as in :class:`physlayer.SensorPlacement`.

    Shape:
        ``(B, N, H, W)`` complex to ``(B, A, H, W)`` complex, or ``(B, 2N, H, W)`` real to ``(B, 2A, H, W)`` real.

    Raises:
        TypeError: for real images where a field is expected, or the reverse.
        ValueError: if the image has other channels than the logits, or weights another shape.

    References:
        Huijben et al. 2020, IEEE TMI 39:3955, doi:10.1109/TMI.2020.3008501.

    Example:
        >>> middle = torch.tensor([0.0, 1.0, 1.0, 0.0])
        >>> ChannelSelection(middle, keep=2)(torch.full((1, 4, 1, 1), 3 + 4j)).flatten()
        tensor([6.+8.j])
    """

    def __init__(
        self,
        logits: Tensor | nn.Parameter,
        *,
        keep: int,
        weights: float | Tensor | nn.Parameter = 1.0,
        input: str = "field",
        temperature: float = 2.0,
        gumbel: bool = True,
        noise_seed: int = 0,
    ):
        super().__init__()
        if not isinstance(logits, Tensor) or logits.ndim not in (1, 2):
            raise ValueError("Expected logits to be (N,) for one aperture or (A, N) for several.")
        if isinstance(weights, Tensor) and weights.shape not in ((), logits.shape):
            raise ValueError(
                f"Expected weights to be one number or {tuple(logits.shape)}, but got {tuple(weights.shape)}."
            )
        self.input = one_of("input", input, INPUTS)
        self.accepts = Accepts(complex=True) if input == "field" else PARTS
        self.register_choice(logits, keep, temperature=temperature, gumbel=gumbel, noise_seed=noise_seed)
        self.register_physical("weights", weights, unit="1", low=0.0, high=1.0)

    @property
    def apertures(self) -> int:
        """A."""
        return 1 if self.logits.ndim == 1 else len(self.logits)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        channels = self.logits.shape[-1]
        with torch.autocast(x.device.type, enabled=False):
            field = x if self.input == "field" else field_of(x)
            if field.shape[1] != channels:
                raise ValueError(f"Expected x to have {channels} channels, as the logits, but got {field.shape[1]}.")
            taken = self.masks(field.real) * self.weights
            taken = taken.view(-1, self.apertures, channels).to(field).expand(len(field), -1, -1)
            y = torch.einsum("ban,bnhw->bahw", taken, field)
            return y if self.input == "field" else parts_of(y)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return self.apertures * (1 if self.input == "field" else 2), *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        """Channels that are digitised, and their samples before they are summed."""
        digitised = self.keep * math.prod(shape[1:])
        return super().cost(shape) | {"channels": self.keep, "channel_samples": digitised}

    def settings(self) -> dict:
        return super().settings() | {"input": self.input}
