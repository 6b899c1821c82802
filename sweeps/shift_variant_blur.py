"""Where should a lens be sharp? Accuracy against the defocus in the corners, for equal blur over the field.

    python sweeps/shift_variant_blur.py --defocus 2,4               # embedded phantom
    python sweeps/shift_variant_blur.py --defocus 4 --seeds 2 --fast
    python sweeps/shift_variant_blur.py --defocus 2,4,8 --data DIR --seeds 3 --variants fixed,learned,learned_translated

Arms: none (every scene pixel, no blur, the upper bound), fixed (the lens as it is, with field curvature and focused in
the middle: σ = defocus · ρ², where ρ is the distance from the middle, 1 in the corners), uniform (the same σ
everywhere), random (the widths of the lens at shuffled places), learned (a map of σ on 9×9 nodes, learned with the
network from a uniform start), learned_translated (control: trained on scenes shifted at random, so that no place is
special: its map should stay uniform). Every arm spreads light object by object, and pixels twice as large along each
axis with 8 bits read it.

The constraint, kept exactly in all arms: the mean of the stated σ² over the field, about 0.18 · defocus² at 32 pixels,
which is the mean area over which a point of the scene is spread. A Gaussian sampled at whole pixels spreads less than
its σ says where that is below 0.6, so lenses with a sharp place spread 2 to 6 % less than uniform ones at defocus 1.5
to 2 pixels. Between the Gaussians that the blur is mixed from its shape is up to a tenth off at defocus 4, a fifth at
8. Without the constraint the best map would be 0. The learned map may also nowhere be wider than 1.5 times the defocus.
This budget is not a law of lenses: it asks where blur does least harm.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from physlayer import BitDepth, GaussianBlurMap, PixelBinning
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.optics.blur import TRUNCATE
from physlayer.optics.nodes import from_nodes

NODES = 9  # along each axis
PIXEL = 2  # scene pixels along a side
BITS = 8
WIDEST = 1.5  # of the defocus: largest σ anywhere


def curvature(point: Point) -> Tensor:
    """σ of the lens at the nodes, pixels: 0 in the middle, the defocus in the corners, round on any picture."""
    height, width = point.shape[1:]
    place, whole = torch.linspace(-1, 1, NODES), height**2 + width**2
    return point.value * ((height * place[:, None]).square() + (width * place).square()) / whole


def mean_square(sigma: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Mean of :math:`\sigma^2` over the pixels of the field, pixels².

    Example:
        >>> mean_square(torch.tensor([[0.0, 3.0]]), (1, 4))
        tensor(3.5000)
    """
    return from_nodes(sigma, size).square().mean()


class EqualBlur(nn.Module):
    r"""Shifts the logits of a map until the mean of σ² over the field is the wanted one, and σ stays below the widest.

    .. math:: \sigma_v = s\,S(\operatorname{logit}(\tilde\sigma_v / s) + \lambda), \qquad
              \lambda: \ \langle\sigma^2\rangle = \text{wanted}

    S is the logistic function. λ is found by bisection and one step of Newton that carries the gradient, so that a
    learned map moves along the constraint.

    Args:
        wanted: mean of :math:`\sigma^2`, pixels². widest: :math:`s`, pixels. size: of the field, pixels.

    Example:
        >>> equal = EqualBlur(1.0, 3.0, (8, 8))
        >>> mean_square(equal(torch.tensor([[0.1, 2.9], [2.0, 1.0]])), (8, 8))
        tensor(1.0000)
    """

    def __init__(self, wanted: float, widest: float, size: tuple[int, int]):
        super().__init__()
        self.wanted, self.widest, self.size = wanted, widest, size

    def forward(self, sigma: Tensor) -> Tensor:
        logits = torch.logit((sigma / self.widest).clamp(1e-6, 1 - 1e-6))
        start = logits.detach().double()
        low, high = start.new_tensor(-50.0), start.new_tensor(50.0)
        for _ in range(60):
            middle = (low + high) / 2
            over = mean_square(self.widest * torch.sigmoid(start + middle), self.size) > self.wanted
            low, high = torch.where(over, low, middle), torch.where(over, middle, high)
        shift = middle.to(logits.dtype)
        found = self.widest * torch.sigmoid(logits + shift)
        flat = found.detach()
        slope = 2 * (from_nodes(flat, self.size) * from_nodes(flat * (1 - flat / self.widest), self.size)).mean()
        excess = mean_square(found, self.size) - self.wanted  # 0 but for rounding: here for its gradient
        return self.widest * torch.sigmoid(logits + shift - excess / slope)

    def right_inverse(self, sigma: Tensor) -> Tensor:
        return sigma


def camera(point: Point, sigma: Tensor) -> list[nn.Module]:
    """The blur, brought to the mean σ² of the lens, and the pixels."""
    radius, size = math.ceil(TRUNCATE * WIDEST * point.value), point.shape[1:]
    wanted = float(mean_square(curvature(point), size))
    equal = EqualBlur(wanted, radius / TRUNCATE, size)
    if isinstance(sigma, nn.Parameter):
        blur = GaussianBlurMap(sigma, radius=radius)
        parametrize.register_parametrization(blur, "sigma_pixels", equal)
    else:
        blur = GaussianBlurMap(sigma * (wanted / mean_square(sigma, size)).sqrt(), radius=radius)
    return [blur, PixelBinning(PIXEL), BitDepth(BITS)]


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, curvature(point))


def even(point: Point) -> Tensor:
    return mean_square(curvature(point), point.shape[1:]).sqrt().expand(NODES, NODES).clone()


def uniform(point: Point) -> list[nn.Module]:
    return camera(point, even(point))


def random(point: Point) -> list[nn.Module]:
    order = torch.randperm(NODES**2, generator=point.generator)
    return camera(point, curvature(point).flatten()[order].view(NODES, NODES))


def learned(point: Point) -> list[nn.Module]:
    return camera(point, nn.Parameter(even(point)))


SWEEP = Sweep(
    name="shift_variant_blur",
    parameter="defocus",
    axis="σ in the corners of the fixed lens / scene pixels",
    minimum=1.5,
    maximum=32,
    default="2,4",
    variants=(
        Variant("fixed", "field curvature", fixed),
        Variant("uniform", "same σ everywhere", uniform),
        Variant("random", "widths at shuffled places", random),
        Variant("learned", "learned map of σ", learned, learned=True),
        Variant("learned_translated", "learned on shifted scenes", learned, learned=True, translate=True),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "uniform", "random", "learned"),
    whole=False,
    scale="log",
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
