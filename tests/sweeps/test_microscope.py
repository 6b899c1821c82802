"""Arms of the sweeps with a microscope: the same light and aperture for all, and what each says of its optics."""

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import camera_cost, noise_draw
from physlayer.experiment.spec import Point
from physlayer.optics.illumination import led_stack
from physlayer.optics.pupil import defocus_waves, pupil_grid
from physlayer.optics.zernike import zernike
from physlayer.sweeps import defocus, illumination, microscope


def point(value, shape=(1, 32, 32), seed=0):
    return Point(value, shape, lambda q: q, lambda: torch.zeros(1, *shape), torch.Generator().manual_seed(seed))


def camera(module, arm, at):
    return nn.Sequential(*module.SWEEP.variant(arm).camera(at))


def swept(module):
    return [variant.name for variant in module.SWEEP.variants if variant.swept]


def scenes(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("size", "radius", "cells"), [(64, 19, 1129), (32, 19, 293), (28, 8 * 64 / 28, 197)])
def test_aperture_is_the_homework_s_at_64_pixels_and_in_proportion_elsewhere(size, radius, cells):
    """19 at 64 and 8 at 28 pixels are the two versions of the homework."""
    for arm in swept(microscope):
        optics = camera(microscope, arm, point(radius, (1, size, size)))[0]
        assert int((optics.aperture((1, 1, size, size)).abs() > 0.5).sum()) == cells


def test_learned_phases_start_from_the_conventional_microscope():
    at, x = point(19), scenes(2, 1, 32, 32)
    for arm, like in (
        ("illumination", "fixed"),
        ("aperture", "fixed"),
        ("learned", "fixed"),
        ("illumination_turn", "fixed_turn"),
        ("aperture_turn", "fixed_turn"),
        ("learned_turn", "fixed_turn"),
    ):
        optics, conventional = camera(microscope, arm, at)[0], camera(microscope, like, at)[0]
        assert torch.allclose(optics(x), conventional(x), atol=1e-5)
        assert not torch.allclose(camera(microscope, "random", at)[0](x), conventional(x), atol=0.1)


def test_thickness_of_a_turn_shows_a_thin_sample_by_far_more():
    """Standard deviations of the conventional image for 1 rad and for 2π."""
    at, x = point(19), scenes(4, 1, 32, 32)
    radian, turn = (float(camera(microscope, arm, at)[0](x).std()) for arm in ("fixed", "fixed_turn"))
    assert turn > 2 * radian


def test_one_step_of_the_rate_moves_a_learned_phase_by_a_sixteenth():
    optics = camera(microscope, "aperture", point(19))[0]
    with torch.no_grad():
        optics.free_parameter("aperture_waves").fill_(0.8)
    assert torch.allclose(optics.aperture_waves, torch.full((32, 32), 0.05))


