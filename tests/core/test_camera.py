"""A whole camera in front of a network: one chain, one description, one cost."""

import json

import pytest
import torch
from torch import nn

from physlayer import (
    BitDepth,
    Blur,
    ColorWeights,
    MovementAudit,
    PhotonNoise,
    PixelBinning,
    QuantaSensor,
    Sensor,
    SpeckleNoise,
    audit_gradients,
    export_camera,
    parameter_groups,
    seed_noise,
)


def test_a_chain_of_four_layers_trains_exports_one_json_and_its_cost_adds_up():
    """The six lines of docs/your_own_data.md; classes differ by the colour of a spot."""
    torch.manual_seed(0)
    cnn = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    model = nn.Sequential(
        PixelBinning(2),
        ColorWeights(nn.Parameter(0.1 + 0.7 * torch.eye(3))),
        Sensor(exposure_photons=nn.Parameter(torch.tensor(2000.0))),
        BitDepth(4, gain=nn.Parameter(torch.full((3, 1, 1), 5.0))),
        cnn,
    )
    target = torch.arange(64) % 2
    x = torch.full((64, 3, 16, 24), 0.4)
    x[target == 1, 0, 4:12, 8:16] = 0.8
    x[target == 0, 2, 4:12, 8:16] = 0.8
    seed_noise(model, 0)
    audit = MovementAudit(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, lr=2e-2, lr_physics=2e-2))
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(audit_gradients(model).values()) == {"ok"} and audit.sentence(model) == ""
    assert float((model.eval()(x).argmax(1) == target).float().mean()) > 0.95

    camera = json.loads(json.dumps(export_camera(model, (3, 16, 24))))
    assert [layer["layer"] for layer in camera["layers"]] == ["PixelBinning", "ColorWeights", "Sensor", "BitDepth"]
    photons = camera["layers"][2]["quantities"]["exposure_photons"]
    assert photons["unit"] == "photons per pixel" and photons["learned"]
    samples = 3 * 8 * 12
    assert camera["cost"]["n_samples"] == samples and camera["cost"]["bits_per_image"] == 4 * samples
    white = float(model[1].physical()["weights"].sum(1).mean())  # what the colour weights make of white light
    assert camera["cost"]["photons"] == pytest.approx(photons["value"] * samples * white, rel=1e-5)
    assert camera["cost"]["n_parameters"] == 9 + 1 + 3


@pytest.mark.parametrize(
    "behind",
    [Sensor(12), PhotonNoise(100.0), SpeckleNoise(0.5), QuantaSensor(3)],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("training", [True, False])
def test_light_that_an_fft_rounds_to_just_below_nothing_is_no_negative_light(behind, training):
    x = torch.zeros(4, 1, 60, 80)
    x[..., 20:30, 30:50] = 1.0
    seen = Blur(2.0, method="fft")(x)
    assert -1e-6 < float(seen.min()) < 0
    y = behind.train(training)(seen)
    assert bool(torch.isfinite(y).all())
