"""Images in linear light, splits by source and balanced epochs."""

import time

import numpy as np
import pytest
import torch

from physlayer.color.srgb import linear_to_srgb, srgb_to_linear
from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import epoch_order, group_split


def make_set(count=12, channels=3, encoding="srgb", images=None, sources=6, classes=2):
    if images is None:
        generator = torch.Generator().manual_seed(0)
        shape = (count, channels, 5, 7)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    source = torch.arange(len(images)) % sources
    return ImageSet(images, source % classes, np.array([f"source_{k}" for k in source]), encoding)


def many(count=10_000, sources=320, classes=4):
    """Targets and sources of uneven sizes; every source has one class."""
    generator = torch.Generator().manual_seed(1)
    source = (torch.rand(count, generator=generator) ** 2 * sources).long()
    return source % classes, source


def test_half_srgb_is_a_fifth_of_the_light():
    light = srgb_to_linear(torch.tensor(0.5, dtype=torch.float64))
    assert light.item() == pytest.approx(0.21404114, abs=1e-8)


def test_srgb_curve_joins_at_its_knee():
    below, above = srgb_to_linear(torch.tensor([0.04045, 0.04045 + 1e-9], dtype=torch.float64))
    assert below.item() == pytest.approx(0.04045 / 12.92, abs=1e-12)
    assert above.item() == pytest.approx(below.item(), abs=1e-7)


def test_srgb_round_trip_keeps_every_code():
    codes = torch.arange(256, dtype=torch.float64) / 255
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(codes)), codes, atol=1e-7, rtol=0)


def test_srgb_gradients_are_finite_at_and_below_black():
    for curve in (srgb_to_linear, linear_to_srgb):
        value = torch.tensor([0.0, -0.1], requires_grad=True)
        curve(value).sum().backward()
        assert (value.grad > 0).all() and (value.grad < 20).all()


def test_srgb_of_integer_codes_is_refused():
    with pytest.raises(ValueError, match="divide codes by 255"):
        srgb_to_linear(torch.tensor([128]))


def test_table_of_codes_agrees_with_the_formula():
    image_set = make_set()
    index = torch.tensor([3, 1, 3])
    codes = image_set.images[index].float() / 255
    assert image_set.batch(index).dtype == torch.float32 and image_set.batch(index).is_contiguous()
    torch.testing.assert_close(image_set.batch(index), srgb_to_linear(codes))
    torch.testing.assert_close(image_set.batch(index, linear=False), codes)


def test_linear_images_are_encoded_only_on_request():
    light = torch.rand(4, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    image_set = make_set(images=light, encoding="linear")
    index = torch.arange(4)
    torch.testing.assert_close(image_set.batch(index), light)
    torch.testing.assert_close(image_set.batch(index, linear=False), linear_to_srgb(light))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(12, 8, 9, 3), r"permute\(0, 3, 1, 2\)"),
        (torch.zeros(12, 8, 9), r"unsqueeze\(1\)"),
        (torch.zeros(12, 3, 0, 4), "none of them 0"),
        (torch.full((12, 1, 5, 7), torch.nan), "0 to 1"),
        (torch.full((12, 1, 5, 7), 255.0), "divide by full scale"),
        (torch.zeros(12, 1, 5, 7, dtype=torch.float64), "float64"),
    ],
)
def test_images_that_are_not_pictures_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        make_set(images=images)


def test_labels_that_do_not_fit_are_refused():
    images = torch.zeros(2, 1, 5, 7, dtype=torch.uint8)
    targets, groups = torch.tensor([0, 1]), np.array(["a", "b"])
    for bad, message in [
        ((targets[:1], groups, "srgb"), "one target per image"),
        ((targets, groups[:1], "srgb"), "groups to have shape"),
        ((targets.float(), groups, "srgb"), "have 2 axes"),
        ((targets.int(), groups, "srgb"), "int64 classes"),
        ((targets - 1, groups, "srgb"), "0 or more"),
        ((targets, np.array([1, 2]), "srgb"), "array of str"),
        ((targets, groups, "gamma"), "encoding"),
    ]:
        with pytest.raises(ValueError, match=message):
            ImageSet(images, *bad)


