"""Several low-resolution cameras that look at one scene, each shifted by a part of a pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import one_of, plain_number
from physlayer.pixels.area_sampling import collect_area
from physlayer.pixels.binning import READINGS, check_fill, pixel_edges, pixels_along

__all__ = ["CameraArray", "lattice_shifts"]


def lattice_shifts(cameras: int) -> Tensor:
    r"""Shifts ``(n, 2)`` on a square lattice, in pixels of one camera: the optimum for reconstruction if n is a square.

    .. math:: \delta = (i/s, k/s), \quad 0 \le i, k < s = \sqrt n

    Raises:
        ValueError: if ``cameras`` is not a square number.

    Example:
        >>> lattice_shifts(4)
        tensor([[0.0000, 0.0000],
                [0.0000, 0.5000],
                [0.5000, 0.0000],
                [0.5000, 0.5000]])
    """
    side = round(cameras**0.5)
    if side * side != cameras:
        raise ValueError(f"Expected cameras to be a square number, but got {cameras}; give shifts of your own.")
    steps = torch.arange(side) / side
    return torch.cartesian_prod(steps, steps).view(-1, 2)


class CameraArray(PhysicalLayer):
    r"""``n`` cameras of ``factor`` times larger pixels with sub-pixel shifts, as channels.

    .. math::
        y_k = \frac{1}{|A|}\int_{A_j + \delta_k} x\,dA, \qquad k = 1 \dots n

    The scene goes on circularly beyond its border. Identical cameras have identical gradients: start learned shifts
    apart. Equal pixels means :math:`n/\mathrm{factor}^2` samples per scene pixel; equal photons means a
    ``share_aperture`` of 1/n for each camera.

    Args:
        shifts: :math:`\delta`, ``(n, 2)`` rows and columns, in pixels of one camera; ``nn.Parameter`` learns them.
        factor: scene pixels per camera pixel along each axis, any ratio as in :class:`physlayer.PixelBinning`.
        fill_factor: share of a pixel's area that is sensitive.
        share_aperture: the cameras share one aperture, so each gets 1/n of the light.
        reading: ``"mean"`` or ``"light"``, as in :class:`physlayer.PixelBinning`.

    Shape:
        ``(B, C, H, W)`` to ``(B, n C, H', W')``, the channels of a camera beside each other.

    References:
        Papoulis 1977, doi:10.1109/TCS.1977.1084284; Robinson & Milanfar 2006, doi:10.1109/TIP.2006.871079.

    Example:
        >>> CameraArray(lattice_shifts(4), factor=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 12, 4, 4])
    """

    def __init__(
        self,
        shifts: Tensor | nn.Parameter,
        *,
        factor: float,
        fill_factor: float | Tensor | nn.Parameter = 1.0,
        share_aperture: bool = False,
        reading: str = "mean",
    ):
        super().__init__()
        self.reading = one_of("reading", reading, READINGS)
        if not isinstance(shifts, Tensor) or shifts.ndim != 2 or shifts.shape[1] != 2:
            raise ValueError("Expected shifts to be (n, 2), rows and columns for each camera; use lattice_shifts(n).")
        self.factor = plain_number("factor", factor, 1, 1e4)
        self.share_aperture = bool(share_aperture)
        check_fill(fill_factor)
        self.register_physical("shifts", shifts, unit="camera pixel")
        self.register_physical("fill_factor", fill_factor, unit="1", low=0.0, high=1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        _, channels, height, width = x.shape
        _, rows, columns = self.output_shape((channels, height, width))
        fill = self.fill_factor.to(x.dtype).reshape(()).sqrt()
        readings = []
        for down, right in self.shifts.to(x.dtype):
            edges = pixel_edges(height, rows, fill, down), pixel_edges(width, columns, fill, right)
            readings.append(collect_area(x, *edges, circular=True))
        sensitive = fill**2 if self.reading == "mean" else 1.0
        light = torch.cat(readings, 1) / (sensitive * (height / rows) * (width / columns))
        return light / len(self.shifts) if self.share_aperture else light

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        height, width = (pixels_along(side, self.factor) for side in shape[1:])
        return len(self.shifts) * shape[0], height, width

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        light = float(self.fill_factor.detach()) if self.reading == "light" else 1.0
        return super().cost(shape) | {"transmission": light / (len(self.shifts) if self.share_aperture else 1)}

    def settings(self) -> dict:
        return {"factor": self.factor, "share_aperture": self.share_aperture, "reading": self.reading}
