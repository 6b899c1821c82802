"""The fluorophore task: abundances whose ratio alone tells the class."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from physlayer import SpectralFilters
from physlayer.color.unmixing import unmixing_matrix
from physlayer.tasks.base import Options, get_task
from physlayer.tasks.fluorophores import CLASSES, EMISSION, make_cells


@pytest.fixture(scope="module")
def data():
    return get_task("fluorophores").load(Options())


def test_pool_and_test_share_no_dish_and_have_equal_classes(data):
    assert (len(data.pool), len(data.test)) == (1600, 800) and data.pool.images.shape[1:] == (4, 16, 16)
    assert not set(data.pool.groups) & set(data.test.groups)
    assert not bool((data.pool.images[:800] == data.test.images).flatten(1).all(1).any())
    assert data.test.targets.bincount().tolist() == [200] * 4 and data.problem.class_names == CLASSES
    for seed in (0, 1):
        parts = data.split(seed)
        assert not set(parts["train"].groups) & set(parts["validation"].groups)
    assert data.fingerprint == get_task("fluorophores").load(Options()).fingerprint


def test_abundances_sum_to_at_most_one_and_the_dominant_one_is_largest(data):
    images = data.test.images
    assert float(images.min()) >= 0 and float(images.sum(1).max()) <= 1 + 1e-6
    dominant = images.mean((2, 3)).argmax(1) == data.test.targets
    assert float(dominant.float().mean()) > 0.99


def test_brightness_and_shape_do_not_tell_the_class(data):
    """Logistic regression on the sum of the fluorophores, which is what one filter sees, stays near chance."""
    pool, test = ((part.images.sum(1).flatten(1).numpy(), part.targets.numpy()) for part in (data.pool, data.test))
    score = LogisticRegression(C=1e-2, max_iter=500).fit(*pool).score(*test)
    assert score < 0.25 + 4 * np.sqrt(0.25 * 0.75 / 800)


def test_egfp_and_eyfp_are_the_hard_pair():
    """Errors of linear unmixing behind four equal bands, photon noise alone: most between the two greens."""
    cells = make_cells(400, seed=9)
    layer = SpectralFilters(cuts_nm=torch.tensor([500.0, 550.0, 600.0]), emission=EMISSION)
    mixing = layer.mixing()
    light = 50.0 * layer(cells.images).sum((2, 3))
    counts = torch.poisson(light, generator=torch.Generator().manual_seed(0))
    found = (counts @ unmixing_matrix(mixing).T).argmax(1)
    confusion = torch.zeros(4, 4)
    confusion.index_put_((cells.targets, found), torch.ones(()), accumulate=True)
    confusion.fill_diagonal_(0)
    pair = CLASSES.index("EGFP"), CLASSES.index("EYFP")
    assert float(confusion[pair] + confusion[pair[::-1]]) > 0.5 * float(confusion.sum()) > 0


def test_augmentation_mirrors_and_changes_no_abundance():
    task = get_task("fluorophores")
    images, targets = make_cells(16, seed=3).images, torch.zeros(16).long()
    one, two = (task.augment(images, targets, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, images)
    assert torch.allclose(one.mean((2, 3)), images.mean((2, 3)), atol=1e-6)


@pytest.mark.parametrize("options", [{"data": "folder"}, {"groups": "content"}, {"width": 32}])
def test_what_the_task_cannot_do_is_refused(options):
    with pytest.raises(ValueError, match=f"Expected no --{next(iter(options))} for fluorophores"):
        get_task("fluorophores").load(Options(**options))
