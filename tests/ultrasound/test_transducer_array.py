"""Ultrasound array: the facts of its beam, what its field keeps, and how it is learned."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from physlayer import Envelope, LogCompression, TransducerArray, parameter_groups, seed_noise
from physlayer.core.field import field_of, parts_of
from physlayer.ultrasound.beam import (
    apodisation_window,
    array_factor,
    axial_pulse,
    grating_lobes,
    lateral_spread,
    signal_to_noise_efficiency,
)
from physlayer.ultrasound.envelope import log_compress, power_envelope

WAVELENGTH = 0.154  # mm, 10 MHz in tissue
GEOMETRY = {"pitch_mm": 0.3, "pixel_mm": (0.1, 0.25), "depth_mm": 8.0, "focus_mm": 12.0}


def speckle(*shape, seed=0, dtype=torch.float64):
    """Complex Gaussian scatterers of mean intensity 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.complex(*(torch.randn(shape, generator=generator, dtype=dtype) / math.sqrt(2) for _ in range(2)))


def point(rows=9, columns=41, row=4, column=20, dtype=torch.complex128):
    field = torch.zeros(1, 1, rows, columns, dtype=dtype)
    field[..., row, column] = 1
    return field


# The beam


def pattern(name, count=512):
    """|b| / b(0) at v = sin θ · D/λ, for an array fine enough to be a line."""
    window, pitch = apodisation_window(name, count).double(), 1.0 / count

    def value(v):
        sine = torch.as_tensor(v, dtype=torch.float64) * 1e-3
        beam = array_factor(window, sine.reshape(-1), pitch_mm=pitch, wavelength_mm=1e-3)
        return (beam.abs() / window.mean()).numpy()

    return value


ROWS = [  # −3 dB, −6 dB one-way, first null, side lobe dB, −6 dB two-way, efficiency
    ("rectangular", 0.885, 1.207, 1.00, -13.3, 0.886, 1.0),
    ("hann", 1.438, 2.000, 2.00, -31.5, 1.441, 0.667),
    ("hamming", 1.301, 1.815, 2.00, -42.7, 1.303, 0.734),
    ("triangle", 1.274, 1.772, 2.00, -26.5, 1.276, 0.75),
    ("circular", 1.029, 1.410, 1.22, -17.6, None, None),
]


@pytest.mark.parametrize(("name", "three", "six", "null", "side", "two_way", "efficiency"), ROWS)
def test_beam_of_a_window_has_its_width_null_side_lobe_and_efficiency(
    name, three, six, null, side, two_way, efficiency
):
    """F2.7."""
    value = pattern(name)

    def width(level):
        return 2 * brentq(lambda v: value(v)[0] - level, 1e-6, null * 0.99)

    assert width(10 ** (-3 / 20)) == pytest.approx(three, rel=0.01)
    assert width(10 ** (-6 / 20)) == pytest.approx(six, rel=0.01)
    if two_way is not None:
        assert width(10 ** (-3 / 20)) == pytest.approx(two_way, rel=0.01)  # |b|² at −6 dB
        found = float(signal_to_noise_efficiency(apodisation_window(name, 512)))
        assert found == pytest.approx(efficiency, rel=0.01)
    places = np.linspace(0.5, 8, 6001)
    values = value(places)
    rising = int(np.argmax(np.diff(values) > 0))
    assert places[rising] == pytest.approx(null, rel=0.01) and values[rising] < 2e-3
    assert 20 * math.log10(values[rising:].max()) == pytest.approx(side, abs=0.15)


def test_focused_array_sees_a_point_as_wide_as_its_f_number_says():
    """F2.7: 0.886 λ F two-way at −6 dB, through the layer."""
    array = TransducerArray(64, pitch_mm=0.125, pixel_mm=(0.2, 0.005), depth_mm=16.0, focus_mm=16.0, cycles=0.1)
    seen = array.double()(point(1, 401, 0, 200))[0, 0, 0].abs()
    line = (torch.arange(401) - 200) * 0.005
    inside = line[seen >= seen.max() / 2]
    f_number = 16.0 / (64 * 0.125)
    assert float(inside.max() - inside.min()) == pytest.approx(0.886 * WAVELENGTH * f_number, abs=0.012)


