"""The homework's networks of digits: their sizes, what their options do, and the same numbers from NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer.tasks.base import Options, get_task
from physlayer.tasks.digits.networks import NETWORKS, CourseNetwork
from physlayer.tasks.digits.numpy_forward import numpy_forward
from physlayer.tasks.digits.numpy_layers import batch_norm, convolve, max_pool
from physlayer.tasks.networks import NETWORKS as SHARED
from physlayer.tasks.networks import Perceptron

torch.set_num_threads(1)

OWN = ("dense", "cnn", "cnn_pool_first", "cnn_batch_norm", "cnn_four", "cnn_hard_tanh")
SIZES = [(28, 28), (27, 31), (5, 9), (1, 1)]


def settled(name, shape, seed=0):
    """A network with random weights, biases and statistics, as after some training, and readings for it."""
    torch.manual_seed(seed)
    network = get_task("digits").network(name, shape, 10)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.3, 2)
                if module.affine:
                    module.weight.normal_()
                    module.bias.normal_()
    return network.eval(), torch.rand(3, *shape)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_fully_connected_network_has_the_weights_of_784_80_40_10():
    network = get_task("digits").network("dense", (1, 28, 28), 10)
    assert parameters(network) == 784 * 80 + 80 + 80 * 40 + 40 + 40 * 10 + 10 == 66_450


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cnn", 8 * 9 + 8 + 16 * 8 * 9 + 16 + 32 * 16 * 9 + 32 + 10 * 32 * 4 * 4 + 10),
        ("cnn_pool_first", 11_018),
        ("cnn_hard_tanh", 11_018),
        ("cnn_batch_norm", 11_018 + 8 + 16 + 32),  # scale and shift in place of a bias
        ("cnn_four", 5_888 + 64 * 32 * 9 + 64 + 10 * 64 * 2 * 2 + 10),
    ],
)
def test_convolutional_networks_have_the_weights_of_8_16_32_maps(name, count):
    network = get_task("digits").network(name, (1, 28, 28), 10)
    maps = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert maps == [8, 16, 32, 64][: len(maps)] and len(maps) == (4 if name == "cnn_four" else 3)
    assert parameters(network) == count


def test_names_and_default_of_earlier_records_stay():
    assert set(NETWORKS) == {*SHARED, *OWN} and get_task("digits").default_network(Options()) == "mlp"
    torch.manual_seed(0)
    before = SHARED["mlp"]((1, 28, 28), 10).state_dict()
    torch.manual_seed(0)
    after = get_task("digits").network("mlp", (1, 28, 28), 10).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("size", [*SIZES, (64, 64)])
@pytest.mark.parametrize("name", OWN)
def test_readings_of_any_size_give_logits_and_gradients_to_all_weights(name, size):
    torch.manual_seed(0)
    network, reading = get_task("digits").network(name, (2, *size), 10), torch.rand(8, 2, *size, requires_grad=True)
    logits = network(reading)
    assert logits.shape == (8, 10)
    F.cross_entropy(logits, torch.arange(8)).backward()
    for parameter in [reading, *network.parameters()]:
        assert parameter.grad.isfinite().all() and (size == (1, 1) or parameter.grad.abs().max() > 0)


@pytest.mark.parametrize("name", OWN)
def test_the_scale_of_a_camera_s_output_does_not_matter(name):
    """One rule for every camera: a reading 100 times as bright on a pedestal is the same reading."""
    torch.manual_seed(0)
    network, reading = get_task("digits").network(name, (2, 28, 28), 10), torch.rand(8, 2, 28, 28)
    first = next(iter(network.layers))
    assert isinstance(first, nn.BatchNorm2d) and not list(first.parameters())
    assert torch.allclose(network(reading), network(100 * reading - 7), atol=1e-3)


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_pooling_before_a_rising_activation_changes_no_logit_and_no_gradient(activation):
    """The maximum of f(x) is f of the maximum where f never falls."""
    networks, found = [], []
    for pool_first in (False, True):
        torch.manual_seed(0)
        networks.append(CourseNetwork((1, 28, 28), 10, activation=activation, pool_first=pool_first))
    order = [[type(module).__name__ for module in network.layers] for network in networks]
    assert order[0] != order[1] and sorted(order[0]) == sorted(order[1])
    reading = torch.rand(4, 1, 28, 28)
    for network in networks:
        logits = network(reading)
        F.cross_entropy(logits, torch.arange(4)).backward()
        found.append([logits, *(parameter.grad for parameter in network.parameters())])
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_hard_tanh_keeps_features_within_one():
    network, reading = settled("cnn_hard_tanh", (1, 28, 28))
    with torch.no_grad():
        network.layers[-5].weight.mul_(100)  # of the last convolution
        features = network.layers[:-1](reading)
    assert float(features.max()) == 1.0 and float(features.min()) >= -1.0
    assert not any(isinstance(module, nn.ReLU) for module in network.modules())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((1, 28, 28), 10), {"activation": "tanh"}, "activation to be one of relu, hard_tanh, but got 'tanh'"),
        (((1, 28, 28), 10), {"widths": ()}, "at least one convolution"),
        (((1, 28, 28), 10), {"widths": (8, 0)}, "Expected widths"),
        (((28, 28), 10), {}, r"shape to be \(C, H, W\) of the reading, but got \(28, 28\)"),
        (((1, 28, 0), 10), {}, "Expected shape"),
    ],
)
def test_what_is_no_network_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        CourseNetwork(*arguments, **options)


def test_an_unknown_name_is_refused_with_all_names():
    with pytest.raises(ValueError, match=r"one of small, course, large, mlp, dense, cnn, .* but got 'lenet'"):
        get_task("digits").network("lenet", (1, 28, 28), 10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*OWN, "mlp"])
def test_numpy_gives_the_logits_of_pytorch(name, size):
    network, reading = settled(name, (2, *size), seed=sum(size))
    wanted, found = network(reading).detach().numpy(), numpy_forward(network, reading.numpy())
    assert found.shape == (3, 10) and found.dtype == np.float64
    assert np.abs(found - wanted).max() < 1e-5
    assert np.std(wanted) > 1e-3  # logits that differ


def test_convolution_and_pooling_are_the_sums_and_maxima_of_their_equations():
    """Loops over every index, written from the equations alone."""
    generator = np.random.default_rng(0)
    x, h, b = (generator.normal(size=size) for size in ((2, 3, 6, 5), (4, 3, 3, 2), (4,)))
    stride, border = (2, 1), (1, 1)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    wanted = np.zeros((2, 4, 3, 6))
    for n, o, i, j in np.ndindex(wanted.shape):
        wanted[n, o, i, j] = b[o] + (h[o] * padded[n, :, 2 * i : 2 * i + 3, j : j + 2]).sum()
    assert np.allclose(convolve(x, h, b, stride=stride, padding=border), wanted, atol=1e-12)
    pooled = np.zeros((2, 3, 3, 3))
    for n, c, i, j in np.ndindex(pooled.shape):
        pooled[n, c, i, j] = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max()
    assert np.array_equal(max_pool(x, (2, 2), partial=True), pooled)
    assert np.array_equal(max_pool(x, (2, 2)), pooled[..., :2])


def test_batch_norm_takes_the_statistics_of_the_training_not_of_the_batch():
    bright = np.full((4, 1, 2, 2), 9.0)
    assert np.allclose(batch_norm(bright, np.array([1.0]), np.array([16.0]), epsilon=0.0), 2.0)
    assert np.allclose(batch_norm(bright, np.array([8.0]), np.array([0.0]), epsilon=1e-4), 100.0)  # dark: finite


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_strides_borders_and_partial_windows_are_pytorch_s(kernel, stride, padding):
    torch.manual_seed(0)
    image = torch.randn(2, 3, 11, 8, dtype=torch.double)
    layers = [nn.Conv2d(3, 4, (kernel, 2), stride, padding, dtype=torch.double)]
    if padding <= kernel // 2:
        layers += [nn.MaxPool2d(kernel, stride, padding, ceil_mode=partial) for partial in (False, True)]
    for layer in layers:
        wanted = layer.eval()(image).detach().numpy()
        assert numpy_forward(nn.Sequential(layer).eval(), image).shape == wanted.shape
        assert np.allclose(numpy_forward(layer, image), wanted, atol=1e-12)


def test_sequences_are_walked_to_their_ends_and_nothing_is_dropped():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(1, 3, 3, padding="same"), nn.Hardtanh(-0.5, 2.0), nn.MaxPool2d(2))
    model = nn.Sequential(inner, nn.Dropout(0.9), nn.Identity(), nn.Flatten(), nn.Linear(48, 2, bias=False)).eval()
    images = torch.rand(2, 1, 8, 8)
    assert np.allclose(numpy_forward(model, images), model(images).detach().numpy(), atol=1e-6)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Sigmoid()), "modules to be of Conv2d, .* but got Sigmoid; write its equation"),
        (nn.Sequential(nn.Flatten(), Doubled(16, 2)), "but got Doubled"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)), "Conv2d to have groups=1, but got 2"),
        (nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2)), r"Conv2d to have dilation=\(1, 1\), but got \(2, 2\)"),
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")), "padding_mode='zeros'"),
        (nn.Sequential(nn.Conv2d(1, 2, 2, padding="same")), "odd kernel for padding 'same'"),
        (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), "track_running_stats=True, but got False"),
        (nn.Sequential(nn.MaxPool2d(2, dilation=2)), "MaxPool2d to have dilation=1"),
        (nn.Sequential(nn.Flatten(0)), "Flatten to have start_dim=1, but got 0"),
        (nn.Sequential(nn.Conv2d(3, 2, 3)), r"3 channels and at least 3×3 pixels, as the kernels, but got \(1, 4, 4\)"),
        (nn.Sequential(nn.Conv2d(1, 2, 5)), r"at least 5×5 pixels"),
        (Perceptron((1, 5, 5), 2), "Expected 25 values, one per weight, but got 16"),
    ],
)
def test_what_has_no_equation_is_refused_by_name(model, message):
    with pytest.raises(ValueError, match=message):
        numpy_forward(model.eval(), torch.rand(1, 1, 4, 4))


def test_training_mode_and_what_is_no_image_are_refused():
    network = CourseNetwork((1, 8, 8), 2)
    with pytest.raises(ValueError, match=r"model to be in eval\(\)"):
        numpy_forward(network, torch.rand(1, 1, 8, 8))
    for images in (torch.rand(1, 8, 8), torch.rand(1, 1, 8, 8) + 1j):
        with pytest.raises(ValueError, match=r"images to be real \(B, C, H, W\), but got"):
            numpy_forward(network.eval(), images)
