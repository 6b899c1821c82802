"""The pieces behind `physlayer.saliency.maps`: where the camera ends, what the score is, and its gradient."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from physlayer.core.modes import evaluating

__all__ = ["split_camera"]

RELU = (F.relu, torch.relu, Tensor.relu)
RELU_IN_PLACE = (torch.relu_, Tensor.relu_)
PATH_BATCH = 64  # images of an integration path held in memory at once


def split_camera(model: nn.Module) -> tuple[nn.Sequential, nn.Module]:
    """The leading physical layers of an ``nn.Sequential``, and the rest; modules are shared, not copied.

    A leading ``nn.Sequential`` of physical layers counts as one. Any other model has an empty camera.

    Example:
        >>> from physlayer import BitDepth
        >>> camera, network = split_camera(nn.Sequential(BitDepth(2), nn.Conv2d(1, 2, 3), nn.ReLU()))
        >>> len(camera), len(network)
        (1, 2)
    """
    if not _is_chain(model):
        return nn.Sequential(), model
    children = list(model)
    count = next((i for i, child in enumerate(children) if not _is_physical(child)), len(children))
    return _cut(model, count)


class Parts(NamedTuple):
    camera: Callable[[Tensor], Tensor]  # scene to reading
    network: Callable[[Tensor, Tensor], Tensor]  # (reading, scene) to output
    network_modules: list[nn.Module]


def split_at(model: nn.Module, reading: int | nn.Module | None, needed: bool = False) -> Parts:
    if isinstance(reading, nn.Module) and all(reading is not module for module in model.modules()):
        raise ValueError("Expected reading_layers to be a submodule of model, but got another module.")
    children = list(model) if _is_chain(model) else []
    position = next((i for i, child in enumerate(children) if child is reading), None)
    if isinstance(reading, nn.Module) and position is None:
        return _split_inside(model, reading)
    if reading is None:
        camera, network = split_camera(model)
    else:
        count = reading if position is None else position + 1
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(children):
            raise ValueError(
                f"Expected reading_layers to be a number of layers of an nn.Sequential, 0…{len(children)}, "
                f"but got {count!r}; pass the submodule whose output is the reading."
            )
        camera, network = _cut(model, count)
    if needed and reading is None and len(camera) == 0:
        raise ValueError(
            "Expected model to be an nn.Sequential that begins with physical layers, but got no camera; "
            "pass reading_layers."
        )
    return Parts(camera, lambda x, scene: network(x), _outside(model, camera))


def _split_inside(model: nn.Module, module: nn.Module) -> Parts:
    """Reading at a submodule of any model: a hook for one forward pass takes it out or puts it in."""

    def camera(scene: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        with _hooked(module, lambda module, inputs, output: outputs.append(output)):
            model(scene)
        if not outputs:
            raise ValueError("Expected reading_layers to be a submodule that model calls, but got no call.")
        return outputs[-1]

    def network(reading: Tensor, scene: Tensor) -> Tensor:
        with _hooked(module, lambda module, inputs, output: reading):
            return model(scene)

    return Parts(camera, network, _outside(model, module))


@contextmanager
def _hooked(module: nn.Module, hook: Callable) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


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


def quantities(model: nn.Module) -> dict[str, tuple[nn.Module, str, bool]]:
    """Floating quantities of the physical layers: ``{"0.gain": (module, "gain", learned)}``."""
    found: dict[str, tuple[nn.Module, str, bool]] = {}
    for prefix, module in model.named_modules():
        path = prefix.split(".") if prefix else []
        owners = [model.get_submodule(".".join(path[:i])) for i in range(len(path) + 1)]
        physical = any(getattr(owner, "is_physical_layer", False) for owner in owners)
        if "parametrizations" in path or not physical:
            continue
        names = dict.fromkeys(module._buffers, False) | dict.fromkeys(module._parameters, True)
        if parametrize.is_parametrized(module):
            names |= dict.fromkeys(module.parametrizations, True)
        # a map is taken by the tensor that the layer holds, and bears the name of what follows from it
        known = {quantity.stored.name: name for name, quantity in getattr(module, "quantities", {}).items()}
        for name, learned in names.items():
            value = getattr(module, name)
            if isinstance(value, Tensor) and value.is_floating_point():
                found[".".join([*path, known.get(name, name)])] = (module, name, learned)
    return found


def leaves_of(module: nn.Module, name: str) -> list[Tensor]:
    """The tensors an optimiser would move for one quantity."""
    if parametrize.is_parametrized(module, name):
        behind = module.parametrizations[name]
        return [t for t in [*behind._parameters.values(), *behind._buffers.values()] if t.is_floating_point()]
    return [getattr(module, name)]


def randomise(modules: list[nn.Module], generator: torch.Generator) -> None:
    """Draw weights He normal, biases 0, other vectors 1, running statistics as at the start, in place."""
    for module in modules:
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim < 2:
                parameter.data.fill_(0.0 if "bias" in name else 1.0)
                continue
            values = torch.randn(parameter.shape, generator=generator, device=generator.device)
            parameter.data.copy_(values * math.sqrt(2 / parameter[0].numel()))
        if hasattr(module, "reset_running_stats"):
            module.reset_running_stats()


def _is_chain(model: nn.Module) -> bool:
    return isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward


def _is_physical(module: nn.Module) -> bool:
    if _is_chain(module) and len(module) > 0:
        return all(_is_physical(child) for child in module)
    return getattr(module, "is_physical_layer", False) is True


def _cut(model: nn.Sequential, count: int) -> tuple[nn.Sequential, nn.Sequential]:
    items = list(model.named_children())
    return nn.Sequential(OrderedDict(items[:count])), nn.Sequential(OrderedDict(items[count:]))


def _outside(model: nn.Module, camera: nn.Module) -> list[nn.Module]:
    """Modules that are neither in the camera nor in a physical layer."""
    inside = set(camera.modules())
    for module in model.modules():
        if getattr(module, "is_physical_layer", False):
            inside.update(module.modules())
    return [module for module in model.modules() if module not in inside]