def test_grating_lobe_of_a_pitch_of_one_wavelength_is_as_strong_as_the_main_lobe():
    """F2.8: 0 dB at ±90°."""
    assert grating_lobes(WAVELENGTH, WAVELENGTH) == pytest.approx([-1.0, 1.0])
    lobes = torch.tensor(grating_lobes(WAVELENGTH, WAVELENGTH), dtype=torch.float64)
    beam = array_factor(torch.ones(32).double(), lobes, pitch_mm=WAVELENGTH, wavelength_mm=WAVELENGTH)
    assert torch.allclose(beam.abs(), torch.ones(2).double(), atol=1e-6)


@pytest.mark.parametrize("steer", [-0.99, -0.5, 0.0, 0.7, 0.99])
def test_half_a_wavelength_of_pitch_has_no_grating_lobe_however_steered(steer):
    """F2.8."""
    assert grating_lobes(WAVELENGTH / 2, WAVELENGTH, steer) == []
    sine = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    beam = array_factor(
        torch.ones(64).double(), sine, pitch_mm=WAVELENGTH / 2, wavelength_mm=WAVELENGTH, steer_sine=steer
    ).abs()
    away = beam[((sine - steer).abs() > 0.05) & ((sine - steer).abs() < 1.95)]
    assert float(beam.max()) == pytest.approx(1, abs=1e-3) and float(away.max()) < 0.25


def test_grating_lobes_are_where_the_array_factor_peaks():
    """F2.8, with every second element idle: the pitch doubles."""
    weights = torch.tensor([1.0, 0.0] * 16).double()
    for place in grating_lobes(2 * 0.2, WAVELENGTH, 0.3):
        beam = array_factor(
            weights, torch.tensor([place]).double(), pitch_mm=0.2, wavelength_mm=WAVELENGTH, steer_sine=0.3
        )
        assert float(beam.abs()) == pytest.approx(0.5, abs=1e-6)


def test_directivity_of_a_full_element_cancels_the_grating_lobe_of_its_pitch():
    kinds = {"pitch_mm": 0.2, "wavelength_mm": WAVELENGTH, "focus_mm": None}
    sine = WAVELENGTH / 0.2
    offset, depth = torch.tensor([20 * sine / math.sqrt(1 - sine**2)]).double(), torch.tensor([20.0]).double()
    points = lateral_spread(torch.ones(16).double(), depth, offset, **kinds)
    wide = lateral_spread(torch.ones(16).double(), depth, offset, **kinds, element_width_mm=0.2)
    assert float(points.abs()) == pytest.approx(1, abs=1e-6) and float(wide.abs()) < 1e-6


def test_two_way_beam_is_the_product_of_the_one_way_beams():
    weights = torch.rand(16, generator=torch.Generator().manual_seed(0)).double()
    depth, offset = torch.tensor([9.0, 20.0]).double(), torch.linspace(-4, 4, 33).double()
    kinds = {"pitch_mm": 0.2, "wavelength_mm": WAVELENGTH, "element_width_mm": 0.15}
    ways = {
        r: lateral_spread(weights, depth, offset, focus_mm=14.0, receive=r, **kinds)
        for r in ("none", "fixed", "dynamic")
    }
    focused = lateral_spread(weights, depth, offset, focus_mm=None, receive="none", **kinds)
    assert torch.allclose(ways["fixed"], ways["none"] ** 2)
    assert torch.allclose(ways["dynamic"], ways["none"] * focused)


def test_beam_of_an_array_is_that_of_a_loop_over_elements():
    weights = np.random.default_rng(0).uniform(size=7)
    depth, offset, focus, pitch = 9.0, 1.3, 15.0, 0.25
    sine, total = offset / math.hypot(offset, depth), 0j
    for number, weight in enumerate(weights):
        place = (number - 3) * pitch
        path = place * sine - place**2 / 2 * (1 / depth - 1 / focus)
        total += weight * np.exp(2j * np.pi * path / WAVELENGTH) / 7
    found = lateral_spread(
        torch.from_numpy(weights), torch.from_numpy(np.array([depth])), torch.from_numpy(np.array([offset])),
        pitch_mm=pitch, wavelength_mm=WAVELENGTH, focus_mm=focus, receive="none",
    )  # fmt: skip
    assert complex(found) == pytest.approx(total, abs=1e-9)


