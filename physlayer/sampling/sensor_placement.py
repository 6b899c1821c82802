"""Few sensors: which k of the N pixels are read."""

from __future__ import annotations

import math

from torch import Tensor, nn

from physlayer.sampling.subset_layer import SubsetLayer

__all__ = ["SensorPlacement"]


class SensorPlacement(SubsetLayer):
    r"""Read ``keep`` of the pixels and nothing of the others.

    .. math::
        y = m \odot (x - r), \qquad m = \mathrm{TopK}_k(\phi + g) \in \{0, 1\}^{H \times W}

    In ``train()`` the Gumbel noise :math:`g` is fresh for every image, so the network meets many masks; in ``eval()``
    there is none: exactly ``keep`` pixels, the same for all images and channels, and nothing of the others leaks.
    With :math:`r` the mean scene, 0 is the best guess for a pixel that is not read. With :math:`r = 0` such a pixel
    looks black, and few places are harder to learn.
    Surrogate gradient: :func:`physlayer.core.subset.choose`.

    Args:
        logits: :math:`\phi`, ``(H, W)``, unit 1; ``nn.Parameter`` to learn the places, a plain 0/1 map with ``keep``
            ones for given places.
        keep: :math:`k`, pixels that are read.
        reference: :math:`r`, with which a reading is compared, a number, ``(C, 1, 1)``, ``(H, W)`` or ``(C, H, W)``,
            unit 1 (share of full scale).
        temperature: of the surrogate, unit 1. gumbel: ``False`` for no noise in ``train()``.
        noise_seed: of the Gumbel noise.

    Shape:
        ``(B, C, H, W)`` to the same; pixels that are not read are 0.

    Raises:
        ValueError: if the map does not fit the image or ``keep`` is not in 1…HW.

    References:
        Huijben et al. 2020, ICLR (deep probabilistic subsampling).

    Example:
        >>> import torch
        >>> layer = SensorPlacement(nn.Parameter(torch.tensor([[0.1, 2.0], [1.0, 0.0]])), keep=2).eval()
        >>> layer.mask.detach()
        tensor([[0., 1.],
                [1., 0.]])
    """

    def __init__(
        self,
        logits: Tensor | nn.Parameter,
        *,
        keep: int,
        reference: float | Tensor | nn.Parameter = 0.0,
        temperature: float = 2.0,
        gumbel: bool = True,
        noise_seed: int = 0,
    ):
        super().__init__()
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            raise ValueError("Expected logits to be a map (H, W), one number per pixel; use 0.5 * torch.randn(H, W).")
        self.register_choice(logits, keep, temperature=temperature, gumbel=gumbel, noise_seed=noise_seed)
        self.register_physical("reference", reference, unit="1")

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        if tuple(x.shape[2:]) != tuple(self.logits.shape):
            height, width = self.logits.shape
            raise ValueError(f"Expected images of {height}×{width} pixels, but got {x.shape[2]}×{x.shape[3]}.")
        return (x - self.sized("reference", x.shape)) * self.masks(x)[:, None]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        return super().cost(shape) | {"n_samples": self.keep * math.prod(shape) // math.prod(shape[1:])}
