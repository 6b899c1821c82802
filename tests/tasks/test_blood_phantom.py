"""What the blood-cell phantom promises: the same everywhere, grouped by slide, no shortcut to the class."""

import hashlib

import numpy as np
import pytest

from physlayer.tasks.blood_cells.phantom import (
    FULL_WELL_ELECTRONS,
    Phantom,
    draw_slide,
    expose,
    make_phantom,
    pixel_response,
)
from physlayer.tasks.blood_cells.phantom_cells import CLASS_NAMES, EOSINOPHIL, LYMPHOCYTE, MONOCYTE, NEUTROPHIL
from physlayer.tasks.blood_cells.phantom_shapes import AXIS_UM, FINE, PITCH_UM, band_noise, blob, bridge, specks

GOLDEN = "b55b52ef9a8193228ad62617bb2c3f27f2db817618dac69700a42ba83e0f0d0d"


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(800, seed=0, size=32)


def linear_accuracy(features: np.ndarray, targets: np.ndarray) -> float:
    """Fit one-hot targets by least squares on the first half, score the second half: different slides."""
    features = (features - features.mean(0)) / (features.std(0) + 1e-12)
    features = np.c_[features, np.ones(len(features))]
    half = len(features) // 2
    weight = np.linalg.lstsq(features[:half], np.eye(4)[targets[:half]], rcond=None)[0]
    return float(np.mean((features[half:] @ weight).argmax(1) == targets[half:]))


# Reproducibility


def test_eight_images_are_the_ones_that_were_published():
    # 64 levels: the last digit of a processor's exp moves no code, any change of the recipe moves many
    codes = np.rint(make_phantom(8, seed=2024).images * 63).astype(np.uint8)
    assert hashlib.sha256(codes.tobytes()).hexdigest() == GOLDEN


def test_fewer_images_are_a_prefix_of_more():
    few, many = make_phantom(7, seed=3, images_per_slide=5), make_phantom(13, seed=3, images_per_slide=5)
    np.testing.assert_array_equal(few.images, many.images[:7])
    np.testing.assert_array_equal(few.targets, many.targets[:7])
    np.testing.assert_array_equal(few.groups, many.groups[:7])
    assert all(np.array_equal(values, many.latents[name][:7]) for name, values in few.latents.items())


