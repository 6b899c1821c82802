"""The promises that PyTorch's side of a layer keeps: shapes, devices, state, gradients, precision.

Those of the hardware are in :mod:`physlayer.testing.contract`, which runs them all.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from physlayer.testing.layer_case import LayerCase

__all__ = [
    "ContractError",
    "check_device",
    "check_everything_is_learned",
    "check_gradients",
    "check_half_precision",
    "check_parameters_move",
    "check_shape_and_dtype",
    "check_state_dict",
    "require",
    "scene",
]


class ContractError(AssertionError):
    """A layer breaks the contract; the message says which promise."""


def scene(case: LayerCase, *, images: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scenes that use the whole range 0…1, the same at every call."""
    return torch.rand((images, *case.shape), generator=torch.Generator().manual_seed(1)).to(dtype)


def require(condition: bool, case: LayerCase, message: str) -> None:
    if not condition:
        raise ContractError(f"{case.name}: {message}")


def check_everything_is_learned(case: LayerCase) -> None:
    layer = case.build()
    require(bool(layer.learned()) == case.learns, case, "the registry's example must learn at least one quantity")
    for name in layer.learned():
        require(layer.free_parameter(name).requires_grad, case, f"{name} is learned but takes no gradient")


def check_shape_and_dtype(case: LayerCase) -> None:
    for dtype in (torch.float32, torch.float64):
        layer, x = case.build().to(dtype), scene(case, dtype=dtype)
        for mode in (True, False):
            y = layer.train(mode)(x)
            expected = (len(x), *layer.output_shape(case.shape))
            require(tuple(y.shape) == expected, case, f"output is {tuple(y.shape)}, output_shape says {expected}")
            require(y.dtype == dtype, case, f"{dtype} in, {y.dtype} out")


def check_device(case: LayerCase) -> None:
    """Every tensor the layer owns must follow ``.to(device)``; the meta device shows it without an accelerator."""
    layer = case.build().to("meta")
    for name, value in vars(layer).items():
        stray = isinstance(value, Tensor) and value.device.type != "meta"
        require(not stray, case, f"attribute {name} is a plain tensor: it stays behind on .to(device)")
    for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
        require(value.device.type == "meta", case, f"{name} stays on {value.device} on .to(device)")


def check_state_dict(case: LayerCase) -> None:
    """A layer restored from ``state_dict`` reads what the original read, after every quantity was changed."""
    layer = case.build()
    with torch.no_grad():
        for name in layer.learned():
            layer.free_parameter(name).add_(0.3 * torch.rand_like(layer.free_parameter(name)))
    state = copy.deepcopy(layer.state_dict())
    restored = case.build()
    restored.load_state_dict(state)
    for name, value in layer.physical().items():
        require(torch.equal(value, restored.physical()[name]), case, f"state_dict loses {name}")
    x = scene(case)
    require(torch.equal(layer.eval()(x), restored.eval()(x)), case, "state_dict does not restore the reading")


def check_gradients(case: LayerCase) -> None:
    """Finite, non-zero gradient to the input and to every learned quantity, in both modes."""
    for mode in (True, False):
        layer, x = case.build().train(mode), scene(case).requires_grad_()
        weights = torch.randn(len(x), *layer.output_shape(case.shape), generator=torch.Generator().manual_seed(2))
        (layer(x) * weights).sum().backward()
        grads = {"the input": x.grad} | {n: layer.free_parameter(n).grad for n in layer.learned()}
        for name, grad in grads.items():
            where = f"in {'train' if mode else 'eval'}()"
            require(grad is not None, case, f"no gradient reaches {name} {where}")
            require(bool(torch.isfinite(grad).all()), case, f"the gradient of {name} is not finite {where}")
            require(bool(grad.any()), case, f"the gradient of {name} is zero {where}")


def check_parameters_move(case: LayerCase) -> None:
    """A few steps of an ordinary optimiser move every quantity and leave it inside its bounds."""
    layer = case.build().train()
    held = {name: layer.quantities[name].stored for name in layer.learned()}
    start = {name: getattr(layer, stored.name).detach().clone() for name, stored in held.items()}
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.5)
    x = scene(case)
    weights = torch.randn(len(x), *layer.output_shape(case.shape), generator=torch.Generator().manual_seed(2))
    for _ in range(10):
        optimizer.zero_grad()
        (layer(x) * weights).sum().backward()
        optimizer.step()
    for name, stored in held.items():
        moved = not torch.equal(getattr(layer, stored.name).detach(), start[name])
        require(moved, case, f"{name} did not move in ten steps")
        for quantity in (stored, layer.quantities[name]):  # a choice may be the same again, but is in its range too
            value = getattr(layer, quantity.name).detach()
            require(bool(torch.isfinite(value).all()), case, f"{quantity.name} is not finite after ten steps")
            inside = bool(((value >= quantity.low) & (value <= quantity.high)).all())
            require(inside, case, f"{quantity.name} left {quantity.span} in ten steps")


def check_half_precision(case: LayerCase) -> None:
    """Autocast does not reach into a layer, and coarse images are refused rather than read wrongly."""
    layer, x = case.build().eval(), scene(case).requires_grad_()
    found = []
    for half in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            y = layer(x)
        learned = [layer.free_parameter(name) for name in layer.learned()]
        found.append([y, *torch.autograd.grad(y.sin().sum(), [x, *learned])])
    for name, full, half in zip(("the reading", "the gradient of the input", *layer.learned()), *found, strict=True):
        require(half.dtype == full.dtype, case, f"autocast changes {name} to {half.dtype}")
        require(torch.allclose(half, full, rtol=1e-4, atol=1e-5), case, f"autocast rounds {name}")
    for dtype in (torch.float16, torch.bfloat16):
        try:
            layer(x.detach().to(dtype))
        except TypeError as error:
            require(str(error).startswith("Expected "), case, f"{dtype} input: the message is {error}")
        else:
            raise ContractError(f"{case.name}: {dtype} input is accepted silently")
