"""Every task of the field by the same rules: data, networks, augmentation, and what it refuses."""

import pytest
import torch

from physlayer.tasks.augmentation import lamp, mirror, quarter_turn, small_turn, white_noise
from physlayer.tasks.base import Options, get_task, task_names

KINDS = {
    "histology": "segmentation",
    "lymph_nodes": "classification",
    "elevation": "classification",
    "ultrasound": "regression",
    "ultrasound_field": "regression",
}
NETWORKS = {
    "histology": ("unet", "encoder", "encoder-wide"),
    "lymph_nodes": ("small", "large", "dense"),
    "elevation": ("small", "network_in_network"),
    "ultrasound": ("shared", "branched"),
    "ultrasound_field": ("shared",),
}


@pytest.fixture(scope="module")
def loaded():
    return {name: get_task(name).load(Options(fast=True)) for name in KINDS}


def test_every_task_of_the_folder_is_one():
    others = {"blood_cells", "digits", "digits_128", "fluorophores", "folder"}
    assert set(KINDS) | others == set(task_names())
    for name in task_names():
        task = get_task(name)
        assert task.name == name and task.recipe(Options(fast=True)).epochs < task.recipe(Options()).epochs


@pytest.mark.parametrize("name", KINDS)
def test_no_source_is_in_pool_and_test_and_every_seed_can_split(name, loaded):
    data = loaded[name]
    assert data.problem.kind == KINDS[name] and "mbedded" in data.notes[0]
    assert not set(data.pool.groups) & set(data.test.groups)
    assert len(set(data.test.groups)) < len(data.test)  # a source has several images
    for seed in range(3):
        parts = data.split(seed)
        assert not set(parts["train"].groups) & set(parts["validation"].groups)
    assert get_task(name).load(Options(fast=True)).fingerprint == data.fingerprint


@pytest.mark.parametrize(("name", "network"), [(name, each) for name, some in NETWORKS.items() for each in some])
@pytest.mark.parametrize("size", [(8, 8), (33, 20)])
def test_networks_take_readings_of_any_size(name, network, size, loaded):
    outputs = loaded[name].problem.outputs
    model = get_task(name).network(network, (2, *size), outputs).train()
    found = model(torch.rand(3, 2, *size))
    assert found.shape == ((3, outputs, *size) if KINDS[name] == "segmentation" else (3, outputs))
    found.sin().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())


@pytest.mark.parametrize("name", KINDS)
def test_an_unknown_network_is_refused(name):
    with pytest.raises(ValueError, match="Expected network to be one of"):
        get_task(name).network("huge", (1, 32, 32), 2)


@pytest.mark.parametrize("name", KINDS)
def test_augmentation_is_seeded_stays_in_range_and_leaves_what_is_asked(name, loaded):
    data, task = loaded[name], get_task(name)
    index = torch.arange(8)
    images, targets = data.pool.batch(index), data.pool.targets[index]
    (one, first), (two, second) = (task.augment(images, targets, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two) and torch.equal(first, second) and not torch.equal(one, images)
    assert one.shape == images.shape and float(one.min()) >= 0 and float(one.max()) <= 1
    if KINDS[name] != "segmentation":
        assert torch.equal(first, targets)


def test_masks_move_with_their_image():
    """The mask as a channel of the image goes where the mask goes."""
    masks = (torch.rand(32, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.3).to(torch.uint8)
    images = masks[:, None].float()
    for change in (mirror, quarter_turn):
        moved, with_it = change(images, masks, torch.Generator().manual_seed(2))
        assert torch.equal(moved[:, 0], with_it.float()) and not torch.equal(with_it, masks)
    with pytest.raises(ValueError, match="square"):
        quarter_turn(torch.zeros(1, 1, 2, 3), masks, torch.Generator())


def test_small_changes_are_small():
    images = torch.full((16, 3, 20, 20), 0.5)
    assert torch.allclose(small_turn(images, torch.Generator(), 5.0), images, atol=1e-6)
    brightness = lamp(images, torch.Generator()).mean((1, 2, 3))
    assert brightness.min() > 0.42 and brightness.max() < 0.58 and brightness.std() > 0.01
    noise = (white_noise(images, torch.Generator(), 0.1) - images).std((1, 2, 3))
    assert noise.max() < 0.11 and noise.min() < 0.03


@pytest.mark.parametrize("name", KINDS)
def test_what_a_task_cannot_do_is_refused(name):
    with pytest.raises(ValueError, match=f"Expected no --groups for {name}"):
        get_task(name).load(Options(fast=True, groups="content"))
    with pytest.raises((FileNotFoundError, ValueError), match="Expected"):
        get_task(name).load(Options(data="/nonexistent"))


@pytest.mark.realdata
def test_warwick_glands_load_with_their_official_split(real):
    data = get_task("histology").load(Options(data=str(real("warwick"))))
    assert (len(data.pool), len(data.test)) == (85, 60) and data.pool.images.shape[1:] == (2, 128, 128)


@pytest.mark.realdata
def test_fetal_heads_are_learned_as_shares_and_judged_in_millimetres(real):
    data = get_task("ultrasound").load(Options(data=str(real("fetal_head")), width=40))
    assert data.problem.scaled and data.pool.targets.shape[1] == 4 and len(data.pool) + len(data.test) == 800
    truth = torch.tensor(data.problem.truth(data.test.targets))
    assert 50 < float(truth.mean()) < 90  # mm
    assert float(data.pool.targets[:, :2].max()) <= 1.01
