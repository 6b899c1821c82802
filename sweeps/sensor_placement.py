"""How few pixels does a classifier need, and which? Accuracy against the share of the pixels that are read.

    python sweeps/sensor_placement.py --task digits --keep 1/2..1/256           # embedded digits
    python sweeps/sensor_placement.py --keep 1/16,1/256 --seeds 2 --fast        # blood-cell phantom, smoke size
    python sweeps/sensor_placement.py --task digits --data DIR --keep 1/16..1/256 --seeds 3 --retrain

Arms: none (every pixel, the upper bound), fixed (a uniform grid), random (places drawn anew for each seed), variance
(the pixels whose light varies most over the training scenes), qr (pivots of a QR decomposition of the training scenes'
principal components), learned (places learned with the network, from a random start). The constraint is the number of
pixels: --keep of all, rounded, the same in every arm. The network, the same for all arms, gets each reading as its
difference from the mean training scene there, and 0 for a pixel that is not read. Differences are from random.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer import SensorPlacement
from physlayer.experiment import Point, Sweep, Variant, main, no_layer

START = 0.5  # standard deviation of the logits before training (Huijben et al. 2020)
NOISE_FLOOR = 1e-6  # of the largest principal component: below it lies rounding


def count(point: Point) -> int:
    """Pixels that are read."""
    return max(1, round(point.value * point.shape[1] * point.shape[2]))


def camera(point: Point, logits: Tensor) -> list[nn.Module]:
    return [SensorPlacement(logits, keep=count(point), reference=point.scenes().mean(0))]


def at(point: Point, places: Tensor) -> list[nn.Module]:
    """A camera that reads the given places, numbered along the rows."""
    _, height, width = point.shape
    return camera(point, torch.zeros(height * width).index_fill(0, places, 1.0).view(height, width))


def uniform_grid(keep: int, height: int, width: int) -> Tensor:
    """``keep`` places spread evenly: rows at equal distances, shared out among them one by one, centred.

    Example:
        >>> torch.zeros(25).index_fill(0, uniform_grid(3, 5, 5), 1).view(5, 5)
        tensor([[0., 0., 0., 0., 0.],
                [0., 0., 1., 0., 0.],
                [0., 0., 0., 0., 0.],
                [0., 1., 0., 1., 0.],
                [0., 0., 0., 0., 0.]])
    """
    rows = min(max(round((keep * height / width) ** 0.5), -(-keep // width), 1), height, keep)
    places = []
    for row in range(rows):
        columns = (row + 1) * keep // rows - row * keep // rows
        line = (2 * row + 1) * height // (2 * rows)
        places += [line * width + (2 * column + 1) * width // (2 * columns) for column in range(columns)]
    return torch.tensor(places)


def fixed(point: Point) -> list[nn.Module]:
    return at(point, uniform_grid(count(point), *point.shape[1:]))


def random(point: Point) -> list[nn.Module]:
    pixels = point.shape[1] * point.shape[2]
    return at(point, torch.randperm(pixels, generator=point.generator)[: count(point)])


def by_variance(scenes: Tensor) -> Tensor:
    """All places of ``(N, C, H, W)``, the one whose light varies most over the scenes first, channels summed."""
    return scenes.double().var(0).sum(0).flatten().argsort(descending=True, stable=True)


def variance(point: Point) -> list[nn.Module]:
    return at(point, by_variance(point.scenes())[: count(point)])


def by_pivots(scenes: Tensor, keep: int) -> Tensor:
    r"""Places from which the scenes' principal components are best told apart (Manohar et al. 2018).

    .. math:: \Psi^T P = Q R, \quad |R_{11}| \ge |R_{22}| \ge \dots

    :math:`\Psi` are the first ``keep`` components over the pixels (channels as further scenes), the permutation
    :math:`P` the order of the places. Where the scenes have fewer components than ``keep``, the places of the highest
    variance among the rest follow.

    References:
        Manohar, Brunton, Kutz, Brunton 2018, doi:10.1109/MCS.2018.2810460.
    """
    from scipy.linalg import eigh, qr

    deviations = (scenes.double() - scenes.double().mean(0)).flatten(2).flatten(0, 1)
    pixels = deviations.shape[1]
    covariance = (deviations.T @ deviations).numpy()
    strength, components = eigh(covariance, subset_by_index=(pixels - keep, pixels - 1))
    components = components[:, strength > NOISE_FLOOR * max(strength.max(), 1e-30)]
    pivots = torch.from_numpy(qr(components.T, mode="r", pivoting=True)[1][: components.shape[1]]).long()
    rest = by_variance(scenes)
    return torch.cat([pivots, rest[~torch.isin(rest, pivots)]])[:keep]


def qr(point: Point) -> list[nn.Module]:
    return at(point, by_pivots(point.scenes(), count(point)))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(START * torch.randn(point.shape[1:], generator=point.generator)))


SWEEP = Sweep(
    name="sensor_placement",
    parameter="keep",
    axis="share of the pixels that are read",
    minimum=1e-6,
    maximum=1,
    default="1/4,1/16,1/64,1/256",
    variants=(
        Variant("fixed", "fixed: uniform grid", fixed),
        Variant("random", "random places, as many", random),
        Variant("variance", "places of the highest variance", variance),
        Variant("qr", "pivots of the principal components", qr),
        Variant("learned", "learned places, as many", learned, learned=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "random", "variance", "qr", "learned"),
    whole=False,
    scale="halves",
    baseline="random",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
