"""How many bits does a classifier need? Accuracy against bits per pixel.

    python sweeps/bit_depth.py --bits 1..8                        # embedded phantom, minutes on two cores
    python sweeps/bit_depth.py --bits 1,8 --seeds 2 --fast        # smoke size
    python sweeps/bit_depth.py --bits 1,2,4,8 --data DIR --seeds 6 --variants fixed,learned
    python sweeps/bit_depth.py --bits 1,2 --data DIR --encoding srgb --retrain

Arms: none (no converter, the upper bound), fixed (full scale, mid-tread), tuned (the best fixed range per channel by a
grid on validation), learned (gain and offset per channel), per_pixel (gain and offset per pixel), bit_budget (whole
bits per pixel with the same mean, gain and offset per channel; starts from a lattice of 4-bit pixels). learned and
per_pixel start from an automatic exposure that clips 20 % of the scenes' pixels at either end at one bit, and a quarter
of that share with each further bit.

More arms, by name: bit_lattice (that lattice fixed, gain and offset learned: what bit_budget must beat), bit_random (a
random map fixed, same mean), bit_budget_smooth (starts from the same bits everywhere, a smooth 8×8 map), and the
controls of bit_budget_smooth: bit_shuffled and bit_inverse (its map of whole bits with places shuffled, or most and
fewest exchanged, frozen, network retrained), bit_translated (trained on shifted scenes: its map must be flat).

Writes summary.csv, figure.png, figure.svg and report.html to --out; one record per run in records/. A rerun skips what
is done; Ctrl-C keeps everything finished.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from physlayer import BitBudget, BitDepth, allocate
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

MOST = 8  # bits at one pixel
LATTICE_BITS = 4
GRID = (8, 8)  # of the learned map of bits, upsampled to the sensor: free maps overfit a few hundred sources
# Ranges tried by `tuned`, as per-channel quantiles of the training pixels; None is full scale. At one bit the middle
# of the range is the threshold.
RANGES = ((None, None), (0.01, 0.99), (0.05, 0.95), (0.2, 0.8), (0.01, 0.6), (0.01, 0.3))
# Learned ranges start with CLIPPED / 4^bits of the scenes' pixels clipped at either end: overload falls as rounding,
# whose power falls by 4 per bit. 20 % at one bit and 5 % at two were the best of the starts tried with --development.
CLIPPED = 0.8
FEW_BITS = 2  # above this many bits the choice of threshold matters little: only the first two ranges are tried


def fixed(point: Point) -> list[nn.Module]:
    return [BitDepth(int(point.value))]


def tuned(point: Point, *, low: float | None, high: float | None) -> list[nn.Module]:
    if low is None:
        return fixed(point)
    gain, offset = exposed(point, low, high)
    return [BitDepth(int(point.value), gain=gain, offset=offset)]


def ranges(point: Point) -> list[dict]:
    tried = RANGES if point.value <= FEW_BITS else RANGES[:2]
    return [{"low": low, "high": high} for low, high in tried]


def exposed(point: Point, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Gain and offset ``(C, 1, 1)`` that spread the scenes between two quantiles over full scale, per channel."""
    bottom = point.quantile(low)
    span = (point.quantile(high) - bottom).clamp(min=1e-3)
    return 1 / span, -bottom / span


def automatic(point: Point) -> tuple[Tensor, Tensor]:
    """Gain and offset of an automatic exposure: the fewer the bits, the narrower the range they are spent on."""
    clipped = CLIPPED / 4**point.value
    return exposed(point, clipped, 1 - clipped)


def learned(point: Point) -> list[nn.Module]:
    gain, offset = (nn.Parameter(start) for start in automatic(point))
    return [BitDepth(int(point.value), gain=gain, offset=offset)]


def per_pixel(point: Point) -> list[nn.Module]:
    gain, offset = (nn.Parameter(start.expand(point.shape).clone()) for start in automatic(point))
    return [BitDepth(int(point.value), gain=gain, offset=offset)]


def channel_start(point: Point) -> tuple[nn.Parameter, nn.Parameter]:
    """Full scale per channel: enough for pixels of 4 bits and more."""
    channels = point.shape[0]
    return nn.Parameter(torch.ones(channels, 1, 1)), nn.Parameter(torch.zeros(channels, 1, 1))


