"""Pixel geometry: facts F3.* and F10.* of the design notes."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from physlayer import Sensor, SensorPlacement, TransmissionMask, camera_cost, seed_noise
from physlayer.pixels.area_sampling import collect
from physlayer.pixels.binning import PixelBinning, pixel_mtf
from physlayer.pixels.camera_array import CameraArray, lattice_shifts
from physlayer.pixels.separable_layout import PixelLayout, layout_edges


def images(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_point_sampling_cameras_on_a_lattice_interleave_to_the_scene(side):
    """F3.1."""
    x = images(2, 3, 12, 24)
    array = CameraArray(lattice_shifts(side**2).double(), factor=side, fill_factor=1 / side**2).double()
    y = array(x).view(2, side, side, 3, 12 // side, 24 // side)
    whole = y.permute(0, 3, 4, 1, 5, 2).reshape(2, 3, 12, 24)
    # the middle of a large pixel is the middle of a scene pixel only for odd factors: undo the common offset
    offset = (side - 1) / 2
    if offset == int(offset):
        assert torch.allclose(whole, x.roll((-int(offset),) * 2, (2, 3)), atol=1e-6)
    else:
        pairs = F.pad(x, (0, 1, 0, 1), mode="circular").roll((0, 0), (2, 3))
        halves = F.avg_pool2d(pairs, 2, stride=1)
        assert torch.allclose(whole, halves.roll((-int(offset),) * 2, (2, 3)), atol=1e-6)


@pytest.mark.parametrize(("factor", "expected"), [(2, 1.38), (3, 1.71), (4, 2.13)])
def test_unmixing_aliases_is_best_for_equally_spaced_cameras(factor, expected):
    """F3.2: the condition number is 1 on the lattice, and grows when one camera is off by a tenth of a pixel."""

    def condition(shifts):
        orders = torch.arange(factor) - factor // 2
        matrix = torch.exp(2j * math.pi * shifts[:, None] * orders)
        return float(torch.linalg.cond(matrix))

    even = torch.arange(factor, dtype=torch.float64) / factor
    assert condition(even) == pytest.approx(1.0, abs=1e-9)
    moved = even.clone()
    moved[0] += 0.1
    assert condition(moved) == pytest.approx(expected, abs=0.01)


def test_identical_cameras_average_noise_and_nothing_else():
    """F3.3."""
    x = torch.full((8, 1, 32, 32), 0.5)
    camera = nn.Sequential(CameraArray(torch.zeros(4, 2), factor=2), Sensor(exposure_photons=500.0)).eval()
    y = camera(x)
    assert float(y.mean(1).std() / y[:, 0].std()) == pytest.approx(0.5, rel=0.03)
    scene = images(1, 1, 8, 8)
    noiseless = CameraArray(torch.zeros(4, 2).double(), factor=2).double()(scene)
    assert torch.allclose(noiseless, noiseless[:, :1].expand_as(noiseless))


def test_pixel_transfer_is_two_over_pi_at_nyquist_and_nought_at_the_pitch():
    """F3.4, against a fine sine seen by the layer."""
    assert float(pixel_mtf(0.5)) == pytest.approx(2 / math.pi, abs=1e-6)
    fine = 32
    u = (torch.arange(8 * fine, dtype=torch.float64) + 0.5) / fine
    for frequency, pixels in ((0.5, 8), (1.0, 8)):
        phases = torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64)[:-1]
        scene = 0.5 + 0.5 * torch.cos(2 * math.pi * frequency * u + phases[:, None])
        y = PixelBinning(fine).double()(scene[:, None, None, :].expand(-1, 1, fine, -1))
        assert y.shape[-1] == pixels
        assert float(2 * (y - 0.5).abs().max()) == pytest.approx(float(pixel_mtf(frequency)), abs=2e-3)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_binning_by_whole_factors_is_average_pooling(factor):
    x = images(2, 3, 30, 60)
    assert torch.allclose(PixelBinning(factor).double()(x), F.avg_pool2d(x, factor), atol=1e-12)


@pytest.mark.parametrize("factor", [1.5, 2.5, 7.3])
def test_binning_by_any_factor_keeps_the_mean(factor):
    """F3.5."""
    x = images(2, 3, 31, 47)
    assert torch.allclose(PixelBinning(factor).double()(x).mean((2, 3)), x.mean((2, 3)), atol=1e-6)


def test_binning_twice_by_two_is_binning_by_four():
    """F3.5."""
    x, two = images(1, 2, 16, 24), PixelBinning(2).double()
    assert torch.allclose(two(two(x)), PixelBinning(4).double()(x), atol=1e-12)


def test_light_is_conserved_for_any_widths():
    """F10.1."""
    x = images(2, 3, 20, 33)
    layout = PixelLayout(torch.randn(7).double(), torch.randn(11).double(), reading="light").double()
    collected = layout(x).sum((2, 3)) * (20 * 33) / (7 * 11)
    assert torch.allclose(collected, x.sum((2, 3)), atol=1e-10)
    assert float(layout.physical()["rows"].sum()) == pytest.approx(1.0)


def test_equal_widths_are_average_pooling_and_flat_fields_stay_flat():
    """F10.1, F10.2."""
    x = images(1, 3, 12, 20)
    assert torch.allclose(PixelLayout(torch.zeros(4), torch.zeros(5)).double()(x), F.avg_pool2d(x, (3, 4)), atol=1e-12)
    uneven = PixelLayout(torch.randn(4).double(), torch.randn(5).double())
    assert torch.allclose(uneven(torch.full_like(x, 0.3)), torch.tensor(0.3).double(), atol=1e-12)


def test_gradient_of_the_widths_is_exact():
    """F10.3, away from edges on whole pixels."""
    x = images(1, 1, 6, 9)

    def reading(rows, columns):
        r, c = layout_edges(rows.softmax(0), 6), layout_edges(columns.softmax(0), 9)
        low = collect(x, c[:-1], c[1:]).transpose(-1, -2)
        return collect(low, r[:-1], r[1:])

    rows, columns = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.1, -0.3], [0.2, 0.5, -0.4]))
    assert torch.autograd.gradcheck(reading, (rows, columns), eps=1e-7, atol=1e-5)


def test_noise_of_a_pixel_falls_as_its_area():
    """F10.4: the log-log slope of variance against area is −1."""
    logits = torch.linspace(-1.5, 1.5, 8)
    layout = PixelLayout(logits, torch.zeros(1), reading="light")
    camera = nn.Sequential(
        layout,
        Sensor(exposure_photons=400.0, quantum_efficiency=1.0, read_noise_electrons=0.0, full_well_electrons=1e6),
    ).eval()
    seed_noise(camera, 0)
    y = camera(torch.full((6000, 1, 64, 4), 0.5))[:, 0, :, 0]
    area = layout.physical()["rows"] * 8
    variance = (y / area).var(0)
    slope = torch.linalg.lstsq(torch.stack([area.log(), torch.ones(8)], 1), variance.log()[:, None]).solution[0, 0]
    assert float(slope) == pytest.approx(-1.0, abs=0.05)


def test_learned_shifts_of_identical_starts_stay_together_and_others_move_apart():
    """The pitfall that the docstring names: identical cameras have identical gradients."""
    array = CameraArray(nn.Parameter(torch.zeros(3, 2)), factor=4)
    weights = images(2, 3, 4, 4, seed=1, dtype=torch.float32).mean(1, keepdim=True)
    (array(images(2, 1, 16, 16, dtype=torch.float32)) * weights).sum().backward()
    grad = array.free_parameter("shifts").grad
    assert grad.abs().max() > 0 and torch.allclose(grad, grad[:1].expand_as(grad), atol=1e-5)


@pytest.mark.parametrize("fill", [1.0, 0.3])
def test_gaps_between_pixels_cost_photons_when_the_reading_is_light(fill):
    x = images(1, 2, 12, 12)
    mean = PixelBinning(3, fill_factor=fill).double()(x)
    light = PixelBinning(3, fill_factor=fill, reading="light").double()(x)
    assert torch.allclose(light, fill * mean)
    arrays = [
        CameraArray(lattice_shifts(4), factor=3, fill_factor=fill, reading=r).double()(x) for r in ("mean", "light")
    ]
    assert torch.allclose(arrays[1], fill * arrays[0])
    camera = nn.Sequential(PixelBinning(3, fill_factor=fill, reading="light"), Sensor(exposure_photons=1000.0))
    assert camera_cost(camera, (2, 12, 12))["photons"] == pytest.approx(1000 * 2 * 16 * fill)


def test_spread_readings_show_every_scene_pixel_the_pixel_it_lies_in():
    x = images(2, 3, 10, 14)
    layout = PixelLayout(torch.randn(4).double(), torch.randn(5).double()).double()
    y, shown = layout(x), nn.Sequential(layout, layout.decoder(size=(10, 14)))(x)
    edges = [layout_edges(share, size) for share, size in ((layout.rows, 10), (layout.columns, 14))]
    for i in range(10):
        for j in range(14):
            row, column = (int((e[1:] <= place + 0.5).sum()) for e, place in zip(edges, (i, j), strict=True))
            assert torch.equal(shown[..., i, j], y[..., row, column])
    equal = PixelLayout(torch.zeros(5), torch.zeros(7)).double()
    again = nn.Sequential(equal, equal.decoder(size=(10, 14)))(x)
    assert torch.equal(again, equal(x).repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_photons_are_those_that_reach_the_pixels_that_are_read():
    sensor = Sensor(exposure_photons=1000.0)
    half = nn.Sequential(TransmissionMask(0.5), sensor)
    assert camera_cost(half, (1, 8, 8))["photons"] == pytest.approx(1000 * 64 / 2)
    few = nn.Sequential(SensorPlacement(torch.eye(8), keep=8), sensor)
    assert camera_cost(few, (1, 8, 8))["photons"] == pytest.approx(1000 * 8)
    shared = nn.Sequential(CameraArray(lattice_shifts(4), factor=2, share_aperture=True), sensor)
    assert camera_cost(shared, (1, 8, 8))["photons"] == pytest.approx(1000 * 16)


def test_cameras_of_any_factor_and_shift_are_rolled_scenes():
    """Shifts of whole scene pixels, beyond the border and back, at a pitch that divides nothing."""
    x = images(1, 2, 10, 14)
    pitch = (10 / 4, 14 / 6)  # factor 2.5 gives 4 rows and 6 columns
    for down, right in ((0, 0), (3, -5), (-12, 17)):
        shifts = torch.tensor([[down / pitch[0], right / pitch[1]]]).double()
        seen = CameraArray(shifts, factor=2.5).double()(x)
        assert torch.allclose(seen, PixelBinning(2.5).double()(x.roll((-down, -right), (2, 3))), atol=1e-6)


def test_shifts_beyond_the_border_have_exact_gradients():
    x = images(1, 1, 6, 9)
    low = torch.tensor([-3.4, 5.7, 20.2], dtype=torch.float64, requires_grad=True)

    def reading(low):
        return collect(x, low, low + 2.1, circular=True)

    assert torch.autograd.gradcheck(reading, (low,), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("circular", [False, True])
def test_gradient_at_the_border_of_two_scene_pixels_is_the_mean_of_both(circular):
    """The derivative of an integral by its limit is the scene there; between two values, the mean of the slopes."""
    x = torch.tensor([[1.0, 3.0, 7.0, 2.0]])
    edge = torch.tensor([2.0, 2.5, 1.0], requires_grad=True)
    collect(x, torch.zeros(3), edge, circular=circular).sum().backward()
    assert edge.grad.tolist() == pytest.approx([(3 + 7) / 2, 7, (1 + 3) / 2])
    last = torch.tensor([4.0], requires_grad=True)
    collect(x, torch.zeros(1), last, circular=circular).sum().backward()
    assert last.grad.item() == pytest.approx((2 + 1) / 2 if circular else (2 + 0) / 2)  # nothing beyond the border


def test_half_precision_around_the_layer_does_not_round_the_areas():
    x = torch.rand(2, 1, 12, 15, generator=torch.Generator().manual_seed(0))
    layer = PixelLayout(torch.randn(4), torch.randn(5)).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reading = layer(x)
    assert reading.dtype == torch.float32
    assert torch.equal(reading, layer(x))


def test_gradient_of_a_shown_layout_is_that_of_its_shares():
    """Moving an edge changes which scene pixels show a reading: without that term a reconstruction learns nothing."""
    x = torch.zeros(1, 1, 1, 64, dtype=torch.float64)
    x[..., 26:38] = images(1, 1, 1, 12)
    logits = 0.3 * torch.randn(8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    free = nn.Parameter(logits.clone())
    shown = PixelLayout(torch.zeros(1).double(), free)
    residual = (shown.decoder(size=(1, 64))(shown(x)) - x).detach()
    (residual * nn.Sequential(shown, shown.decoder(size=(1, 64)))(x)).sum().backward()
    found, free.grad = free.grad.clone(), None
    # the same residual through the shares, whose gradient torch takes by itself
    edges = layout_edges(free.softmax(0), 64)
    light = collect(x, edges[:-1], edges[1:]) / edges.diff()
    shares = torch.stack([(edges[1:].clamp(i, i + 1) - edges[:-1].clamp(i, i + 1)) for i in range(64)])
    at = edges.detach()[1:-1]
    hard = nn.functional.one_hot(torch.searchsorted(at, torch.arange(64) + 0.5), 8).double()
    (residual * (light @ hard.T + light.detach() @ (shares - shares.detach()).T)).sum().backward()
    assert torch.allclose(found, free.grad, atol=1e-9) and float(found.abs().max()) > 1e-3


def test_learned_widths_follow_the_detail_of_a_scene():
    x = torch.zeros(1, 1, 1, 64)
    x[..., 26:38] = torch.rand(1, 1, 1, 12, generator=torch.Generator().manual_seed(0))
    layout = PixelLayout(torch.zeros(1), nn.Parameter(torch.zeros(16)))
    camera = nn.Sequential(layout, layout.decoder(size=(1, 64)))
    optimizer = torch.optim.Adam(layout.parameters(), lr=0.03)
    errors = []
    for _ in range(150):
        loss = (camera(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert min(errors) < 0.95 * errors[0]
    widths = layout.physical()["columns"]
    assert widths[6:10].mean() < widths[:4].mean()


def test_pixel_without_width_reads_nothing_and_the_others_stay_finite():
    layout = PixelLayout(torch.zeros(1), nn.Parameter(torch.tensor([20.0, 0.0])))
    reading = layout(torch.ones(1, 1, 1, 8))
    assert torch.isfinite(reading).all() and reading[..., 0] == 1
    reading.sum().backward()
    assert torch.isfinite(layout.column_logits.grad).all()
    with pytest.raises(ValueError, match="Expected fill_factor to be at least 1e-4, but got 0"):
        CameraArray(lattice_shifts(1), factor=2, fill_factor=0.0)
