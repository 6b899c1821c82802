"""Facts of conversion: physics.md 5 and peers.md 7.1."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import BitBudget, BitDepth, LearnedStep, Response, SoftStaircase, allocate, effective_bits
from physlayer.core.allocation import allocate_through
from physlayer.exposure.response import power_response
from physlayer.quantization.bit_budget import quantize_bits
from physlayer.quantization.learned_step import quantize_lsq
from physlayer.quantization.quantizers import _quantize_plain, midrise, midtread, quantize, straight_through


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def signal_to_noise_db(signal: torch.Tensor, reading: torch.Tensor) -> float:
    return float(10 * torch.log10(signal.var() / (signal - reading).pow(2).mean()))


@pytest.mark.parametrize(("bits", "decibel"), [(1, 0.00), (2, 9.54), (4, 23.52), (8, 48.13)])
def test_midtread_converter_reaches_the_signal_to_noise_of_uniform_light(bits, decibel):
    """F5.1."""
    x = uniform(1, 1, 1000, 1000)
    assert signal_to_noise_db(x, BitDepth(bits).eval()(x)) == pytest.approx(decibel, abs=0.05)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_midrise_converter_gains_six_decibels_per_bit(bits):
    """F5.1."""
    x = uniform(1, 1, 1000, 1000)
    reading = BitDepth(bits, convention="midrise").eval()(x)
    assert signal_to_noise_db(x, reading) == pytest.approx(6.0206 * bits, abs=0.05)


@pytest.mark.parametrize(("bits", "decibel"), [(4, 25.31), (8, 49.79), (10, 61.90)])
def test_full_scale_sine_approaches_its_textbook_signal_to_noise_from_below(bits, decibel):
    """F5.2."""
    phase = torch.linspace(0, 2 * math.pi * 9973, 1_000_001, dtype=torch.float64)[:-1]
    x = (0.5 + 0.5 * torch.sin(phase)).view(1, 1, 1000, 1000)
    reading = BitDepth(bits, convention="midrise").double().eval()(x)
    assert signal_to_noise_db(x, reading) == pytest.approx(decibel, abs=0.1)


def test_eight_bits_on_eight_bit_images_change_nothing():
    """F5.3."""
    x = (torch.arange(256).float() / 255).view(1, 1, 16, 16)
    layer = BitDepth(8).eval()
    assert torch.equal(layer(x), x)
    assert torch.equal(layer.codes(x).flatten(), torch.arange(256))


@pytest.mark.parametrize("bits", range(1, 17))
def test_converter_is_idempotent_and_uses_every_code_once(bits):
    """F5.3."""
    layer = BitDepth(bits).eval()
    x = torch.linspace(0, 1, 2**17).view(1, 1, 256, 512)
    y = layer(x)
    assert torch.equal(layer(y), y)
    assert len(y.unique()) == 2**bits
    assert torch.equal(layer.codes(x), torch.round(y * (2**bits - 1)).long())


def test_hard_reading_does_not_move_with_light_inside_a_bin():
    layer = BitDepth(3, gain=nn.Parameter(torch.tensor(0.9)))
    x = ((torch.arange(8) / 7) / 0.9).clamp(max=1.0).view(1, 1, 2, 4)[..., :3]
    assert torch.equal(layer.hard(x + 0.03), layer.hard(x - 0.03))


def test_one_bit_is_a_threshold_that_gain_and_offset_place():
    layer = BitDepth(1, gain=2.0, offset=-0.1).eval()
    threshold = (0.5 + 0.1) / 2
    x = torch.tensor([threshold - 1e-4, threshold + 1e-4]).view(1, 1, 1, 2)
    assert layer(x).flatten().tolist() == [0.0, 1.0]


def test_course_weight_and_threshold_is_gain_and_negative_offset():
    """The course's proposal: weight times intensity, max() as threshold, then B bits (physics.md D4)."""
    bits, x, weight = 4, uniform(5, 1, 6, 7), 0.2 + uniform(6, 7, seed=1)
    threshold = 0.3 * uniform(6, 7, seed=2)
    steps = 2**bits - 1
    z = (weight * x - threshold).clamp(min=0)
    code = torch.floor(z * steps + 0.5).clamp(max=steps)
    layer = BitDepth(bits, gain=weight, offset=-threshold).eval()
    assert torch.equal(layer.codes(x), code.long())


