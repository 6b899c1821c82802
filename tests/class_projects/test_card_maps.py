"""Class-project cards 4, 6 and 12: maps, blurs and sums of channels in front of a network."""

import copy

import pytest
import torch
from sklearn.metrics import jaccard_score, roc_auc_score
from torch import nn
from torch.nn import functional as F

from physlayer import (
    Blur,
    ColorWeights,
    Exposure,
    MovementAudit,
    audit_gradients,
    parameter_groups,
)

SIZE = 12


def coloured(count=96, seed=0):
    """Two classes: a spot is redder than its surround in one and bluer in the other."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(count) % 2
    x = 0.3 + 0.2 * torch.rand(count, 3, SIZE, SIZE, generator=generator)
    x[torch.arange(count), 2 * target, 3:8, 3:8] += 0.3
    return x, target


def classifier(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * (SIZE - 2) ** 2, 2))


@pytest.mark.parametrize("chosen", ["light,psf,colour", "light", "psf", "colour"])
def test_card_4_maps_that_start_as_the_identity(chosen):
    x, target = coloured()
    network, identity = classifier(), torch.eye(3)[:, :, None, None].repeat(1, 1, SIZE, SIZE)
    spot = torch.zeros(3, 3).index_put((torch.tensor(1), torch.tensor(1)), torch.tensor(1.0))
    # --- the user's lines
    maps = {
        "light": Exposure(nn.Parameter(torch.ones(SIZE, SIZE))),
        "psf": Blur(kernel=nn.Parameter(spot)),
        "colour": ColorWeights(nn.Parameter(identity), constraint="free"),
    }
    model = nn.Sequential(*(maps[name] for name in chosen.split(",")), network)
    assert torch.equal(model(x), network(x))
    optimizer = torch.optim.Adam(parameter_groups(model, lr=3e-3, lr_physics=1e-2))
    audit = MovementAudit(model)
    for _ in range(20):
        loss = F.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # ---
    assert float((model(x).argmax(1) == target).float().mean()) > 0.9
    assert set(audit_gradients(model).values()) == {"ok"} and audit.sentence(model) == ""
    if "light" in chosen:
        factor = maps["light"].physical()["factor"]
        assert float(factor.min()) >= 0 and float(factor.std()) > 1e-3
    if "psf" in chosen:
        kernel = maps["psf"].physical()["kernel"]
        assert float(kernel.min()) >= 0 and float(kernel.sum()) == pytest.approx(1) and float(kernel[1, 1]) < 0.99


def speckled(count=64, seed=0):
    """Two classes of one mean brightness: fine and coarse grain, one picture in four of the second."""
    generator = torch.Generator().manual_seed(seed)
    target = (torch.arange(count) % 4 == 0).long()
    fine = torch.rand(count, 3, 32, 32, generator=generator)
    coarse = F.interpolate(fine[..., ::4, ::4], scale_factor=4)
    return torch.where(target.view(-1, 1, 1, 1) == 1, coarse, fine), target


@pytest.mark.parametrize("size", [11, 25])
def test_card_6_non_negative_point_spread_before_pooling(size):
    x, target = speckled()
    # --- the user's lines
    learned = Blur(kernel=nn.Parameter(Blur(0.7, radius=size // 2).kernel))
    arms = {"none": nn.Identity(), "gaussian": Blur(1.5), "learned": learned}
    auc, audit = {}, MovementAudit(learned)
    for name, blur in arms.items():
        torch.manual_seed(0)
        cnn = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
        model = nn.Sequential(blur, nn.AvgPool2d(2), cnn)
        optimizer = torch.optim.Adam(parameter_groups(model, lr=2e-2, lr_physics=1e-1))
        for _ in range(100):
            loss = F.cross_entropy(model(x), target, weight=torch.tensor([1.0, 3.0]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        auc[name] = roc_auc_score(target, model(x).detach().softmax(1)[:, 1])
    # ---
    assert auc["none"] > 0.95 and auc["learned"] > 0.95
    assert audit.sentence(learned) == "" and set(audit_gradients(learned).values()) == {"ok"}
    kernel = learned.physical()["kernel"]
    assert float(kernel.min()) >= 0 and float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    direct, fft = (Blur(kernel=kernel, method=method)(x) for method in ("direct", "fft"))
    assert torch.allclose(direct, fft, atol=1e-5)
    kept = Blur(kernel=kernel, border="circular")(x)
    assert torch.allclose(kept.sum((2, 3)), x.sum((2, 3)), rtol=1e-4)  # the light of every image


def fields(count=16, seed=0):
    """Four channels, the last of which alone shows the field; every fourth picture has none."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 4, 16, 16, generator=generator)
    mask = torch.zeros(count, 1, 16, 16)
    for i in range(count):
        if i % 4:
            top, left = torch.randint(2, 8, (2,), generator=generator).tolist()
            mask[i, :, top : top + 6, left : left + 6] = 1
    x[:, 3:] = 0.4 * x[:, 3:] + 0.6 * mask
    return x, mask


