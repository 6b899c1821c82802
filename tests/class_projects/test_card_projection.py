"""Class project 18: weights, then a filter, learned."""

import torch
from torch import nn
from torch.nn import functional as F

from physlayer import ProjectionSampling, audit_gradients, parameter_groups


def disc(size=64, radius=18.0, supersample=4):
    axis = (torch.arange(size * supersample) + 0.5) / supersample - 0.5 - size // 2
    fine = (axis[:, None] ** 2 + axis[None] ** 2 <= radius**2).float()
    return F.avg_pool2d(fine[None, None], supersample)


def smooth(size=64, seed=0):
    """A soft random object inside the circle."""
    noise = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(seed))
    soft = F.avg_pool2d(F.avg_pool2d(noise, 9, 1, 4), 9, 1, 4)
    return (soft - soft.min()) / (soft.max() - soft.min()) * disc(size, size * 0.35)


def test_card_18_weights_then_filter_are_learned():
    x = torch.cat([smooth(32, seed) for seed in range(16)])
    # --- the user's lines
    layer = ProjectionSampling(8, weights=nn.Parameter(torch.ones(8)), filter_gain=nn.Parameter(torch.ones(9)))
    optimizer = torch.optim.Adam(parameter_groups(layer, lr=0.01))
    before = F.mse_loss(layer(x), x).item()
    for _ in range(60):
        loss = F.mse_loss(layer(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # ---
    assert loss.item() < 0.85 * before
    assert set(audit_gradients(layer).values()) == {"ok"}
    assert (layer.physical()["weights"] > 0).all()
