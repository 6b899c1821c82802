"""Class project 20: ultrasound channels chosen under a budget."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer import (
    ChannelSelection,
    Envelope,
    MovementAudit,
    audit_gradients,
    parameter_groups,
    seed_noise,
)
from physlayer.metrics.segmentation import jaccard

CHANNELS = 20


def echoes(count=24, seed=0):
    """Speckle, twice as strong in a disc; every channel sees one lateral frequency of it, all of them the whole."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.complex(*(torch.randn(count, 1, 20, 20, generator=generator) for _ in range(2)))
    place = torch.arange(20.0)
    middle = torch.randint(6, 14, (count, 2), generator=generator)
    distance = torch.hypot(place[:, None] - middle[:, :1, None], place - middle[:, 1:, None])
    mask = (distance < 5).float()
    spectrum = torch.fft.fft(field * (0.3 + 2 * mask[:, None]), dim=3)
    one = torch.eye(CHANNELS).view(1, CHANNELS, 1, CHANNELS)
    return torch.fft.ifft(spectrum * one, dim=3), mask


def segmenter():
    return nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 8, 7, padding=3), nn.ReLU(), nn.Conv2d(8, 1, 7, padding=3))


@pytest.mark.parametrize("budget", [10, 4, 2])
def test_card_20_channels_chosen_under_a_budget(budget):
    x, mask = echoes()
    chosen = {}
    # --- the user's lines
    for seed in range(3):
        torch.manual_seed(seed)
        choice = ChannelSelection(nn.Parameter(0.1 * torch.randn(CHANNELS)), keep=budget)
        model = nn.Sequential(choice, Envelope(0.2), segmenter())
        audit = MovementAudit(model)
        optimizer = torch.optim.Adam(parameter_groups(model, lr=1e-2, lr_physics=5e-2))
        seed_noise(model, seed)
        for _ in range(30):
            loss = F.binary_cross_entropy_with_logits(model(x)[:, 0], mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        chosen[seed] = choice.mask.detach()
    # ---
    blind = F.binary_cross_entropy(mask.mean().expand_as(mask), mask)
    assert float(loss.detach()) < 0.95 * float(blind)  # the disc was found, with two channels of twenty, too
    assert set(audit_gradients(model).values()) == {"ok"} and audit.sentence(model) == ""
    assert all(int(kept.sum()) == budget for kept in chosen.values())  # a hard budget cannot collapse to nothing
    sets = [kept.view(1, 1, -1).numpy() for kept in chosen.values()]
    stability = [round(float(jaccard(sets[a], sets[b])[0]), 2) for a, b in ((0, 1), (0, 2), (1, 2))]
    print(f"{budget} channels, overlap of the choices of three seeds: {stability}")
