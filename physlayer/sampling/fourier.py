"""Magnetic resonance: which columns or points of k-space are measured."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.validation import one_of
from physlayer.sampling.subset_layer import SubsetLayer

__all__ = ["FourierSampling", "centre", "equispaced", "to_image", "to_kspace"]

OUTPUTS = ("magnitude", "complex")


def to_kspace(x: Tensor) -> Tensor:
    """Orthonormal k-space of images, zero frequency in the middle (index ``n // 2``), over the last two axes."""
    return torch.fft.fftshift(torch.fft.fft2(x, norm="ortho"), (-2, -1))


def to_image(k: Tensor) -> Tensor:
    """Complex image of a k-space with its zero frequency in the middle: the inverse of :func:`to_kspace`.

    Example:
        >>> import torch
        >>> x = torch.rand(1, 1, 5, 6)
        >>> bool((to_image(to_kspace(x)).real - x).abs().max() < 1e-6)
        True
    """
    return torch.fft.ifft2(torch.fft.ifftshift(k, (-2, -1)), norm="ortho")


def centre(size: int, count: int) -> Tensor:
    """The ``count`` lowest frequencies of ``size``, zeros and ones.

    Example:
        >>> centre(8, 3)
        tensor([0., 0., 0., 1., 1., 1., 0., 0.])
    """
    places = (torch.arange(size) - size // 2).abs() + 1e-3 * (torch.arange(size) > size // 2)
    return torch.zeros(size).index_fill(0, places.argsort()[:count], 1.0)


def equispaced(size: int, count: int, always_on: Tensor | None = None) -> Tensor:
    """``count`` lines of ``size`` as evenly as they go, the always-measured ones among them.

    Example:
        >>> equispaced(8, 4)
        tensor([1., 0., 1., 0., 1., 0., 1., 0.])
    """
    mask = torch.zeros(size) if always_on is None else always_on.clone().float()
    free = (mask == 0).nonzero().flatten()
    missing = count - int(mask.sum())
    chosen = free[(torch.arange(missing) * len(free) / max(missing, 1)).long()]
    return mask.index_fill(0, chosen, 1.0)


class FourierSampling(SubsetLayer):
    r"""Measure ``keep`` columns (or points) of k-space and show the zero-filled image.

    .. math::
        y = |F^{-1}\{m \odot F x\}|, \qquad m = \mathrm{TopK}_k(\phi + g), \quad \textstyle\sum m = k

    The number of measured columns is exact in ``train()`` and ``eval()`` alike; Gumbel noise :math:`g` and the
    surrogate gradient are those of :class:`physlayer.SensorPlacement`.

    Args:
        logits: :math:`\phi`, ``(W,)`` for columns or ``(H, W)`` for points, zero frequency in the middle, unit 1;
            ``nn.Parameter`` to learn, a plain 0/1 mask with ``keep`` ones for a given choice.
        keep: :math:`k`, columns or points that are measured, those of ``always_on`` among them.
        always_on: 0/1 of the same shape: measured whatever the logits, such as :func:`centre`.
        output: ``"magnitude"``, or ``"complex"``: real and imaginary part as twice the channels.
        temperature, gumbel, noise_seed: as in :class:`physlayer.SensorPlacement`.

    Shape:
        ``(B, C, H, W)`` to the same, or to ``(B, 2C, H, W)``.

    Raises:
        ValueError: if the mask does not fit the image, or ``keep`` is too small for ``always_on``.

    References:
        Bahadir et al. 2020, arXiv:1907.11374 (LOUPE); Huijben et al. 2020, ICLR.

    Example:
        >>> import torch
        >>> layer = FourierSampling(nn.Parameter(torch.zeros(16)), keep=4, always_on=centre(16, 2)).eval()
        >>> int(layer.mask.detach().sum()), layer(torch.rand(1, 1, 16, 16)).shape
        (4, torch.Size([1, 1, 16, 16]))
    """

    def __init__(
        self,
        logits: Tensor | nn.Parameter,
        *,
        keep: int,
        always_on: Tensor | None = None,
        output: str = "magnitude",
        temperature: float = 2.0,
        gumbel: bool = True,
        noise_seed: int = 0,
    ):
        super().__init__()
        if not isinstance(logits, Tensor) or logits.ndim not in (1, 2):
            raise ValueError("Expected logits to be (W,) for columns or (H, W) for points of k-space.")
        self.output = one_of("output", output, OUTPUTS)
        self.register_choice(
            logits, keep, always_on=always_on, temperature=temperature, gumbel=gumbel, noise_seed=noise_seed
        )

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if tuple(x.shape[4 - self.logits.ndim :]) != tuple(self.logits.shape):
            raise ValueError(
                f"Expected logits to have the shape of k-space, but got {tuple(self.logits.shape)} for images of "
                f"{x.shape[2]}×{x.shape[3]}."
            )
        masks = self.masks(x)
        masks = masks.reshape(len(masks), 1, *((1,) * (2 - self.logits.ndim)), *self.logits.shape)
        image = to_image(masks * to_kspace(x))
        return image.abs() if self.output == "magnitude" else torch.cat([image.real, image.imag], 1)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return (2 * shape[0] if self.output == "complex" else shape[0]), *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        measured = self.keep * math.prod(shape) // self.logits.numel()
        # a complex sample that is handed on as such is two numbers
        return super().cost(shape) | {"n_samples": 2 * measured if self.output == "complex" else measured}

    def settings(self) -> dict:
        return super().settings() | {"output": self.output}
