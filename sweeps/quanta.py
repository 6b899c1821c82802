"""How many single-photon frames does a classifier need? Accuracy against one-bit frames per image.

    python sweeps/quanta.py --frames 1,3,7,15                 # embedded phantom
    python sweeps/quanta.py --frames 1,7 --seeds 2 --fast
    python sweeps/quanta.py --frames 1,3,7,15 --data DIR --seeds 3

Arms: none (no sensor, the upper bound), fixed (one exposure for all channels that puts the median pixel at 1.59
electrons per frame, where a one-bit pixel tells most of the light), random (that exposure times a random factor per
channel, as many photons in all), learned (exposure per channel, learned with the network: it may take more or fewer
photons, which the records tell), conventional (read noise of an industrial sensor, as many photons in one exposure, the
same quantum efficiency and dark signal, and a converter with as many levels as the frames give, or nearly where the
frames are not 1, 3, 7, 15 …). The constraint is the number of frames: one bit each is read from the quanta chip, the
conventional one sends the logarithm of its levels. Every score is the mean over five exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import SENSORS, QuantaSensor, Sensor
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

BEST_EXPOSURE = 1.5936  # electrons per frame: the largest exposure-referred SNR (Fossum 2013)
EFFICIENCY = 0.8
DARK_ELECTRONS = 0.01  # per pixel and frame
HEADROOM = 1.25  # of the last code above white, for the conventional sensor


def exposure(point: Point) -> Tensor:
    """Photons per pixel and frame at white, one number for all channels, ``(C, 1, 1)``."""
    median = float(point.quantile(0.5).mean())
    return torch.full((point.shape[0], 1, 1), BEST_EXPOSURE / (EFFICIENCY * max(median, 0.01)))


def camera(point: Point, photons: Tensor) -> list[nn.Module]:
    return [
        QuantaSensor(
            int(point.value), exposure_photons=photons, quantum_efficiency=EFFICIENCY, dark_electrons=DARK_ELECTRONS
        )
    ]


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, exposure(point))


def random(point: Point) -> list[nn.Module]:
    factor = torch.exp(torch.randn(point.shape[0], 1, 1, generator=point.generator))
    return camera(point, exposure(point) * factor / factor.mean())


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(exposure(point)))


def conventional(point: Point) -> list[nn.Module]:
    frames, dark = int(point.value), {"dark_current_electrons_per_second": int(point.value) * DARK_ELECTRONS}
    kind = SENSORS["pregius345"] | dark | {"exposure_seconds": 1.0, "quantum_efficiency": EFFICIENCY}
    photons = frames * float(exposure(point).mean())
    bits = max(1, round(math.log2(frames + 1)))
    # white stays below the last code by the same share whatever the number of levels
    gain = (2**bits - 1) / (HEADROOM * photons * kind["quantum_efficiency"])
    return [Sensor(bits, **kind, exposure_photons=photons, gain_dn_per_electron=gain)]


SWEEP = Sweep(
    name="quanta",
    parameter="frames",
    axis="one-bit frames per image",
    minimum=1,
    maximum=1023,
    default="1,3,7,15",
    variants=(
        Variant("fixed", "fixed exposure", fixed),
        Variant("random", "random exposure per channel", random),
        Variant("learned", "learned exposure per channel", learned, learned=True),
        Variant("conventional", "conventional sensor, same photons and levels", conventional),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "random", "learned", "conventional"),
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
