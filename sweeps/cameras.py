"""One camera or many small ones? Accuracy against the number of cameras at equal pixels and equal photons per pixel.

    python sweeps/cameras.py --cameras 1,4,16                 # embedded phantom
    python sweeps/cameras.py --cameras 1,4 --seeds 2 --fast
    python sweeps/cameras.py --cameras 1,4,16 --data DIR --seeds 3

n cameras have pixels √n times larger along each axis than one camera alone and share its aperture: the number of pixels
and the photons on each are the same for all n (an 8-bit converter reads them). Arms: none (every scene pixel, the upper
bound), fixed (shifts on a square lattice, the optimum for reconstruction), same (no shifts: n equal pictures), random
(random shifts), learned (shifts learned with the network, starting at random). Every picture is spread over the scene's
pixels and the pictures are channels, so the first convolution of the network grows with n; arms of one n have the same.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import BitDepth, CameraArray, lattice_shifts
from physlayer.sweep import Point, Sweep, Variant, main

BITS = 8
FACTORS = (2, 2.5, 4, 5)  # scene pixels per pixel of one camera alone: the first that fits all arrays into the scene
LARGEST = 4  # side of the largest array that must fit


def no_layer(point: Point) -> list[nn.Module]:
    return []


def factor(point: Point) -> float:
    """Scene pixels per pixel of one camera alone, so that cameras of the default arrays have equally many pixels."""
    fitting = (f for f in FACTORS if all(side / (LARGEST * f) == side // (LARGEST * f) for side in point.shape[1:]))
    return next(fitting, FACTORS[0])


def camera(point: Point, shifts: Tensor) -> list[nn.Module]:
    return [CameraArray(shifts, factor=math.sqrt(point.value) * factor(point)), BitDepth(BITS)]


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, lattice_shifts(int(point.value)))


def same(point: Point) -> list[nn.Module]:
    return camera(point, torch.zeros(int(point.value), 2))


def random(point: Point) -> list[nn.Module]:
    return camera(point, torch.rand(int(point.value), 2, generator=point.generator))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(torch.rand(int(point.value), 2, generator=point.generator)))


SWEEP = Sweep(
    name="cameras",
    parameter="cameras",
    axis="cameras that share the pixels",
    minimum=1,
    maximum=64,
    default="1,4,16",
    variants=(
        Variant("fixed", "shifts on a lattice", fixed),
        Variant("same", "no shifts", same),
        Variant("random", "random shifts", random),
        Variant("learned", "learned shifts", learned, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "same", "random", "learned"),
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
