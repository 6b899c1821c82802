"""Saliency maps against hand-computed nets, captum where it works, finite differences and the chain rule."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from physlayer.saliency import METHODS, parameter_saliency, randomisation_check, saliency, split_camera


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Nets this small lose more to threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Camera(nn.Module):
    """Stand-in: gain per pixel, then a converter of `levels` steps with a straight-through gradient."""

    is_physical_layer = True

    def __init__(self, gain, levels=0, bound=None):
        super().__init__()
        self.gain = nn.Parameter(gain.clone())
        self.levels = levels
        self.register_buffer("offset", torch.zeros(()))
        if bound is not None:
            parametrize.register_parametrization(self, "gain", bound)

    def forward(self, x):
        x = self.gain * x + self.offset
        return Rounding.apply(x * self.levels) / self.levels if self.levels else x


class Sigmoid(nn.Module):
    def forward(self, free):
        return 2 * torch.sigmoid(free)

    def right_inverse(self, value):
        return torch.logit(value / 2)


class Functional(nn.Module):
    """conv, ReLU, conv, ReLU, pool, linear: the ReLU is a module each, one reused module, or a function."""

    def __init__(self, relu):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 3)
        self.head = nn.Linear(5 * 4, 3)
        if relu == "separate":
            self.relu, self.relu_again = nn.ReLU(), nn.ReLU()
        elif relu == "reused":
            self.relu = self.relu_again = nn.ReLU()
        elif relu == "reused in place":
            self.relu = self.relu_again = nn.ReLU(inplace=True)
        else:
            self.relu = self.relu_again = {
                "F.relu": F.relu,
                "torch.relu": torch.relu,
                "method": lambda x: x.relu(),
                "method in place": lambda x: x.relu_(),
                "result dropped": lambda x: (F.relu(x, inplace=True), x)[1],
            }[relu]

    def forward(self, x):
        x = self.relu(self.first(x))
        x = self.relu_again(self.second(x))
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


def images(batch=3, channels=1, height=7, width=6, seed=0):
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def network(relu="separate", seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Functional(relu)


def chain(levels=4, seed=0, bound=None):
    """A camera with a gain per pixel in front of a small network, with batch normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gain = 0.5 + 0.5 * torch.rand(1, 7, 6)
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(inplace=True)]
        model = nn.Sequential(Camera(gain, levels, bound), *layers, nn.Flatten(), nn.Linear(6 * 3 * 2, 3))
        model[2].running_mean.normal_()
    return model


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def hooks(model):
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, name)) for module in model.modules() for name in names)


def linear(weight, bias=None):
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    layer.weight.data = torch.tensor(weight)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


def test_gradient_of_a_linear_network_is_its_weights_with_their_sign():
    model = nn.Sequential(nn.Flatten(), linear([[1.0, -2.0], [3.0, 4.0]]))
    result = saliency(model, torch.rand(2, 1, 1, 2), torch.tensor([0, 1]))
    assert torch.equal(result.flatten(1), torch.tensor([[1.0, -2.0], [3.0, 4.0]]))


def test_guided_backpropagation_drops_negative_evidence_at_each_relu():
    # hidden units x0, x1, x0 - x1 = 0.6, 0.2, 0.4, all on; the output weighs them 1, -1, 2.
    hidden = linear([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
    model = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), linear([[1.0, -1.0, 2.0]]))
    scene = torch.tensor([0.6, 0.2]).reshape(1, 1, 1, 2)
    assert saliency(model, scene).flatten().tolist() == [3.0, -3.0]
    assert saliency(model, scene, method="guided_backpropagation").flatten().tolist() == [3.0, -2.0]
    dark_edge = torch.tensor([0.2, 0.6]).reshape(1, 1, 1, 2)  # third unit off
    assert saliency(model, dark_edge, method="guided_backpropagation").flatten().tolist() == [1.0, 0.0]


