"""Speed of the converters, forward and backward, as ratios against two references timed in the same run.

    python benchmarks/bit_depth.py                # 32×3×240×320, float32
    python benchmarks/bit_depth.py --threads 1

References: ``torch.fake_quantize_per_tensor_affine`` (PyTorch's own fixed 8-bit fake quantizer, no gain, no learned
parameter) and a plain ``clone`` of the batch, i.e. one memory copy. Rounds are interleaved and the medians compared.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn

from physlayer import BitBudget, BitDepth, LearnedStep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--shape", type=int, nargs=4, default=(32, 3, 240, 320), metavar=("B", "C", "H", "W"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    height, width = args.shape[2:]
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(args.shape, generator=generator, requires_grad=True)
    grad = torch.randn(args.shape, generator=generator)

    def ones(*shape: int) -> nn.Parameter:
        return nn.Parameter(torch.ones(shape))

    def zeros(*shape: int) -> nn.Parameter:
        return nn.Parameter(torch.zeros(shape))

    channels = args.shape[1]
    layers = {
        "BitDepth, fixed": BitDepth(8),
        "BitDepth, learned per channel": BitDepth(8, gain=ones(channels, 1, 1), offset=zeros(channels, 1, 1)),
        "BitDepth, learned per pixel": BitDepth(8, gain=ones(1, height, width), offset=zeros(1, height, width)),
        "LearnedStep": LearnedStep(8),
        "BitBudget, learned": BitBudget(nn.Parameter(torch.full((height, width), 4.0)), mean_bits=4.0),
    }
    runs = {
        "clone": lambda: x.detach().clone(),
        "fake_quantize": lambda: torch.fake_quantize_per_tensor_affine(x, 1 / 255, 0, 0, 255).backward(grad),
    }
    runs |= {name: lambda layer=layer: layer(x).backward(grad) for name, layer in layers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(args.rounds + 2):
        for name, run in runs.items():
            x.grad = None
            start = time.perf_counter()
            run()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    print(
        f"shape {tuple(args.shape)}, {args.threads} threads, torch {torch.__version__}, median of {args.rounds} rounds"
    )
    print(f"{'':34s}{'ms':>8s}{'÷ fake_quantize':>18s}{'÷ clone':>10s}")
    for name, value in median.items():
        print(f"{name:34s}{1e3 * value:8.1f}{value / median['fake_quantize']:18.2f}{value / median['clone']:10.2f}")


if __name__ == "__main__":
    main()
