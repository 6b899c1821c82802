"""Which LEDs should light a thin sample? Accuracy against light, for patterns of one array.

    python sweeps/illumination.py --photons 10,100,1000 --task digits   # embedded digits
    python sweeps/illumination.py --photons 10,100,1000                 # blood-cell phantom
    python sweeps/illumination.py --photons 100 --seeds 2 --fast

A transparent sample, a fifth of a wave thick where the grey image is 1 (2 µm, of a refractive index 0.06 above that of
water; bright is thick, so a stained cell is the thinnest part), stands in a microscope below 5×5 LEDs: nine within the
aperture, sixteen beyond its rim, which give a dark field. Light of different LEDs does not interfere, so a pattern
shows the weighted sum of the pictures that each LED gives alone; these are computed within the camera, with a circular
border. Arms: none (the thickness itself, without noise, the upper bound), fixed (the LED in the middle), all (all LEDs
alike), random (random powers), learned (powers learned with the network, from the random ones), contrast (left half of
the inner LEDs minus their right half: differential phase contrast), learned_signed (weights of both signs, learned from
random ones). Light is never negative, so contrast and learned_signed take two exposures and subtract them.

The constraint is the light: the powers of all LEDs in all exposures of an image sum to the same, and --photons are
those that one LED at that power gives a pixel without a sample. Two exposures share it and pay the read noise twice.
Light that misses the aperture is lost to its arm. The network sees one image, normalised in its first step by the same
rule for all arms. Behind the microscope stands an industrial sensor of 12 bits; every score is the mean over five
exposures of each image. The thickness of colour images is their green channel, in which stained cells have most
contrast.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer import CoherentImaging, ColorWeights, LedIllumination
from physlayer.core.field import intensity
from physlayer.core.layer import PhysicalLayer
from physlayer.experiment import Point, Sweep, Variant, main
from physlayer.optics.illumination import led_grid
from physlayer.sensor import industrial_sensor, photons_at_full_well

SIDE = 5  # of the square of LEDs
INNER = 9  # LEDs within the aperture
THICKNESS_WAVES = 0.2  # 2 µm, of an index 0.06 above that of water, at 0.6 µm
APERTURE = 5 / 32  # radius of the aperture, cells per pixel of the image's width
STEP = 0.6  # aperture radii between LEDs: at 32 pixels the inner nine lie within 0.85, the others from 1.2 on
HEADROOM = 3.0  # of the last code above the light without a sample: interference gathers light
GREEN = 1  # channel of colour images that is the thickness


class LedPictures(PhysicalLayer):
    """The scene, not the camera: pictures of the sample by each LED alone, ``(B, 1, H, W)`` to ``(B, K, H, W)``.

    They are those of :func:`.led_stack`. Tilts of whole cycles move the spectrum by whole cells;
    here the aperture moves the other way instead, so that one spectrum serves all LEDs.
    """

    def __init__(self, tilt_cycles: Tensor, microscope: CoherentImaging, size: tuple[int, int]):
        super().__init__()
        self.microscope = microscope
        self.register_physical("tilt_cycles", tilt_cycles, unit="cycles")
        aperture = microscope.aperture((1, 1, *size))[0, 0]
        moved = [aperture.roll((-p, -q), (0, 1)) for p, q in tilt_cycles.int().tolist()]
        self.register_buffer("apertures", torch.fft.ifftshift(torch.stack(moved), (-2, -1)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(self.microscope.field(x))
        # one LED after the other: a batch of one picture stays in the cache
        return torch.cat([intensity(torch.fft.ifft2(spectrum * aperture)) for aperture in self.apertures], 1)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return shape[0] * len(self.tilt_cycles), *shape[1:]

    def settings(self) -> dict:
        return self.microscope.settings()


def thickness(point: Point) -> list[nn.Module]:
    """The sample: a grey image, 0…1 of the thickness."""
    channels = point.shape[0]
    return [] if channels == 1 else [ColorWeights(torch.eye(channels)[GREEN : GREEN + 1])]


def tilts(height: int, width: int) -> Tensor:
    """Cycles of the LEDs' waves across the rows and columns, whole so that they join at the border, ``(25, 2)``.

    Example:
        >>> tilts(32, 32)[[0, 12, 13]].tolist()
        [[-6.0, -6.0], [0.0, 0.0], [0.0, 3.0]]
    """
    steps = [max(1, round(STEP * APERTURE * pixels)) for pixels in (height, width)]
    return led_grid(SIDE, 1.0) * torch.tensor(steps)


def camera(point: Point, weights: Tensor, *, signed: bool = False) -> list[nn.Module]:
    _, height, width = point.shape
    waves = tilts(height, width)
    within = int((torch.hypot(waves[:, 0] * width / height, waves[:, 1]) <= APERTURE * width).sum())
    if within != INNER:  # waves of whole cycles are too coarse for small images
        raise ValueError(
            f"Expected images wide enough for {INNER} LEDs within the aperture, but got {within} with {height}×{width} "
            "pixels; use --width 28, 32, or 36 and more."
        )
    microscope = CoherentImaging(APERTURE * width, thickness_waves=THICKNESS_WAVES)
    if not isinstance(weights, nn.Parameter):  # pictures of dark LEDs need not be computed
        waves, weights = waves[weights != 0], weights[weights != 0]
    leds = LedIllumination(weights, signed=signed, output="exposures" if signed else "difference")
    sensor = industrial_sensor(point.value, headroom=HEADROOM)
    steps = [leds.decoder()] if signed else []
    pictures = LedPictures(waves, microscope, (height, width))
    return [*thickness(point), pictures, leds, sensor, *steps]


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, (led_grid(SIDE, 1.0) == 0).all(1).float())


def all_leds(point: Point) -> list[nn.Module]:
    return camera(point, torch.ones(SIDE**2))


def powers(point: Point) -> Tensor:
    return torch.rand(SIDE**2, generator=point.generator)


def random(point: Point) -> list[nn.Module]:
    return camera(point, powers(point))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(powers(point)))


def contrast(point: Point) -> list[nn.Module]:
    places = led_grid(SIDE, 1.0)
    inner = (places.abs() <= 1).all(1)
    return camera(point, -places[:, 1].sign() * inner, signed=True)


def learned_signed(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(2 * powers(point) - 1), signed=True)


SWEEP = Sweep(
    name="illumination",
    parameter="photons",
    axis="photons on a pixel without a sample",
    minimum=0.1,
    maximum=photons_at_full_well() / HEADROOM,
    default="10,100,1000",
    variants=(
        Variant("fixed", "LED in the middle", fixed),
        Variant("all", "all LEDs", all_leds),
        Variant("random", "random powers", random),
        Variant("learned", "learned powers", learned, learned=True),
        Variant("contrast", "left minus right", contrast),
        Variant("learned_signed", "learned, two exposures", learned_signed, learned=True),
        Variant("none", "thickness itself, no noise", thickness, swept=False),
    ),
    chosen=("fixed", "all", "random", "learned", "contrast", "learned_signed"),
    whole=False,
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
