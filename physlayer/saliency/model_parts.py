"""Where the camera of a model ends and its network begins."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn

__all__ = ["Parts", "split_at", "split_camera"]


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
