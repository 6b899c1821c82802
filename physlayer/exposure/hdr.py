"""High dynamic range: exposures that differ from pixel to pixel or from frame to frame, and their merge.

The scene's brightest light is 1 here as everywhere; let the exposure behind (``Exposure(64.0)``, or a sensor's
``exposure_photons``) saturate it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import SaturatingSensor
from physlayer.core.validation import Accepts, above_zero

__all__ = ["ExposureBracket", "ExposureMosaic", "dynamic_range_db", "merge_exposures"]


def dynamic_range_db(full_well: float, read_noise: float, transmissions: Tensor) -> float:
    r"""Dynamic range with several exposures, :math:`20\log_{10}\frac{N_\mathrm{fw}}{\sigma_r}
    + 20\log_{10}\frac{e_\max}{e_\min}`, in dB.

    Args:
        full_well, read_noise: electrons. transmissions: :math:`e`, relative exposures, unit 1.

    Example:
        >>> base = dynamic_range_db(10_000.0, 5.0, torch.ones(1))
        >>> round(dynamic_range_db(10_000.0, 5.0, torch.tensor([1, 1 / 4, 1 / 16, 1 / 64])) - base, 2)
        36.12
    """
    return 20 * math.log10(full_well / read_noise) + 20 * math.log10(float(transmissions.max() / transmissions.min()))


def merge_exposures(
    y: Tensor,
    transmission: Tensor,
    window: int,
    saturation: float | Tensor = 1.0,
    black: float | Tensor = 0.0,
    period: tuple[int, int] | None = None,
) -> Tensor:
    r"""Scene from a mosaic of exposures: inverse-variance mean of :math:`y/e` over unsaturated neighbours.

    .. math::
        \hat x(u) = \frac{\sum_{v \in W(u)} s(v)\,(y(v) - y_0)}{\sum_{v \in W(u)} s(v)\,e(v)}, \qquad
        s = [y < y_\mathrm{sat}]

    For photon noise the variance of :math:`y/e` is proportional to :math:`1/e`, so the weighted mean is the ratio of
    the sums. Where all neighbours are saturated, the darkest of them gives the lower bound :math:`1/e`.

    Args:
        y: reading, ``(B, C, H, W)``. transmission: :math:`e`, ``(H, W)``. window: side of :math:`W`, an odd number or
            the tile's. saturation: :math:`y_\mathrm{sat}`, the reading of a full pixel.
        black: :math:`y_0`, the reading without light. Both: a number or ``(C, 1, 1)``.
        period: of the tile along rows and columns, by whole ones of which the mosaic goes on beyond its border, so
            that a window there meets every filter; ``None`` for that of the window.

    Example:
        >>> e = torch.tensor([[1.0, 0.25], [0.25, 1.0]])
        >>> merge_exposures((2 * e).clamp(max=1)[None, None], e, window=2)
        tensor([[[[2., 2.],
                  [2., 2.]]]])
    """
    seen = (y < saturation).to(y.dtype)
    y = y - black
    weight = transmission.to(y.dtype).expand_as(y)
    rows, columns = (
        _beyond(side, window, step).to(y.device)
        for side, step in zip(y.shape[2:], period or (window, window), strict=True)
    )

    def windowed(values: Tensor, pool) -> Tensor:
        return pool(values.index_select(2, rows).index_select(3, columns), window, stride=1)

    light, exposure = windowed(seen * y, F.avg_pool2d), windowed(seen * weight, F.avg_pool2d)
    bound = windowed(y / weight, F.max_pool2d)
    return torch.where(exposure > 0, light / exposure.clamp(min=1e-12), bound)


def _beyond(size: int, window: int, period: int) -> Tensor:
    """Indices along an axis, and beyond both ends as far as a window reaches, moved inside by whole periods."""
    place = torch.arange(-((window - 1) // 2), size + window // 2)
    inside = torch.where(place < 0, place % period, place)
    over = (inside - size) // period + 1
    return torch.where(inside >= size, inside - over * period, inside).clamp(0, size - 1)


class ExposureMosaic(PhysicalLayer):
    r"""Neutral-density filters in a repeating tile: neighbouring pixels see the scene at different exposures.

    .. math:: y(u) = e(u \bmod P)\, x(u), \qquad 0 < e \le 1

    The tile's origin is the upper left pixel. A sensor saturates behind it; :meth:`decoder` merges what it reads.

    Args:
        tile: :math:`e`, ``(P, Q)``, unit 1, 0…1; ``nn.Parameter`` learns it (start with different
            filters: equal ones have equal gradients and stay equal).

    Shape:
        ``(B, C, H, W)`` to the same.

    References:
        Nayar & Mitsunaga 2000, doi:10.1109/CVPR.2000.855857; Martel et al. 2020, doi:10.1109/TPAMI.2020.2986944.

    Example:
        >>> from physlayer import Exposure
        >>> mosaic = ExposureMosaic(torch.tensor([[1.0, 0.25], [0.0625, 0.25]]))
        >>> camera = nn.Sequential(mosaic, Exposure(4.0), mosaic.decoder())
        >>> camera(torch.full((1, 1, 4, 4), 0.9)).shape
        torch.Size([1, 1, 4, 4])
    """

    accepts = Accepts(low=0.0)

    def __init__(self, tile: Tensor | nn.Parameter):
        super().__init__()
        if not isinstance(tile, Tensor) or tile.ndim != 2:
            raise ValueError("Expected tile to be (P, Q), one transmission per pixel of the pattern.")
        self.register_physical("tile", tile, unit="1", low=0.0, high=1.0)
        above_zero("tile", tile, "a pixel behind such a filter sees nothing")

    def transmission(self, height: int, width: int) -> Tensor:
        """Transmission of every pixel, ``(H, W)``."""
        rows, columns = self.tile.shape
        return self.tile.repeat(-(-height // rows), -(-width // columns))[:height, :width]

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x * self.transmission(*x.shape[2:])

    def decoder(self, *, sensor: SaturatingSensor | None = None) -> nn.Module:
        """A digital step for the end of the camera that merges the exposures with the same tile.

        Args:
            sensor: the sensor between, whose black level and saturation it takes; without one, 0 and 1.
        """
        return _Decoder(self, sensor)

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        light = float(self.transmission(*shape[1:]).detach().mean())
        return super().cost(shape) | {"transmission": light}


class _Decoder(nn.Module):
    """Merges a mosaic's exposures; tile, black level and saturation stay the camera's own."""

    def __init__(self, mosaic: ExposureMosaic, sensor: SaturatingSensor | None):
        super().__init__()
        self._camera = (mosaic, sensor)  # in a tuple, so that torch does not count their parameters twice

    def forward(self, y: Tensor) -> Tensor:
        mosaic, sensor = self._camera
        alike = bool((mosaic.tile == mosaic.tile.flatten()[0]).all())  # nothing to merge: a window would only blur
        window, tile = 1 if alike else max(mosaic.tile.shape), mosaic.transmission(*y.shape[2:])
        period = mosaic.tile.shape[0], mosaic.tile.shape[1]
        if sensor is None:
            return merge_exposures(y, tile, window, period=period)
        # a hair below, because a code and its reading differ by a rounding of float32
        saturation, black = sensor.saturation_reading().detach() * (1 - 1e-6), sensor.black_reading()
        return merge_exposures(y, tile, window, saturation, black, period)


class ExposureBracket(PhysicalLayer):
    r"""The same scene at several exposures, one after the other, as channels: :math:`y_k = e_k x`.

    Args:
        factors: :math:`e`, ``(n,)``, unit 1, above 0; ``nn.Parameter`` learns their logarithms.

    Shape:
        ``(B, C, H, W)`` to ``(B, n C, H, W)``, the channels of an exposure beside each other.

    References:
        Debevec & Malik 1997, doi:10.1145/258734.258884.

    Example:
        >>> ExposureBracket(torch.tensor([1.0, 4.0]))(torch.ones(1, 3, 2, 2)).shape
        torch.Size([1, 6, 2, 2])
    """

    accepts = Accepts(low=0.0)

    def __init__(self, factors: Tensor | nn.Parameter):
        super().__init__()
        if not isinstance(factors, Tensor) or factors.ndim != 1:
            raise ValueError("Expected factors to be (n,), one per exposure; use torch.tensor([1.0, 4.0]).")
        self.register_physical("factors", factors, unit="1", low=0.0, logarithmic=True)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return (x[:, None] * self.factors[:, None, None, None]).flatten(1, 2)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return len(self.factors) * shape[0], *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        return super().cost(shape) | {"transmission": float(self.factors.detach().mean())}