def test_grad_cam_weighs_each_map_by_its_mean_gradient():
    # A_0 = x, A_1 = -x; score = sum over pixels of 4 A_0 + 8 A_1, so alpha = (4, 8) and the map is -4 x.
    convolution = nn.Conv2d(1, 2, 1, bias=False)
    convolution.weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
    model = nn.Sequential(convolution, nn.Flatten(), linear([[4.0] * 4 + [8.0] * 4]))
    scene = images(2, 1, 2, 2)
    assert torch.allclose(saliency(model, scene, method="grad_cam", relu=False), -4 * scene)
    assert torch.equal(saliency(model, scene, method="grad_cam"), torch.zeros_like(scene))


def test_grad_cam_is_as_large_as_the_scene_or_as_its_layer():
    model, scene = chain(), images()
    small = saliency(model, scene, 1, method="grad_cam", upsample=False)
    large = saliency(model, scene, 1, method="grad_cam")
    assert small.shape == (3, 1, 3, 2) and large.shape == (3, 1, 7, 6)
    assert torch.allclose(large, F.interpolate(small, size=(7, 6), mode="bilinear"))
    first = saliency(model, scene, 1, method="grad_cam", upsample=False, layer=model[1])
    assert first.shape == (3, 1, 5, 4)


def test_smooth_gradient_without_noise_is_the_gradient_and_of_a_parabola_is_unbiased():
    class Energy(nn.Module):
        def forward(self, x):
            return (x**2).flatten(1).sum(1)

    scene = images()
    options = {"method": "smooth_gradient", "generator": generator()}
    assert torch.allclose(saliency(Energy(), scene, noise=0.0, samples=2, **options), 2 * scene)
    noisy = saliency(Energy(), scene, samples=400, noise=0.1, **options) - 2 * scene
    spread = 2 * 0.1 * (scene.amax((1, 2, 3)) - scene.amin((1, 2, 3))) / 400**0.5
    assert 0.7 < float((noisy.std((1, 2, 3)) / spread).mean()) < 1.3


@pytest.mark.parametrize("target", [0, 2])
def test_guided_backpropagation_agrees_with_captum_where_captum_works(target):
    from captum.attr import GuidedBackprop

    model, scene = network("separate").eval(), images()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum announces its hooks
        theirs = GuidedBackprop(model).attribute(scene.clone().requires_grad_(), target=target)
    ours = saliency(model, scene, target, method="guided_backpropagation")
    assert torch.allclose(ours, theirs, atol=1e-7)
    assert not torch.allclose(ours, saliency(model, scene, target))


RELUS = ["reused", "reused in place", "F.relu", "torch.relu", "method", "method in place", "result dropped"]


@pytest.mark.parametrize("relu", RELUS)
def test_every_way_to_write_a_relu_gives_the_same_guided_map(relu):
    reference, scene = network("separate"), images()
    other = network(relu)
    other.load_state_dict(reference.state_dict())
    maps = [saliency(model, scene, 1, method="guided_backpropagation") for model in (reference, other)]
    assert torch.allclose(*maps, atol=1e-7)
    assert not torch.allclose(maps[1], saliency(other, scene, 1))


def test_a_relu_in_the_camera_keeps_its_own_derivative():
    class Rectifier(nn.Module):
        is_physical_layer = True

        def forward(self, x):
            return F.relu(x)

    # the network sees its input's weight -1 behind its own ReLU: only a guided camera ReLU would drop it.
    model = nn.Sequential(Rectifier(), nn.Flatten(), linear([[-1.0]], [2.0]), nn.ReLU())
    assert saliency(model, torch.full((1, 1, 1, 1), 0.5), method="guided_backpropagation").item() == -1.0


def test_maps_through_a_camera_agree_with_captum():
    from captum.attr import IntegratedGradients, LayerGradCam, Saliency

    model, scene = chain().eval(), images()
    x = scene.clone().requires_grad_()
    assert torch.allclose(saliency(model, scene, 2), Saliency(model).attribute(x, target=2, abs=False))
    cam = LayerGradCam(model, model[4]).attribute(x, target=2)
    assert torch.allclose(saliency(model, scene, 2, method="grad_cam", upsample=False, relu=False), cam)
    path = IntegratedGradients(model).attribute(x, target=2, n_steps=20).float()
    ours = saliency(model, scene, 2, method="integrated_gradients", steps=20)
    assert torch.allclose(ours, path, atol=1e-6)


