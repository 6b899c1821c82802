"""Class project 15: bit depth by a softmax over all codes."""

import pytest
import torch

from physlayer import SoftStaircase
from physlayer.quantization.staircase import soft_staircase


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def staircase_by_softmax(u: torch.Tensor, top_code: int, sharpness: float) -> torch.Tensor:
    codes = torch.arange(top_code + 1, dtype=u.dtype)
    weights = torch.softmax(1 - sharpness * (u.clamp(0, top_code)[..., None] - codes).abs(), -1)
    return (codes * weights).sum(-1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("sharpness", [0.5, 3.0, 10.0])
def test_card_15_closed_form_equals_the_softmax_over_all_codes(bits, sharpness):
    top = 2**bits - 1
    u = torch.linspace(-1, top + 1, 997, dtype=torch.float64)
    assert torch.allclose(soft_staircase(u, top, sharpness), staircase_by_softmax(u, top, sharpness), atol=1e-9)


def test_card_15_infinite_sharpness_is_rounding_with_clipping():
    u = torch.linspace(-1, 4, 1001, dtype=torch.float64)
    u = u[(u - u.floor() - 0.5).abs() > 0.02]  # halves stay halves at any sharpness
    assert torch.allclose(soft_staircase(u, 3, 2000.0), u.clamp(0, 3).round(), atol=1e-9)


def test_card_15_gain_gradient_agrees_with_finite_differences():
    x = uniform(3, 1, 4, 4).double()
    gain = torch.tensor(2.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: soft_staircase(a * x, 3, 10.0), (gain,))


def test_card_15_memory_does_not_grow_with_the_number_of_codes():
    def saved_values(bits):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        layer = SoftStaircase(bits).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(uniform(2, 1, 16, 16))
        return count

    assert saved_values(8) <= saved_values(1)


def test_card_15_soft_reading_leaks_and_hard_reading_does_not():
    x = torch.linspace(0.34, 0.66, 200).view(1, 1, 1, 200)
    layer = SoftStaircase(2, gain_codes=3.0)
    assert len(layer.train()(x).unique()) > 100
    assert len(layer.eval()(x).unique()) == 2
