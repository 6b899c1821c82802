"""Deconvolution with a kernel for every pixel: a locally connected layer, its tied and its low-rank form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from physlayer.core.validation import Accepts, check_images, one_of, plain_number

__all__ = ["LocallyConnected2d", "locally_connected", "noise_gain", "window_size"]

READING = Accepts(low=-math.inf)  # a digital step may stand behind a Normalize

FORMS = ("full", "low_rank", "tied")


def locally_connected(y: Tensor, kernels: Tensor) -> Tensor:
    r"""Apply a kernel of its own at every pixel; beyond the border is 0.

    .. math:: \hat x_o(u) = \sum_{c} \sum_{d \in k \times k} K_{oc}(u, d)\; y_c(u + d)

    A correlation like :func:`torch.nn.functional.conv2d`, which it equals where K is the same at every pixel. No
    unfolded copy of the images is made: the memory of training is that of the images and the kernels.

    Args:
        y: images. kernels: :math:`K`, unit 1; :math:`d = 0` is the middle of the window.

    Shape:
        ``y (B, C, H, W)``, ``kernels (O, C, k, l, H, W)`` with k and l odd, to ``(B, O, H, W)``.

    Raises:
        ValueError: for other shapes or a window of even size.

    Example:
        >>> kernels = torch.zeros(1, 1, 1, 3, 1, 4)
        >>> kernels[0, 0, 0, 1, 0] = 1.0  # each pixel itself
        >>> kernels[0, 0, 0, 2, 0, 1] = 2.0  # and the second one twice its neighbour on the right
        >>> locally_connected(torch.tensor([[[[1.0, 2, 3, 4]]]]), kernels).flatten()
        tensor([1., 8., 3., 4.])
    """
    if kernels.ndim != 6 or y.ndim != 4 or kernels.shape[1] != y.shape[1] or kernels.shape[4:] != y.shape[2:]:
        raise ValueError(
            f"Expected images (B, C, H, W) and kernels (O, C, k, l, H, W) of their size, but got {tuple(y.shape)} and "
            f"{tuple(kernels.shape)}."
        )
    if kernels.shape[2] % 2 == 0 or kernels.shape[3] % 2 == 0:
        raise ValueError(f"Expected a window of odd size, but got {kernels.shape[2]}×{kernels.shape[3]}.")
    with torch.autocast(y.device.type, enabled=False):
        return _Windows.apply(y, kernels.to(y.dtype))


class _Windows(torch.autograd.Function):
    """One product per place in the window; views of the padded images instead of an unfolded copy."""

    @staticmethod
    def forward(ctx, y: Tensor, kernels: Tensor) -> Tensor:
        padded = _padded(y, kernels.shape)
        found = y.new_zeros(len(y), len(kernels), *y.shape[2:])
        for a, b, seen in _shifts(padded, kernels.shape):
            for c in range(y.shape[1]):
                found.addcmul_(seen[:, c, None], kernels[None, :, c, a, b])
        ctx.save_for_backward(y if ctx.needs_input_grad[1] else None, kernels)
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        y, kernels = ctx.saved_tensors
        shape = kernels.shape
        found_y = found_kernels = None
        if ctx.needs_input_grad[1]:
            found_kernels = torch.empty_like(kernels)
            for a, b, seen in _shifts(_padded(y, shape), shape):
                for c in range(shape[1]):
                    found_kernels[:, c, a, b] = (grad * seen[:, c, None]).sum(0)
        if ctx.needs_input_grad[0]:
            empty = grad.new_zeros(len(grad), shape[1], *grad.shape[2:])
            padded = _padded(empty, shape)
            for a, b, place in _shifts(padded, shape):
                for c in range(shape[1]):
                    place[:, c] += (grad * kernels[:, c, a, b]).sum(1)
            found_y = padded[..., shape[2] // 2 :, shape[3] // 2 :][..., : shape[4], : shape[5]]
        return found_y, found_kernels


def _padded(y: Tensor, shape: torch.Size) -> Tensor:
    return F.pad(y, (shape[3] // 2,) * 2 + (shape[2] // 2,) * 2)


def _shifts(padded: Tensor, shape: torch.Size):
    for a in range(shape[2]):
        for b in range(shape[3]):
            yield a, b, padded[..., a : a + shape[4], b : b + shape[5]]


def window_size(window: int | tuple[int, int]) -> tuple[int, int]:
    """``(k, l)`` of a window given as one odd number or two.

    Example:
        >>> window_size(7)
        (7, 7)
    """
    pair = (window, window) if isinstance(window, int) else window
    height, width = (plain_number("window", side, 1, 1001, whole=True) for side in pair)
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"Expected a window of odd size, but got {height}×{width}.")
    return height, width


def noise_gain(kernels: Tensor) -> Tensor:
    r"""Variance behind the kernels for white noise of variance 1 before them, at every pixel.

    .. math:: g_o(u) = \sum_{c,d} K_{oc}(u, d)^2 \quad\text{over the places inside the image}

    Shape:
        ``(O, C, k, l, H, W)`` to ``(O, H, W)``, unit 1.

    Example:
        >>> noise_gain(torch.full((1, 1, 1, 3, 1, 4), 0.5))
        tensor([[[0.5000, 0.7500, 0.7500, 0.5000]]])
    """
    return locally_connected(kernels.new_ones(1, kernels.shape[1], *kernels.shape[4:]), kernels.square())[0]


class LocallyConnected2d(nn.Module):
    r"""Deconvolution of a blur that changes over the field: a linear estimate from a window of every pixel.

    .. math:: \hat x(u) = \sum_{d \in k \times k} K(u, d)\,y(u + d) + \beta(u)

    A digital layer behind the converter, so a plain module and no ``PhysicalLayer``: its kernels are no hardware, have
    no bounds, are not exported with the camera and are learned at the rate of the network. It starts as the identity.

    ================  ===========================================  ==============================================
    form              kernels                                      parameters
    ================  ===========================================  ==============================================
    ``"full"``        one per pixel                                :math:`HW\,(k l\,C C' + C')`
    ``"low_rank"``    :math:`K(u, d) = \sum_r w_r(u)\,B_r(d)`      :math:`R\,(HW + k l\,C C') + HW\,C'`
    ``"tied"``        the same everywhere: a convolution           :math:`k l\,C C' + C'`
    ================  ===========================================  ==============================================

    Take a window at least as wide as the blur, train with the noise there will be (the inverse of a blur without noise
    explodes), do not flip or shift images behind the blur, and judge on other images: the full form needs thousands,
    the low-rank one far fewer. Compare with :func:`.local_least_squares`: no training at all.

    Args:
        channels: :math:`C`, or ``(C, C')``. size: :math:`(H, W)` of the images. window: :math:`k` or ``(k, l)``, odd.
        form: see the table. rank: :math:`R` of the low-rank form. bias: whether there is a :math:`\beta`.

    Shape:
        ``(B, C, H, W)`` to ``(B, C', H, W)``.

    Raises:
        ValueError: for an unknown form, a window of even size, or images of another size.

    References:
        Elsayed et al. 2020, arXiv:2002.02959 (low-rank locally connected layers).

    Example:
        >>> layer = LocallyConnected2d(1, (64, 64), 7)
        >>> layer.parameter_count()
        204800
        >>> y = torch.rand(2, 1, 64, 64)
        >>> torch.equal(layer(y), y)
        True
    """

    def __init__(
        self,
        channels: int | tuple[int, int],
        size: tuple[int, int],
        window: int | tuple[int, int] = 7,
        *,
        form: str = "full",
        rank: int = 4,
        bias: bool = True,
    ):
        super().__init__()
        pair = (channels, channels) if isinstance(channels, int) else channels
        for name, value in (("channels", pair), ("size", size)):
            if not isinstance(value, tuple | list) or len(value) != 2:
                wanted = "C or (C, C')" if name == "channels" else "(H, W)"
                raise ValueError(f"Expected {name} to be {wanted}, but got {value!r}.")
        self.channels = tuple(plain_number("channels", number, 1, 10_000, whole=True) for number in pair)
        self.size = tuple(plain_number("size", number, 1, 100_000, whole=True) for number in size)
        self.window, self.form = window_size(window), one_of("form", form, FORMS)
        count = plain_number("rank", rank, 1, 1000, whole=True) if form == "low_rank" else 1
        kernels = torch.zeros(count, *self.channels[::-1], *self.window)
        middle = torch.eye(*self.channels[::-1])
        kernels[0, :, :, self.window[0] // 2, self.window[1] // 2] = middle
        if form == "full":
            kernels = kernels[0, ..., None, None].repeat(1, 1, 1, 1, *self.size)
        self.kernels = nn.Parameter(kernels[0] if form == "tied" else kernels)
        self.weights = nn.Parameter(_cosines(count, self.size)) if form == "low_rank" else None
        place = () if form == "tied" else self.size
        self.bias = nn.Parameter(torch.zeros(self.channels[1], *place)) if bias else None

    def forward(self, y: Tensor) -> Tensor:
        check_images(y, "y", full=not self.training, accepts=READING)
        if tuple(y.shape[1:]) != (self.channels[0], *self.size):
            raise ValueError(f"Expected y of {(self.channels[0], *self.size)}, but got {tuple(y.shape[1:])}.")
        pad = self.window[0] // 2, self.window[1] // 2
        with torch.autocast(y.device.type, enabled=False):
            if self.form == "full":
                found = locally_connected(y, self.kernels)
            elif self.weights is None:  # tied
                found = F.conv2d(y, self.kernels.to(y.dtype), padding=pad)
            else:
                seen = F.conv2d(y, self.kernels.flatten(0, 1).to(y.dtype), padding=pad)
                found = (seen.unflatten(1, self.kernels.shape[:2]) * self.weights[:, None].to(y.dtype)).sum(1)
            if self.bias is None:
                return found
            return found + (self.bias if self.form != "tied" else self.bias[:, None, None])

    def every_kernel(self) -> Tensor:
        """The kernels of all pixels, ``(C', C, k, l, H, W)``, whatever the form."""
        if self.form == "full":
            return self.kernels
        if self.form == "tied":
            return self.kernels[..., None, None].expand(*self.kernels.shape, *self.size)
        return torch.einsum("roiab,rhw->oiabhw", self.kernels, self.weights)

    def parameter_count(self) -> int:
        """Numbers that are learned; the formula stands in the table above."""
        return sum(parameter.numel() for parameter in self.parameters())

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return self.channels[1], *shape[1:]

    def extra_repr(self) -> str:
        size, window = ("×".join(map(str, pair)) for pair in (self.size, self.window))
        return f"channels={self.channels}, size={size}, window={window}, form={self.form!r}"


def _cosines(count: int, size: tuple[int, int]) -> Tensor:
    """Smooth weight maps that differ, the first of them 1: equal ones would stay equal."""
    order = sorted(((p, q) for p in range(count) for q in range(count)), key=lambda pair: (sum(pair), pair))[:count]
    rows, columns = ((torch.arange(pixels) + 0.5) * math.pi / pixels for pixels in size)
    return torch.stack([torch.cos(p * rows)[:, None] * torch.cos(q * columns) for p, q in order])
