"""The loop: seeded, judged hard, best epoch kept, loud when it breaks."""

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import BitDepth, SoftStaircase
from physlayer.data.image_set import ImageSet
from physlayer.training.loop import TrainingError, fit, seeded
from physlayer.training.prediction import predict
from physlayer.training.recipe import Recipe


def stripes(count=120, seed=0, sources=12):
    """Two classes, bright left or bright right, hard to miss at one bit."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 2
    images = 0.35 + 0.2 * torch.rand(count, 1, 8, 8, generator=generator)
    images[targets == 0, :, :, :4] += 0.25
    images[targets == 1, :, :, 4:] += 0.25
    groups = np.array([f"source{i % sources}" for i in range(count)])
    return ImageSet(images, targets, groups, "linear")


def small_network(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 2))


RECIPE = Recipe(epochs=4, batch_size=16, lr=1e-2)


def test_network_learns_two_bright_halves_through_one_bit():
    model = nn.Sequential(BitDepth(1), small_network())
    result = fit(model, stripes(), stripes(seed=1), RECIPE, seed=0)
    assert result.history[-1]["validation_hard"] > 0.9
    assert (predict(model, stripes(seed=2)).argmax(1) == stripes(seed=2).targets).float().mean() > 0.9


def test_same_seed_gives_the_same_numbers_and_another_seed_does_not():
    histories = [fit(small_network(0), stripes(), stripes(seed=1), RECIPE, seed=s).history for s in (3, 3, 4)]
    assert histories[0] == histories[1] != histories[2]


def test_two_models_see_the_same_images_in_the_same_order():
    seen = []

    def spy(images, targets, generator):
        seen[-1].append(images.mean(dim=(1, 2, 3)))
        return images, targets

    for bits in (1, 8):
        seen.append([])
        fit(nn.Sequential(BitDepth(bits), small_network()), stripes(), stripes(seed=1), RECIPE, seed=5, augment=spy)
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_global_generator_is_left_where_it_was():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fit(small_network(), stripes(), stripes(seed=1), Recipe(epochs=1), seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_model_is_left_with_the_weights_of_its_best_epoch():
    model = small_network()
    result = fit(model, stripes(), stripes(seed=1), Recipe(epochs=6, lr=5e-2, batch_size=16), seed=0)
    best = max(result.history, key=lambda e: (e["validation_hard"], -e["validation_loss"]))
    assert result.best_epoch == best["epoch"]
    accuracy = (predict(model, stripes(seed=1)).argmax(1) == stripes(seed=1).targets).float().mean()
    assert float(accuracy) == pytest.approx(best["validation_hard"])
    assert not model.training


def test_gap_is_zero_for_a_hard_forward_and_not_for_a_soft_staircase():
    hard = fit(nn.Sequential(BitDepth(1), small_network()), stripes(), stripes(seed=1), RECIPE, seed=0)
    assert all(epoch["gap"] == 0 for epoch in hard.history)
    fine = ImageSet(0.3 + 0.15 * stripes().images, stripes().targets, stripes().groups, "linear")
    soft = fit(
        nn.Sequential(SoftStaircase(1, gain_codes=1.0, sharpness=3.0), small_network()), fine, fine, RECIPE, seed=0
    )
    assert soft.history[-1]["gap"] > 0.2  # below the threshold every hard reading is 0: the soft steps told the class


def test_loss_that_is_not_a_number_stops_with_the_place_and_the_remedy():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_network()

        def forward(self, x):
            return self.net(x) / 0

    with pytest.raises(TrainingError, match=r"Expected a finite loss.*epoch 1, batch 1; lower lr \(now 0\.01\)"):
        fit(Broken(), stripes(), stripes(seed=1), RECIPE, seed=0)


def test_patience_stops_and_the_cap_draws_evenly_over_sources():
    wrong = ImageSet(stripes().images, 1 - stripes().targets, stripes().groups, "linear")  # gets worse by learning
    result = fit(small_network(), stripes(), wrong, Recipe(epochs=30, lr=1e-2, patience=2), seed=0)
    assert len(result.history) == result.best_epoch + 2 < 30
    counted = []

    def count(images, targets, generator):
        counted.append(len(images))
        return images, targets

    fit(small_network(), stripes(), stripes(seed=1), Recipe(epochs=1, images_per_class=10), seed=0, augment=count)
    assert sum(counted) == 20


def test_physics_waits_for_the_warm_up_and_still_learns_in_a_single_epoch():
    seen = []

    class Watched(BitDepth):
        def forward(self, x):
            if self.training and torch.is_grad_enabled():
                seen.append(float(self.gain.detach()))
            return super().forward(x)

    layer = Watched(2, gain=nn.Parameter(torch.tensor(1.0)))
    fit(nn.Sequential(layer, small_network()), stripes(), stripes(seed=1), Recipe(epochs=1, batch_size=8), seed=0)
    start = [abs(gain - 1) < 1e-6 for gain in seen]
    assert all(start[:4]) and not any(start[8:])


def test_checkpoint_holds_the_best_weights_and_the_recipe(tmp_path):
    model = small_network()
    fit(model, stripes(), stripes(seed=1), RECIPE, seed=0, checkpoint=tmp_path / "a" / "best.pt")
    stored = torch.load(tmp_path / "a" / "best.pt", weights_only=True)
    assert stored["recipe"]["epochs"] == 4
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in stored["state"].items())


def test_mirror_views_are_averaged():
    model, images = small_network(), stripes(10)
    both = predict(model, images, views=((), (3,)))
    flipped = ImageSet(images.images.flip(3), images.targets, images.groups, "linear")
    assert torch.allclose(both, (predict(model, images) + predict(model, flipped)) / 2, atol=1e-6)


@pytest.mark.parametrize("setting", [{"epochs": 0}, {"lr": -1.0}, {"batch_size": 0}])
def test_settings_below_zero_are_refused(setting):
    with pytest.raises(ValueError, match="Expected"):
        Recipe(**setting)


def test_tensorboard_log_is_written_or_its_absence_explained(tmp_path):
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="Expected tensorboard to be installed"):
            fit(small_network(), stripes(), stripes(seed=1), Recipe(epochs=1), seed=0, log_dir=tmp_path)
    else:
        fit(small_network(), stripes(), stripes(seed=1), Recipe(epochs=1), seed=0, log_dir=tmp_path)
        assert list(tmp_path.glob("events*"))


def test_l1_penalty_makes_weights_small_and_leaves_physics_and_old_settings_alone():
    found = {}
    for l1 in (0.0, 0.1):
        recipe = Recipe(epochs=4, batch_size=16, lr=1e-2, weight_decay=0.0, l1=l1)
        model = nn.Sequential(BitDepth(4, gain=nn.Parameter(torch.tensor(1.5))), small_network())
        fit(model, stripes(), stripes(seed=1), recipe, seed=0)
        found[l1] = float(model[1][3].weight.detach().abs().mean()), float(model[0].gain.detach())
    assert found[0.1][0] < 0.5 * found[0.0][0] and found[0.1][1] > 1.0
    assert "l1" not in Recipe().as_dict() and Recipe(l1=0.1).as_dict()["l1"] == 0.1
