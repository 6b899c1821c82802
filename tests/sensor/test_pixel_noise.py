"""Gaussian, photon, speckle and salt-and-pepper noise: their statistics, units and gradients."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammainc, gammaincinv
from scipy.stats import gamma, kstest
from torch import nn

from physlayer import BitDepth, GaussianNoise, PhotonNoise, SaltPepper, SpeckleNoise, noise_draw, seed_noise
from physlayer.sensor.pixel_noise import salt_and_pepper

NOISES = {
    "gaussian": lambda: GaussianNoise(0.1),
    "photon": lambda: PhotonNoise(100.0),
    "speckle": lambda: SpeckleNoise(0.5),
    "salt and pepper": lambda: SaltPepper(0.3),
}
each_noise = pytest.mark.parametrize("make", NOISES.values(), ids=NOISES)


def flat(value, images=1, size=512, dtype=torch.float32):
    return torch.full((images, 1, size, size), float(value), dtype=dtype)


def number(value):
    return nn.Parameter(torch.tensor(value, dtype=torch.float64))


@each_noise
def test_noise_is_fresh_for_every_image_and_every_pass_in_training(make):
    layer, x = make().train(), flat(0.5, images=2, size=64)
    once, again = layer(x) - 0.5, layer(x) - 0.5
    pairs = {"images of a batch": (once[0], once[1]), "passes": (once[0], again[0]), "across": (once[1], again[0])}
    for name, (a, b) in pairs.items():
        correlation = float(np.corrcoef(a.flatten(), b.flatten())[0, 1])
        assert abs(correlation) < 4 / 64, name  # four standard errors of 64² independent pixels


@each_noise
def test_noise_of_evaluation_belongs_to_the_image_and_the_draw(make):
    layer, x = make().eval(), torch.rand(4, 2, 9, 7, generator=torch.Generator().manual_seed(0))
    whole = layer(x)
    with noise_draw(layer, first=2):
        assert torch.equal(layer(x[2:]), whole[2:])
    with noise_draw(layer, draw=1):
        assert not torch.equal(layer(x), whole)
    seed_noise(layer, 7)  # of training: what eval() reads does not depend on it
    assert torch.equal(layer(x), whole)


@each_noise
def test_noise_leaves_torchs_own_generator_alone(make):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    layer = make()
    layer.train()(flat(0.5, size=4)), layer.eval()(flat(0.5, size=4))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("photons", [0.5, 3.0, 100.0, 10_000.0])
@pytest.mark.parametrize("scene", [0.1, 1.0])
def test_photon_noise_has_the_mean_of_the_scene_and_the_variance_mean_over_photons(photons, scene):
    """Within five standard errors of 2^20 pixels; relative error of a variance: sqrt((2 + 1/λ)/n)."""
    x, pixels = flat(scene, images=4), 2**20
    for mode in (True, False):
        y = PhotonNoise(photons).train(mode)(x).double()
        mean = photons * scene
        assert float(y.mean()) == pytest.approx(scene, abs=5 * math.sqrt(scene / photons / pixels))
        assert float(y.var()) == pytest.approx(scene / photons, rel=5 * math.sqrt((2 + 1 / mean) / pixels))
        assert torch.equal((y * photons).round(), (y * photons).round(decimals=2))  # whole photons


def test_no_light_has_no_photon_noise_and_no_speckle():
    assert not PhotonNoise(5.0)(flat(0.0)).any() and not SpeckleNoise(1.0)(flat(0.0)).any()


@pytest.mark.parametrize("scene", [0.2, 0.9])
def test_gaussian_noise_has_one_strength_at_all_levels_and_is_not_cut(scene):
    y = GaussianNoise(0.3)(flat(scene)).double()
    assert float(y.std()) == pytest.approx(0.3, rel=0.01) and float(y.mean()) == pytest.approx(scene, abs=0.003)
    assert kstest((y.flatten() - scene) / 0.3, "norm").pvalue > 1e-3
    assert float(y.min()) < 0 and float(y.max()) > 1
    codes = BitDepth(8)(y.float())
    assert float(codes.min()) == 0 and float(codes.max()) == 1  # the converter behind saturates


@pytest.mark.parametrize("contrast", [0.1, 0.5, 1.0])
def test_speckle_has_unit_mean_its_contrast_and_goodmans_law(contrast):
    """Gamma of shape 1/C²; at contrast 1 the negative exponential."""
    y = SpeckleNoise(contrast)(flat(0.4)).double().flatten() / 0.4
    assert float(y.mean()) == pytest.approx(1, abs=5 * contrast / 512)
    assert float(y.std()) == pytest.approx(contrast, rel=0.02)
    assert kstest(y, gamma(contrast**-2, scale=contrast**2).cdf).pvalue > 1e-3
    if contrast == 1:
        assert kstest(y, "expon").pvalue > 1e-3


def test_sum_of_four_developed_speckles_is_speckle_of_half_the_contrast():
    four = SpeckleNoise(1.0)(flat(1.0, images=4)).mean(0).flatten()
    assert kstest(four, gamma(4, scale=1 / 4).cdf).pvalue > 1e-3


@pytest.mark.parametrize("probability", [0.02, 0.5])
def test_salt_and_pepper_spoils_half_the_share_black_and_half_white(probability):
    y = SaltPepper(probability)(flat(0.3, images=4))
    for value, share in ((0.0, probability / 2), (1.0, probability / 2), (0.3, 1 - probability)):
        found = float((y == torch.tensor(value)).double().mean())
        assert found == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 2**20))


@pytest.mark.parametrize("make", [GaussianNoise, SpeckleNoise, SaltPepper], ids=lambda make: make.__name__)
def test_no_noise_is_the_identity(make):
    x = torch.rand(2, 3, 5, 6)
    assert torch.equal(make(0.0)(x), x)


def test_levels_of_one_kind_meet_the_same_random_numbers():
    """Common random numbers: twice the noise is twice the deviation, more defects spoil the same pixels and more."""
    x = flat(0.5, size=64)
    small, large = (GaussianNoise(level).eval()(x) - 0.5 for level in (0.05, 0.1))
    assert torch.allclose(2 * small, large, atol=1e-6)
    few, many = (SaltPepper(level).eval()(x) for level in (0.1, 0.3))
    assert torch.equal(many[few != 0.5], few[few != 0.5]) and int((many != 0.5).sum()) > int((few != 0.5).sum())


def test_gradient_of_gaussian_noise_is_its_reparametrisation():
    layer, x = GaussianNoise(number(0.2)).double(), flat(0.5, size=8, dtype=torch.float64).requires_grad_()
    layer(x).square().sum().backward()
    y = x.grad / 2  # ∂y/∂x = 1
    z = (y - 0.5) / 0.2
    assert float(z.std()) == pytest.approx(1, abs=0.3)
    # ∂y/∂σ = z, and the optimiser moves log σ
    assert float(layer.free_parameter("noise_rms").grad) == pytest.approx(float((2 * y * z).sum()) * 0.2)


def test_gradient_of_photon_noise_is_exact_to_second_order():
    """E y² = x² + x/N, so 2x + 1/N to the scene and −x/N² to the photons: within five standard errors."""
    scene, photons = 0.5, 20.0
    x = flat(scene, images=4, dtype=torch.float64).requires_grad_()
    layer = PhotonNoise(number(photons)).double()
    layer(x).square().mean().backward()
    assert float(x.grad.sum()) == pytest.approx(2 * scene + 1 / photons, rel=1e-3)
    found = float(layer.free_parameter("exposure_photons").grad) / photons  # the optimiser moves log N
    assert found == pytest.approx(-scene / photons**2, rel=0.03)


@pytest.mark.parametrize("contrast", [0.1, 0.4, 0.8])
def test_gradient_of_speckle_follows_its_quantiles(contrast):
    """Pathwise: ∂y/∂x is the speckle, and ∂y/∂C moves every draw along its quantile (scipy's inverse)."""
    layer = SpeckleNoise(nn.Parameter(torch.full((40, 40), contrast, dtype=torch.float64))).double()
    x = flat(0.7, size=40, dtype=torch.float64).requires_grad_()
    layer.parametrizations.contrast[0].forward = lambda free: free  # the gradient to C itself, not behind its bound
    with torch.no_grad():
        layer.free_parameter("contrast").fill_(contrast)
    y = layer(x)
    y.sum().backward()
    speckle = y.detach() / 0.7
    assert torch.allclose(x.grad, speckle)
    share = gammainc(contrast**-2, speckle.numpy()[0, 0] / contrast**2)

    def quantile(c):
        return 0.7 * gammaincinv(c**-2, share) * c**2

    step = 1e-4 * contrast
    expected = (quantile(contrast + step) - quantile(contrast - step)) / (2 * step)
    error = layer.free_parameter("contrast").grad.numpy() - expected
    assert np.abs(error).max() < 0.01 and np.abs(expected).max() > 1


def test_gradient_of_salt_and_pepper_is_that_of_its_expectation():
    scene, p = 0.2, 0.3
    x, layer = flat(scene, dtype=torch.float64).requires_grad_(), SaltPepper(number(p)).double()
    y = layer(x)
    y.mean().backward()
    assert torch.equal(x.grad * y.numel(), (y.detach() == scene).double())  # exactly the pixels that were read
    assert float(x.grad.sum()) == pytest.approx(1 - p, abs=0.005)  # on average ∂E y/∂x
    # ∂E y/∂p = 1/2 − x, behind the logistic bound p (1 − p)
    assert float(layer.free_parameter("probability").grad) == pytest.approx((0.5 - scene) * p * (1 - p), rel=1e-9)
    higher, lower = (float(SaltPepper(p + s)(flat(scene, images=16)).mean()) for s in (0.2, -0.2))
    assert (higher - lower) / 0.4 == pytest.approx(0.5 - scene, abs=0.01)  # what truly happens to the mean


def test_convention_ties_of_salt_and_pepper_lie_in_the_half_open_interval():
    x, edges = torch.full((4,), 0.5), torch.tensor([0.0, 0.25, 0.5, 0.75])
    assert salt_and_pepper(x, torch.tensor(0.5), edges).tolist() == [0.0, 0.5, 0.5, 1.0]


def test_readings_beyond_what_a_layer_accepts_saturate():
    """A converter behind must never take a bright speckle or a lone photon for codes that were not divided."""
    for layer in (SpeckleNoise(1.0), PhotonNoise(0.25)):
        y = layer.eval()(flat(1.0, size=1024))
        assert float(y.max()) <= 16
        BitDepth(8).eval()(y)
    assert float(SpeckleNoise(1.0)(flat(8.0)).max()) == 16


def test_photons_of_a_channel_can_differ():
    y = PhotonNoise(torch.tensor([10.0, 1000.0]).view(2, 1, 1))(torch.full((1, 2, 256, 256), 0.5))
    assert float(y[0, 0].var() / y[0, 1].var()) == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-0.1), "Expected noise_rms to lie in"),
        (lambda: PhotonNoise(0.1), "Expected exposure_photons to be at least 0.25, but got 0.1"),
        (lambda: PhotonNoise(nn.Parameter(torch.tensor(0.1))), "Expected exposure_photons to be at least 0.25"),
        (lambda: SpeckleNoise(1.1), "Expected contrast to lie in"),
        (lambda: SpeckleNoise(nn.Parameter(torch.tensor(1.0))), "Expected learned contrast to lie strictly inside"),
        (lambda: SaltPepper(-0.1), "Expected probability to lie in"),
        (lambda: SaltPepper(0.1, noise_seed=0.5), "Expected noise_seed to be a whole number"),
        (lambda: PhotonNoise(9.0)(flat(-0.1)), "Expected x to hold intensities"),
        (lambda: SpeckleNoise(0.5)(flat(-0.1)), "Expected x to hold intensities"),
    ],
)
def test_impossible_noise_is_refused_with_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_photons_are_counted_in_the_cost():
    assert PhotonNoise(50.0).cost((3, 4, 5))["photons"] == 50 * 60