def segmenter(channels):
    return nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))


@pytest.mark.parametrize("constraint", ["free", "non_negative", "simplex"])
@pytest.mark.parametrize("size", [(), (16, 16)])
def test_card_12_four_channels_to_one(constraint, size):
    """An empty mask that is found empty counts as 1, as scikit-learn's ``zero_division`` says."""
    x, mask = fields()
    quarter = torch.full((1, 4, *size), 0.25)
    # --- the user's lines
    learned = ColorWeights(nn.Parameter(quarter), constraint=constraint)
    arms = {"four": nn.Identity(), "best": ColorWeights(torch.eye(4)[3:]), "fixed": ColorWeights(quarter)}
    iou, audit = {}, MovementAudit(learned)
    for name, weights in (arms | {"learned": learned}).items():
        torch.manual_seed(0)
        model = nn.Sequential(weights, segmenter(4 if name == "four" else 1))
        optimizer = torch.optim.Adam(parameter_groups(model, lr=1e-2, lr_physics=3e-2))
        for _ in range(200):
            loss = F.binary_cross_entropy_with_logits(model(x), mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        pairs = zip(mask.flatten(1), (model(x) > 0).float().flatten(1), strict=True)
        iou[name] = sum(jaccard_score(t, p, zero_division=1.0) for t, p in pairs) / len(x)
    # ---
    assert iou["learned"] > iou["fixed"] + 0.1 and abs(iou["learned"] - iou["best"]) < 0.1
    assert audit.sentence(learned) == "" and set(audit_gradients(learned).values()) == {"ok"}
    shown = learned.physical()["weights"].reshape(4, -1).mean(1)
    assert size or int(shown.abs().argmax()) == 3  # sixteen pictures can be learned by heart, pixel by pixel
    assert constraint == "free" or float(learned.physical()["weights"].min()) >= 0
    assert constraint != "simplex" or torch.allclose(learned.physical()["weights"].sum(1), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("constraint", ["non_negative", "simplex", "filter"])
def test_card_12_constraint_leaves_the_network_to_plain_gradient_descent(constraint):
    """A rule that clamps every parameter of a model after a step, seen in projects, also cuts the network's weights."""
    x, mask = fields(4)
    torch.manual_seed(0)
    weights = ColorWeights(nn.Parameter(torch.full((1, 4), 0.25)), constraint=constraint)
    model = nn.Sequential(weights, nn.Conv2d(1, 1, 3, padding=1))
    before = copy.deepcopy(model[1].state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    F.binary_cross_entropy_with_logits(model(x), mask).backward()
    optimizer.step()
    for name, parameter in model[1].named_parameters():
        assert torch.allclose(parameter.detach(), before[name] - 5.0 * parameter.grad, atol=1e-6)
    assert any(bool((parameter < 0).any()) for parameter in model[1].parameters())
