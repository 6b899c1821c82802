"""The image sensor in electrons: photons in, electrons with their noise, codes out."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from physlayer.core.layer import PhysicalLayer
from physlayer.core.photons import photon_counts, saturate, warn_if_saturated
from physlayer.core.randomness import Noise
from physlayer.core.validation import Accepts, check_bits, check_images, one_of, plain_number
from physlayer.quantization.quantizers import codes_of, midtread, quantize

__all__ = ["SENSORS", "Sensor", "fitted_gain", "photons_at_full_well"]

DARK_DEVIATIONS = 4.0  # of read noise between code 0 and the dark signal: next to nothing is cut off

# Use as Sensor(12, **SENSORS["imx174"]).
SENSORS: dict[str, dict[str, float]] = {
    # industrial CMOS of the IMX174 kind at 525 nm; vendor's EMVA 1288 sheet
    "imx174": {"full_well_electrons": 32_691, "read_noise_electrons": 6.83, "quantum_efficiency": 0.77},
    # CCD ICX625; Basler's EMVA 1288 sheet
    "icx625": {"full_well_electrons": 7_000, "read_noise_electrons": 13.0, "quantum_efficiency": 0.47},
    # CMOS of the IMX250 kind, typical values
    "pregius345": {"full_well_electrons": 10_500, "read_noise_electrons": 2.3, "quantum_efficiency": 0.65},
}

KIND = "pregius345"  # unless said otherwise
HEADROOM = 1.25  # of the last code above white


def fitted_gain(
    bits: int, exposure_photons: float, *, kind: str = KIND, headroom: float = HEADROOM
) -> dict[str, float]:
    r"""Settings of a sensor of `SENSORS` whose codes hold white, with headroom, and the dark noise.

    .. math:: K = \frac{2^b - 1}{\min(h\,\eta\,\Phi + 8 \sigma_r,\; N_\mathrm{fw})}, \qquad o = 4 \sigma_r K

    Args:
        bits: :math:`b`. exposure_photons: :math:`\Phi`, photons on a pixel where the scene is 1.
        kind: key of `SENSORS`. headroom: :math:`h`, of the last code above white, as a ratio.

    Returns:
        Arguments of :class:`Sensor`; the gain in DN per electron, the offset in DN.

    Raises:
        ValueError: for bits, light or headroom out of range, or an unknown kind.

    Example:
        >>> camera = Sensor(12, **fitted_gain(12, 1000.0))
        >>> 0.7 < float(camera.eval()(torch.ones(1, 1, 50, 50)).mean()) < 0.85  # white is below the last code
        True
    """
    one_of("kind", kind, SENSORS)
    photons = plain_number("exposure_photons", exposure_photons, 1e-6, 1e12)
    headroom = plain_number("headroom", headroom, 1e-3, 1e3)
    read = SENSORS[kind]["read_noise_electrons"]
    most = headroom * photons * SENSORS[kind]["quantum_efficiency"] + 2 * DARK_DEVIATIONS * read
    gain = (2 ** check_bits(bits) - 1) / min(most, SENSORS[kind]["full_well_electrons"])
    fitted = {"exposure_photons": photons, "gain_dn_per_electron": gain, "offset_dn": DARK_DEVIATIONS * read * gain}
    return SENSORS[kind] | fitted


def photons_at_full_well(kind: str = KIND) -> float:
    r"""Photons that fill a pixel of a sensor of `SENSORS`, :math:`N_\mathrm{fw} / \eta`.

    Example:
        >>> round(photons_at_full_well("icx625"))
        14894
    """
    return SENSORS[kind]["full_well_electrons"] / SENSORS[kind]["quantum_efficiency"]


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
        noise_seed: of the noise and of the device's maps; two devices in one model need one each. ``seed_noise`` starts
            the noise of ``train()`` whatever it is.

    Shape:
        ``(B, C, H, W)`` to the same.

    Raises:
        ValueError: for negative light, or a quantity outside its range.

    References:
        EMVA Standard 1288, Release 4.0 Linear, 2021; Poisson gradient: see :func:`.photon_counts`.

    Example:
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
        noise_seed: int = 0,
        leak: float = 0.01,
    ):
        super().__init__()
        self.bits = None if bits is None else check_bits(bits)
        self.leak = plain_number("leak", leak, 1e-6, 1.0)
        self.exposure_seconds = plain_number("exposure_seconds", exposure_seconds, 0.0, 1e6)
        self.noise = Noise(plain_number("noise_seed", noise_seed, 0, 2**62, whole=True))
        register = self.register_physical
        positive = functools.partial(self.register_physical, low=0.0, logarithmic=True)
        for name, value in (
            ("full_well_electrons", full_well_electrons),
            ("gain_dn_per_electron", gain_dn_per_electron),
        ):
            if (
                value is not None
                and not isinstance(value, nn.Parameter)
                and not bool((torch.as_tensor(value) != 0).all())
            ):
                raise ValueError(f"Expected {name} to be above 0, but got 0; such a sensor reads nothing.")
        positive("exposure_photons", exposure_photons, unit="photons per pixel")
        register("quantum_efficiency", quantum_efficiency, unit="electrons per photon", low=0.0, high=1.0)
        positive("full_well_electrons", full_well_electrons, unit="electrons")
        positive("read_noise_electrons", read_noise_electrons, unit="electrons")
        positive("dark_current_electrons_per_second", dark_current_electrons_per_second, unit="electrons/s")
        register("photo_response_non_uniformity", photo_response_non_uniformity, unit="1", low=0.0, high=1.0)
        positive("dark_signal_non_uniformity_electrons", dark_signal_non_uniformity_electrons, unit="electrons")
        if self.bits is None:
            if gain_dn_per_electron is not None or isinstance(offset_dn, Tensor) or offset_dn != 0:
                raise ValueError(
                    "Expected gain_dn_per_electron and offset_dn to be left out without bits, but got values; "
                    "give bits."
                )
            return
        if gain_dn_per_electron is None:
            gain_dn_per_electron = (2**self.bits - 1) / float(torch.as_tensor(full_well_electrons).detach().max())
        positive("gain_dn_per_electron", gain_dn_per_electron, unit="DN per electron")
        register("offset_dn", offset_dn, unit="DN")

    def electrons(self, x: Tensor) -> Tensor:
        """Electrons in each pixel at read-out, with noise, at most the full well."""
        self.check(x)
        shape = x.shape
        photons = x * self.sized("exposure_photons", shape)
        response = self.sized("quantum_efficiency", shape)
        if self._present("photo_response_non_uniformity"):
            spread = self.sized("photo_response_non_uniformity", shape)
            response = (response * (1 + spread * self.noise.pattern(tuple(shape[1:]), x, "response"))).clamp(min=0)
        dark = self.sized("dark_current_electrons_per_second", shape)
        mean = photons * response + dark * self.exposure_seconds
        electrons = photon_counts(mean, self.noise.poisson(mean, training=self.training))
        if self._present("read_noise_electrons"):
            sigma = self.sized("read_noise_electrons", shape)
            electrons = electrons + sigma * self.noise.normal(mean, training=self.training)
        if self._present("dark_signal_non_uniformity_electrons"):
            spread = self.sized("dark_signal_non_uniformity_electrons", shape)
            electrons = electrons + spread * self.noise.pattern(tuple(shape[1:]), x, "dark signal")
        return saturate(electrons, self.sized("full_well_electrons", shape), self.leak)

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
        return (self.full_well_electrons * self.gain_dn_per_electron + self.offset_dn + 0.5).floor().clamp(
            max=steps
        ) / steps

    def _converter(self, x: Tensor) -> tuple[Tensor, Tensor]:
        steps = 2**self.bits - 1
        gain = self.sized("gain_dn_per_electron", x.shape)
        return gain / steps, self.sized("offset_dn", x.shape) / steps

    def _present(self, name: str) -> bool:
        """Whether a noise term is there: a zero costs no random numbers (a learned one is never exactly zero)."""
        return bool(getattr(self, name).detach().any())

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        samples = math.prod(shape)
        photons = float(self.physical()["exposure_photons"].mean()) * samples
        cost = super().cost(shape) | {"photons": photons}
        return cost if self.bits is None else cost | {"bits_per_image": self.bits * samples}

    def settings(self) -> dict:
        return {"bits": self.bits, "exposure_seconds": self.exposure_seconds, "noise_seed": self.noise.seed}
