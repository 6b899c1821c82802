"""Convolution by FFT and direct, against scipy and torch, with its gradient."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from physlayer.core.fft import fast_length
from physlayer.optics.convolution import BORDERS, bordered, convolve

SCIPY = {"reflect": "reflect", "circular": "wrap", "zero": "constant"}


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(9, 12), (20, 31)])
@pytest.mark.parametrize("taps", [(3, 5), (7, 7), (25, 25), (1, 9), (65, 9)])
def test_convention_convolution_is_that_of_scipy_and_no_correlation(taps, size, border, method):
    """Also where the kernel is larger than the image."""
    x, kernel = images(2, 3, *size), images(3, *taps, seed=1)
    expected = [
        [ndimage.convolve(c, k, mode=SCIPY[border]) for c, k in zip(image, kernel.numpy(), strict=True)]
        for image in x.numpy()
    ]
    assert np.allclose(convolve(x, kernel, border=border, method=method).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kernel", [(2, 3, 5), (3, 3), (1, 5, 5), (2, 25, 9), (1, 29, 31)])
def test_gradient_of_the_product_of_transforms_is_exact(kernel, border):
    x, kernel = images(2, 2, 6, 7).requires_grad_(), images(*kernel, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, k: convolve(x, k, border=border, method="fft"), (x, kernel))


def test_gradient_of_one_input_alone_is_the_same():
    x, kernel = images(2, 2, 9, 8), images(7, 7, seed=1)
    grads = []
    for need_x, need_kernel in ((True, True), (True, False), (False, True)):
        a, k = x.clone().requires_grad_(need_x), kernel.clone().requires_grad_(need_kernel)
        convolve(a, k, method="fft").square().sum().backward()
        grads.append((a.grad, k.grad))
    assert torch.allclose(grads[0][0], grads[1][0]) and grads[1][1] is None
    assert torch.allclose(grads[0][1], grads[2][1]) and grads[2][0] is None


def test_borders_with_slices_are_those_with_indices():
    x = images(1, 1, 5, 4)
    for border in ("reflect", "circular"):
        near, far = bordered(x, 4, 3, border), bordered(x, 9, 3, border)
        assert torch.equal(near, far[..., 5:-5])


def test_half_precision_around_it_does_not_round():
    x, kernel = images(1, 1, 16, 16).float(), images(5, 5, seed=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = [convolve(x, kernel, method=method) for method in ("direct", "fft")]
    for found, method in zip(inside, ("direct", "fft"), strict=True):
        assert found.dtype == torch.float32 and torch.equal(found, convolve(x, kernel, method=method))


def test_fast_lengths_are_even_and_have_small_factors():
    for length in range(1, 400):
        size = fast_length(length)
        assert size >= length and size % 2 == 0 and size <= 1.2 * length + 2
        for factor in (2, 3, 5):
            while size % factor == 0:
                size //= factor
        assert size == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": torch.ones(2, 3)}, "Expected a kernel of odd size, but got 2×3"),
        ({"kernel": torch.ones(4, 3, 3)}, r"Expected kernel to be \(h, w\) or \(2, h, w\), but got \(4, 3, 3\)"),
        ({"kernel": torch.ones(3, 3), "border": "wrap"}, "Expected border to be one of"),
        ({"kernel": torch.ones(3, 3), "method": "slow"}, "Expected method to be one of"),
    ],
)
def test_impossible_convolution_is_refused_with_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        convolve(torch.ones(1, 2, 8, 8), **arguments)
