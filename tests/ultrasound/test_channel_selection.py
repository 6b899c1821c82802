"""Choice and weighted sum of an array's receive channels: class-project card 20, and what the sum keeps."""

import pytest
import torch
from torch import nn

from physlayer import (
    ChannelSelection,
    ColorWeights,
    Envelope,
)
from physlayer.core.field import parts_of

CHANNELS = 20


def echoes(count=24, seed=0):
    """Speckle, twice as strong in a disc; every channel sees one lateral frequency of it, all of them the whole."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.complex(*(torch.randn(count, 1, 20, 20, generator=generator) for _ in range(2)))
    place = torch.arange(20.0)
    middle = torch.randint(6, 14, (count, 2), generator=generator)
    distance = torch.hypot(place[:, None] - middle[:, :1, None], place - middle[:, 1:, None])
    mask = (distance < 5).float()
    spectrum = torch.fft.fft(field * (0.3 + 2 * mask[:, None]), dim=3)
    one = torch.eye(CHANNELS).view(1, CHANNELS, 1, CHANNELS)
    return torch.fft.ifft(spectrum * one, dim=3), mask


def test_sum_of_all_channels_is_the_field():
    x, _ = echoes(2)
    everything = ChannelSelection(torch.ones(CHANNELS), keep=CHANNELS)(x)
    assert torch.allclose(everything[:, 0], x.sum(1), atol=1e-5)


def test_apertures_sum_their_own_channels_by_hand():
    x, _ = echoes(2)
    chosen = torch.zeros(2, CHANNELS)
    chosen[0, :3], chosen[1, 2:6] = 1, 1
    weights = torch.rand(2, CHANNELS, generator=torch.Generator().manual_seed(1))
    y = ChannelSelection(chosen, keep=7, weights=weights)(x)
    for a in range(2):
        assert torch.allclose(y[:, a], sum(chosen[a, i] * weights[a, i] * x[:, i] for i in range(CHANNELS)), atol=1e-5)
    real = ChannelSelection(chosen, keep=7, weights=weights, input="parts")(parts_of(x))
    assert torch.allclose(real, parts_of(y), atol=1e-5)


def test_complex_goes_in_real_comes_out_and_silence_has_a_finite_gradient():
    """Compression by |x|^0.2 is steep at 0; two apertures are detected before they are summed."""
    logits = nn.Parameter(0.1 * torch.randn(2, CHANNELS, generator=torch.Generator().manual_seed(0)))
    camera = nn.Sequential(
        ChannelSelection(logits, keep=8, gumbel=False), Envelope(0.2), ColorWeights(torch.ones(1, 2), constraint="free")
    )
    silence = torch.zeros(1, CHANNELS, 4, 4, dtype=torch.complex64, requires_grad=True)
    y = camera(silence)
    y.sum().backward()
    assert y.shape == (1, 1, 4, 4) and not y.is_complex()
    assert bool(torch.isfinite(torch.view_as_real(silence.grad)).all())
    assert bool(torch.isfinite(camera[0].free_parameter("mask").grad).all())


def test_bad_channels_are_refused():
    layer = ChannelSelection(torch.ones(4), keep=4)
    with pytest.raises(TypeError, match="complex field"):
        layer(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match="Expected x to have 4 channels"):
        layer(torch.zeros(1, 3, 8, 8, dtype=torch.complex64))
    with pytest.raises(ValueError, match="weights to be one number"):
        ChannelSelection(torch.ones(4), keep=4, weights=torch.ones(3))
    with pytest.raises(ValueError, match="input to be one of"):
        ChannelSelection(torch.ones(4), keep=4, input="iq")
    with pytest.raises(ValueError, match="keep"):
        ChannelSelection(nn.Parameter(torch.ones(4)), keep=5)
