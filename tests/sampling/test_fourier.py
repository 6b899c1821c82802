"""k-space sampling: class-project card 16, and what the measurement promises."""

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import FourierSampling
from physlayer.sampling.fourier import centre, to_image, to_kspace


def test_kspace_is_that_of_numpy_and_keeps_energy():
    x = torch.rand(2, 1, 7, 8, dtype=torch.float64)
    expected = np.fft.fftshift(np.fft.fft2(x.numpy(), norm="ortho"), axes=(-2, -1))
    assert np.allclose(to_kspace(x).numpy(), expected)
    assert float(to_kspace(x).abs().square().sum()) == pytest.approx(float(x.square().sum()))
    assert torch.allclose(to_image(to_kspace(x)).real, x)


def test_all_columns_give_the_image():
    x = torch.rand(2, 3, 12, 16)
    assert torch.allclose(FourierSampling(nn.Parameter(torch.zeros(16)), keep=16).eval()(x), x, atol=1e-6)


@pytest.mark.parametrize("shape", [(16,), (12, 16)])
def test_exactly_keep_places_are_measured_in_both_modes(shape):
    on = torch.zeros(shape)
    on[..., 7:9] = 1
    layer = FourierSampling(nn.Parameter(torch.randn(shape)), keep=40 if len(shape) == 2 else 5, always_on=on)
    assert int(layer.mask.detach().sum()) == layer.keep and bool((layer.mask.detach()[on > 0] == 1).all())
    noise = layer.noise.gumbel(torch.zeros(6, *shape))
    masks = layer.drawn(noise)
    assert (masks.flatten(1).sum(1) == layer.keep).all() and bool((masks[:, on > 0] == 1).all())


def test_what_is_not_measured_does_not_leak():
    layer = FourierSampling(torch.arange(16.0), keep=4).eval()
    x = torch.rand(1, 1, 16, 16)
    hidden = to_image((1 - layer.mask.detach()) * to_kspace(torch.rand(1, 1, 16, 16)))
    seen = to_image(layer.mask.detach() * to_kspace(x))
    assert torch.allclose(to_image(layer.mask.detach() * to_kspace(seen + hidden)), seen, atol=1e-6)


def test_complex_output_has_the_real_and_imaginary_part():
    x = torch.rand(1, 2, 8, 8)
    layer = FourierSampling(nn.Parameter(torch.randn(8)), keep=3, output="complex").eval()
    y = layer(x)
    assert y.shape == (1, 4, 8, 8) == (1, *layer.output_shape((2, 8, 8)))
    image = to_image(layer.mask.detach().detach() * to_kspace(x))
    assert torch.allclose(torch.complex(y[:, :2], y[:, 2:]).detach(), image, atol=1e-6)


def test_too_few_lines_for_the_centre_are_refused():
    with pytest.raises(ValueError, match="Expected keep to be at least the 5"):
        FourierSampling(torch.zeros(16), keep=4, always_on=centre(16, 5))