def lattice(point: Point) -> Tensor:
    """Bits ``(H, W)`` with the mean of the point: below 4, a regular lattice of 4-bit pixels and none between.

    A quarter of the pixels at 4 bits costs what all of them cost at 1 bit, and shows half the resolution in 16 levels.
    """
    height, width = point.shape[1:]
    if point.value >= LATTICE_BITS:
        return torch.full((height, width), float(point.value))
    order = torch.tensor([[0, 2], [3, 1]]).repeat(-(-height // 2), -(-width // 2))[:height, :width]
    sites = int(point.value * height * width / LATTICE_BITS)
    first = order.flatten().argsort(stable=True)[:sites]  # a quarter of the pixels after the other
    return torch.zeros(height * width).index_fill(0, first, LATTICE_BITS).view(height, width)


def most(point: Point) -> int:
    return max(MOST, int(point.value))


def bit_lattice(point: Point) -> list[nn.Module]:
    gain, offset = channel_start(point)
    return [BitBudget(lattice(point), mean_bits=point.value, most=most(point), gain=gain, offset=offset)]


def bit_random(point: Point) -> list[nn.Module]:
    gain, offset = channel_start(point)
    height, width = point.shape[1:]
    demand = most(point) * torch.rand(height, width, generator=point.generator)
    bits = allocate(demand, int(point.value * height * width), high=most(point))
    return [BitBudget(bits, mean_bits=point.value, most=most(point), gain=gain, offset=offset)]


def bit_budget(point: Point) -> list[nn.Module]:
    gain, offset = channel_start(point)
    return [BitBudget(nn.Parameter(lattice(point)), mean_bits=point.value, most=most(point), gain=gain, offset=offset)]


def bit_budget_smooth(point: Point) -> list[nn.Module]:
    gain, offset = channel_start(point)
    # a little noise, because pixels with equal demands have nothing to tell them apart
    demand = nn.Parameter(point.value + 0.05 * torch.randn(1, *GRID, generator=point.generator))
    size = point.shape[1:]
    return [BitBudget(demand, mean_bits=point.value, most=most(point), gain=gain, offset=offset, size=size)]


def with_bits(layers: list[nn.Module], rearrange: Callable[[Tensor], Tensor]) -> list[nn.Module]:
    """The same converter with its whole bits rearranged: same histogram, same total, same gain and offset."""
    layer: BitBudget = layers[0]
    bits = layer.bits.detach()
    return [
        BitBudget(
            rearrange(bits.flatten()).view_as(bits),
            mean_bits=layer.mean_bits,
            most=layer.most,
            gain=layer.gain.detach(),
            offset=layer.offset.detach(),
        )
    ]


def shuffle(layers: list[nn.Module], generator: torch.Generator) -> list[nn.Module]:
    return with_bits(layers, lambda bits: bits[torch.randperm(len(bits), generator=generator)])


def invert(layers: list[nn.Module], generator: torch.Generator) -> list[nn.Module]:
    """The pixel with the most bits gets the fewest, and so on; ties are broken at random."""
    tie = torch.rand(layers[0].bits.numel(), generator=generator)
    return with_bits(layers, lambda bits: bits.sort().values[(-bits + tie).argsort().argsort()])


SWEEP = Sweep(
    name="bit_depth",
    parameter="bits",
    unit="bit",
    axis="bits per sample",
    minimum=1,
    maximum=16,
    default="1..8",
    variants=(
        Variant("fixed", "fixed: full scale", fixed),
        Variant("tuned", "tuned range, by validation", tuned, candidates=ranges),
        Variant("learned", "learned per channel", learned, learned=True),
        Variant("per_pixel", "learned per pixel", per_pixel, learned=True),
        Variant("bit_budget", "learned bits per pixel, same mean", bit_budget, learned=True),
        Variant("bit_lattice", "4-bit lattice, same mean", bit_lattice, learned=True),
        Variant("bit_random", "random bits per pixel, same mean", bit_random, learned=True),
        Variant("bit_budget_smooth", "learned smooth bit map, same mean", bit_budget_smooth, learned=True),
        Variant(
            "bit_shuffled",
            "smooth map, shuffled",
            bit_budget_smooth,
            camera_from="bit_budget_smooth",
            change=shuffle,
        ),
        Variant(
            "bit_inverse",
            "smooth map, inverted",
            bit_budget_smooth,
            camera_from="bit_budget_smooth",
            change=invert,
        ),
        Variant("bit_translated", "smooth map, scenes shifted", bit_budget_smooth, learned=True, translate=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "tuned", "learned", "per_pixel", "bit_budget"),
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
