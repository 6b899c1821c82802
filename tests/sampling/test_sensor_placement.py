"""Few sensors: facts F6.1–F6.4 of the design notes."""

import pytest
import torch
from torch import nn

from physlayer import ProjectionSampling, SensorPlacement, choose, seed_noise
from physlayer.core.randomness import Noise
from physlayer.core.subset import inclusion
from physlayer.sampling.fourier import FourierSampling, centre

PHI = torch.tensor([0.0, 1.0, 2.0, -1.0])


@pytest.mark.parametrize("size", [5, 64])
def test_mask_has_exactly_k_ones_for_every_k(size):
    """F6.1."""
    logits = torch.randn(size, generator=torch.Generator().manual_seed(0))
    for k in range(1, size + 1):
        mask = choose(logits, k)
        assert int(mask.sum()) == k and set(mask.tolist()) <= {0.0, 1.0}
        assert torch.equal(mask.bool(), logits >= logits.sort(descending=True).values[k - 1])


def test_equal_logits_give_k_ones_that_are_spread():
    mask = choose(torch.zeros(100), 10)
    assert int(mask.sum()) == 10
    assert max(int(mask[i : i + 10].sum()) for i in range(0, 100, 10)) <= 3


def test_reading_all_pixels_is_the_identity():
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(SensorPlacement(nn.Parameter(torch.randn(4, 5)), keep=20).eval()(x), x)


def test_pixels_that_are_not_read_do_not_leak():
    layer = SensorPlacement(nn.Parameter(torch.randn(6, 7)), keep=5).eval()
    x, other = torch.rand(2, 3, 6, 7), torch.rand(2, 3, 6, 7)
    changed = torch.where(layer.mask.detach().bool(), x, other)
    assert torch.equal(layer(x), layer(changed))


def test_readings_are_differences_from_the_reference_and_unread_pixels_stay_zero():
    x, mean = torch.rand(2, 3, 6, 7), torch.rand(3, 6, 7)
    for learned in (False, True):  # a learned reference alone draws no places
        reference = nn.Parameter(mean.clone()) if learned else mean
        layer = SensorPlacement(torch.eye(6, 7), keep=6, reference=reference).train()
        assert torch.equal(layer(x), torch.eye(6, 7) * (x - mean))
        assert torch.equal(layer.physical()["reference"], mean)
    layer(x).sum().backward()
    assert torch.equal(layer.free_parameter("reference").grad, -2 * torch.eye(6, 7).expand(3, 6, 7))


def test_gradient_of_the_places_sees_light_above_the_reference():
    """Where the scene is as the reference, reading it or not makes no difference."""
    layer = SensorPlacement(nn.Parameter(torch.randn(4, 4)), keep=5, reference=0.5, gumbel=False)
    layer(torch.full((2, 1, 4, 4), 0.5)).sum().backward()
    assert not bool(layer.logits.grad.any())
    layer(torch.rand(2, 1, 4, 4)).sum().backward()
    assert bool(layer.logits.grad.any())


def test_one_draw_follows_the_softmax_of_the_logits():
    """F6.2: .0871, .2369, .6439, .0321."""
    count = 200_000
    noise = Noise().gumbel(torch.zeros(count, 4))
    share = choose(PHI, 1, gumbel=noise).mean(0)
    expected = PHI.softmax(0)
    assert torch.allclose(expected, torch.tensor([0.0871, 0.2369, 0.6439, 0.0321]), atol=1e-4)
    assert ((share - expected).abs() < 3.5 * (expected * (1 - expected) / count).sqrt()).all()


def test_two_draws_follow_plackett_and_luce():
    """F6.2: inclusion .2747, .6957, .9266, .1030."""
    count = 200_000
    share = choose(PHI, 2, gumbel=Noise().gumbel(torch.zeros(count, 4))).mean(0)
    expected = torch.tensor([0.2747, 0.6957, 0.9266, 0.1030])
    assert ((share - expected).abs() < 4 * (expected * (1 - expected) / count).sqrt() + 1e-4).all()


