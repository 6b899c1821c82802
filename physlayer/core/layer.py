"""The contract of every physical layer: learned or fixed by the type of the value, exact in ``eval()``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from physlayer.core.broadcast import full_size
from physlayer.core.modes import evaluating
from physlayer.core.parametrizations import Interval, Logarithmic, Magnitude
from physlayer.core.quantity import Quantity, as_quantity, as_replacement, summary
from physlayer.core.validation import IMAGES, check_images

__all__ = ["PhysicalLayer"]

EXPORT_LIMIT = 16384  # values written in full by `export()`; larger maps are summarised unless full=True


class PhysicalLayer(nn.Module):
    r"""A piece of hardware in front of the network.

    Subclasses call :meth:`register_physical` for each quantity and write ``forward``. The one rule is:
    *a value wrapped in* ``nn.Parameter`` *is learned, a plain value is fixed*.

    * ``train()`` may use a surrogate gradient; ``eval()`` is the hardware exactly.
    * One value, one name: ``layer.bits`` is what the hardware has, and the free number that the optimiser moves, where
      it is another one, has a name of its own (``layer.demand_bits``).
    * ``hard(x)`` is the ``eval()`` reading whatever the mode.
    * ``physical()`` gives the values in physical units, ``export()`` the same as JSON with units.
    * ``cost(shape)`` counts what one image costs: ``bits_per_image``, ``n_samples``, ``n_parameters``.
    * ``decoder(*, …)``, of layers whose reading is no picture of the scene, gives a digital module to put behind the
      sensor. It shares the layer's numbers and owns none. It is told only what the layer cannot know: ``size=(H, W)``
      of the scene, the ``sensor=`` between, or which ``output=`` is wanted.

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
    size: tuple[int, int] | None = None  # (H, W) of the images where a layer takes maps on a coarse grid

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
        free: Quantity | None = None,
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
            free: name, unit and range of the tensor that is held and learned instead, if the hardware's value is
                computed from it: logits of a choice, demands of whole bits, kernels of any sum. ``value`` and the
                keywords above but ``unit``, ``low`` and ``high`` are then of that tensor, and the class has a property
                ``name``, with gradient, for what the hardware makes of it.

        Raises:
            TypeError: if the value is not a real number or floating tensor.
            ValueError: if the value is not finite or out of range.
        """
        learned, tensor = isinstance(value, nn.Parameter), as_quantity(name, value)
        quantity = Quantity(name, unit, low, high, free)
        held = quantity.stored
        if free is not None and not isinstance(getattr(type(self), name, None), property):
            raise TypeError(f"Expected {self.layer_name()} to compute {name} from {free.name}; write it as a property.")
        if not learned and not bool(((tensor >= held.low) & (tensor <= held.high)).all()):
            raise ValueError(f"Expected {name} to lie in {held.span}, but got {summary(tensor)}.")
        self.quantities[name] = quantity
        if not isinstance(value, nn.Parameter):
            self.register_buffer(held.name, tensor.detach().clone())
            return
        bound = (
            Logarithmic(name) if logarithmic else Magnitude(name) if magnitude else Interval(held.low, held.high, name)
        )
        bound.right_inverse(tensor.detach())  # refuse before anything is registered
        bound.name = held.name
        value.physical_owner = name  # type: ignore[attr-defined]  # from here on it holds the free number behind the bound
        self.register_parameter(held.name, value)
        if math.isfinite(held.low) or math.isfinite(held.high):
            parametrize.register_parametrization(self, held.name, bound)

    def __setattr__(self, name: str, value: object) -> None:
        """A fixed quantity may be set again, to a value that the constructor would take."""
        for quantity in self.__dict__.get("quantities", {}).values():
            if name == quantity.stored.name and name in self._buffers:
                value = as_replacement(quantity.stored, getattr(self, name), value)
            elif name == quantity.stored.name and isinstance(value, nn.Parameter) and name not in self._parameters:
                raise TypeError(
                    f"Expected {name}, which is learned already, to be set with a tensor, but got an nn.Parameter; use "
                    f"its .detach()."
                )
            elif quantity.free is not None and name == quantity.name:
                raise TypeError(f"Expected {name} to follow from {quantity.free.name}, but got a value; set that one.")
        super().__setattr__(name, value)  # type: ignore[arg-type]  # a module takes any attribute

    def learned(self) -> tuple[str, ...]:
        """Names of the quantities that are learned."""
        own = dict(self.named_parameters(recurse=True))
        held = {name: quantity.stored.name for name, quantity in self.quantities.items()}
        return tuple(n for n, free in held.items() if free in own or f"parametrizations.{free}.original" in own)

    def free_parameter(self, name: str) -> nn.Parameter:
        """The leaf the optimiser moves for a learned quantity (θ behind the bound, or the value itself)."""
        held = self.quantities[name].stored.name
        if parametrize.is_parametrized(self, held):
            held = f"parametrizations.{held}.original"
        return self.get_parameter(held)

    def sized(self, name: str, x_shape: tuple[int, ...]) -> Tensor:
        """A quantity in a shape that broadcasts over images of ``x_shape``, see :func:`.full_size`."""
        return full_size(getattr(self, name), x_shape, name, self.size)

    def physical(self) -> dict[str, Tensor]:
        """Values as the deployed hardware has them, detached, in the units of :attr:`quantities`.

        They are the attributes of the same names in ``eval()``; in ``train()`` an attribute may be a relaxed choice.
        """
        with evaluating(self):
            return {name: getattr(self, name).detach().clone() for name in self.quantities}

    def hard(self, x: Tensor) -> Tensor:
        """The reading of the deployable hardware, whatever mode the layer is in."""
        with evaluating(self):
            return self(x)

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
            held = self.quantities[name].stored.name
            there = {"learned": f"{prefix}parametrizations.{held}.original", "fixed": prefix + held}
            own = there["learned"] if parametrize.is_parametrized(self, held) else there["fixed"]
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
        for name, value in self.physical().items():
            quantity = self.quantities[name]
            unit = "" if quantity.unit == "1" else f" {quantity.unit}"
            # a bound keeps a learned value off its ends; what is computed from a free one may lie on them
            left, right = "()" if quantity.free is None else "[]"
            range_ = f", in {left}{quantity.low:g}, {quantity.high:g}{right}" if name in learned else ""
            state = f"learned{range_}" if name in learned else "fixed"
            parts.append(f"{name}={summary(value)}{unit} ({state})")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"{self.layer_name()}({self.extra_repr()})"