def test_integrated_gradients_add_up_to_the_score_above_a_dark_scene():
    model, scene = chain(levels=0).eval(), images()
    result = saliency(model, scene, 1, method="integrated_gradients", steps=200)
    gain = (model(scene) - model(torch.zeros_like(scene)))[:, 1]
    assert torch.allclose(result.sum((1, 2, 3)), gain, rtol=2e-2, atol=2e-3)


def test_integrated_gradients_over_the_reading_add_up_behind_a_hard_quantiser():
    model, scene = chain(levels=2).eval(), images()
    result = saliency(model, scene, 1, method="integrated_gradients", wrt="reading", steps=200)
    gain = (model(scene) - model(torch.zeros_like(scene)))[:, 1]
    assert torch.allclose(result.sum((1, 2, 3)), gain, rtol=2e-2, atol=2e-3)
    scene_map = saliency(model, scene, 1, method="integrated_gradients", steps=200)
    # a surrogate has no such law
    assert not torch.allclose(scene_map.sum((1, 2, 3)), gain, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrt", ["scene", "reading"])
def test_a_batch_gives_the_maps_of_its_images_one_by_one(method, wrt):
    model, scene, targets = chain(), images(), torch.tensor([0, 2, 1])

    def run(x, t):
        return saliency(model, x, t, method=method, wrt=wrt, steps=5, samples=3, generator=generator())

    together = run(scene, targets)
    alone = torch.cat([run(scene[i : i + 1], targets[i : i + 1]) for i in range(3)])
    assert together.shape[0] == 3 and together.abs().sum() > 0
    assert torch.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_twice_the_logits_give_twice_the_map(method):
    model, scene = chain(), images()
    options = {"method": method, "steps": 5, "samples": 3}
    once = saliency(model, scene, 1, generator=generator(), **options)
    model[-1].weight.data *= 2
    model[-1].bias.data *= 2
    twice = saliency(model, scene, 1, generator=generator(), **options)
    assert torch.allclose(twice, 2 * once, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["gradient", "guided_backpropagation"])
def test_scene_map_is_the_reading_map_seen_through_the_straight_through_camera(method):
    model, scene = chain(levels=3), images()
    reading_map = saliency(model, scene, 1, method=method, wrt="reading")
    assert torch.allclose(saliency(model, scene, 1, method=method), model[0].gain * reading_map, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_reading_may_be_given_as_a_number_or_a_submodule_of_any_model(method):
    class Wrapped(nn.Module):
        def __init__(self, parts):
            super().__init__()
            self.camera, self.network = parts[0], parts[1:]

        def forward(self, x):
            return self.network(self.camera(x))

    model, scene = chain(), images()
    wrapped = Wrapped(model)
    options = {"method": method, "wrt": "reading", "steps": 4, "samples": 3}
    default = saliency(model, scene, 1, generator=generator(), **options)
    for target, layers in ((model, 1), (model, model[0]), (wrapped, wrapped.camera)):
        result = saliency(target, scene, 1, reading_layers=layers, generator=generator(), **options)
        assert torch.allclose(result, default, atol=1e-7)
    assert hooks(wrapped) == 0


def test_split_camera_takes_leading_physical_layers_alone():
    model = chain()
    camera, rest = split_camera(model)
    assert [*camera] == [model[0]] and [*rest] == [*model[1:]]
    camera, rest = split_camera(nn.Sequential(nn.Sequential(model[0], model[0]), nn.Flatten()))
    assert (len(camera), len(rest)) == (1, 1)
    later = nn.Sequential(nn.Identity(), model[0])
    assert len(split_camera(later)[0]) == 0
    assert len(split_camera(network())[0]) == 0


class Breaks(nn.Module):
    """Works once (the score), then fails, as a network that runs out of memory in the middle."""

    def __init__(self, model, healthy):
        super().__init__()
        self.model, self.healthy, self.calls = model, healthy, 0

    def forward(self, x):
        result = self.model(x)
        self.calls += 1
        if self.calls > self.healthy:
            raise RuntimeError("out of memory")
        return result


@pytest.mark.parametrize("healthy", [0, 1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_an_error_leaves_no_hook_and_no_changed_mode(method, healthy):
    model = Breaks(chain(), healthy)
    model.train()
    model.model[2].eval()
    flags = [module.training for module in model.modules()]
    with pytest.raises(RuntimeError, match="out of memory"):
        saliency(
            model,
            images(),
            1,
            method=method,
            wrt="reading",
            reading_layers=model.model[0],
            generator=generator(),
        )
        raise RuntimeError("out of memory")  # methods that need fewer passes finish
    assert hooks(model) == 0
    assert [module.training for module in model.modules()] == flags
    x = torch.tensor([-1.0, 1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(-F.relu(x).sum(), x)
    assert gradient.tolist() == [0.0, -1.0]  # ReLU is itself again


@pytest.mark.parametrize("method", [*METHODS, "parameters"])
def test_the_model_is_left_as_it_was(method):
    model, scene = chain(bound=Sigmoid()), images()
    model.train()
    model[4].eval()
    model[1].weight.requires_grad_(False)
    model[0].parametrizations.gain.original.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    learned = [parameter.requires_grad for parameter in model.parameters()]
    before = scene.clone()
    with torch.no_grad():  # as after a validation loop
        if method == "parameters":
            result = parameter_saliency(model, scene, 1)["0.gain"]
        else:
            result = saliency(model, scene, 1, method=method, steps=3, samples=2, generator=generator())
    assert not result.requires_grad and torch.equal(scene, before) and not scene.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == learned
    assert [module.training for module in model.modules()] == flags and hooks(model) == 0
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_network_that_begins_in_place_does_not_change_the_images():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    scene = images() - 0.5
    model(scene.clone())
    before = scene.clone()
    for method in METHODS:
        result = saliency(model, scene, 0, method=method, steps=2, samples=2, generator=generator())
        assert result.shape == scene.shape and torch.equal(scene, before)


def test_an_exposure_set_in_place_is_applied_once():
    class Exposure(nn.Module):
        def forward(self, x):
            return (x.mul_(0.5) ** 2).flatten(1).sum(1)

    scene = images()
    assert torch.allclose(saliency(Exposure(), scene), scene / 2)
    assert torch.allclose(saliency(Exposure(), scene, method="integrated_gradients"), scene**2 / 4, atol=1e-6)


def test_maps_can_be_taken_where_gradients_are_off():
    model, scene = chain(), images()
    expected, parameters = saliency(model, scene, 1), parameter_saliency(model, scene, 1)["0.gain"]
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            assert torch.equal(saliency(model, images(), 1), expected)
            assert torch.equal(parameter_saliency(model, images(), 1)["0.gain"], parameters)


def test_no_target_means_the_predicted_class_and_a_regression_needs_none():
    model, scene = chain().eval(), images(5)
    model[-1].bias.data[2] = 10.0
    assert torch.equal(saliency(model, scene), saliency(model, scene, 2))
    assert not torch.equal(saliency(model, scene), saliency(model, scene, 0))
    regression = nn.Sequential(nn.Flatten(), linear([[2.0, -1.0]]))
    squeezed = nn.Sequential(*regression, nn.Flatten(0))
    for outputs in (regression, squeezed):
        assert saliency(outputs, images(2, 1, 1, 2)).flatten(1).tolist() == [[2.0, -1.0]] * 2


def test_segmentation_sums_the_pixels_predicted_as_the_class():
    segmentation = nn.Conv2d(1, 2, 1, bias=False)
    segmentation.weight.data = torch.tensor([3.0, -5.0]).reshape(2, 1, 1, 1)
    scene = torch.tensor([0.5, -0.5, 0.25, -0.25]).reshape(1, 1, 2, 2)  # class 0 where positive
    assert saliency(segmentation, scene, 0).flatten().tolist() == [3.0, 0.0, 3.0, 0.0]
    assert saliency(segmentation, scene, 1).flatten().tolist() == [0.0, -5.0, 0.0, -5.0]
    foreground = nn.Sequential(segmentation, nn.Conv2d(2, 1, 1, bias=False))
    foreground[1].weight.data = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    assert saliency(foreground, scene).flatten().tolist() == [3.0, 0.0, 3.0, 0.0]
    with pytest.raises(ValueError, match="Expected targets to name a segmentation class"):
        saliency(segmentation, scene)


def test_parameter_map_of_a_smooth_layer_is_its_finite_difference():
    model, scene, step = chain(levels=0).double(), images().double(), 1e-5
    result = parameter_saliency(model, scene, torch.tensor([0, 2, 1]))
    assert list(result) == ["0.gain"] and result["0.gain"].shape == (3, 1, 7, 6)
    model.eval()
    for pixel in ((0, 3, 2), (0, 6, 5)):
        scores = []
        for sign in (1, -1):
            model[0].gain.data[pixel] += sign * step
            scores.append(model(scene)[torch.arange(3), torch.tensor([0, 2, 1])].detach())
            model[0].gain.data[pixel] -= sign * step
        difference = (scores[0] - scores[1]) / (2 * step)
        assert torch.allclose(result["0.gain"][(slice(None), *pixel)], difference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("levels", [0, 3])
def test_parameter_map_is_per_physical_unit_and_not_per_logit(levels):
    bounded, free, scene = chain(levels, bound=Sigmoid()), chain(levels), images()
    result = parameter_saliency(bounded, scene, 1)["0.gain"]
    assert torch.allclose(result, parameter_saliency(free, scene, 1)["0.gain"], rtol=1e-4, atol=1e-7)
    original = bounded[0].parametrizations.gain.original
    bounded.eval()
    (slope,) = torch.autograd.grad(bounded(scene)[:, 1].sum(), original)
    share = torch.sigmoid(original)
    assert torch.allclose(slope, result.sum(0) * 2 * share * (1 - share), rtol=1e-4, atol=1e-7)


def test_parameter_map_of_a_gain_is_the_scene_times_the_reading_map():
    model, scene = chain(levels=3), images()
    gain = parameter_saliency(model, scene, 1)["0.gain"]
    assert torch.allclose(gain, scene * saliency(model, scene, 1, wrt="reading"), atol=1e-6)


def test_a_fixed_quantity_has_a_map_when_it_is_named():
    model, scene = chain(), images()
    result = parameter_saliency(model, scene, 1, names=["0.offset"])["0.offset"]
    assert torch.allclose(result, saliency(model, scene, 1, wrt="reading").sum((1, 2, 3)), atol=1e-5)
    assert not model[0].offset.requires_grad


def test_a_map_of_what_follows_from_a_free_tensor_bears_the_name_of_the_hardware():
    from physlayer import ColorWeights

    weights, scene = nn.Parameter(torch.full((1, 3), 2.0)), images().expand(-1, 3, -1, -1)
    model = nn.Sequential(ColorWeights(weights, constraint="simplex"), *chain()[1:])
    result = parameter_saliency(model, scene, 1)
    assert list(result) == ["0.weights"] and result["0.weights"].shape == (3, 1, 3)


def test_parameter_maps_see_the_layers_of_physlayer():
    from physlayer import Response

    model, scene = nn.Sequential(Response(nn.Parameter(torch.tensor(0.7))), *chain()[1:]), images()
    result = parameter_saliency(model, scene, 1)
    assert list(result) == ["0.gamma"] and result["0.gamma"].shape == (3,)
    model.double().eval()
    slopes = []
    for gamma in (0.7 + 1e-5, 0.7 - 1e-5):
        model[0] = Response(torch.tensor(gamma, dtype=torch.float64))
        slopes.append(model(scene.double())[:, 1].detach() / 2e-5)
    assert torch.allclose(result["0.gamma"].double(), slopes[0] - slopes[1], rtol=1e-3, atol=1e-4)


def test_a_gradient_does_not_survive_that_the_network_forgets():
    model, scene = chain(levels=0), images(8)
    rho = {m: randomisation_check(model, scene, 1, m, generator=generator()) for m in METHODS}
    assert all(-1 <= value <= 1 for value in rho.values())
    assert abs(rho["gradient"]) < 0.5
    assert randomisation_check(model, scene, 1, generator=generator()) == rho["gradient"]
    model[-1].weight.data.zero_()
    with pytest.raises(ValueError, match="Expected maps that vary over the image"):
        randomisation_check(model, scene, 1, generator=generator())


def test_randomisation_forgets_the_network_and_neither_the_camera_nor_the_original():
    class Copying(nn.Module):  # no weights to forget: the map must come back exactly
        def forward(self, x):
            return (x**2).flatten(1).sum(1)

    copying = nn.Sequential(Camera(0.5 + images(1)[0]), Copying())
    assert randomisation_check(copying, images(), generator=generator()) == pytest.approx(1)
    model = chain()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    value = randomisation_check(model, images(), method="grad_cam", layer=model[1], generator=generator())
    assert -1 <= value < 0.999
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.rand(2, 7, 6, 1)}, r"permute\(0, 3, 1, 2\)"),
        ({"targets": 3}, "Expected targets to lie in 0…2, but got 3…3"),
        ({"targets": torch.tensor([0, -1, 0])}, "Expected targets to lie in 0…2"),
        ({"targets": torch.tensor([0, 1])}, r"Expected targets to have shape \(3,\)"),
        ({"method": "magic"}, "Expected method to be one of gradient"),
        ({"wrt": "lens"}, "Expected wrt to be one of scene, reading"),
        ({"method": "smooth_gradient"}, "Expected generator to be a torch.Generator"),
        ({"steps": 0}, "Expected steps and samples to be at least 1"),
        ({"reading_layers": 9}, "Expected reading_layers to be a number of layers"),
        ({"reading_layers": nn.Conv2d(1, 1, 1)}, "Expected reading_layers to be a submodule"),
        ({"method": "grad_cam", "layer": nn.Conv2d(1, 1, 1)}, "Expected layer to be a module of the network"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(42, 2)), "method": "grad_cam"}, "hold a Conv2d"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(42, 2)), "wrt": "reading"}, "but got no camera"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(42, 2)), "method": "guided_backpropagation"},
            "Expected the network to call a ReLU",
        ),
    ],
)
def test_misuse_is_answered_with_the_fix(change, message):
    settings = {"model": chain(), "images": images(), "targets": 0} | change
    with pytest.raises(ValueError, match=message):
        saliency(settings.pop("model"), settings.pop("images"), settings.pop("targets"), **settings)


