"""Train at every level of a noise, a blur or a pixel size, test at every other: what does a network bear?

    python sweeps/robustness.py                                          # Gaussian noise, embedded phantom
    python sweeps/robustness.py --noise photon --levels 1,10,100 --seeds 3
    python sweeps/robustness.py --noise speckle --data DIR --seeds 6 --out runs/speckle
    python sweeps/robustness.py --noise pixel_size --fast

Arms: none (no layer, trained and tested on clean scenes: the bound), trained_clean (the same network, tested at every
level) and trained_LEVEL for each of --levels. Each network is trained once per seed, at its own level, and judged at
every level of --tested, which are clean and those of --levels unless they are named; differences are from
trained_clean at the same test level. Nothing is learned in front of the network.

Levels in the unit of the kind: gaussian (standard deviation in full scales), photon (photons on a white pixel),
speckle (contrast), salt_pepper (probability), blur (standard deviation in scene pixels), pixel_size (scene pixels per
sensor pixel). Clean is the level at which the kind does nothing: 0, or pixels of the scene's own size. No number of
photons is without noise; clean are a million, whose noise of 0.1 % is below half a step of an 8-bit image (0.2 %).

Noise is fresh per image and pass in training. Every test score is the mean over five exposures of each image, and
image i meets the same random numbers behind every network.

Writes summary.csv, figure.png, figure.svg, matrix.png (train level × test level) and report.html to --out; a rerun
skips what is done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from physlayer import Blur, GaussianNoise, PhotonNoise, PixelBinning, SaltPepper, SpeckleNoise
from physlayer.experiment import Point, Sweep, Variant, no_layer, parse_values
from physlayer.experiment.cli import main as run_sweep


@dataclass(frozen=True)
class Kind:
    """One way to make images worse.

    Args:
        layer: makes it of a level. axis: what is swept, with its unit. unit: of a level, in words.
        levels: to train at without an option. minimum, maximum: admissible levels. clean: the level that does nothing.
        scale, whole: as of :class:`.Sweep`.
    """

    layer: Callable[[float], nn.Module]
    axis: str
    unit: str
    levels: str
    minimum: float
    maximum: float
    clean: float = 0.0
    scale: str = "linear"
    whole: bool = False


KINDS = {
    "gaussian": Kind(GaussianNoise, "standard deviation of the noise", "full scale", "0.03,0.1,0.3", 0, 1),
    "photon": Kind(PhotonNoise, "photons on a white pixel", "photons", "3,30,300", 0.25, 1e6, 1e6, "log"),
    "speckle": Kind(SpeckleNoise, "contrast of the speckle", "", "0.1,0.3,1", 0, 1),
    "salt_pepper": Kind(SaltPepper, "probability of a black or white pixel", "", "0.01,0.05,0.2", 0, 1),
    "blur": Kind(Blur, "standard deviation of the blur", "scene pixels", "0.5,1,2", 0, 100),
    "pixel_size": Kind(PixelBinning, "pixel size", "scene pixels", "2,4,8", 1, 100, 1, "log", True),
}


def build_options() -> argparse.ArgumentParser:
    """Options that no other sweep has; they say which sweep it is."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--noise", choices=KINDS, default="gaussian", help="what makes the images worse (default gaussian)"
    )
    defaults = "; ".join(f"{name} {kind.levels}" for name, kind in KINDS.items())
    parser.add_argument(
        "--levels", metavar="LIST", help=f"levels to train at beside clean, in the kind's unit (default {defaults})"
    )
    return parser


def make_sweep(noise: str = "gaussian", levels: str | None = None) -> Sweep:
    """The sweep of one kind: an arm for each training level, and the test level along the axis.

    Args:
        noise: one of :data:`KINDS`. levels: to train at beside clean, as ``--levels`` takes them.

    Raises:
        ValueError: if a level is out of range, or none is left beside clean.
    """
    kind = KINDS[noise]
    text = kind.levels if levels is None else levels
    values = parse_values(text, "levels", kind.minimum, kind.maximum, whole=kind.whole, scale=kind.scale)
    values = [value for value in values if value != kind.clean]
    if not values:
        raise ValueError(f"Expected --levels to hold a level beside clean ({kind.clean:g}), but got {text}.")

    def camera(point: Point) -> list[nn.Module]:
        return [kind.layer(point.value)]

    trained = [
        Variant(f"trained_{value:g}", f"trained at {value:g}", camera, model_from=(f"trained_{value:g}", value))
        for value in values
    ]
    unit = f" / {kind.unit}" if kind.unit else ""
    return Sweep(
        name=f"robustness_{noise}",
        parameter="tested",
        axis=f"tested at: {kind.axis}{unit}",
        minimum=kind.minimum,
        maximum=kind.maximum,
        default=",".join(f"{value:.12g}" for value in sorted({kind.clean, *values})),
        variants=(
            Variant("none", "no layer, clean scenes", no_layer, swept=False),
            Variant("trained_clean", "trained on clean scenes", camera, model_from=("none", None)),
            *trained,
        ),
        chosen=("trained_clean", *(variant.name for variant in trained)),
        whole=kind.whole,
        scale=kind.scale,
        baseline="trained_clean",
        unit=kind.unit,
        notes=(
            "Each network was trained at one level only, and judged at all of them: a point off its own level is the "
            "same network behind another camera.",
        ),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    options = build_options()
    chosen, _ = options.parse_known_args(arguments)
    try:
        sweep = make_sweep(chosen.noise, chosen.levels)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return run_sweep(sweep, __doc__, arguments, options)


if __name__ == "__main__":
    sys.exit(main())