def test_number_of_processes_does_not_change_the_images():
    alone, shared = (make_phantom(8, seed=4, images_per_slide=3, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(alone.images, shared.images)
    np.testing.assert_array_equal(alone.targets, shared.targets)


def test_two_seeds_share_neither_images_nor_slides():
    first, second = make_phantom(4, seed=0), make_phantom(4, seed=1)
    assert not set(first.groups) & set(second.groups)
    assert np.abs(first.images - second.images).mean() > 0.01


def test_no_two_images_are_alike(phantom):
    assert len({image.tobytes() for image in phantom.images}) == len(phantom.images)


def test_the_same_cells_appear_at_every_size():
    fine, coarse = make_phantom(4, seed=5, size=64), make_phantom(4, seed=5, size=32)
    averaged = fine.images.reshape(4, 3, 32, 2, 32, 2).mean((3, 5))
    assert np.abs(averaged - coarse.images).mean() < 0.005  # what is left is photon noise


# Ranges, classes, slides


def test_images_are_linear_light_between_zero_and_one(phantom):
    assert phantom.images.shape == (800, 3, 32, 32)
    assert phantom.images.dtype == np.float32
    assert phantom.targets.dtype == np.int64
    assert phantom.images.min() >= 0
    assert phantom.images.max() <= 1
    assert phantom.images.std() > 0.1
    assert all(len(values) == 800 and np.isfinite(values).all() for values in phantom.latents.values())


def test_convention_classes_are_in_alphabetical_order():
    assert CLASS_NAMES == ("eosinophil", "lymphocyte", "monocyte", "neutrophil")
    assert (EOSINOPHIL, LYMPHOCYTE, MONOCYTE, NEUTROPHIL) == (0, 1, 2, 3)


def test_classes_are_balanced_within_each_slide(phantom):
    np.testing.assert_array_equal(np.bincount(phantom.targets), [200, 200, 200, 200])
    for slide in np.unique(phantom.groups):
        counts = np.bincount(phantom.targets[phantom.groups == slide], minlength=4)
        assert counts.sum() == 25
        assert np.ptp(counts) <= 1


def test_position_in_a_slide_does_not_tell_the_class(phantom):
    by_position = phantom.targets.reshape(-1, 25)
    modal = np.array([np.bincount(column, minlength=4).max() for column in by_position.T]) / len(by_position)
    assert modal.mean() < 0.5  # 32 slides: chance alone gives a modal share of about 0.36
    assert np.mean(phantom.targets == np.arange(800) % 4) < 0.32


def test_images_of_one_slide_share_stain_light_and_focus(phantom):
    blur = phantom.latents["blur_um"].reshape(-1, 25)
    assert (blur == blur[:, :1]).all()
    assert len(np.unique(blur)) == 32
    assert blur.min() >= 0.178
    # Clear glass has the colour of the lamp: a bright percentile varies between slides, hardly within one
    glass = np.percentile(phantom.images, 95, axis=(2, 3)).reshape(-1, 25, 3)
    assert glass.std(1).mean() < 0.5 * glass.mean(1).std(0).mean()


# Physics


def test_darkest_and_clear_fields_follow_beer_and_lambert():
    generator = np.random.default_rng(0)
    slide = draw_slide(generator, 64)
    clear = expose(generator, np.zeros((2, FINE, FINE)), slide).mean((1, 2))
    blue_only = np.stack([np.full((FINE, FINE), 0.5), np.zeros((FINE, FINE))])
    stained = expose(generator, blue_only, slide).mean((1, 2))
    np.testing.assert_allclose(-np.log10(stained / clear), 0.5 * slide.stains[:, 0], rtol=5e-3)


def test_noise_is_that_of_photons_and_of_the_read_out():
    generator = np.random.default_rng(0)
    slide = draw_slide(generator, 64)
    smear = np.full((2, FINE, FINE), 0.3)
    shots = np.stack([expose(generator, smear, slide) for _ in range(60)]).astype(np.float64)
    electrons = shots.mean(0) * FULL_WELL_ELECTRONS
    variance = shots.var(0, ddof=1) * FULL_WELL_ELECTRONS**2
    assert variance.mean() / (electrons.mean() + 7.0**2) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("size", [8, 32, 64, 128])
def test_optics_conserve_a_uniform_field_up_to_the_border(size):
    np.testing.assert_allclose(pixel_response(size, 0.4).sum(1), 1, rtol=1e-12)


def test_optics_blur_has_the_width_it_is_told():
    weight = pixel_response(128, 0.9)[64]
    centre = weight @ AXIS_UM
    width = np.sqrt(weight @ (AXIS_UM - centre) ** 2)
    assert width == pytest.approx(np.hypot(0.9, PITCH_UM / np.sqrt(12)), rel=1e-3)


# Shapes


def test_blob_has_the_area_of_its_radius_and_sits_at_its_centre():
    window, coverage = blob(np.random.default_rng(0), 10.0, 14.0, 3.0, roughness=0.0)
    area = coverage.sum() * PITCH_UM**2
    assert area == pytest.approx(np.pi * 3.0**2, rel=0.01)
    assert (coverage.sum(1) @ AXIS_UM[window[0]]) / coverage.sum() == pytest.approx(10.0, abs=0.01)
    assert (coverage.sum(0) @ AXIS_UM[window[1]]) / coverage.sum() == pytest.approx(14.0, abs=0.01)


def test_shapes_outside_the_field_are_empty_and_do_not_wrap():
    window, coverage = blob(np.random.default_rng(0), -9.0, 40.0, 3.0)
    assert coverage.size == 0
    assert np.zeros((FINE, FINE))[window].shape == coverage.shape


def test_bridge_joins_its_ends_and_is_as_wide_as_told():
    window, coverage = bridge((12.0, 8.0), (12.0, 16.0), 2.0)
    assert coverage.sum() * PITCH_UM**2 == pytest.approx(8 * 2 + np.pi, rel=0.02)
    assert (window[1].start, window[1].stop) == (33, 95)


def test_each_granule_adds_the_volume_of_its_gaussian():
    volume = specks(np.random.default_rng(0), np.pad(np.ones((64, 64)), 32), 400, 0.3).sum() * PITCH_UM**2
    assert volume / 400 == pytest.approx(2 * np.pi * (0.3 / 1.5) ** 2, rel=0.05)  # mean height is one


def test_granules_stay_where_they_may_be():
    weight = np.zeros((FINE, FINE))
    weight[:20] = 1
    assert specks(np.random.default_rng(0), weight, 100, 0.2)[30:].max() < 1e-6


def test_chromatin_noise_is_coarser_at_a_larger_scale():
    fine, coarse = (band_noise(np.random.default_rng(0), scale) for scale in (0.25, 0.5))
    assert fine.mean() == pytest.approx(0, abs=1e-9)
    assert (np.diff(fine) ** 2).mean() > 2 * (np.diff(coarse) ** 2).mean()


# What tells the classes apart, and what must not


def test_latents_order_the_classes(phantom):
    mean = {
        name: [values[phantom.targets == target].mean() for target in range(4)]
        for name, values in phantom.latents.items()
    }
    assert mean["granule_radius_um"][EOSINOPHIL] > 1.3 * mean["granule_radius_um"][NEUTROPHIL]
    assert mean["granule_eosin_share"][EOSINOPHIL] > mean["granule_eosin_share"][NEUTROPHIL] + 0.1
    assert mean["lobes"][NEUTROPHIL] > mean["lobes"][EOSINOPHIL] > mean["lobes"][LYMPHOCYTE] == 1
    assert mean["notch_depth_um"][MONOCYTE] > 2 * mean["notch_depth_um"][LYMPHOCYTE] > 0
    assert mean["chromatin_um"][LYMPHOCYTE] > 1.3 * mean["chromatin_um"][MONOCYTE]
    assert min(mean["nucleus_cell_ratio"][1:3]) > 1.5 * max(mean["nucleus_cell_ratio"][0::3])


def test_an_oracle_on_the_latents_knows_the_class(phantom):
    table = np.stack(list(phantom.latents.values()), axis=1)
    assert linear_accuracy(table, phantom.targets) > 0.9


def test_mean_colour_does_not_tell_the_class(phantom):
    assert linear_accuracy(phantom.images.mean((2, 3), dtype=np.float64), phantom.targets) <= 0.5


def test_brightness_and_surroundings_do_not_tell_the_class(phantom):
    top, bottom = phantom.images[:, :, :2].mean((2, 3)), phantom.images[:, :, -2:].mean((2, 3))
    ring = np.concatenate([top, bottom], axis=1)
    assert linear_accuracy(ring, phantom.targets) <= 0.32
    assert linear_accuracy(phantom.images.mean((1, 2, 3))[:, None], phantom.targets) <= 0.45


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 0}, "Expected images to be an integer of at least 1 and at most 1000000, but got 0."),
        ({"images": 2.5}, "Expected images to be an integer"),
        ({"images": True}, "Expected images to be an integer"),
        ({"seed": -1}, "Expected seed to be an integer of at least 0, but got -1."),
        ({"size": 4}, "Expected size to be an integer of at least 8 and at most 128, but got 4."),
        ({"size": 48}, "Expected size to divide 128, but got 48."),
        ({"images_per_slide": 0}, "Expected images_per_slide to be an integer of at least 1, but got 0."),
        ({"jobs": 0}, "Expected jobs to be an integer of at least 1, but got 0."),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make_phantom(**({"images": 4, "seed": 0} | arguments))