def test_course_weight_of_zero_is_a_dead_pixel_and_one_step_is_one_bit():
    """F5.6."""
    x = uniform(3, 1, 8, 8)
    assert BitDepth(4, gain=0.0).eval()(x).abs().sum() == 0
    assert len(BitDepth(4, gain=1 / 15).eval()(x).unique()) == 2
    assert effective_bits(4, torch.tensor(0.0), torch.tensor(0.0)) == 0
    assert effective_bits(4, torch.tensor(1 / 15), torch.tensor(0.0)) == pytest.approx(1)
    assert effective_bits(4, torch.tensor(1.0), torch.tensor(0.0)) == pytest.approx(4)
    assert effective_bits(4, torch.tensor(0.0), torch.tensor(1.0)) == 0  # always the top code
    assert effective_bits(1, torch.tensor(1.0), torch.tensor(0.6)) == 0


@pytest.mark.parametrize("grid", [midtread(1), midtread(3), midrise(2)], ids=["1 bit", "3 bits", "midrise"])
@pytest.mark.parametrize("shape", [(), (3, 1, 1), (1, 9, 11), (3, 9, 11)], ids=str)
def test_blocked_converter_equals_the_formula_and_its_stated_surrogate(grid, shape):
    x = (1.4 * uniform(40, 3, 9, 11) - 0.2).double().requires_grad_()
    gain = (0.8 + 0.4 * uniform(*shape, seed=1)).double().requires_grad_()
    offset = (0.2 * uniform(*shape, seed=2) - 0.1).double().requires_grad_()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y = quantize(x, grid, gain, offset, 0.02)
    grads = torch.autograd.grad((y * weight).sum(), (x, gain, offset))
    v = gain * x + offset
    slope = torch.where((v >= 0) & (v <= 1), 1.0, 0.02) * weight
    expected = (slope * gain, (slope * x).sum_to_size(1, *shape[-3:]) if shape else (slope * x).sum(), slope)
    assert torch.allclose(y, _quantize_plain(x, grid, gain, offset, 0.02), atol=1e-12)
    assert torch.allclose(grads[0], expected[0])
    assert torch.allclose(grads[1].flatten(), expected[1].flatten())
    total = slope.sum_to_size(1, *shape) if shape else slope.sum()
    assert torch.allclose(grads[2].flatten(), total.flatten())


def test_blocks_larger_than_the_cache_give_the_same_reading_as_single_images():
    layer = BitDepth(3, gain=nn.Parameter(uniform(3, 64, 64) + 0.5))
    x = uniform(30, 3, 64, 64, seed=4)
    assert torch.equal(layer(x), torch.cat([layer(image[None]) for image in x]))


def test_straight_through_is_bit_exact_forward():
    x = uniform(10_000).requires_grad_()
    y = straight_through(torch.round(x * 3) / 3, x)
    assert len(y.detach().unique()) == 4


def test_learned_step_reproduces_the_golden_vector_of_the_paper():
    v = torch.tensor([-0.1, 0.05, 0.3, 0.55, 0.9], requires_grad=True)
    step = torch.tensor(0.25, requires_grad=True)
    out = quantize_lsq(v, step, 3)
    assert torch.allclose(out, torch.tensor([0, 0, 0.25, 0.5, 0.75]))
    slopes = [torch.autograd.grad(out[i], step, retain_graph=True)[0].item() for i in range(5)]
    assert slopes == pytest.approx([0, -0.2, -0.2, -0.2, 3], abs=1e-6)
    (slope_v,) = torch.autograd.grad(out.sum(), v)
    assert slope_v.tolist() == [0, 1, 1, 1, 0]


