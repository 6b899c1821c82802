"""The sensor in electrons: facts F1.1–F1.5 of the design notes, and what a laboratory would measure."""

import copy
import math

import pytest
import torch
from torch import nn

from physlayer import SENSORS, BitDepth, Exposure, Sensor, SensorPlacement, noise_draw, seed_noise
from physlayer.core.photons import photon_counts, saturate
from physlayer.core.randomness import Noise
from physlayer.sensor.photon_transfer import emva1288


def flat(scene, size=256):
    return torch.full((1, 1, size, size), float(scene))


def variance_of_pair(sensor, scene, size=512):
    a, b = (read(sensor, flat(scene, size), draw) for draw in (0, 1))
    return float(((a - b) ** 2).mean() / 2 - (a.mean() - b.mean()) ** 2 / 2), float((a.mean() + b.mean()) / 2)


def read(sensor, x, draw):
    with noise_draw(sensor, draw=draw):
        return sensor.eval().codes(x).double()


def test_photon_transfer_has_the_variance_of_the_standard():
    """F1.1: K = 0.25 DN per electron, offset 16, read noise 6.83 electrons."""
    expected = {10: 3.62, 100: 9.25, 1000: 65.5, 4000: 253.0, 10_000: 628.0}
    sensor = Sensor(
        16, exposure_photons=10_000.0, quantum_efficiency=1.0, full_well_electrons=32_691.0,
        read_noise_electrons=6.83, gain_dn_per_electron=0.25, offset_dn=16.0,
    )  # fmt: skip
    for electrons, variance in expected.items():
        found, mean = variance_of_pair(sensor, electrons / 10_000)
        assert found == pytest.approx(variance, rel=0.012)
        assert mean == pytest.approx(16 + 0.25 * electrons, rel=2e-3)


def test_photon_transfer_recovers_gain_and_quantum_efficiency_within_a_percent():
    sensor = Sensor(
        12, exposure_photons=16_000.0, quantum_efficiency=0.6, full_well_electrons=20_000.0,
        read_noise_electrons=14.0, gain_dn_per_electron=0.05, offset_dn=8.0, photo_response_non_uniformity=0.02,
        dark_signal_non_uniformity_electrons=6.0,
    )  # fmt: skip
    found = emva1288(sensor, size=256, levels=20)
    assert found.gain_dn_per_electron == pytest.approx(0.05, rel=0.01)
    assert found.quantum_efficiency == pytest.approx(0.6, rel=0.01)
    assert found.read_noise_electrons == pytest.approx(14.0, rel=0.03)
    assert found.saturation_electrons == pytest.approx(20_000, rel=0.05)


def test_rounding_hides_small_read_noise_and_the_measurement_says_so():
    """With K σ = 0.35 DN the textbook formula would give 5.3 instead of 7 electrons."""
    sensor = Sensor(
        12, full_well_electrons=20_000.0, read_noise_electrons=7.0, gain_dn_per_electron=0.05, offset_dn=8.0
    )
    assert math.isnan(emva1288(sensor, size=64).read_noise_electrons)


@pytest.mark.parametrize(("sigma_dn", "low", "high"), [(0.49, 0.30, 0.345), (0.2, 0.0, 0.26)])
def test_rounding_adds_a_twelfth_only_to_enough_noise(sigma_dn, low, high):
    """F1.2: at 0.49 DN the variance stays near σ² + 1/12 for every phase, at 0.2 DN it swings."""
    found = []
    for phase in torch.linspace(0, 1, 9)[:-1].tolist():
        sensor = Sensor(
            8, exposure_photons=1e-6, read_noise_electrons=sigma_dn, gain_dn_per_electron=1.0, offset_dn=20 + phase
        )
        found.append(variance_of_pair(sensor, 0.0)[0])
    assert low <= min(found) and max(found) <= high
    if sigma_dn < 0.4:
        assert max(found) > 5 * min(found)


def test_a_full_pixel_has_neither_noise_nor_response():
    """F1.3, and the largest signal-to-noise ratio is the root of the full well."""
    sensor = Sensor(12, **SENSORS["imx174"], exposure_photons=100_000.0, offset_dn=10.0)
    variance, _ = variance_of_pair(sensor, 1.0)
    assert variance == 0
    assert torch.equal(sensor.codes(flat(1.0)), sensor.codes(flat(1.1)))
    assert 20 * math.log10(math.sqrt(32_691)) == pytest.approx(45.14, abs=0.01)
    found = emva1288(sensor, size=128, levels=40)
    assert found.snr_max_db == pytest.approx(45.14, abs=0.15)


def test_useful_bits_of_a_linear_and_a_square_root_converter():
    """F1.5, as the numbers of the docs: 12.2 bits for steps of the read noise, 8.5 for steps of one deviation."""
    well, noise = SENSORS["imx174"]["full_well_electrons"], SENSORS["imx174"]["read_noise_electrons"]
    assert math.log2(well / noise) == pytest.approx(12.2, abs=0.05)
    assert math.log2(2 * math.sqrt(well)) == pytest.approx(8.5, abs=0.05)


