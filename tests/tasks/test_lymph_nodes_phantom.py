"""What the lymph-node phantom promises: grouped by slide, only the centre counts, no colour that is tumour."""

import hashlib

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from physlayer.tasks.lymph_nodes.phantom import (
    CENTRE_UM,
    CLASS_NAMES,
    FIELD,
    LYMPHOCYTE,
    TUMOUR,
    central,
    draw_node,
    make_phantom,
)

GOLDEN = "b53187356ffc8aec3ea11ff3c5bb7d73f0ae34b283fbf7a6635d93974a3f0478"


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(60, seed=0, images_per_slide=6)


def test_four_images_are_the_ones_that_were_published():
    # 64 levels: the last digit of a processor's exp moves no code, any change of the recipe moves many
    codes = np.rint(make_phantom(4, seed=2024, images_per_slide=2).images.numpy() * 63).astype(np.uint8)
    assert hashlib.sha256(codes.tobytes()).hexdigest() == GOLDEN


def test_fewer_images_are_a_prefix_of_more():
    few, many = make_phantom(3, seed=3, images_per_slide=2), make_phantom(5, seed=3, images_per_slide=2)
    assert torch.equal(few.images, many.images[:3]) and torch.equal(few.targets, many.targets[:3])
    assert list(few.groups) == list(many.groups[:3])


def test_two_seeds_share_neither_images_nor_slides():
    first, second = make_phantom(2, seed=0), make_phantom(2, seed=1)
    assert not set(first.groups) & set(second.groups)
    assert (first.images - second.images).abs().mean() > 0.01


def test_the_same_tissue_appears_at_every_size():
    fine, coarse = make_phantom(2, seed=5, size=96), make_phantom(2, seed=5, size=48)
    averaged = torch.nn.functional.avg_pool2d(fine.images, 2)
    assert (averaged - coarse.images).abs().mean() < 0.01  # what is left is photon noise


def test_shapes_kinds_ranges_and_balance(phantom):
    assert phantom.images.shape == (60, 3, 48, 48) and phantom.images.dtype == torch.float32
    assert phantom.images.min() >= 0 and phantom.images.max() <= 1 and phantom.images.std() > 0.05
    assert phantom.targets.dtype == torch.int64 and phantom.targets.reshape(10, 6).sum(1).tolist() == [3] * 10
    assert CLASS_NAMES == ("normal", "tumour") and len(set(phantom.groups)) == 10
    assert len(set(map(tuple, phantom.targets.reshape(10, 6).tolist()))) > 3  # no fixed order within a slide


def test_a_patch_is_tumour_exactly_if_tumour_is_in_its_central_third(phantom):
    """As PatchCamelyon: tumour at the border alone is normal."""
    share, target = phantom.latents["central_tumour"], phantom.targets.numpy()
    assert (share[target == 0] == 0).all()
    assert share[target == 1].min() > 0.05
    at_border = (phantom.latents["tumour"] > 0) & (target == 0)
    assert 0.05 < at_border[target == 0].mean() < 0.6


def test_the_centre_is_a_ninth_of_the_patch():
    rows, columns = np.nonzero(central())
    assert central().mean() == pytest.approx(1 / 9, rel=0.02)
    assert rows.min() == columns.min() == FIELD.samples - 1 - rows.max()
    assert pytest.approx(31) == CENTRE_UM


def test_germinal_centres_are_in_both_classes(phantom):
    present = phantom.latents["germinal"] > 0
    for label in (0, 1):
        assert 0.25 < present[phantom.targets.numpy() == label].mean() < 0.85


def test_mean_colour_does_not_tell_tumour(phantom):
    """Logistic regression on mean and spread of the colours, half of the slides held out."""
    images = phantom.images.numpy()
    features = np.c_[images.mean((2, 3)), images.std((2, 3))]
    features = (features - features.mean(0)) / features.std(0)
    model = LogisticRegression().fit(features[:30], phantom.targets[:30])
    assert model.score(features[30:], phantom.targets[30:]) < 0.8  # 30 patches: chance is 0.5 ± 0.09


def test_tumour_nuclei_are_larger_and_more_varied_than_lymphocytes():
    """The same patch with and without tumour: fewer nuclei per area, each larger."""
    generator = np.random.default_rng(0)
    sizes = TUMOUR.radius_um[0] * np.exp(generator.normal(0, TUMOUR.radius_um[1], 1000))
    assert sizes.mean() > 1.4 * LYMPHOCYTE.radius_um[0]
    assert sizes.std() > 3 * LYMPHOCYTE.radius_um[1]
    coarseness = []
    for label in (0, 1):
        power = 0
        for seed in range(12):
            tissue, _ = draw_node(np.random.default_rng(seed), label)
            power = power + np.abs(np.fft.fft2((tissue[0] - tissue[0].mean()) * central())) ** 2
        frequency = np.abs(np.fft.fftfreq(FIELD.samples, FIELD.pitch_um))
        radius = np.hypot(frequency[:, None], frequency[None])
        coarseness.append(power[radius < 0.08].sum() / power[radius < 0.5].sum())
    assert coarseness[1] > 1.3 * coarseness[0]


@pytest.mark.parametrize("wrong", [dict(images=0), dict(size=300), dict(seed=-1), dict(images_per_slide=0)])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        make_phantom(**dict(images=1, seed=0) | wrong)
