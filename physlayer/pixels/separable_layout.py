"""Pixels of different sizes: rows and columns whose widths are learned, the sensor's area conserved."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import image_size, one_of
from physlayer.pixels.area_sampling import collect, collect_area
from physlayer.pixels.binning import READINGS

__all__ = ["PixelLayout", "layout_edges"]

NARROWEST = 1e-4  # scene pixels: far below what a reading can resolve


def layout_edges(shares: Tensor, size: int) -> Tensor:
    r"""Edges of pixels that tile ``size`` scene pixels, ``(n + 1,)``, rising from 0 to ``size``.

    .. math:: b_j = \mathrm{size}\cdot\sum_{i<j} w_i

    Args:
        shares: :math:`w`, ``(n,)``, of sum 1. size: scene pixels along the axis.

    Example:
        >>> layout_edges(torch.full((4,), 0.25), 8)
        tensor([0., 2., 4., 6., 8.])
    """
    inner = shares.cumsum(0)[:-1] * size
    return torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), float(size))])


class PixelLayout(PhysicalLayer):
    r"""A sensor whose rows and columns have widths of their own: small pixels where detail matters.

    .. math::
        y_{jk} = \int_{A_{jk}} x\,dA, \qquad \sum_{jk} |A_{jk}| = HW

    Exact in ``train()`` and ``eval()`` alike, :math:`\partial y_j/\partial b = x(b)` at the edges; light is
    conserved for any widths.

    Args:
        rows, columns: log :math:`\theta` of the relative widths, ``(n,)``, unit 1; ``nn.Parameter`` learns them, zeros
            are equal. The attributes ``rows`` and ``columns`` are the widths :math:`\mathrm{softmax}(\theta)` as shares
            of the sensor, :math:`\theta` is in ``row_logits`` and ``column_logits``.
        reading: ``"mean"`` light per area, as an image; ``"light"`` collected by each pixel in units of the mean
            pixel's area, which a :class:`physlayer.Sensor` behind turns into the right number of photons (its dark
            current is per pixel, whatever the area).

    Shape:
        ``(B, C, H, W)`` to ``(B, C, n_rows, n_columns)``.

    References:
        Cheung et al. 2016, arXiv:1611.09430 (a fovea emerges); Marin et al. 2019, arXiv:1907.07156.

    Example:
        >>> layout = PixelLayout(torch.zeros(2), torch.zeros(4))
        >>> layout(torch.ones(1, 1, 8, 8)).shape, layout.rows
        (torch.Size([1, 1, 2, 4]), tensor([0.5000, 0.5000]))
        >>> nn.Sequential(layout, layout.decoder(size=(8, 8)))(torch.ones(1, 1, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    def __init__(self, rows: Tensor | nn.Parameter, columns: Tensor | nn.Parameter, *, reading: str = "mean"):
        super().__init__()
        for name, value in (("rows", rows), ("columns", columns)):
            if not isinstance(value, Tensor) or value.ndim != 1:
                raise ValueError(f"Expected {name} to be (n,), one number per pixel; use torch.zeros(n).")
        self.reading = one_of("reading", reading, READINGS)
        free = Quantity("row_logits"), Quantity("column_logits")
        self.register_physical("rows", rows, unit="share of the height", low=0.0, high=1.0, free=free[0])
        self.register_physical("columns", columns, unit="share of the width", low=0.0, high=1.0, free=free[1])

    @property
    def rows(self) -> Tensor:
        """Heights of the rows of pixels as shares of the sensor's, ``(n,)``."""
        return torch.softmax(self.row_logits, 0)

    @property
    def columns(self) -> Tensor:
        """Widths of the columns of pixels as shares of the sensor's, ``(n,)``."""
        return torch.softmax(self.column_logits, 0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        (height, width), count = x.shape[2:], (len(self.row_logits), len(self.column_logits))
        if count[0] > height or count[1] > width:
            raise ValueError(
                f"Expected at most as many pixels as the scene's {height}×{width}, but got {count[0]}×{count[1]}."
            )
        rows, columns = layout_edges(self.rows, height).to(x.dtype), layout_edges(self.columns, width).to(x.dtype)
        light = collect_area(x, (rows[:-1], rows[1:]), (columns[:-1], columns[1:]))
        if self.reading == "light":
            return light / (height * width / (count[0] * count[1]))
        # a softmax may leave a pixel no width at all: it then reads nothing
        return light / (rows.diff().clamp(min=NARROWEST)[:, None] * columns.diff().clamp(min=NARROWEST))

    def decoder(self, *, size: tuple[int, int]) -> nn.Module:
        """A digital step for the end of the camera: every scene pixel shows the pixel that its middle lies in.

        The reading alone is a picture bent by the layout; spread out, features stand where they are in the scene. A
        pixel narrower than a scene pixel may lie between two middles and never be shown. Gradients reach the widths
        through the places as well as through the light; surrogate for the places: the share of each scene pixel that
        lies in each sensor pixel, whose gradient is exact.

        Args:
            size: ``(H, W)`` of the scene.
        """
        return _Spread(self, size)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape[0], len(self.row_logits), len(self.column_logits)

    def settings(self) -> dict:
        return {"reading": self.reading}


class _Spread(nn.Module):
    """Shows a layout's readings at their places in the scene; the widths stay the layout's own."""

    def __init__(self, layout: PixelLayout, size: tuple[int, int]):
        super().__init__()
        self.size = image_size(size)
        self._layout = (layout,)  # in a tuple, so that torch does not count its parameters twice

    def forward(self, y: Tensor) -> Tensor:
        layout = self._layout[0]
        shares = layout.rows, layout.columns
        if tuple(y.shape[2:]) != (len(shares[0]), len(shares[1])):
            raise ValueError(
                f"Expected y to have {len(shares[0])}×{len(shares[1])} pixels, but got {tuple(y.shape[2:])}; "
                "the decoder belongs to this layout."
            )
        edges = [layout_edges(share, size) for share, size in zip(shares, self.size, strict=True)]
        rows, columns = (
            torch.searchsorted(edge.detach()[1:-1], torch.arange(size, device=y.device) + 0.5)
            for edge, size in zip(edges, self.size, strict=True)
        )
        shown = y.index_select(2, rows).index_select(3, columns)
        if not any(edge.requires_grad for edge in edges):
            return shown
        height, width = (
            collect(torch.eye(size, device=y.device, dtype=y.dtype), edge[:-1].to(y.dtype), edge[1:].to(y.dtype))
            for edge, size in zip(edges, self.size, strict=True)
        )
        soft = height @ y.detach() @ width.T
        return shown + (soft - soft.detach())
