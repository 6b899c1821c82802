"""Tomography: class-project card 18 against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.transform import iradon, radon
from torch import nn
from torch.nn import functional as F

from physlayer import ProjectionSampling
from physlayer.sampling.projection import backproject, project


def disc(size=64, radius=18.0, supersample=4):
    axis = (torch.arange(size * supersample) + 0.5) / supersample - 0.5 - size // 2
    fine = (axis[:, None] ** 2 + axis[None] ** 2 <= radius**2).float()
    return F.avg_pool2d(fine[None, None], supersample)


def smooth(size=64, seed=0):
    """A soft random object inside the circle."""
    noise = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(seed))
    soft = F.avg_pool2d(F.avg_pool2d(noise, 9, 1, 4), 9, 1, 4)
    return (soft - soft.min()) / (soft.max() - soft.min()) * disc(size, size * 0.35)


def test_projections_are_those_of_scikit_image():
    x, angles = smooth(), np.arange(0, 180, 15.0)
    expected = radon(x[0, 0].numpy(), theta=angles, circle=True).T
    found = project(x, torch.from_numpy(np.deg2rad(angles)).float())[0, 0].numpy()
    assert np.abs(found - expected).max() < 0.03 * expected.max()


def test_projection_keeps_the_light_of_every_view():
    x = disc()
    sums = project(x, torch.linspace(0, 3, 11)).sum(-1)
    assert torch.allclose(sums, x.sum().expand_as(sums), rtol=1e-5)


def test_a_disc_projects_to_its_chords():
    t = (torch.arange(64 * 50) + 0.5) / 50 - 0.5 - 32
    chords = 2 * (18.0**2 - t**2).clamp(min=0).sqrt().view(64, 50).mean(1)  # a detector has a width
    found = project(disc(), torch.tensor([0.3, 1.1, 2.0])).mean(2)[0, 0]
    assert float((found - chords).abs().max()) < 0.8  # of 36


def test_back_projection_is_the_transpose_of_projection():
    generator = torch.Generator().manual_seed(0)
    angles = torch.linspace(0, 3.1, 13, dtype=torch.float64)
    x = torch.rand(2, 1, 21, 21, generator=generator, dtype=torch.float64)
    y = torch.rand(2, 1, 13, 21, generator=generator, dtype=torch.float64)
    one, other = float((project(x, angles) * y).sum()), float((x * backproject(y, angles)).sum())
    assert one == pytest.approx(other, rel=1e-12)


def test_many_views_with_ram_lak_recover_a_disc():
    x = disc()
    y = ProjectionSampling(180).eval()(x)
    inside, outside = disc(radius=14.0) == 1, disc(radius=22.0) == 0
    assert float(y[inside].mean()) == pytest.approx(1.0, abs=0.02)
    assert float((y - x)[inside | outside].abs().mean()) < 0.03


def test_reconstruction_is_that_of_scikit_image():
    x, angles = smooth(), np.arange(0, 180, 3.0)
    expected = iradon(radon(x[0, 0].numpy(), theta=angles, circle=True), theta=angles, filter_name="ramp", circle=True)
    found = ProjectionSampling(60).eval()(x)[0, 0].numpy()
    circle = disc(radius=26.0)[0, 0].numpy() == 1
    assert np.abs(found - expected)[circle].max() < 0.06


def test_fewer_views_reconstruct_worse():
    x = smooth()
    errors = [float((ProjectionSampling(v).eval()(x) - x).square().mean()) for v in (2, 5, 20, 60)]
    assert errors == sorted(errors, reverse=True)


def test_exactly_the_wanted_views_are_taken():
    layer = ProjectionSampling(20, logits=nn.Parameter(torch.randn(20)), keep=5, output="sinogram")
    x = torch.rand(3, 1, 16, 16)
    for mode in (True, False):
        taken = (layer.train(mode)(x).abs().sum((1, 3)) > 0).sum(1)
        assert taken.tolist() == [5, 5, 5]


def test_without_logits_all_views_are_taken_and_cost_as_much():
    layer = ProjectionSampling(7)
    assert layer.cost((1, 16, 16))["views"] == 7 and "keep" not in layer.settings()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"logits": torch.ones(4)}, "Expected logits and keep together, but got only one"),
        ({"keep": 2}, "Expected logits and keep together, but got only one"),
        ({"logits": torch.rand(5), "keep": 2}, r"Expected logits to be \(4,\), but got \(5,\)"),
        ({"logits": torch.tensor(1.0), "keep": 1}, r"Expected logits to be \(4,\), but got \(\)"),
    ],
)
def test_a_choice_of_views_needs_a_number_for_each_and_how_many(choice, message):
    with pytest.raises(ValueError, match=message):
        ProjectionSampling(4, **choice)


def test_oblong_images_are_refused():
    with pytest.raises(ValueError, match="Expected square images"):
        ProjectionSampling(4)(torch.rand(1, 1, 8, 9))
