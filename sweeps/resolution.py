"""How many pixels does a classifier need, and should they be equal? Accuracy against pixel size.

    python sweeps/resolution.py --factors 1,2,4,8             # embedded phantom
    python sweeps/resolution.py --factors 1,8 --seeds 2 --fast
    python sweeps/resolution.py --factors 1,2,4,8 --data DIR --seeds 3 --variants fixed,random,learned

Arms: none (every scene pixel, the upper bound), fixed (equal pixels, factor times larger along each axis), random (as
rows and columns of random widths), learned (as many rows and columns, their widths learned with the network, starting
from equal). The constraint is the number of pixels; every pixel is shown at its place in the scene, so the network is
the same for all arms and sees no picture bent. All arms convert to 8 bits behind the pixels.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import BitDepth, PixelLayout
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

BITS = 8
SPREAD = 0.5  # standard deviation of the logarithm of random widths


def counts(point: Point) -> tuple[int, int]:
    """Rows and columns of the sensor.

    Raises:
        ValueError: if a pixel would be larger than the picture.
    """
    if point.value > (smallest := min(point.shape[1:])):
        raise ValueError(
            f"Expected --factors to be at most {smallest}, the smaller side of the images, but got {point.value:g}; "
            "use smaller factors or larger images (--width)."
        )
    return tuple(max(1, math.floor(side / point.value + 0.5)) for side in point.shape[1:])


def shown(point: Point, rows: Tensor, columns: Tensor) -> list[nn.Module]:
    layout = PixelLayout(rows, columns)
    return [layout, BitDepth(BITS), layout.decoder(size=point.shape[1:])]


def fixed(point: Point) -> list[nn.Module]:
    return shown(point, *(torch.zeros(count) for count in counts(point)))


def random(point: Point) -> list[nn.Module]:
    return shown(point, *(SPREAD * torch.randn(count, generator=point.generator) for count in counts(point)))


def learned(point: Point) -> list[nn.Module]:
    return shown(point, *(nn.Parameter(torch.zeros(count)) for count in counts(point)))


SWEEP = Sweep(
    name="resolution",
    parameter="factors",
    axis="pixel size / scene pixels",
    minimum=1,
    maximum=64,
    default="1,2,4,8",
    variants=(
        Variant("fixed", "fixed: equal pixels", fixed),
        Variant("random", "random widths, as many pixels", random),
        Variant("learned", "learned widths, as many pixels", learned, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "random", "learned"),
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
