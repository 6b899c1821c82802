"""Choices that other libraries make differently, pinned."""

import torch

from physlayer import BitDepth
from physlayer.data import srgb_to_linear


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
