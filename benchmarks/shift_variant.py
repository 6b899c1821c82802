"""Speed of shift-variant blur, forward and backward, as a ratio against separate FFT blurs timed in the same run.

    python benchmarks/shift_variant.py                                   # 32×3×240×320, float32, 8 kernels of 25×25
    python benchmarks/shift_variant.py --threads 1 --shape 2 3 240 320

References, each the sum of eight blurs with a product before or behind each: "plain", an FFT convolution as one writes
it (``rfft2`` of the padded image, product, ``irfft2``, differentiated by PyTorch); "fast size", the same with the image
padded to a size whose transform is fast; and ``optics.convolution.convolve``. Rounds are interleaved and the medians
compared, once with everything learned and once with the blur fixed. The peak of the memory is that of one forward and
backward pass with everything learned, in a process of its own, without the images.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import torch
from peak import children, grown
from torch import Tensor

from physlayer.core.fft import fast_length
from physlayer.optics.convolution import bordered, convolve
from physlayer.optics.shift_variant_convolution import gather, scatter


def plain_blur(x: Tensor, kernel: Tensor, *, fast: bool = False) -> Tensor:
    """A convolution by FFT with a mirrored border."""
    height, width = x.shape[2:]
    radius = kernel.shape[-1] // 2
    x = bordered(bordered(x, radius, 2, "reflect"), radius, 3, "reflect")
    sizes = tuple(fast_length(side) if fast else side for side in x.shape[2:])
    y = torch.fft.irfft2(torch.fft.rfft2(x, s=sizes) * torch.fft.rfft2(kernel, s=sizes), s=sizes)
    return y[..., 2 * radius : 2 * radius + height, 2 * radius : 2 * radius + width]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--kernels", type=int, default=8)
    parser.add_argument("--size", type=int, default=25, help="of a kernel, pixels")
    parser.add_argument("--shape", type=int, nargs=4, default=(32, 3, 240, 320), metavar=("B", "C", "H", "W"))
    parser.add_argument("--peak", help="print the peak memory of this form alone")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(args.shape, generator=generator, requires_grad=True)
    kernels = torch.rand(args.kernels, args.size, args.size, generator=generator)
    kernels /= kernels.sum((1, 2), keepdim=True)
    weights = torch.rand(args.kernels, *args.shape[2:], generator=generator).softmax(0)
    blurs = {"plain": plain_blur, "fast size": partial(plain_blur, fast=True), "convolve": convolve}
    forms = {}
    for name, blur in blurs.items():
        forms[f"{name}, scatter"] = lambda b, w, blur=blur: sum(blur(w[r] * x, b[r]) for r in range(len(b)))
        forms[f"{name}, gather"] = lambda b, w, blur=blur: sum(w[r] * blur(x, b[r]) for r in range(len(b)))
    forms["joint, scatter"] = lambda b, w: scatter(x, b, w)
    forms["joint, gather"] = lambda b, w: gather(x, b, w)
    if args.peak:
        b, w = kernels.requires_grad_(), weights.requires_grad_()
        print(grown(lambda: forms[args.peak](b, w).square().sum().backward()))
        return
    peaks = children(list(forms))
    shape = "×".join(map(str, args.shape))
    print(f"shape {shape}, {args.kernels} kernels of {args.size}×{args.size}, {args.threads} threads, torch "
          f"{torch.__version__}, median of {args.rounds} rounds")  # fmt: skip
    for learned in (True, False):
        b, w = kernels.clone().requires_grad_(learned), weights.clone().requires_grad_(learned)
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        for turn in range(args.rounds + 1):
            for name, form in forms.items():
                x.grad = b.grad = w.grad = None
                start = time.perf_counter()
                form(b, w).square().sum().backward()
                if turn:
                    seconds[name].append(time.perf_counter() - start)
        median = {name: statistics.median(times) for name, times in seconds.items()}
        print("all learned" if learned else "blur fixed, gradient of the image only")
        for name, value in median.items():
            joint = median["joint, " + name.split(", ")[1]]
            peak = f", peak {peaks[name]:6.0f} MiB" if learned else ""
            print(f"  {name:20s}{1e3 * value:9.1f} ms{value / joint:7.2f} × joint{peak}")


if __name__ == "__main__":
    main()
