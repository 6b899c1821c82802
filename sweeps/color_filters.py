"""Which colour filters should the pixels have? Accuracy against light, for filter arrays of one sensor.

    python sweeps/color_filters.py --photons 10,100,1000            # embedded phantom
    python sweeps/color_filters.py --photons 30 --seeds 2 --fast
    python sweeps/color_filters.py --photons 10,100,1000 --data DIR --seeds 3

Arms: none (red, green and blue at every pixel, no noise, the upper bound), mono (no filters), fixed (Bayer), sparse
(mostly white, Chakrabarti et al. 2014), chakrabarti (the learned tile of Chakrabarti 2016), random (an 8×8 tile of
random filters), learned (an 8×8 tile learned with the network, from a random start). The filters are red, green, blue
and none (white, which collects three times the light); the constraint is one reading per pixel and one exposure: the
photons that white light gives a pixel without a filter. Behind the array stands an industrial sensor of 12 bits; the
network gets one image per filter, 0 where another filter is, the same for all arms. Every score is the mean over five
exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer import ColorFilterArray
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.sensor import HEADROOM, industrial_sensor, photons_at_full_well

TILE = 8  # side of the random and the learned tile
START = 0.1  # standard deviation of the learned logits before training (Chakrabarti 2016)
FILTERS = "RGBW"


def camera(point: Point, tile: str | Tensor) -> list[nn.Module]:
    if point.shape[0] != 3:
        raise ValueError(f"Expected colour images, but got {point.shape[0]} channels; use --task blood_cells.")
    array = ColorFilterArray(tile, filters=FILTERS)
    return [array, industrial_sensor(point.value), array.decoder(output="planes")]


def mono(point: Point) -> list[nn.Module]:
    return camera(point, "white")


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, "bayer")


def sparse(point: Point) -> list[nn.Module]:
    return camera(point, "sparse")


def chakrabarti(point: Point) -> list[nn.Module]:
    return camera(point, "chakrabarti")


def random(point: Point) -> list[nn.Module]:
    chosen = torch.randint(len(FILTERS), (TILE, TILE), generator=point.generator)
    return camera(point, torch.nn.functional.one_hot(chosen, len(FILTERS)).permute(2, 0, 1).float())


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(START * torch.randn(len(FILTERS), TILE, TILE, generator=point.generator)))


SWEEP = Sweep(
    name="color_filters",
    parameter="photons",
    axis="photons on a white pixel without filter",
    minimum=0.1,
    maximum=photons_at_full_well() / HEADROOM,
    default="10,100,1000",
    variants=(
        Variant("fixed", "Bayer", fixed),
        Variant("mono", "no filters", mono),
        Variant("sparse", "sparse colour", sparse),
        Variant("chakrabarti", "tile of Chakrabarti 2016", chakrabarti),
        Variant("random", "random filters", random),
        Variant("learned", "learned filters", learned, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "mono", "chakrabarti", "random", "learned"),
    whole=False,
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
