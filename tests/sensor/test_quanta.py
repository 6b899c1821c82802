"""Single-photon sensing: facts F5.4–F5.7 of the design notes."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from physlayer import BitDepth, QuantaSensor, bit_density, exposure_estimate, noise_draw, seed_noise
from physlayer.core.randomness import Noise


@pytest.mark.parametrize(
    ("least", "exposure", "chance"), [(1, 0.1, 0.0952), (1, 3.0, 0.9502), (2, 2.0, 0.5940), (3, 2.0, 0.3233)]
)
def test_a_pixel_fires_with_the_chance_of_enough_photons(least, exposure, chance):
    """F5.4."""
    found = float(bit_density(torch.tensor(exposure, dtype=torch.float64), least - 0.5))
    assert found == pytest.approx(stats.poisson.sf(least - 1, exposure), abs=1e-9)
    assert found == pytest.approx(chance, abs=1e-4)


@pytest.mark.parametrize(
    ("noise", "density", "tolerance"),
    [
        (0.1, 0.63212056, 2e-7),
        (0.2, 0.63212056, 2e-7),
        (0.3, 0.63212, 1e-5),
        (0.4, 0.63210, 1e-4),
        (0.5, 0.63187, 1e-3),
    ],
)
def test_read_noise_below_a_third_of_an_electron_does_not_change_the_bits(noise, density, tolerance):
    """F5.5: the noise misreads as many zeros as ones only when it is large."""
    found = float(bit_density(torch.tensor(1.0, dtype=torch.float64), 0.5, noise))
    n = np.arange(60)
    expected = float((stats.poisson.pmf(n, 1.0) * stats.norm.sf((0.5 - n) / noise)).sum())
    assert found == pytest.approx(expected, abs=1e-9)
    assert found == pytest.approx(density, abs=tolerance)


def test_frames_are_drawn_with_that_chance():
    sensor = QuantaSensor(7, exposure_photons=1.3, quantum_efficiency=0.5, read_noise_electrons=0.0).eval()
    y = sensor(torch.full((4, 1, 200, 200), 0.8))
    chance = 1 - math.exp(-1.3 * 0.5 * 0.8)
    assert float(y.mean()) == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / (7 * y.numel())))
    assert set((y * 7).round().unique().tolist()) <= set(range(8))


def test_estimated_exposure_has_the_variance_of_the_bound():
    """F5.4: H = 0.7, 1000 frames: 1.011e-3 against a Cramér–Rao bound of 1.014e-3."""
    sensor = QuantaSensor(1000, exposure_photons=0.7, quantum_efficiency=1.0, read_noise_electrons=0.0).eval()
    found = exposure_estimate(sensor(torch.ones(1, 1, 300, 300)))
    assert float(found.mean()) == pytest.approx(0.7, abs=2e-3)
    assert float(found.var()) == pytest.approx((math.exp(0.7) - 1) / 1000, rel=0.03)


def test_best_exposure_of_a_one_bit_pixel_is_1_59_electrons():
    """F5.4: the exposure-referred signal-to-noise ratio H √(N/(e^H − 1)) peaks there at 0.8047 √N."""
    exposure = torch.linspace(0.05, 6, 60_000, dtype=torch.float64)
    density = bit_density(exposure)
    slope = torch.gradient(density, spacing=(exposure,))[0]
    ratio = exposure * slope / (density * (1 - density)).sqrt()
    best = int(ratio.argmax())
    assert float(exposure[best]) == pytest.approx(1.5936, abs=0.02)
    assert float(density[best]) == pytest.approx(0.797, abs=0.005)
    assert float(ratio[best]) == pytest.approx(0.8047, abs=1e-3)


def test_learned_exposure_of_a_one_bit_pixel_leaves_darkness():
    sensor = QuantaSensor(1, exposure_photons=nn.Parameter(torch.tensor(0.02)), quantum_efficiency=1.0)
    seed_noise(sensor, 0)
    optimizer = torch.optim.Adam(sensor.parameters(), lr=0.1)
    bright = torch.arange(2000).view(-1, 1, 1, 1) % 2
    for _ in range(100):
        y = sensor(0.2 + 0.8 * bright.float().expand(-1, 1, 2, 2))
        optimizer.zero_grad()
        (y[bright.flatten() == 0].mean() - y[bright.flatten() == 1].mean()).backward()
        optimizer.step()
    best = math.log(1 / 0.2) / 0.8  # of exp(−0.2 H) − exp(−H)
    assert float(sensor.exposure_photons.detach()) == pytest.approx(best, rel=0.15)


def test_a_pixel_that_always_fires_still_has_a_gradient():
    x = torch.full((1, 1, 2, 2), 1.0, requires_grad=True)
    with pytest.warns(UserWarning, match="100% of them full; lower exposure_photons"):
        QuantaSensor(1, exposure_photons=500.0)(x).sum().backward()
    assert (x.grad > 0).all()


def test_gain_and_threshold_of_a_pixel_reduce_to_a_plain_converter():
    """F5.6: gain 1 and no threshold is the plain converter; a gain of one code is exactly one bit; gain 0 nothing."""
    x, bits = torch.rand(2, 1, 5, 5), 3
    assert torch.equal(BitDepth(bits, gain=1.0, offset=0.0)(x), BitDepth(bits)(x))
    one = BitDepth(bits, gain=1 / 7)(torch.linspace(0, 1, 50).view(1, 1, 1, -1))
    assert len(one.unique()) == 2
    assert not BitDepth(bits, gain=0.0)(x).any()


def test_noise_lets_one_bit_frames_see_below_their_step():
    """F5.7: the mean of 1024 noisy frames finds a constant to 0.02; without noise it cannot."""
    frames = torch.full((1024, 1, 8, 8), 0.37)
    noisy = frames + 0.5 * Noise().normal(frames, training=False)
    level = 0.5 + 0.5 * torch.special.ndtri(BitDepth(1)(noisy).mean(0).double())
    assert float((level.mean() - 0.37).abs()) < 0.02
    assert not BitDepth(1)(frames).any()


def test_more_frames_are_fresh_exposures_in_training_and_repeatable_in_evaluation():
    sensor, x = QuantaSensor(3), torch.rand(2, 1, 6, 6)
    assert not torch.equal(sensor.train()(x), sensor(x))
    with noise_draw(sensor, draw=2):
        assert torch.equal(sensor.eval()(x), sensor(x))


@pytest.mark.parametrize(("exposure", "threshold"), [(103.0, 100.5), (200.0, 200.5), (110.0, 60.0), (0.0, 0.5)])
def test_many_photons_neither_underflow_nor_lose_their_gradient(exposure, threshold):
    leaf = torch.tensor(exposure, requires_grad=True)
    found = bit_density(leaf, threshold)
    found.backward()
    assert float(found.detach()) == pytest.approx(stats.poisson.sf(math.floor(threshold), exposure), abs=1e-4)
    assert torch.isfinite(leaf.grad)
