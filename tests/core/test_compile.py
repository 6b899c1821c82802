"""Chains of layers under torch.compile: no graph breaks where nothing is drawn at random."""

import pytest
import torch
from torch import nn

from physlayer import (
    BitDepth,
    CameraArray,
    ColorWeights,
    Exposure,
    ExposureBracket,
    ExposureMosaic,
    FourierSampling,
    Gamma,
    PixelBinning,
    PixelLayout,
    Response,
    SensorPlacement,
    TransmissionMask,
    lattice_shifts,
)


def learned(value, *shape):
    return nn.Parameter(torch.full(shape, float(value)))


CHAINS = {
    "binning": lambda: [
        PixelBinning(2, fill_factor=learned(0.7)), ColorWeights(learned(0.3, 3, 3)), Exposure(learned(1.5)),
        BitDepth(4, gain=learned(1, 3, 1, 1)),
    ],
    "layout": lambda: [
        TransmissionMask(learned(0.5, 16, 16)), PixelLayout(learned(0, 8), learned(0, 8)), Response(gamma=learned(0.5)),
        BitDepth(4),
    ],
    "mosaic": lambda: [ExposureMosaic(learned(0.5, 2, 2)), Gamma(learned(1.0)), Response(), BitDepth(8)],
    "array": lambda: [
        ExposureBracket(learned(1, 2)), CameraArray(lattice_shifts(4), factor=2), Exposure(2.0), BitDepth(8),
    ],
    "choice": lambda: [
        SensorPlacement(nn.Parameter(torch.randn(16, 16)), keep=20, gumbel=False),
        FourierSampling(nn.Parameter(torch.randn(16)), keep=5, gumbel=False), Response(), BitDepth(8),
    ],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_four_layers_is_one_graph_with_the_same_readings(name):
    torch.manual_seed(0)
    x = torch.rand(2, 3, 16, 16)
    for training in (True, False):
        torch._dynamo.reset()
        chain = nn.Sequential(*CHAINS[name]()).train(training)
        compiled = torch.compile(chain, backend="eager", fullgraph=True)  # a graph break is an error
        assert torch.allclose(compiled(x), chain(x), atol=1e-6)
