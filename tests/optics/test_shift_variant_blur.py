"""Shift-variant blur: what each of the two models keeps, against loops, convolutions and the singular values."""

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import Blur, GaussianBlurMap, ShiftVariantBlur
from physlayer.optics import shift_variant_blur as blur_field
from physlayer.optics.blur import gaussian_kernel
from physlayer.optics.convolution import BORDERS, convolve
from physlayer.optics.nodes import from_nodes, node_weights
from physlayer.optics.shift_variant_convolution import gather, scatter

MODELS = (scatter, gather)
PADDING = {"reflect": "symmetric", "circular": "wrap", "zero": "constant"}


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bank(count, size=(5, 7), image=(13, 10)):
    kernels, weights = rand(count, *size, seed=1), rand(count, *image, seed=2)
    return kernels / kernels.sum((1, 2), keepdim=True), weights / weights.sum(0)


def impulse(row, column, size=(13, 10)):
    x = torch.zeros(1, 1, *size, dtype=torch.float64)
    x[0, 0, row, column] = 1
    return x


def loop(x, kernels, weights, border, model):
    """One pixel at a time, as the equations stand."""
    (count, height, width), (rows, columns) = kernels.shape, x.shape
    r, s, y = height // 2, width // 2, np.zeros_like(x)
    for k in range(count):
        scene = np.pad(weights[k] * x if model is scatter else x, ((r, r), (s, s)), mode=PADDING[border])
        for i in range(rows):
            for j in range(columns):
                seen = (kernels[k] * scene[i : i + height, j : j + width][::-1, ::-1]).sum()
                y[i, j] += seen if model is scatter else weights[k, i, j] * seen
    return y


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("count", "size"), [(1, (1, 3)), (2, (5, 7)), (3, (9, 5)), (2, (21, 3))])
def test_blur_is_the_loop_over_pixels_and_kernels(count, size, model, border):
    """Also where a kernel is larger than the image."""
    (kernels, weights), x = bank(count, size), rand(2, 1, 13, 10)
    y = model(x, kernels, weights, border=border)
    expected = [loop(image[0].numpy(), kernels.numpy(), weights.numpy(), border, model) for image in x]
    assert np.allclose(y[:, 0].numpy(), expected, atol=1e-13)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("model", MODELS)
def test_equal_kernels_are_a_convolution(model, border):
    """F7.1."""
    (kernels, weights), x = bank(3), rand(2, 3, 13, 10)
    y = model(x, kernels[:1].expand(3, -1, -1), weights, border=border)
    assert torch.allclose(y, convolve(x, kernels[0], border=border), atol=1e-12)


def test_convention_scatter_is_the_objects_side():
    """F7.5: a point of the object is imaged with its own kernel, unturned: the column of the matrix."""
    kernels, weights = bank(3)
    y = scatter(impulse(6, 4), kernels, weights, border="zero")
    expected = (weights[:, 6, 4, None, None] * kernels).sum(0)
    assert torch.allclose(y[0, 0, 4:9, 1:8], expected, atol=1e-14)
    assert float(y.sum() - expected.sum()) == pytest.approx(0, abs=1e-12)


def test_convention_gather_is_the_detectors_side():
    """F7.5: in the image of a point each pixel shows its own kernel: the weights are those of the pixel."""
    kernels, weights = bank(3)
    y = gather(impulse(6, 4), kernels, weights, border="zero")
    expected = (weights[:, 4:9, 1:8] * kernels).sum(0)
    assert torch.allclose(y[0, 0, 4:9, 1:8], expected, atol=1e-14)


def test_the_two_models_differ_unless_all_kernels_are_equal():
    (kernels, weights), x = bank(3), rand(1, 1, 13, 10)
    one, other = (model(x, kernels, weights) for model in MODELS)
    assert float((one - other).norm() / one.norm()) > 0.01


