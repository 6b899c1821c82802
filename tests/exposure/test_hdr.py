"""High dynamic range: facts F9.4–F9.5 and the gain in dynamic range."""

import math

import pytest
import torch
from torch import nn

from physlayer import Exposure, ExposureBracket, ExposureMosaic, Sensor, camera_cost
from physlayer.exposure.hdr import dynamic_range_db, merge_exposures

TILE = torch.tensor([[1.0, 1 / 4], [1 / 16, 1 / 64]])


@pytest.mark.parametrize(("ratio", "gain"), [(4, 36.12), (2, 18.06)])
def test_four_exposures_widen_the_dynamic_range(ratio, gain):
    steps = torch.tensor([1.0, 1 / ratio, 1 / ratio**2, 1 / ratio**3])
    found = dynamic_range_db(30_000, 7, steps) - dynamic_range_db(30_000, 7, torch.ones(1))
    assert found == pytest.approx(gain, abs=0.01)


def test_open_filters_are_a_plain_sensor():
    """F9.4."""
    x = torch.rand(2, 3, 6, 7)
    assert torch.equal(ExposureMosaic(torch.ones(2, 2))(x), x)


@pytest.mark.parametrize(("least", "whole"), [(1 / 64, True), (1 / 63, False), (1 / 16, False)])
def test_every_block_sees_a_ramp_if_its_darkest_filter_takes_the_brightest_light(least, whole):
    """F9.4: light from 0 to 64 full scales."""
    x = torch.linspace(0, 1, 256).repeat_interleave(2).view(1, 1, 1, -1).expand(1, 1, 2, -1)
    mosaic = ExposureMosaic(torch.tensor([[1.0, 0.5], [0.25, least]]))
    blocks = nn.functional.max_pool2d((64 * mosaic(x) <= 1).float(), 2)
    assert bool((blocks == 1).all()) is whole


def test_merged_exposures_return_a_flat_scene_of_any_brightness():
    mosaic = ExposureMosaic(TILE)
    camera = nn.Sequential(mosaic, Exposure(64.0), mosaic.decoder())
    for light in (0.01, 0.5, 3.0, 15.0, 60.0):
        y = camera(torch.full((1, 2, 8, 8), light / 64))
        assert torch.allclose(y, torch.full_like(y, light), rtol=1e-5)


def test_light_beyond_all_exposures_is_reported_as_the_bound():
    y = torch.ones(1, 1, 4, 4)
    assert torch.allclose(merge_exposures(y, TILE.repeat(2, 2), 2), torch.tensor(64.0))


def test_merging_weights_exposures_by_their_photons():
    """The ratio of sums has the least variance of all unbiased means of y/e for photon noise."""
    generator = torch.Generator().manual_seed(0)
    e = torch.tensor([[1.0, 0.25], [0.25, 1.0]]).repeat(200, 200)
    mean = 200.0 * 0.5
    y = torch.poisson(mean * e, generator=generator)[None, None] / 200
    merged = merge_exposures(y, e, 2)[..., 1:-1, 1:-1]
    plain = nn.functional.avg_pool2d(y / e, 2, stride=1)
    assert float(merged.mean()) == pytest.approx(0.5, rel=2e-3)
    assert float(merged.var()) < 0.75 * float(plain.var())


def test_a_white_pixel_beats_a_coloured_one_by_the_root_of_three():
    """F9.5: shot-limited, equal red, green and blue."""

    def ratio(light):
        sensor = Sensor(
            exposure_photons=3000.0, quantum_efficiency=1.0, read_noise_electrons=0.0, full_well_electrons=1e5
        )
        y = sensor.eval()(torch.full((1, 1, 400, 400), light))
        return float(y.mean() / y.std())

    assert ratio(0.9) / ratio(0.3) == pytest.approx(math.sqrt(3), rel=0.02)


def test_gradient_reaches_the_tile_through_saturation_and_merge():
    mosaic = ExposureMosaic(nn.Parameter(torch.tensor([[0.9, 0.5], [0.25, 0.1]])))
    camera = nn.Sequential(mosaic, Exposure(1.0), mosaic.decoder())
    x = 4 * torch.rand(2, 1, 8, 8)
    (camera(x) * torch.rand(2, 1, 8, 8)).sum().backward()
    grad = mosaic.free_parameter("tile").grad
    assert torch.isfinite(grad).all() and bool((grad != 0).all())
    assert len(list(camera.parameters())) == 1


def test_bracket_shows_each_exposure_as_channels():
    x = torch.rand(1, 3, 4, 4)
    y = ExposureBracket(torch.tensor([1.0, 4.0]))(x)
    assert torch.equal(y[:, :3], x) and torch.equal(y[:, 3:], 4 * x)


@pytest.mark.parametrize("gain", [0.09, 0.05])
def test_merging_takes_black_level_and_saturation_from_the_sensor(gain):
    """A well that is full below the last code, a pedestal: both were once read as light, up to a factor of four off."""
    sensor = Sensor(
        10, exposure_photons=60_000.0, quantum_efficiency=1.0, full_well_electrons=10_000.0, read_noise_electrons=2.0,
        dark_current_electrons_per_second=5_000.0, gain_dn_per_electron=gain, offset_dn=40.0,
    )  # fmt: skip
    mosaic = ExposureMosaic(TILE)
    camera = nn.Sequential(mosaic, sensor, mosaic.decoder(sensor=sensor)).eval()
    unit = 60_000 * gain / 1023  # reading per scene light, without a filter
    for light in (0.02, 0.1, 0.5, 1.0, 4.0):
        y = camera(torch.full((1, 1, 64, 64), light))
        assert float(y.mean()) == pytest.approx(light * unit, rel=0.02)


@pytest.mark.parametrize(("side", "size"), [((3, 3), (9, 9)), ((4, 4), (8, 8)), ((2, 3), (7, 8)), ((4, 2), (5, 9))])
def test_flat_light_is_found_at_the_border_too_whatever_the_tile(side, size):
    """One pixel of the tile has a filter that does not saturate: no window may miss it."""
    tile = torch.ones(side)
    tile[0, 0] = 1 / 16
    mosaic = ExposureMosaic(tile)
    y = nn.Sequential(mosaic, Exposure(16.0), mosaic.decoder())(torch.full((1, 1, *size), 0.5))
    assert torch.allclose(y, torch.full_like(y, 8.0), rtol=1e-5)


def test_equal_exposures_are_not_blurred_by_a_merge():
    x = torch.rand(1, 1, 6, 8)
    mosaic = ExposureMosaic(torch.full((2, 2), 0.25))
    assert torch.allclose(nn.Sequential(mosaic, Exposure(1.0), mosaic.decoder())(x), x)


def test_bracket_costs_the_light_of_all_its_exposures():
    cost = camera_cost(
        nn.Sequential(ExposureBracket(torch.tensor([1.0, 4.0])), Sensor(exposure_photons=100.0)), (1, 8, 8)
    )
    assert cost["photons"] == 64 * 100 * (1 + 4)
    longer = camera_cost(nn.Sequential(Exposure(3.0), Sensor(exposure_photons=100.0)), (1, 8, 8))
    assert longer["photons"] == 64 * 100 * 3