def test_targets_that_are_not_integers_are_refused():
    for targets in (torch.tensor([0.0, 1.0, 2.0]), "cell", True):
        with pytest.raises(TypeError, match="Expected targets to be integers"):
            saliency(chain(), images(), targets)


def test_a_converter_without_surrogate_gradient_is_named_and_the_reading_still_works():
    class Comparator(nn.Module):
        is_physical_layer = True

        def forward(self, x):
            return (x > 0.5).float()

    model = nn.Sequential(Comparator(), *chain()[1:])
    for method in ("gradient", "guided_backpropagation", "integrated_gradients"):
        with pytest.raises(ValueError, match="straight-through"):
            saliency(model, images(), 1, method=method)
        assert saliency(model, images(), 1, method=method, wrt="reading").abs().sum() > 0


def test_parameter_names_are_checked():
    with pytest.raises(ValueError, match="Expected names to be among"):
        parameter_saliency(chain(), images(), 1, names=["0.gian"])
    with pytest.raises(ValueError, match="Expected names to be among"):
        parameter_saliency(network(), images(), 1)

    class Idle(Camera):
        def forward(self, x):
            return x

    with pytest.raises(ValueError, match=r"depend on \['0.gain'\]"):
        parameter_saliency(nn.Sequential(Idle(torch.ones(())), *chain()[1:]), images(), 1)
