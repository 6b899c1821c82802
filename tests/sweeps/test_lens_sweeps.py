"""What the sweeps of blur, deconvolution and fluorophore filters hold equal between their arms."""

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import SENSORS, camera_cost
from physlayer.color.unmixing import cramer_rao_bound
from physlayer.experiment.spec import Point
from physlayer.sweeps import blur, deconvolution, fluorophores, shift_variant_blur
from physlayer.tasks.fluorophores import make_cells


def point(value, shape=(3, 20, 24), scenes=None):
    return Point(
        value=value, shape=shape, quantile=lambda q: torch.full((shape[0], 1, 1), q),
        scenes=lambda: scenes, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def spot_moment(layer, size=81):
    """Second moment of the picture of a point, pixels², by NumPy."""
    x = torch.zeros(1, 1, size, size)
    x[0, 0, size // 2, size // 2] = 1.0
    with torch.no_grad():
        y = layer.eval()(x)[0, 0].double().numpy()
    assert abs(y.sum() - 1) < 1e-4
    rows, columns = np.mgrid[:size, :size]
    return sum(((y * place**2).sum() - (y * place).sum() ** 2) for place in (rows - size // 2, columns - size // 2))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_random_kernel_spreads_a_point_as_far_as_the_gaussian(sigma):
    gaussian, random = (blur.SWEEP.variant(arm).camera(point(sigma))[0] for arm in ("fixed", "random"))
    assert spot_moment(random) == pytest.approx(spot_moment(gaussian), rel=1e-3)
    assert sigma < 1 or spot_moment(gaussian) == pytest.approx(2 * sigma**2, rel=1e-2)
    assert not torch.allclose(random.kernel, gaussian.kernel, atol=1e-3)


@pytest.mark.parametrize("arm", ["learned", "learned_width"])
def test_learned_blur_keeps_its_reach_whatever_the_optimiser_does(arm):
    (layer, *_) = blur.SWEEP.variant(arm).camera(point(1.5))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    spread = layer.kernel.expand(3, -1, -1)
    assert tuple(spread.shape[1:]) == (13, 13)  # 4σ on each side
    assert torch.allclose(spread.sum((1, 2)), torch.ones(len(spread)))
    if arm == "learned_width":
        assert float(layer.sigma_pixels.detach().max()) <= 1.5


def test_widths_off_the_quarters_are_refused():
    with pytest.raises(ValueError, match=r"quarters of a pixel, such as 0.75, but got 0.8"):
        blur.SWEEP.variant("fixed").camera(point(0.8))


def mean_variance(layer, size=(20, 24)):
    """Mean of σ² over the field, by SciPy's bilinear interpolation of the nodes."""
    from scipy.interpolate import RegularGridInterpolator

    sigma = layer.sigma_pixels.detach().double().numpy()
    nodes = [np.linspace(0, n - 1, count) for n, count in zip(size, sigma.shape, strict=True)]
    rows, columns = np.mgrid[: size[0], : size[1]]
    return float((RegularGridInterpolator(nodes, sigma)((rows, columns)) ** 2).mean())


@pytest.mark.parametrize("arm", ["fixed", "uniform", "random", "learned", "learned_translated"])
def test_every_map_of_widths_has_the_same_mean_square(arm):
    wanted = mean_variance(shift_variant_blur.SWEEP.variant("fixed").camera(point(3.0))[0])
    (layer, *_) = shift_variant_blur.SWEEP.variant(arm).camera(point(3.0))
    assert mean_variance(layer) == pytest.approx(wanted, rel=1e-5)
    if arm == "fixed":
        assert float(layer.sigma_pixels.max()) == 3.0 and float(layer.sigma_pixels[4, 4]) == 0.0
    for parameter in layer.parameters():  # a learned map moves along the constraint
        with torch.no_grad():
            parameter.add_(2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        assert mean_variance(layer) == pytest.approx(wanted, rel=1e-4)
        sigma = layer.sigma_pixels.detach()
        assert float(sigma.std()) > 0.3 and float(sigma.max()) < 1.5 * 3.0


def test_gradient_of_the_equal_blur_is_that_of_the_constraint():
    equal = shift_variant_blur.EqualBlur(2.0, 4.0, (7, 9))
    sigma = (
        0.5 + 3 * torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ).requires_grad_()
    assert torch.autograd.gradcheck(equal, sigma, eps=1e-5, atol=1e-5)
    (along,) = torch.autograd.grad(shift_variant_blur.mean_square(equal(sigma), (7, 9)), sigma)
    assert float(along.abs().max()) < 1e-9  # no step changes the mean


def test_cramer_rao_arm_finds_cuts_with_a_smaller_bound_than_equal_and_random_ones():
    scenes = make_cells(64, seed=5).images
    at = point(4, (4, 16, 16), scenes)
    traces = {
        arm: float(fluorophores.bound(fluorophores.SWEEP.variant(arm).camera(at)[0], scenes))
        for arm in ("fixed", "random", "crlb")
    }
    assert traces["crlb"] < 0.9 * min(traces["fixed"], traces["random"])
    grid = torch.combinations(torch.arange(465.0, 625.0, 10.0), 3)
    best = min(float(fluorophores.bound(fluorophores.bands(cuts), scenes)) for cuts in grid)
    assert traces["crlb"] < 0.97 * best  # between the places of a grid of 10 nm


@pytest.mark.parametrize("arm", ["fixed", "random", "learned"])
def test_bands_share_the_light_of_one_exposure_however_many_they_are(arm):
    """Recorded photons: as many with six bands as with one."""
    costs = {}
    for filters in (1, 3, 6):
        layers = nn.Sequential(*fluorophores.SWEEP.variant(arm).camera(point(filters, (4, 16, 16))))
        costs[filters] = camera_cost(layers, (4, 16, 16))["photons"]
    assert costs[3] == pytest.approx(costs[1], rel=1e-3) == pytest.approx(costs[6], rel=1e-3)


def test_field_curvature_is_round_and_reaches_the_defocus_in_the_corners():
    sigma = shift_variant_blur.curvature(point(4.0, (3, 60, 80)))
    assert float(sigma[0, 0]) == pytest.approx(4) and float(sigma[4, 4]) == 0
    assert float(sigma[4, 8]) == pytest.approx(4 * 0.64) and float(sigma[0, 4]) == pytest.approx(4 * 0.36)


def test_bound_without_light_is_the_variance_between_cells_and_with_much_the_bound_of_the_light(monkeypatch):
    scenes = make_cells(64, seed=5).images
    filters = fluorophores.bands(torch.tensor([490.0, 520.0, 590.0]))
    total = scenes.sum(1, keepdim=True)
    cell = (total > 0.25 * total.amax((2, 3), keepdim=True)).float()
    abundance = (scenes * cell).sum((2, 3)) / cell.sum((2, 3))
    monkeypatch.setattr(fluorophores, "PHOTONS", 1e-6)
    assert float(fluorophores.bound(filters, scenes)) == pytest.approx(float(abundance.var(0).sum()), rel=1e-3)
    monkeypatch.setattr(fluorophores, "PHOTONS", 1e6)
    electrons = (
        filters.mixing() * 1e6 * SENSORS[fluorophores.KIND]["quantum_efficiency"] * float(cell.sum((2, 3)).mean())
    )
    light = float(cramer_rao_bound(electrons, abundance.mean(0)).sum())
    assert float(fluorophores.bound(filters, scenes)) == pytest.approx(light, rel=1e-2)


@pytest.mark.parametrize("arm", ["fixed", "random", "learned", "crlb", "rgb"])
@pytest.mark.parametrize("filters", [1, 3])
def test_no_filter_collects_more_than_the_light_of_one_exposure(arm, filters):
    scenes = make_cells(16, seed=5).images
    (layer, _) = fluorophores.SWEEP.variant(arm).camera(point(filters, (4, 16, 16), scenes))
    light = layer.mixing().sum(0)
    if arm == "rgb":
        assert light.shape == (4,) and float(light.max()) < 0.5  # a third of the time each, and filters absorb
    else:
        assert len(layer.mixing()) == filters and torch.allclose(light, torch.ones(4), atol=1e-5)


def test_pictures_are_refused_as_abundances():
    with pytest.raises(ValueError, match=r"4 fluorophores, but got 3 channels; use --task fluorophores"):
        fluorophores.SWEEP.variant("fixed").camera(point(3))


@pytest.fixture(scope="module")
def smooth_scenes():
    noise = torch.rand(600, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 5, 1, 2, count_include_pad=False)


def test_closed_forms_raise_the_quality_of_the_picture_and_the_full_one_most(smooth_scenes):
    at, found = point(1000, (3, 16, 20), smooth_scenes[:500]), {}
    for arm in ("fixed", "tied", "full", "learned"):
        camera = nn.Sequential(*deconvolution.SWEEP.variant(arm).camera(at)).eval()
        with torch.no_grad():
            found[arm] = deconvolution.image_quality(camera, smooth_scenes[500:])
        trained = [name for name, parameter in camera.named_parameters() if parameter.requires_grad]
        assert bool(trained) == (arm == "learned")
    assert found["fixed"]["psnr_db"] + 1 < found["tied"]["psnr_db"] < found["full"]["psnr_db"]
    assert found["learned"]["psnr_db"] == pytest.approx(found["tied"]["psnr_db"], abs=0.01)  # its start
    assert found["tied"]["ssim"] > found["fixed"]["ssim"]


def test_image_quality_is_that_of_numpy_and_absent_for_an_untouched_scene():
    scenes = torch.rand(3, 2, 9, 11, generator=torch.Generator().manual_seed(0))
    found = deconvolution.image_quality(nn.Sequential(deconvolution.Light(0.1, 1.1)), scenes)
    error = (scenes - (scenes - 0.1).clamp(0, 1)).double().square().mean((1, 2, 3))
    assert found["psnr_db"] == pytest.approx(float((-10 * error.log10()).mean()), rel=1e-6)
    assert deconvolution.image_quality(nn.Sequential(), scenes) == {}


def test_reading_is_brought_back_to_the_scale_of_the_scene():
    blur_layer, sensor, light = deconvolution.camera(point(30, (1, 60, 60)))
    for level in (0.0, 0.6, 1.0):  # dark, where the offset is all there is, to white, below the last code
        flat = torch.full((1, 1, 60, 60), level)
        assert float(light(sensor.eval()(flat)).mean()) == pytest.approx(level, abs=0.015)
    assert float(blur_layer.sigma_pixels[0, 0]) == 0.5 and float(blur_layer.sigma_pixels[8, 8]) == 2.5
