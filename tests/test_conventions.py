"""Choices that other libraries make differently, pinned."""

import pytest
import torch
from torch import nn

from physlayer import BitDepth, Sensor, parameter_groups
from physlayer.color.srgb import srgb_to_linear


def test_convention_halves_round_up_because_a_comparator_fires_at_its_threshold():
    x = torch.tensor([0.5]).view(1, 1, 1, 1)
    assert BitDepth(1).eval().codes(x).item() == 1
    assert torch.round(torch.tensor(0.5)).item() == 0  # torch rounds halves to even


def test_convention_least_significant_bit_is_full_scale_over_two_to_the_b_minus_one():
    x = torch.linspace(0, 1, 10_001).view(1, 1, 1, -1)
    assert BitDepth(2).eval()(x).unique().tolist() == torch.tensor([0, 1 / 3, 2 / 3, 1]).tolist()
    midrise = BitDepth(2, convention="midrise").eval()(x).unique()
    assert torch.allclose(midrise, torch.tensor([1, 3, 5, 7]) / 8)


def test_convention_offset_is_added_after_the_gain():
    x = torch.full((1, 1, 1, 1), 0.25)
    assert BitDepth(8, gain=2.0, offset=0.25).eval()(x).item() == torch.tensor(191 / 255).item()


def test_convention_middle_grey_of_a_file_is_a_fifth_of_the_light():
    assert round(srgb_to_linear(torch.tensor([0.5])).item(), 4) == 0.2140


def test_convention_normalise_stands_behind_the_camera():
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for normalised in ((x - 0.45) / 0.225, (x - 0.5) / 0.5 - 0.1):
        with pytest.warns(UserWarning, match="below 0, as a Normalize leaves them; put it behind the camera"):
            BitDepth(2)(normalised)
        with pytest.raises(ValueError, match="light is not negative: put any Normalize behind the camera"):
            Sensor()(normalised)
    BitDepth(2)(x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1)))  # noise is no Normalize


def test_convention_a_fixed_quantity_set_again_is_checked_as_in_the_constructor():
    layer = BitDepth(2, gain=torch.ones(3, 1, 1))
    layer.gain = 0.5
    assert torch.equal(layer.gain, torch.full((3, 1, 1), 0.5))
    with pytest.raises(ValueError, match="Expected gain to lie in"):
        layer.gain = torch.tensor(-1.0)
    with pytest.raises(ValueError, match="Expected gain to lie in"):
        layer.gain = float("nan")
    with pytest.raises(TypeError, match="Expected gain to stay fixed"):
        layer.gain = nn.Parameter(torch.tensor(0.5))
    with pytest.raises(TypeError, match="Expected gain to be a number or tensor, but got list"):
        layer.gain = [0.5]


def test_convention_the_model_itself_has_parameter_groups():
    with pytest.raises(TypeError, match="pass the model"):
        parameter_groups(nn.Linear(2, 2).parameters())
