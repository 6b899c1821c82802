"""The arms of the placement sweep: the same number of pixels everywhere, places from training scenes alone."""

import numpy as np
import pytest
import torch
from torch import nn

from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment.build import point_of
from physlayer.experiment.run import Run
from physlayer.experiment.spec import Point
from physlayer.sweeps.sensor_placement import SWEEP, by_pivots, by_variance, count, uniform_grid

ARMS = tuple(variant.name for variant in SWEEP.variants if variant.swept)


def point(keep, shape=(1, 12, 12), seed=0, scenes=60):
    made = torch.rand(scenes, *shape, generator=torch.Generator().manual_seed(9))
    return Point(keep, shape, lambda q: q, lambda: made, torch.Generator().manual_seed(seed))


def mask_of(arm, at):
    return SWEEP.variant(arm).camera(at)[0].mask.detach()


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 11, 7)])
def test_every_arm_reads_exactly_the_same_number_of_pixels(arm, shape):
    pixels = shape[1] * shape[2]
    for keep in (1e-6, 1 / 256, 1 / 16, 1 / 3, 1 / 2, 0.99, 1):
        at = point(keep, shape, scenes=20)  # fewer scenes than pixels, too
        layer, k = SWEEP.variant(arm).camera(at)[0], max(1, round(keep * pixels))
        reading = nn.Sequential(*SWEEP.variant(arm).camera(at)).eval()(1.5 + torch.rand(2, *shape))
        assert int(layer.mask.detach().sum()) == layer.keep == k
        assert ((reading != 0).sum((2, 3)) == k).all()
        assert layer.cost(shape)["n_samples"] == k * shape[0]


@pytest.mark.parametrize(("keep", "pixels"), [(1 / 64, 12), (1 / 128, 6), (1 / 256, 3), (1 / 1024, 1)])
def test_numbers_of_pixels_on_an_image_of_784(keep, pixels):
    assert count(point(keep, (1, 28, 28))) == pixels


@pytest.mark.parametrize(("height", "width"), [(28, 28), (60, 80), (37, 5), (1, 9), (9, 1)])
def test_uniform_grid_leaves_no_large_hole(height, width):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    everywhere = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    for keep in range(1, height * width + 1, max(1, height * width // 50)):
        places = uniform_grid(keep, height, width)
        assert len(places.unique()) == keep and int(places.min()) >= 0 and int(places.max()) < height * width
        hole = torch.cdist(everywhere, everywhere[places]).amin(1).max()
        # squares of the same number have half a diagonal of 0.71 sides; long images and remainders cost the rest
        side = (height * width / keep) ** 0.5
        assert hole <= max(1.45 * side, 0.5 * max(height, width) / keep + min(height, width)) + 1


def test_a_square_number_of_places_is_a_square_grid():
    assert uniform_grid(16, 28, 28).tolist() == [28 * y + x for y in (3, 10, 17, 24) for x in (3, 10, 17, 24)]
    assert uniform_grid(1, 9, 9).tolist() == [40]


def pivots_by_hand(scenes, keep):
    """Greedy: the pixel with the longest remainder, then all remainders made orthogonal to it."""
    samples = scenes.numpy().astype(float).transpose(1, 0, 2, 3)
    fields = np.concatenate([(channel - channel.mean(0)).reshape(len(channel), -1) for channel in samples])
    remainder = np.linalg.svd(fields, full_matrices=False)[2][:keep].copy()
    chosen = []
    for _ in range(keep):
        lengths = (remainder**2).sum(0)
        lengths[chosen] = -1
        chosen.append(int(lengths.argmax()))
        direction = remainder[:, chosen[-1]] / np.linalg.norm(remainder[:, chosen[-1]])
        remainder -= np.outer(direction, direction @ remainder)
    return chosen


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 5, 4)])
def test_qr_takes_the_pivots_of_a_loop_in_numpy(shape):
    mix = torch.randn(8, *shape, generator=torch.Generator().manual_seed(1))
    scenes = torch.einsum("nk,kchw->nchw", torch.randn(200, 8, generator=torch.Generator().manual_seed(2)), mix)
    for keep in (1, 3, 8):
        assert by_pivots(scenes, keep).tolist() == pivots_by_hand(scenes, keep)


def test_qr_of_two_components_takes_a_place_of_each_and_then_the_highest_variance():
    scenes = torch.zeros(100, 1, 3, 4)
    weak, strong = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    scenes[:, 0, 0, :2] = 5 * strong[:, None] * torch.tensor([1.0, 0.9])
    scenes[:, 0, 2, 2:] = weak[:, None] * torch.tensor([0.9, 1.0])
    assert set(by_pivots(scenes, 2).tolist()) == {0, 11}
    assert by_pivots(scenes, 4).tolist()[2:] == [1, 10]  # two components are used up
    assert by_variance(scenes)[:2].tolist() == [0, 1]  # variance alone takes the strong one twice
    assert len(by_pivots(torch.zeros(5, 1, 3, 4), 4).unique()) == 4  # scenes that never vary


def test_random_places_differ_between_seeds_and_are_nested_within_one():
    one, again, other = (mask_of("random", point(1 / 4, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert bool((mask_of("random", point(1 / 16)) <= one).all())


def test_learned_places_start_at_random_with_the_stated_spread():
    layer = SWEEP.variant("learned").camera(point(1 / 4, (1, 60, 80)))[0]
    assert isinstance(layer.free_parameter("mask"), nn.Parameter)
    assert float(layer.logits.detach().std()) == pytest.approx(0.5, rel=0.05)
    assert not torch.equal(mask_of("learned", point(1 / 4)), mask_of("learned", point(1 / 4, seed=1)))


def make_data(pool, test):
    targets = torch.arange(len(pool)) % 2
    sets = [
        ImageSet(images, targets[: len(images)], np.array([f"{name}{n}" for n in range(len(images))]), "linear")
        for name, images in (("p", pool), ("t", test))
    ]
    return TaskData("made", ("a", "b"), *sets, "none")


def test_every_arm_sees_training_scenes_alone():
    generator = torch.Generator().manual_seed(0)
    pool, test, others = (torch.rand(40, 2, 6, 6, generator=generator) for _ in range(3))
    data = make_data(pool, test)
    run = Run("made", "none", "small", {"linear": True}, SWEEP.name, SWEEP.parameter, "random", 1 / 6, 0)
    held_out = torch.from_numpy(np.isin(data.pool.groups, data.split(0)["validation"].groups))
    assert 0 < int(held_out.sum()) < 40
    elsewhere = make_data(torch.where(held_out[:, None, None, None], others, pool), others)
    trained = make_data(torch.where(held_out[:, None, None, None], pool, others), test)
    for arm in ARMS:
        (layer,), (same,) = (SWEEP.variant(arm).camera(point_of(run, d)) for d in (data, elsewhere))
        assert torch.equal(layer.logits, same.logits) and torch.equal(layer.reference, same.reference)
        if arm in ("variance", "qr"):  # or the test could not fail
            assert not torch.equal(mask_of(arm, point_of(run, data)), mask_of(arm, point_of(run, trained)))
    assert torch.equal(point_of(run, data).scenes(), pool[~held_out])


@pytest.mark.parametrize("arm", ARMS)
def test_unread_pixels_are_zero_and_read_ones_differ_from_the_mean_scene(arm):
    at, x = point(1 / 4, (3, 12, 12)), torch.rand(2, 3, 12, 12)
    (layer,) = SWEEP.variant(arm).camera(at)
    reading = layer.eval()(x)
    assert torch.allclose(reading, layer.mask.detach() * (x - at.scenes().mean(0)))
