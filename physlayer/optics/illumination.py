"""Light from many LEDs or antennas: which share each of them has in the picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from physlayer.core.field import intensity
from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import one_of, plain_number
from physlayer.optics.coherent import CoherentImaging, coherent_image, plane_wave

__all__ = ["LedIllumination", "coherent_sum", "led_grid", "led_stack", "led_tilts"]

OUTPUTS = ("difference", "exposures")


def led_grid(side: int, step: float) -> Tensor:
    """A square of ``side`` × ``side`` LEDs, ``(side², 2)``, rows and columns in steps of ``step`` around the axis.

    The unit is that of ``step``: cycles across the image, or sines for :func:`led_tilts`.

    Example:
        >>> led_grid(3, 2.0)[:4].tolist()
        [[-2.0, -2.0], [-2.0, 0.0], [-2.0, 2.0], [0.0, -2.0]]
    """
    side = plain_number("side", side, 1, 1000, whole=True)
    place = step * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(place, place).view(-1, 2)


def led_tilts(sines: Tensor, wavelength_um: float, pitch_um: float, size: tuple[int, int]) -> Tensor:
    r"""Cycles across an image of plane waves from given directions, :math:`N\,\Delta\sin\theta/\lambda`, ``(K, 2)``.

    Args:
        sines: of the angle to the axis along rows and columns, ``(K, 2)``; beyond NA they give a dark field.
        wavelength_um: λ, µm. pitch_um: Δ, µm in the object. size: ``(H, W)``.

    Example:
        >>> led_tilts(torch.tensor([[0.0, 0.25]]), 0.5, 0.25, (64, 64))
        tensor([[0., 8.]])
    """
    return sines * pitch_um / wavelength_um * torch.tensor(size, device=sines.device, dtype=sines.dtype)


def led_stack(x: Tensor, tilt_cycles: Tensor, microscope: CoherentImaging) -> Tensor:
    r"""Pictures of a thin sample, one for each LED alone, all of the same brightness.

    .. math:: I_k = |F^{-1}\{H \cdot F\{o\,e^{i 2\pi (p_k j/H + q_k l/W)}\}\}|^2

    Args:
        x: the sample, as ``microscope`` takes it. tilt_cycles: :math:`(p, q)`, ``(K, 2)``, cycles across the rows and
            the columns (:func:`led_grid`, :func:`led_tilts`); whole numbers leave no seam at the border.
        microscope: sample and aperture; its own phases and tilt are kept.

    Shape:
        ``(B, C, H, W)`` to ``(B, K C, H, W)``, the channels of an LED beside each other.

    Example:
        >>> stack = led_stack(torch.rand(2, 1, 16, 16), led_grid(5, 2.0), CoherentImaging(6))
        >>> stack.shape
        torch.Size([2, 25, 16, 16])
    """
    if tilt_cycles.ndim != 2 or tilt_cycles.shape[1] != 2:
        raise ValueError(f"Expected tilt_cycles to be (K, 2), rows and columns, but got {tuple(tilt_cycles.shape)}.")
    microscope.check(x)
    with torch.autocast(x.device.type, enabled=False):
        field = microscope.field(x)
        waves = plane_wave((x.shape[2], x.shape[3]), tilt_cycles.to(field.real.dtype).to(x.device))[:, None]
        aperture = microscope.aperture(x.shape).to(x.device)
        aperture = aperture.to(field.dtype if aperture.is_complex() else field.real.dtype)
        return coherent_image(field[:, None] * waves, aperture[:, None]).flatten(1, 2)


def coherent_sum(fields: Tensor, amplitude: Tensor, phase_waves: Tensor | float = 0.0) -> Tensor:
    r"""Intensity of sources that interfere, as of an antenna array, :math:`y = |\sum_k a_k e^{i 2\pi\phi_k} E_k|^2`.

    N sources of one amplitude in phase give N² times the power of one; a common phase changes nothing.

    Args:
        fields: E, ``(B, K, H, W)``, complex. amplitude: :math:`a`, ``(K,)``, 0…1. phase_waves: :math:`\phi`, ``(K,)``.

    Shape:
        ``(B, K, H, W)`` to ``(B, 1, H, W)``, real.

    References:
        del Hougne et al. 2020, doi:10.1002/advs.201901913.

    Example:
        >>> coherent_sum(torch.ones(1, 4, 1, 1) + 0j, torch.ones(4)).flatten()
        tensor([16.])
    """
    if not fields.is_complex() or fields.ndim != 4 or tuple(amplitude.shape) != (fields.shape[1],):
        raise ValueError(
            f"Expected fields to be complex (B, K, H, W) and amplitude (K,), but got {fields.dtype} "
            f"{tuple(fields.shape)} and {tuple(amplitude.shape)}."
        )
    weights = torch.polar(amplitude, (2 * math.pi * phase_waves) * torch.ones_like(amplitude))
    total = (weights[:, None, None] * fields).sum(1, keepdim=True)
    return intensity(total)


class LedIllumination(PhysicalLayer):
    r"""Several LEDs at once: a weighted sum of the pictures that each gives alone, as light of LEDs does not interfere.

    .. math:: y_e = \sum_k w_{ek} I_k, \qquad w_{ek} = \beta\,\frac{v_{ek}}{\sum_l |v_{el}|}

    The budget :math:`\beta` is all the light of an exposure: patterns of few and of many LEDs get the same, E exposures
    E times as much (compare them at equal :math:`E\beta`). Light is
    never negative: ``signed`` weights take two exposures, :math:`y = y_+ - y_-`, that share the budget. A sensor
    between adds its noise twice; for that take ``output="exposures"`` and put :meth:`decoder` behind the sensor.

    Args:
        weights: :math:`v`, ``(K,)``, or ``(E, K)`` for E exposures with patterns of their own; only ratios matter.
            ``nn.Parameter`` learns them (above 0 unless ``signed``; start patterns apart).
        signed: allow negative weights, at the cost of two exposures each.
        light_budget: :math:`\beta`, unit 1: light of one LED at full power, 1 for the mean of the pictures.
        output: of signed weights, ``"difference"``, or ``"exposures"``: :math:`y_+` and :math:`y_-` beside each other.

    Shape:
        ``(B, K C, H, W)``, the channels of an LED beside each other, to ``(B, E C, H, W)``, or ``(B, 2 E C, H, W)``.

    Raises:
        ValueError: if the images do not hold K pictures, a pattern is dark, or there is one LED and nothing to learn.

    References:
        Horstmeyer et al. 2017, arXiv:1709.07223; Muthumbi et al. 2019, doi:10.1364/BOE.10.006351.

    Example:
        >>> stack = torch.rand(2, 25, 8, 8)
        >>> LedIllumination(nn.Parameter(torch.ones(25)))(stack).shape
        torch.Size([2, 1, 8, 8])
        >>> LedIllumination(torch.tensor([3.0, -1.0]), signed=True).weights
        tensor([ 0.7500, -0.2500])
    """

    def __init__(
        self,
        weights: Tensor | nn.Parameter,
        *,
        signed: bool = False,
        light_budget: float = 1.0,
        output: str = "difference",
    ):
        super().__init__()
        if not isinstance(weights, Tensor) or weights.ndim not in (1, 2):
            raise ValueError("Expected weights to be (K,), one per LED, or (E, K); use torch.ones(25).")
        if isinstance(weights, nn.Parameter) and weights.shape[-1] < 2:
            raise ValueError("Expected at least 2 LEDs to learn weights: the budget fixes that of a single one.")
        if not bool((weights.detach().abs().sum(-1) > 0).all()):
            raise ValueError("Expected weights to light at least one LED in every exposure, but got only zeros.")
        self.signed, self.output = bool(signed), one_of("output", output, OUTPUTS)
        self.light_budget = plain_number("light_budget", light_budget, 1e-6, 1e6)
        free = Quantity("unscaled_weights", low=-math.inf if signed else 0.0)
        low = -self.light_budget if signed else 0.0
        self.register_physical("weights", weights, unit="1", low=low, high=self.light_budget, free=free)

    @property
    def weights(self) -> Tensor:
        """The weights of the hardware, within the budget, ``(K,)`` or ``(E, K)``."""
        return self.light_budget * (self.unscaled_weights / self.unscaled_weights.abs().sum(-1, keepdim=True))

    def patterns(self) -> Tensor:
        """What the LEDs do in each exposure, non-negative, ``(E, K)``, or ``(2 E, K)`` if signed: + before −."""
        weights = self.weights.reshape(-1, self.unscaled_weights.shape[-1])
        return torch.stack([weights.relu(), (-weights).relu()], 1).flatten(0, 1) if self.signed else weights

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        leds = self.unscaled_weights.shape[-1]
        if x.shape[1] % leds:
            raise ValueError(
                f"Expected images of {leds} LEDs, (B, K, H, W) or (B, K C, H, W), but got {x.shape[1]} channels."
            )
        exposed = self.signed and self.output == "exposures"
        patterns = self.patterns() if exposed else self.weights.reshape(-1, leds)
        with torch.autocast(x.device.type, enabled=False):
            pictures = x.reshape(len(x), leds, -1)
            return (patterns.to(x.dtype) @ pictures).view(len(x), -1, *x.shape[2:])

    def decoder(self) -> nn.Module:
        """A digital step behind the sensor: :math:`y_+ - y_-` of each pair of exposures."""
        if not (self.signed and self.output == "exposures"):
            raise ValueError('Expected signed=True and output="exposures" for a decoder: there is nothing to subtract.')
        return _Difference(self.patterns().shape[0] // 2)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        leds = self.unscaled_weights.shape[-1]
        exposures = self.unscaled_weights.numel() // leds * (2 if self.signed and self.output == "exposures" else 1)
        return exposures * (shape[0] // leds), *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        """Transmission: power of all LEDs of an image over its readings, so that exposures that share light add up."""
        patterns = self.patterns().detach()
        readings = self.output_shape(shape)[0] * patterns.shape[-1] // shape[0]
        light = float(patterns.sum()) / readings
        return super().cost(shape) | {"exposures": len(patterns), "transmission": light}

    def settings(self) -> dict:
        return {"signed": self.signed, "light_budget": self.light_budget, "output": self.output}


class _Difference(nn.Module):
    """Subtracts the second exposure of each pair from the first."""

    def __init__(self, pairs: int):
        super().__init__()
        self.pairs = pairs

    def forward(self, y: Tensor) -> Tensor:
        plus, minus = y.unflatten(1, (self.pairs, 2, -1)).unbind(2)
        return (plus - minus).flatten(1, 2)
