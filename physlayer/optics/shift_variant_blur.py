"""Layers whose blur changes over the field: kernels at nodes, kernels with weight maps, a map of Gaussian widths."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import one_of, plain_number
from physlayer.optics.blur import TRUNCATE, gaussian_kernel
from physlayer.optics.convolution import BORDERS, bordered
from physlayer.optics.nodes import from_nodes, node_weights
from physlayer.optics.shift_variant_convolution import gather, scatter

__all__ = ["GaussianBlurMap", "ShiftVariantBlur"]

MODELS = {"scatter": scatter, "gather": gather}
MATRICES = 64  # pixels along a side: up to here products with matrices are faster than transforms
FIRST_WIDTH = 0.3  # pixels: below, a sampled Gaussian is the identity to half a percent


class _BlurField(PhysicalLayer):
    """What the layers share: the model, the border, and the sum of convolutions."""

    def __init__(self, model: str, border: str):
        super().__init__()
        self.model, self.border = one_of("model", model, MODELS), one_of("border", border, BORDERS)

    def bank(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Kernels ``(R, h, w)`` and their weights ``(R, H, W)`` for images of ``size = (H, W)``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.blurred(x)

    def blurred(self, x: Tensor) -> Tensor:
        """What :meth:`forward` gives, for images that were checked."""
        kernels, weights = self.bank((x.shape[2], x.shape[3]))
        return MODELS[self.model](x, kernels, weights, border=self.border)

    def settings(self) -> dict:
        return {"model": self.model, "border": self.border}


class ShiftVariantBlur(_BlurField):
    r"""A point spread function that changes over the field, as a sum of kernels with weight maps.

    .. math:: y = \sum_r b_r * (w_r\,x)\ \text{(scatter)}, \qquad y = \sum_r w_r\,(b_r * x)\ \text{(gather)},
        \qquad b_r \ge 0,\ \textstyle\sum b_r = 1,\quad w_r \ge 0,\ \sum_r w_r = 1

    Two forms: *interpolated*, without weights, takes the point spread functions at a grid of nodes and mixes the four
    around every pixel; *low-rank* takes R kernels and says at coarse nodes how much of each there is. Kernels are
    divided by their sum and weights by their sum over r, and learned ones move as logarithms, which is a softmax over
    the pixels of a kernel and over the kernels at a node. Start learned kernels differently, equal ones stay equal.
    Nothing but a constraint behind it (fewer pixels, noise, a privacy budget) makes a blur worth having: without
    one the best blur is none.

    Args:
        kernels: :math:`b_r`, unit 1, of odd size: ``(P, Q, h, w)`` at nodes (see :func:`.node_weights`), or
            ``(R, h, w)`` with ``weights``. ``nn.Parameter`` learns them (start above 0).
        weights: :math:`w_r` at coarse nodes ``(R, P, Q)``, unit 1; ``nn.Parameter`` learns them (start above 0).
        model: ``"scatter"``: object-side, each point of the object spreads its light, an imaging lens;
            ``"gather"``: detector-side, each pixel collects with its own kernel.
        border: ``"reflect"``, ``"circular"`` or ``"zero"``.

    Shape:
        ``(B, C, H, W)`` to the same, of any size; nodes span the image.

    Raises:
        ValueError: for a negative or all-zero kernel, other shapes, an unknown model or border.

    References:
        Nagy and O'Leary 1998, doi:10.1137/S106482759528507X (interpolated); Denis et al. 2015,
        doi:10.1007/s11263-015-0817-x (both models, low rank).

    Example:
        >>> sharp_to_soft = torch.tensor([[[[0.0, 1, 0]], [[1.0, 2, 1]]]])  # (1, 2, 1, 3): left and right node
        >>> layer = ShiftVariantBlur(sharp_to_soft, model="gather")
        >>> layer(torch.tensor([[[[1.0, 0, 0, 0, 1]]]])).flatten()
        tensor([1.0000, 0.0625, 0.0000, 0.1875, 0.7500])
        >>> layer
        ShiftVariantBlur(model='gather', border='reflect', kernels=1×2×1×3 from 0 to 1 (fixed))
    """

    def __init__(
        self,
        kernels: Tensor | nn.Parameter,
        weights: Tensor | nn.Parameter | None = None,
        *,
        model: str = "scatter",
        border: str = "reflect",
    ):
        super().__init__(model, border)
        wanted = "(P, Q, h, w) at nodes" if weights is None else "(R, h, w) beside weights"
        if not isinstance(kernels, Tensor) or kernels.ndim != (4 if weights is None else 3):
            raise ValueError(f"Expected kernels to be {wanted}, but got {_shape(kernels)}.")
        if kernels.shape[-2] % 2 == 0 or kernels.shape[-1] % 2 == 0:
            raise ValueError(f"Expected kernels of odd size, but got {_shape(kernels)}; add a row or column of zeros.")
        if weights is not None and (
            not isinstance(weights, Tensor) or weights.ndim != 3 or len(weights) != len(kernels)
        ):
            raise ValueError(f"Expected weights to be ({len(kernels)}, P, Q), but got {_shape(weights)}.")
        free = Quantity("unscaled_kernels", low=0.0), Quantity("unscaled_weights", low=0.0)
        self.register_physical("kernels", kernels, unit="1", low=0.0, high=1.0, logarithmic=True, free=free[0])
        _require_light(self.unscaled_kernels, (-2, -1), "every kernel")
        if weights is not None:
            self.register_physical("weights", weights, unit="1", low=0.0, high=1.0, logarithmic=True, free=free[1])
            _require_light(self.unscaled_weights, (0,), "the kernels at every node")

    @property
    def kernels(self) -> Tensor:
        """The kernels of the hardware, each of sum 1, ``(P, Q, h, w)`` or ``(R, h, w)``."""
        return _share(self.unscaled_kernels, (-2, -1))

    @property
    def weights(self) -> Tensor:
        """How much of each kernel there is at every node, of sum 1 over the kernels, ``(R, P, Q)``."""
        return _share(self.unscaled_weights, (0,))

    def bank(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        kernels = self.kernels
        if "weights" in self.quantities:
            return kernels, from_nodes(self.weights, size)
        return kernels.flatten(0, 1), node_weights((kernels.shape[0], kernels.shape[1]), size, like=kernels)


class GaussianBlurMap(_BlurField):
    r"""Gaussian blur whose width is a map over the field: field curvature, tilt, a focus of one's own choice.

    .. math:: h(\cdot;\,v) = \sum_k w_k(\sigma_v)\,g_{s_k}, \qquad \sum_k w_k = 1,\quad \sum_k w_k\,s_k^2 = \sigma_v^2

    Instead of one kernel per node the Gaussians of a few fixed widths :math:`s_k` are mixed, the two next to
    :math:`\sigma_v`, linearly in the variance. So the point spread function at every pixel is non-negative, of sum 1
    and of the variance asked for (within 2 % from 0.65 pixels; below, a sampled Gaussian is narrower than its σ); its
    shape is within 8 % of the Gaussian (relative 2-norm, ten widths up to 3 pixels; more widths are closer and cost
    two transforms each). Between two widths the gradient of σ is that of the mixture. As in
    :class:`~physlayer.optics.blur.Blur` σ has hardly a gradient near 0: start at 0.5 pixels or more.

    Args:
        sigma_pixels: :math:`\sigma` at nodes ``(P, Q)`` that span the image (see :func:`.node_weights`), pixels;
            ``nn.Parameter`` learns it, between 0 and ``radius / 4``.
        radius: reach of the kernels, pixels, at least :math:`4\sigma`. widths: how many, 0 and the largest among them.
        model, border: see :class:`ShiftVariantBlur`.

    Shape:
        ``(B, C, H, W)`` to the same, of any size.

    Raises:
        ValueError: if σ is no grid, negative or more than a quarter of the radius, for an unknown model or border.

    References:
        Denis et al. 2015, doi:10.1007/s11263-015-0817-x (interpolation between point spread functions).

    Example:
        >>> layer = GaussianBlurMap(torch.tensor([[0.0, 1.5]]))
        >>> x = torch.zeros(1, 1, 1, 41)
        >>> x[..., 0] = x[..., 40] = 1.0
        >>> y = layer(x)[0, 0, 0]
        >>> [round(float(y[i]), 3) for i in (0, 1, 39, 40)]
        [1.0, 0.0, 0.318, 0.488]
    """

    def __init__(
        self,
        sigma_pixels: Tensor | nn.Parameter,
        *,
        radius: int = 12,
        widths: int = 10,
        model: str = "scatter",
        border: str = "reflect",
    ):
        super().__init__(model, border)
        if not isinstance(sigma_pixels, Tensor) or sigma_pixels.ndim != 2:
            raise ValueError(
                f"Expected sigma_pixels to be nodes (P, Q), but got {_shape(sigma_pixels)}; use torch.full((8, 8), σ)."
            )
        self.radius = plain_number("radius", radius, 2, 10_000, whole=True)
        self.widths = plain_number("widths", widths, 3, 1000, whole=True)
        self.register_physical("sigma_pixels", sigma_pixels, unit="pixels", low=0.0, high=self.radius / TRUNCATE)

    def mixture(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Profiles ``(R, 2 radius + 1)`` of the fixed Gaussians, and their weights ``(R, H, W)``."""
        sigma, largest = self.sigma_pixels, self.radius / TRUNCATE
        ratio = (largest / FIRST_WIDTH) ** (1 / (self.widths - 2))
        steps = [0.0, *(FIRST_WIDTH * ratio**k for k in range(self.widths - 1))]
        width = torch.tensor(steps, dtype=sigma.dtype, device=sigma.device)
        profile = gaussian_kernel(width, self.radius)
        variance, gaps = width.square(), width.square().diff()
        wanted = from_nodes(sigma, size).square()
        # rising from the width below, falling to the width above; no width lies beyond the ends
        rise = ((wanted - variance[:-1, None, None]) / gaps[:, None, None]).clamp(0, 1)
        weights = torch.cat([1 - rise[:1], rise[:-1] - rise[1:], rise[-1:]])
        return profile, weights

    def bank(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        profile, weights = self.mixture(size)
        return profile[:, :, None] * profile[:, None, :], weights

    def blurred(self, x: Tensor) -> Tensor:
        if max(x.shape[2:]) > MATRICES:
            return super().blurred(x)
        profile, weights = (value.to(x.dtype) for value in self.mixture((x.shape[2], x.shape[3])))
        return _by_matrices(self.model, x, profile, weights, self.border)

    def settings(self) -> dict:
        return {"radius": self.radius, "widths": self.widths, **super().settings()}


def _by_matrices(model: str, x: Tensor, profiles: Tensor, weights: Tensor, border: str) -> Tensor:
    """The sum over kernels that are products of two profiles: one matrix along each axis, border included."""
    rows, columns = (_blur_matrices(profiles, side, border) for side in x.shape[2:])
    total = torch.zeros_like(x)
    for weight, row, column in zip(weights, rows, columns, strict=True):  # one after the other: they stay in the cache
        if model == "scatter":
            total = total + row @ ((weight * x) @ column.mT)
        else:
            total = total + weight * (row @ (x @ column.mT))
    return total


def _blur_matrices(profiles: Tensor, side: int, border: str) -> Tensor:
    """What each pixel of a line of ``side`` collects from each, ``(R, side, side)``."""
    points = torch.eye(side, dtype=profiles.dtype, device=profiles.device)[:, None, None]
    seen = bordered(points, profiles.shape[1] // 2, 3, border)[:, 0]
    return F.conv1d(seen, profiles.flip(1)[:, None]).permute(1, 2, 0)


def _share(value: Tensor, axes: tuple[int, ...]) -> Tensor:
    return value / value.sum(axes, keepdim=True)


def _require_light(value: Tensor, axes: tuple[int, ...], what: str) -> None:
    if not bool((value.detach().sum(axes) > 0).all()):
        raise ValueError(f"Expected {what} to have a sum above 0, but got 0; there would be no light to share.")


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
