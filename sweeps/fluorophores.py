"""How many filters tell fluorophores apart, and where should they cut? Accuracy against the number of filters.

    python sweeps/fluorophores.py --filters 1..6            # embedded cells, --task fluorophores is the default
    python sweeps/fluorophores.py --filters 3,4 --seeds 2 --fast
    python sweeps/fluorophores.py --filters 2..6 --seeds 3 --variants fixed,learned,crlb

A cell holds four fluorophores, EGFP and EYFP among them, and the class is the one that dominates. Arms: none (the
abundances themselves, without filters or noise, the upper bound), fixed (bands of equal width where fluorophores
shine), random (random cuts there), learned (cuts learned with the network, from equal widths), crlb (cuts with the
smallest trace of the Cramér–Rao bound of the abundances, from the training scenes alone, without their classes), rgb
(red, green and blue of a colour camera, whatever --filters says).

The constraint is the light of one exposure: 100 photons where the abundances sum to 1, without filters. Neighbouring
bands between cuts share it and lose none, as behind dichroic mirrors; the colour camera's filters absorb, and share the
exposure time, so that each of its three readings of a pixel has a third of the light and a read noise of its own. Every
band is read out by a sensor of its own, the same industrial one of 12 bits: more bands read more noise. Excitation is
not modelled: all fluorophores shine as much as there is of them. With fewer bands than fluorophores the bound is
infinite; crlb therefore takes the mean and the variance of the abundances over the training cells as known beforehand,
whatever the number of bands. With five filters and more its best cuts leave bands without light, which spares their
read noise: a camera of four bands. With one filter the arms but rgb are the same. Every score is the mean over five
exposures of each image.

Writes summary.csv, figure.png, figure.svg and report.html to --out; a rerun skips what is done.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from physlayer import SpectralFilters
from physlayer.color.spectra import rgb_camera_curves, wavelength_axis
from physlayer.color.unmixing import cramer_rao_bound
from physlayer.experiment import Point, Sweep, Variant, main, no_layer
from physlayer.sensor import SENSORS, industrial_sensor
from physlayer.tasks.fluorophores import CLASSES, EMISSION

PHOTONS = 100.0  # of one exposure, where the abundances sum to 1
KIND = "pregius345"
SHINING_NM = (450.0, 650.0)  # where bands are laid out
CELL = 0.25  # of the brightest pixel: above lies the cell
STARTS, STEPS, RATE = 3, 100, 0.05  # of the search for the smallest bound


def camera(point: Point, filters: SpectralFilters) -> list[nn.Module]:
    if point.shape[0] != len(CLASSES):
        raise ValueError(f"Expected abundances of {len(CLASSES)} fluorophores, but got {point.shape[0]} channels; "
                         "use --task fluorophores.")  # fmt: skip
    return [filters, industrial_sensor(PHOTONS, kind=KIND)]


def bands(cuts_nm: Tensor) -> SpectralFilters:
    if len(cuts_nm) == 0:  # one filter that passes everything
        return SpectralFilters(transmission=torch.ones(1, EMISSION.shape[1]), emission=EMISSION)
    return SpectralFilters(cuts_nm=cuts_nm, emission=EMISSION)


def equal_cuts(point: Point) -> Tensor:
    """Cuts between bands of equal width, nm."""
    return torch.linspace(*SHINING_NM, int(point.value) + 1)[1:-1]


def random_cuts(point: Point, generator: torch.Generator) -> Tensor:
    low, high = SHINING_NM
    return (low + (high - low) * torch.rand(int(point.value) - 1, generator=generator)).sort().values


def bound(filters: SpectralFilters, scenes: Tensor) -> Tensor:
    r"""Trace of the Cramér–Rao bound of the mean abundances of a cell, with what is known of cells beforehand.

    .. math:: \operatorname{tr}\,\bigl(M^\top \Sigma^{-1} M + \mathrm{diag}(v)^{-1}\bigr)^{-1}

    The light and the read noise of all pixels of a cell count. The variance :math:`v` of the abundances between cells
    enters as one more channel per fluorophore that is as noisy as that.

    Args:
        filters: the bands. scenes: training scenes ``(N, F, H, W)``.
    """
    total = scenes.sum(1, keepdim=True)
    cell = (total > CELL * total.amax((2, 3), keepdim=True)).to(scenes.dtype)
    pixels = cell.sum((2, 3))
    abundance = (scenes * cell).sum((2, 3)) / pixels
    mean, variance, pixels = abundance.mean(0), abundance.var(0), float(pixels.mean())
    mixing = filters.mixing() * PHOTONS * SENSORS[KIND]["quantum_efficiency"] * pixels
    noise = torch.full((len(mixing),), SENSORS[KIND]["read_noise_electrons"] * pixels**0.5)
    # a channel w a with noise variance w a + s² has the information w² / (w a + s²): here 1 / v
    weight = 2 * mean / variance
    known = (weight * (weight * variance - mean)).sqrt()
    return cramer_rao_bound(torch.cat([mixing, torch.diag(weight)]), mean, torch.cat([noise, known])).sum()


def fixed(point: Point) -> list[nn.Module]:
    return camera(point, bands(equal_cuts(point)))


def random(point: Point) -> list[nn.Module]:
    return camera(point, bands(random_cuts(point, point.generator)))


def learned(point: Point) -> list[nn.Module]:
    cuts = equal_cuts(point)
    return camera(point, bands(nn.Parameter(cuts) if len(cuts) else cuts))


def smallest_bound(start: Tensor, scenes: Tensor) -> tuple[float, Tensor]:
    """Trace of the bound and the cuts, nm, where a descent from ``start`` ends."""
    with torch.enable_grad():  # a report builds cameras without
        filters = bands(nn.Parameter(start))
        optimizer = torch.optim.Adam(filters.parameters(), lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            bound(filters, scenes).backward()
            optimizer.step()
    return float(bound(filters, scenes).detach()), filters.physical()["cuts_nm"]


def crlb(point: Point) -> list[nn.Module]:
    if point.value == 1:
        return fixed(point)
    starts = [equal_cuts(point), *(random_cuts(point, point.generator) for _ in range(STARTS - 1))]
    found = [smallest_bound(start, point.scenes()) for start in starts]
    return camera(point, bands(min(found, key=lambda entry: entry[0])[1]))


def rgb(point: Point) -> list[nn.Module]:
    curves = rgb_camera_curves(wavelength_axis())
    return camera(point, SpectralFilters(transmission=curves, emission=EMISSION, sequential=True))


SWEEP = Sweep(
    name="fluorophores",
    parameter="filters",
    axis="number of filters",
    minimum=1,
    maximum=12,
    default="1..6",
    variants=(
        Variant("fixed", "bands of equal width", fixed),
        Variant("random", "random cuts", random),
        Variant("learned", "learned cuts", learned, learned=True),
        Variant("crlb", "smallest Cramér–Rao bound", crlb),
        Variant("rgb", "colour camera", rgb, swept=False),
        Variant("none", "no layer", no_layer, swept=False),
    ),
    chosen=("fixed", "random", "learned", "crlb", "rgb"),
    task="fluorophores",
    tasks=("fluorophores",),
)

if __name__ == "__main__":
    sys.exit(main(SWEEP, __doc__))
