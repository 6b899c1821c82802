"""Speed of a learned 25×25 blur, forward and backward, as ratios against kornia and a plain FFT product in one run.

    python benchmarks/blur.py                      # 32×3×240×320, float32
    python benchmarks/blur.py --shape 8 3 240 320

References: ``kornia.filters.filter2d`` with mirrored borders, and the product of ``rfft2``s that autograd
differentiates by itself, on the circular and on the mirrored image. Rounds are interleaved and the medians compared.
The peak of the memory is that of one forward and backward pass in a process of its own, without the images.
"""

from __future__ import annotations

import argparse
import statistics
import time

import kornia
import torch
from peak import children, grown
from torch import Tensor, nn

from physlayer import Blur


def plain_reflect(x: Tensor, kernel: Tensor) -> Tensor:
    radius = kernel.shape[-1] // 2
    padded = torch.nn.functional.pad(x, (radius,) * 4, mode="reflect")
    return plain(padded, kernel)[..., 2 * radius :, 2 * radius :]


def plain(x: Tensor, kernel: Tensor) -> Tensor:
    size = tuple(x.shape[-2:])
    return torch.fft.irfft2(torch.fft.rfft2(x) * torch.fft.rfft2(kernel, s=size), s=size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--taps", type=int, default=25)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--shape", type=int, nargs=4, default=(32, 3, 240, 320), metavar=("B", "C", "H", "W"))
    parser.add_argument("--peak", help="print the peak memory of this run alone")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    x = torch.rand(args.shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    kernel = torch.full((args.taps, args.taps), 1 / args.taps**2, requires_grad=True)
    blurs = {
        border: Blur(kernel=nn.Parameter(kernel.detach().clone()), border=border) for border in ("circular", "reflect")
    }
    runs = {
        "kornia filter2d": lambda: kornia.filters.filter2d(x, kernel[None], "reflect"),
        "plain rfft2 product": lambda: plain(x, kernel),
        "the same, mirrored": lambda: plain_reflect(x, kernel),
        "Blur, circular": lambda: blurs["circular"](x),
        "Blur, reflect": lambda: blurs["reflect"](x),
        "Blur, Gaussian": lambda: gaussian(x),
    }
    gaussian = Blur(nn.Parameter(torch.tensor(1.5)), radius=args.taps // 2)
    if args.peak:
        print(grown(lambda: runs[args.peak]().sum().backward()))
        return
    peaks = children(list(runs))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(args.rounds + 1):
        for name, run in runs.items():
            x.grad = None
            start = time.perf_counter()
            run().sum().backward()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    shape = "×".join(map(str, args.shape))
    print(
        f"shape {shape}, {args.taps}×{args.taps}, {args.threads} threads, torch {torch.__version__}, "
        f"{args.rounds} rounds"
    )
    print(f"{'':24s}{'ms':>9s}{'kornia ÷':>10s}{'plain ÷':>10s}{'mirrored ÷':>12s}{'peak MiB':>10s}")
    for name, value in median.items():
        against, circular, mirrored = (median[name] / value for name in list(runs)[:3])
        print(f"{name:24s}{1e3 * value:9.1f}{against:10.2f}{circular:10.2f}{mirrored:12.2f}{peaks[name]:10.0f}")


if __name__ == "__main__":
    main()