def test_learned_step_gradient_is_scaled_by_samples_and_codes():
    x = uniform(2, 1, 5, 5)
    plain, scaled = LearnedStep(2, scale_gradient=False), LearnedStep(2)
    for layer in (plain, scaled):
        layer(x).sum().backward()
    ratio = scaled.free_parameter("step").grad / plain.free_parameter("step").grad
    assert ratio.item() == pytest.approx(1 / math.sqrt(25 * 3))


def test_learned_step_stays_positive_under_a_violent_optimiser():
    layer = LearnedStep(2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e3)
    for _ in range(5):
        optimizer.zero_grad()
        layer(uniform(2, 1, 8, 8)).sum().backward()
        optimizer.step()
        assert float(layer.step.detach()) >= 0


@pytest.mark.parametrize("mean_bits", [0.5, 1.0, 1.37, 2.0, 3.99])
def test_bit_budget_is_never_exceeded_and_always_spent(mean_bits):
    demand = 5 * torch.randn(23, 17, generator=torch.Generator().manual_seed(0)).clamp(-0.09, 0.9)
    layer = BitBudget(nn.Parameter(demand.clamp(-0.4, 4.4)), mean_bits=mean_bits, most=4)
    bits = layer.bits.detach()
    assert torch.equal(bits, bits.round())
    assert bits.min() >= 0 and bits.max() <= 4
    assert int(bits.sum()) == int(mean_bits * 23 * 17 + 1e-6)


def test_bits_of_a_coarse_map_are_those_of_every_pixel_whole_and_within_the_budget():
    layer = BitBudget(nn.Parameter(torch.tensor([[[0.2, 3.0], [1.0, 2.0]]])), mean_bits=1.5, size=(6, 8))
    bits = layer.bits
    assert bits.shape == (1, 6, 8) and torch.equal(bits, bits.round()) and bits.mean() == 1.5
    assert layer.demand_bits.shape == (1, 2, 2) and bits.requires_grad
    assert "bits=1×6×8 from 0 to" in repr(layer) and layer.codes(torch.ones(1, 3, 6, 8)).max() == 2 ** bits.max() - 1


def test_pixel_of_zero_bits_reads_zero_and_pixel_of_one_bit_is_a_threshold():
    layer = BitBudget(torch.tensor([[0.0, 1.0, 2.0]]), mean_bits=1.0, most=2).eval()
    reading = layer(torch.tensor([0.0, 0.4, 0.6, 1.0]).view(4, 1, 1, 1).expand(4, 1, 1, 3))
    assert reading[:, 0, 0, 0].tolist() == [0, 0, 0, 0]
    assert reading[:, 0, 0, 1].tolist() == [0, 0, 1, 1]
    assert torch.allclose(reading[:, 0, 0, 2], torch.tensor([0, 1 / 3, 2 / 3, 1]))


def test_bits_gradient_is_the_error_of_the_pixel_times_log_two():
    x = uniform(4, 2, 5, 6).double()
    bits = torch.tensor([0.0, 1, 2, 3, 4, 2]).expand(5, 6).reshape(1, 1, 5, 6).double().requires_grad_()
    gain, offset = torch.full((1, 1, 1, 1), 1.3).double(), torch.full((1, 1, 1, 1), -0.1).double()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(5)).double()
    (quantize_bits(x, bits, gain, offset, 0.01) * weight).sum().backward()
    v = np.clip(1.3 * x.numpy() - 0.1, 0, 1)
    steps = 2 ** bits.detach().numpy() - 1
    y = np.clip(np.floor((1.3 * x.numpy() - 0.1) * steps + 0.5), 0, steps) / np.maximum(steps, 1)
    expected = np.log(2) * (weight.numpy() * (v - y)).sum((0, 1))
    assert np.allclose(bits.grad[0, 0].numpy(), expected, atol=1e-6)


def test_bits_gradient_leaves_the_total_alone():
    demand = (1 + uniform(9, 9)).requires_grad_()
    (allocate_through(demand, 81, high=4) * uniform(9, 9, seed=3)).sum().backward()
    assert demand.grad.sum().abs() < 1e-5 * demand.grad.abs().sum()


