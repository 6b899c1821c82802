"""Which pupil keeps a classifier right when the focus is not? Accuracy over a range of defocus.

    python sweeps/defocus.py --waves 0,2,4 --task digits      # embedded digits
    python sweeps/defocus.py --waves 0,2,4                    # blood-cell phantom
    python sweeps/defocus.py --waves 4 --seeds 2 --fast
    python sweeps/defocus.py --waves 0,2,4 --data DIR --variants fixed,cubic,random,learned,rings

A lens of 20× (NA 0.5, 0.55 µm, incoherent light) sees a field of 24 µm: at 32 pixels one pixel is about as large as the
Airy radius of 0.67 µm; digits and other images are taken to be as wide. Its focus lies anywhere within ± --waves of
defocus, counted at the rim of the pupil (1 wave is 4.4 µm). Arms: none (sharp, no noise, the upper bound), fixed (clear
pupil), cubic (a phase of 0.5, 2 or 5 waves at the rim, chosen on validation, Dowski and Cathey 1995, without its tilt),
random (12 Zernike aberrations at random, 0.05 waves rms each), learned (the same 12, learned with the network from that
random start); by name also rings (radii and phases of three rings, learned).

Equal for all arms: light, aperture, sensor and noise; phases absorb nothing, and phase plates cost the same whatever
their shape. Behind the lens stands an industrial sensor of 12 bits with 300 photons on a white pixel: without noise a
network undoes any blur. The focus is drawn anew in training, eight positions in a batch of images. Every score is the
mean over five exposures of each image, one at each of five positions evenly over the range: -1, -1/2, 0, 1/2 and 1
times --waves. Light that leaves the image at its border is replaced by that of its mirror image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import IncoherentImaging
from physlayer.core.fft import fast_length
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.optics.pupil import OBJECTIVES
from physlayer.optics.zernike import zernike_start
from physlayer.sensor import industrial_sensor

OBJECTIVE = OBJECTIVES["20x"]
WAVELENGTH_UM = 0.55
FIELD_UM = 24.0  # across the image
ALPHA_WAVES = (0.5, 2.0, 5.0)  # of the cubic phase, at the rim: little defocus asks for less
RINGS = 3
ROOM = 1.4  # of a learned pupil's window over the one that holds its start
POSITIONS = 8  # of the focus in a batch of the training
PHOTONS = 300.0  # on a white pixel


class Lens(IncoherentImaging):
    """In ``train()`` the images of a batch share a few positions of the focus: fewer point spread functions."""

    def positions(self, x: Tensor) -> Tensor:
        drawn = super().positions(x)
        return drawn[torch.arange(len(x)) % POSITIONS] if self.training else drawn


def defocus_um(waves: float) -> float:
    """Distance from focus at which the rim of the pupil is ``waves`` behind, µm.

    Example:
        >>> round(defocus_um(0.25), 3)
        1.1
    """
    return waves * 2 * OBJECTIVE["refractive_index"] * WAVELENGTH_UM / OBJECTIVE["numerical_aperture"] ** 2


def camera(point: Point, **pupil: Tensor | nn.Parameter) -> list[nn.Module]:
    farthest = defocus_um(point.value)
    focus = {"defocus_range_um": (-farthest, farthest)} if farthest else {}
    optics = {**OBJECTIVE, "wavelength_um": WAVELENGTH_UM, "pitch_um": FIELD_UM / point.shape[2]} | focus
    if any(isinstance(value, nn.Parameter) for value in pupil.values()):  # its points may spread further than at first
        start = Lens(**optics, **{name: value.detach() for name, value in pupil.items()})
        optics["window_pixels"] = fast_length(math.ceil(ROOM * start.window_pixels), odd=True)
    lens = Lens(**optics, **pupil)
    return [lens, industrial_sensor(PHOTONS)]


def cubic_zernikes(alpha_waves: float) -> Tensor:
    r"""Coefficients of the cubic phase :math:`\alpha(x^3 + y^3)` without its tilt, Noll 7…10, waves rms.

    .. math:: x^3 = \tfrac14 Z_2 + \tfrac{1}{4\sqrt8}(Z_8 + Z_{10}), \quad
        y^3 = \tfrac14 Z_3 + \tfrac{1}{4\sqrt8}(Z_7 - Z_9)

    The tilt moves the image; without it the light still lies aside of the middle, by some pixels.

    References:
        Dowski, Cathey 1995, doi:10.1364/AO.34.001859.

    Example:
        >>> cubic_zernikes(5.0)
        tensor([ 0.4419,  0.4419, -0.4419,  0.4419])
    """
    return alpha_waves / (4 * math.sqrt(8)) * torch.tensor([1.0, 1.0, -1.0, 1.0])


def fixed(point: Point) -> list[nn.Module]:
    return camera(point)


def cubic(point: Point, alpha_waves: float = ALPHA_WAVES[-1]) -> list[nn.Module]:
    return camera(point, zernike_waves=cubic_zernikes(alpha_waves), zernike_numbers=(7, 8, 9, 10))


def strengths(point: Point) -> list[dict]:
    return [{"alpha_waves": alpha} for alpha in ALPHA_WAVES]


def random(point: Point) -> list[nn.Module]:
    return camera(point, zernike_waves=zernike_start(point.generator))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, zernike_waves=nn.Parameter(zernike_start(point.generator)))


def rings(point: Point) -> list[nn.Module]:
    radii = (torch.arange(1, RINGS + 1) / (RINGS + 1)).sqrt()  # zones of equal area
    waves = zernike_start(point.generator, RINGS)
    return camera(point, ring_radii=nn.Parameter(radii), ring_waves=nn.Parameter(waves))


SWEEP = Sweep(
    name="defocus",
    parameter="waves",
    axis="defocus up to ± waves at the pupil's rim",
    minimum=0,
    maximum=8,
    default="0,2,4",
    variants=(
        Variant("fixed", "clear pupil", fixed),
        Variant("cubic", "cubic phase", cubic, candidates=strengths),
        Variant("random", "random aberrations", random),
        Variant("learned", "learned aberrations", learned, learned=True),
        Variant("rings", "learned rings", rings, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "cubic", "random", "learned"),
    whole=False,
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
