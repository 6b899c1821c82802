"""Gaussian blur against scipy, and what a point spread function promises."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, gaussian_filter
from torch import nn

from physlayer import Blur
from physlayer.blur import BORDERS, convolve_separable, gaussian_kernel

SCIPY = {"reflect": "reflect", "circular": "wrap", "zero": "constant"}


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def impulse(size=33):
    x = torch.zeros(1, 1, size, size, dtype=torch.float64)
    x[0, 0, size // 2, size // 2] = 1
    return x


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(37, 31), (5, 4), (1, 9)])
@pytest.mark.parametrize("sigma", [0.4, 1.3, 3.0])
def test_blur_is_that_of_scipy(sigma, size, border):
    """Also where the kernel is larger than the image."""
    x, layer = images(2, 3, *size), Blur(sigma, border=border).double()
    expected = [
        [gaussian_filter(c, layer.sigma_pixels.item(), mode=SCIPY[border], radius=layer.radius) for c in image]
        for image in x.numpy()
    ]
    assert np.allclose(layer(x).numpy(), expected, atol=1e-12)
    assert layer.radius >= 4 * sigma


@pytest.mark.parametrize("border", BORDERS)
def test_kernels_are_convolved_and_not_correlated(border):
    x, rows, columns = images(1, 2, 11, 8), images(5, seed=1), images(7, seed=2)
    expected = convolve1d(
        convolve1d(x.numpy(), rows.numpy(), axis=2, mode=SCIPY[border]), columns.numpy(), axis=3, mode=SCIPY[border]
    )
    assert np.allclose(convolve_separable(x, rows, columns, border).numpy(), expected, atol=1e-12)
    down = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    moved = convolve_separable(x, down, torch.ones(1, dtype=torch.float64), "circular")
    assert torch.equal(moved, x.roll(2, 2))


@pytest.mark.parametrize("border", ["reflect", "circular"])
def test_light_is_conserved(border):
    x = images(2, 3, 13, 10)
    y = Blur(2.5, border=border).double()(x)
    assert torch.allclose(y.sum((2, 3)), x.sum((2, 3)), atol=1e-10)
    assert torch.allclose(Blur(2.5, border=border).double()(torch.full_like(x, 0.3)), torch.full_like(x, 0.3))


def test_darkness_beyond_the_border_takes_light_away():
    x = torch.ones(1, 1, 20, 20, dtype=torch.float64)
    y = Blur(1.5, border="zero").double()(x)
    assert float(y[0, 0, 10, 10]) == pytest.approx(1, abs=1e-3) and float(y[0, 0, 0, 10]) < 0.7
    assert float(y.sum()) < float(x.sum())


@pytest.mark.parametrize("border", BORDERS)
def test_adjoint_of_a_symmetric_blur_is_itself(border):
    layer, x, y = Blur(1.7, border=border).double(), images(1, 2, 12, 9), images(1, 2, 12, 9, seed=1)
    assert float((layer(x) * y).sum()) == pytest.approx(float((x * layer(y)).sum()), rel=1e-12)


def test_no_width_is_the_identity():
    x = images(1, 3, 8, 9)
    assert torch.equal(Blur(0.0).double()(x), x)
    assert torch.allclose(Blur(0.1).double()(x), x, atol=1e-12)
    tiny = Blur(nn.Parameter(torch.tensor(0.01, dtype=torch.float64))).double()
    with torch.no_grad():
        tiny.free_parameter("sigma_pixels").fill_(-80.0)
    y = tiny(x.requires_grad_())
    y.sum().backward()
    assert torch.allclose(y, x, atol=1e-12)
    assert torch.isfinite(tiny.free_parameter("sigma_pixels").grad)


def test_widths_add_in_quadrature():
    x = impulse(101)
    twice = Blur(4.0).double()(Blur(3.0).double()(x))
    once = Blur(5.0).double()(x)
    assert float((twice - once).abs().max()) < 2e-3 * float(once.max())


def test_contrast_of_a_grating_falls_as_the_gaussian_transfer_function():
    """exp(−2π²σ²f²), on a circular scene."""
    sigma, size = 1.5, 48
    place = torch.arange(size, dtype=torch.float64)
    for cycles in (2, 5, 8):
        x = 0.5 + 0.5 * torch.cos(2 * math.pi * cycles * place / size).expand(1, 1, size, -1)
        y = Blur(sigma, border="circular").double()(x)
        expected = math.exp(-2 * (math.pi * sigma * cycles / size) ** 2)
        assert float(2 * (y - 0.5).abs().max()) == pytest.approx(expected, abs=2e-4)


def test_gradient_of_the_width_is_exact():
    x = images(1, 2, 6, 7)

    def blurred(sigma):
        kernel = gaussian_kernel(sigma, 8)
        return convolve_separable(x, kernel, kernel)

    sigma = torch.tensor([0.6, 1.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blurred, (sigma,))


def test_learning_recovers_the_width_of_an_unknown_blur():
    x = images(4, 1, 24, 24)
    seen = Blur(1.8).double()(x)
    layer = Blur(nn.Parameter(torch.tensor(0.7, dtype=torch.float64)), radius=12).double()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(150):
        loss = (layer(x) - seen).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(layer.sigma_pixels.detach()) == pytest.approx(1.8, abs=0.01)
    assert layer.radius == 12  # the kernel's length is hardware: it does not follow the width


def test_a_learned_width_never_outgrows_its_kernel():
    layer = Blur(nn.Parameter(torch.tensor(1.0)), radius=6)
    with torch.no_grad():
        layer.free_parameter("sigma_pixels").fill_(50.0)
    assert float(layer.sigma_pixels.detach()) <= 6 / 4
    y = layer(impulse().float())
    assert float(y.sum().detach()) == pytest.approx(1, abs=1e-5)


def test_each_colour_has_a_width_of_its_own():
    x = images(1, 3, 16, 15)
    y = Blur(torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)).double()(x)
    for channel, sigma in enumerate((0.5, 1.0, 2.0)):
        alone = Blur(sigma, radius=8).double()(x[:, channel : channel + 1])
        assert torch.allclose(y[:, channel : channel + 1], alone, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blur(-1.0), "Expected sigma_pixels to lie in"),
        (lambda: Blur(1.35, radius=1), "Expected sigma_pixels to lie in"),  # 3×3 pixels cut σ = 1.35 short
        (lambda: Blur(nn.Parameter(torch.tensor(3.0)), radius=4), "Expected learned sigma_pixels to lie strictly"),
        (lambda: Blur(float("nan")), "Expected sigma_pixels to be finite"),
        (lambda: Blur(1.0, border="wrap"), "Expected border to be one of reflect, circular, zero, but got 'wrap'"),
        (lambda: Blur(torch.ones(4, 4)), r"Expected sigma_pixels to be one number or \(C, 1, 1\)"),
        (lambda: convolve_separable(impulse(), torch.ones(2), torch.ones(3)), "Expected kernels to have an odd length"),
    ],
)
def test_impossible_blur_is_refused_with_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