def test_allocation_equals_brute_force_projection_and_rounding():
    rng = np.random.default_rng(0)
    for _ in range(20):
        demand = rng.normal(2, 2, size=30)
        total = int(rng.integers(0, 120))
        low, high = demand.min() - 5, demand.max() + 5
        for _ in range(200):  # independent bisection in NumPy
            price = (low + high) / 2
            low, high = (price, high) if np.clip(demand - price, 0, 4).sum() > total else (low, price)
        exact = np.clip(demand - high, 0, 4)
        shares = allocate(torch.tensor(demand), total, high=4).numpy()
        assert shares.sum() == total
        assert np.abs(shares - exact).max() < 1 + 1e-4


def test_allocation_of_ones_is_the_largest_k():
    demand = torch.randn(100, generator=torch.Generator().manual_seed(1))
    for k in (0, 1, 37, 100):
        chosen = allocate(demand, k).bool()
        assert chosen.sum() == k
        if 0 < k < 100:
            assert demand[chosen].min() >= demand[~chosen].max() - 1e-5


def test_equal_demands_spread_their_remainder_over_the_sensor():
    bits = allocate(torch.ones(40, 40), 2400, high=4)
    quarters = bits.view(2, 20, 2, 20).sum((1, 3))
    assert quarters.max() - quarters.min() <= 30


