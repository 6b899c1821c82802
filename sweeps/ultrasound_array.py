"""How many elements does an ultrasound array need, and which? Error of two diameters against the elements at work.

    python sweeps/ultrasound_array.py --elements 128,64,32,16,8        # embedded eyes
    python sweeps/ultrasound_array.py --elements 16 --seeds 2 --fast

An array of 128 elements of 10 MHz, half a wavelength apart, focused at 21 mm, sees an eye; k of the elements send and
receive. Arms: none (all elements, without noise, for reference), fixed (the k in the middle, a smaller aperture),
spread (k at equal distances over the whole aperture: narrow beam, grating lobes), random (k at random), learned (k
chosen with the network, from a random start), apodised (the k in the middle with learned weights, 0…1).

The constraint is the number of elements. Every element drives as strongly as any other and adds its own noise; those
that rest give neither signal nor noise. The gain is set once for each arm, as an operator would, so that the strongest
wall is white at every depth at the start, and raises the noise there; envelope and 60 dB of logarithmic compression are
the same for all. The network gets one image; the score is the mean error of the horizontal and the vertical diameter in
mm, over five exposures.

What the model leaves out: beams are those of one frequency, so the ghosts of equally spaced elements are 5 to 10 dB
sharper than those of a pulse, to the favour of irregular choices. Scatterers lie on a grid of 0.5 mm, and so does
whatever is finer: between 128 and 64 elements it is noise and depth of field that change, not resolution. All elements
together work at F/0.8 at the front of the eye, where a scanner would use fewer: a smaller aperture is in focus over a
longer depth. Walls are drawn as strong speckle, not as smooth mirrors.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer.experiment import Point, Sweep, Variant, main
from physlayer.tasks.ultrasound.phantom import NOISE_RMS, ocular_array, ocular_camera

ELEMENTS = 128
PITCH_MM = 0.077  # half a wavelength at 10 MHz in tissue
SPREAD = 0.5  # standard deviation of the start of the logits
START = 0.9  # of learned weights


def camera(
    point: Point,
    logits: Tensor | nn.Parameter | None = None,
    *,
    weights: float | Tensor | nn.Parameter = 1.0,
    noise_rms: float = NOISE_RMS,
) -> list[nn.Module]:
    if point.shape[0] != 2:
        raise ValueError(f"Expected scatterers of 2 channels, but got {point.shape[0]}; use --task ultrasound_field.")
    choice = {} if logits is None or point.value == ELEMENTS else {"logits": logits, "keep": int(point.value)}
    array = ocular_array(
        point.shape[2], elements=ELEMENTS, pitch_mm=PITCH_MM, weights=weights, noise_rms=noise_rms, **choice
    )
    return list(ocular_camera(array.eval()).train())


def mask(chosen: Tensor) -> Tensor:
    return torch.zeros(ELEMENTS).index_fill(0, chosen, 1.0)


def middle(point: Point) -> Tensor:
    first = (ELEMENTS - int(point.value)) // 2
    return mask(torch.arange(first, first + int(point.value)))


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, middle(point))


def spread(point: Point) -> list[nn.Module]:
    k = int(point.value)
    return camera(point, mask(((torch.arange(k) + 0.5) * ELEMENTS / k).long()))


def random(point: Point) -> list[nn.Module]:
    return camera(point, mask(torch.randperm(ELEMENTS, generator=point.generator)[: int(point.value)]))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(SPREAD * torch.randn(ELEMENTS, generator=point.generator)))


def apodised(point: Point) -> list[nn.Module]:
    return camera(point, middle(point), weights=nn.Parameter(torch.full((ELEMENTS,), START)))


def all_elements(point: Point) -> list[nn.Module]:
    return camera(point, noise_rms=0.0)


SWEEP = Sweep(
    name="ultrasound_array",
    parameter="elements",
    axis="elements at work, of 128",
    minimum=1,
    maximum=ELEMENTS,
    default="128,64,32,16,8",
    variants=(
        Variant("fixed", "the middle ones", fixed),
        Variant("spread", "equally spaced", spread),
        Variant("random", "random ones", random),
        Variant("learned", "learned choice", learned, learned=True),
        Variant("apodised", "the middle ones, learned weights", apodised, learned=True),
        Variant("none", "all elements, no noise", all_elements, swept=False),
    ),
    chosen=("fixed", "spread", "random", "learned", "apodised"),
    scale="log",
    task="ultrasound_field",
    tasks=("ultrasound_field",),
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
