"""How much light does a classifier need? Accuracy against photons per pixel.

    python sweeps/photons.py --photons 10..10000              # embedded phantom; 1, 3, 10 … per decade
    python sweeps/photons.py --photons 10,1000 --seeds 2 --fast
    python sweeps/photons.py --photons 10..10000 --data DIR --seeds 3

Arms: none (no noise, no converter, the upper bound), fixed (an industrial sensor of 10 bits whose gain puts white at
four fifths of the codes, lower where read noise asks for room), random (the same with a random gain per channel),
learned (gain per channel, learned with the network); by name also ideal (no read noise: what light alone allows). The
constraint is the number of photons that white gives a pixel. Noise is that of photons, dark current and read-out; every
score is the mean over five exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.sensor import fitted_gain, industrial_sensor, photons_at_full_well

BITS = 10


def camera(point: Point, gain: Tensor, *, dark: float = 5.0, read: float | None = None) -> list[nn.Module]:
    noise = {"dark_current_electrons_per_second": dark, "read_noise_electrons": read}
    return [industrial_sensor(point.value, bits=BITS, gain_dn_per_electron=gain, **noise)]


def gain_of(point: Point) -> Tensor:
    """Gain per channel, DN per electron, that puts white below the last code, or full well if that comes first."""
    return torch.full((point.shape[0], 1, 1), fitted_gain(BITS, point.value)["gain_dn_per_electron"])


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, gain_of(point))


def random(point: Point) -> list[nn.Module]:
    factor = torch.exp(torch.randn(point.shape[0], 1, 1, generator=point.generator))
    return camera(point, gain_of(point) * factor)


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(gain_of(point)))


def ideal(point: Point) -> list[nn.Module]:
    return camera(point, gain_of(point), dark=0.0, read=0.0)


SWEEP = Sweep(
    name="photons",
    parameter="photons",
    axis="photons on a white pixel",
    minimum=0.1,
    maximum=photons_at_full_well(),  # white fills the well
    default="10..10000",
    variants=(
        Variant("fixed", "fixed gain", fixed),
        Variant("random", "random gain per channel", random),
        Variant("learned", "learned gain per channel", learned, learned=True),
        Variant("ideal", "no read noise", ideal),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "random", "learned"),
    whole=False,
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
