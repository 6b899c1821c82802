"""Stained tissue: Beer and Lambert both ways, against scikit-image and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from skimage.color import combine_stains, hed_from_rgb, rgb_from_hed, separate_stains
from torch import nn

from physlayer import StainOpticalDensity
from physlayer.color.stains import light_through, optical_density, stain_vectors, unmix_density

HED = torch.from_numpy(rgb_from_hed).double()  # the same stains, rounded, rows not of length 1


def concentrations(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).double()


def test_unmixing_is_that_of_scikit_image_in_decades():
    """skimage counts in six decades and clips at 0."""
    light = 0.02 + 0.96 * concentrations(2, 3, 5, 6)
    ours = unmix_density(optical_density(light, floor=1e-6), HED)
    theirs = separate_stains(light.numpy(), hed_from_rgb, channel_axis=1)
    assert np.allclose(ours.clamp(min=0).numpy() / 6, theirs, atol=1e-12)


def test_mixing_is_that_of_scikit_image_in_decades():
    q = 0.5 * concentrations(2, 3, 5, 6)
    ours = light_through(torch.einsum("bshw,sc->bchw", q, HED))
    assert np.allclose(ours.numpy(), combine_stains(q.numpy() / 6, rgb_from_hed, channel_axis=1), atol=1e-12)


def test_the_layer_unmixes_as_scikit_image_up_to_the_length_of_the_vectors():
    light = 0.1 + 0.8 * concentrations(1, 3, 4, 4)
    layer = StainOpticalDensity(HED, output="concentrations", floor=1e-6).double()
    theirs = torch.from_numpy(separate_stains(light.numpy(), hed_from_rgb, channel_axis=1))
    lengths = HED.norm(dim=1).view(3, 1, 1)
    assert torch.allclose((layer(light) / lengths).clamp(min=0) / 6, theirs, atol=1e-12)


@pytest.mark.parametrize("names", [("haematoxylin", "eosin", "DAB"), ("haematoxylin", "eosin")])
def test_concentrations_come_back_from_the_light_exactly(names):
    q, stains = concentrations(2, len(names), 5, 6), stain_vectors(*names).double()
    light = StainOpticalDensity(stains, input="concentrations", white=0.9).double()(q)
    back = StainOpticalDensity(stains, output="concentrations", white=0.9).double()(light)
    assert torch.allclose(back, q, atol=1e-12)


def test_angle_and_condition_of_the_stains_are_those_of_the_published_vectors():
    stains = stain_vectors("haematoxylin", "eosin", "DAB").double()
    assert math.degrees(math.acos(float(stains[0] @ stains[1]))) == pytest.approx(39.2, abs=0.1)
    assert float(torch.linalg.cond(stains[:2])) == pytest.approx(2.81, abs=0.01)
    assert float(torch.linalg.cond(stains)) == pytest.approx(3.82, abs=0.01)


def test_light_passes_unchanged_where_the_amount_is_one_whatever_else_absorbs():
    light = 0.01 + 0.98 * concentrations(2, 3, 5, 6)
    for names in (("haematoxylin", "eosin", "DAB"), ("haematoxylin", "eosin"), ("eosin",)):
        assert torch.allclose(StainOpticalDensity(stain_vectors(*names)).double()(light), light, atol=1e-9)


def test_twice_the_amount_doubles_the_density_of_one_stain_and_leaves_the_others():
    q = concentrations(1, 3, 4, 4)
    light = StainOpticalDensity(input="concentrations").double()(q)
    restained = StainOpticalDensity(amount=torch.tensor([2.0, 1.0, 1.0])).double()(light)
    back = StainOpticalDensity(output="concentrations").double()(restained)
    assert torch.allclose(back, q * torch.tensor([2.0, 1.0, 1.0]).view(3, 1, 1), atol=1e-9)


def test_densities_of_layers_in_series_add():
    first, second = concentrations(1, 3, 4, 4), concentrations(1, 3, 4, 4, seed=1)
    both = optical_density(light_through(first) * light_through(second), floor=1e-9)
    assert torch.allclose(both, first + second)


def test_photon_noise_of_the_density_is_log_e_over_the_root_of_the_photons():
    """σ = 0.4343 / √(N 10^−D)."""
    photons, density = 10_000.0, 0.8
    counts = torch.poisson(torch.full((400, 400), photons * 10**-density), generator=torch.Generator().manual_seed(0))
    spread = float(optical_density(counts / photons).std())
    assert spread == pytest.approx(0.4343 / math.sqrt(photons * 10**-density), rel=0.01)


def test_relative_precision_of_a_concentration_is_best_at_density_two_over_ln_ten():
    density = torch.linspace(0.1, 3, 2901).double()
    relative = 1 / (torch.sqrt(light_through(density)) * density)
    assert float(density[relative.argmin()]) == pytest.approx(2 / math.log(10), abs=1e-3)


def test_density_of_a_broad_band_grows_less_than_the_concentration():
    """An absorber of density 0.2 to 1.6 over the band, against the integral; only a flat one is proportional."""
    amounts = (0.5, 1, 1.5, 2, 2.5, 3)
    spectrum = torch.linspace(0.2, 1.6, 100_001).double()
    band = [float(optical_density(light_through(c * spectrum).mean(), floor=1e-9)) for c in amounts]
    integral = [-math.log10((10 ** (-0.2 * c) - 10 ** (-1.6 * c)) / (1.4 * c * math.log(10))) for c in amounts]
    assert band == pytest.approx(integral, abs=1e-4)
    coarse = [float(optical_density(light_through(c * spectrum[::3125]).mean(), floor=1e-9)) for c in amounts]
    assert coarse == pytest.approx([0.401, 0.715, 0.967, 1.178, 1.364, 1.532], abs=3e-3)  # 33 bins
    assert all(later < earlier for earlier, later in pairwise(np.diff(band)))


def test_black_pixels_have_the_largest_density_and_the_slope_of_the_floor():
    light = torch.tensor([-0.1, 0.0, 1e-3, 0.1], requires_grad=True)
    density = optical_density(light)
    density.sum().backward()
    assert density.tolist() == pytest.approx([3, 3, 3, 1])
    assert light.grad.tolist() == pytest.approx([-1 / (v * math.log(10)) for v in (1e-3, 1e-3, 1e-3, 0.1)], rel=1e-5)


def test_gradients_of_light_stains_and_amount_agree_with_finite_differences():
    light = (0.05 + 0.9 * concentrations(1, 3, 2, 2)).requires_grad_()
    stains = stain_vectors("haematoxylin", "eosin").double().requires_grad_()
    torch.autograd.gradcheck(lambda x, m: unmix_density(optical_density(x), m), (light, stains))


def test_learned_stains_stay_non_negative_and_of_length_one():
    layer = StainOpticalDensity(
        nn.Parameter(stain_vectors("haematoxylin", "eosin", "DAB")), amount=nn.Parameter(torch.full((3,), 1.2))
    )
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    x = 0.05 + 0.9 * concentrations(2, 3, 8, 8).float()
    target = 0.1 + 0.5 * concentrations(2, 3, 8, 8, seed=1).float()
    for _ in range(20):
        loss = (layer(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vectors = layer.physical()["stains"]
        assert float(vectors.min()) >= 0 and torch.allclose(vectors.norm(dim=1), torch.ones(3))
        assert float(layer.physical()["amount"].min()) > 0


def test_a_stain_of_unknown_colour_is_learned_from_light_and_concentrations():
    planted = StainOpticalDensity(stain_vectors("eosin"), input="concentrations")
    layer = StainOpticalDensity(nn.Parameter(torch.full((1, 3), 0.5)), input="concentrations")
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    q = concentrations(2, 1, 8, 8).float()
    for _ in range(200):
        loss = (layer(q) - planted(q)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.allclose(layer.physical()["stains"], planted.physical()["stains"], atol=0.02)


def test_what_cannot_be_unmixed_is_refused():
    alike = torch.tensor([[0.6, 0.7, 0.3], [0.6, 0.7, 0.3]])
    with pytest.raises(ValueError, match="cannot be told apart"):
        StainOpticalDensity(alike)
    with pytest.raises(ValueError, match="cannot be told apart"):
        unmix_density(torch.rand(1, 3, 2, 2), alike)
    with pytest.raises(ValueError, match="at most as many as the 3 channels"):
        StainOpticalDensity(0.1 + torch.rand(4, 3))
    StainOpticalDensity(0.1 + torch.rand(4, 3), input="concentrations")  # to light there is no such limit
    with pytest.raises(ValueError, match="among haematoxylin"):
        stain_vectors("hematoxylin")
    with pytest.raises(ValueError, match="one per stain"):
        StainOpticalDensity(amount=torch.ones(2))
    with pytest.raises(ValueError, match="above 0"):
        StainOpticalDensity(white=0.0)
    with pytest.raises(ValueError, match="lie in"):
        StainOpticalDensity(torch.tensor([[0.5, -0.5, 0.1]]))
    with pytest.raises(ValueError, match="3 channels"):
        StainOpticalDensity()(torch.rand(1, 4, 8, 8))


def test_half_precision_around_the_layer_does_not_round_its_density():
    x = 0.1 + 0.8 * concentrations(1, 3, 4, 4).float()
    layer = StainOpticalDensity(amount=1.5).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.float32 and torch.equal(y, layer(x))
