"""Ultrasound array: which elements work, how strongly each is driven, and the field that it sees."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from physlayer.core.field import PARTS, field_of, parts_of
from physlayer.core.randomness import Noise
from physlayer.core.validation import Accepts, above_zero, one_number, one_of, plain_number
from physlayer.sampling.subset_layer import SubsetLayer
from physlayer.ultrasound.beam import RECEIVES, axial_pulse, pulse_deviation
from physlayer.ultrasound.scan_lines import along_depth, pixel_spread, scanned

__all__ = ["TransducerArray"]

INPUTS, OUTPUTS = ("field", "parts", "polar"), ("field", "parts")
PULSE_REACH = 4.0  # standard deviations of the pulse that the kernel holds


class TransducerArray(SubsetLayer):
    r"""An ultrasound array of N elements: the field of the scatterers becomes the field of the scan lines.

    .. math::
        y(z, x) = \sum_{z'} g(z - z') \sum_{x'} \frac{p(x' - x;\, z')}{E(z')}\, s(z', x') + n, \qquad
        w_n m_n,\ |w_n| \le 1,\ \textstyle\sum_n m_n = k

    with the two-way beam p of :func:`lateral_spread` and the pulse g of :func:`axial_pulse`. :math:`E^2 = \sum_x
    |p_\mathrm{open}|^2` is the energy of the open array focused at that depth: tissue at the transmit focus keeps its
    mean intensity under the open array, and none ever gains any; beside the focus it loses, and a display can make
    up for that by a reference for every row (:class:`physlayer.LogCompression`). The weights are bounded and not
    normalised, so apodisation and idle elements cost signal against the noise :math:`n`, a complex field of rms
    :math:`\sigma\sqrt{\sum (m w)^2/N}`. Every scan line has the whole array centred on it, as if the array moved along.
    The field must reach :class:`physlayer.Envelope` before any blur or mean: blurring a B-mode image is other physics.

    Narrow-band: lobes are those of one frequency; a pulse of few cycles weakens the side and grating lobes of sparse
    arrays, by 10 dB and more. A beam narrower than a pixel is seen as its rms over the pixel with ``oversample``, which
    is what many scatterers of any phase send back; the resolution is then that of the grid.

    Args:
        elements: N. pitch_mm: of the elements. pixel_mm: of the scene, one number or (rows, columns).
        depth_mm: of the first row, above 0.
        focus_mm: :math:`z_f` of the transmitted beam; learned by its logarithm.
        frequency_mhz: f; wavelength c/f; learned by its logarithm. The phases of the scene are not changed by it.
        logits: ``(N,)``, which elements work, with ``keep``; ``None`` takes all. keep: k.
        weights: :math:`w`, one number or ``(N,)``, 0…1, or −1…1 if ``signed``.
        cycles: n of the pulse. receive: ``"dynamic"``, ``"fixed"`` or ``"none"`` (one-way), see :func:`lateral_spread`.
        element_width_mm: of an element, 0 for points. sound_mm_per_us: c, 1.54 in tissue.
        noise_rms: :math:`\sigma`, of the open array, full scale; learned by its logarithm.
        oversample: places in each of the pixels next to a scan line at which the beam is taken; 1 is right for beams of
            two pixels and more.
        input: ``"field"``, complex; ``"parts"``, its real parts and behind them its imaginary parts as twice the
            channels; ``"polar"``, magnitudes and behind them phases in waves, 0…1. output: ``"field"`` or ``"parts"``.
        temperature, gumbel, noise_seed: as in :class:`physlayer.SensorPlacement`.

    Shape:
        ``(B, C, H, W)``, rows are depth, columns are scan lines, to the same (2C for ``"parts"`` and ``"polar"``).

    Raises:
        TypeError: for real images where a field is expected, or the reverse.
        ValueError: for weights or logits that are not (N,), an odd number of parts, or quantities out of range.

    References:
        Szabo 2014, Diagnostic Ultrasound Imaging, chapters 7, 8, 10; Huijben et al. 2020, IEEE TMI 39:3955.

    Example:
        >>> kinds = {"pitch_mm": 0.2, "pixel_mm": 0.25, "depth_mm": 5.0, "focus_mm": 16.0}
        >>> array = TransducerArray(64, **kinds, logits=nn.Parameter(torch.rand(64)), keep=16)
        >>> array(torch.randn(2, 1, 32, 40, dtype=torch.complex64)).shape, array.cost((1, 32, 40))["elements"]
        (torch.Size([2, 1, 32, 40]), 16)
    """

    def __init__(
        self,
        elements: int,
        *,
        pitch_mm: float,
        pixel_mm: float | tuple[float, float],
        depth_mm: float,
        focus_mm: float | Tensor | nn.Parameter,
        frequency_mhz: float | Tensor | nn.Parameter = 10.0,
        logits: Tensor | nn.Parameter | None = None,
        keep: int | None = None,
        weights: float | Tensor | nn.Parameter = 1.0,
        signed: bool = False,
        cycles: float = 1.5,
        receive: str = "dynamic",
        element_width_mm: float = 0.0,
        sound_mm_per_us: float = 1.54,
        noise_rms: float | Tensor | nn.Parameter = 0.0,
        oversample: int = 1,
        input: str = "field",
        output: str = "field",
        temperature: float = 2.0,
        gumbel: bool = True,
        noise_seed: int = 0,
    ):
        super().__init__()
        self.elements = plain_number("elements", elements, 1, 10_000, whole=True)
        if isinstance(weights, Tensor) and tuple(weights.shape) not in ((), (self.elements,)):
            raise ValueError(f"Expected weights to be ({self.elements},), but got {tuple(weights.shape)}.")
        self.input, self.output = one_of("input", input, INPUTS), one_of("output", output, OUTPUTS)
        self.receive, self.signed = one_of("receive", receive, RECEIVES), bool(signed)
        sizes = pixel_mm if isinstance(pixel_mm, tuple | list) else (pixel_mm, pixel_mm)
        if len(sizes) != 2:
            raise ValueError(f"Expected pixel_mm to be one number or (rows, columns), but got {pixel_mm}.")
        self.pixel_mm = tuple(plain_number("pixel_mm", size, 1e-4, 100) for size in sizes)
        self.pitch_mm = plain_number("pitch_mm", pitch_mm, 1e-4, 100)
        self.depth_mm = plain_number("depth_mm", depth_mm, 1e-3, 1e4)
        self.oversample = plain_number("oversample", oversample, 1, 1000, whole=True)
        self.cycles = plain_number("cycles", cycles, 0, 1000)
        self.element_width_mm = plain_number("element_width_mm", element_width_mm, 0, 100)
        self.sound_mm_per_us = plain_number("sound_mm_per_us", sound_mm_per_us, 0.1, 10)
        self.accepts = {"field": Accepts(complex=True), "parts": PARTS, "polar": Accepts(low=0.0)}[input]
        positive = functools.partial(self.register_physical, low=0.0, logarithmic=True)
        for name, value in (("focus_mm", focus_mm), ("frequency_mhz", frequency_mhz), ("noise_rms", noise_rms)):
            one_number(name, value)
        positive("focus_mm", focus_mm, unit="mm")
        above_zero("focus_mm", focus_mm, "a beam has its focus before the array")
        positive("frequency_mhz", frequency_mhz, unit="MHz")
        above_zero("frequency_mhz", frequency_mhz, "there is no wave without it")
        self.register_physical("weights", weights, unit="1", low=-1.0 if signed else 0.0, high=1.0)
        positive("noise_rms", noise_rms, unit="full scale")
        self.noisy, self.noise = "noise_rms" in self.learned() or bool(self.noise_rms > 0), Noise(noise_seed)
        deviation = pulse_deviation(float(self.frequency_mhz.detach()), self.cycles, self.sound_mm_per_us)
        room = 2 if "frequency_mhz" in self.learned() else 1  # a learned frequency may fall
        self.pulse_rows = max(1, math.ceil(room * PULSE_REACH * deviation / self.pixel_mm[0]))
        self.register_choice(
            logits, keep, places=self.elements, temperature=temperature, gumbel=gumbel, noise_seed=noise_seed
        )

    def drive(self, x: Tensor) -> Tensor:
        """What every element is driven with, w m, for every image of a batch: ``(B, N)`` or ``(1, N)``."""
        weights = self.weights.reshape(1, -1).expand(1, self.elements)
        return weights * self.masks(x.real).to(weights) if self.chooses else weights

    def point_spread(self, drive: Tensor, shape: tuple[int, int]) -> Tensor:
        """p / E for scenes of ``shape`` (H, W): ``(B, H, 2 W - 1)``, offsets point minus line from −(W − 1) pixels."""
        focused = self._spread(drive, shape, self.focus_mm.to(drive))
        opened = self._spread(torch.ones_like(drive[0]), shape, None)
        return focused / opened.abs().square().sum(-1, keepdim=True).sqrt()

    def _spread(self, drive: Tensor, shape: tuple[int, int], focus_mm: Tensor | None) -> Tensor:
        depth = self.depth_mm + self.pixel_mm[0] * torch.arange(shape[0], device=drive.device, dtype=drive.dtype)
        wavelength = self.sound_mm_per_us / self.frequency_mhz.to(drive)
        return pixel_spread(
            drive, depth, shape[1], self.pixel_mm[1], oversample=self.oversample, pitch_mm=self.pitch_mm,
            wavelength_mm=wavelength, focus_mm=focus_mm, receive=self.receive, element_width_mm=self.element_width_mm,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        with torch.autocast(x.device.type, enabled=False):
            field = x if self.input == "field" else field_of(x, self.input)
            drive = self.drive(x).to(field.real.dtype)
            field = scanned(field, self.point_spread(drive, (field.shape[2], field.shape[3])))
            pulse = self.frequency_mhz.to(drive), self.cycles, self.pixel_mm[0], self.pulse_rows, self.sound_mm_per_us
            field = along_depth(field, axial_pulse(*pulse))
            if self.noisy:
                rms = self.noise_rms.to(drive) * drive.square().mean(-1).sqrt().reshape(-1, 1, 1, 1)
                parts = [self.noise.normal(field.real, training=self.training, stream=s) for s in ("real", "imaginary")]
                field = field + rms * math.sqrt(0.5) * torch.complex(*parts)
            return field if self.output == "field" else parts_of(field)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        fields = shape[0] if self.input == "field" else shape[0] // 2
        return (fields if self.output == "field" else 2 * fields), *shape[1:]

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        """As the base class, with the ``elements`` that work: the channels that a scanner needs."""
        return super().cost(shape) | {"elements": self.keep}

    def settings(self) -> dict:
        names = ("elements", "pitch_mm", "depth_mm", "cycles", "receive", "element_width_mm", "sound_mm_per_us")
        own = {name: getattr(self, name) for name in (*names, "oversample", "signed", "input", "output")}
        return super().settings() | own | {"pixel_mm": list(self.pixel_mm)}
