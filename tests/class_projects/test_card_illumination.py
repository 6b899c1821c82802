"""Class project 1: light-emitting diodes of an array, learned."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer import CoherentImaging, LedIllumination, parameter_groups
from physlayer.optics.illumination import led_grid, led_stack


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("signed", [False, True])
def test_card_1_led_array(signed):
    """5×5 LEDs: the map moves only if learned, no weight is negative at any step unless signed, the sum is 1×1."""
    samples, target = images(24, 1, 16, 16).float(), torch.arange(24) % 2
    stack = led_stack(0.2 * samples, led_grid(5, 1.5), CoherentImaging(4))
    arms = {"centre": torch.eye(25)[12], "all": torch.ones(25), "learned": nn.Parameter(torch.ones(25))}
    start = {arm: weights.detach() / weights.detach().sum() for arm, weights in arms.items()}
    for arm, weights in arms.items():
        torch.manual_seed(0)
        # --- the user's lines
        leds = LedIllumination(weights, signed=signed)
        model = nn.Sequential(
            leds, nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        )
        optimizer = torch.optim.Adam(parameter_groups(model, lr=2e-2, lr_physics=5e-2))
        for _ in range(20):
            loss = F.cross_entropy(model(stack), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert signed or bool((leds.weights >= 0).all())
        # ---
        shares = leds.physical()["weights"]
        assert float(shares.abs().sum()) == pytest.approx(1, abs=1e-5)
        assert torch.allclose(shares, start[arm]) == (arm != "learned")
        assert torch.allclose(leds(stack), F.conv2d(stack, shares.view(1, 25, 1, 1)), atol=1e-6)