# Speckle


def test_speckle_behind_the_array_is_fully_developed():
    """F2.9: mean / std 1.913, intensity SNR 1, 5.57 dB; the array is linear, so a Gaussian field stays one."""
    array = TransducerArray(8, pitch_mm=0.15, pixel_mm=(0.3, 0.3), depth_mm=15.0, focus_mm=15.0).double()
    envelope = Envelope()(array(speckle(24, 1, 96, 96)))[..., 12:-12].flatten()
    assert float(envelope.mean() / envelope.std()) == pytest.approx(1.913, abs=0.02)
    assert float(envelope.square().mean() / envelope.square().std()) == pytest.approx(1, abs=0.03)
    assert float((20 * envelope.log10()).std()) == pytest.approx(5.57, abs=0.08)


@pytest.mark.parametrize(("count", "expected"), [(1, 1.08), (2, 1.48), (5, 1.80), (10, 1.86), (20, 1.89)])
def test_speckle_of_few_scatterers_is_rougher(count, expected):
    """F2.9: a Poisson number of equal scatterers of any phase per resolution cell."""
    generator = torch.Generator().manual_seed(0)
    number = torch.poisson(torch.full((60_000, 1), float(count)), generator=generator)
    phase = 2 * math.pi * torch.rand(60_000, 48, generator=generator)
    envelope = (torch.polar(torch.ones_like(phase), phase) * (torch.arange(48) < number)).sum(1).abs()
    assert float(envelope.mean() / envelope.std()) == pytest.approx(expected, abs=0.02)


def test_blurring_the_picture_is_not_the_beam_of_an_array():
    """F2.9: the same beam after the envelope makes speckle smooth, which no single array does."""
    array = TransducerArray(8, pitch_mm=0.15, pixel_mm=(0.3, 0.1), depth_mm=15.0, focus_mm=15.0).double()
    field = speckle(4, 1, 64, 128)
    spread = array.point_spread(torch.ones(1, 8).double(), (64, 128))[0, 32].abs()
    right = Envelope()(array(field))[..., 20:-20]
    wrong = torch.conv1d(field.abs().reshape(-1, 1, 128), spread[None, None], padding=127)[..., 20:-20]
    assert float(right.mean() / right.std()) == pytest.approx(1.913, abs=0.15)
    assert float(wrong.mean() / wrong.std()) > 3


def test_compounding_pictures_of_independent_speckle_gains_the_root_of_their_number():
    """F2.9: √L."""
    looks = speckle(4, 1, 200, 200).abs().mean(0)
    assert float(looks.mean() / looks.std()) == pytest.approx(2 * 1.913, rel=0.02)


# The pulse


@pytest.mark.parametrize(("frequency", "cycles"), [(10.0, 1.5), (7.5, 3.0)])
def test_axial_width_is_that_of_the_pulse(frequency, cycles):
    """F2.10: c n / (2 f) at −6 dB."""
    pulse = axial_pulse(torch.tensor(frequency).double(), cycles, 0.001, 800, 1.54)
    inside = int((pulse >= pulse.max() / 2).sum()) * 0.001
    assert inside == pytest.approx(1.54 * cycles / (2 * frequency), abs=0.003)
    assert float(pulse.square().sum()) == pytest.approx(1)


def test_higher_frequency_gives_the_finer_picture_along_depth():
    """F2.10, through the layer: rows that see the point."""
    widths = []
    for frequency in (5.0, 10.0, 20.0):
        array = TransducerArray(16, **GEOMETRY | {"pixel_mm": (0.01, 0.25)}, frequency_mhz=frequency).double()
        seen = array(point(81, 41, 40))[0, 0, :, 20].abs()
        widths.append(int((seen >= seen.max() / 2).sum()) * 0.01)
    assert widths == pytest.approx([0.231, 0.1155, 0.05775], abs=0.02)


