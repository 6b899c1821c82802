"""Colour filter array: one colour filter on every pixel, in a repeating tile, fixed or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.color.cfa_patterns import filter_transmissions, pattern_rows, tile_from_rows
from physlayer.color.mosaicking import PLACES, demosaick, filter_planes, mosaic, pack_phases
from physlayer.core.layer import PhysicalLayer
from physlayer.core.randomness import Noise
from physlayer.core.subset import choose
from physlayer.core.validation import Accepts, plain_number

__all__ = ["ColorFilterArray", "annealed_sharpness"]

OUTPUTS = ("mosaic", "packed", "planes", "demosaicked")
RELAXATIONS = ("straight_through", "softmax")


def annealed_sharpness(step: int, steps: int, last: float = 400.0) -> float:
    r"""Sharpness of a softmax that hardens as training goes on, :math:`\alpha = 1 + (\gamma t)^2`.

    Args:
        step: :math:`t`, steps of the optimiser so far. steps: at which :math:`\alpha` is ``last``, which sets
            :math:`\gamma = \sqrt{\mathrm{last} - 1} / \mathrm{steps}`. last: unit 1.

    References:
        Chakrabarti 2016, arXiv:1605.07078: 400 after 800,000 steps, in training that goes on to 1,500,000.

    Example:
        >>> [round(annealed_sharpness(step, 800_000), 2) for step in (0, 100_000, 400_000, 800_000, 1_500_000)]
        [1.0, 7.23, 100.75, 400.0, 1403.73]
    """
    return 1.0 + (last - 1.0) * (step / steps) ** 2


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
        for name, value, known in (("output", output, OUTPUTS), ("relaxation", relaxation, RELAXATIONS)):
            if value not in known:
                raise ValueError(f"Expected {name} to be one of {', '.join(known)}, but got {value!r}.")
        if not filters or len(set(filters)) < len(filters):
            raise ValueError(f"Expected filters to be different letters, but got {filters!r}.")
        if transmission is None:
            transmission = filter_transmissions(filters)
        if not isinstance(transmission, Tensor) or transmission.ndim != 2 or len(transmission) != len(filters):
            raise ValueError(
                f"Expected transmission to be (L, C) with a row for each of the filters {filters!r}, but got "
                f"{tuple(getattr(transmission, 'shape', ()))}; give filters as many letters."
            )
        if isinstance(tile, str):
            tile = tile_from_rows(pattern_rows(tile), filters)
        if not isinstance(tile, Tensor) or tile.ndim != 3 or len(tile) != len(filters):
            raise ValueError(
                f"Expected tile to be a name, rows as 'RG/GB' or ({len(filters)}, P, Q) for the filters {filters!r}, "
                f"but got {tuple(tile.shape) if isinstance(tile, Tensor) else type(tile).__name__}."
            )
        if not isinstance(tile, nn.Parameter) and not _one_filter_per_place(tile):
            raise ValueError(
                "Expected a given tile to hold one 1 at each place and else 0; to learn logits, use nn.Parameter."
            )
        self.filters, self.output, self.relaxation = filters, output, relaxation
        self.temperature = plain_number("temperature", temperature, 1e-3, 1e3)
        self.gumbel, self.noise = bool(gumbel), Noise(noise_seed)
        self.accepts = Accepts(channels=transmission.shape[1])
        self.red = _place_of_red(tile, filters) if not isinstance(tile, nn.Parameter) else None
        self.register_physical("tile", tile, unit="1")
        self.register_physical("transmission", transmission, unit="1", low=0.0, high=1.0)
        self.register_buffer("sharpness", torch.ones(()))
        self._check_output(output)

    def set_sharpness(self, sharpness: float) -> None:
        """Set :math:`\\alpha` of ``relaxation="softmax"``, above 0; call it from the training loop."""
        self.sharpness.fill_(plain_number("sharpness", float(sharpness), 1e-6, 1e9))

    def choice(self, gumbel: Tensor | None = None) -> Tensor:
        """The filter at each place of the hardware, zeros and ones ``(L, P, Q)``, with its gradient."""
        if "tile" not in self.learned():
            return self.tile
        return choose(self.tile.movedim(-3, -1), 1, temperature=self.temperature, gumbel=gumbel).movedim(-1, -3)

    def mixture(self, x: Tensor) -> Tensor:
        """What the mode sees of the filters: the choice, or in ``train()`` its relaxation; maybe ``(B, L, P, Q)``."""
        if not self.training or "tile" not in self.learned():
            return self.choice()
        count, *places = self.tile.shape
        return self._relaxed(self.noise.gumbel(x.new_empty(len(x), *places, count)) if self.gumbel else None)

    def _relaxed(self, noise: Tensor | None = None) -> Tensor:
        if not self.training or "tile" not in self.learned() or self.relaxation == "straight_through":
            return self.choice(noise)
        logits = self.tile if noise is None else self.tile + noise.movedim(-1, -3)
        return torch.softmax(self.sharpness * logits, -3)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            passed = self.transmission / self.transmission.shape[1]
            weights = torch.einsum("...lpq,lc->...cpq", self.mixture(x), passed).to(x.dtype)
            return self.arranged(mosaic(x, weights), self.output)

    def arranged(self, y: Tensor, output: str) -> Tensor:
        """A mosaic of this tile in another arrangement, one of ``OUTPUTS``; digital."""
        if output == "packed":
            return pack_phases(y, (self.tile.shape[1], self.tile.shape[2]))
        if output == "mosaic":
            return y
        if output == "planes":
            return filter_planes(y, self._relaxed())
        # on the scale of the scene: white is 1 in every colour
        white = self.transmission.mean(1)[[self.filters.index(c) for c in "RGB"]]
        return demosaick(y, self.red) / white.view(3, 1, 1).to(y.dtype)

    def decoder(self, output: str) -> nn.Module:
        """A digital step for the end of the camera that arranges the mosaic which a sensor has read.

        Args:
            output: ``"packed"``, ``"planes"`` or ``"demosaicked"``.

        Example:
            >>> from physlayer import BitDepth, Exposure
            >>> cfa = ColorFilterArray("bayer")
            >>> camera = nn.Sequential(cfa, Exposure(3.0), BitDepth(8), cfa.decoder("packed"))
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
        letters = self.choice().detach().argmax(0)
        return ["".join(self.filters[index] for index in row) for row in letters.tolist()]

    def physical(self) -> dict[str, Tensor]:
        """As the base class, with the filters that are chosen in place of the logits."""
        return super().physical() | {"tile": self.choice().detach().clone()}

    def export(self, *, full: bool = False) -> dict:
        """As the base class, with the layout in letters."""
        return super().export(full=full) | {"layout": self.layout()}

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        (_, rows, columns), (_, height, width) = self.tile.shape, shape
        if self.output == "packed":
            return rows * columns, height // rows, width // columns
        return {"mosaic": 1, "planes": len(self.filters), "demosaicked": 3}[self.output], height, width

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        light = torch.einsum("lpq,lc->pq", self.choice().detach(), self.transmission.detach()) / shape[0]
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


def _one_filter_per_place(tile: Tensor) -> bool:
    return bool(((tile == 0) | (tile == 1)).all()) and bool((tile.sum(0) == 1).all())


def _place_of_red(tile: Tensor, filters: str) -> tuple[int, int] | None:
    """Where red stands in a Bayer tile, ``None`` if it is no such tile."""
    rows = [[filters[i] for i in row] for row in tile.argmax(0).tolist()]
    for row, column in PLACES:
        if tile.shape[1:] == (2, 2) and rows[row][column] == "R" and rows[1 - row][1 - column] == "B":
            return (row, column) if rows[1 - row][column] == rows[row][1 - column] == "G" else None
    return None
