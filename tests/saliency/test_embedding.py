"""Features of the last layer and their map."""

import pytest
import torch
from torch import nn

from physlayer import Sensor
from physlayer.saliency.embedding import feature_map, features_of


def test_features_are_what_the_last_linear_layer_is_given_and_no_hook_is_left():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 2)).train()
    x = torch.rand(7, 1, 4, 4)
    found = features_of(network, x, batch_size=3)
    assert torch.allclose(found, network[2](network[1](x.flatten(1))), atol=1e-6)
    assert network.training and not network[4]._forward_pre_hooks


def test_features_of_a_network_that_draws_masks_are_means_over_places():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    x = torch.rand(3, 1, 6, 6)
    assert torch.allclose(features_of(network, x), network[:2](x).mean((2, 3)), atol=1e-6)
    with pytest.raises(ValueError, match="linear layer or a convolution"):
        features_of(nn.Sequential(nn.Flatten()), x)


def test_noise_of_an_image_does_not_depend_on_the_batch():
    model = nn.Sequential(Sensor(exposure_photons=50.0), nn.Flatten(), nn.Linear(16, 2))
    x = torch.rand(9, 1, 4, 4)
    assert torch.equal(features_of(model, x, batch_size=2), features_of(model, x))


def test_two_heaps_stay_apart_in_the_map():
    generator = torch.Generator().manual_seed(0)
    heaps = 0.1 * torch.randn(60, 8, generator=generator)
    heaps[30:] += 1
    place = feature_map(heaps)
    between = ((place[:30].mean(0) - place[30:].mean(0)) ** 2).sum() ** 0.5
    within = max(((part - part.mean(0)) ** 2).sum(1).mean() ** 0.5 for part in (place[:30], place[30:]))
    assert between > 2 * within
    with pytest.raises(ValueError, match="at least 8"):
        feature_map(heaps[:5])
    with pytest.raises(ValueError, match="finite"):
        feature_map(heaps / 0)