# Conventions


def test_convention_rows_are_depth_and_nothing_moves():
    array = TransducerArray(16, **GEOMETRY).double()
    seen = array(point(9, 41, 3, 12)).abs()[0, 0]
    assert divmod(int(seen.argmax()), 41) == (3, 12)


def test_convention_right_half_of_an_array_shifts_to_the_right_beyond_its_focus():
    """The beam of the right half crosses the axis at the focus, so lines to the right of a deep point see it."""
    right = torch.tensor([0.0] * 32 + [1.0] * 32)
    for depth, side in ((6.0, -1), (24.0, 1)):
        kinds = GEOMETRY | {"depth_mm": depth, "pixel_mm": 0.05, "pitch_mm": 0.075}
        array = TransducerArray(64, **kinds, weights=right, receive="fixed").double()
        seen = array(point(1, 241, 0, 120))[0, 0, 0].abs().square()
        centre = float((seen * (torch.arange(241) - 120)).sum() / seen.sum()) * 0.05
        # x = x_n (z / z_f − 1), with x_n = 1.2 mm the middle of the half
        assert centre == pytest.approx(1.2 * (depth / 12.0 - 1), rel=0.1) and centre * side > 0


def test_convention_parts_are_real_then_imaginary_and_polar_is_magnitude_then_waves():
    field = speckle(2, 3, 4, 5)
    polar = torch.cat([field.abs(), field.angle() / (2 * math.pi) % 1], 1)
    assert torch.equal(parts_of(field)[:, :3], field.real) and torch.equal(field_of(parts_of(field)), field)
    assert torch.allclose(field_of(polar, "polar"), field)
    arrays = {kind: TransducerArray(6, **GEOMETRY, input=kind).double().eval() for kind in ("field", "parts", "polar")}
    seen = arrays["field"](field)
    assert torch.allclose(arrays["parts"](parts_of(field)), seen)
    assert torch.allclose(arrays["polar"](polar), seen)
    assert arrays["polar"].output_shape((6, 4, 5)) == (3, 4, 5)


def test_convention_decibels_are_of_amplitude():
    shown = LogCompression(40.0)(torch.tensor([1.0, 0.1, 0.01, 0.001]).view(1, 1, 1, 4)).flatten()
    assert torch.allclose(shown, torch.tensor([1.0, 0.5, 0.0, 0.0]), atol=1e-6)


# Invariants


@pytest.mark.parametrize("receive", ["dynamic", "fixed", "none"])
def test_array_is_linear_in_the_field_and_has_its_adjoint(receive):
    array = TransducerArray(11, **GEOMETRY, receive=receive).double()
    shape = (1, 1, 13, 17)
    a, b, x, y = (speckle(*shape, seed=seed) for seed in range(4))
    assert torch.allclose(array((2 - 1j) * a + 0.5j * b), (2 - 1j) * array(a) + 0.5j * array(b))
    # <A x, y> = <x, Aᴴ y>, with Aᴴ of automatic differentiation
    leaf = x.clone().requires_grad_()
    (adjoint,) = torch.autograd.grad((array(leaf) * y.conj()).sum().real, leaf)
    inner = (array(x) * y.conj()).sum().real
    assert float(inner) == pytest.approx(float((x * adjoint.conj()).sum().real), rel=1e-10)
    # lines that see one point, against the spread itself: no border wraps
    spread = array.point_spread(torch.ones(1, 11).double(), shape[2:])[0]
    flat = point(13, 17, 6, 5)
    pulse = array(flat)[0, 0, 6, :] / spread[6, torch.arange(5, 5 - 17, -1) + 16]
    assert torch.allclose(pulse, pulse[0].expand(17), atol=1e-10)


