"""What a decision owes to each physical parameter: the gradient of the score by the quantities of the camera."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from physlayer.core.validation import check_images
from physlayer.saliency.attribution import evaluation, output_weights, weighted

__all__ = ["parameter_saliency"]


def parameter_saliency(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | int | None = None,
    *,
    names: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    r"""Gradient of each image's score with respect to the physical parameters, per physical unit.

    .. math:: g_b = \partial s_b / \partial v, \qquad v = f(\theta)

    with :math:`v` the quantity that the layer uses (unit: its own), not the free number :math:`\theta` behind
    its bound; where the hardware's value is computed from a free tensor, as a mask from logits, that tensor.
    Costs a forward and a backward pass per image: slower than ``torch.func.vmap``, but it works with every
    straight-through ``autograd.Function``. A factor that a layer puts on its own gradient stays in the map:
    build ``LearnedStep`` with ``scale_gradient=False`` to compare its map with others.

    Args:
        model: camera and network; left as it was.
        images: scenes ``(B, C, H, W)``, intensities in 0…1 of full scale.
        targets: as for :func:`.saliency`.
        names: quantities such as ``"0.gain"``; a fixed one may be named; ``None`` takes all learned.

    Returns:
        For each name a tensor ``(B, *shape of the quantity)``, unit: output per unit of the quantity.

    Raises:
        ValueError: for an unknown name, a model without learned quantity, or a quantity that the score
            does not depend on.

    Example:
        >>> from physlayer import PhysicalLayer
        >>> class Gain(PhysicalLayer):
        ...     def __init__(self, gain):
        ...         super().__init__()
        ...         self.register_physical("gain", gain, unit="1", low=0.0, high=2.0)
        ...     def forward(self, x):
        ...         return self.gain * x
        >>> model = nn.Sequential(Gain(nn.Parameter(torch.tensor(1.0))), nn.Flatten(), nn.Linear(1, 1))
        >>> model[2].weight.data.fill_(3.0)
        tensor([[3.]])
        >>> parameter_saliency(model, torch.tensor([0.1, 0.5]).reshape(2, 1, 1, 1))
        {'0.gain': tensor([0.3000, 1.5000])}
    """
    check_images(images, "images", full=True)
    places = _quantities(model)
    if names is None:
        names = [name for name, (_, _, learned) in places.items() if learned]
    if not names or not set(names) <= set(places):
        raise ValueError(f"Expected names to be among {sorted(places)}, but got {list(names)}.")
    with evaluation(model):
        images = images.detach().clone()
        with torch.no_grad():
            weights = output_weights(model(images.clone()), targets)
        leaves = [leaf for name in names for leaf in _leaves_of(*places[name][:2])]
        flags = [leaf.requires_grad for leaf in leaves]
        try:
            for leaf in leaves:
                leaf.requires_grad_()
            # cached(): the forward pass reads the very tensor that we differentiate by.
            with parametrize.cached():
                values = [getattr(*places[name][:2]) for name in names]
                rows = []
                for image, weight in zip(images.split(1), weights.split(1), strict=True):
                    score = weighted(model(image.clone()), weight).sum()
                    if not score.requires_grad:
                        raise ValueError(f"Expected the score to depend on {list(names)}, but it does not.")
                    rows.append(torch.autograd.grad(score, values, allow_unused=True))
        finally:
            for leaf, flag in zip(leaves, flags, strict=True):
                leaf.requires_grad_(flag)
    unused = [name for name, row in zip(names, rows[0], strict=True) if row is None]
    if unused:
        raise ValueError(f"Expected the score to depend on {unused}, but it does not; drop them from names.")
    return {name: torch.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _quantities(model: nn.Module) -> dict[str, tuple[nn.Module, str, bool]]:
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


def _leaves_of(module: nn.Module, name: str) -> list[Tensor]:
    """The tensors an optimiser would move for one quantity."""
    if parametrize.is_parametrized(module, name):
        behind = module.parametrizations[name]
        return [t for t in [*behind._parameters.values(), *behind._buffers.values()] if t.is_floating_point()]
    return [getattr(module, name)]
