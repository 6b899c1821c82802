"""The camera as a whole: the physical layers of a model, what they hand to the network, what one image costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from physlayer.core.layer import PhysicalLayer

__all__ = ["camera_cost", "export_camera", "physical_layers", "reading_shape"]


def physical_layers(model: nn.Module, *, outermost: bool = False) -> Iterator[tuple[str, PhysicalLayer]]:
    """Name and layer of every physical layer in a model, in the order light meets them.

    Args:
        model: any module. outermost: leave out layers that are parts of a physical layer.
    """
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if isinstance(module, PhysicalLayer):
            if outermost and any(name.startswith(owner) for owner in inside):
                continue
            inside += (f"{name}." if name else "",)
            yield name, module


def reading_shape(model: nn.Module, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """``(C, H, W)`` of what the physical layers of ``model`` hand to the network for a scene ``shape``.

    Example:
        >>> from physlayer import BitDepth
        >>> reading_shape(nn.Sequential(BitDepth(2)), (3, 4, 5))
        (3, 4, 5)
    """
    for _, layer in physical_layers(model, outermost=True):
        shape = layer.output_shape(shape)
    return shape


def export_camera(model: nn.Module, shape: tuple[int, int, int], *, full: bool = False) -> dict:
    """One JSON-able description of the whole camera: every layer's parameters with units, and the cost.

    Args:
        model: any module; its physical layers are taken in order.
        shape: ``(C, H, W)`` of the scene.
        full: write large maps in full.

    Example:
        >>> from physlayer import BitDepth
        >>> camera = export_camera(nn.Sequential(BitDepth(2)), (3, 4, 5))
        >>> camera["layers"][0]["layer"], camera["cost"]["bits_per_image"]
        ('BitDepth', 120)
    """
    if len(shape) != 3:
        raise ValueError(f"Expected shape to be (C, H, W) of one scene, but got {tuple(shape)}; use x.shape[1:].")
    layers = [layer.export(full=full) | {"name": name} for name, layer in physical_layers(model, outermost=True)]
    return {"layers": layers, "cost": camera_cost(model, shape)}


def camera_cost(model: nn.Module, shape: tuple[int, int, int]) -> dict[str, float]:
    """Cost of one image through all physical layers.

    Parameters add, transmissions multiply; samples, bits and photons are those of the last stage that has them. Where
    a stage reads only part of its pixels, all later stages convert that part alone, and bits of an earlier stage
    are read out in the same proportion. Photons are those that white gives the pixels that are read, behind all that
    stands before the sensor. Shapes are followed through physical layers only: keep other modules after the
    camera, not inside it.
    """
    total: dict[str, float] = {"n_parameters": 0}
    share = 1.0  # of the elements of the tensor that are samples, the others being empty or computed
    for _, layer in physical_layers(model, outermost=True):
        cost, out = dict(layer.cost(shape)), layer.output_shape(shape)
        kept = cost["n_samples"] / math.prod(out)
        cost = {
            name: value * share if name in ("n_samples", "bits_per_image") else value for name, value in cost.items()
        }
        if "bits_per_image" in total and "bits_per_image" not in cost:
            cost["bits_per_image"] = total["bits_per_image"] * min(1.0, cost["n_samples"] / total["n_samples"])
        cost["n_parameters"] = cost.get("n_parameters", 0) + total["n_parameters"]
        if "photons" in cost:  # a sensor states what white gives a pixel that is read and not shaded
            cost["photons"] *= share * total.get("transmission", 1.0)
        if "transmission" in cost:
            cost["transmission"] *= total.get("transmission", 1.0)
        total |= {name: _whole(value) for name, value in cost.items()}
        share, shape = share * kept, out
    return total


def _whole(value: float) -> float:
    return int(value) if float(value).is_integer() else value
