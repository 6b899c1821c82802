"""Masks, exposure and gamma: class-project card 13, and what each stage promises."""

import pytest
import torch
from torch import nn

from physlayer import Exposure, Gamma, MovementAudit, TransmissionMask, camera_cost


def test_audit_of_card_13_flags_a_mask_that_stood_still():
    mask = TransmissionMask(nn.Parameter(torch.full((4, 4), 0.99)))
    audit = MovementAudit(mask)
    with torch.no_grad():
        mask.unlimited_transmission = torch.full((4, 4), 0.9901)
    assert "transmission did not move" in audit.sentence(mask)


def test_gradient_of_gamma_is_finite_at_black():
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    layer = Gamma(nn.Parameter(torch.tensor(0.81)), nn.Parameter(torch.tensor(1.0)))
    layer(x).sum().backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(layer.free_parameter("gamma").grad)


@pytest.mark.parametrize("budget", [0.1, 0.5, 1.0])
def test_mean_transmission_never_exceeds_its_budget(budget):
    mask = TransmissionMask(nn.Parameter(torch.rand(3, 8, 8) * 0.98 + 0.01), photon_budget=budget)
    for mode in (True, False):
        light = mask.train(mode)(torch.ones(1, 3, 8, 8)).mean()
        assert float(light.detach()) <= budget + 1e-6
    assert camera_cost(nn.Sequential(mask), (3, 8, 8))["transmission"] <= budget + 1e-6
    assert torch.allclose(mask.physical()["transmission"], mask(torch.ones(1, 3, 8, 8))[0].detach())


def test_transmission_of_a_coarse_mask_is_what_passes_within_its_budget():
    """The mean is that at the size of the images: from 3 to 4 pixels the middle of the grid counts less."""
    grid = torch.full((3, 3), 0.1).index_put((torch.tensor(1), torch.tensor(1)), torch.tensor(0.9))
    mask = TransmissionMask(nn.Parameter(grid.clone()), size=(4, 4), photon_budget=0.1)
    passed = mask(torch.ones(1, 1, 4, 4)).detach()
    assert float(passed.mean()) == pytest.approx(0.1) and mask.transmission.shape == (3, 3)
    assert torch.allclose(passed[0, 0, 0, 0], mask.transmission.detach()[0, 0])
    assert torch.allclose(mask.unlimited_transmission.detach(), grid)


def test_transmissions_of_a_chain_multiply():
    chain = nn.Sequential(TransmissionMask(0.5), TransmissionMask(0.5))
    assert camera_cost(chain, (1, 4, 4))["transmission"] == pytest.approx(0.25)


def test_exposure_is_a_hard_minimum():
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(Exposure(3.0)(x), (3.0 * x).clamp(max=1))


def test_mask_per_channel_exports_at_the_size_of_the_sensor():
    mask = TransmissionMask(torch.rand(1, 3, 4, 4), size=(8, 8), photon_budget=0.3)
    assert mask(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    assert mask.export()["quantities"]["transmission"]
