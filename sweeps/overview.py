"""Which limit of a camera costs a network most? A first look at a task, before a sweep of its own.

    python sweeps/overview.py                                   # embedded phantom
    python sweeps/overview.py --severity 3 --seeds 2 --fast
    python sweeps/overview.py --task folder --data DIR          # your own images

Arms, each limits the camera in one way only, at a severity of 1, 2 and 3: bits (4, 2, 1 bits per pixel, full scale),
pixels (2, 4, 8 times larger along each axis), blur (a Gaussian of σ = 1, 2, 4 scene pixels), noise (Gaussian, of 0.05,
0.1, 0.2 full scales, fresh in every exposure); by name also grey (the mean of the channels, whatever the severity) and
photons (1000, 100, 10 on a white pixel, all counted). All are compared with none, the scenes as they are. Severities
of two arms are not alike in any unit: what can be compared is where each begins to cost, and that it does.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from physlayer import BitDepth, Blur, ColorWeights, GaussianNoise, PhotonNoise, PixelBinning
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

BITS = (4, 2, 1)
FACTORS = (2, 4, 8)  # of a pixel's side
SIGMA_PIXELS = (1.0, 2.0, 4.0)
NOISE = (0.05, 0.1, 0.2)  # full scales
PHOTONS = (1000.0, 100.0, 10.0)


def at(levels: tuple, point: Point) -> float:
    """The level of a severity."""
    return levels[int(point.value) - 1]


def bits(point: Point) -> list[nn.Module]:
    return [BitDepth(at(BITS, point))]


def pixels(point: Point) -> list[nn.Module]:
    return [PixelBinning(at(FACTORS, point))]


def blur(point: Point) -> list[nn.Module]:
    return [Blur(at(SIGMA_PIXELS, point))]


def noise(point: Point) -> list[nn.Module]:
    return [GaussianNoise(at(NOISE, point))]


def photons(point: Point) -> list[nn.Module]:
    return [PhotonNoise(at(PHOTONS, point))]


def grey(point: Point) -> list[nn.Module]:
    channels = point.shape[0]
    return [ColorWeights(torch.full((1, channels), 1 / channels))]


SWEEP = Sweep(
    name="overview",
    parameter="severity",
    axis="severity: 4, 2, 1 bits; 2, 4, 8 × pixels; σ = 1, 2, 4; …",
    minimum=1,
    maximum=3,
    default="1..3",
    variants=(
        Variant("bits", "bits: 4, 2, 1", bits),
        Variant("pixels", "pixels: 2, 4, 8 × larger", pixels),
        Variant("blur", "blur: σ = 1, 2, 4 pixels", blur),
        Variant("noise", "noise: .05, .1, .2", noise),
        Variant("photons", "photons: 1000, 100, 10", photons),
        Variant("grey", "grey", grey, swept=False),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("bits", "pixels", "blur", "noise"),
    baseline="none",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