def test_scatter_keeps_the_light_and_not_the_flat_field_and_gather_the_opposite():
    """F7.2."""
    kernels = torch.stack([gaussian_kernel(torch.tensor(s, dtype=torch.float64), 8) for s in (0.5, 2.0)])
    kernels, (low, high) = kernels[:, :, None] * kernels[:, None, :], torch.eye(2, dtype=torch.float64)
    weights = torch.where(torch.arange(24) < 12, low[:, None], high[:, None])[:, None].expand(2, 20, 24)
    x, flat = rand(2, 1, 20, 24), torch.ones(1, 1, 20, 24, dtype=torch.float64)
    spread, collected = (model(x, kernels, weights, border="circular") for model in MODELS)
    assert torch.allclose(spread.sum((2, 3)), x.sum((2, 3)), rtol=1e-13)
    assert float((collected.sum((2, 3)) / x.sum((2, 3)) - 1).abs().max()) > 1e-4
    assert float((scatter(flat, kernels, weights, border="circular") - 1).abs().max()) > 0.2
    assert float((gather(flat, kernels, weights, border="circular") - 1).abs().max()) < 1e-13


@pytest.mark.parametrize("border", ["circular", "zero"])
def test_gather_is_the_transpose_of_scatter_with_turned_kernels(border):
    """F7.3, relative."""
    (kernels, weights), x, y = bank(3), rand(2, 3, 13, 10), rand(2, 3, 13, 10, seed=5)
    forth = (scatter(x, kernels, weights, border=border) * y).sum()
    back = (x * gather(y, kernels.flip(1, 2), weights, border=border)).sum()
    assert float(forth) == pytest.approx(float(back), rel=1e-13)


def test_error_of_a_low_rank_bank_is_the_tail_of_its_singular_values():
    """F7.4: golden values of 40 Gaussians, σ 0.6…3 pixels: Eckart–Young, and interpolation between P of them."""
    sigma = torch.linspace(0.6, 3, 40, dtype=torch.float64)
    profiles = gaussian_kernel(sigma, 12)
    u, values, v = torch.linalg.svd(profiles, full_matrices=False)
    for rank, golden in enumerate((0.304, 0.100, 0.033, 0.0097, 0.0024, 0.0005), start=1):
        error = (u[:, :rank] * values[:rank] @ v[:rank] - profiles).norm() / profiles.norm()
        assert float(error) == pytest.approx(float(values[rank:].norm() / values.norm()), rel=1e-6)
        assert float(error) == pytest.approx(golden, abs=max(5e-4, 5e-3 * golden) if golden > 0.01 else 6e-5)
    for nodes, golden in ((2, 0.394), (3, 0.178), (5, 0.067), (9, 0.020)):
        at_nodes = gaussian_kernel(torch.linspace(0.6, 3, nodes, dtype=torch.float64), 12)
        mixed = node_weights((1, nodes), (1, 40), like=sigma)[:, 0].T @ at_nodes
        assert float((mixed - profiles).norm() / profiles.norm()) == pytest.approx(golden, abs=1e-3)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_exact(model, border):
    (kernels, weights), x = bank(3, (3, 5), (6, 5)), rand(2, 2, 6, 5)
    inputs = tuple(value.requires_grad_() for value in (x, kernels, weights))
    assert torch.autograd.gradcheck(lambda *values: model(*values, border=border), inputs)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
def test_gradient_of_one_does_not_need_the_others(wanted, model):
    (kernels, weights), x, away = bank(4), rand(2, 2, 13, 10), rand(2, 2, 13, 10, seed=6)
    every = [value.clone().requires_grad_() for value in (x, kernels, weights)]
    some = [value.clone().requires_grad_(flag) for value, flag in zip((x, kernels, weights), wanted, strict=True)]
    for values in (every, some):
        (model(*values) * away).sum().backward()
    for value, reference, flag in zip(some, every, wanted, strict=True):
        assert (torch.allclose(value.grad, reference.grad, atol=1e-12)) if flag else (value.grad is None)


@pytest.mark.parametrize("learned", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("model", MODELS)
def test_training_keeps_at_most_one_batch_per_kernel_and_none_for_a_fixed_blur(model, learned):
    x = rand(8, 3, 16, 16).requires_grad_()

    def kept(count):
        values, numbers = bank(count, (3, 3), (16, 16)), []
        for k in learned:
            values[k].requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: numbers.append(t) or t, lambda t: t):
            model(x, *values)
        return sum(t.numel() * (2 if t.is_complex() else 1) for t in numbers) / x.numel()

    needed = (1 if model is gather else 0) in learned  # weights of gather, kernels of scatter
    padded = 18**2 / 16**2 if model is gather else 20**2 / 16**2
    assert kept(8) - kept(2) < (6 * padded if needed else 0) + 0.7


