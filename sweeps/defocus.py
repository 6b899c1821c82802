"""Which pupil keeps a classifier right when the focus is not? Accuracy over a range of defocus.

    python sweeps/defocus.py --waves 0,1/2,2                  # embedded phantom
    python sweeps/defocus.py --waves 1 --seeds 2 --fast
    python sweeps/defocus.py --waves 0,1/4,1/2,1,2 --data DIR --seeds 3

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import SENSORS, IncoherentImaging, Sensor
from physlayer.pupil import OBJECTIVES, zernike_start
from physlayer.sweep import Point, Sweep, Variant, main

OBJECTIVE = OBJECTIVES["40x"]
WAVELENGTH_UM = 0.55
FIELD_UM = 24.0  # across the image
ALPHA_WAVES = 5.0  # of the cubic phase, at the rim
RINGS = 3
POSITIONS = 8  # of the focus in a batch of the training
PHOTONS = 1000.0  # on a white pixel
BITS = 12
SENSOR = SENSORS["pregius345"]
HEADROOM = 1.25  # of the last code above white
DARK_DEVIATIONS = 4.0  # of read noise between code 0 and the dark signal


class Lens(IncoherentImaging):
    """In ``train()`` the images of a batch share a few positions of the focus: fewer point spread functions."""

    def positions(self, x: Tensor) -> Tensor:
        drawn = super().positions(x)
        return drawn[torch.arange(len(x)) % POSITIONS] if self.training else drawn


def no_layer(point: Point) -> list[nn.Module]:
    return []


def defocus_um(waves: float) -> float:
    """Distance from focus at which the rim of the pupil is ``waves`` behind, µm.

    Example:
        >>> round(defocus_um(0.25), 3)
        0.651
    """
    return waves * 2 * OBJECTIVE["refractive_index"] * WAVELENGTH_UM / OBJECTIVE["numerical_aperture"] ** 2


def camera(point: Point, **pupil: Tensor | nn.Parameter) -> list[nn.Module]:
    farthest = defocus_um(point.value)
    focus = {"defocus_range_um": (-farthest, farthest)} if farthest else {}
    pitch = FIELD_UM / point.shape[2]
    lens = Lens(**OBJECTIVE, wavelength_um=WAVELENGTH_UM, pitch_um=pitch, **focus, **pupil)
    read = SENSOR["read_noise_electrons"]
    white = HEADROOM * PHOTONS * SENSOR["quantum_efficiency"] + 2 * DARK_DEVIATIONS * read
    gain = (2**BITS - 1) / white
    sensor = Sensor(
        BITS, **SENSOR, exposure_photons=PHOTONS, gain_dn_per_electron=gain, offset_dn=DARK_DEVIATIONS * read * gain
    )
    return [lens, sensor]


def cubic_zernikes(alpha_waves: float) -> Tensor:
    r"""Coefficients of the cubic phase :math:`\alpha(x^3 + y^3)` without its tilt, Noll 7…10, waves rms.

    .. math:: x^3 = \tfrac14 Z_2 + \tfrac{1}{4\sqrt8}(Z_8 + Z_{10}), \quad
        y^3 = \tfrac14 Z_3 + \tfrac{1}{4\sqrt8}(Z_7 - Z_9)

    The tilt only moves the image.

    References:
        Dowski, Cathey 1995, doi:10.1364/AO.34.001859.

    Example:
        >>> cubic_zernikes(5.0)
        tensor([ 0.4419,  0.4419, -0.4419,  0.4419])
    """
    return alpha_waves / (4 * math.sqrt(8)) * torch.tensor([1.0, 1.0, -1.0, 1.0])


def fixed(point: Point) -> list[nn.Module]:
    return camera(point)


def cubic(point: Point) -> list[nn.Module]:
    return camera(point, zernike_waves=cubic_zernikes(ALPHA_WAVES), zernike_numbers=(7, 8, 9, 10))


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
    maximum=4,
    default="0,1/2,2",
    variants=(
        Variant("fixed", "clear pupil", fixed),
        Variant("cubic", "cubic phase", cubic),
        Variant("random", "random aberrations", random),
        Variant("learned", "learned aberrations", learned, learned=True),
        Variant("rings", "learned rings", rings, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "cubic", "random", "learned", "rings"),
    whole=False,
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
