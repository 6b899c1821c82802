"""The image sensor in electrons: photons in, electrons with their noise, codes out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import photon_counts, saturate, warn_if_saturated
from physlayer.core.randomness import Noise
from physlayer.core.validation import Accepts, above_zero, check_bits, check_images, plain_number
from physlayer.quantization.quantizers import codes_of, midtread, quantize

__all__ = ["Sensor"]


class Sensor(PhysicalLayer):
    r"""Photons to electrons to codes, in units: photon, dark and read noise, saturation, gain, converter.

    .. math::
        \mu = \eta\,(1 + s_p z_p)\,\Phi x + i_d t, \quad
        e = \min(\mathrm{Poisson}(\mu) + \sigma_r z + s_d z_d,\; N_\mathrm{fw}), \quad
        \mathrm{code} = \mathrm{clip}(\lfloor K e + o + 1/2 \rfloor, 0, 2^b - 1)

    with :math:`z` fresh at every exposure and :math:`z_p, z_d` standard normal maps that belong to the device. The
    reading is ``code / (2^b - 1)``; without ``bits`` it is :math:`e / N_\mathrm{fw}`, for a converter that follows.
    All quantities may be learned (``nn.Parameter``), as one number or, where light meets them, as a map.

    Surrogates: :func:`physlayer.core.photons.photon_counts` through the Poisson draw, :func:`saturate` at full well,
    straight-through at the converter; forward is always the hardware. Noise is fresh in ``train()`` and fixed per image
    in ``eval()`` (:mod:`physlayer.core.randomness`).

    Args:
        bits: :math:`b`, 1…16, or ``None`` for the analogue signal.
        exposure_photons: :math:`\Phi`, photons on a pixel where the scene is 1.
        quantum_efficiency: :math:`\eta`, electrons per photon, 0…1.
        full_well_electrons: :math:`N_\mathrm{fw}`. read_noise_electrons: :math:`\sigma_r`, rms.
        dark_current_electrons_per_second: :math:`i_d`. exposure_seconds: :math:`t`.
        photo_response_non_uniformity: :math:`s_p`, standard deviation as a ratio (PRNU).
        dark_signal_non_uniformity_electrons: :math:`s_d`, standard deviation (DSNU).
        gain_dn_per_electron: :math:`K`; ``None`` puts full well at the last code.
        offset_dn: :math:`o`, codes. leak: of the surrogates.
        noise_seed: of the noise and of the device's maps; give two devices in one model different ones.
            :func:`.seed_noise` restarts the noise of ``train()`` whatever this seed is.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for negative light, or a quantity outside its range.

    References:
        EMVA Standard 1288, Release 4.0 Linear, 2021; Poisson gradient: see :func:`.photon_counts`.

    Example:
        >>> from physlayer import SENSORS
        >>> camera = Sensor(12, **SENSORS["imx174"], exposure_photons=nn.Parameter(torch.tensor(20000.0)))
        >>> camera(torch.full((1, 1, 2, 2), 0.5)).shape
        torch.Size([1, 1, 2, 2])
    """

    noisy = True
    accepts = Accepts(low=0.0)

    def __init__(
        self,
        bits: int | None = None,
        *,
        exposure_photons: float | Tensor | nn.Parameter = 10_000.0,
        quantum_efficiency: float | Tensor | nn.Parameter = 0.65,
        full_well_electrons: float | Tensor | nn.Parameter = 10_500.0,
        read_noise_electrons: float | Tensor | nn.Parameter = 2.3,
        dark_current_electrons_per_second: float | Tensor | nn.Parameter = 0.0,
        exposure_seconds: float = 0.01,
        photo_response_non_uniformity: float | Tensor | nn.Parameter = 0.0,
        dark_signal_non_uniformity_electrons: float | Tensor | nn.Parameter = 0.0,
        gain_dn_per_electron: float | Tensor | nn.Parameter | None = None,
        offset_dn: float | Tensor | nn.Parameter = 0.0,
        leak: float = 0.01,
        noise_seed: int = 0,
    ):
        super().__init__()
        self.bits = None if bits is None else check_bits(bits)
        self.leak = plain_number("leak", leak, 1e-6, 1.0)
        self.exposure_seconds = plain_number("exposure_seconds", exposure_seconds, 0.0, 1e6)
        self.noise = Noise(plain_number("noise_seed", noise_seed, 0, 2**62, whole=True))
        share = functools.partial(self.register_physical, low=0.0, high=1.0)
        positive = functools.partial(self.register_physical, low=0.0, logarithmic=True)
        positive("exposure_photons", exposure_photons, unit="photons per pixel")
        share("quantum_efficiency", quantum_efficiency, unit="electrons per photon")
        positive("full_well_electrons", full_well_electrons, unit="electrons")
        above_zero("full_well_electrons", full_well_electrons, "such a sensor reads nothing")
        positive("read_noise_electrons", read_noise_electrons, unit="electrons")
        positive("dark_current_electrons_per_second", dark_current_electrons_per_second, unit="electrons/s")
        share("photo_response_non_uniformity", photo_response_non_uniformity, unit="1")
        positive("dark_signal_non_uniformity_electrons", dark_signal_non_uniformity_electrons, unit="electrons")
        if self.bits is None:
            if gain_dn_per_electron is not None or isinstance(offset_dn, Tensor) or offset_dn != 0:
                raise ValueError(
                    "Expected gain_dn_per_electron and offset_dn to be left out without bits, but got values; "
                    "give bits."
                )
            return
        if gain_dn_per_electron is None:
            gain_dn_per_electron = (2**self.bits - 1) / float(self.full_well_electrons.detach().max())
        positive("gain_dn_per_electron", gain_dn_per_electron, unit="DN per electron")
        above_zero("gain_dn_per_electron", gain_dn_per_electron, "such a sensor reads nothing")
        self.register_physical("offset_dn", offset_dn, unit="DN")

    def electrons(self, x: Tensor) -> Tensor:
        """Electrons in each pixel at read-out, with noise, at most the full well."""
        self.check(x)
        shape, pattern = x.shape, functools.partial(self.noise.pattern, tuple(x.shape[1:]), x)
        uneven = self._noise("photo_response_non_uniformity", shape, lambda: pattern("response"))
        response = (self.sized("quantum_efficiency", shape) * (1 + uneven)).clamp(min=0)
        dark = self.sized("dark_current_electrons_per_second", shape) * self.exposure_seconds
        mean = x * self.sized("exposure_photons", shape) * response + dark
        electrons = photon_counts(mean, self.noise.poisson(mean, training=self.training))
        electrons = electrons + self._noise(
            "read_noise_electrons", shape, lambda: self.noise.normal(mean, training=self.training)
        )
        electrons = electrons + self._noise(
            "dark_signal_non_uniformity_electrons", shape, lambda: pattern("dark signal")
        )
        return saturate(electrons, self.sized("full_well_electrons", shape), self.leak)

    def _noise(self, name: str, shape: tuple[int, ...], draw: Callable[[], Tensor]) -> Tensor | float:
        """A noise term; one of 0 costs no random numbers (a learned one is never exactly zero)."""
        if not bool(getattr(self, name).detach().any()):
            return 0.0
        return self.sized(name, shape) * draw()

    def forward(self, x: Tensor) -> Tensor:
        electrons = self.electrons(x)
        warn_if_saturated(electrons.detach() >= self.sized("full_well_electrons", x.shape), "lower exposure_photons")
        if self.bits is None:
            return electrons / self.sized("full_well_electrons", x.shape)
        return quantize(electrons, midtread(self.bits), *self._converter(x), self.leak)

    def codes(self, x: Tensor) -> Tensor:
        """Integer codes of one exposure, int64, 0 … 2^bits − 1.

        Raises:
            ValueError: without ``bits``.
        """
        if self.bits is None:
            raise ValueError(
                "Expected bits to be given for codes(), but got None; pass bits, or ask the converter behind."
            )
        check_images(x, full=True, accepts=self.accepts)
        with torch.no_grad():
            return codes_of(self.electrons(x), midtread(self.bits), *self._converter(x))

    def black_reading(self) -> Tensor:
        """Mean reading without light, dark current and offset, before noise below code 0 is cut off.

        With an offset of three deviations of the dark noise or more, nothing is cut off.
        """
        dark = self.dark_current_electrons_per_second * self.exposure_seconds
        if self.bits is None:
            return dark / self.full_well_electrons
        return (dark * self.gain_dn_per_electron + self.offset_dn) / (2**self.bits - 1)

    def saturation_reading(self) -> Tensor:
        """Reading of a pixel that is full, or of the last code if that comes first."""
        if self.bits is None:
            return torch.ones_like(self.full_well_electrons)
        steps = 2**self.bits - 1
        full = (self.full_well_electrons * self.gain_dn_per_electron + self.offset_dn + 0.5).floor()
        return full.clamp(max=steps) / steps

    def _converter(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert self.bits is not None  # without a converter nobody asks
        steps = 2**self.bits - 1
        gain = self.sized("gain_dn_per_electron", x.shape)
        return gain / steps, self.sized("offset_dn", x.shape) / steps

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        samples = math.prod(shape)
        photons = float(self.physical()["exposure_photons"].mean()) * samples
        cost = super().cost(shape) | {"photons": photons}
        return cost if self.bits is None else cost | {"bits_per_image": self.bits * samples}

    def settings(self) -> dict:
        return {"bits": self.bits, "exposure_seconds": self.exposure_seconds, "noise_seed": self.noise.seed}