def test_averaging_pixels_gains_the_root_of_their_number():
    """F1.4: shot-limited, in the digital domain."""
    sensor = Sensor(None, exposure_photons=1000.0, quantum_efficiency=1.0, read_noise_electrons=0.0).eval()
    y = sensor(flat(0.5, 512))
    ratio = lambda v: float(v.mean() / v.std())  # noqa: E731
    assert ratio(nn.functional.avg_pool2d(y, 4)) / ratio(y) == pytest.approx(4.0, rel=0.03)


def test_poisson_gradient_is_exact_to_second_order():
    """1, 19.0 and 298.7 at a mean of nine (peers 7.1); straight-through would give 1, 18 and 270."""
    mean = torch.full((2_000_000,), 9.0, dtype=torch.float64)
    counts = torch.poisson(mean, generator=torch.Generator().manual_seed(0))
    for power, expected, tolerance in ((1, 1.0, 0.002), (2, 19.0, 0.05), (3, 298.5, 1.5)):
        leaf = mean.clone().requires_grad_()
        (photon_counts(leaf, counts) ** power).sum().backward()
        assert float(leaf.grad.mean()) == pytest.approx(expected, abs=tolerance)


def test_gradient_is_finite_in_the_dark():
    mean = torch.tensor([0.0, 1e-8, 1e-3], requires_grad=True)
    photon_counts(mean, torch.tensor([0.0, 1.0, 1.0])).sum().backward()
    assert torch.isfinite(mean.grad).all()


def test_saturation_is_a_hard_minimum_with_the_stated_gradients():
    e = torch.tensor([1.0, 10.0, 50.0], requires_grad=True)
    well = torch.tensor(10.0, requires_grad=True)
    y = saturate(e, well, leak=0.05)
    assert y.tolist() == [1.0, 10.0, 10.0]
    y.sum().backward()
    assert torch.allclose(e.grad, torch.tensor([1.0, 0.05, 0.05])) and float(well.grad) == 2.0


def test_noise_is_the_same_for_an_image_in_any_batch_and_differs_between_draws():
    sensor, x = Sensor(8, exposure_photons=50.0).eval(), torch.rand(5, 3, 7, 9)
    whole = sensor(x)
    with noise_draw(sensor, first=2):
        assert torch.equal(sensor(x[2:4]), whole[2:4])
    with noise_draw(sensor, draw=1):
        assert not torch.equal(sensor(x), whole)
    assert torch.equal(sensor(x), whole)


def test_noise_of_training_is_seeded_apart_from_the_order_of_the_data():
    sensor, x = Sensor(8, exposure_photons=50.0).train(), torch.rand(2, 1, 5, 5)
    seed_noise(sensor, 3)
    torch.manual_seed(0)
    first, state = sensor(x), torch.get_rng_state()
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())  # the global stream was not touched
    seed_noise(sensor, 3)
    assert torch.equal(sensor(x), first)
    seed_noise(sensor, 4)
    assert not torch.equal(sensor(x), first)


def test_poisson_and_read_noise_of_one_image_are_independent():
    noise, x = Noise(), torch.full((1, 1, 300, 300), 50.0)
    counts, read = noise.poisson(x, training=False), noise.normal(x, training=False)
    assert abs(float(torch.corrcoef(torch.stack([counts.flatten(), read.flatten()]))[0, 1])) < 0.015


def test_two_layers_of_a_camera_have_different_noise():
    camera = nn.Sequential(Sensor(None), Sensor(None))
    with noise_draw(camera):
        assert not torch.equal(*(layer.noise.normal(flat(0, 8), training=False) for layer in camera))
    seed_noise(camera, 0)
    assert not torch.equal(*(layer.noise.normal(flat(0, 8), training=True) for layer in camera))


def test_a_restored_device_has_the_noise_and_the_pattern_that_it_was_trained_with():
    def build():
        return nn.Sequential(Exposure(1.0), Sensor(8, exposure_photons=80.0, photo_response_non_uniformity=0.1))

    camera, x = build(), torch.rand(3, 1, 6, 6)
    seed_noise(camera, 5)
    camera.train()(x)
    restored = build()
    restored.load_state_dict(camera.state_dict())
    for draw in (0, 1):
        with noise_draw(camera, draw), noise_draw(restored, draw):
            assert torch.equal(camera.eval()(x), restored.eval()(x))
    assert torch.equal(camera.eval()(x), copy.deepcopy(camera).eval()(x))


def test_learned_exposure_moves_by_factors_and_finds_the_light_it_needs():
    """A pixel that drowns in read noise: more exposure separates two greys better, up to the full well."""
    camera = Sensor(
        None, exposure_photons=nn.Parameter(torch.tensor(20.0)), quantum_efficiency=0.5, read_noise_electrons=10.0
    )
    seed_noise(camera, 0)
    optimizer = torch.optim.Adam(camera.parameters(), lr=0.05)
    target = torch.randint(0, 2, (256, 1, 4, 4), generator=torch.Generator().manual_seed(1)).float()
    for _ in range(60):
        y = camera(0.4 + 0.2 * target)
        contrast = (y[target == 1].mean() - y[target == 0].mean()) / y[target == 1].std()
        optimizer.zero_grad()
        (-contrast).backward()
        optimizer.step()
    assert float(camera.exposure_photons.detach()) > 200