def test_open_array_keeps_the_mean_intensity_of_tissue_and_nothing_gains_any():
    field = speckle(6, 1, 40, 120)
    inner = (slice(None), slice(None), slice(8, -8), slice(30, -30))
    kinds = GEOMETRY | {"pixel_mm": 0.25}

    def gain(array):
        return float((array.double().eval()(field)[inner].abs() ** 2).mean() / (field[inner].abs() ** 2).mean())

    generator = torch.Generator().manual_seed(0)
    focused = TransducerArray(32, **kinds | {"depth_mm": 12.0}).double()
    assert float(focused.point_spread(torch.ones(1, 32).double(), (1, 120)).abs().square().sum()) == pytest.approx(1)
    for seed in range(6):
        weights = torch.rand(32, generator=generator) * 2 - 1 if seed % 2 else torch.rand(32, generator=generator)
        array = TransducerArray(32, **kinds, weights=weights, signed=True, receive=("dynamic", "fixed")[seed // 3])
        spread = array.double().point_spread(array.drive(field), (40, 120)).abs().square().sum(-1)
        assert float(spread.max()) <= 1 + 1e-6
    half = TransducerArray(32, **kinds, weights=0.5)
    assert gain(half) == pytest.approx(gain(TransducerArray(32, **kinds)) / 16)  # both ways, in power


@pytest.mark.parametrize(("depth", "keep"), [(8.25, 64), (8.25, 16), (21.25, 64), (31.75, 16)])
def test_tissue_seen_by_a_beam_narrower_than_a_pixel_is_that_of_a_fine_grid(depth, keep):
    """Mean intensity against the open array focused there: places of one pixel send back independent phases."""
    optics = {"pitch_mm": 0.077, "element_width_mm": 0.07}
    chosen = torch.zeros(128).double().index_fill(0, torch.arange(64 - keep // 2, 64 + keep // 2), 1.0)
    fine = torch.arange(-1600, 1601).double() / 100
    place = {"depth_mm": torch.tensor([depth]).double(), "offset_mm": fine, "wavelength_mm": WAVELENGTH}
    opened = lateral_spread(torch.ones(128).double(), **place, **optics, focus_mm=None).abs().square().sum()
    wanted = lateral_spread(chosen, **place, **optics, focus_mm=21.0).abs().square().sum() / opened
    found = []
    for oversample in (1, 5):
        array = TransducerArray(128, **optics, pixel_mm=0.5, depth_mm=depth, focus_mm=21.0, oversample=oversample)
        found.append(float(array.double().point_spread(chosen[None], (1, 64)).abs().square().sum()))
    error = [abs(10 * math.log10(value / float(wanted))) for value in found]
    assert error[1] < 0.8 and error[0] > 0.8  # dB


def test_a_fine_grid_needs_no_places_within_its_pixels():
    kinds = GEOMETRY | {"pixel_mm": 0.05}
    once, often = (TransducerArray(8, **kinds, oversample=m).double() for m in (1, 5))
    drive = torch.rand(2, 8, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(once.point_spread(drive, (9, 15)), often.point_spread(drive, (9, 15)), atol=0.01)
    assert often.point_spread(drive, (9, 2)).shape == (2, 9, 3)
    assert bool(torch.isfinite(often.point_spread(torch.zeros(1, 8).double(), (9, 15)).abs()).all())


def test_idle_elements_cost_signal_against_the_noise():
    """Two-way signal falls with k², noise with √k."""
    field = torch.zeros(1, 1, 40, 120, dtype=torch.complex128)
    for keep in (8, 32):
        chosen = torch.zeros(32).index_fill(0, torch.arange(32)[:keep], 1.0)
        array = TransducerArray(32, **GEOMETRY, logits=chosen, keep=keep, noise_rms=0.02).double().eval()
        assert array.noisy
        assert float(array(field).abs().square().mean().sqrt()) == pytest.approx(0.02 * math.sqrt(keep / 32), rel=0.03)
    assert not TransducerArray(32, **GEOMETRY).noisy


def test_exactly_keep_elements_work_in_eval_and_the_others_change_nothing():
    logits = nn.Parameter(torch.randn(24, generator=torch.Generator().manual_seed(0)))
    array = TransducerArray(24, **GEOMETRY, weights=nn.Parameter(torch.full((24,), 0.7)), logits=logits, keep=7).eval()
    field = speckle(2, 1, 10, 20, dtype=torch.float32)
    drive = array.drive(field)
    assert drive.shape == (1, 24) and int((drive > 0).sum()) == 7 == array.cost((1, 10, 20))["elements"]
    seen = array(field)
    idle = array.mask.detach() == 0
    with torch.no_grad():
        array.free_parameter("weights")[idle] = 3.0
    assert torch.equal(array(field), seen)
    assert array.physical()["mask"].sum() == 7 and array.export()["settings"]["keep"] == 7


def test_every_image_meets_other_elements_in_training():
    array = TransducerArray(24, **GEOMETRY, logits=nn.Parameter(torch.zeros(24)), keep=6)
    seed_noise(array, 0)
    drive = array.train().drive(torch.zeros(5, 1, 4, 4, dtype=torch.complex64)).detach()
    assert drive.shape == (5, 24) and (drive.sum(1) == 6).all() and len({tuple(d.tolist()) for d in drive}) > 1
    one = speckle(1, 1, 8, 12, dtype=torch.float32).expand(5, 1, 8, 12)
    assert float((array(one)[0] - array(one)[1]).abs().detach().max()) > 1e-3


# Gradients


@pytest.mark.parametrize("receive", ["dynamic", "fixed"])
def test_gradients_are_those_of_finite_differences(receive):
    generator = torch.Generator().manual_seed(0)
    field = speckle(1, 1, 5, 7)

    def build():
        return TransducerArray(
            5, **GEOMETRY | {"focus_mm": nn.Parameter(torch.tensor(11.0))}, receive=receive, element_width_mm=0.2,
            weights=nn.Parameter(torch.tensor([0.3, 0.8, 0.9, 0.5, 0.6])), cycles=3.0,
            frequency_mhz=nn.Parameter(torch.tensor(6.0)),
        ).double()  # fmt: skip

    array, weight = build(), torch.rand(1, 1, 5, 7, generator=generator).double()

    def loss(layer, x=field):
        return (LogCompression(60.0).double()(Envelope()(layer(x))) * weight).sum()

    loss(array).backward()
    for name in ("weights", "focus_mm", "frequency_mhz"):
        free = array.free_parameter(name)
        for place in range(free.numel()):
            step, values = 1e-5, []
            for sign in (1, -1):
                moved = build()
                with torch.no_grad():
                    moved.free_parameter(name).view(-1)[place] += sign * step
                    values.append(float(loss(moved)))
            assert float(free.grad.view(-1)[place]) == pytest.approx(
                (values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-8
            )
    assert torch.autograd.gradcheck(lambda x: array(x).abs(), field.clone().requires_grad_())


def test_surrogate_of_the_display_leaks_outside_its_range_and_is_finite_at_zero():
    envelope = torch.tensor([0.0, 1e-4, 0.1, 5.0], dtype=torch.float64, requires_grad=True)
    depth, reference = torch.tensor(40.0).double(), torch.tensor(1.0).double()
    y = log_compress(envelope, depth, reference)
    assert y.tolist() == pytest.approx([0, 0, 0.5, 1])
    (grad,) = torch.autograd.grad(y.sum(), envelope)
    slope = 20 / math.log(10) / 40
    assert grad.tolist() == pytest.approx([0.01 * slope / 0.01, 0.01 * slope / 0.01, slope / 0.1, 0.01 * slope / 5])
    layer = LogCompression(nn.Parameter(torch.tensor(30.0)))
    layer(torch.zeros(1, 1, 4, 4)).sum().backward()  # all of it below the floor
    grad = layer.free_parameter("dynamic_range_db").grad
    assert bool(torch.isfinite(grad)) and float(grad) != 0


def test_compressed_envelope_has_a_finite_gradient_at_zero():
    field = torch.tensor([0j, 1e-6 + 0j, 0.3 - 0.4j], dtype=torch.complex128, requires_grad=True)
    y = power_envelope(field, torch.tensor(0.2).double())
    assert y.tolist() == pytest.approx([0, 1e-6**0.2, 0.5**0.2])
    y.sum().backward()
    assert bool(torch.isfinite(torch.view_as_real(field.grad)).all())
    assert float(field.grad[1].abs()) == pytest.approx(0.2 * 1e-4**-0.8)


def test_elements_that_see_a_fine_pattern_are_found():
    """Two points that only a wide aperture separates: a start in the middle grows to both ends."""
    kinds = {"pitch_mm": 0.4, "pixel_mm": 0.2, "depth_mm": 16.0, "focus_mm": 16.0}
    field = speckle(8, 1, 1, 48, dtype=torch.float32)
    wanted = TransducerArray(16, **kinds, weights=torch.tensor([1.0] * 3 + [0.0] * 10 + [1.0] * 3))(field).detach()
    array = TransducerArray(16, **kinds, logits=nn.Parameter(apodisation_window("hann", 16)), keep=6)
    seed_noise(array, 0)
    optimizer = torch.optim.Adam(parameter_groups(array, lr=0.3))
    for _ in range(50):
        loss = (array.train()(field) - wanted).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert array.mask.detach().nonzero().flatten().tolist() == [0, 1, 2, 13, 14, 15]


# Messages


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": torch.ones(5)}, ValueError, r"Expected weights to be \(8,\), but got \(5,\)"),
        ({"weights": 1.5}, ValueError, r"Expected weights to lie in \[0, 1\] 1, but got 1.5"),
        ({"weights": -0.5}, ValueError, r"Expected weights to lie in \[0, 1\] 1, but got -0.5"),
        ({"logits": torch.ones(8)}, ValueError, "Expected logits and keep together, but got only one"),
        ({"logits": torch.tensor(1.0), "keep": 1}, ValueError, r"Expected logits to be \(8,\), but got \(\)"),
        ({"logits": torch.zeros(8), "keep": 9}, ValueError, "Expected keep to be a whole number in 1…8, but got 9"),
        ({"focus_mm": 0.0}, ValueError, "Expected focus_mm to be above 0, but got 0"),
        ({"frequency_mhz": -1.0}, ValueError, "Expected frequency_mhz to lie in"),
        ({"depth_mm": 0}, ValueError, "Expected depth_mm to be a number in"),
        ({"pixel_mm": (1, 2, 3)}, ValueError, "Expected pixel_mm to be one number or"),
        ({"input": "rf"}, ValueError, "Expected input to be one of field, parts, polar, but got 'rf'"),
        ({"receive": "both"}, ValueError, "Expected receive to be one of dynamic, fixed, none"),
        ({"output": "envelope"}, ValueError, "Expected output to be one of field, parts"),
        ({"pitch_mm": torch.tensor(0.3)}, TypeError, "Expected pitch_mm to be a number, but got Tensor"),
    ],
)
def test_impossible_arrays_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        TransducerArray(8, **GEOMETRY | changes)


def test_real_images_are_refused_where_a_field_is_expected_and_the_reverse():
    array = TransducerArray(8, **GEOMETRY)
    with pytest.raises(TypeError, match="Expected x to be a complex field, but got"):
        array(torch.rand(1, 1, 8, 8))
    with pytest.raises(TypeError, match="Expected x to be a complex field"):
        Envelope()(torch.rand(1, 1, 8, 8))
    with pytest.raises(TypeError, match="Expected x to be real intensities, but got"):
        LogCompression()(torch.zeros(1, 1, 8, 8, dtype=torch.complex64))
    with pytest.raises(ValueError, match="Expected x to hold parts, an even number of channels, but got 3"):
        TransducerArray(8, **GEOMETRY, input="parts")(torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match="Expected input to be one of field, parts, but got 'rf'"):
        Envelope(input="rf")
    with pytest.raises(ValueError, match="Expected reference to be above 0"):
        LogCompression(reference=0.0)
    with pytest.raises(ValueError, match="Expected dynamic_range_db to lie in"):
        LogCompression(0.0)
    with pytest.raises(ValueError, match="Expected window to be one of rectangular, hann"):
        apodisation_window("kaiser", 8)
    with pytest.raises(ValueError, match="Expected steer_sine to lie between"):
        grating_lobes(0.2, 0.1, 1.0)
    with pytest.raises(ValueError, match="Expected pitch_mm and wavelength_mm to be above 0"):
        grating_lobes(0.0, 0.1)
