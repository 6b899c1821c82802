"""What may light do before and after a transparent sample? Accuracy against the aperture of a coherent microscope.

    python sweeps/microscope.py --radius 9.5,19,38 --task digits        # embedded digits
    python sweeps/microscope.py --radius 19 --epochs 30                 # blood-cell phantom: its 6 epochs are too few
    python sweeps/microscope.py --radius 19 --task digits --seeds 2 --fast

The homework's physics on real data, four conditions in both conventions of the thickness, at 64×64 pixels:

    ARMS=fixed,illumination,aperture,learned,fixed_turn,illumination_turn,aperture_turn,learned_turn
    python sweeps/microscope.py --variants $ARMS --radius 19 --seeds 5 --data DIR --width 85 --encoding srgb \\
        --network small --epochs 32 --lr-physics 0.06
    python sweeps/microscope.py --variants $ARMS --radius 19 --seeds 5 --data DIR --width 64 --task digits \\
        --network course --epochs 4

The homework of the course: a thin phase sample, 1 wavelength thick where the grey image is 1, in coherent light; its
image is read with Gaussian noise of 0.2 full scales, drawn anew at every exposure. A spatial light modulator before the
sample and one in the aperture can each give the light a phase per cell. Arms: none (the thickness itself, without
noise, the upper bound), fixed (neither phase: the conventional microscope), illumination (the phase before the sample
learned), aperture (the phase in the aperture learned), learned (both), random (both drawn at random, uniform over a
wave). Phases are learned with the network and start at 0, as in the homework.

The axis is the radius of the aperture, the parameter of the homework's second question: half of it and twice it.
--radius counts cells of the Fourier grid of an image 64 pixels wide; other images take it in proportion to their width
(8.3 cells for 19 at 28 pixels), which is the same numerical aperture at the same pixels. From 45.3 on nothing is cut
off: without a phase in the aperture the sample is then invisible. Intensity is read at points, as in the homework; it
has twice the band of the field, so beyond 16 cells what is finest in it is folded back (with random phases 1 to 2 % of
the variance at 19 cells, 40 % at 38). The border is circular: light that phases spread leaves on one side and
enters on the other.

"1 wavelength thick" is 1 rad of phase in the homework's code and 2π where the refractive index is higher by 1. The
contrast of the conventional image depends on it more than on anything learned, so it is an arm and not a switch: all
arms take 1 rad; fixed_turn, illumination_turn, aperture_turn and learned_turn, by name, 2π. Bright is thick, by the
homework's convention: a stained cell is the thinnest part of such a sample. The thickness of colour images is their
luma, as files are turned grey (ITU-R BT.601; with --encoding srgb of the files' codes, as in the homework, else of
linear light), and of pictures wider than high the middle square.

Equal for all arms: light, aperture, noise, one reading per pixel. A phase absorbs nothing, and what leaves through the
stop is lost to its arm. The network's first step normalises every arm's readings to mean 0 and deviation 1 of the
training images, so none wins by its scale: an image of low contrast has its noise raised along with it. Every score is
the mean over five exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from physlayer import CoherentImaging, ColorWeights, GaussianNoise, PhysicalLayer
from physlayer.experiment import Point, Sweep, Variant, main

NOISE = 0.2  # full scales, 1 for the light that meets the sample
WIDTH = 64  # pixels of the homework's images, in whose cells the radius is given
STEP = 1 / 16  # waves, of a free number behind a learned phase
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in a grey image


class Square(PhysicalLayer):
    """The sample, not the camera: the middle square of a picture, ``(B, C, H, W)`` to ``(B, C, S, S)``.

    A layer without quantities, so that costs follow its shape.

    Example:
        >>> Square()(torch.arange(4.0).view(1, 1, 1, 4)).flatten()
        tensor([1.])
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return x[..., top : top + side, left : left + side]

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        side = min(shape[1:])
        return shape[0], side, side


def side(point: Point) -> int:
    """Pixels along an edge of the sample."""
    return min(point.shape[1:])


def thickness(point: Point) -> list[nn.Module]:
    """The sample, not the camera: a square grey image, 0…1 of the thickness."""
    channels, height, width = point.shape
    square = [] if height == width else [Square()]
    return square if channels == 1 else [*square, ColorWeights(torch.tensor([LUMA]))]


def camera(point: Point, convention: str = "radians", **phases: Tensor | nn.Parameter) -> list[nn.Module]:
    radius = point.value * side(point) / WIDTH
    microscope = CoherentImaging(radius, thickness_waves=1.0, convention=convention, **phases)
    for name in microscope.learned():
        register_parametrization(microscope, name, Slow())
    return [*thickness(point), microscope, GaussianNoise(NOISE)]


class Slow(nn.Module):
    """Learns a quantity in units of ``STEP``: the tasks' rate for physics, in waves, would be half a radian a step."""

    def forward(self, free: Tensor) -> Tensor:
        return STEP * free

    def right_inverse(self, value: Tensor) -> Tensor:
        return value / STEP


def flat(point: Point) -> nn.Parameter:
    return nn.Parameter(torch.zeros(side(point), side(point)))


def fixed(point: Point, convention: str = "radians") -> list[nn.Module]:
    return camera(point, convention)


def illumination(point: Point, convention: str = "radians") -> list[nn.Module]:
    return camera(point, convention, illumination_waves=flat(point))


def aperture(point: Point, convention: str = "radians") -> list[nn.Module]:
    return camera(point, convention, aperture_waves=flat(point))


def learned(point: Point, convention: str = "radians") -> list[nn.Module]:
    return camera(point, convention, illumination_waves=flat(point), aperture_waves=flat(point))


def random(point: Point) -> list[nn.Module]:
    drawn = torch.rand(2, side(point), side(point), generator=point.generator)
    return camera(point, illumination_waves=drawn[0], aperture_waves=drawn[1])


TURN = {"convention": "waves"}  # a wave of thickness is a whole turn of the phase

SWEEP = Sweep(
    name="microscope",
    parameter="radius",
    axis="radius of the aperture / cells of 64",
    minimum=1,
    maximum=64,
    default="9.5,19,38",
    variants=(
        Variant("fixed", "conventional", fixed),
        Variant("illumination", "learned illumination phase", illumination, learned=True),
        Variant("aperture", "learned aperture phase", aperture, learned=True),
        Variant("learned", "both phases learned", learned, learned=True),
        Variant("random", "both phases random", random),
        Variant("fixed_turn", "conventional, 2π thick", partial(fixed, **TURN)),
        Variant("illumination_turn", "learned illumination, 2π thick", partial(illumination, **TURN), learned=True),
        Variant("aperture_turn", "learned aperture, 2π thick", partial(aperture, **TURN), learned=True),
        Variant("learned_turn", "both learned, 2π thick", partial(learned, **TURN), learned=True),
        Variant("none", "thickness itself, no noise", thickness, swept=False),
    ),
    chosen=("fixed", "illumination", "aperture", "learned", "random"),
    whole=False,
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