def test_analogue_sensor_in_front_of_a_converter_rounds_once():
    x = torch.rand(2, 1, 6, 6)
    apart = nn.Sequential(Sensor(None, full_well_electrons=10_500.0), BitDepth(8)).eval()
    whole = Sensor(8, full_well_electrons=10_500.0).eval()
    assert torch.allclose(apart(x), whole(x), atol=1e-6)


def test_negative_light_is_refused():
    with pytest.raises(ValueError, match="Expected x to hold intensities"):
        Sensor(8)(torch.full((1, 1, 4, 4), -0.1))


def test_an_offset_that_cuts_the_dark_noise_is_refused_by_the_laboratory():
    with pytest.raises(ValueError, match="Expected offset_dn to keep the dark signal above code 0"):
        emva1288(Sensor(12, read_noise_electrons=7.0), size=64)


def test_codes_without_a_converter_are_refused():
    with pytest.raises(ValueError, match="Expected bits to be given"):
        Sensor(None).codes(flat(0.5, 4))


@pytest.mark.parametrize("bits", [8, 9])
def test_gain_is_recovered_where_rounding_hides_the_dark_noise(bits):
    """A line through the dark point would be 3 % off at 8 bits: rounding adds its twelfth only to enough noise."""
    sensor = Sensor(bits, quantum_efficiency=0.6, offset_dn=5.3)
    found = emva1288(sensor, size=512, levels=40)
    assert math.isnan(found.read_noise_electrons)
    assert found.gain_dn_per_electron == pytest.approx(float(sensor.gain_dn_per_electron), rel=0.015)
    assert found.quantum_efficiency == pytest.approx(0.6, rel=0.015)


def test_what_rounding_hides_or_differs_between_pixels_is_refused():
    with pytest.raises(ValueError, match="Expected photon noise to exceed rounding"):
        emva1288(Sensor(4, offset_dn=2.0), size=64)
    with pytest.raises(ValueError, match="Expected quantum_efficiency to be one number"):
        emva1288(Sensor(12, quantum_efficiency=torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)), size=64)


def test_a_layer_that_only_chooses_shifts_no_noise_of_the_sensor_behind():
    x, sensor = torch.rand(2, 1, 8, 8), Sensor(8, exposure_photons=50.0)
    chosen = nn.Sequential(SensorPlacement(torch.ones(8, 8), keep=64), sensor).eval()
    for draw in (0, 1):
        with noise_draw(chosen, draw):
            behind = chosen(x)
        with noise_draw(sensor, draw):
            assert torch.equal(sensor.eval()(x), behind)


def test_black_and_saturation_are_the_readings_of_a_dark_and_of_a_full_pixel():
    quantities = {"read_noise_electrons": 0.0, "dark_current_electrons_per_second": 1e5, "exposure_photons": 1e5}
    for sensor in (
        Sensor(10, **quantities, offset_dn=12.0),
        Sensor(10, **quantities, offset_dn=12.0, gain_dn_per_electron=0.05),
        Sensor(None, **quantities),
    ):
        assert float(sensor.eval()(flat(0.0)).mean()) == pytest.approx(float(sensor.black_reading()), rel=0.01)
        with pytest.warns(UserWarning, match="100% of them full"):
            full = sensor(flat(1.0)).unique()
        assert full.numel() == 1 and float(full) == pytest.approx(float(sensor.saturation_reading()), abs=1e-6)


@pytest.mark.parametrize("layer", [Sensor(8, exposure_photons=1e7), Sensor(None, exposure_photons=1e7), Exposure(40.0)])
def test_an_exposure_that_fills_every_pixel_is_told_with_the_share(layer):
    with pytest.warns(UserWarning, match="Expected pixels below saturation, but got 100% of them full; lower"):
        layer(flat(0.5, 8))
    layer(flat(1e-6, 8))  # a dark scene is none of that: the suite turns warnings into errors


def test_a_sensor_without_a_well_or_a_gain_is_refused():
    with pytest.raises(ValueError, match="Expected full_well_electrons to be above 0"):
        Sensor(8, full_well_electrons=0.0)
    with pytest.raises(ValueError, match="Expected gain_dn_per_electron to be above 0"):
        Sensor(8, gain_dn_per_electron=torch.tensor([1.0, 0.0]).view(2, 1, 1))


def test_a_learned_full_well_is_at_the_last_code_as_a_fixed_one_is():
    for bits in (8, 12):
        fixed, learned = (
            Sensor(bits, full_well_electrons=well) for well in (5000.0, nn.Parameter(torch.tensor(5000.0)))
        )
        assert float(learned.gain_dn_per_electron) == pytest.approx(float(fixed.gain_dn_per_electron))