def test_no_source_is_on_both_sides():
    targets, source = many()
    for seed in range(5):
        train, validation = group_split(targets, source, 0.2, seed)
        assert not set(source[train].tolist()) & set(source[validation].tolist())
        assert torch.equal(torch.cat([train, validation]).sort().values, torch.arange(len(targets)))


def test_every_class_gives_its_share_of_sources():
    targets, source = many()
    _, validation = group_split(targets, source, 0.2, 0)
    for label in range(4):
        held_out = len(source[validation][targets[validation] == label].unique())
        assert held_out == round(0.2 * len(source[targets == label].unique()))


def test_rare_class_has_sources_on_both_sides():
    targets = torch.tensor([0] * 20 + [1, 1])
    source = torch.arange(22)
    for seed in range(10):
        for side in group_split(targets, source, 0.05, seed):
            assert set(targets[side].tolist()) == {0, 1}


def test_source_of_two_classes_stays_together():
    # source 0 holds both classes; each class has one more source
    targets, source = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 2])
    for seed in range(10):
        train, validation = group_split(targets, source, 0.5, seed)
        assert (0 in train.tolist()) == (1 in train.tolist())
        for side in (train, validation):
            assert set(targets[side].tolist()) == {0, 1}


def test_rare_class_keeps_its_place_when_a_common_class_shares_its_sources():
    # class 0 lives in sources 0 and 1, class 1 in all of 400
    targets, source = torch.tensor([0, 0] + [1] * 400), torch.cat([torch.arange(2), torch.arange(400)])
    for seed in range(8):
        for side in group_split(targets, source, 0.005, seed):
            assert set(targets[side].tolist()) == {0, 1}


def test_unlucky_draw_of_entangled_sources_is_repeated():
    # sources 0 and 1 hold class 2; source 0 with 2 holds class 0; source 1 with 3 holds class 1
    targets, source = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 2, 1, 3, 0, 1])
    for seed in range(20):
        for side in group_split(targets, source, 0.5, seed):
            assert set(targets[side].tolist()) == {0, 1, 2}


def test_class_of_one_source_cannot_be_split():
    names = ("neutrophil", "monocyte")
    with pytest.raises(ValueError, match="class monocyte to have at least 2 sources"):
        group_split(torch.tensor([0, 0, 1, 1]), np.array(list("abcc")), 0.2, 0, class_names=names)


def test_sources_that_cannot_part_are_told():
    # three classes in three sources, two in each: one side always lacks a class
    targets, source = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1, 1, 2, 2, 0])
    with pytest.raises(ValueError, match="check the groups"):
        group_split(targets, source, 0.3, 0)


