"""Weighted sums of colours: what each constraint promises."""

import pytest
import torch
from torch import nn

from physlayer import ColorWeights, Sensor, camera_cost


def colours(seed=0):
    return torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5, 6)])
def test_sums_are_those_of_a_loop_over_channels(shape):
    x, weights = colours(), torch.rand(shape, generator=torch.Generator().manual_seed(1))
    y = ColorWeights(weights)(x)
    wide = weights if len(shape) == 4 else weights[:, :, None, None].expand(3, 4, 5, 6)
    for k in range(3):
        assert torch.allclose(y[:, k], sum(wide[k, c] * x[:, c] for c in range(4)), atol=1e-6)


def test_white_stays_white_on_the_simplex_and_weights_never_fall_below_zero():
    layer = ColorWeights(nn.Parameter(torch.full((2, 4), 0.3)), constraint="simplex")
    optimizer = torch.optim.SGD(layer.parameters(), lr=100.0)
    for _ in range(20):
        (layer(colours()) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert float(layer.physical()["weights"].min()) >= 0
        assert torch.allclose(layer(torch.ones(1, 4, 2, 2)), torch.tensor(1.0))


def test_other_channels_and_weights_without_a_sum_are_refused():
    with pytest.raises(ValueError, match="Expected images of 3 channels"):
        ColorWeights(torch.ones(1, 3))(colours())
    with pytest.raises(ValueError, match="positive sum"):
        ColorWeights(torch.zeros(1, 3), constraint="simplex")
    with pytest.raises(ValueError, match="lie in"):
        ColorWeights(torch.tensor([[0.5, -0.5]]))
    assert float(ColorWeights(torch.tensor([[0.5, -0.5]]), constraint="free")(torch.ones(1, 2, 1, 1))) == 0


def test_weights_above_one_cost_light_and_a_filter_has_none():
    def photons(layer):
        return camera_cost(nn.Sequential(layer, Sensor(exposure_photons=100.0)), (3, 4, 4))["photons"]

    assert photons(ColorWeights(torch.full((1, 3), 2.0))) == 16 * 100 * 6
    assert photons(ColorWeights(torch.full((1, 3), 1 / 3))) == pytest.approx(16 * 100)
    layer = ColorWeights(nn.Parameter(torch.full((1, 3), 0.5)), constraint="filter")
    torch.nn.init.constant_(layer.free_parameter("weights"), 50.0)
    assert float(layer.physical()["weights"].max()) <= 1
    with pytest.raises(ValueError, match="weights"):
        ColorWeights(torch.full((1, 3), 1.5), constraint="filter")
