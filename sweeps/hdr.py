"""Which exposures does a classifier need where the light is uneven? Accuracy against the range of the light in dB.

    python sweeps/hdr.py --decibels 40,60,80,100              # embedded phantom
    python sweeps/hdr.py --decibels 60 --seeds 2 --fast
    python sweeps/hdr.py --decibels 40,60,80,100 --data DIR --seeds 3 --variants fixed,random,learned,enumerated

A lamp at the left lights the scene, its light falling exponentially to the right by the swept range. A tile of 2×2
neutral-density filters stands before a 12-bit sensor whose well is filled 64 times over by white without a filter;
exposures are merged into one picture and its logarithm goes to the network. Arms: none (evenly lit, no sensor, the
upper bound), fixed (one exposure, white at full well), four (exposures 1, 1/4, 1/16, 1/64: Nayar & Mitsunaga's
mosaic), random (four random exposures), learned (four exposures learned with the network, starting from 1/4, 1/8,
1/16, 1/32), enumerated (the best of six tiles on validation; slow). The constraint is one reading per pixel of the
same sensor. Every score is the mean over five exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import SENSORS, ExposureMosaic, Sensor
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

BITS = 12
OVERFILLED = 64  # full wells that white gives without a filter
OFFSET_DN = 16.0  # keeps the dark signal's noise above code 0
STEPS = (1.0, 1 / 4, 1 / 16, 1 / 64)
TILES = (  # of `enumerated`
    (1 / 64,) * 4,
    (1 / 16,) * 4,
    (1 / 4,) * 4,
    (1 / 4, 1 / 64, 1 / 64, 1 / 4),
    (1.0, 1 / 64, 1 / 64, 1.0),
    STEPS,
)


class SideLamp(nn.Module):
    """The scene, not the camera: light that falls exponentially from the left border to the right."""

    def __init__(self, decibels: float):
        super().__init__()
        self.decibels = decibels

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.linspace(0, -self.decibels / 20, x.shape[3], device=x.device, dtype=x.dtype)
        return x * 10**ramp


class Logarithm(nn.Module):
    """A digital step: 0…1 to 0…1, so that every part of the range has its share of the contrast."""

    def __init__(self, decibels: float, white: float):
        super().__init__()
        self.least, self.white = 10 ** (-decibels / 20), white

    def forward(self, y: Tensor) -> Tensor:
        # noise may lie below the dark signal by several steps: the slope there stays finite
        light = (y / self.white).clamp(min=0)
        return torch.log1p(light / self.least) / math.log1p(1 / self.least)


def camera(point: Point, tile: Tensor) -> list[nn.Module]:
    kind = SENSORS["pregius345"]
    photons = OVERFILLED * kind["full_well_electrons"] / kind["quantum_efficiency"]
    gain = (2**BITS - 1 - OFFSET_DN) / kind["full_well_electrons"]
    mosaic = ExposureMosaic(tile)
    sensor = Sensor(BITS, **kind, exposure_photons=photons, gain_dn_per_electron=gain, offset_dn=OFFSET_DN)
    white = OVERFILLED * (1 - OFFSET_DN / (2**BITS - 1))
    return [SideLamp(point.value), mosaic, sensor, mosaic.decoder(sensor=sensor), Logarithm(point.value, white)]


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, torch.full((2, 2), 1 / OVERFILLED))


def four(point: Point) -> list[nn.Module]:
    return camera(point, torch.tensor(STEPS).view(2, 2))


def random(point: Point) -> list[nn.Module]:
    return camera(point, OVERFILLED ** -torch.rand(2, 2, generator=point.generator))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(torch.tensor([[1 / 4, 1 / 8], [1 / 16, 1 / 32]])))


def enumerated(point: Point, *, tile: tuple[float, ...]) -> list[nn.Module]:
    return camera(point, torch.tensor(tile).view(2, 2))


def tiles(point: Point) -> list[dict]:
    return [{"tile": tile} for tile in TILES]


SWEEP = Sweep(
    name="hdr",
    parameter="decibels",
    axis="range of the light / dB",
    minimum=0,
    maximum=140,
    default="40,60,80,100",
    variants=(
        Variant("fixed", "one exposure", fixed),
        Variant("four", "exposures in steps of 4", four),
        Variant("random", "random exposures", random),
        Variant("learned", "learned exposures", learned, learned=True),
        Variant("enumerated", "best of six tiles", enumerated, candidates=tiles),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "four", "random", "learned"),
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
