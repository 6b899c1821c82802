"""One camera or many small ones? Accuracy against the number of cameras at equal pixels and equal photons per pixel.

    python sweeps/cameras.py --cameras 1,4,16                 # embedded phantom
    python sweeps/cameras.py --cameras 1,4 --seeds 2 --fast
    python sweeps/cameras.py --cameras 1,4,16 --data DIR --seeds 3

n cameras have pixels √n times larger along each axis than one camera alone and share its aperture: the number of pixels
and the photons on each are the same for all n, so there is no noise here (an 8-bit converter reads them). n is a
square. Arms: none (every scene pixel, the upper bound), fixed (shifts on a square lattice, the optimum for
reconstruction), same (no shifts: n equal pictures), random (random shifts), learned (shifts learned with the network,
starting at random). Every picture is spread over the scene's pixels and the pictures are channels, so the first
convolution of the network grows with n; arms of one n have the same.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import BitDepth, CameraArray, lattice_shifts
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

BITS = 8
LARGEST = 4  # side of the largest array that must fit
FINEST = 2  # scene pixels per pixel of one camera alone, at least: finer ones would see the scene's grid


def factor(point: Point) -> float:
    """Scene pixels per pixel of one camera alone, so that cameras of the default arrays have equally many pixels."""
    common = math.gcd(*point.shape[1:])
    repeats = common // (LARGEST * FINEST)
    if repeats == 0:
        raise ValueError(
            f"Expected images whose height and width share a factor of {LARGEST * FINEST} or more, but got "
            f"{point.shape[1]}×{point.shape[2]}; use --width."
        )
    return common / (LARGEST * repeats)


def camera(point: Point, shifts: Tensor) -> list[nn.Module]:
    alone, array = (CameraArray(s, factor=math.sqrt(len(s)) * factor(point)) for s in (torch.zeros(1, 2), shifts))
    if math.prod(array.output_shape(point.shape)) != math.prod(alone.output_shape(point.shape)):
        raise ValueError(f"Expected --cameras to be 1, 4 or 16, but got {point.value:g}: others have other pixels.")
    return [array, BitDepth(BITS)]


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
