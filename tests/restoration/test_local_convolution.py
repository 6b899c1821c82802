"""Locally connected deconvolution against convolution, covariances and trained layers."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer import LocallyConnected2d, local_least_squares, local_lmmse, physical_layers
from physlayer.core.audit import parameter_groups
from physlayer.restoration.local_convolution import locally_connected, noise_gain
from physlayer.testing import LayerCase, contract

FORMS = ("full", "low_rank", "tied")


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def autoregressive(pixels=24):
    """F8.4: AR(.9) signal of variance 1, object-side Gaussian blur σ .5→1.8 of sum 1, noise variance 1e-3."""
    place = torch.arange(pixels, dtype=torch.float64)
    apart = place[:, None] - place
    sigma = torch.linspace(0.5, 1.8, pixels, dtype=torch.float64)
    blur = torch.exp(-apart.square() / (2 * sigma.square()))
    blur = blur / blur.sum(0)
    signal = 0.9 ** apart.abs()
    return signal, blur, signal @ blur.T, blur @ signal @ blur.T + 1e-3 * torch.eye(pixels, dtype=torch.float64)


def expected_error(kernels, signal, cross, reading):
    """Mean squared error at each pixel: the trace of signal − 2 K Cᵧₓ + K Cᵧᵧ Kᵀ."""
    size = kernels.shape[4:]
    points = torch.eye(len(signal), dtype=signal.dtype).view(-1, 1, *size)
    matrix = locally_connected(points, kernels).flatten(1).T
    return (signal - 2 * cross @ matrix.T + matrix @ reading @ matrix.T).diagonal()


def test_kernels_of_each_pixel_are_applied_as_the_sum_says():
    y, kernels = rand(2, 2, 5, 4), rand(3, 2, 3, 5, 5, 4, seed=1)
    padded = np.pad(y.numpy(), ((0, 0), (0, 0), (1, 1), (2, 2)))
    expected = np.zeros((2, 3, 5, 4))
    for i in range(5):
        for j in range(4):
            window = padded[:, :, i : i + 3, j : j + 5]
            expected[:, :, i, j] = np.einsum("bckl,ockl->bo", window, kernels.numpy()[..., i, j])
    assert np.allclose(locally_connected(y, kernels).numpy(), expected, atol=1e-13)


@pytest.mark.parametrize(("channels", "window"), [((1, 1), (3, 3)), ((2, 3), (5, 3)), ((3, 1), (1, 7))])
def test_tied_kernels_are_the_convolution_of_torch(channels, window):
    """F8.1: as the tied form, and as the full form with equal kernels."""
    y, kernel = rand(2, channels[0], 9, 8), rand(*channels[::-1], *window, seed=1)
    expected = F.conv2d(y, kernel, padding=(window[0] // 2, window[1] // 2))
    for form in FORMS:
        layer = LocallyConnected2d(channels, (9, 8), window, form=form, rank=1).double()
        with torch.no_grad():
            layer.kernels.copy_(kernel[..., None, None] if form == "full" else kernel)
        assert torch.allclose(layer(y), expected, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_starts_as_the_identity(form):
    y = torch.rand(2, 3, 9, 8)
    assert torch.equal(LocallyConnected2d(3, (9, 8), 5, form=form)(y), y)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_full_sum_over_its_kernels(form):
    layer, y = LocallyConnected2d((2, 3), (7, 6), 3, form=form, rank=3).double(), rand(2, 2, 7, 6)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(rand(*parameter.shape, seed=3))
    bias = layer.bias if form != "tied" else layer.bias[:, None, None]
    assert torch.allclose(layer(y), locally_connected(y, layer.every_kernel()) + bias, atol=1e-12)


def test_parameter_counts_follow_their_formulas():
    """F8.5."""
    (c, o), (h, w), (k, m), rank = (2, 3), (10, 12), (5, 3), 4
    count = {form: LocallyConnected2d((c, o), (h, w), (k, m), form=form, rank=rank).parameter_count() for form in FORMS}
    taps = k * m * c * o
    assert count["full"] == h * w * (taps + o)
    assert count["low_rank"] == rank * (h * w + taps) + h * w * o
    assert count["tied"] == taps + o
    assert LocallyConnected2d(1, (64, 64), 7, bias=False).parameter_count() == 64 * 64 * 49


def test_gradient_of_a_kernel_depends_on_its_own_window_only():
    """F8.5."""
    y, kernels = rand(1, 1, 9, 9), rand(1, 1, 3, 3, 9, 9, seed=1)

    def gradient(image):
        leaf = kernels.clone().requires_grad_()
        locally_connected(image, leaf).square().sum().backward()
        return leaf.grad

    changed = y.clone()
    changed[0, 0, 4, 6] += 1
    differs = (gradient(y) != gradient(changed)).flatten(0, 3).any(0)
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[3:6, 5:8] = True
    assert torch.equal(differs, expected)


def test_gradients_of_images_and_kernels_are_exact():
    y, kernels = rand(2, 2, 3, 4).requires_grad_(), rand(2, 2, 3, 5, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(locally_connected, (y, kernels))


@pytest.mark.parametrize("form", FORMS)
def test_every_parameter_has_a_gradient_at_the_start(form):
    layer = LocallyConnected2d(2, (7, 6), 3, form=form)
    (layer(torch.rand(2, 2, 7, 6)) - torch.rand(2, 2, 7, 6)).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in layer.parameters())
    if form == "low_rank":
        assert all(bool(part.any()) for part in layer.kernels.grad)


def test_variance_of_the_noise_grows_by_the_squared_kernel():
    """F8.2."""
    kernels, noise = rand(1, 1, 3, 3, 6, 5, seed=1), 0.1 * rand(20000, 1, 6, 5)
    variance = locally_connected(noise, kernels).var(0)
    assert torch.allclose(variance, 0.01 * noise_gain(kernels), rtol=0.05)
    inner = kernels[0, 0, :, :, 3, 2].square().sum()
    assert float(noise_gain(kernels)[0, 3, 2]) == pytest.approx(float(inner), rel=1e-12)


def test_closed_form_is_that_of_the_window_pixel_by_pixel():
    """F8.3: C_xy C_yy⁻¹ of the window, in two dimensions and at the border."""
    mixing = rand(12, 12)
    reading, cross = mixing @ mixing.T + torch.eye(12, dtype=torch.float64), rand(12, 12, seed=1)
    kernels = local_lmmse(cross, reading, (3, 4), (3, 3))
    for i in range(3):
        for j in range(4):
            taps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if 0 <= i + a < 3 and 0 <= j + b < 4]
            pixels = [(i + a) * 4 + j + b for a, b in taps]
            expected = torch.linalg.solve(reading[pixels][:, pixels], cross[i * 4 + j, pixels])
            found = torch.stack([kernels[0, 0, a + 1, b + 1, i, j] for a, b in taps])
            assert torch.allclose(found, expected, atol=1e-10)
            assert int((kernels[0, 0, :, :, i, j] != 0).sum()) == len(taps)


def test_error_falls_from_raw_to_tied_to_local_to_the_whole_image():
    """F8.4: .0488 > .0336 > .0275 > .0251; the first three over the pixels whose window is whole, the last over all."""
    signal, _, cross, reading = autoregressive()
    size, inner = (1, 24), slice(3, 21)
    raw = expected_error(local_lmmse(torch.eye(24).double(), torch.eye(24).double(), size, 1), signal, cross, reading)
    tied = expected_error(local_lmmse(cross, reading, size, (1, 7), tied=True), signal, cross, reading)
    local = expected_error(local_lmmse(cross, reading, size, (1, 7)), signal, cross, reading)
    whole = expected_error(local_lmmse(cross, reading, size, (1, 47)), signal, cross, reading)
    assert float(raw[inner].mean()) == pytest.approx(0.0488, abs=5e-5)
    assert float(tied[inner].mean()) == pytest.approx(0.0336, abs=5e-5)
    assert float(local[inner].mean()) == pytest.approx(0.0275, abs=5e-5)
    assert float(whole.mean()) == pytest.approx(0.0251, abs=6e-5)
    assert float(whole[inner].mean()) == pytest.approx(0.0264, abs=6e-5)  # over the same pixels as the others
    assert bool((whole <= local + 1e-12).all()) and bool((local <= tied + 1e-12)[inner].all())


def test_with_one_blur_for_all_pixels_the_tied_kernel_is_as_good_as_local_ones():
    """F8.4, away from the border."""
    place = torch.arange(32, dtype=torch.float64)
    apart = place[:, None] - place
    around = torch.minimum(apart.abs(), 32 - apart.abs())
    signal, blur = 0.9**around, torch.exp(-around.square() / 2)
    blur = blur / blur.sum(0)
    cross, reading = signal @ blur.T, blur @ signal @ blur.T + 1e-3 * torch.eye(32, dtype=torch.float64)
    tied, local = (local_lmmse(cross, reading, (1, 32), (1, 7), tied=flag) for flag in (True, False))
    assert torch.allclose(tied[..., 3:29], local[..., 3:29], atol=1e-9)


def pairs(count, seed=0):
    signal, blur, _, _ = autoregressive(12)
    x = rand(count, 12, seed=seed) @ torch.linalg.cholesky(signal).T
    return x.view(-1, 1, 1, 12), (x @ blur.T + 0.1 * rand(count, 12, seed=seed + 1)).view(-1, 1, 1, 12)


@pytest.mark.parametrize(("form", "tied"), [("full", False), ("tied", True)])
def test_training_comes_within_two_percent_of_the_closed_form(form, tied):
    """F8.3, on the images that both saw; the tied kernel over the pixels whose window is whole."""
    x, y = pairs(512)
    inner = slice(2, 10) if tied else slice(None)

    def error(estimate):
        return (estimate - x)[..., inner].square().mean()

    best = float(error(locally_connected(y, local_least_squares(x, y, (1, 5), tied=tied))))
    layer = LocallyConnected2d(1, (1, 12), (1, 5), form=form, bias=False).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5 if form == "full" else 0.05, momentum=0.9)
    start = float(error(y))
    for _ in range(200):
        optimizer.zero_grad()
        error(layer(y)).backward()
        optimizer.step()
    reached = float(error(layer(y)).detach())
    assert best < 0.9 * start and best <= reached < 1.02 * best


def test_least_squares_of_many_pairs_is_the_estimate_of_the_covariances():
    x, y = pairs(20000)
    signal, blur, cross, _ = autoregressive(12)
    reading = blur @ signal @ blur.T + 0.01 * torch.eye(12, dtype=torch.float64)
    assert torch.allclose(
        local_least_squares(x, y, (1, 5)), local_lmmse(cross, reading, (1, 12), (1, 5)), atol=0.05, rtol=0.05
    )


def test_a_ridge_draws_few_images_to_the_identity():
    x, y = pairs(3)
    kernels = local_least_squares(x, y, (1, 5), ridge=1e6)
    assert torch.allclose(locally_connected(y, kernels), y, atol=1e-4)


def test_layer_belongs_to_the_network_and_not_to_the_camera():
    model = nn.Sequential(LocallyConnected2d(1, (6, 6), 3), nn.Conv2d(1, 1, 3))
    counts = {group["name"]: sum(p.numel() for p in group["params"]) for group in parameter_groups(model)}
    assert counts == {"network": model[0].parameter_count() + 10}
    assert not list(physical_layers(model))


CHECKS = [
    contract.check_shape_and_dtype,
    contract.check_device,
    contract.check_eval_is_deterministic,
    contract.check_bad_input_is_refused,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("form", FORMS)
def test_layer_keeps_the_promises_of_the_contract_that_concern_digital_layers(form, check):
    check(LayerCase(form, lambda: LocallyConnected2d((3, 2), (37, 31), 3, form=form), n_levels=None))


EYE = torch.eye(6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LocallyConnected2d(1, (8, 8), 4), "Expected a window of odd size, but got 4×4"),
        (lambda: LocallyConnected2d(1, 8), r"Expected size to be \(H, W\), but got 8"),
        (lambda: LocallyConnected2d(1, (8, 8), form="local"), "Expected form to be one of full, low_rank, tied"),
        (lambda: LocallyConnected2d(1, (8, 8))(torch.rand(1, 1, 8, 9)), r"Expected y of \(1, 8, 8\), but got"),
        (lambda: locally_connected(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 3, 3, 4, 5)), r"Expected images \(B, C, H"),
        (lambda: local_lmmse(EYE, EYE, (2, 4), 3), "Expected covariances of 8×8 pixels"),
        (lambda: local_lmmse(EYE, EYE * 0, (2, 3), 3), "Expected the covariance of every window to be invertible"),
        (lambda: local_lmmse(EYE, EYE, (2, 3), 3, tied=True), "Expected a window of 3×3 to fit into 2×3 pixels"),
        (lambda: local_least_squares(EYE[None, None], EYE[None, None], 3), "Expected at least 9 images, but got 1"),
    ],
)
def test_impossible_deconvolution_is_refused_with_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