def test_bits_follow_the_weight_of_their_error_as_reverse_water_filling_says():
    """Error weights 16:1 and a mean of 3 bits: 4 and 2 bits for equal weighted distortion (Huang 1963)."""
    generator = torch.Generator().manual_seed(0)
    layer = BitBudget(nn.Parameter(3 + 0.01 * torch.randn(8, 8, generator=generator)), mean_bits=3.0, most=6)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    weight = torch.ones(8, 8)
    weight[:, :4] = 16
    for _ in range(300):
        x = torch.rand(64, 1, 8, 8, generator=generator)
        loss = (weight * (layer(x) - x).pow(2)).sum((1, 2, 3)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bits = layer.bits[0].detach()
    assert bits[:, :4].mean() == pytest.approx(4, abs=0.25)
    assert bits[:, 4:].mean() == pytest.approx(2, abs=0.25)


def test_square_root_response_saves_bits_in_the_dark():
    x = (0.02 * uniform(1, 1, 500, 500)).double()
    linear, companded = BitDepth(4).double().eval(), nn.Sequential(Response(0.5), BitDepth(4)).double().eval()
    gamma = torch.tensor(0.5, dtype=torch.float64)
    bright = torch.linspace(0, 1, 20001, dtype=torch.float64)
    inverse = np.interp(companded(x).flatten().numpy(), power_response(bright, gamma).numpy(), bright.numpy())
    assert np.mean((inverse - x.flatten().numpy()) ** 2) < 0.2 * float((linear(x) - x).pow(2).mean())


def test_response_has_finite_slope_at_black_and_keeps_black_and_white():
    x = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    for gamma in (0.2, 0.5, 1.0, 2.2):
        y = power_response(x, gamma)
        assert torch.allclose(y, x.detach())
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert torch.isfinite(slope).all() and (slope > 0).all()


def test_response_passes_the_numerical_gradient_check():
    x = (0.05 + 0.9 * uniform(2, 1, 3, 3)).double().requires_grad_()
    gamma = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(power_response, (x, gamma))


def test_pixel_of_zero_bits_passes_no_gradient_to_the_scene_but_its_bits_keep_theirs():
    layer = BitBudget(
        nn.Parameter(torch.tensor([[4.0, 0.0], [0.0, 0.0]])), mean_bits=1.0, gain=nn.Parameter(torch.tensor(1.0))
    )
    x = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    layer(x).sum().backward()
    assert (x.grad != 0).flatten().tolist() == [True, False, False, False]
    assert layer.free_parameter("bits").grad.abs().min() > 0


def test_response_has_one_slope_at_black_not_two():
    x = torch.tensor([-1e-7, 0.0, 1e-7], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(power_response(x, 0.5).sum(), x)
    assert slope.max() / slope.min() == pytest.approx(1, abs=1e-3)


def test_fixed_map_of_bits_is_taken_as_it_is():
    bits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert torch.equal(BitBudget(bits, mean_bits=3.0).bits[0], bits)
    with pytest.raises(ValueError, match=r"mean of at most 0\.5"):
        BitBudget(bits, mean_bits=0.5)


def test_layer_of_one_precision_reads_images_of_another():
    layer = BitDepth(8, gain=nn.Parameter(torch.tensor(0.9))).double()
    x = uniform(3, 1, 5, 5)
    layer(x).sum().backward()
    steps = torch.round(layer(x) * 255).long()
    assert torch.equal(layer.codes(x), steps) and layer.free_parameter("gain").grad is not None


def test_parameter_serves_one_quantity_only():
    shared = nn.Parameter(torch.tensor(0.7))
    BitDepth(2, gain=shared)
    with pytest.raises(ValueError, match="already the gain of a layer"):
        BitDepth(2, gain=shared)


def test_view_of_a_parameter_is_not_silently_fixed():
    with pytest.raises(ValueError, match=r"wrap the result: nn\.Parameter"):
        BitDepth(2, gain=nn.Parameter(torch.ones(3)).view(-1, 1, 1))


# Class-project card 15: the staircase quantizer, soft against hard


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BitDepth(0), "Expected bits to be a whole number in 1…16, but got 0; a pixel without bits"),
        (lambda: BitDepth(17), "Expected bits"),
        (lambda: BitDepth(2.5), "Expected bits"),
        (lambda: BitDepth(nn.Parameter(torch.tensor(2.0))), "BitBudget learns bits per pixel"),
        (lambda: BitDepth(2, gain=-1.0), "Expected gain to lie in"),
        (
            lambda: BitDepth(2, gain=nn.Parameter(torch.tensor(0.0))),
            "Expected learned gain to lie strictly inside",
        ),
        (lambda: BitDepth(2, gain=float("nan")), "Expected gain to be finite"),
        (lambda: BitDepth(2, leak=0.0), "Expected leak"),
        (lambda: BitDepth(2, convention="truncate"), "Expected convention"),
        (lambda: BitBudget(torch.ones(2, 2), mean_bits=9.0), "Expected mean_bits"),
        (lambda: BitBudget(torch.tensor(1.0), mean_bits=1.0), "use BitDepth"),
        (lambda: Response(gamma=9.0), "Expected gamma"),
        (lambda: SoftStaircase(2, sharpness=0), "Expected sharpness"),
        (
            lambda: BitDepth(2, gain=torch.ones(4, 5))(torch.rand(1, 1, 8, 8)),
            "for a coarse grid pass size=(8, 8)",
        ),
        (lambda: BitDepth(2, gain=torch.ones(3))(torch.rand(1, 3, 8, 8)), "nn.Parameter(torch.ones(C, 1, 1))"),
        (
            lambda: BitDepth(2, gain=torch.ones(2, 1, 1))(torch.rand(1, 3, 8, 8)),
            "Expected gain to have 1 or 3 channels",
        ),
        (lambda: BitDepth(2, gain=torch.ones(9, 8))(torch.rand(1, 1, 8, 9)), "looks transposed; use gain.mT"),
        (lambda: BitDepth(2, gain=torch.ones(9, 9), size=(8, 8))(torch.rand(1, 1, 8, 8)), "no larger than"),
        (lambda: BitDepth(2, size=60), "Expected size to be (H, W) in pixels"),
        (lambda: setattr(BitDepth(2, gain=nn.Parameter(torch.tensor(1.0))), "gain", 2.0), "torch.full_like(layer.gain"),
        (lambda: allocate(torch.ones(4), 9), "Expected total"),
        (lambda: allocate(torch.tensor([1.0, float("nan")]), 1), "Expected demand to be finite"),
    ],
)
def test_bad_arguments_get_one_clear_sentence(build, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        build()
    assert message in str(caught.value) and "\n" not in str(caught.value)