def test_gradients_of_a_choice_sum_to_zero():
    """F6.3: raising all logits together changes nothing."""
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    weights = torch.randn(3, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (choose(logits, 7) * weights).sum().backward()
    assert logits.grad.abs().max() > 1e-3
    assert logits.grad.sum(-1).abs().max() < 1e-12


def test_gradient_of_a_choice_is_that_of_the_relaxed_inclusion():
    logits = torch.randn(12, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    weights = torch.randn(12, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    (choose(logits, 4, temperature=0.7) * weights).sum().backward()
    step = 1e-5
    for place in range(12):
        ends = []
        for sign in (1, -1):
            moved = logits.detach().clone()
            moved[place] += sign * step
            ends.append(float((inclusion(moved, 4, 0.7) * weights).sum()))
        assert float(logits.grad[place]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-5)


def test_planted_support_is_recovered():
    """F6.4: the label is the sign of the sum over 8 of 256 places; chance finds 0.25 of them, we want 7."""
    generator = torch.Generator().manual_seed(5)
    planted = torch.randperm(256, generator=generator)[:8]
    logits = 0.5 * torch.randn(16, 16, generator=generator)
    layer = SensorPlacement(nn.Parameter(logits), keep=8)
    seed_noise(layer, 0)
    torch.manual_seed(0)
    readout = nn.Linear(256, 1)
    optimizer = torch.optim.Adam(
        [{"params": layer.parameters(), "lr": 0.1}, {"params": readout.parameters(), "lr": 0.01}]
    )
    for _ in range(300):
        x = torch.rand(128, 1, 16, 16, generator=generator)
        label = (x.flatten(1)[:, planted].sum(1) > 4).float()
        output = readout(layer(x - 0.5).flatten(1)).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(output, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = set(layer.mask.detach().flatten().nonzero().flatten().tolist())
    assert len(found & set(planted.tolist())) >= 7


def test_each_image_of_training_meets_its_own_places_and_evaluation_one():
    layer, x = SensorPlacement(nn.Parameter(torch.zeros(8, 8)), keep=6), torch.ones(4, 1, 8, 8)
    train = layer.train()(x)
    assert (train.sum((1, 2, 3)) == 6).all() and not torch.equal(train[0], train[1])
    hard = layer.eval()(x)
    assert (hard == hard[:1]).all() and int(hard[0].sum()) == 6


def test_a_converter_behind_bills_only_what_is_read():
    from physlayer import BitDepth, camera_cost

    camera = nn.Sequential(SensorPlacement(torch.randn(8, 8), keep=16), BitDepth(4))
    cost = camera_cost(camera, (3, 8, 8))
    assert (cost["n_samples"], cost["bits_per_image"]) == (48, 192)
    swapped = camera_cost(nn.Sequential(camera[1], camera[0]), (3, 8, 8))
    assert (swapped["n_samples"], swapped["bits_per_image"]) == (48, 192)


@pytest.mark.parametrize("k", [0, 5, 1.5])
def test_impossible_numbers_of_places_are_refused(k):
    with pytest.raises(ValueError, match="Expected k to be a whole number in 1…4"):
        choose(PHI, k)


def test_ties_never_overrule_the_logits():
    """Neither a huge logit elsewhere nor the floor of what is always on may change the order of the others."""
    assert choose(torch.tensor([1e6, 0.9, 0.5, 0.8]), 2).tolist() == [1, 1, 0, 0]
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        logits = 1e-3 * torch.randn(16, generator=generator)
        layer = FourierSampling(logits, keep=6, always_on=centre(16, 2))
        free = torch.where(layer.always_on > 0, -torch.inf, logits)
        expected = layer.always_on.index_fill(0, free.topk(4).indices, 1.0)
        assert torch.equal(layer.mask.detach(), expected)


@pytest.mark.parametrize(
    "build",
    [
        lambda given: SensorPlacement(given.view(2, 4), keep=3),
        lambda given: FourierSampling(given, keep=3),
        lambda given: ProjectionSampling(8, logits=given, keep=3),
    ],
)
def test_given_choice_of_every_layer_must_hold_its_budget(build):
    with pytest.raises(ValueError, match="Expected logits to hold keep = 3 ones, but got 4"):
        build(torch.tensor([1.0, 0, 1, 0, 1, 0, 1, 0]))
    given = torch.tensor([1.0, 0, 1, 0, 1, 0, 0, 0])
    assert torch.equal(build(given).mask.detach().flatten(), given)


def test_views_are_drawn_anew_for_every_image_in_training_unless_told_otherwise():
    x = torch.rand(1, 1, 8, 8).expand(16, 1, 8, 8)
    for gumbel in (True, False):
        layer = ProjectionSampling(9, logits=nn.Parameter(torch.zeros(9)), keep=2, gumbel=gumbel, output="sinogram")
        taken = layer(x).detach().abs().sum((1, 3)) > 0
        assert (taken.sum(1) == 2).all()
        assert (len(taken.unique(dim=0)) > 1) is gumbel


def test_given_columns_hold_those_that_are_always_on():
    with pytest.raises(ValueError, match="Expected logits to hold a one wherever always_on does"):
        FourierSampling(torch.tensor([1.0, 1, 0, 0]), keep=2, always_on=torch.tensor([0.0, 0, 0, 1]))
