"""The networks of the gland task: a logit per pixel of the mask, whatever the camera reads."""

import pytest
import torch
from torch.nn import functional as F

from physlayer.tasks.mask_networks import NETWORKS, build_network

torch.set_num_threads(1)


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (33, 47), (5, 3)])
@pytest.mark.parametrize("name", NETWORKS)
def test_there_are_logits_for_every_pixel_of_any_reading(name, size):
    network = build_network(name, (2, *size), 3)
    assert network(torch.rand(2, 2, *size)).shape == (2, 3, *size)
    assert network.eval()(torch.rand(1, 2, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(33, 47), (128, 128), (16, 16)])
def test_logits_have_the_size_of_the_mask_not_of_the_camera(name, size):
    network = build_network(name, (3, *size), 2, output_size=(128, 128))
    assert network(torch.rand(1, 3, *size)).shape == (1, 2, 128, 128)


@pytest.mark.parametrize("output_size", [None, (64, 64)])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_reaches_every_parameter_and_the_reading(name, output_size):
    torch.manual_seed(0)
    network = build_network(name, (3, 33, 47), 2, output_size)
    reading = torch.rand(4, 3, 33, 47, requires_grad=True)
    logits = network(reading)
    F.cross_entropy(logits, torch.randint(0, 2, (4, *logits.shape[2:]))).backward()
    for parameter in [reading, *network.parameters()]:
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_the_scale_of_a_reading_does_not_matter(name):
    """One rule of scale for every camera: batch norm without learned scale comes first."""
    torch.manual_seed(0)
    network, reading = build_network(name, (2, 32, 32), 2), torch.rand(4, 2, 32, 32)
    assert torch.allclose(network(reading), network(100 * reading - 7), atol=1e-3)
    assert not network.normalise.affine


@pytest.mark.parametrize(("name", "maps"), [("encoder", [8, 16, 32]), ("encoder-wide", [10, 20, 40])])
def test_the_encoder_has_the_feature_maps_of_its_name_and_two_transposed_convolutions(name, maps):
    modules = list(build_network(name, (2, 64, 64), 2).modules())
    kernels = [module.kernel_size for module in modules if isinstance(module, torch.nn.ConvTranspose2d)]
    assert kernels == [(4, 4), (4, 4)]
    widths = [m.out_channels for m in modules if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert sorted(set(widths)) == maps


def settled(name, size):
    """A network whose batch norms have seen readings: freshly made, all logits are nearly alike."""
    torch.manual_seed(0)
    network = build_network(name, (1, *size), 2)
    for _ in range(30):
        network(torch.rand(2, 1, 16, 16))
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shifted_reading_has_shifted_logits(name):
    """A shift by the stride of the deepest features, away from the border: no pixel is out of place."""
    network, reading = settled(name, (176, 176)), torch.rand(1, 1, 176, 176)
    before, after = network(reading)[..., 80:88, 72:80], network(reading.roll((8, 16), (2, 3)))[..., 88:96, 88:96]
    assert before.std((2, 3)).min() > 0.05
    assert torch.allclose(before, after, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_filling_up_to_the_stride_moves_nothing(name):
    """Logits of 93×90 are those of the same reading filled with its mean below and on the right."""
    network, reading = settled(name, (93, 90)), torch.rand(1, 1, 93, 90)
    mean = float(network.normalise.running_mean)
    by_hand = network(F.pad(reading, (0, -90 % network.stride, 0, -93 % network.stride), value=mean))
    assert network(reading).std((2, 3)).min() > 0.05
    assert torch.allclose(network(reading), by_hand[..., :93, :90], atol=1e-4)


def test_a_blob_is_learned_in_its_place():
    """Overfit four blobs: what comes out lies where the mask lies, also from a reading of half its size."""
    torch.manual_seed(0)
    masks = torch.zeros(4, 32, 32, dtype=torch.long)
    for number, (row, column) in enumerate([(2, 3), (18, 4), (6, 20), (16, 18)]):
        masks[number, row : row + 8, column : column + 12] = 1
    reading = F.avg_pool2d(masks[:, None].float(), 2) + 0.1 * torch.rand(4, 1, 16, 16)
    network = build_network("unet", (1, 16, 16), 2, output_size=(32, 32))
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(25):
        optimiser.zero_grad()
        F.cross_entropy(network(reading), masks).backward()
        optimiser.step()
    found = network(reading).argmax(1)
    assert 2 * (found * masks).sum() / (found.sum() + masks.sum()) > 0.9


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unet, encoder, encoder-wide"):
        build_network("resnet", (3, 64, 64), 2)
