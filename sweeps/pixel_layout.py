"""Should all pixels be equal? Accuracy against the number of pixels, for pixels of any shape and size.

    python sweeps/pixel_layout.py --pixels 16,64,256          # embedded phantom
    python sweeps/pixel_layout.py --pixels 64 --seeds 2 --fast
    python sweeps/pixel_layout.py --pixels 64,256,1024 --data DIR --seeds 3

Arms: none (every scene pixel, the upper bound), fixed (equal rectangles), log_polar (rings of pixels that grow from the
centre to the border, as in a retina), random (the cells of random sites), learned (cells of a power diagram whose sites
are learned with the network, starting from equal rectangles), learned_translated (control: trained on scenes shifted at
random, so that no place is special: its pixels should stay equal). The constraint is the number of pixels (as near as
rows and columns allow, the same in all arms); every pixel is shown at its place in the scene and all arms convert to 8
bits.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

from torch import Tensor, nn

from physlayer import BitDepth, PowerLayout, grid_sites, log_polar_sites, random_sites
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

BITS = 8


def rectangles(point: Point) -> Tensor:
    """Sites of equal pixels, as near to squares and to the wanted number as rows and columns allow."""
    height, width = point.shape[1:]
    rows = max(1, round(math.sqrt(point.value * height / width)))
    return grid_sites(rows, max(1, round(point.value / rows)))


def camera(point: Point, sites: Tensor) -> list[nn.Module]:
    height, width = point.shape[1:]
    if len(sites) > height * width / 4:
        raise ValueError(
            f"Expected --pixels to be at most a quarter of the {height}×{width} scene pixels, but got {len(sites)}: "
            "smaller ones would follow the scene's grid, not the layout; use --width or fewer."
        )
    layout = PowerLayout(sites)
    layout.reseed((height, width), point.generator)  # a cell between all scene pixels would be paid for and dark
    return [layout, BitDepth(BITS), layout.decoder(size=point.shape[1:])]


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, rectangles(point))


def log_polar(point: Point) -> list[nn.Module]:
    return camera(point, log_polar_sites(len(rectangles(point))))


def random(point: Point) -> list[nn.Module]:
    return camera(point, random_sites(len(rectangles(point)), point.generator))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(rectangles(point)))


SWEEP = Sweep(
    name="pixel_layout",
    parameter="pixels",
    axis="pixels of the sensor",
    minimum=4,
    maximum=4096,
    default="16,64,256",
    variants=(
        Variant("fixed", "equal rectangles", fixed),
        Variant("log_polar", "log-polar rings", log_polar),
        Variant("random", "cells of random sites", random),
        Variant("learned", "cells of learned sites", learned, learned=True),
        Variant("learned_translated", "learned on shifted scenes", learned, learned=True, translate=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "log_polar", "random", "learned"),
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
