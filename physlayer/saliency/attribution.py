"""The pieces behind `physlayer.saliency.maps`: what the score is, and its gradient by each method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from physlayer.core.modes import evaluating

__all__ = [
    "GuidedReLU",
    "convolution",
    "evaluation",
    "grad_cam",
    "gradient",
    "integrated_gradients",
    "output_weights",
    "smooth_gradient",
    "weighted",
]

RELU = (F.relu, torch.relu, Tensor.relu)
RELU_IN_PLACE = (torch.relu_, Tensor.relu_)
PATH_BATCH = 64  # images of an integration path held in memory at once


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """The model in ``eval()``, with gradients whatever stands around."""
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        yield


def output_weights(outputs: Tensor, targets: Tensor | int | None) -> Tensor:
    """Weights that make the score: one-hot over outputs, or the mask of a class in a segmentation."""
    if not isinstance(outputs, Tensor) or outputs.ndim not in (1, 2, 4):
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"Expected model to return (B,), (B, K) or (B, K, H, W), but got {got}; wrap it.")
    if isinstance(targets, Tensor) and targets.is_floating_point() and targets.shape == outputs.shape:
        return targets.detach().to(outputs)
    table = outputs if outputs.ndim > 1 else outputs[:, None]
    batch, count = table.shape[:2]
    if targets is None:
        if table.ndim == 4 and count > 1:
            raise ValueError("Expected targets to name a segmentation class, but got None; pass its number.")
        targets = table.argmax(1) if table.ndim == 2 else 0
    if isinstance(targets, int) and not isinstance(targets, bool):
        targets = torch.full((batch,), targets)
    if not isinstance(targets, Tensor) or targets.is_floating_point() or targets.dtype == torch.bool:
        kind = targets.dtype if isinstance(targets, Tensor) else type(targets).__name__
        raise TypeError(f"Expected targets to be integers or weights shaped as the outputs, but got {kind}.")
    if targets.shape != (batch,):
        raise ValueError(f"Expected targets to have shape ({batch},), but got {tuple(targets.shape)}.")
    if targets.min() < 0 or targets.max() >= count:
        low, high = int(targets.min()), int(targets.max())
        raise ValueError(f"Expected targets to lie in 0…{count - 1}, but got {low}…{high}.")
    one_hot = F.one_hot(targets.to(table.device).long(), count)
    if table.ndim == 2:
        return one_hot.to(outputs).reshape(outputs.shape)
    predicted = F.one_hot(table.argmax(1), count).movedim(-1, 1) if count > 1 else table > 0
    return (one_hot[:, :, None, None] * predicted).to(outputs)


def weighted(outputs: Tensor, weights: Tensor) -> Tensor:
    """Score of each image, ``(B,)``."""
    return (outputs * weights).flatten(1).sum(1) if outputs.ndim > 1 else outputs * weights


def gradient(score: Callable[..., Tensor], x: Tensor, *arguments: Tensor) -> Tensor:
    """Gradient of the summed scores with respect to ``x``; no ``.grad`` is written."""
    total = score(x, *arguments).sum()
    result = torch.autograd.grad(total, x, allow_unused=True)[0] if total.requires_grad else None
    if result is None:
        raise ValueError(
            "Expected the output to depend differentiably on the scene or reading, but got no gradient; "
            'give the physical layer a straight-through gradient or use wrt="reading".'
        )
    return result


def convolution(modules: list[nn.Module], layer: nn.Module | None) -> nn.Module:
    """The layer asked for, or the last ``Conv2d``."""
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    if layer is None and not convolutions:
        raise ValueError("Expected the network to hold a Conv2d for Grad-CAM, but got none; pass layer.")
    if layer is not None and all(layer is not module for module in modules):
        raise ValueError("Expected layer to be a module of the network behind the camera, but got another.")
    return convolutions[-1] if layer is None else layer


def grad_cam(score, layer: nn.Module, reading: Tensor, images: Tensor, weights: Tensor, relu: bool) -> Tensor:
    """Grad-CAM at the layer's own size, ``(B, 1, h, w)``."""
    # captum's is batched, not rescaled, safe before an in-place ReLU, and removes its hook on error.
    from captum.attr import LayerGradCam

    cam = LayerGradCam(score, layer).attribute(
        reading, additional_forward_args=(images, weights), relu_attributions=relu
    )
    if cam.ndim != 4:
        got = tuple(cam.shape)
        raise ValueError(f"Expected layer to return (B, K, h, w), but got a map {got}; pass a Conv2d.")
    return cam.detach()


def integrated_gradients(score, x: Tensor, images: Tensor, weights: Tensor, steps: int) -> Tensor:
    """Integrated gradients from a dark image."""
    from captum.attr import IntegratedGradients

    gradient(score, x, images, weights)  # for our error sentence; captum's names no fix
    path = IntegratedGradients(score).attribute(
        x,
        additional_forward_args=(images, weights),
        n_steps=steps,
        internal_batch_size=max(len(x), PATH_BATCH),
    )
    return path.detach().to(x.dtype)


def smooth_gradient(score, x: Tensor, images: Tensor, weights: Tensor, samples: int, noise: float, generator) -> Tensor:
    """Mean gradient under noise; not captum's NoiseTunnel, whose noise is global and differs per image."""
    if not isinstance(generator, torch.Generator):
        raise ValueError(
            f"Expected generator to be a torch.Generator, but got {type(generator).__name__}; "
            "smooth_gradient draws noise: use torch.Generator().manual_seed(0)."
        )
    values = x.detach()
    deviation = noise * (values.amax((1, 2, 3), keepdim=True) - values.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(values)
    for _ in range(samples):
        pattern = torch.randn(x.shape[1:], generator=generator, device=generator.device, dtype=x.dtype)
        noisy = (values + deviation * pattern.to(x.device)).requires_grad_()
        total += gradient(score, noisy, images, weights)
    return total / samples


class GuidedReLU(TorchFunctionMode):
    """Inside this context every ReLU passes positive gradients only (Springenberg 2014, arXiv:1412.6806).

    captum's GuidedBackprop hooks ``nn.ReLU`` modules: it misses ``F.relu`` and fails where one module is
    called twice. Every form of ReLU ends in one of a few torch functions, so those are replaced while the
    context lasts; no module is touched. A scripted model does not call them from Python: ``calls`` is then 0.
    ReLU6, leaky and smooth activations keep their own derivative.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in RELU and func not in RELU_IN_PLACE:
            return func(*args, **kwargs)
        self.calls += 1
        x = args[0] if args else kwargs["input"]
        y = _Guided.apply(x)
        return x.copy_(y) if func in RELU_IN_PLACE or kwargs.get("inplace", False) else y


class _Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        y = x.clamp(min=0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient.clamp(min=0) * (y > 0)
