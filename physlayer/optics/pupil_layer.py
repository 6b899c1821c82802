"""A pupil as part of a layer: its quantities, fixed or learned, its grid, and the point spread functions it gives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from physlayer.core.fft import fast_length
from physlayer.core.layer import PhysicalLayer
from physlayer.core.validation import plain_number
from physlayer.optics.pupil import RIM, border_energy, defocus_waves, disc, point_spread, ring_zones, sample_map
from physlayer.optics.pupil_sampling import lit_grid, pupil_sampling
from physlayer.optics.zernike import zernike

__all__ = ["PupilLayer"]

MOST_AT_BORDER = 1e-3  # share of the light in the outermost samples
VECTORS = {"zernike_waves": "(J,)", "ring_radii": "(R,)", "ring_waves": "(R,)"}
MAPS = ("phase_map_waves", "amplitude_map")


class PupilLayer(PhysicalLayer):
    """A layer that sees through a pupil: it calls :meth:`register_optics` and :meth:`register_pupil` once, in this
    order, and has the :meth:`kernels`, the export and the settings for nothing.

    Example:
        >>> class Pinhole(PupilLayer):
        ...     def __init__(self, radius):
        ...         super().__init__()
        ...         self.register_optics(0.25, 0.55, 0.5)
        ...         self.register_pupil(outer_radius=radius)
        >>> round(Pinhole(0.5).transmission(), 2)
        0.25
    """

    numerical_aperture: float
    refractive_index: float
    pitch_um: float
    wavelength_um: list[float]

    def register_optics(
        self,
        numerical_aperture: float,
        wavelength_um: float | Sequence[float],
        pitch_um: float,
        refractive_index: float = 1.0,
    ) -> None:
        """Say what the objective and the light are; settings, not learned.

        Args:
            numerical_aperture: at most the refractive index. wavelength_um: one, or one per channel, µm.
            pitch_um: of the image's pixels, µm in the object. refractive_index: of the medium at the object.
        """
        self.refractive_index = plain_number("refractive_index", refractive_index, 1.0, 4.0)
        self.numerical_aperture = plain_number("numerical_aperture", numerical_aperture, 1e-3, self.refractive_index)
        self.pitch_um = plain_number("pitch_um", pitch_um, 1e-6, 1e6)
        colours = list(wavelength_um) if isinstance(wavelength_um, Sequence) else [wavelength_um]
        self.wavelength_um = [plain_number("wavelength_um", colour, 1e-4, 1e4) for colour in colours]
        if not colours:
            raise ValueError("Expected wavelength_um to be a number or one per channel, but got none.")

    def register_pupil(
        self,
        *,
        outer_radius: float | Tensor | nn.Parameter = 1.0,
        inner_radius: float | Tensor | nn.Parameter = 0.0,
        zernike_waves: Tensor | nn.Parameter | None = None,
        zernike_numbers: Sequence[int] | None = None,
        ring_radii: Tensor | nn.Parameter | None = None,
        ring_waves: Tensor | nn.Parameter | None = None,
        phase_map_waves: Tensor | nn.Parameter | None = None,
        amplitude_map: Tensor | nn.Parameter | None = None,
        defocus_um: float | Tensor | nn.Parameter = 0.0,
        stated_um: Sequence[float] = (0.0,),
        oversample: int | None = None,
        window_pixels: int | None = None,
    ) -> None:
        """Say what the pupil is; see :class:`physlayer.IncoherentImaging` for the quantities.

        Raises:
            ValueError: if shapes do not fit, samples are too coarse, or a stated position does not fit the window.
        """
        self.register_physical("outer_radius", outer_radius, unit="pupil radius", low=0.0, high=1.0)
        self.register_physical("inner_radius", inner_radius, unit="pupil radius", low=0.0, high=1.0)
        self.register_physical("defocus_um", defocus_um, unit="µm")
        if self.defocus_um.numel() != 1 or self.outer_radius.numel() != 1 or self.inner_radius.numel() != 1:
            raise ValueError("Expected defocus_um, outer_radius and inner_radius to be one number each.")
        if (ring_radii is None) != (ring_waves is None):
            raise ValueError("Expected ring_radii and ring_waves together, one phase for each radius.")
        shapes = {"zernike_waves": zernike_waves, "ring_radii": ring_radii, "ring_waves": ring_waves}
        for name, value in (shapes | {"phase_map_waves": phase_map_waves, "amplitude_map": amplitude_map}).items():
            if value is not None:
                _check_shape(name, value, len(self.wavelength_um))
                unit = "waves" if name.endswith("waves") else "pupil radius" if name == "ring_radii" else "1"
                low, high = (0.0, 1.0) if unit != "waves" else (-math.inf, math.inf)
                self.register_physical(name, value, unit=unit, low=low, high=high)
        if ring_radii is not None and ring_waves is not None and len(ring_radii) != len(ring_waves):
            raise ValueError(
                f"Expected one of ring_waves for each of {len(ring_radii)} radii, but got {len(ring_waves)}."
            )
        if zernike_waves is not None:
            numbers = range(4, 4 + len(zernike_waves)) if zernike_numbers is None else zernike_numbers
            if len(numbers) != len(zernike_waves):
                raise ValueError(f"Expected {len(zernike_waves)} zernike_numbers, but got {len(numbers)}.")
            self.zernike_numbers = list(numbers)
        self._lay_sufficient_grid(oversample, window_pixels, stated_um)

    def _lay_sufficient_grid(self, oversample: int | None, window_pixels: int | None, stated: Sequence[float]) -> None:
        """A grid whose window holds what the pupil spreads at its start."""
        wanted = window_pixels
        while True:
            self._lay_grid(oversample, wanted, stated)
            with torch.no_grad():
                lost = float(border_energy(self.samples(self.pupil_x.new_tensor(list(stated)))).max())
            if lost <= MOST_AT_BORDER:
                return
            if window_pixels is not None:
                raise ValueError(
                    f"Expected window_pixels to hold the point spread function with at most {MOST_AT_BORDER:g} of its "
                    f"light at the border, but got {lost:.2g} there with {window_pixels} pixels; use more."
                )
            wanted = fast_length(math.ceil(1.25 * self.window_pixels), odd=True)

    def _lay_grid(self, oversample: int | None, window_pixels: int | None, stated: Sequence[float]) -> None:
        """Samples fine enough for the intensity, a window wide enough for the pupil's grid and the defocus."""
        aperture, pitch = self.numerical_aperture, self.pitch_um
        self.oversample, self.window_pixels = pupil_sampling(
            aperture,
            self.wavelength_um,
            pitch,
            refractive_index=self.refractive_index,
            defocus_um=float(self.defocus_um.detach().abs()) + max(abs(place) for place in stated),
            oversample=oversample,
            window_pixels=window_pixels,
        )
        size = self.window_pixels * self.oversample
        cells = [size * (pitch / self.oversample) * aperture / colour for colour in self.wavelength_um]
        radii = torch.tensor(cells, dtype=torch.float64)
        x, y = lit_grid(size, radii)
        kind = torch.get_default_dtype()
        self.register_buffer("pupil_x", x.to(kind), persistent=False)
        self.register_buffer("pupil_y", y.to(kind), persistent=False)
        self.register_buffer("cell", (1 / radii).to(kind)[:, None, None], persistent=False)
        colours = torch.tensor(self.wavelength_um, dtype=kind)[:, None, None]
        self.register_buffer("wavelengths", colours, persistent=False)
        if "zernike_waves" in self.quantities:
            basis = torch.stack([zernike(j, x, y) for j in self.zernike_numbers])
            self.register_buffer("basis", basis.to(kind), persistent=False)

    def pupil(self) -> tuple[Tensor, Tensor, Tensor]:
        """Amplitude (complex with rings), phase in waves at each wavelength, and the open pupil, ``(C, n, n)`` each."""
        rho = torch.hypot(self.pupil_x, self.pupil_y)
        blue = self.wavelengths.mean() / self.wavelengths
        clear = disc(rho, 1.0, self.cell)
        amplitude = clear * disc(rho, self.outer_radius, self.cell)
        # a cell on the rim belongs to the open side, so that a stop of radius 0 takes nothing
        amplitude = amplitude * (1 - disc(rho, self.inner_radius - 2 * RIM, self.cell))
        phase = torch.zeros_like(rho)
        if "zernike_waves" in self.quantities:
            phase = phase + (self.zernike_waves[:, None, None, None] * self.basis).sum(0)
        if "phase_map_waves" in self.quantities:
            phase = phase + sample_map(self.phase_map_waves, self.pupil_x, self.pupil_y)
        if "amplitude_map" in self.quantities:
            amplitude = amplitude * sample_map(self.amplitude_map, self.pupil_x, self.pupil_y)
        if "ring_radii" in self.quantities:
            amplitude = amplitude * ring_zones(rho, self.ring_radii, self.ring_waves * blue.unsqueeze(-1), self.cell)
        return amplitude, phase * blue, clear

    def samples(self, defocus: Tensor) -> Tensor:
        """Point spread functions at positions ``(P,)`` around the nominal focus, on the fine grid, ``(P, C, N, N)``."""
        with torch.autocast(self.pupil_x.device.type, enabled=False):
            amplitude, phase, clear = self.pupil()
            places = (self.defocus_um.reshape(()) + defocus)[:, None, None, None]
            rim = defocus_waves(places, self.numerical_aperture, self.wavelengths, self.refractive_index)
            bent = phase + rim * (self.pupil_x.square() + self.pupil_y.square())
            return point_spread(amplitude, bent, clear, self.window_pixels * self.oversample)

    def kernels(self, defocus_um: Tensor | None = None) -> Tensor:
        """What a point of the scene gives to each pixel, at positions ``(P,)`` added to the nominal focus, µm.

        Shape:
            ``(P, C, K, K)``, C the number of wavelengths; P is 1 without positions.
        """
        samples = self.samples(self.pupil_x.new_zeros(1) if defocus_um is None else defocus_um)
        if not self.training and not torch.compiler.is_compiling():
            lost = float(border_energy(samples.detach()).max())
            if lost > MOST_AT_BORDER:
                warnings.warn(
                    f"Expected the point spread function to stay within its {self.window_pixels} pixels, but got "
                    f"{lost:.2g} of its light at the border; give more window_pixels.",
                    stacklevel=3,
                )
        side = self.window_pixels
        return samples.unflatten(2, (side, -1)).unflatten(4, (side, -1)).sum((3, 5))

    def transmission(self) -> float:
        """Share of the open pupil's light that passes, mean over the wavelengths."""
        with torch.no_grad():
            amplitude, _, clear = self.pupil()
            passed = amplitude.abs().square().sum((-2, -1)) / clear.sum((-2, -1))
            return float(passed.mean())

    def channels(self) -> int:
        """Channels the images must have, one per wavelength or map; 1 for any."""
        maps = [getattr(self, name) for name in MAPS if name in self.quantities]
        return max(len(self.wavelength_um), *(len(m) if m.ndim == 3 else 1 for m in maps), 1)

    def settings(self) -> dict:
        settings = {
            "numerical_aperture": self.numerical_aperture,
            "wavelength_um": self.wavelength_um,
            "pitch_um": self.pitch_um,
            "refractive_index": self.refractive_index,
            "window_pixels": self.window_pixels,
            "oversample": self.oversample,
        }
        if "zernike_waves" in self.quantities:
            settings["zernike_numbers"] = self.zernike_numbers
        return settings


def _check_shape(name: str, value: Tensor | nn.Parameter, colours: int) -> None:
    wanted = VECTORS.get(name, "(n, n) or (C, n, n)")
    if not isinstance(value, Tensor) or value.ndim not in ((1,) if name in VECTORS else (2, 3)):
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"Expected {name} to be a tensor {wanted}, but got {found}.")
    if value.ndim == 3 and len(value) not in (1, colours) and colours > 1:
        raise ValueError(f"Expected {name} to have one map, or one per wavelength, but got {tuple(value.shape)}.")
