"""Stained tissue: light, optical density and stain concentrations, by the law of Beer and Lambert."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import Accepts, one_of, plain_number

__all__ = [
    "STAINS",
    "StainOpticalDensity",
    "light_through",
    "optical_density",
    "stain_vectors",
    "unmix_density",
]

# optical density per unit of stain in red, green and blue, before each is made a unit vector
STAINS: dict[str, tuple[float, float, float]] = {
    "haematoxylin": (0.650, 0.704, 0.286),  # these three: Ruifrok & Johnston 2001
    "eosin": (0.072, 0.990, 0.105),
    "DAB": (0.268, 0.570, 0.776),
    "methylene blue": (0.8348, 0.5136, 0.1963),  # these two: Giemsa in Landini's Colour Deconvolution for ImageJ
    "Giemsa eosin": (0.0928, 0.9541, 0.2831),
}
WORST_CONDITION = 1e4  # of stain vectors, beyond which float32 keeps too little of a concentration
INPUTS = ("light", "concentrations")
OUTPUTS = ("light", "density", "concentrations")


def stain_vectors(*names: str) -> Tensor:
    """Unit vectors of optical density of some stains, ``(S, 3)``.

    Raises:
        ValueError: if a stain is unknown.

    Example:
        >>> stain_vectors("haematoxylin", "eosin")
        tensor([[0.6500, 0.7040, 0.2860],
                [0.0721, 0.9918, 0.1052]])
    """
    unknown = [name for name in names if name not in STAINS]
    if unknown or not names:
        raise ValueError(f"Expected stains among {', '.join(STAINS)}, but got {', '.join(unknown) or 'none'}.")
    vectors = torch.tensor([STAINS[name] for name in names])
    return vectors / vectors.norm(dim=1, keepdim=True)


def optical_density(light: Tensor, white: float | Tensor = 1.0, floor: float = 1e-3) -> Tensor:
    r"""Optical density, :math:`D = -\log_{10}(\max(I, f I_0) / I_0)`.

    Surrogate: below the floor the derivative goes on with its value at the floor, so that black pixels still learn.

    Args:
        light: :math:`I`, full scales. white: :math:`I_0`, light without stain, full scales.
        floor: :math:`f`, smallest transmission that is told from black, unit 1; the largest density is
            :math:`-\log_{10} f`. Files of 8 bits hold 1/255, ``skimage.color.separate_stains`` takes 1e-6.

    Example:
        >>> optical_density(torch.tensor([1.0, 0.1, 0.0]))
        tensor([0., 1., 3.])
    """
    transmission = light / white
    seen = transmission.clamp(min=floor)
    below = transmission - transmission.clamp(min=floor)  # forward nothing, backward the slope below the floor
    return 0 - torch.log10(seen) - (below - below.detach()) / (floor * math.log(10))


def light_through(density: Tensor, white: float | Tensor = 1.0) -> Tensor:
    r"""Light behind an optical density, :math:`I = I_0\, 10^{-D}`.

    Args:
        density: :math:`D`, unit 1. white: :math:`I_0`, full scales.

    Example:
        >>> light_through(torch.tensor([0.0, 1.0, 2.0]))
        tensor([1.0000, 0.1000, 0.0100])
    """
    return white * torch.exp(-math.log(10) * density)


def unmix_density(density: Tensor, stains: Tensor) -> Tensor:
    r"""Concentrations of stains whose densities add up, by least squares.

    .. math:: D_c = \sum_s q_s M_{sc} \quad\Rightarrow\quad q = (M M^\top)^{-1} M D

    With as many stains as colours it is exact. Noise may make a concentration negative, and nothing is clipped;
    ``skimage.color.separate_stains`` clips at 0 and counts in six decades: its numbers are :math:`q / 6` for the same
    matrix.

    Args:
        density: :math:`D`, ``(B, C, H, W)``. stains: :math:`M`, ``(S, C)``, density per unit of concentration.

    Shape:
        ``(B, C, H, W)`` to ``(B, S, H, W)``.

    Raises:
        ValueError: if the stains cannot be told apart.

    References:
        Ruifrok & Johnston 2001, Analytical and Quantitative Cytology and Histology 23:291–299.

    Example:
        >>> unmix_density(torch.tensor([0.2, 0.5]).view(1, 2, 1, 1), torch.eye(2)).flatten()
        tensor([0.2000, 0.5000])
    """
    if stains.device.type == "cpu" and not torch.compiler.is_compiling():
        _require_distinct(stains)  # elsewhere the look would make the accelerator wait
    inverse, _ = torch.linalg.inv_ex(stains @ stains.T)
    return torch.einsum("bchw,sc->bshw", density, inverse @ stains)


def _require_distinct(stains: Tensor) -> None:
    count, channels = stains.shape
    if count > channels or not float(torch.linalg.cond(stains.detach().double())) < WORST_CONDITION:
        raise ValueError(
            f"Expected stains of different colours, at most as many as the {channels} channels, but got {count} that "
            f"cannot be told apart; leave out one of two that are alike."
        )


class StainOpticalDensity(PhysicalLayer):
    r"""Stained tissue in transmitted light: how much of each stain, and of which colour.

    .. math:: D_c = D^0_c + \sum_s (a_s - 1)\, q_s M_{sc}, \qquad I_c = I_{0,c}\, 10^{-D_c}

    From light, :math:`D^0` is its density and :math:`q` its concentrations (:func:`unmix_density`): ``amount`` stains
    the same tissue more or less, and what is not of the stains stays as it is; at 1 the light passes unchanged but for
    the floor. From concentrations :math:`q`, :math:`D^0 = \sum_s q_s M_{sc}`. In the broad channels of a colour camera
    the law holds only nearly: density grows less than the concentration where the absorption is not flat over the
    channel.

    Args:
        stains: :math:`M`, ``(S, C)``, 0 and above, used as unit vectors; ``nn.Parameter`` learns them (start above 0).
            Default: haematoxylin, eosin, DAB.
        amount: :math:`a`, stain relative to that of the scene, one number or ``(S,)``, unit 1; ``nn.Parameter`` learns
            its logarithm.
        white: :math:`I_0`, light without stain, full scales, one number or ``(C, 1, 1)``.
        input: ``"light"`` or ``"concentrations"``, what the scene holds.
        output: ``"light"``, ``"density"`` or ``"concentrations"`` :math:`a q`, what leaves the layer.
        floor: smallest transmission that is told from black, see :func:`optical_density`.

    Shape:
        ``(B, C, H, W)`` or ``(B, S, H, W)`` to the same, by input and output.

    Raises:
        ValueError: if stains cannot be told apart, a number is out of range, or the image has other channels.

    References:
        Ruifrok & Johnston 2001, Analytical and Quantitative Cytology and Histology 23:291–299.

    Example:
        >>> tissue = torch.tensor([0.8, 0.3, 0.0]).view(1, 3, 1, 1)
        >>> light = StainOpticalDensity(input="concentrations")(tissue)
        >>> StainOpticalDensity(output="concentrations")(light).flatten().abs().round(decimals=4)
        tensor([0.8000, 0.3000, 0.0000])
        >>> StainOpticalDensity(amount=nn.Parameter(torch.tensor([2.0, 1.0, 1.0])))(light).shape
        torch.Size([1, 3, 1, 1])
    """

    def __init__(
        self,
        stains: Tensor | nn.Parameter | None = None,
        *,
        amount: float | Tensor | nn.Parameter = 1.0,
        white: float | Tensor | nn.Parameter = 1.0,
        input: str = "light",
        output: str = "light",
        floor: float = 1e-3,
    ):
        super().__init__()
        stains = stain_vectors("haematoxylin", "eosin", "DAB") if stains is None else stains
        if not isinstance(stains, Tensor) or stains.ndim != 2:
            raise ValueError("Expected stains to be (S, C); use stain_vectors('haematoxylin', 'eosin').")
        if not bool((stains.detach().norm(dim=1) > 0).all()):
            raise ValueError("Expected every stain to absorb some colour, but got a row of zeros.")
        if not bool((torch.as_tensor(white) > 0).all()):
            raise ValueError("Expected white to be above 0: without light there is no density.")
        self.input, self.output = one_of("input", input, INPUTS), one_of("output", output, OUTPUTS)
        self.floor = plain_number("floor", floor, 1e-9, 0.5)
        free = Quantity("unscaled_stains", low=0.0)
        self.register_physical("stains", stains, unit="1", low=0.0, high=1.0, free=free)
        self.register_physical("amount", amount, unit="1", low=0.0, logarithmic=True)
        self.register_physical("white", white, unit="1", low=0.0)
        if self.amount.ndim > 1 or self.amount.numel() not in (1, len(stains)):
            raise ValueError(f"Expected amount to be one number or one per stain, but got {tuple(self.amount.shape)}.")
        if input == "light":
            _require_distinct(self.stains)
        self.accepts = Accepts(channels=stains.shape[1] if input == "light" else len(stains))

    @property
    def stains(self) -> Tensor:
        """The stain vectors of the hardware, each of length 1, ``(S, C)``."""
        return self.unscaled_stains / self.unscaled_stains.norm(dim=1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            stains, amount = self.stains.to(x.dtype), self.amount.to(x.dtype).reshape(-1, 1, 1)
            white = self.sized("white", (len(x), stains.shape[1], *x.shape[2:])).to(x.dtype)
            before, held = None, x
            if self.input == "light":
                before = optical_density(x, white, self.floor)
                held = unmix_density(before, stains)
            if self.output == "concentrations":
                return amount * held
            added = amount * held if before is None else (amount - 1) * held
            density = torch.einsum("bshw,sc->bchw", added, stains)
            density = density if before is None else before + density
            return density if self.output == "density" else light_through(density, white)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return self.unscaled_stains.shape[0 if self.output == "concentrations" else 1], *shape[1:]

    def settings(self) -> dict:
        return {"input": self.input, "output": self.output, "floor": self.floor}
