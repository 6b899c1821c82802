"""How sharp should a lens be in front of large pixels? Accuracy against the width of its blur.

    python sweeps/blur.py --sigma 0.5,1,2,4                 # embedded phantom
    python sweeps/blur.py --sigma 1,2 --seeds 2 --fast
    python sweeps/blur.py --sigma 0.5,1,2,4 --data DIR --seeds 3 --variants fixed,random,learned,learned_width,sharp

Arms: none (every scene pixel, no blur, the upper bound), sharp (the large pixels without blur), fixed (a Gaussian of
σ scene pixels), random (speckle under a Gaussian envelope, of the same second moment), learned (a free kernel, learned
with the network), learned_width (a Gaussian of learned width per channel). What makes a blur worth having is the sensor
behind it: pixels four times larger along each axis, of which a quarter of the area is sensitive, so that a sharp image
is aliased; 8 bits. Equal in all arms are pixels, bits and light: every kernel has the sum 1.

The constraint on the learned arms is one of reach, not of shape: no light of the free kernel falls further than 4σ from
its place along either axis, which is where the Gaussian ends, and the learned width stays below σ. Both may therefore
become sharper than the fixed arm, and a wider σ gives them more choice, never less: compare them with sharp, too, and
look at the learned kernel. The free one has (8σ + 1)² numbers and starts as the Gaussian with a floor of a
thousandth of its peak, since light cannot grow from nothing. σ comes in quarters of a pixel, so that 4σ is whole.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer import BitDepth, Blur, PixelBinning
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.optics.blur import TRUNCATE, gaussian_kernel

PIXEL = 4  # scene pixels along a side
FILL_FACTOR = 0.25  # an interline sensor without microlenses
BITS = 8
FLOOR = 1e-3  # of the peak: least light at the start of a learned kernel, about a percent of it in all
START = 0.7  # of the largest width: where a learned one starts


def pixels() -> list[nn.Module]:
    return [PixelBinning(PIXEL, fill_factor=FILL_FACTOR), BitDepth(BITS)]


def reach(point: Point) -> int:
    """Where the kernels end, scene pixels: at 4σ.

    Raises:
        ValueError: if that is no whole number.
    """
    found = round(TRUNCATE * point.value)
    if abs(found - TRUNCATE * point.value) > 1e-9:
        raise ValueError(f"Expected --sigma in quarters of a pixel, such as 0.75, but got {point.value:g}.")
    return found


def gaussian(point: Point) -> Tensor:
    line = gaussian_kernel(torch.tensor(float(point.value)), reach(point))
    return line[:, None] * line


def second_moment(kernel: Tensor) -> float:
    r"""Variance of where light falls, :math:`\sigma_x^2 + \sigma_y^2` about the centroid, pixels².

    Example:
        >>> second_moment(torch.tensor([[1.0, 0.0, 1.0]]))
        1.0
    """
    share = kernel.double() / kernel.double().sum()
    moment = 0.0
    for axis in (0, 1):
        line = share.sum(1 - axis)
        place = torch.arange(len(line), dtype=line.dtype)
        moment += float(line @ place.square() - (line @ place).square())
    return moment


def speckle(wanted: float, radius: int, generator: torch.Generator) -> Tensor:
    """A random kernel whose second moment is ``wanted``, pixels²: speckle under the Gaussian envelope that gives it.

    Example:
        >>> round(second_moment(speckle(4.0, 8, torch.Generator().manual_seed(0))), 6)
        4.0
    """
    side = 2 * radius + 1
    grains = -torch.log1p(-torch.rand(side, side, generator=generator, dtype=torch.float64))  # exponential: speckle
    distance = torch.arange(-radius, radius + 1, dtype=torch.float64).square()
    distance = distance[:, None] + distance
    low, high = 1e-2, 1e3 * radius  # of the envelope: all light in the middle, a flat field of grains
    for _ in range(100):
        width = (low * high) ** 0.5
        kernel = grains * torch.exp(-distance / (2 * width**2))
        low, high = (width, high) if second_moment(kernel) < wanted else (low, width)
    return (kernel / kernel.sum()).float()


def sharp(point: Point) -> list[nn.Module]:
    return pixels()


def fixed(point: Point) -> list[nn.Module]:
    return [Blur(point.value, radius=reach(point)), *pixels()]


def random(point: Point) -> list[nn.Module]:
    wanted = second_moment(gaussian(point))
    return [Blur(kernel=speckle(wanted, reach(point), point.generator)), *pixels()]


def learned(point: Point) -> list[nn.Module]:
    start = gaussian(point)
    return [Blur(kernel=nn.Parameter(start.clamp(min=FLOOR * float(start.max())))), *pixels()]


def learned_width(point: Point) -> list[nn.Module]:
    start = torch.full((point.shape[0], 1, 1), START * point.value)
    return [Blur(nn.Parameter(start), radius=reach(point)), *pixels()]


SWEEP = Sweep(
    name="blur",
    parameter="sigma",
    axis="σ of the blur / scene pixels",
    minimum=0.5,
    maximum=16,
    default="0.5,1,2,4",
    variants=(
        Variant("fixed", "Gaussian", fixed),
        Variant("random", "random kernel, equal second moment", random),
        Variant("learned", "learned kernel within 4σ", learned, learned=True),
        Variant("learned_width", "learned width below σ", learned_width, learned=True),
        Variant("sharp", "no blur, same pixels", sharp, swept=False),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "random", "learned", "sharp"),
    whole=False,
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
