"""How the weights move: their rate over a training, and the running mean that is judged and kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import nn

__all__ = ["RunningMean", "one_cycle"]


def one_cycle(steps: int, start: float) -> Callable[[int], float]:
    """Linear rise over a fifth of the steps, cosine fall to 1 %; nothing before ``start`` (a share of the steps)."""

    def factor(step: int) -> float:
        share = (step / steps - start) / max(1 - start, 1e-9)
        if share < 0:
            return 0.0
        rise = 0.2
        if share < rise:
            return 0.04 + 0.96 * share / rise
        return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, (share - rise) / (1 - rise)))) / 2

    return factor


class RunningMean:
    """A copy of a model whose weights and statistics follow it as an exponential running mean.

    The mean of a physical parameter is taken of the free number behind its bound, so it stays in range.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay, self.step = copy.deepcopy(model), decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.step += 1
        share = 1 - min(self.decay, self.step / (self.step + 9))  # short memory at first, or the start would linger
        ours, theirs = ([*m.parameters(), *m.buffers()] for m in (self.model, model))
        pairs = list(zip(ours, theirs, strict=True))
        floating = [(mean, new) for mean, new in pairs if mean.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floating], [new for _, new in floating], share)
        for mean, new in pairs:
            if not mean.is_floating_point():
                mean.copy_(new)
