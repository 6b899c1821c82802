"""Is every physical parameter wired, and did it move? The commonest failure of learned cameras, in three calls."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from physlayer.core.camera import physical_layers

__all__ = ["Movement", "MovementAudit", "audit_gradients", "parameter_groups"]


def parameter_groups(
    model: nn.Module, *, lr: float = 1e-3, lr_physics: float | None = None, weight_decay: float | None = None
) -> list[dict]:
    """Two optimiser groups, ``physics`` and ``network``, that together hold every trainable parameter exactly once.

    Physical parameters get their own rate (ten times ``lr`` unless stated) and no weight decay, which would
    pull a gain or a transmission towards a meaningless value.

    Args:
        model: physical layers and network, e.g. ``nn.Sequential(layer, cnn)``.
        lr: rate of the network. lr_physics: rate of the physical parameters. weight_decay: of the network
            only; ``None`` leaves it to the optimiser.

    Raises:
        TypeError: if ``model`` is no module, such as ``model.parameters()``.

    Example:
        >>> from physlayer import BitDepth
        >>> model = nn.Sequential(BitDepth(2, gain=nn.Parameter(torch.tensor(1.0))), nn.Conv2d(3, 4, 3))
        >>> [(group["name"], len(group["params"]), group["lr"]) for group in parameter_groups(model)]
        [('physics', 1, 0.01), ('network', 2, 0.001)]
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model to be the nn.Module itself, but got {type(model).__name__}; pass the model.")
    physics = {id(p): p for _, layer in physical_layers(model) for p in layer.parameters()}
    network = [p for p in model.parameters() if id(p) not in physics and p.requires_grad]
    trained = [p for p in physics.values() if p.requires_grad]
    lr_physics = 10 * lr if lr_physics is None else lr_physics
    groups = [
        {"name": "physics", "params": trained, "lr": lr_physics, "weight_decay": 0.0},
        {"name": "network", "params": network, "lr": lr},
    ]
    if weight_decay is not None:
        groups[1]["weight_decay"] = weight_decay
    return [group for group in groups if group["params"]]


def audit_gradients(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, str]:
    """After a backward pass, say for each learned physical quantity whether its gradient is usable.

    Returns:
        Name to ``"ok"``, ``"frozen"``, ``"no gradient"``, ``"zero gradient"``, ``"not finite"`` or
        ``"not in the optimizer"``.

    Example:
        >>> from physlayer import BitDepth
        >>> model = nn.Sequential(BitDepth(2, gain=nn.Parameter(torch.tensor(1.0))))
        >>> audit_gradients(model)
        {'0.gain': 'no gradient'}
        >>> model(torch.rand(1, 1, 4, 4)).sum().backward()
        >>> audit_gradients(model)
        {'0.gain': 'ok'}
    """
    known = None if optimizer is None else {id(p) for group in optimizer.param_groups for p in group["params"]}
    return {name: _gradient_state(parameter, known) for name, parameter in _physical_parameters(model)}


def _gradient_state(parameter: nn.Parameter, known: set[int] | None) -> str:
    if not parameter.requires_grad:
        return "frozen"
    if known is not None and id(parameter) not in known:
        return "not in the optimizer"
    if parameter.grad is None:
        return "no gradient"
    if not bool(torch.isfinite(parameter.grad).all()):
        return "not finite"
    return "ok" if bool(parameter.grad.any()) else "zero gradient"


@dataclass(frozen=True)
class Movement:
    """How far one physical quantity went from where it started, in its own unit, or that of the free one behind it."""

    start: float
    end: float
    largest_change: float
    unit: str
    moved: bool


class MovementAudit:
    """Remembers the physical parameters of a model and later says which of them moved.

    Args:
        model: the model before training.
        least: a quantity whose largest change is below this share of its largest start value (or of 1 if it
            starts near 0) did not move.

    Example:
        >>> from physlayer import BitDepth
        >>> model = nn.Sequential(BitDepth(2, gain=nn.Parameter(torch.tensor(1.0))))
        >>> audit = MovementAudit(model)
        >>> print(audit.sentence(model))
        0.gain did not move: 1 at the start, 1 now; check lr_physics and audit_gradients(model, optimizer).
    """

    def __init__(self, model: nn.Module, *, least: float = 1e-3):
        self.least = least
        self.start = {name: value for name, value, _ in _physical_values(model)}

    def report(self, model: nn.Module) -> dict[str, Movement]:
        """Movement of every learned quantity since the audit was made."""
        report = {}
        for name, value, unit in _physical_values(model):
            start = self.start[name].to(value.device)
            change = float((value - start).abs().max())
            scale = max(float(start.abs().max()), 1.0 if float(start.abs().max()) < self.least else 0.0)
            report[name] = Movement(
                float(start.mean()), float(value.mean()), change, unit, change >= self.least * scale
            )
        return report

    def sentence(self, model: nn.Module) -> str:
        """One line per quantity that is frozen, unregistered or did not move; empty only if all is well."""
        lines = [
            f"{name} did not move: {m.start:g} at the start, {m.end:g} now; "
            "check lr_physics and audit_gradients(model, optimizer)."
            for name, m in self.report(model).items()
            if not m.moved
        ]
        known = set()
        for name, parameter in _physical_parameters(model):
            known.add(id(parameter))
            if not parameter.requires_grad:
                lines.append(f"{name} is frozen.")
        for prefix, layer in physical_layers(model):
            for name, parameter in layer.named_parameters():
                if id(parameter) not in known:
                    full = f"{prefix}.{name}".lstrip(".")
                    lines.append(f"{full} is an nn.Parameter that no quantity owns; use register_physical.")
        if not known and not lines:
            lines.append("no physical quantity is learned; wrap a value in nn.Parameter to learn it.")
        return "\n".join(lines)


def _physical_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [
        (f"{prefix}.{name}".lstrip("."), layer.free_parameter(name))
        for prefix, layer in physical_layers(model)
        for name in layer.learned()
    ]


def _physical_values(model: nn.Module) -> list[tuple[str, Tensor, str]]:
    # The demand behind a whole-number map, not the map, which may stand still for a while.
    held = [
        (f"{prefix}.{name}".lstrip("."), layer, layer.quantities[name].stored)
        for prefix, layer in physical_layers(model)
        for name in layer.learned()
        if layer.free_parameter(name).requires_grad  # a frozen one is not meant to move
    ]
    return [(name, getattr(layer, stored.name).detach().clone(), stored.unit) for name, layer, stored in held]
