"""Pixels of any shape and size: a power diagram whose sites are learned, the sensor's area conserved."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import image_size, one_of, plain_number
from physlayer.pixels.binning import READINGS
from physlayer.pixels.power_diagram import cell_areas, cell_shares, collect_cells, power_distance, spread_cells
from physlayer.pixels.sites import reseed_sites

__all__ = ["PowerLayout"]


class PowerLayout(PhysicalLayer):
    r"""A sensor of ``n`` pixels whose shapes and sizes follow from their sites: small pixels where sites are dense.

    .. math::
        y_j = \frac{1}{A_j} \sum_{i:\,c(i) = j} x_i, \qquad
        c(i) = \arg\min_j \Bigl(\frac{|r_i - s_j|^2}{p^2} - \omega_j\Bigr), \qquad p^2 = \frac{HW}{n}

    Whole scene pixels are assigned, :math:`\sum_j A_j = HW`; light is conserved. The reading is the hardware's in
    ``train()`` and ``eval()`` alike, so nothing leaks between cells and nothing is lost when training ends. Surrogate:
    backward, :math:`c` is the soft assignment :math:`a_{ij} = \mathrm{softmax}_j(-\beta d_{ij})` of
    :func:`.cell_shares`, with :math:`d_{ij}` the bracket above and :math:`\beta = h\,p`, :math:`p` in
    scene pixels,

    .. math::
        \frac{\partial L}{\partial d_{ij}} := -\beta\,a_{ij}\Bigl(G_{ij} - \sum_k a_{ik} G_{ik}\Bigr), \qquad
        G_{ij} = \sum_{bc} \frac{\partial L}{\partial y_{bcj}} \frac{x_{bci} - y_{bcj}}{A_j}

    (:math:`x_{bci} / p^2` in place of the fraction for light). To the scene the gradient is exact. An empty pixel reads
    0 and has :math:`A_j = 1` in the gradient, which is lost far from its borders: see :meth:`reseed`.

    Args:
        sites: :math:`s`, ``(n, 2)``, row and column as shares of the sensor's sides, 0…1; ``nn.Parameter`` learns them.
            Of identical sites the first takes all. Starts: :mod:`physlayer.pixels.sites`.
        weights: :math:`\omega`, ``(n,)``, unit mean pixel area :math:`p^2`; larger is a larger cell; ``None`` for
            zeros (Voronoi cells).
        hardness: :math:`h`, of the surrogate alone, per scene pixel: at a distance :math:`u` from the border of two
            sites a mean pitch apart the soft share is :math:`\sigma(2hu)`, whatever the size of the image and ``n``.
            The gradient is nearest to that of cells on a continuous sensor for 2.5…5, where the border is as wide as a
            scene pixel; less reaches farther. A plain attribute that may be changed while training.
        reading: ``"mean"`` light per area, or ``"light"`` collected by each pixel in units of the mean pixel's area,
            which a :class:`physlayer.Sensor` behind turns into the right number of photons.

    Shape:
        ``(B, C, H, W)`` to ``(B, C, 1, n)``, one value per pixel; :meth:`decoder` makes an image of them.

    Raises:
        ValueError: if there are more sites than scene pixels, or a site lies outside the sensor.

    References:
        Aurenhammer 1987, doi:10.1137/0216006 (power diagrams); Cheung et al. 2016, arXiv:1611.09430 (a fovea emerges).

    Example:
        >>> from physlayer import BitDepth
        >>> layout = PowerLayout(torch.tensor([[0.5, 0.25], [0.5, 0.75]]))
        >>> layout(torch.tensor([[[[0.1, 0.3, 0.5, 0.7]]]]))
        tensor([[[[0.2000, 0.6000]]]])
        >>> camera = nn.Sequential(layout, BitDepth(8), layout.decoder(size=(1, 4)))
        >>> camera(torch.tensor([[[[0.1, 0.3, 0.5, 0.7]]]]))
        tensor([[[[0.2000, 0.2000, 0.6000, 0.6000]]]])
    """

    def __init__(
        self,
        sites: Tensor | nn.Parameter,
        weights: Tensor | nn.Parameter | None = None,
        *,
        hardness: float = 3.0,
        reading: str = "mean",
    ):
        super().__init__()
        if not isinstance(sites, Tensor) or sites.ndim != 2 or sites.shape[1] != 2:
            raise ValueError("Expected sites to be (n, 2), row and column of each; use grid_sites(rows, columns).")
        if weights is None:
            weights = torch.zeros_like(sites[:, 0].detach())
        if not isinstance(weights, Tensor) or tuple(weights.shape) != (len(sites),):
            raise ValueError(f"Expected weights to be ({len(sites)},), one number per site; use torch.zeros(n).")
        self.hardness, self.reading = hardness, one_of("reading", reading, READINGS)
        self.register_physical("sites", sites, unit="share of the sensor's side", low=0.0, high=1.0)
        self.register_physical("weights", weights, unit="mean pixel area")

    @property
    def hardness(self) -> float:
        """Of the surrogate, per scene pixel; not part of the hardware, so not of its saved state."""
        return self._hardness

    @hardness.setter
    def hardness(self, value: float) -> None:
        self._hardness = plain_number("hardness", value, 1e-3, 1e3)

    def cells(self, size: tuple[int, int]) -> Tensor:
        """The pixel that each of ``(H, W)`` scene pixels belongs to, whole numbers, ``(H, W)``."""
        with torch.no_grad():
            return self._assign(image_size(size))[0].view(size)

    def areas(self, size: tuple[int, int]) -> Tensor:
        """Area of each pixel over a scene of ``(H, W)`` pixels, whole numbers of them, ``(n,)``."""
        return torch.bincount(self.cells(size).flatten(), minlength=len(self.sites))

    def _assign(self, size: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
        """Cell of each scene pixel, and the soft shares if anything of the cells is learned."""
        if len(self.sites) > math.prod(size):
            raise ValueError(
                f"Expected at most as many pixels as the scene's {size[0]}×{size[1]}, but got {len(self.sites)}."
            )
        distance = power_distance(self.sites, self.weights, size)
        cells, steepness = distance.argmin(1), self.hardness * math.sqrt(math.prod(size) / len(self.sites))
        return cells, cell_shares(distance, steepness) if distance.requires_grad else None

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        size, n = (x.shape[2], x.shape[3]), len(self.sites)
        cells, shares = self._assign(size)
        light = collect_cells(x, cells, n, shares)
        area = math.prod(size) / n if self.reading == "light" else cell_areas(cells, n, shares).clamp(min=1).to(x.dtype)
        return (light / area)[:, :, None]

    def decoder(self, *, size: tuple[int, int]) -> nn.Module:
        """A digital step for the end of the camera: spreads the readings over a scene of ``(H, W)`` pixels.

        Each scene pixel shows the light per area of its cell, whichever the reading; noise and codes of the stages
        between act once per pixel of the sensor. Gradients reach the sites through it as through the layer. The size
        need not be that of the scene: sites are shares of the sensor's sides.
        """
        return _Spread(self, size)

    @torch.no_grad()
    def reseed(self, size: tuple[int, int], generator: torch.Generator) -> int:
        """Move the sites of empty pixels to the middle of the largest cells, and say how many were moved.

        One after the other, each goes into the cell that is then the largest, beside that cell's own site, on a side
        drawn from ``generator``. Where weights are learned it gets that cell's weight too; with fixed weights it moves
        only where it wins a pixel. The layer never calls this itself: call it between epochs. The optimiser's state of
        a moved site (its momentum) is not reset.

        Args:
            size: ``(H, W)`` of the scene. generator: of the side.
        """
        spare = "weights" in self.learned()
        sites, weights, moved = reseed_sites(self.sites, self.weights, image_size(size), generator, weigh=spare)
        for name, values in (("sites", sites), ("weights", weights)):
            free = self.free_parameter(name) if name in self.learned() else getattr(self, name)
            bound = self.parametrizations[name][0] if parametrize.is_parametrized(self, name) else None
            free[moved] = values[moved] if bound is None else bound.right_inverse(values[moved])
        return len(moved)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape[0], 1, len(self.sites)

    def settings(self) -> dict:
        return {"reading": self.reading}


class _Spread(nn.Module):
    """Spreads a layout's readings over the scene; the sites stay the layout's own."""

    def __init__(self, layout: PowerLayout, size: tuple[int, int]):
        super().__init__()
        self._layout = (layout,)  # in a tuple, so that torch does not count its parameters twice
        self.size = image_size(size)

    def forward(self, y: Tensor) -> Tensor:
        layout = self._layout[0]
        n = len(layout.sites)
        if y.ndim != 4 or tuple(y.shape[2:]) != (1, n):
            raise ValueError(f"Expected y to be (B, C, 1, {n}), one value per pixel, but got {tuple(y.shape)}.")
        cells, shares = layout._assign(self.size)
        y = y[:, :, 0]
        if layout.reading == "light":
            area = cell_areas(cells, n, shares).clamp(min=1).to(y.dtype)
            y = y * (math.prod(self.size) / n) / area
        return spread_cells(y, cells.view(self.size), shares)