def test_a_reading_does_not_depend_on_the_images_beside_it():
    layer, x = ShiftVariantBlur(rand(2, 2, 5, 5).float()), rand(4, 3, 13, 10).float()
    assert torch.equal(layer(x)[2:3], layer(x[2:3]))


def test_half_precision_around_it_changes_nothing():
    layer, x = ShiftVariantBlur(rand(2, 2, 5, 5).float()), rand(1, 3, 13, 10).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(x)
    assert inside.dtype == torch.float32 and torch.equal(inside, layer(x))


@pytest.mark.parametrize(("nodes", "size"), [((1, 1), (5, 4)), ((2, 3), (9, 8)), ((4, 4), (3, 2))])
def test_shares_of_the_nodes_sum_to_one_and_interpolate(nodes, size):
    weights, values = node_weights(nodes, size), rand(*nodes).float()
    assert torch.allclose(weights.sum(0), torch.ones(size)) and float(weights.min()) >= 0
    assert torch.allclose(from_nodes(values, size), torch.einsum("n,nhw->hw", values.flatten(), weights), atol=1e-6)
    if nodes != (1, 1):
        assert float(weights[0, 0, 0]) == 1 and float(weights[-1, -1, -1]) == 1


def test_interpolated_point_spread_functions_are_those_of_the_nodes_in_the_corners():
    kernels = rand(2, 2, 5, 5)
    layer = ShiftVariantBlur(kernels, border="zero").double()
    kernels_of_sum_one = kernels / kernels.sum((2, 3), keepdim=True)
    y = layer(impulse(12, 0))
    assert torch.allclose(y[0, 0, 10:, :3], kernels_of_sum_one[1, 0, :3, 2:], atol=1e-14)
    middle = layer(impulse(6, 5, (13, 11)))[0, 0, 4:9, 3:8]
    assert torch.allclose(middle, kernels_of_sum_one.mean((0, 1)), atol=1e-14)


