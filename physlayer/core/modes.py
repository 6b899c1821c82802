"""The mode of a model for a while: ``eval()`` now, and afterwards what each of its modules was in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluating"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within the block the model is in ``eval()``; afterwards every module of it is in its own mode again.

    Example:
        >>> model = nn.Sequential(nn.Dropout().train(), nn.Dropout().eval()).train()
        >>> _ = model[1].eval()
        >>> with evaluating(model): modes = [module.training for module in model]
        >>> modes, [module.training for module in model]
        ([False, False], [True, False])
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
