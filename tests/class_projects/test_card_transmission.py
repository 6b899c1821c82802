"""Class project 13: transmission, exposure and gamma."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer import Exposure, Gamma, MovementAudit, TransmissionMask, audit_gradients, parameter_groups


def xrays(count=256, seed=0):
    """Two classes that differ in the upper left quarter, and a bright lower half that tells nothing."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(count) % 2
    x = 0.3 + 0.1 * torch.rand(count, 1, 16, 16, generator=generator)
    x[:, :, :8, :8] += 0.15 * target.view(-1, 1, 1, 1)
    x[:, :, 8:] += 0.4 * torch.rand(count, 1, 1, 1, generator=generator)
    return x.clamp(0, 1), target


@pytest.mark.parametrize("exposure", [0.5, 1.0, 2.0])
def test_card_13_transmission_exposure_gamma(exposure):
    x, target = xrays()
    torch.manual_seed(0)
    # --- the user's lines
    mask = TransmissionMask(nn.Parameter(torch.full((16, 16), 0.99)))
    gamma = Gamma(nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0)))
    model = nn.Sequential(mask, Exposure(exposure), gamma, nn.Flatten(), nn.Linear(256, 2))
    audit = MovementAudit(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, lr=1e-2, lr_physics=5e-2))
    for _ in range(60):
        loss = F.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # ---
    assert float((model(x).argmax(1) == target).float().mean()) > 0.9
    assert set(audit_gradients(model).values()) == {"ok"} and audit.sentence(model) == ""
    assert mask.physical()["transmission"].std() > 1e-3
    shown = gamma.export()["quantities"]["gamma"]
    assert 0.8 < shown["value"] < 1.2 and shown["value"] == pytest.approx(float(gamma.gamma.detach()))
