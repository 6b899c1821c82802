"""Networks that measure: shapes, what their outputs share, and that they can tell lengths."""

import pytest
import torch
from torch import nn

from physlayer.tasks.number_networks import NETWORKS, BranchedNetwork, NetworkInNetwork


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("shape", "outputs"), [((1, 64, 64), 2), ((2, 54, 80), 3), ((1, 16, 16), 2)])
def test_networks_give_a_number_per_output_for_any_reading(name, shape, outputs):
    network = NETWORKS[name](shape, outputs)
    assert network(torch.rand(3, *shape)).shape == (3, outputs)
    first = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert not first.affine and first.num_features == shape[0]  # one rule of scale for every camera


def test_scale_and_offset_of_a_reading_change_no_output():
    x = torch.rand(8, 1, 32, 32)
    for name in NETWORKS:
        network = NETWORKS[name]((1, 32, 32), 2).train()
        assert torch.allclose(network(x), network(0.01 * x + 3), atol=2e-2)


def test_all_outputs_share_all_layers_but_the_last():
    network = NetworkInNetwork((1, 32, 32), 2)
    network(torch.rand(4, 1, 32, 32))[:, 0].sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_branches_share_the_trunk_and_nothing_else():
    network = BranchedNetwork((1, 32, 32), 2)
    network(torch.rand(4, 1, 32, 32))[:, 0].sum().backward()
    parts = (network.trunk, *network.branches)
    learns = [[bool(p.grad.any()) for p in part.parameters()] for part in parts]
    assert all(learns[0]) and all(learns[1]) and not any(learns[2])
    with pytest.raises(ValueError, match=r"Expected branch to be 1…2 of 3 blocks, but got 3"):
        BranchedNetwork((1, 32, 32), 2, branch=3)


@pytest.mark.parametrize("name", NETWORKS)
def test_both_sides_of_a_dark_ellipse_are_learned(name):
    """A few steps bring the error of both diameters below a half of the mean predictor's."""
    torch.manual_seed(0)
    sides = 8 + 20 * torch.rand(32, 2)
    place = torch.arange(32) - 15.5
    across, down = place / (sides[:, :1, None] / 2), place[:, None] / (sides[:, 1:, None] / 2)
    images = ((across**2 + down**2) > 1).float()[:, None]
    targets = (sides - sides.mean(0)) / sides.std(0)
    network = NETWORKS[name]((1, 32, 32), 2, widths=(6, 8))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(20):
        loss = (network(images) - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float((network(images) - targets).abs().mean().detach()) < 0.5 * float(targets.abs().mean())
