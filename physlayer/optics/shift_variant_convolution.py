"""Blur that changes over the field: sums of convolutions with weight maps before them or behind them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from physlayer.core.fft import fast_length
from physlayer.core.validation import one_of
from physlayer.optics.convolution import BORDERS, bordered

__all__ = ["gather", "scatter"]


def scatter(x: Tensor, kernels: Tensor, weights: Tensor, *, border: str = "reflect") -> Tensor:
    r"""Shift-variant blur on the object's side: every point of the scene spreads its light with a kernel of its own.

    .. math:: y = \sum_r b_r * (w_r\,x), \qquad y_u = \sum_v h(u - v;\,v)\,x_v, \quad h(\cdot;\,v) = \sum_r w_r(v)\,b_r

    The physics of incoherent imaging. With kernels of sum 1 and :math:`\sum_r w_r = 1` all light is kept (exactly for
    ``border="circular"``, and away from the border for the others), but a flat field does not stay flat where
    the kernel changes. One inverse transform serves all kernels. Only learned kernels make training keep a batch per
    kernel.

    Args:
        x: images. kernels: :math:`b_r`, unit 1, of odd size. weights: :math:`w_r`, unit 1, one map per kernel.
        border: of the weighted scenes :math:`w_r x`, see :func:`physlayer.optics.convolution.convolve`.

    Shape:
        ``x (B, C, H, W)``, ``kernels (R, h, w)``, ``weights (R, H, W)`` to ``(B, C, H, W)``.

    Raises:
        TypeError: if ``x`` is complex. ValueError: for other shapes, a kernel of even size or an unknown border.

    References:
        Nagy and O'Leary 1998, doi:10.1137/S106482759528507X; Denis et al. 2015, doi:10.1007/s11263-015-0817-x.

    Example:
        >>> kernels = torch.stack([torch.tensor([[0.0, 1, 0]]), torch.tensor([[0.25, 0.5, 0.25]])])
        >>> right = torch.tensor([[0.0, 0, 0, 1, 1, 1]])  # the right half of the object is out of focus
        >>> scatter(torch.ones(1, 1, 1, 6), kernels, torch.stack([1 - right, right])).flatten()
        tensor([1.0000, 1.0000, 1.2500, 0.7500, 1.0000, 1.0000])
    """
    return _joint("scatter", x, kernels, weights, border)


def gather(x: Tensor, kernels: Tensor, weights: Tensor, *, border: str = "reflect") -> Tensor:
    r"""Shift-variant blur on the detector's side: every pixel collects light with a kernel of its own.

    .. math:: y = \sum_r w_r\,(b_r * x), \qquad y_u = \sum_v h(u - v;\,u)\,x_v, \quad h(\cdot;\,u) = \sum_r w_r(u)\,b_r

    The physics of pixels or array elements that differ, and a common approximation of :func:`scatter`. With kernels of
    sum 1 and :math:`\sum_r w_r = 1` a flat field stays flat, but light is not kept where the kernel changes. The
    transpose of :func:`scatter` with the same weights and turned kernels (zero or circular border). One
    transform of the image serves all kernels. Only learned weights make training keep a batch per kernel.

    Args:
        x: images. kernels: :math:`b_r`, unit 1, of odd size. weights: :math:`w_r`, unit 1, one map per kernel.
        border: of the scene :math:`x`, see :func:`physlayer.optics.convolution.convolve`.

    Shape:
        ``x (B, C, H, W)``, ``kernels (R, h, w)``, ``weights (R, H, W)`` to ``(B, C, H, W)``.

    Raises:
        TypeError: if ``x`` is complex. ValueError: for other shapes, a kernel of even size or an unknown border.

    References:
        Denis et al. 2015, doi:10.1007/s11263-015-0817-x (both models and what each keeps).

    Example:
        >>> kernels = torch.stack([torch.tensor([[0.0, 1, 0]]), torch.tensor([[0.25, 0.5, 0.25]])])
        >>> right = torch.tensor([[0.0, 0, 0, 1, 1, 1]])
        >>> gather(torch.tensor([[[[0.0, 0, 0, 1, 0, 0]]]]), kernels, torch.stack([1 - right, right])).flatten()
        tensor([0.0000, 0.0000, 0.0000, 0.5000, 0.2500, 0.0000])
    """
    return _joint("gather", x, kernels, weights, border)


def _joint(name: str, x: Tensor, kernels: Tensor, weights: Tensor, border: str) -> Tensor:
    one_of("border", border, BORDERS)
    if not x.is_floating_point():
        raise TypeError(f"Expected x to be real intensities, but got {x.dtype}; blur x.real and x.imag apart.")
    if x.ndim != 4 or kernels.ndim != 3 or tuple(weights.shape) != (len(kernels), *x.shape[2:]):
        raise ValueError(
            f"Expected x (B, C, H, W), kernels (R, h, w) and weights (R, H, W), but got {tuple(x.shape)}, "
            f"{tuple(kernels.shape)} and {tuple(weights.shape)}."
        )
    height, width = kernels.shape[1:]
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"Expected kernels of odd size, but got {height}×{width}; add a row or column of zeros.")
    radius = height // 2, width // 2
    with torch.autocast(x.device.type, enabled=False):  # half precision would lose the bits of a converter behind
        kernels, weights = kernels.to(x.dtype), weights.to(x.dtype)
        margin, sizes = (0, 0), tuple(x.shape[2:])
        if border == "zero":
            sizes = tuple(fast_length(side + more) for side, more in zip(sizes, radius, strict=True))
        elif border == "reflect" or height > sizes[0] or width > sizes[1]:
            x = _framed(x, radius, border)
            if name == "scatter":  # the border of a product is the product of the borders
                weights = _framed(weights[None], radius, border)[0]
            margin, sizes = radius, tuple(map(fast_length, x.shape[2:]))
        if len(kernels) % 2:
            kernels, weights = (torch.cat([part, torch.zeros_like(part[:1])]) for part in (kernels, weights))
        return _PairedKernels.apply(name, x, kernels, weights, margin, sizes)


class _PairedKernels(torch.autograd.Function):
    """Both sums with two real kernels in one complex one, so that no transform has a redundant half.

    With β = b₁ + i b₂ and ω = w₁ − i w₂, Re ω (β ∗ x) = w₁ (b₁ ∗ x) + w₂ (b₂ ∗ x) and likewise Re β ∗ (ω x). The
    gradient of one sum with respect to the image is the other sum with turned kernels.
    """

    @staticmethod
    def forward(ctx, name: str, x: Tensor, kernels: Tensor, weights: Tensor, margin, sizes) -> Tensor:
        placed, omega = _placed(kernels, margin, sizes), torch.complex(weights[::2], -weights[1::2])
        shape = (*x.shape[:2], x.shape[2] - 2 * margin[0], x.shape[3] - 2 * margin[1])
        run, kept_for, x_for = (_collect, 3, 2) if name == "gather" else (_spread, 2, 3)
        y, kept, _ = run(x, omega, torch.fft.fft2(placed), sizes, shape, keep=ctx.needs_input_grad[kept_for])
        ctx.save_for_backward(x if ctx.needs_input_grad[x_for] else None, placed, omega, *kept)
        ctx.name, ctx.margin, ctx.sizes, ctx.shapes = name, margin, sizes, (x.shape, kernels.shape)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        x, placed, omega, *kept = ctx.saved_tensors
        _, for_x, for_kernels, for_weights, _, _ = ctx.needs_input_grad
        shape, sizes, found_x, beta, found_omega = ctx.shapes[0], ctx.sizes, None, None, None
        turned = torch.fft.ifft2(placed, norm="forward")  # transforms of the turned kernels
        if ctx.name == "gather":
            if for_x or for_kernels:
                found_x, _, sums = _spread(grad, omega, turned, sizes, shape, against=x)
                beta = torch.fft.ifft2(sums).conj() if for_kernels else None
            if for_weights:
                found_omega = _summed(kept, [grad[part] for part in _parts(grad)])
        else:
            if for_x or for_weights:
                found_x, _, found_omega = _collect(grad, omega, turned, sizes, shape, against=x)
            if for_kernels:
                seen = [torch.fft.fft2(grad[part], s=sizes).conj().resolve_conj() for part in _parts(grad)]
                beta = torch.fft.ifft2(_summed(kept, seen).conj())
        found_kernels = _unplaced(beta, ctx.margin, ctx.shapes[1]) if beta is not None else None
        found_weights = _unpaired(found_omega) if for_weights and found_omega is not None else None
        return None, found_x, found_kernels, found_weights, None, None


def _collect(image, omega, transfer, sizes, shape, *, keep=False, against=None):
    """Re Σ ω (β ∗ image) by one forward transform; every β ∗ image if kept, and its product with ``against``."""
    y, kept = image.new_empty(shape), []
    sums = None if against is None else torch.zeros_like(omega)
    for part in _parts(image):
        seen, total = torch.fft.fft2(image[part], s=sizes), None
        for p in range(len(omega)):
            blurred = torch.fft.ifft2(seen * transfer[p])[..., : shape[2], : shape[3]]
            if keep:
                kept.append(blurred)
            if against is not None:
                sums[p] += (blurred * against[part]).sum((0, 1))
            total = blurred * omega[p] if p == 0 else total.addcmul_(blurred, omega[p])
        y[part] = total.real
    return y, kept, sums


def _spread(image, omega, transfer, sizes, shape, *, keep=False, against=None):
    """Re Σ β ∗ (ω image) by one inverse transform; those of ω image if kept, and times that of ``against``."""
    y, kept, (height, width) = image.new_empty(shape), [], image.shape[2:]
    sums = None if against is None else torch.zeros_like(transfer)
    for part in _parts(image):
        weighted, total = omega.new_zeros(*image[part].shape[:2], *sizes), None
        mirrored = None if against is None else torch.fft.fft2(against[part], s=sizes).conj().resolve_conj()
        for p in range(len(omega)):
            torch.mul(image[part], omega[p], out=weighted[..., :height, :width])
            seen = torch.fft.fft2(weighted)
            if keep:
                kept.append(seen)
            if against is not None:
                sums[p] += (seen * mirrored).sum((0, 1))
            total = seen * transfer[p] if p == 0 else total.addcmul_(seen, transfer[p])
        y[part] = torch.fft.ifft2(total)[..., : shape[2], : shape[3]].real
    return y, kept, sums


def _summed(kept: list[Tensor], others: list[Tensor]) -> Tensor:
    """Products of what was kept, part by part and pair by pair, with one tensor for each part, summed."""
    pairs = len(kept) // len(others)
    found = (sum((kept[k * pairs + p] * other).sum((0, 1)) for k, other in enumerate(others)) for p in range(pairs))
    return torch.stack(list(found))  # type: ignore[arg-type]  # sums of tensors, none of them empty


def _parts(x: Tensor) -> list[slice]:
    """Images of a batch that are worked on together: one that fits the cache of a processor, all on an accelerator."""
    step = 1 if x.device.type == "cpu" else len(x)
    return [slice(first, first + step) for first in range(0, len(x), step)]


def _framed(x: Tensor, radius: tuple[int, int], border: str) -> Tensor:
    return bordered(bordered(x, radius[0], 2, border), radius[1], 3, border)


def _placed(kernels: Tensor, margin: tuple[int, int], sizes: tuple[int, int]) -> Tensor:
    """Pairs of kernels, placed so that the result, without its margin, begins at the first pixel."""
    height, width = kernels.shape[1:]
    pairs = F.pad(torch.complex(kernels[::2], kernels[1::2]), (0, sizes[1] - width, 0, sizes[0] - height))
    return pairs.roll((-(height // 2) - margin[0], -(width // 2) - margin[1]), (1, 2))


def _unplaced(pairs: Tensor, margin: tuple[int, int], shape: torch.Size) -> Tensor:
    """Transpose of :func:`_placed`."""
    rolled = pairs.roll((shape[1] // 2 + margin[0], shape[2] // 2 + margin[1]), (1, 2))
    return _unpaired(rolled[:, : shape[1], : shape[2]])


def _unpaired(pairs: Tensor) -> Tensor:
    return torch.view_as_real(pairs.resolve_conj()).movedim(-1, 1).flatten(0, 1)
