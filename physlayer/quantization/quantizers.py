r"""Pure quantizers with their surrogate gradients.

Convention, pinned by ``tests/test_conventions.py``: a comparator fires *at* its threshold, so codes are
``floor(v + 1/2)`` and not round-half-to-even. ``midtread`` puts levels at 0 and 1 (``2^b - 1`` steps);
``midrise`` puts ``2^b`` equal bins in 0…1 and reads their centres.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["midrise", "midtread", "nearest_code", "quantize", "straight_through"]

BLOCK_BYTES = 1 << 19  # a block and its scratch stay in a core's cache between the passes


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """``hard`` forward, gradient of ``soft`` backward (Bengio 2013, arXiv:1308.3432).

    The parentheses matter: ``hard + soft - soft`` is not bit-exact in float32 and leaks the analogue value.

    Example:
        >>> x = torch.tensor([0.2], requires_grad=True)
        >>> y = straight_through(x.round(), x); y.backward()
        >>> y.item(), x.grad.item()
        (0.0, 1.0)
    """
    return hard.detach() + (soft - soft.detach())


def nearest_code(u: Tensor, top_code: int) -> Tensor:
    """Codes ``0…top_code`` nearest to ``u``, which is in codes; halves go up. No gradient.

    Example:
        >>> nearest_code(torch.tensor([-1.0, 0.4, 0.5, 9.0]), 3)
        tensor([0., 0., 1., 3.])
    """
    return torch.floor(u.detach().clamp(0, top_code) + 0.5).clamp(max=top_code)


class Grid:
    """The staircase ``y = (clip(floor(v a + s), 0, n - 1) + r) / d``: its five numbers, scalars or per pixel."""

    __slots__ = ("divisor", "read", "scale", "shift", "top")

    def __init__(self, scale, shift: float, top, read: float, divisor):
        self.scale, self.shift, self.top, self.read, self.divisor = scale, shift, top, read, divisor


def midtread(bits: int) -> Grid:
    """``2^b`` levels, the first at 0 and the last at 1."""
    steps = 2**bits - 1
    return Grid(steps, 0.5, steps, 0.0, steps)


def midrise(bits: int) -> Grid:
    """``2^b`` equal bins in 0…1, read at their centres."""
    levels = 2**bits
    return Grid(levels, 0.0, levels - 1, 0.5, levels)


def quantize(
    x: Tensor, grid: Grid, gain: Tensor | None = None, offset: Tensor | None = None, leak: float = 0.01
) -> Tensor:
    r"""Analogue gain and offset, then a uniform converter, with the straight-through surrogate.

    .. math::
        v = g x + o, \quad y = \frac{\mathrm{clip}(\lfloor a v + s \rfloor, 0, n - 1) + r}{d}

    Surrogate: :math:`\partial y/\partial v = 1` for :math:`0 \le v \le 1`, ``leak`` outside, hence
    :math:`\partial y/\partial x = g\,\partial y/\partial v`, :math:`\partial y/\partial g = x\,\partial y/\partial v`,
    :math:`\partial y/\partial o = \partial y/\partial v`. The leak is backward only: without it a pixel that is
    saturated or dark in every training image could never come back. A pixel with one level (0 bits) reads nothing
    and passes no gradient.

    Args:
        x: intensities, ``(B, C, H, W)``, in full scales.
        grid: the converter, from :func:`midtread` or :func:`midrise`.
        gain: :math:`g`, broadcastable to ``(1, C, H, W)``, unit 1.
        offset: :math:`o`, broadcastable to ``(1, C, H, W)``, in full scales.
        leak: slope of the surrogate outside 0…1.

    Example:
        >>> quantize(torch.tensor([0.0, 0.4, 0.5, 1.0]).view(1, 1, 1, 4), midtread(1)).flatten()
        tensor([0., 0., 1., 1.])
    """
    gain = x.new_ones(()) if gain is None else gain.to(x.dtype)
    offset = x.new_zeros(()) if offset is None else offset.to(x.dtype)
    gain, offset = (v.reshape((1,) * (4 - v.ndim) + v.shape) for v in (gain, offset))
    for name, value in (("gain", gain), ("offset", offset)):
        fits = x.ndim == value.ndim == 4 and all(
            v in (1, n) for v, n in zip(value.shape, (1, *x.shape[1:]), strict=True)
        )
        if not fits:
            raise ValueError(
                f"Expected {name} to broadcast over images (B, C, H, W), but got {tuple(value.shape)} "
                f"for images {tuple(x.shape)}."
            )
    if torch.compiler.is_compiling():
        return _quantize_plain(x, grid, gain, offset, leak)
    return _Quantize.apply(x.contiguous(), gain, offset, grid, leak)


def codes_of(x: Tensor, grid: Grid, gain: Tensor, offset: Tensor) -> Tensor:
    """Integer codes ``clip(floor(a(g x + o) + s), 0, n - 1)``, int64."""
    gain, offset = gain.to(x.dtype), offset.to(x.dtype)
    return _clip(torch.floor(torch.addcmul(*_line(grid, gain, offset, x))), grid.top).to(torch.int64)


def _line(grid: Grid, gain: Tensor, offset: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``(a o + s, x, a g)``: gain, offset and staircase as one multiply-add, the same for readings and codes."""
    return offset * grid.scale + grid.shift, x, gain * grid.scale


