"""Speed of sensor and pixel geometry, forward and backward, as ratios against plain PyTorch timed in the same run.

    python benchmarks/sensor.py                   # 32×3×240×320, float32
    python benchmarks/sensor.py --threads 1 --shape 8 3 120 160

References: one Poisson draw of the same mean for the sensors (``torch.poisson``, no gradient), one binomial draw for
single-photon frames, ``avg_pool2d`` forward and backward for pixel geometry, a plain ``clone`` of the batch for all.
Rounds are interleaved and the medians compared.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from physlayer import (
    CameraArray,
    PixelBinning,
    PixelLayout,
    PowerLayout,
    QuantaSensor,
    Sensor,
    grid_sites,
    lattice_shifts,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--shape", type=int, nargs=4, default=(32, 3, 240, 320), metavar=("B", "C", "H", "W"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    channels, height, width = args.shape[1:]
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(args.shape, generator=generator, requires_grad=True)
    mean = 6500.0 * x.detach()
    share = 1 - torch.exp(-x.detach())
    frames = torch.full_like(share, 7.0)
    rows, columns = height // 4, width // 4

    def learned(value: float, *shape: int) -> nn.Parameter:
        return nn.Parameter(torch.full(shape, value))

    per_channel = (channels, 1, 1)
    widths = [nn.Parameter(0.1 * torch.randn(count, generator=generator)) for count in (rows, columns)]
    layers = {  # name: layer, and the reference that it is divided by
        "Sensor, exposure learned": (Sensor(12, exposure_photons=learned(10_000.0, *per_channel)), "poisson draw"),
        "Sensor, fixed, analogue": (Sensor(), "poisson draw"),
        "QuantaSensor, 7 frames": (QuantaSensor(7, exposure_photons=learned(1.25, *per_channel)), "binomial draw"),
        "PixelLayout, widths learned": (PixelLayout(*widths), "avg_pool2d"),
        "PixelLayout, fixed": (PixelLayout(torch.zeros(rows), torch.zeros(columns)), "avg_pool2d"),
        "PixelBinning, factor 4": (PixelBinning(4), "avg_pool2d"),
        "PowerLayout, 300 sites learned": (PowerLayout(nn.Parameter(grid_sites(15, 20))), "avg_pool2d"),
        "CameraArray, 4 cameras": (CameraArray(lattice_shifts(4), factor=4), "avg_pool2d"),
    }
    runs = {
        "clone": lambda: x.detach().clone(),
        "poisson draw": lambda: torch.poisson(mean),
        "binomial draw": lambda: torch.binomial(frames, share),
        "avg_pool2d": lambda: F.avg_pool2d(x, 4).sum().backward(),
    }
    runs |= {name: lambda layer=layer: layer(x).sum().backward() for name, (layer, _) in layers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(args.rounds + 1):
        for name, run in runs.items():
            x.grad = None
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    shape = "×".join(map(str, args.shape))
    print(f"shape {shape}, {args.threads} threads, torch {torch.__version__}, median of {args.rounds} rounds")
    print(f"{'':34s}{'ms':>9s}{'÷ clone':>9s}")
    for name, value in median.items():
        against = layers[name][1] if name in layers else ""
        ratio = f"{value / median[against]:9.2f} ÷ {against}" if against else ""
        print(f"{name:34s}{1e3 * value:9.1f}{value / median['clone']:9.1f}{ratio}")


if __name__ == "__main__":
    main()
