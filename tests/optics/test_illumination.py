"""Sums of LED pictures, their budget, and the stack that a coherent microscope gives."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer import CoherentImaging, GaussianNoise, LedIllumination, camera_cost
from physlayer.optics.coherent import plane_wave, thin_sample
from physlayer.optics.illumination import coherent_sum, led_grid, led_stack, led_tilts


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_led_alone_shows_its_picture_exactly():
    """F2.11."""
    stack = images(2, 25, 6, 7)
    for led in (0, 12, 24):
        weights = torch.zeros(25).index_fill(0, torch.tensor(led), 0.7)
        assert torch.equal(LedIllumination(weights).double()(stack), stack[:, led : led + 1])
        assert torch.equal(LedIllumination(-weights, signed=True).double()(stack), -stack[:, led : led + 1])


@pytest.mark.parametrize("signed", [False, True])
def test_light_of_leds_adds(signed):
    """F2.11: layer(aX + bY) = a layer(X) + b layer(Y)."""
    layer = LedIllumination(images(3, 5, seed=1) - (0.5 if signed else 0), signed=signed).double()
    x, y = images(2, 10, 6, 7), images(2, 10, 6, 7, seed=2)
    assert torch.allclose(layer(0.3 * x + 0.6 * y), 0.3 * layer(x) + 0.6 * layer(y), atol=1e-12)


def test_layer_is_a_convolution_of_one_pixel_without_a_bias():
    stack, weights = images(2, 25, 6, 7), images(4, 25, seed=1)
    shares = weights / weights.sum(1, keepdim=True)
    assert torch.allclose(
        LedIllumination(weights).double()(stack), F.conv2d(stack, shares[:, :, None, None]), atol=1e-12
    )


def test_convention_the_channels_of_an_led_lie_beside_each_other():
    stack = images(1, 6, 3, 3)  # LED 0 red, green, blue, LED 1 red, green, blue
    seen = LedIllumination(torch.tensor([0.0, 1.0])).double()(stack)
    assert torch.equal(seen, stack[:, 3:])
    three = led_stack(images(1, 3, 16, 16), led_grid(3, 1.0), CoherentImaging(5).double())
    assert three.shape == (1, 27, 16, 16)


@pytest.mark.parametrize("budget", [1.0, 0.25, 3.0])
def test_all_light_of_an_exposure_is_the_budget_whatever_is_learned(budget):
    layer = LedIllumination(nn.Parameter(torch.rand(2, 25) + 0.1), light_budget=budget)
    for push in (0.0, 5.0, -5.0):
        with torch.no_grad():
            layer.free_parameter("weights").add_(push * torch.rand(2, 25))
        assert torch.allclose(layer.patterns().sum(1), torch.tensor(budget), rtol=1e-5)
        assert bool((layer.patterns() >= 0).all())
    signed = LedIllumination(torch.randn(2, 25), signed=True, light_budget=budget)
    assert torch.allclose(signed.patterns().view(2, 2, 25).sum((1, 2)), torch.tensor(budget), rtol=1e-5)
    assert bool((signed.patterns() >= 0).all()) and len(signed.patterns()) == 4


def test_signed_weights_are_two_exposures_and_their_noise_adds():
    stack = images(1, 4, 100, 100).float()
    weights = torch.tensor([0.5, -0.25, 0.5, -1.0])
    plain = LedIllumination(weights, signed=True)
    pair = LedIllumination(weights, signed=True, output="exposures")
    both = pair(stack)
    assert both.shape == (1, 2, 100, 100) and bool((both >= 0).all())
    assert torch.allclose(pair.decoder()(both), plain(stack), atol=1e-6)
    camera = nn.Sequential(pair, GaussianNoise(0.1), pair.decoder()).eval()
    assert float((camera(stack) - plain(stack)).std()) == pytest.approx(0.1 * math.sqrt(2), rel=0.03)
    assert plain.cost((4, 100, 100))["exposures"] == pair.cost((4, 100, 100))["exposures"] == 2
    assert camera_cost(camera, (4, 100, 100))["n_samples"] == 20_000
    several = LedIllumination(torch.randn(3, 2), signed=True, output="exposures")
    assert several.decoder()(several(stack)).shape == (1, 6, 100, 100)


def test_learning_finds_the_pattern_that_tells_two_samples_apart():
    stack = images(8, 9, 4, 4)
    target = LedIllumination(torch.tensor([1.0, -1, 0.5, 0, 0, -0.5, 0, 0, 1]), signed=True).double()(stack)
    start = nn.Parameter(0.1 + 0.1 * images(9, seed=3))
    layer = LedIllumination(start, signed=True).double()
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = 1e3 * (layer(stack) - target).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float((layer(stack) - target).detach().abs().max()) < 1e-3


def test_stack_is_what_the_microscope_shows_under_each_tilt():
    x, tilts = images(2, 2, 16, 20), torch.tensor([[0.0, 0.0], [3.0, -1.0], [0.5, 6.2]])
    stack = led_stack(x, tilts, CoherentImaging(6, absorption=0.4).double())
    for k, tilt in enumerate(tilts):
        alone = CoherentImaging(6, absorption=0.4, tilt_cycles=tilt).double()(x)
        assert torch.allclose(stack[:, 2 * k : 2 * k + 2], alone, atol=1e-6)


def test_leds_beyond_the_aperture_give_a_dark_field_and_those_within_a_bright_one():
    sines = torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.0, 0.3], [0.3, 0.3]])
    tilts = led_tilts(sines, 0.5, 0.25, (64, 64))
    microscope = CoherentImaging(8)  # NA 0.25 there
    stack = led_stack(torch.zeros(1, 1, 64, 64), tilts.round(), microscope)
    assert torch.allclose(stack.mean((0, 2, 3)), torch.tensor([1.0, 1.0, 0.0, 0.0]), atol=1e-6)


def test_opposite_leds_show_a_weak_phase_with_opposite_sign():
    """Differential phase contrast: I(+) − I(−) is odd in the phase, and 0 for pure absorption."""
    phase = 0.01 * images(1, 1, 32, 32)
    tilts = torch.tensor([[0.0, 5.0], [0.0, -5.0]])
    contrast = LedIllumination(torch.tensor([1.0, -1.0]), signed=True).double()
    once = contrast(led_stack(phase, tilts, CoherentImaging(7).double()))
    turned = contrast(led_stack(-phase, tilts, CoherentImaging(7).double()))
    assert float(once.std()) > 1e-3
    assert torch.allclose(once, -turned, atol=0.05 * float(once.abs().max()))
    absorbing = CoherentImaging(7, thickness_waves=0.0, absorption=0.1).double()
    assert float(contrast(led_stack(10 * phase, tilts, absorbing)).abs().max()) < 1e-12


def test_a_common_phase_changes_nothing_and_n_sources_in_phase_give_n_squared():
    """F2.12."""
    fields = torch.complex(images(2, 5, 4, 3), images(2, 5, 4, 3, seed=1))
    amplitude, phase = images(5, seed=2), images(5, seed=3)
    y = coherent_sum(fields, amplitude, phase)
    assert torch.allclose(coherent_sum(fields, amplitude, phase + 0.37), y, atol=1e-12)
    same = fields[:, :1].expand(-1, 8, -1, -1)
    one = coherent_sum(fields[:, :1], torch.ones(1).double())
    assert torch.allclose(coherent_sum(same, torch.ones(8).double()), 64 * one, atol=1e-10)
    plane = thin_sample(images(1, 1, 4, 3)) * plane_wave((4, 3), torch.tensor([[1.0, 0.0]]).double())
    assert coherent_sum(plane, torch.ones(1).double()).shape == (1, 1, 4, 3)


def test_grid_of_leds_is_centred_on_the_axis():
    grid = led_grid(5, 1.5)
    assert grid.shape == (25, 2) and torch.equal(grid[12], torch.zeros(2))
    assert torch.allclose(grid.sum(0), torch.zeros(2)) and torch.equal(grid, -grid.flip(0))


def test_autocast_changes_nothing():
    layer, x = LedIllumination(torch.rand(25)), torch.rand(1, 25, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert torch.equal(y, layer(x)) and y.dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LedIllumination(torch.tensor([0.5, -0.5])), "Expected weights to lie in"),
        (lambda: LedIllumination(torch.zeros(3)), "Expected weights to light at least one LED"),
        (lambda: LedIllumination(torch.ones(2, 2, 2)), "Expected weights to be"),
        (lambda: LedIllumination(nn.Parameter(torch.ones(1))), "Expected at least 2 LEDs"),
        (lambda: LedIllumination(torch.ones(3), output="both"), "Expected output to be one of"),
        (lambda: LedIllumination(torch.ones(3)).decoder(), "nothing to subtract"),
        (lambda: LedIllumination(torch.ones(3))(torch.rand(1, 4, 8, 8)), "Expected images of 3 LEDs"),
        (lambda: led_stack(torch.rand(1, 1, 8, 8), torch.zeros(2), CoherentImaging(3)), "Expected tilt_cycles to be"),
        (lambda: coherent_sum(torch.rand(1, 3, 2, 2), torch.ones(3)), "Expected fields to be complex"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
