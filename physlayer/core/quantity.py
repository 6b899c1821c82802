"""One physical quantity: what is known of it, what a value of it must be, how it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Quantity", "as_quantity", "as_replacement", "summary"]


@dataclass(frozen=True)
class Quantity:
    """What is known of one physical quantity: its name, unit and admissible range.

    Args:
        name: attribute of the layer that holds it. unit: ``"1"`` for a ratio. low, high: admissible values.
        free: the same of the tensor that the layer holds and learns in its place, where the hardware's value follows
            from it; ``None`` where they are one.
    """

    name: str
    unit: str = "1"
    low: float = -math.inf
    high: float = math.inf
    free: Quantity | None = None

    @property
    def stored(self) -> Quantity:
        """What the layer holds: the free tensor behind the quantity, or the quantity itself."""
        return self.free or self

    @property
    def span(self) -> str:
        """The admissible range in words, ends included."""
        return f"[{self.low:g}, {self.high:g}] {self.unit}"


def as_quantity(name: str, value: float | Tensor | nn.Parameter) -> Tensor:
    """The tensor that a value of a quantity amounts to.

    Raises:
        TypeError: if it is no real number or floating tensor.
        ValueError: if it is not finite, computed from an ``nn.Parameter``, or the parameter of another quantity.

    Example:
        >>> as_quantity("gain", 2)
        tensor(2.)
    """
    learned = isinstance(value, nn.Parameter)
    if isinstance(value, bool) or not isinstance(value, int | float | Tensor):
        raise TypeError(f"Expected {name} to be a number, tensor or nn.Parameter, but got {type(value).__name__}.")
    tensor = value if isinstance(value, Tensor) else torch.tensor(float(value))
    if tensor.is_complex():
        raise TypeError(f"Expected {name} to be real, but got {tensor.dtype}; register amplitude and phase apart.")
    if not tensor.is_floating_point():
        if learned:
            raise TypeError(f"Expected {name} to be floating to be learned, but got {tensor.dtype}.")
        tensor = tensor.to(torch.get_default_dtype())
    if not learned and tensor.requires_grad:
        raise ValueError(
            f"Expected {name} to be a plain value or an nn.Parameter, but got a tensor computed from one, which "
            f"would stay fixed; wrap the result: nn.Parameter(value.detach().view(...))."
        )
    owner = getattr(value, "physical_owner", None)
    if owner is not None:
        raise ValueError(
            f"Expected {name} to have an nn.Parameter of its own, but got one that is already the "
            f"{owner} of a layer; pass nn.Parameter(value.detach().clone())."
        )
    if tensor.numel() == 0 or not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"Expected {name} to be finite and not empty, but got {summary(tensor)}.")
    return tensor


def as_replacement(quantity: Quantity, old: Tensor, value: object) -> Tensor:
    """The tensor that takes the place of a fixed value, ``old``; a number fills its shape.

    Raises:
        TypeError: if it is no number or tensor, or an ``nn.Parameter``.
        ValueError: if it is not finite or out of range.

    Example:
        >>> as_replacement(Quantity("gain", low=0.0), torch.ones(2), 3)
        tensor([3., 3.])
    """
    name = quantity.name
    if isinstance(value, nn.Parameter):
        raise TypeError(f"Expected {name} to stay fixed, but got an nn.Parameter; build the layer with it instead.")
    if isinstance(value, bool) or not isinstance(value, int | float | Tensor):
        raise TypeError(f"Expected {name} to be a number or tensor, but got {type(value).__name__}.")
    new = value if isinstance(value, Tensor) else torch.full_like(old, float(value))
    inside = (new >= quantity.low) & (new <= quantity.high)
    if not torch.compiler.is_compiling() and not bool((inside & torch.isfinite(new)).all()):
        raise ValueError(f"Expected {name} to lie in {quantity.span}, but got {summary(new)}.")
    return new


def summary(value: Tensor) -> str:
    """A value in a few words.

    Example:
        >>> summary(torch.tensor(0.5)), summary(torch.tensor([[0.25, 1.0]]))
        ('0.5', '1×2 from 0.25 to 1')
    """
    if value.numel() == 1:
        return f"{float(value):g}"
    shape = "×".join(str(size) for size in value.shape)
    return f"{shape} from {float(value.min()):g} to {float(value.max()):g}"
