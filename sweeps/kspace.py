"""Which columns of k-space does a classifier need? Accuracy against the share of columns that is measured.

    python sweeps/kspace.py --keep 1/2..1/16                  # embedded phantom
    python sweeps/kspace.py --keep 1/4 --seeds 2 --fast
    python sweeps/kspace.py --keep 1/2..1/16 --data DIR --seeds 3

Arms: none (all of k-space, the upper bound), fixed (the lowest frequencies and the rest equally spaced, as scanners
do), low_pass (the lowest frequencies alone), one_sided (zero and the lowest on one side), random (the lowest and the
rest at random), learned (the lowest and the rest learned with the network, starting at random). The constraint is the
number of columns; the network sees the magnitude of the zero-filled image. Scenes are real, so a column and its mirror
image tell the same: an arm that avoids such pairs, as one_sided does, sees twice the frequencies for the same number.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer import FourierSampling
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.sampling.fourier import centre, equispaced

CENTRE = 0.08  # share of all columns that every arm measures, as in the fastMRI challenge; at most half the budget
SPREAD = 0.5  # standard deviation of the start of the logits


def columns(point: Point) -> tuple[int, int, Tensor]:
    """All columns, how many are measured, and the lowest ones that always are."""
    width = point.shape[2]
    keep = max(1, round(width * point.value))
    return width, keep, centre(width, max(1, min(round(CENTRE * width), keep // 2)))


def given(mask: Tensor) -> list[nn.Module]:
    return [FourierSampling(mask, keep=int(mask.sum()))]


def fixed(point: Point) -> list[nn.Module]:
    return given(equispaced(*columns(point)))


def low_pass(point: Point) -> list[nn.Module]:
    width, keep, _ = columns(point)
    return given(centre(width, keep))


def one_sided(point: Point) -> list[nn.Module]:
    width, keep, _ = columns(point)
    return given(torch.zeros(width).index_fill(0, (width // 2 - torch.arange(keep)) % width, 1.0))


def random(point: Point) -> list[nn.Module]:
    width, keep, lowest = columns(point)
    order = torch.rand(width, generator=point.generator) + 2 * lowest
    return given(torch.zeros(width).index_fill(0, order.argsort(descending=True)[:keep], 1.0))


def learned(point: Point) -> list[nn.Module]:
    width, keep, lowest = columns(point)
    logits = nn.Parameter(SPREAD * torch.randn(width, generator=point.generator))
    return [FourierSampling(logits, keep=keep, always_on=lowest)]


SWEEP = Sweep(
    name="kspace",
    parameter="keep",
    axis="share of k-space columns measured",
    minimum=1 / 256,
    maximum=1,
    default="1/2..1/16",
    variants=(
        Variant("fixed", "fixed: lowest and equally spaced", fixed),
        Variant("low_pass", "lowest frequencies alone", low_pass),
        Variant("one_sided", "lowest frequencies of one side", one_sided),
        Variant("random", "lowest and random", random),
        Variant("learned", "lowest and learned", learned, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "low_pass", "one_sided", "random", "learned"),
    whole=False,
    scale="halves",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
