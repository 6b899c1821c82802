"""Colour filter array: one colour filter on every pixel, in a repeating tile, fixed or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.color.cfa_tile import RELAXATIONS, as_tile, as_transmission, place_of_red, tile_of_logits
from physlayer.color.mosaicking import demosaick, filter_planes, mosaic, pack_phases
from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.randomness import Noise
from physlayer.core.validation import Accepts, one_of, plain_number

__all__ = ["ColorFilterArray"]

OUTPUTS = ("mosaic", "packed", "planes", "demosaicked")


class ColorFilterArray(PhysicalLayer):
    r"""One colour filter on every pixel, in a tile that repeats from the upper left pixel.

    .. math::
        y(u) = \frac{1}{C} \sum_l M_l(u \bmod P) \sum_c T_{lc}\, x_c(u), \qquad
        M \in \{0, 1\}, \quad \sum_l M_l = 1, \quad 0 \le T \le 1

    **Light.** The reading is on the scale of a pixel without any filter: that reads 1 where all C channels are 1, and a
    pixel behind a filter for one channel 1/C. So all patterns and filters share one exposure, of which white collects
    three times as much as red, green or blue. ``Exposure(3.0)`` behind exposes a Bayer sensor to its full scale.

    **Learning.** Surrogate with ``relaxation="straight_through"``: one filter in ``train()`` too, backward
    :func:`physlayer.core.subset.choose` with k = 1 at each place. With ``"softmax"`` (Chakrabarti) the forward pass of
    ``train()`` mixes the filters, :math:`M = \mathrm{softmax}(\alpha \phi)`; raise :math:`\alpha` by
    ``cfa.set_sharpness(annealed_sharpness(step, steps))`` and judge in ``eval()``, which has one filter always.

    Args:
        tile: a name of ``physlayer.color.cfa_patterns.PATTERNS``, rows as ``"RG/GB"``, or a plain map of zeros and ones
            ``(L, P, Q)`` for a given pattern; ``nn.Parameter`` of that shape for logits :math:`\phi` that are learned
            (start apart, ``0.1 * torch.randn(4, 8, 8)``: equal ones choose by place).
        transmission: :math:`T`, ``(L, C)``, unit 1; ``nn.Parameter`` learns the filters too. ``None`` for
            :func:`physlayer.color.cfa_patterns.filter_transmissions` of ``filters`` on red, green and blue.
        filters: the L letters that stand for the filters.
        output: ``"mosaic"``, one channel; ``"packed"``, one channel per place of the tile at the tile's pitch
            (:func:`physlayer.color.mosaicking.pack_phases`); ``"planes"``, one channel per filter, 0 elsewhere
            (:func:`.filter_planes`); ``"demosaicked"``, red, green and blue on the scale of the scene
            (:func:`.demosaick`), of a given Bayer tile only. Where a sensor with noise stands behind,
            leave the mosaic and put :meth:`decoder` behind the sensor.
        relaxation: ``"straight_through"`` or ``"softmax"``. temperature: of the straight-through surrogate, unit 1.
        gumbel: fresh noise for every image in ``train()``. A mosaic does not say which filters an image met, so it is
            off by default. noise_seed: of that noise.

    Shape:
        ``(B, C, H, W)`` to ``(B, 1, H, W)``, ``(B, P Q, H / P, W / Q)``, ``(B, L, H, W)`` or ``(B, 3, H, W)``.

    Raises:
        ValueError: if the tile is no choice of one filter at each place, its size does not fit the output, or the image
            has other channels than the filters.

    References:
        Bayer 1976, US patent 3,971,065; Chakrabarti 2016, arXiv:1605.07078.

    Example:
        >>> ColorFilterArray("bayer")(torch.tensor([0.9, 0.6, 0.3]).view(1, 3, 1, 1).expand(1, 3, 2, 2))
        tensor([[[[0.3000, 0.2000],
                  [0.2000, 0.1000]]]])
        >>> cfa = ColorFilterArray(nn.Parameter(torch.eye(4).view(4, 2, 2)), output="packed")
        >>> cfa.layout(), cfa.output_shape((3, 32, 32))
        (['RG', 'BW'], (4, 16, 16))
    """

    sharpness: Tensor

    def __init__(
        self,
        tile: str | Tensor | nn.Parameter = "bayer",
        *,
        transmission: Tensor | nn.Parameter | None = None,
        filters: str = "RGBW",
        output: str = "mosaic",
        relaxation: str = "straight_through",
        temperature: float = 2.0,
        gumbel: bool = False,
        noise_seed: int = 0,
    ):
        super().__init__()
        transmission, tile = as_transmission(transmission, filters), as_tile(tile, filters)
        self.filters, self.output = filters, one_of("output", output, OUTPUTS)
        self.relaxation = one_of("relaxation", relaxation, RELAXATIONS)
        self.temperature = plain_number("temperature", temperature, 1e-3, 1e3)
        self.gumbel, self.noise = bool(gumbel), Noise(noise_seed)
        self.accepts = Accepts(channels=transmission.shape[1])
        self.pitch, self.red = (tile.shape[1], tile.shape[2]), place_of_red(tile, filters)
        free = Quantity("tile_logits" if isinstance(tile, nn.Parameter) else "given_tile")
        self.register_physical("tile", tile, unit="1", low=0.0, high=1.0, free=free)
        self.register_physical("transmission", transmission, unit="1", low=0.0, high=1.0)
        self.register_buffer("sharpness", torch.ones(()))
        self._check_output(output)

    def set_sharpness(self, sharpness: float) -> None:
        """Set :math:`\\alpha` of ``relaxation="softmax"``, above 0; call it from the training loop."""
        self.sharpness.fill_(plain_number("sharpness", float(sharpness), 1e-6, 1e9))

    @property
    def tile(self) -> Tensor:
        """The filter at each place, zeros and ones ``(L, P, Q)``; of ``"softmax"`` in ``train()`` the mixture."""
        return self._tile()

    def tiles(self, x: Tensor) -> Tensor:
        """The tile that each image of a batch meets, ``(B, L, P, Q)`` in ``train()`` with noise, else ``(L, P, Q)``."""
        if not (self.training and self.gumbel and "tile" in self.learned()):
            return self.tile
        return self._tile(self.noise.gumbel(x.new_empty(len(x), *self.pitch, len(self.filters))))

    def _tile(self, noise: Tensor | None = None) -> Tensor:
        if "tile" not in self.learned():
            return self.given_tile
        return tile_of_logits(
            self.tile_logits,
            relaxation=self.relaxation if self.training else "straight_through",
            sharpness=self.sharpness,
            temperature=self.temperature,
            gumbel=noise,
        )

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            passed = self.transmission / self.transmission.shape[1]
            weights = torch.einsum("...lpq,lc->...cpq", self.tiles(x), passed).to(x.dtype)
            return self.arranged(mosaic(x, weights), self.output)

    def arranged(self, y: Tensor, output: str) -> Tensor:
        """A mosaic of this tile in another arrangement, one of ``OUTPUTS``; digital."""
        if output == "packed":
            return pack_phases(y, self.pitch)
        if output == "mosaic":
            return y
        if output == "planes":
            return filter_planes(y, self.tile)
        # on the scale of the scene: white is 1 in every colour
        white = self.transmission.mean(1)[[self.filters.index(c) for c in "RGB"]]
        assert self.red is not None  # or the constructor would have refused the output
        return demosaick(y, self.red) / white.view(3, 1, 1).to(y.dtype)

    def decoder(self, *, output: str) -> nn.Module:
        """A digital step for the end of the camera that arranges the mosaic which a sensor has read.

        Args:
            output: ``"packed"``, ``"planes"`` or ``"demosaicked"``.

        Example:
            >>> from physlayer import BitDepth, Exposure
            >>> cfa = ColorFilterArray("bayer")
            >>> camera = nn.Sequential(cfa, Exposure(3.0), BitDepth(8), cfa.decoder(output="packed"))
            >>> camera(torch.rand(1, 3, 6, 6)).shape
            torch.Size([1, 4, 3, 3])
        """
        if self.output != "mosaic" or output not in OUTPUTS:
            raise ValueError(
                f"Expected a decoder to one of {', '.join(OUTPUTS)} behind output='mosaic', but got {output!r} behind "
                f"{self.output!r}."
            )
        self._check_output(output)
        return _Decoder(self, output)

    def _check_output(self, output: str) -> None:
        if output == "planes" and self.gumbel:
            raise ValueError("Expected gumbel=False for planes: a mosaic does not say which filters an image met.")
        if output == "demosaicked" and self.red is None:
            raise ValueError(
                "Expected a given Bayer tile of red, two greens and blue to demosaick, but got "
                f"{'a learned tile' if 'tile' in self.learned() else '/'.join(self.layout())}; use output='packed'."
            )

    def layout(self) -> list[str]:
        """The tile of the hardware as rows of letters."""
        letters = self.physical()["tile"].argmax(0)
        return ["".join(self.filters[index] for index in row) for row in letters.tolist()]

    def export(self, *, full: bool = False) -> dict:
        """As the base class, with the layout in letters."""
        return super().export(full=full) | {"layout": self.layout()}

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        (rows, columns), (_, height, width) = self.pitch, shape
        if self.output == "packed":
            return rows * columns, height // rows, width // columns
        return {"mosaic": 1, "planes": len(self.filters), "demosaicked": 3}[self.output], height, width

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        light = torch.einsum("lpq,lc->pq", *self.physical().values()) / shape[0]
        return super().cost(shape) | {"n_samples": shape[1] * shape[2], "transmission": float(light.mean())}

    def settings(self) -> dict:
        return {name: getattr(self, name) for name in ("filters", "output", "relaxation", "temperature", "gumbel")}


class _Decoder(nn.Module):
    """Arranges a mosaic as its colour filter array does; the tile stays the array's own."""

    def __init__(self, array: ColorFilterArray, output: str):
        super().__init__()
        self._camera = (array,)  # in a tuple, so that torch does not count its parameters twice
        self.output = output

    def forward(self, y: Tensor) -> Tensor:
        with torch.autocast(y.device.type, enabled=False):
            return self._camera[0].arranged(y, self.output)
