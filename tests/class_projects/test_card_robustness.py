"""Class project 23: train at every level, test at every other."""

import numpy as np
import torch
from torch import nn

from physlayer import (
    Blur,
    GaussianNoise,
    MovementAudit,
    PhotonNoise,
    PixelBinning,
    SaltPepper,
    SpeckleNoise,
    audit_gradients,
    parameter_groups,
)
from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.experiment.robustness.grid import robustness_grid
from physlayer.experiment.robustness.levels import Level, crossed, make_levels
from physlayer.training.recipe import Recipe


def stripes(count, seed, sources=10):
    """Two classes, brighter left or right half, of sources that hold one class each."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 2
    images = 0.4 + 0.1 * torch.rand(count, 1, 8, 8, generator=generator)
    images[targets == 0, :, :, :4] += 0.15
    images[targets == 1, :, :, 4:] += 0.15
    return ImageSet(images, targets, np.array([f"{seed}-{i % sources}" for i in range(count)]), "linear")


def stripe_data():
    pool, test = stripes(120, 0), stripes(60, 1)
    return TaskData("stripes", ("left", "right"), pool, test, fingerprint(pool.images, test.images))


def small(shape, classes):
    channels, height, width = shape
    return nn.Sequential(nn.BatchNorm2d(channels), nn.Flatten(), nn.Linear(channels * height * width, classes))


RECIPE = Recipe(epochs=2, batch_size=32, lr=2e-2)


def test_card_23_one_call_gives_the_grid_with_units_and_intervals():
    data = stripe_data()
    # --- the user's lines
    light = make_levels("exposure", (200, 5), "photons", PhotonNoise)
    speckle = make_levels("contrast", (0.5,), "1", SpeckleNoise)
    pixels = crossed(make_levels("pixel", (2, 8), "scene pixels", PixelBinning), light[:1])
    levels = [Level(), *light, *speckle, *pixels]
    grid = robustness_grid(data, small, levels, RECIPE, seeds=(0, 1), test_levels=[Level(), *light])
    mean, interval = grid.mean(), grid.interval()
    figure, curves = grid.plot(), grid.plot_curves()
    # ---
    assert grid.scores.shape == (6, 3, 2, 60) and mean.shape == (6, 3) and interval.shape == (6, 3, 2)
    assert (interval[..., 0] <= mean + 1e-9).all() and (mean <= interval[..., 1] + 1e-9).all()
    assert mean[0, 0] > 0.95  # clean on clean: the classes are plain to see
    assert mean[5].max() < 0.7  # one pixel for the whole scene cannot tell left from right
    exposures = grid.scores[:, 1:] * 5  # noisy levels are judged over five exposures
    assert np.allclose(exposures, exposures.round()) and len(np.unique(exposures.round())) > 2
    assert set(np.unique(grid.scores[:, 0])) <= {0.0, 1.0}  # the clean level is judged once
    labels = [text.get_text() for axes in figure.axes for text in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    assert {"clean", "200 photons", "5 photons", "contrast 0.5"} <= set(labels)
    assert "pixel 2 scene pixels, exposure 200 photons" in labels
    assert figure.axes[0].get_xlabel() == "tested at: exposure"
    shown = [text.get_text() for text in figure.axes[0].texts]
    half = (interval[..., 1] - interval[..., 0]) / 2
    assert shown == [f"{m:.2f}\n±{h:.2f}" for m, h in zip(mean.ravel(), half.ravel(), strict=True)]
    lines = [container for container in curves.axes[0].containers if container.has_yerr]
    assert len(lines) == 6 and np.allclose(lines[1].lines[0].get_ydata(), mean[1])


def test_card_23_what_is_learned_passes_the_audit():
    x, target = stripes(120, 0).images, stripes(120, 0).targets
    torch.manual_seed(0)
    # --- the user's lines
    blur, light = Blur(nn.Parameter(torch.tensor(1.0))), PhotonNoise(nn.Parameter(torch.tensor(50.0)))
    speckle, noise = SpeckleNoise(nn.Parameter(torch.tensor(0.3))), GaussianNoise(nn.Parameter(torch.tensor(0.1)))
    spoilt = SaltPepper(nn.Parameter(torch.tensor(0.1)))
    model = nn.Sequential(speckle, blur, PixelBinning(2), light, noise, spoilt, nn.Flatten(), nn.Linear(16, 2))
    audit = MovementAudit(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, lr=2e-2, lr_physics=5e-2))
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # ---
    assert set(audit_gradients(model).values()) == {"ok"} and audit.sentence(model) == ""
    # a network that may choose asks for more light and less noise of every kind
    assert float(light.exposure_photons.detach()) > 60 and float(noise.noise_rms.detach()) < 0.08
    assert float(speckle.contrast.detach()) < 0.25 and float(spoilt.probability.detach()) < 0.08
