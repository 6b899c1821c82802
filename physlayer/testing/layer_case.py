"""How a layer is built for the contract suite, and the scene that it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from physlayer.core.layer import PhysicalLayer

__all__ = ["SHAPE", "LayerCase", "demand", "full"]

SHAPE = (3, 37, 31)  # awkward on purpose


@dataclass(frozen=True)
class LayerCase:
    """How to build a layer with everything learned, and the scene ``(C, H, W)`` to show it.

    Args:
        build: makes a fresh layer with every quantity an ``nn.Parameter``. shape: of the scene.
        n_levels: most values a pixel may show in ``eval()``, ``None`` for an analogue stage.
        learns: ``False`` for hardware without a quantity to learn.
        total: checks of a hard total, ``total(layer) -> (spent, allowed)``, or ``None``.
    """

    name: str
    build: Callable[[], PhysicalLayer]
    shape: tuple[int, int, int] = SHAPE
    n_levels: int | None = None
    total: Callable[[PhysicalLayer], tuple[float, float]] | None = None
    learns: bool = True


def full(value: float, *shape: int) -> nn.Parameter:
    """A learned quantity of one value everywhere."""
    return nn.Parameter(torch.full(shape, float(value)))


def demand(*shape: int) -> nn.Parameter:
    """A learned quantity of other values everywhere, in 1.5…2.5, the same at every call."""
    return nn.Parameter(1.5 + torch.rand(shape, generator=torch.Generator().manual_seed(0)))
