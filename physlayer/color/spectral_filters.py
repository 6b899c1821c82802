"""Spectral filters: a few bands in front of a detector, fixed or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physlayer.color.spectra import cell_borders, gaussian_curve, trapezoid_weights, wavelength_axis
from physlayer.core.layer import PhysicalLayer
from physlayer.core.quantity import Quantity
from physlayer.core.validation import Accepts

__all__ = ["SpectralFilters", "band_curves"]

NARROWEST_NM = 10.0  # of interference filters in microscopes


def band_curves(wavelengths_nm: Tensor, cuts_nm: Tensor) -> Tensor:
    r"""Neighbouring bands between cuts that share all the light, as ideal dichroic mirrors do.

    A cell of the wavelength axis that a cut divides gives to both bands by width, so the light of a band is exact for a
    spectrum that is constant over each cell, and has a gradient to the cut.

    Args:
        wavelengths_nm: ``(Λ,)``. cuts_nm: ``(K - 1,)``, in any order.

    Shape:
        ``(K, Λ)``, 0…1, of sum 1 at every wavelength.

    Example:
        >>> band_curves(torch.tensor([500.0, 510.0, 520.0, 530.0]), torch.tensor([512.0]))
        tensor([[1.0000, 0.7000, 0.0000, 0.0000],
                [0.0000, 0.3000, 1.0000, 1.0000]])
    """
    borders = cell_borders(wavelengths_nm)
    below = ((cuts_nm.sort().values[:, None] - borders[:-1]) / borders.diff()).clamp(0, 1)
    ends = torch.zeros_like(wavelengths_nm)[None], torch.ones_like(wavelengths_nm)[None]
    return torch.cat([ends[0], below, ends[1]]).diff(dim=0)


class SpectralFilters(PhysicalLayer):
    r"""K channels of a spectral scene: filter, detector, exposure.

    .. math::
        y_k = g_k \int T_k(\lambda)\, Q(\lambda)\, L(\lambda)\, d\lambda, \qquad
        L = \sum_f a_f E_f(\lambda), \quad \int E_f\, d\lambda = 1

    **Light.** An ideal detector without a filter reads the abundance 1 of a fluorophore as 1; of a spectrum it reads
    the mean over the wavelengths, so a flat spectrum of 1 as 1. ``exposure_photons`` of a sensor behind are the photons
    of that reading.

    **Filters**, one of these forms:

    * ``centre_nm`` and ``width_nm``, Gaussian bands of peak 1; they absorb or reflect the rest.
    * ``cuts_nm``, neighbouring bands that share all the light (:func:`band_curves`).
    * ``transmission``, any curve in 0…1 at every wavelength.
    * ``partition``, any curves of sum 1 at every wavelength: a cascade of dichroic mirrors, no photon lost.

    **Photons.** Filters of the last kinds see the light at once. Gaussian or free ones are K cameras with all the light
    each, or exposures one after the other: with ``sequential=True`` these share one exposure time,
    :math:`\sum_k g_k = 1`, as a fair comparison with the others needs.

    Args:
        centre_nm: ``(K,)``, within the wavelengths. width_nm: full width at half maximum, at least 10 nm, one number or
            ``(K,)``. ``nn.Parameter`` learns either.
        cuts_nm: ``(K - 1,)``, within the wavelengths; ``nn.Parameter`` learns them.
        transmission: ``(K, Λ)``, 0…1; ``nn.Parameter`` learns it.
        partition: ``(K, Λ)``, plain shares of sum 1, or ``nn.Parameter`` for logits of a softmax over K.
        emission: :math:`E`, ``(F, Λ)``, for scenes of abundances :math:`a`; scaled to unit area. ``None`` for spectra.
        quantum_efficiency: :math:`Q`, 0…1, one number or ``(Λ,)``.
        exposure: :math:`g`, relative, one number or ``(K,)``; ``nn.Parameter`` learns its logarithm.
        sequential: share one exposure time between the channels.
        wavelengths_nm: ``(Λ,)``; 400…750 nm in steps of 5 nm by default. Integrals by the trapezoid rule.

    Shape:
        ``(B, Λ, H, W)`` spectra or ``(B, F, H, W)`` abundances to ``(B, K, H, W)``.

    Raises:
        ValueError: if not exactly one form of filters is given, a quantity is out of range, or a shape does not fit.

    References:
        Neher & Neher 2004, Journal of Microscopy 213:46–62.

    Example:
        >>> SpectralFilters(cuts_nm=torch.tensor([500.0, 600.0]))(torch.ones(1, 71, 1, 1)).flatten()
        tensor([0.2857, 0.2857, 0.4286])
        >>> from physlayer.color.spectra import emission_spectra
        >>> emission = emission_spectra(["EGFP", "mCherry"], wavelength_axis())
        >>> layer = SpectralFilters(cuts_nm=nn.Parameter(torch.tensor([560.0])), emission=emission)
        >>> layer.mixing().shape
        torch.Size([2, 2])
    """

    wavelengths_nm: Tensor
    emission: Tensor | None

    def __init__(
        self,
        *,
        centre_nm: Tensor | nn.Parameter | None = None,
        width_nm: float | Tensor | nn.Parameter | None = None,
        cuts_nm: Tensor | nn.Parameter | None = None,
        transmission: Tensor | nn.Parameter | None = None,
        partition: Tensor | nn.Parameter | None = None,
        emission: Tensor | None = None,
        quantum_efficiency: float | Tensor | nn.Parameter = 1.0,
        exposure: float | Tensor | nn.Parameter = 1.0,
        sequential: bool = False,
        wavelengths_nm: Tensor | None = None,
    ):
        super().__init__()
        axis = wavelength_axis() if wavelengths_nm is None else wavelengths_nm
        cell_borders(axis)  # refuses what is no axis
        low, high = float(axis[0]), float(axis[-1])
        forms = {"gaussian": centre_nm, "cuts": cuts_nm, "transmission": transmission, "partition": partition}
        given = [name for name, value in forms.items() if value is not None]
        if len(given) != 1 or (width_nm is not None) != (given == ["gaussian"]):
            raise ValueError(
                "Expected one form of filters: centre_nm with width_nm, cuts_nm, transmission, or partition, but got "
                f"{', '.join(given) or 'none'}{'' if width_nm is None else ' with width_nm'}."
            )
        (self.form,), self.sequential = given, bool(sequential)
        if self.sequential and self.form in ("cuts", "partition"):
            raise ValueError("Expected channels one after the other to have filters of their own, not a partition.")
        curves = self.form in ("transmission", "partition")
        value = forms[self.form]
        wanted = f"(K, {len(axis)})" if curves else "(K,)"
        if not isinstance(value, Tensor) or value.ndim != 1 + curves or (curves and value.shape[1] != len(axis)):
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"Expected the filters to be a tensor {wanted}, but got {found}.")
        if self.form == "partition":
            if not isinstance(value, nn.Parameter):
                one = torch.allclose(value.sum(0), torch.ones_like(value[0]), atol=1e-5)
                if not one or not bool((value >= 0).all()):
                    raise ValueError("Expected a given partition to be 0 and above with sum 1 at every wavelength.")
            free = Quantity("partition_logits" if isinstance(value, nn.Parameter) else "given_partition")
            self.register_physical("partition", value, unit="1", low=0.0, high=1.0, free=free)
        elif self.form == "transmission":
            self.register_physical("transmission", value, unit="1", low=0.0, high=1.0)
        elif self.form == "cuts":
            free = Quantity("unsorted_cuts_nm", "nm", low, high)
            self.register_physical("cuts_nm", value, unit="nm", low=low, high=high, free=free)
        else:
            self.register_physical("centre_nm", value, unit="nm", low=low, high=high)
            assert width_nm is not None  # refused above
            self.register_physical("width_nm", width_nm, unit="nm", low=NARROWEST_NM, high=max(high - low, 20.0))
            _require_size("width_nm", self.width_nm, len(value), "filter")
        self.channels = len(value) + (self.form == "cuts")
        self.register_physical("quantum_efficiency", quantum_efficiency, unit="1", low=0.0, high=1.0)
        self.register_physical("exposure", exposure, unit="1", low=0.0, logarithmic=True)
        _require_size("quantum_efficiency", self.quantum_efficiency, len(axis), "wavelength")
        _require_size("exposure", self.exposure, self.channels, "channel")
        self.register_buffer("wavelengths_nm", axis.detach().clone())
        if emission is not None:
            if not isinstance(emission, Tensor) or emission.ndim != 2 or emission.shape[1] != len(axis):
                raise ValueError(f"Expected emission to be a tensor (F, {len(axis)}), one row per fluorophore.")
            area = emission.detach() @ trapezoid_weights(axis).to(emission)
            if not bool((emission >= 0).all()) or not bool((area > 0).all()):
                raise ValueError("Expected emission to be 0 and above, and every fluorophore to have some light.")
            emission = emission.detach() / area[:, None]
        self.register_buffer("emission", emission)
        self.accepts = Accepts(channels=len(axis) if emission is None else len(emission))

    @property
    def cuts_nm(self) -> Tensor:
        """The cuts of the hardware, rising, ``(K - 1,)``, nm; the order of the free ones does not matter."""
        return self.unsorted_cuts_nm.sort().values

    @property
    def partition(self) -> Tensor:
        """Shares of the light at every wavelength, of sum 1, ``(K, Λ)``."""
        return torch.softmax(self.partition_logits, 0) if "partition" in self.learned() else self.given_partition

    def curves(self) -> Tensor:
        """Transmission of every filter at every wavelength, ``(K, Λ)``, 0…1."""
        if self.form == "transmission":
            return self.transmission
        if self.form == "partition":
            return self.partition
        if self.form == "cuts":
            return band_curves(self.wavelengths_nm, self.cuts_nm)
        width = self.width_nm.reshape(-1).expand_as(self.centre_nm)
        return gaussian_curve(self.wavelengths_nm, self.centre_nm, width)

    def system(self) -> Tensor:
        r"""Reading per spectrum at every wavelength, :math:`S = g\,T\,Q\,w / \sum w`, ``(K, Λ)``."""
        exposure = self.exposure.reshape(-1, 1)
        if self.sequential:
            exposure = exposure.expand(self.channels, 1)
            exposure = exposure / exposure.sum()
        weights = trapezoid_weights(self.wavelengths_nm)
        return exposure * self.curves() * self.quantum_efficiency * (weights / weights.sum())

    def mixing(self) -> Tensor:
        """Reading per abundance of every fluorophore, ``(K, F)``.

        Times the photons of a reading of 1 it is the matrix of :func:`physlayer.color.unmixing.cramer_rao_bound`.

        Raises:
            ValueError: for a layer without fluorophores.
        """
        if self.emission is None:
            raise ValueError("Expected emission for a mixing matrix, but got none; use emission=emission_spectra(…).")
        range_nm = self.wavelengths_nm[-1] - self.wavelengths_nm[0]
        return self.system() @ (self.emission.T * range_nm)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            matrix = self.system() if self.emission is None else self.mixing()
            return torch.einsum("bchw,kc->bkhw", x, matrix.to(x.dtype))

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return self.channels, *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        """Transmission: what a channel gets of the light of one exposure, the mean over the channels."""
        light = float(self.system().detach().sum())
        return super().cost(shape) | {"transmission": light / self.channels}

    def settings(self) -> dict:
        return {"form": self.form, "sequential": self.sequential}


def _require_size(name: str, value: Tensor, count: int, of_what: str) -> None:
    if value.ndim > 1 or value.numel() not in (1, count):
        raise ValueError(
            f"Expected {name} to be one number or ({count},), one per {of_what}, but got {tuple(value.shape)}."
        )
