"""Does deconvolution help a classifier, or only the picture? Accuracy and image quality against light.

    python sweeps/deconvolution.py --photons 30,300,3000              # embedded phantom
    python sweeps/deconvolution.py --photons 100 --seeds 2 --fast
    python sweeps/deconvolution.py --photons 30,300,3000 --data DIR --seeds 3

A tilted sensor sees the left side of the field nearly in focus (σ = 0.5 pixels) and the right one far out of it
(σ = 2.5); behind it an industrial sensor of 12 bits. Arms: none (neither blur nor noise, the upper bound), fixed (the
reading as it is), tied (one Wiener kernel for all pixels), full (a kernel per pixel), learned (kernels per pixel of
rank 4, learned with the network, starting from tied). The kernels of tied and full are the best linear ones in closed
form, from readings of the training scenes without their classes; all kernels are 7×7 and the same for all channels.

The constraint is the light: photons on a white pixel. The same camera stands in all arms, so none knows more of a scene
than fixed; what tied and full add is the mean and the covariance of the training scenes. learned adds weights instead,
four per pixel and 49 per kernel (4,292 at 32×32 pixels, 19,396 at 80×60) that know where they stand, which a
convolutional network does not. Recorded beside the accuracy and written to summary.csv are the peak signal-to-noise
ratio (psnr_db) and the structural similarity (ssim) of what the network is given, cut to 0…1, with the scene: means
over up to 256 test images, one exposure. learned minimises the classifier's loss, not the error of the image; every
accuracy is the mean over five exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn

from physlayer import GaussianBlurMap, LocallyConnected2d
from physlayer.core.randomness import noise_draw
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.optics.blur import TRUNCATE
from physlayer.restoration import local_lmmse
from physlayer.sensor import HEADROOM, fitted_gain, industrial_sensor, photons_at_full_well
from physlayer.training.prediction import DRAWS

NODES = 9  # along each axis
SHARP, SOFT = 0.5, 2.5  # σ at the left and the right border, pixels
WIDTHS = 16  # Gaussians that the blur is mixed from: within 5 % of a Gaussian of the stated width
WINDOW, RANK = 7, 4
BITS = 12


class Light(nn.Module):
    """Readings back to the scale of the scene: a digital step, the same in all arms."""

    def __init__(self, black: float, white: float):
        super().__init__()
        self.black, self.white = black, white

    def forward(self, reading: Tensor) -> Tensor:
        return (reading - self.black) / (self.white - self.black)


class Deconvolution(nn.Module):
    r"""A linear estimate around the mean scene, the same for all channels: :math:`\bar x + K\,(y - \bar y)`.

    Args:
        kernels: one channel to one. mean_scene, mean_reading: ``(1, H, W)``.
    """

    def __init__(self, kernels: LocallyConnected2d, mean_scene: Tensor, mean_reading: Tensor):
        super().__init__()
        self.kernels = kernels
        self.register_buffer("mean_scene", mean_scene)
        self.register_buffer("mean_reading", mean_reading)

    def forward(self, y: Tensor) -> Tensor:
        each = (y - self.mean_reading).flatten(0, 1)[:, None]
        return self.mean_scene + self.kernels(each).view(y.shape)


def camera(point: Point) -> list[nn.Module]:
    """The blur of a tilted sensor, its noise and converter, and the scale of the scene."""
    sigma = torch.linspace(SHARP, SOFT, NODES).expand(NODES, NODES).clone()
    blur = GaussianBlurMap(sigma, radius=math.ceil(TRUNCATE * SOFT), widths=WIDTHS)
    fitted, last = fitted_gain(BITS, point.value), 2**BITS - 1
    black = fitted["offset_dn"]
    white = black + fitted["gain_dn_per_electron"] * point.value * fitted["quantum_efficiency"]
    return [blur, industrial_sensor(point.value, bits=BITS), Light(black / last, white / last)]


def closed_form(point: Point, *, tied: bool) -> tuple[list[nn.Module], Deconvolution]:
    """The camera, and the best linear kernels behind it, not to be trained: from one reading of the training scenes."""
    layers, scenes = camera(point), point.scenes()
    model = nn.Sequential(*layers).eval()
    with torch.no_grad(), noise_draw(model, draw=DRAWS):  # an exposure by which nothing is judged
        readings = model(scenes)
    x, y = scenes.flatten(0, 1), readings.flatten(0, 1)  # channels one after the other
    mean_scene, mean_reading = x.mean(0, keepdim=True), y.mean(0, keepdim=True)
    x, y = (x - mean_scene).flatten(1), (y - mean_reading).flatten(1)
    size = tuple(point.shape[1:])
    kernels = LocallyConnected2d(1, size, WINDOW, bias=False).requires_grad_(False)
    kernels.kernels.copy_(local_lmmse(x.T @ y / len(x), y.T @ y / len(y), size, WINDOW, tied=tied))
    return layers, Deconvolution(kernels, mean_scene, mean_reading)


def fixed(point: Point) -> list[nn.Module]:
    return camera(point)


def tied(point: Point) -> list[nn.Module]:
    layers, step = closed_form(point, tied=True)
    return [*layers, step]


def full(point: Point) -> list[nn.Module]:
    layers, step = closed_form(point, tied=False)
    return [*layers, step]


def learned(point: Point) -> list[nn.Module]:
    layers, step = closed_form(point, tied=True)
    kernels = LocallyConnected2d(1, tuple(point.shape[1:]), WINDOW, form="low_rank", rank=RANK, bias=False)
    with torch.no_grad():  # the first weight map is 1 everywhere, the kernels of the others are 0
        kernels.kernels[0] = step.kernels.kernels[..., 0, 0]
    step.kernels = kernels
    return [*layers, step]


def image_quality(camera: nn.Sequential, scenes: Tensor) -> dict[str, float]:
    """Mean PSNR, dB, and SSIM of what the network is given; nothing for a camera that changes nothing.

    Example:
        >>> found = image_quality(nn.Sequential(Light(0.0, 2.0)), torch.full((1, 1, 8, 8), 0.2))
        >>> round(found["psnr_db"], 3)
        20.0
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    given = camera(scenes).clamp(0, 1)
    if torch.equal(given, scenes):
        return {}
    pairs = list(zip(scenes.cpu().double().numpy(), given.cpu().double().numpy(), strict=True))
    ratios = [peak_signal_noise_ratio(x, y, data_range=1.0) for x, y in pairs]
    similar = [structural_similarity(x, y, data_range=1.0, channel_axis=0) for x, y in pairs]
    return {"psnr_db": float(sum(ratios) / len(pairs)), "ssim": float(sum(similar) / len(pairs))}


SWEEP = Sweep(
    name="deconvolution",
    parameter="photons",
    axis="photons on a white pixel",
    minimum=0.1,
    maximum=photons_at_full_well() / HEADROOM,
    default="30,300,3000",
    variants=(
        Variant("fixed", "as it was read", fixed),
        Variant("tied", "one Wiener kernel", tied),
        Variant("full", "a Wiener kernel per pixel", full),
        Variant("learned", "learned kernels of low rank", learned),  # digital: nothing of the camera is learned
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "tied", "full", "learned"),
    whole=False,
    scale="log",
    measure=image_quality,
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
