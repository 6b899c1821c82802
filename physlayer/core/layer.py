"""The contract of every physical layer: learned or fixed by the type of the value, exact in ``eval()``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from physlayer.core.broadcast import full_size
from physlayer.core.parametrizations import Interval, Logarithmic, Magnitude
from physlayer.core.validation import IMAGES, check_images

__all__ = ["PhysicalLayer", "Quantity"]

EXPORT_LIMIT = 16384  # values written in full by `export()`; larger maps are summarised unless full=True


@dataclass(frozen=True)
class Quantity:
    """What is known of one physical quantity: its name, unit and admissible range."""

    name: str
    unit: str
    low: float
    high: float


class PhysicalLayer(nn.Module):
    r"""A piece of hardware in front of the network.

    Subclasses call :meth:`register_physical` for each quantity and write ``forward``. The one rule is:
    *a value wrapped in* ``nn.Parameter`` *is learned, a plain value is fixed*.

    * ``train()`` may use a surrogate gradient; ``eval()`` is the hardware exactly.
    * ``hard(x)`` is the ``eval()`` reading whatever the mode.
    * ``physical()`` gives the values in physical units, ``export()`` the same as JSON with units.
    * ``cost(shape)`` counts what one image costs: ``bits_per_image``, ``n_samples``, ``n_parameters``.

    Shape:
        ``(B, C, H, W)`` to ``(B, C', H', W')``; :meth:`output_shape` says which.

    Example:
        >>> class Attenuator(PhysicalLayer):
        ...     def __init__(self, transmission):
        ...         super().__init__()
        ...         self.register_physical("transmission", transmission, unit="1", low=0.0, high=1.0)
        ...     def forward(self, x):
        ...         return self.transmission * x
        >>> Attenuator(0.5)
        Attenuator(transmission=0.5 (fixed))
        >>> layer = Attenuator(nn.Parameter(torch.tensor(0.5)))
        >>> layer
        Attenuator(transmission=0.5 (learned, in (0, 1)))
        >>> [name for name, _ in layer.named_parameters()]
        ['parametrizations.transmission.original']
        >>> layer.export()["quantities"]["transmission"]["value"]
        0.5
    """

    is_physical_layer = True
    noisy = False  # whether the hardware has noise: its reading is then judged over several exposures
    accepts = IMAGES  # what the layer takes; a layer that takes something else says so

    def __init__(self) -> None:
        super().__init__()
        self.quantities: dict[str, Quantity] = {}

    if TYPE_CHECKING:  # what nn.Module leaves open: a reading is a tensor, and so is every quantity
        parametrizations: Any

        def __call__(self, x: Tensor) -> Tensor: ...

        def __getattr__(self, name: str) -> Tensor: ...

    def register_physical(
        self,
        name: str,
        value: float | Tensor | nn.Parameter,
        *,
        unit: str,
        low: float = -math.inf,
        high: float = math.inf,
        logarithmic: bool = False,
        magnitude: bool = False,
    ) -> None:
        """Register one quantity: learned if ``value`` is an ``nn.Parameter``, else fixed.

        Args:
            name: attribute that holds the quantity, a whole word.
            value: number or tensor, in ``unit``.
            unit: physical unit; ``"1"`` for a ratio.
            low: smallest admissible value (a learned one stays strictly above).
            high: largest admissible value (a learned one stays strictly below).
            logarithmic: learn the logarithm of a positive quantity, so that steps are factors.
            magnitude: learn a quantity of 0 or more, 0 included, by its magnitude; ``low`` is 0.

        Raises:
            TypeError: if the value is not a real number or floating tensor.
            ValueError: if the value is not finite or out of range.
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
        if getattr(value, "physical_owner", None) is not None:
            raise ValueError(
                f"Expected {name} to have an nn.Parameter of its own, but got one that is already the "
                f"{value.physical_owner} of a layer; pass nn.Parameter(value.detach().clone())."
            )
        if tensor.numel() == 0 or not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"Expected {name} to be finite and not empty, but got {_summary(tensor)}.")
        if not learned and not bool(((tensor >= low) & (tensor <= high)).all()):
            raise ValueError(f"Expected {name} to lie in [{low:g}, {high:g}] {unit}, but got {_summary(tensor)}.")
        self.quantities[name] = Quantity(name, unit, low, high)
        if not learned:
            self.register_buffer(name, tensor.detach().clone())
            return
        bound = Logarithmic(name) if logarithmic else Magnitude(name) if magnitude else Interval(low, high, name)
        bound.right_inverse(tensor.detach())  # refuse before anything is registered
        value.physical_owner = name  # from here on it holds the free number behind the bound
        self.register_parameter(name, value)
        if math.isfinite(low) or math.isfinite(high):
            parametrize.register_parametrization(self, name, bound)

    def __setattr__(self, name: str, value: object) -> None:
        """A fixed quantity may be set again, to a value that the constructor would take."""
        quantity = self.__dict__.get("quantities", {}).get(name)
        if quantity is not None and name in self._buffers:
            value = self._checked(quantity, value)
        elif quantity is not None and isinstance(value, nn.Parameter) and parametrize.is_parametrized(self, name):
            raise TypeError(
                f"Expected {name}, which is learned already, to be set with a tensor, but got an nn.Parameter; use "
                f"its .detach()."
            )
        super().__setattr__(name, value)

    def _checked(self, quantity: Quantity, value: object) -> Tensor:
        old, name = self._buffers[quantity.name], quantity.name
        if isinstance(value, nn.Parameter):
            raise TypeError(f"Expected {name} to stay fixed, but got an nn.Parameter; build the layer with it instead.")
        if isinstance(value, bool) or not isinstance(value, int | float | Tensor):
            raise TypeError(f"Expected {name} to be a number or tensor, but got {type(value).__name__}.")
        new = value if isinstance(value, Tensor) else torch.full_like(old, float(value))
        inside = (new >= quantity.low) & (new <= quantity.high)
        if not torch.compiler.is_compiling() and not bool((inside & torch.isfinite(new)).all()):
            span = f"[{quantity.low:g}, {quantity.high:g}] {quantity.unit}"
            raise ValueError(f"Expected {name} to lie in {span}, but got {_summary(new)}.")
        return new

    def learned(self) -> tuple[str, ...]:
        """Names of the quantities that are learned."""
        own = dict(self.named_parameters(recurse=True))
        return tuple(n for n in self.quantities if n in own or f"parametrizations.{n}.original" in own)

    def free_parameter(self, name: str) -> nn.Parameter:
        """The leaf the optimiser moves for a learned quantity (θ behind the bound, or the value itself)."""
        if parametrize.is_parametrized(self, name):
            return self.parametrizations[name].original
        return self._parameters[name]

    def sized(self, name: str, x_shape: tuple[int, ...], size: tuple[int, int] | None = None) -> Tensor:
        """A quantity in a shape that broadcasts over images of ``x_shape``, see :func:`.full_size`."""
        return full_size(getattr(self, name), x_shape, name, size)

    def physical(self) -> dict[str, Tensor]:
        """Values as the deployed hardware has them, detached, in the units of :attr:`quantities`."""
        return {name: getattr(self, name).detach().clone() for name in self.quantities}

    def hard(self, x: Tensor) -> Tensor:
        """The reading of the deployable hardware, whatever mode the layer is in."""
        flags = [(module, module.training) for module in self.modules()]
        try:
            self.eval()
            return self(x)
        finally:
            for module, flag in flags:
                module.training = flag

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """``(C, H, W)`` that leaves the layer for ``(C, H, W)`` that enters."""
        return shape

    def cost(self, shape: tuple[int, int, int]) -> dict[str, float]:
        """What one image of ``shape = (C, H, W)`` costs in this layer."""
        samples = math.prod(self.output_shape(shape))
        return {
            "n_samples": samples,
            "n_parameters": sum(self.free_parameter(n).numel() for n in self.learned()),
        }

    def export(self, *, full: bool = False) -> dict:
        """Physical parameters with units, ready for ``json.dump``.

        Maps of more than 16384 values are summarised by shape, minimum, mean and maximum unless ``full``.
        """
        learned, entries = self.learned(), {}
        for name, value in self.physical().items():
            quantity = self.quantities[name]
            entry = {"unit": quantity.unit, "learned": name in learned}
            entry["bounds"] = [b if math.isfinite(b) else None for b in (quantity.low, quantity.high)]
            if value.numel() > EXPORT_LIMIT and not full:
                entry |= {"shape": list(value.shape), "minimum": float(value.min())}
                entry |= {"mean": float(value.mean(dtype=torch.float64)), "maximum": float(value.max())}
            else:
                entry["value"] = value.tolist()
            entries[name] = entry
        return {"layer": self.layer_name(), "quantities": entries, "settings": self.settings()}

    def settings(self) -> dict:
        """Choices that are not physical quantities (a convention, a mode); subclasses add theirs."""
        return {}

    def get_extra_state(self) -> dict:
        """Saved with the tensors: which hardware they belong to."""
        return {"layer": self.layer_name(), "settings": self.settings()}

    def set_extra_state(self, state: dict) -> None:
        """Refuse the state of other hardware: two bits loaded into four would read without a word."""
        if state != self.get_extra_state():
            found, own = (f"{s['layer']} with {s['settings']}" for s in (state, self.get_extra_state()))
            raise ValueError(f"Expected the state of {own}, but got that of {found}; build the same layer first.")

    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing, unexpected, errors):
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        if prefix + "_extra_state" in missing:  # a bare dictionary of tensors is welcome too
            missing.remove(prefix + "_extra_state")
        for name in self.quantities:  # the commonest mistake, said in the user's words and not in torch's keys
            there = {"learned": f"{prefix}parametrizations.{name}.original", "fixed": prefix + name}
            own = there["learned"] if parametrize.is_parametrized(self, name) else there["fixed"]
            other = next((kind for kind, key in there.items() if key != own and key in state_dict), None)
            if other is not None and own not in state_dict:
                kind = "learned" if other == "fixed" else "fixed"
                errors.append(f"Expected {name} to be {kind} as in this layer, but got a state where it is {other}.")

    def layer_name(self) -> str:
        """The class the user wrote (a learned quantity makes torch insert a ``Parametrized…`` class)."""
        return type(self).__name__.removeprefix("Parametrized")

    def check(self, x: Tensor) -> None:
        """Refuse inputs that are not what the layer :attr:`accepts`: by default images on the scale 0…1."""
        check_images(x, full=not self.training, accepts=self.accepts)

    def extra_repr(self) -> str:
        learned, parts = self.learned(), [f"{key}={value!r}" for key, value in self.settings().items()]
        for name, quantity in self.quantities.items():
            unit = "" if quantity.unit == "1" else f" {quantity.unit}"
            range_ = f", in ({quantity.low:g}, {quantity.high:g})" if name in learned else ""
            state = f"learned{range_}" if name in learned else "fixed"
            parts.append(f"{name}={_summary(getattr(self, name).detach())}{unit} ({state})")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"{self.layer_name()}({self.extra_repr()})"


def _summary(value: Tensor) -> str:
    if value.numel() == 1:
        return f"{float(value):g}"
    shape = "×".join(str(size) for size in value.shape)
    return f"{shape} from {float(value.min()):g} to {float(value.max()):g}"
