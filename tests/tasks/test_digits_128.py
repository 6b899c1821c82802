"""Digits from 128 images: which they are, what stands in for the test set, and how far they are turned and moved."""

import math

import numpy as np
import pytest
import torch

from physlayer.tasks.base import Options, get_task
from physlayer.tasks.digits_128 import DEGREES, SHIFT, ZOOM, balanced_draw, turn_shift_zoom
from physlayer.training.loop import fit
from physlayer.training.prediction import predict

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data():
    return get_task("digits_128").load(Options())


@pytest.fixture(scope="module")
def digits():
    return get_task("digits").load(Options())


def dot(row, column, size=28, images=1):
    """One bright pixel per image; bilinear sampling spreads it but keeps its middle."""
    found = torch.zeros(images, 1, size, size)
    found[:, :, row, column] = 1.0
    return found


def middle(images):
    """Centre of the light of each image, ``(B, 2)``: row and column, unit pixel."""
    light = images.double().sum(1)
    places = torch.arange(images.shape[2], dtype=torch.double)
    rows, columns = (light.sum(axis) @ places for axis in (2, 1))
    return torch.stack([rows, columns], 1) / light.sum((1, 2))[:, None]


def test_there_are_128_images_12_or_13_of_each_digit(data):
    assert len(data.pool) == 128 and set(data.pool.targets.bincount(minlength=10).tolist()) == {12, 13}


def test_the_128_images_are_training_images_and_the_test_set_is_the_official_one(data, digits):
    assert set(data.pool.groups) < set(digits.pool.groups)
    assert torch.equal(data.test.images, digits.test.images) and np.array_equal(data.test.groups, digits.test.groups)
    assert not set(data.pool.groups) & set(data.test.groups)


def test_the_draw_is_the_same_for_everybody_and_another_fingerprint_than_digits(data, digits):
    again = get_task("digits_128").load(Options(fast=True))
    assert data.pool.groups.tolist() == again.pool.groups.tolist() and data.fingerprint == again.fingerprint
    assert data.fingerprint != digits.fingerprint and data.name == "digits_128"


def test_nothing_is_held_back_and_the_report_says_so(data):
    for parts in (data.split(0), data.split(1), data.development().split(0)):
        assert parts["train"] is data.pool and parts["validation"] is data.pool
    assert any("None of them is held back" in note for note in data.notes)


def test_settings_are_chosen_on_training_images_outside_the_128_and_never_on_the_test_set(data, digits):
    trial = data.development()
    assert trial.pool is data.pool and trial.fingerprint != data.fingerprint
    assert len(trial.test) == len(digits.pool) - 128 and set(trial.test.groups) < set(digits.pool.groups)
    assert not set(trial.test.groups) & (set(data.pool.groups) | set(data.test.groups))
    assert "DEVELOPMENT" in trial.notes[0] and set(trial.test.targets.tolist()) == set(range(10))


def test_a_draw_is_even_and_complete_and_says_what_is_missing():
    targets = torch.tensor([0] * 30 + [1] * 5 + [2] * 40)
    drawn, others = balanced_draw(targets, 14, seed=3)
    assert targets[drawn].bincount().tolist() == [5, 5, 4]
    assert sorted([*drawn.tolist(), *others.tolist()]) == list(range(75))
    assert not torch.equal(drawn, balanced_draw(targets, 14, seed=4)[0])
    with pytest.raises(ValueError, match="at least 6 training images of class 1, to draw 17 evenly, but got 5"):
        balanced_draw(targets, 17, seed=3)


def test_a_centred_dot_moves_by_the_shift_alone():
    """Neither turn nor zoom moves the middle, which lies between pixels: four equal ones are the dot."""
    images = sum(dot(row, column, images=400) for row in (13, 14) for column in (13, 14))
    moved = middle(turn_shift_zoom(images, torch.Generator().manual_seed(0))) - 13.5
    farthest = moved.abs().amax(0)
    assert float(farthest.max()) <= 28 * SHIFT + 0.15  # bilinear sampling of a few pixels is this coarse
    assert float(farthest.min()) > 0.9 * 28 * SHIFT and float(moved.mean(0).abs().max()) < 0.3


def test_a_dot_beside_the_middle_turns_and_moves_outwards_within_the_range():
    """Without shift a dot at distance r stays within r (1 ± M) and ± A of its direction."""
    images = sum(dot(row, column, 57, 400) for row in (28, 29, 27) for column in (47, 48, 49))
    found = middle(turn_shift_zoom(images, torch.Generator().manual_seed(0), shift=0.0)) - 28
    distance, angle = found.norm(dim=1) / 20, torch.atan2(found[:, 0], found[:, 1]) * 180 / math.pi
    for values, centre, range_ in ((distance, 1, ZOOM), (angle, 0, DEGREES)):
        off = (values - centre).abs().max()
        assert 0.95 * range_ < float(off) < 1.03 * range_
        assert float((values - centre).mean().abs()) < 0.1 * range_


def test_no_change_is_no_change_and_what_comes_from_outside_is_black():
    images = torch.rand(4, 1, 28, 20, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(turn_shift_zoom(images, torch.Generator(), 0.0, 0.0, 0.0), images, atol=1e-5)
    white = turn_shift_zoom(torch.ones(50, 1, 28, 28), torch.Generator(), 0.0, 0.4, 0.0)
    assert float(white.amin()) == 0.0 and float(white.max()) <= 1 + 1e-6
    assert float(white[:, :, 13:15, 13:15].min()) > 0.99


def test_augmentation_is_seeded_stays_in_range_and_leaves_the_targets(data):
    task, index = get_task("digits_128"), torch.arange(16)
    images, targets = data.pool.batch(index), data.pool.targets[index]
    one, two, other = (task.augment(images, targets, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one[0], two[0]) and not torch.equal(one[0], other[0]) and torch.equal(one[1], targets)
    assert one[0].shape == images.shape and float(one[0].min()) >= 0 and float(one[0].max()) <= 1
    state = torch.get_rng_state()
    task.augment(images, targets, torch.Generator())
    assert torch.equal(state, torch.get_rng_state())  # nobody else's randomness is used


def test_twice_as_large_images_move_twice_as_many_pixels():
    small, large = (
        middle(turn_shift_zoom(dot(size // 2, size // 2, size, 50), torch.Generator().manual_seed(1), 0.0, zoom=0.0))
        for size in (28, 56)
    )
    assert torch.allclose((large - 28) / 2, small - 14, atol=0.02)


def test_a_short_training_learns_more_than_chance(data):
    task, parts = get_task("digits_128"), data.split(0)
    torch.manual_seed(0)
    network = task.network("cnn_batch_norm", (1, 28, 28), 10)
    recipe = task.recipe(Options(fast=True))
    fit(network, parts["train"], parts["validation"], recipe, seed=0, problem=data.problem, augment=task.augment)
    few = data.development().test.subset(torch.arange(200))
    assert float((predict(network, few).argmax(1) == few.targets).float().mean()) > 0.3  # chance is 0.1