def _clip(code: Tensor, top) -> Tensor:
    code = code.clamp(min=0)
    return torch.minimum(code, top) if isinstance(top, Tensor) else code.clamp(max=top)


def _quantize_plain(x: Tensor, grid: Grid, gain: Tensor, offset: Tensor, leak: float) -> Tensor:
    """The same formula in whole-tensor operations: the reference for tests, and the form a compiler can fuse."""
    v = x * gain + offset
    code = _clip(torch.floor(torch.addcmul(*_line(grid, gain, offset, x))), grid.top)
    inside = v.clamp(0, 1)
    soft = inside + leak * (v - inside)
    if isinstance(grid.top, Tensor):
        soft = soft * (grid.top > 0)
    return straight_through((code + grid.read) / grid.divisor, soft)


class _Quantize(torch.autograd.Function):
    """Blocked by images: the passes of the formula run while a block is in cache, so the whole costs little more
    than reading and writing memory. Nothing but ``x`` is kept for the backward pass."""

    @staticmethod
    def forward(ctx, x, gain, offset, grid, leak):
        ctx.save_for_backward(x, gain, offset)
        ctx.leak, ctx.alive = leak, grid.top > 0 if isinstance(grid.top, Tensor) else None
        shift, _, scale = _line(grid, gain, offset, x)
        out = torch.empty_like(x)
        for start, stop in blocks(x):
            y = out[start:stop]
            torch.addcmul(shift, x[start:stop], scale, out=y).floor_()
            if isinstance(grid.top, Tensor):
                torch.minimum(y.clamp_(min=0), grid.top, out=y)
            else:
                y.clamp_(0, grid.top)
            if grid.read:
                y.add_(grid.read)
            y.div_(grid.divisor)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, gain, offset = ctx.saved_tensors
        need_x, need_gain, need_offset = ctx.needs_input_grad[:3]
        grad = grad.contiguous()
        # 0 <= g x + o <= 1 asked of x itself, so that v need not be made again; a gain of 0 gives infinite limits
        slope = gain.clamp(min=torch.finfo(gain.dtype).tiny)
        low, high = -offset / slope, (1 - offset) / slope
        grad_x = torch.empty_like(x) if need_x else None
        sum_gain, sum_offset = BlockSum(gain), BlockSum(offset)
        for start, stop in blocks(x):
            xb, gb = x[start:stop], grad[start:stop]
            outside = torch.clamp(xb, low, high).ne_(xb)  # 1 where the converter is saturated, 0 where it is not
            gb = torch.addcmul(gb, gb, outside, value=ctx.leak - 1)
            if ctx.alive is not None:
                gb.mul_(ctx.alive)
            if need_gain:
                sum_gain.add_product(gb, xb)
            if need_offset:
                sum_offset.add(gb)
            if need_x:
                torch.mul(gb, gain, out=grad_x[start:stop])
        return grad_x, sum_gain.total if need_gain else None, sum_offset.total if need_offset else None, None, None


def blocks(x: Tensor) -> list[tuple[int, int]]:
    """Ranges of images that fit in cache together; all images at once on an accelerator, where launches cost more."""
    images = x.shape[0]
    if x.device.type != "cpu":
        return [(0, images)]
    step = max(1, BLOCK_BYTES // max(1, x[0].numel() * x.element_size()))
    return [(start, min(start + step, images)) for start in range(0, images, step)]


class BlockSum:
    """Running sum of blocks ``(b, C, H, W)`` into the shape of a parameter that was broadcast over them."""

    def __init__(self, like: Tensor):
        self.total = torch.zeros_like(like)
        self.axes = tuple(axis for axis in range(4) if like.shape[axis] == 1)

    def add(self, block: Tensor) -> None:
        if self.is_map(block):
            for plane in block.flatten(0, 1):
                self.total[0, 0].add_(plane)
            return
        axes = tuple(axis for axis in self.axes if block.shape[axis] > 1)
        self.total.add_(block.sum(axes, keepdim=True) if axes else block)

    def is_map(self, block: Tensor) -> bool:
        """One value per pixel, shared by channels: summed plane by plane, faster than a strided reduction."""
        return self.axes == (0, 1) and block.shape[2:] == self.total.shape[2:] and block.shape[2:].numel() > 4096

    def add_product(self, left: Tensor, right: Tensor) -> None:
        """Add the sum of ``left * right``, in one pass where the shapes allow it."""
        if self.total.numel() == 1:
            self.total.add_(torch.dot(left.reshape(-1), right.reshape(-1)))
        elif self.is_map(left):
            for one, other in zip(left.flatten(0, 1), right.flatten(0, 1), strict=True):
                self.total[0, 0].addcmul_(one, other)
        elif self.total.shape[1:] == left.shape[1:]:
            for one, other in zip(left, right, strict=True):
                self.total[0].addcmul_(one, other)
        else:
            self.add(left * right)