def test_split_is_a_function_of_its_seed():
    targets, source = many(500, 40)
    first, again, other = (group_split(targets, source, 0.3, seed)[1] for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_names_and_codes_give_the_same_split():
    targets, source = many(500, 40)
    names = np.array([f"{k:03d}" for k in source.tolist()])
    assert torch.equal(group_split(targets, names, 0.3, 0)[0], group_split(targets, source, 0.3, 0)[0])


def test_epoch_gives_every_class_the_same_weight():
    targets, source = many()
    order = epoch_order(targets, source, per_class=777, generator=torch.Generator().manual_seed(0))
    assert targets[order].bincount().tolist() == [777] * 4


def test_epoch_draws_evenly_over_sources():
    targets, source = many()
    order = epoch_order(targets, source, per_class=777, generator=torch.Generator().manual_seed(0))
    for label in range(4):
        drawn = source[order][targets[order] == label].bincount()
        n_sources = len(source[targets == label].unique())
        assert set(drawn[drawn > 0].tolist()) <= {777 // n_sources, 777 // n_sources + 1}
        assert (drawn > 0).sum() == n_sources


def test_copies_repeat_only_when_a_source_is_used_up():
    targets, source = torch.zeros(8).long(), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    order = epoch_order(targets, source, per_class=10, generator=torch.Generator().manual_seed(0))
    drawn = order.bincount(minlength=8)
    assert drawn[:6].max() == 1 and drawn[:6].sum() == 5
    assert sorted(drawn[6:].tolist()) == [2, 3]


def test_remainder_goes_to_chance_sources():
    targets, source = torch.zeros(10).long(), torch.arange(10)
    generator = torch.Generator().manual_seed(0)
    seen = {int(epoch_order(targets, source, per_class=1, generator=generator)) for _ in range(200)}
    assert seen == set(range(10))


def test_epoch_without_a_share_is_every_image_once():
    targets, source = many(300, 20)
    order = epoch_order(targets, source, per_class=None, generator=torch.Generator().manual_seed(0))
    assert torch.equal(order.sort().values, torch.arange(300)) and not torch.equal(order, order.sort().values)


def test_epochs_differ_and_repeat_with_the_generator():
    targets, source = many(300, 20)
    generator = torch.Generator().manual_seed(0)
    first, second = (epoch_order(targets, source, per_class=30, generator=generator) for _ in range(2))
    again = epoch_order(targets, source, per_class=30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert not torch.equal(targets[first], targets[first].sort().values)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_epoch_of_ten_thousand_images_costs_a_few_shuffles(one_thread):
    # one thread: on a busy machine several mostly wait for each other, which says nothing about the method
    targets, source = many()
    generator = torch.Generator().manual_seed(0)
    seconds = {"epoch": [], "shuffle": []}
    for _ in range(5):
        start = time.perf_counter()
        epoch_order(targets, source, per_class=2500, generator=generator)
        seconds["epoch"].append(time.perf_counter() - start)
        start = time.perf_counter()
        torch.rand(len(targets), generator=generator).argsort()
        seconds["shuffle"].append(time.perf_counter() - start)
    assert min(seconds["epoch"]) < 20 * min(seconds["shuffle"])  # 3; a loop over images is a hundred times that


def test_epoch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="per_class to be 1 or more"):
        epoch_order(*many(30, 4), per_class=0, generator=torch.Generator())


def test_task_data_splits_the_pool_and_keeps_the_test_set():
    pool, test = make_set(60, sources=12), make_set(6, sources=3)
    data = TaskData("cells", ("a", "b"), pool, test, fingerprint(pool.images, pool.targets))
    parts = data.split(0, 0.25)
    assert parts["test"] is test and len(parts["train"]) + len(parts["validation"]) == 60
    assert not set(parts["train"].groups) & set(parts["validation"].groups)
    assert parts["train"].classes == parts["validation"].classes == (0, 1)


def test_task_data_of_two_cameras_is_refused():
    pool = make_set()
    with pytest.raises(ValueError, match="pool's shape and encoding"):
        TaskData("cells", ("a", "b"), pool, make_set(channels=1), "")
    with pytest.raises(ValueError, match="pool's shape and encoding"):
        TaskData("cells", ("a", "b"), pool, make_set(encoding="linear"), "")
    with pytest.raises(ValueError, match="class_names to name target 1"):
        TaskData("cells", ("a",), pool, pool, "")


def test_fingerprint_sees_who_the_sources_are():
    images, targets = torch.zeros(2, 1, 2, 2), torch.tensor([0, 1])
    marks = {fingerprint(images, targets, np.array(groups), "linear") for groups in (["a", "b"], ["a", "a"])}
    assert len(marks) == 2


def test_fingerprint_sees_one_code_one_label_and_the_shape():
    images, targets = torch.zeros(2, 1, 2, 3, dtype=torch.uint8), torch.tensor([0, 1])
    changed = images.clone()
    changed[1, 0, 1, 2] = 1
    variants = [(images, targets), (changed, targets), (images, targets.flip(0)), (images.mT, targets)]
    assert len({fingerprint(*variant) for variant in variants}) == 4
    assert fingerprint(images, targets) == fingerprint(images.clone(), targets.clone())