def test_sample_of_a_wide_picture_is_its_middle_square_in_the_homework_s_cells():
    """64×85 pixels, from 240×320: 64×64 of them, the pupil of radius 19 with 1129 cells, and nothing of the sides."""
    layers = camera(microscope, "random", point(19.0, (3, 64, 85)))
    x = scenes(2, 3, 64, 85)
    assert layers[:-1](x).shape == (2, 1, 64, 64)
    luma = (x * torch.tensor(microscope.LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    assert torch.allclose(layers[:2](x), luma[..., 10:74], atol=1e-6)
    assert int((layers[2].aperture((1, 1, 64, 64)).abs() > 0.5).sum()) == 1129
    changed = x.clone()
    changed[..., :10] = changed[..., 74:] = 0
    assert torch.equal(layers[:-1](changed), layers[:-1](x))
    assert camera_cost(layers, (3, 64, 85))["n_samples"] == 64 * 64


@pytest.mark.parametrize(("module", "weights"), [(microscope, (0.299, 0.587, 0.114)), (illumination, (0, 1, 0))])
def test_thickness_of_a_coloured_image_is_its_luma_or_its_green_channel(module, weights):
    x = scenes(2, 3, 32, 32)
    expected = sum(weight * x[:, c : c + 1] for c, weight in enumerate(weights))
    assert torch.allclose(camera(module, "none", point(None, (3, 32, 32)))(x), expected, atol=1e-6)
    assert len(camera(module, "none", point(None))) == 0


@pytest.mark.parametrize(("height", "width"), [(32, 32), (28, 28), (60, 80)])
def test_moved_apertures_show_the_pictures_of_tilted_light(height, width):
    """F⁻¹{H(f) F{o}(f − k)} and F⁻¹{H(f + k) F{o}(f)} have one intensity; nine LEDs are bright, sixteen dark."""
    shape, x = (1, height, width), scenes(2, 1, height, width)
    pictures = camera(illumination, "all", point(100.0, shape))[0]
    assert torch.allclose(pictures(x), led_stack(x, pictures.tilt_cycles, pictures.microscope), atol=2e-5)
    empty = pictures(torch.zeros(1, *shape)).mean((0, 2, 3)).view(5, 5)
    assert torch.allclose(empty, nn.functional.pad(torch.ones(3, 3), (1, 1, 1, 1)), atol=1e-6)


def test_every_pattern_of_leds_gives_the_same_light():
    for arm in swept(illumination):
        layers = camera(illumination, arm, point(100.0))
        leds = layers[1]
        assert camera_cost(layers, (1, 32, 32))["photons"] == pytest.approx(100 * 32 * 32)
        patterns = leds.patterns().detach()
        assert float(patterns.min()) >= 0 and float(patterns.sum()) == pytest.approx(1, abs=1e-6)
        assert len(patterns) == 1 + leds.signed


@pytest.mark.parametrize(("arm", "lit"), [("fixed", 1), ("contrast", 6), ("all", 25)])
def test_leds_that_are_off_need_no_picture(arm, lit):
    """The reading is that of all 25 pictures, weighted by 0 where an LED is off."""
    pictures, leds = camera(illumination, arm, point(100.0))[:2]
    weights = torch.zeros(25)
    places = [illumination.tilts(32, 32).tolist().index(tilt) for tilt in pictures.tilt_cycles.tolist()]
    weights[places] = leds.weights
    x, whole = scenes(2, 1, 32, 32), camera(illumination, "learned", point(100.0))[0]
    expected = torch.einsum("bkhw,k->bhw", whole(x), weights)
    seen = leds(pictures(x))
    seen = seen[:, 0] - seen[:, 1] if arm == "contrast" else seen[:, 0]
    assert len(places) == lit and torch.allclose(seen, expected, atol=1e-6)


def test_left_minus_right_is_the_slope_of_the_thickness():
    """Differential phase contrast of a ramp has one sign, that of the mirrored ramp the other; a flat sample none."""
    layers = camera(illumination, "contrast", point(100.0)).eval()
    place = torch.linspace(-1, 1, 32)
    hill = torch.exp(-(place[:, None] ** 2 + place**2) / 0.1)[None, None]
    seen = layers[-1](layers[1](layers[0](hill)))[0, 0]
    left, right = seen[:, :16].mean(), seen[:, 16:].mean()
    assert float(left) == pytest.approx(-float(right), abs=1e-3) and abs(float(left)) > 0.005
    assert float(layers[-1](layers[1](layers[0](torch.full_like(hill, 0.5)))).abs().max()) < 1e-6


def test_cubic_phase_is_the_sum_of_four_aberrations_and_a_tilt():
    """α(x³ + y³) − α(x + y)/2 over the unit disc."""
    x, y = pupil_grid(65, 32)
    inside = x**2 + y**2 <= 1
    numbers = zip(defocus.cubic_zernikes(5.0), (7, 8, 9, 10), strict=True)
    made = sum(float(weight) * zernike(number, x, y) for weight, number in numbers)
    expected = 5 * (x**3 + y**3) - 2.5 * (x + y)
    assert torch.allclose(made[inside], expected[inside], atol=1e-6)


def test_waves_of_defocus_are_those_at_the_rim():
    objective = defocus.OBJECTIVE
    for waves in (0.25, 4.0):
        far = defocus.defocus_um(waves)
        assert defocus_waves(far, objective["numerical_aperture"], defocus.WAVELENGTH_UM) == pytest.approx(waves)
        lens = camera(defocus, "fixed", point(waves, (3, 32, 32)))[0]
        assert np.allclose(lens.stated_um, [-far, -far / 2, 0, far / 2, far])


def test_every_image_is_judged_at_every_position_and_a_batch_is_trained_at_eight():
    lens, x = camera(defocus, "fixed", point(1.0, (3, 32, 32)))[0], torch.zeros(64, 3, 32, 32)
    assert len(lens.train().positions(x).unique()) == 8
    seen = []
    for draw in range(5):
        with noise_draw(lens.eval(), draw=draw):
            seen.append(lens.positions(x))
    assert torch.equal(torch.stack(seen).sort(0).values[:, 0], x.new_tensor(lens.stated_um))
    assert (torch.stack(seen).diff(dim=0) != 0).all()


def test_every_pupil_passes_all_the_light_and_learning_starts_from_the_random_one():
    at = {arm: camera(defocus, arm, point(1.0, (3, 32, 32)))[0] for arm in swept(defocus)}
    for lens in at.values():
        assert lens.transmission() == pytest.approx(1, abs=1e-6)
        assert float(lens.kernels().sum((2, 3)).detach().mean()) == pytest.approx(1, abs=1e-4)
    assert torch.equal(at["random"].zernike_waves, at["learned"].zernike_waves.detach())
    assert camera(defocus, "learned", point(0.0, (3, 32, 32)))[0].range_um is None


@pytest.mark.parametrize("side", [8, 16, 26])
def test_images_too_small_for_nine_leds_in_the_aperture_are_refused(side):
    with pytest.raises(ValueError, match="Expected images wide enough for 9 LEDs within the aperture, but got"):
        camera(illumination, "fixed", point(100.0, (1, side, side)))
