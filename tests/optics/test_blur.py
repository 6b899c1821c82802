"""Gaussian blur against scipy, and what a point spread function promises."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from torch import nn

from physlayer import Blur
from physlayer.optics.blur import disc_kernel, gaussian_kernel
from physlayer.optics.convolution import BORDERS
from physlayer.optics.convolution import convolve as convolved

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
        line = gaussian_kernel(sigma, 8)
        return convolved(x, line[:, :, None] * line[:, None, :])

    sigma = torch.tensor([0.6, 1.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blurred, (sigma,))
    disc = torch.tensor([1.7, 2.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda disc: convolved(x, disc_kernel(disc, 4)), (disc,))


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
        (lambda: Blur(), "Expected exactly one of sigma_pixels, disc_pixels, kernel, but got none"),
        (lambda: Blur(1.0, disc_pixels=2.0), "Expected exactly one of .* but got sigma_pixels, disc_pixels"),
        (lambda: Blur(kernel=torch.ones(2, 3)), r"Expected kernel to be \(h, w\) or \(C, h, w\) of odd size"),
        (lambda: Blur(kernel=torch.ones(3, 3), radius=2), "Expected no radius with a kernel"),
        (lambda: Blur(kernel=torch.zeros(3, 3)), "Expected kernel to have a positive sum"),
        (lambda: Blur(kernel=torch.tensor([[1.0, -0.1, 0.2]])), "Expected kernel to lie in"),
        (lambda: Blur(disc_pixels=9.0, radius=4), "Expected disc_pixels to lie in"),
    ],
)
def test_impossible_blur_is_refused_with_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_disc_of_defocus_has_its_area_and_its_transfer_function():
    """The integral of a uniform disc: 2 J1(2πfR)/(2πfR) along an axis, as closely as pixels allow."""
    from scipy.special import j1

    radius, size = 6.0, 96
    kernel = disc_kernel(torch.tensor(radius, dtype=torch.float64), 8)
    assert float(kernel.max()) == pytest.approx(1 / (math.pi * radius**2), rel=0.01)
    transfer = torch.fft.fft2(kernel, s=(size, size)).abs()[0]
    for cycles in (2, 4, 6):
        argument = 2 * math.pi * cycles / size * radius
        assert float(transfer[cycles]) == pytest.approx(abs(2 * j1(argument) / argument), abs=0.01)


def test_kernel_of_any_shape_is_divided_by_its_sum_and_moves_the_image_as_it_is_drawn():
    x, kernel = images(2, 3, 14, 11), images(3, 5, 7, seed=4)
    y = Blur(kernel=4 * kernel, border="circular").double()(x)
    expected = [
        [convolve(c, (k / k.sum()), mode="wrap") for c, k in zip(image, kernel.numpy(), strict=True)]
        for image in x.numpy()
    ]
    assert np.allclose(y.numpy(), expected, atol=1e-12)
    corner = torch.zeros(5, 5, dtype=torch.float64)
    corner[4, 4] = 1
    assert torch.allclose(Blur(kernel=corner, border="circular").double()(x), x.roll((2, 2), (2, 3)), atol=1e-12)


def test_learned_kernel_stays_non_negative_keeps_the_light_and_finds_an_unknown_one():
    x = images(8, 1, 24, 24)
    wanted = torch.zeros(5, 5, dtype=torch.float64)
    wanted[1, 3], wanted[2, 2], wanted[4, 0] = 0.5, 0.3, 0.2
    seen = Blur(kernel=wanted).double()(x)
    layer = Blur(kernel=nn.Parameter(torch.full((5, 5), 0.04, dtype=torch.float64))).double()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.2)
    for _ in range(150):
        loss = (layer(x) - seen).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = layer.physical()["kernel"]
    assert bool((found >= 0).all()) and float(found.sum()) == pytest.approx(1)
    assert float((found - wanted).abs().max()) < 0.01


def test_kernel_that_starts_as_the_identity_leaves_it_stays_non_negative_and_finds_an_unknown_one():
    """Values of 0 are learned by their magnitude, with a gradient at 0; the start counts as divided by its sum."""
    x, truth = images(4, 1, 16, 16).float(), torch.tensor([[0.0, 0.1, 0.0], [0.2, 0.4, 0.0], [0.0, 0.3, 0.0]])
    seen, start = Blur(kernel=truth)(x), torch.zeros(3, 3)
    start[1, 1] = 200.0
    layer = Blur(kernel=nn.Parameter(start))
    assert torch.equal(layer(x), x)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(300):
        loss = (layer(x) - seen).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert int((layer.free_parameter("kernel").grad != 0).sum()) >= 8  # the middle alone may have none
        optimizer.step()
        assert float(layer.physical()["kernel"].min()) >= 0
    assert torch.allclose(layer.physical()["kernel"], truth, atol=0.02)
    with pytest.raises(ValueError, match="0 or more"):
        Blur(kernel=nn.Parameter(torch.tensor([[0.0, 2.0, -1.0]])))
    with pytest.raises(ValueError, match="positive sum"):
        Blur(kernel=nn.Parameter(torch.zeros(3, 3)))