@pytest.mark.parametrize("model", ["scatter", "gather"])
def test_learned_kernels_and_weights_stay_non_negative_and_of_sum_one(model):
    layer = ShiftVariantBlur(nn.Parameter(rand(3, 5, 5) + 0.1), nn.Parameter(rand(3, 2, 4) + 0.1), model=model).double()
    optimizer, x = torch.optim.SGD(layer.parameters(), lr=100.0), rand(1, 1, 13, 10)
    for _ in range(5):
        optimizer.zero_grad()
        (layer(x) - x).square().sum().backward()
        optimizer.step()
    kernels, weights = layer.physical().values()
    assert float(kernels.min()) >= 0 and float(weights.min()) >= 0
    assert torch.allclose(kernels.sum((1, 2)), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(weights.sum(0), torch.ones(2, 4, dtype=torch.float64))


def test_learned_weights_move_as_a_softmax():
    start = rand(3, 1, 1) + 0.1
    layer = ShiftVariantBlur(rand(3, 3, 3), nn.Parameter(start)).double()
    assert torch.allclose(layer.physical()["weights"], start.log().softmax(0))


def test_constant_map_of_widths_is_a_gaussian_blur_where_the_width_is_one_of_the_bank():
    x = rand(2, 1, 20, 17)
    for sigma in (0.0, 3.0):
        y = GaussianBlurMap(torch.full((2, 2), sigma, dtype=torch.float64))(x)
        assert torch.allclose(y, Blur(sigma, radius=12).double()(x), atol=1e-12)


def test_every_point_has_the_variance_asked_for_and_nearly_the_shape_of_a_gaussian():
    place, worst = torch.arange(-12, 13, dtype=torch.float64), 0.0
    for sigma in torch.linspace(0.35, 2.95, 14, dtype=torch.float64):
        y = GaussianBlurMap(sigma.view(1, 1), border="zero").double()(impulse(12, 12, (25, 25)))[0, 0]
        profile = gaussian_kernel(sigma, 12)
        assert float(y.sum()) == pytest.approx(1, abs=1e-12) and float(y.min()) > -1e-15
        variance, sampled = ((p * place.square()).sum() for p in (y.sum(0), profile))
        assert float(variance) == pytest.approx(float(sampled), rel=0.02, abs=0.01)
        assert sigma < 0.65 or float(variance) == pytest.approx(float(sigma) ** 2, rel=0.02)
        exact = profile[:, None] * profile
        worst = max(worst, float((y - exact).norm() / exact.norm()))
    assert 0.03 < worst < 0.08


def test_learning_recovers_a_tilt_of_the_focus():
    x = rand(2, 1, 16, 24)
    seen = GaussianBlurMap(torch.tensor([[0.7, 2.0]], dtype=torch.float64), radius=10, widths=6)(x)
    layer = GaussianBlurMap(nn.Parameter(torch.full((1, 2), 1.2, dtype=torch.float64)), radius=10, widths=6)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(80):
        optimizer.zero_grad()
        (layer(x) - seen).square().mean().backward()
        optimizer.step()
    assert torch.allclose(layer.physical()["sigma_pixels"], torch.tensor([[0.7, 2.0]]).double(), atol=0.03)


ONES = torch.ones(1, 1, 8, 8)


@pytest.mark.parametrize("border", ["reflect", "circular", "zero"])
@pytest.mark.parametrize("model", ["scatter", "gather"])
def test_matrices_for_small_images_and_transforms_for_large_ones_give_one_blur(model, border, monkeypatch):
    """Also where the kernels are wider than the image, and for the gradient of the widths."""
    x, sigma = (
        rand(2, 3, 12, 17),
        torch.tensor([[0.6, 1.1], [2.0, 2.9]], dtype=torch.float64),
    )
    found = []
    for most in (64, 0):
        monkeypatch.setattr(blur_field, "MATRICES", most)
        layer = GaussianBlurMap(nn.Parameter(sigma.clone()), model=model, border=border)
        y = layer(x)
        y.square().sum().backward()
        found.append((y.detach(), layer.free_parameter("sigma_pixels").grad))
    for small, large in zip(*found, strict=True):
        assert torch.allclose(small, large, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: scatter(ONES, torch.ones(2, 4, 4), torch.ones(2, 8, 8)), "Expected kernels of odd size, but got 4×4"),
        (lambda: gather(ONES, torch.ones(2, 3, 3), torch.ones(1, 8, 8)), r"Expected x \(B, C, H, W\), kernels"),
        (lambda: gather(ONES, torch.ones(1, 3, 3), torch.ones(1, 8, 8), border="wrap"), "Expected border to be one of"),
        (lambda: ShiftVariantBlur(torch.ones(2, 3, 3)), r"Expected kernels to be \(P, Q, h, w\) at nodes, but got"),
        (lambda: ShiftVariantBlur(torch.ones(2, 3, 3), torch.ones(3, 1, 1)), r"Expected weights to be \(2, P, Q\)"),
        (lambda: ShiftVariantBlur(torch.zeros(1, 1, 3, 3)), "Expected every kernel to have a sum above 0, but got 0"),
        (lambda: ShiftVariantBlur(-torch.ones(1, 1, 3, 3)), "Expected kernels to lie in"),
        (lambda: ShiftVariantBlur(nn.Parameter(torch.zeros(1, 1, 3, 3))), "Expected learned kernels to be above 0"),
        (lambda: ShiftVariantBlur(torch.ones(1, 1, 3, 3), model="object"), "Expected model to be one of scatter, gath"),
        (lambda: GaussianBlurMap(torch.ones(3)), r"Expected sigma_pixels to be nodes \(P, Q\), but got \(3,\)"),
        (lambda: GaussianBlurMap(torch.full((2, 2), 4.0)), "Expected sigma_pixels to lie in"),
    ],
)
def test_impossible_shift_variant_blur_is_refused_with_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_complex_fields_are_refused():
    with pytest.raises(TypeError, match="Expected x to be real intensities"):
        scatter(ONES + 0j, torch.ones(1, 3, 3), torch.ones(1, 8, 8))
