"""Incoherent imaging: sampling, light, focus and what can be learned of a pupil."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from scipy.ndimage import convolve as scipy_convolve
from scipy.special import j1
from torch import nn

from physlayer import IncoherentImaging, noise_draw, seed_noise
from physlayer.optics.pupil import OBJECTIVES, modulation
from physlayer.optics.zernike import zernike_start

LENS = {"numerical_aperture": 0.5, "wavelength_um": 0.5, "pitch_um": 0.25}  # λ/(4 NA) exactly: one sample per pixel


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def start(count=12, rms=0.05, seed=0):
    return zernike_start(torch.Generator().manual_seed(seed), count, rms)


def test_image_is_the_convolution_with_the_point_spread_function():
    x = images(1, 1, 21, 18)
    lens = IncoherentImaging(**LENS, zernike_waves=start(), border="zero").double()
    kernel = lens.kernels()[0, 0].numpy()
    assert np.allclose(lens(x)[0, 0].numpy(), scipy_convolve(x[0, 0].numpy(), kernel, mode="constant"), atol=1e-12)


def test_convention_a_tilt_moves_the_image_and_not_its_mirror():
    """Convolution, not correlation: positive Z2 to the right, positive Z3 down."""
    x = torch.zeros(1, 1, 33, 33, dtype=torch.float64)
    x[0, 0, 16, 16] = 1
    cells = IncoherentImaging(**LENS).window_pixels * LENS["pitch_um"]  # µm of the window
    per_sample = 0.5 * LENS["numerical_aperture"] * cells / LENS["wavelength_um"]
    waves = 4 * per_sample / (cells / LENS["pitch_um"])  # Z2 = 2 ρ cos θ: four samples
    flat = IncoherentImaging(**LENS, border="zero").double()(x)
    for number, axis in ((2, 3), (3, 2)):
        tilt = {"zernike_waves": torch.tensor([waves]), "zernike_numbers": [number]}
        lens = IncoherentImaging(**LENS, **tilt, border="zero").double()
        y = lens(x)
        inner = (slice(None), slice(None), slice(8, 25), slice(8, 25))
        assert torch.allclose(y[inner], flat.roll(4, axis)[inner], atol=1e-6)


@pytest.mark.parametrize("border", ["reflect", "circular"])
def test_phase_alone_keeps_all_light(border):
    """F2.1."""
    x = images(2, 3, 16, 13)
    lens = IncoherentImaging(
        **LENS, border=border, ring_radii=torch.tensor([0.4, 0.7]), ring_waves=torch.tensor([0.3, 0.5])
    )
    lens = lens.double()
    assert float(lens.kernels().sum()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(lens(torch.full_like(x, 0.3)), torch.full_like(x, 0.3), atol=1e-6)
    if border == "circular":
        assert torch.allclose(lens(x).sum((2, 3)), x.sum((2, 3)), atol=1e-4)


def test_convention_an_absorbing_pupil_loses_its_light():
    """F2.1: the open pupil is the measure."""
    ones = torch.ones(1, 1, 9, 9, dtype=torch.float64)
    annulus = IncoherentImaging(**LENS, inner_radius=0.5).double()
    assert float(annulus(ones).mean()) == pytest.approx(0.75, abs=0.01)
    assert annulus.cost((1, 9, 9))["transmission"] == pytest.approx(float(annulus(ones).mean()), abs=1e-6)
    peak = annulus.kernels().max() / IncoherentImaging(**LENS).double().kernels().max()
    assert float(peak) == pytest.approx(annulus.transmission() ** 2, abs=1e-6)
    grey = IncoherentImaging(**LENS, amplitude_map=torch.full((4, 4), 0.5)).double()
    assert float(grey(ones).mean()) == pytest.approx(0.25, abs=1e-6)
    assert IncoherentImaging(**LENS, outer_radius=0.5).transmission() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("pitch", [0.25, 0.55])
def test_contrast_of_a_grating_is_that_of_the_transfer_function(pitch):
    """F2.2, with the pixel's sinc where a pixel is wider than λ/(4 NA)."""
    lens = IncoherentImaging(**LENS | {"pitch_um": pitch}).double()
    size, cutoff = 40, 2.0  # cycles per µm
    place = torch.arange(size, dtype=torch.float64)
    lens.border = "circular"
    for cycles in (2, 6, 10):
        frequency = cycles / (size * pitch)
        x = 0.5 + 0.5 * torch.cos(2 * math.pi * cycles * place / size).expand(1, 1, size, -1)
        expected = 0.0
        for alias in (-1, 0, 1):  # the scene's pixels are points
            seen = frequency + alias / pitch
            rho = min(abs(seen) / cutoff, 1.0)
            contrast = 2 / math.pi * (math.acos(rho) - rho * math.sqrt(1 - rho**2))
            box = math.sin(math.pi * seen * pitch) / math.sin(math.pi * seen * pitch / lens.oversample)
            expected += contrast * box / lens.oversample
        assert float(2 * (lens(x) - 0.5).max()) == pytest.approx(expected, abs=0.01)


def test_wide_pixels_collect_the_light_that_meets_their_area():
    """The middle pixel against an integral of the Airy pattern."""
    lens = IncoherentImaging(**LENS | {"pitch_um": 0.8}, oversample=15).double()

    def airy(x, y):
        v = 2 * math.pi * 0.5 / 0.5 * math.hypot(x, y)
        return (math.pi * 1.0) * (2 * j1(v) / v) ** 2 if v > 1e-9 else math.pi  # of unit energy at NA/λ = 1 per µm

    exact = 4 * dblquad(airy, 0, 0.4, 0, 0.4, epsabs=1e-6)[0]
    side = lens.window_pixels // 2
    assert float(lens.kernels()[0, 0, side, side]) == pytest.approx(exact, abs=0.01)


def test_samples_are_as_fine_as_the_aperture_demands():
    assert IncoherentImaging(**LENS).oversample == 1
    assert IncoherentImaging(**LENS | {"pitch_um": 0.26}).oversample == 3
    assert IncoherentImaging(**OBJECTIVES["100x oil"], wavelength_um=0.55, pitch_um=0.375).oversample == 5
    lens = IncoherentImaging(**LENS | {"pitch_um": 0.7})
    assert lens.pitch_um / lens.oversample <= 0.25
    assert float((1 / lens.cell).min()) >= 32


def test_each_colour_has_its_own_diffraction():
    colours = (0.61, 0.54, 0.47)
    lens = IncoherentImaging(numerical_aperture=0.5, wavelength_um=colours, pitch_um=0.2).double()
    x = images(1, 3, 15, 15)
    y = lens(x)
    side = lens.window_pixels
    for channel, colour in enumerate(colours):
        alone = IncoherentImaging(numerical_aperture=0.5, wavelength_um=colour, pitch_um=0.2, window_pixels=side)
        assert torch.allclose(y[:, channel : channel + 1], alone.double()(x[:, channel : channel + 1]), atol=1e-6)
    with pytest.raises(ValueError, match="Expected images of 3 channels"):
        lens(x[:, :1])


def test_a_path_difference_is_more_waves_in_the_blue():
    waves = torch.tensor([0.3])
    both = IncoherentImaging(numerical_aperture=0.5, wavelength_um=(0.6, 0.4), pitch_um=0.2, zernike_waves=waves)
    side = both.window_pixels
    for channel, colour in enumerate((0.6, 0.4)):
        alone = IncoherentImaging(
            numerical_aperture=0.5, wavelength_um=colour, pitch_um=0.2, zernike_waves=waves * 0.5 / colour,
            window_pixels=side,
        )  # fmt: skip
        assert torch.allclose(both.kernels()[0, channel], alone.kernels()[0, 0], atol=1e-7)


@pytest.mark.parametrize(("name", "depth"), [("40x", 0.6509), ("10x", 4.4), ("100x oil", 0.26664)])
def test_strehl_ratio_at_the_depth_of_field_is_four_fifths(name, depth):
    """F2.4: sinc²(1/4) = 0.8106."""
    focus = IncoherentImaging(**OBJECTIVES[name], wavelength_um=0.55, pitch_um=0.1)
    beyond = IncoherentImaging(**OBJECTIVES[name], wavelength_um=0.55, pitch_um=0.1, defocus_um=depth)
    assert float(beyond.kernels().max() / focus.kernels().max()) == pytest.approx(0.8106, rel=0.01)


def test_rings_are_zones_of_phase():
    radii, waves = torch.tensor([0.8, 0.5]), torch.tensor([0.25, 0.6])
    lens = IncoherentImaging(**LENS, ring_radii=radii, ring_waves=waves)
    amplitude, _, clear = lens.pupil()
    angle, rho = torch.angle(amplitude) / (2 * math.pi) % 1, torch.hypot(lens.pupil_x, lens.pupil_y)
    for low, high, expected in ((0, 0.5, 0.0), (0.5, 0.8, 0.25), (0.8, 1.0, 0.6)):
        zone = (rho > low + 0.01) & (rho < high - 0.01)
        assert torch.allclose(angle[zone], torch.tensor(expected), atol=1e-5) or expected == 0
    assert torch.allclose(amplitude.abs(), clear, atol=1e-6)


def test_gradient_of_a_ring_follows_the_finite_difference():
    """Surrogate of the radius, summed over a moderately smooth reading of the kernel."""
    probe = torch.linspace(-1, 1, 65, dtype=torch.float64)
    probe = torch.exp(-4 * (probe[:, None] ** 2 + probe**2))

    def reading(radius, waves=0.3):
        lens = IncoherentImaging(
            numerical_aperture=0.5, wavelength_um=0.5, pitch_um=0.25, window_pixels=255,
            ring_radii=radius, ring_waves=torch.tensor([waves]),
        ).double()  # fmt: skip
        return (lens.kernels()[0, 0, 95:160, 95:160] * probe).sum(), lens

    slopes, differences = [], []
    for place in (0.5, 0.53, 0.56, 0.59, 0.62, 0.65):
        value, lens = reading(nn.Parameter(torch.tensor([place])))
        value.backward()
        slopes.append(float(lens.free_parameter("ring_radii").grad) / (place * (1 - place)))  # behind the sigmoid
        high, low = (float(reading(torch.tensor([place + step]))[0]) for step in (0.06, -0.06))
        differences.append((high - low) / 0.12)
    # one radius is off by the cells that its circle happens to meet
    assert np.mean(slopes) == pytest.approx(np.mean(differences), rel=0.1)


def test_focus_is_drawn_anew_in_training_and_stays_in_its_range():
    lens = IncoherentImaging(**LENS, defocus_range_um=(-3.0, 1.0))
    x = torch.rand(200, 1, 3, 3)
    seed_noise(lens, 1)
    places = lens.positions(x)
    assert float(places.min()) < -2.8 and float(places.max()) > 0.8 and float(places.abs().max()) <= 3
    assert float(places.mean()) == pytest.approx(-1, abs=0.3)
    assert not torch.equal(places, lens.positions(x))
    seed_noise(lens, 1)
    assert torch.equal(places, lens.positions(x))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_stated_positions_are_shared_evenly_over_every_part_of_a_set(count):
    """Runs of images, every second, third, fourth image: none sees one position more often by more than a few."""
    stated = [float(k) for k in range(count)]
    lens = IncoherentImaging(**LENS, defocus_range_um=(0.0, 4.0), stated_um=stated).eval()
    x = torch.zeros(1200, 1, 1, 1)
    places = lens.positions(x)
    for part in (places[:100], places[100:333], places[::2], places[1::3], places[3::4]):
        shares = torch.tensor([float((part == value).float().mean()) for value in stated])
        assert float((shares - 1 / count).abs().max()) < 5 / len(part)
    seen = []
    for draw in range(count):
        with noise_draw(lens, draw):
            seen.append(lens.positions(x[:50]))
    assert torch.equal(torch.stack(seen).sort(0).values, torch.tensor(stated)[:, None].expand(-1, 50))


def test_each_image_is_seen_at_its_own_focus():
    lens = IncoherentImaging(**LENS, defocus_range_um=(-3.0, 3.0), zernike_waves=start()).double().eval()
    x = images(7, 2, 12, 11)
    y = lens(x)
    for i, place in enumerate(lens.positions(x)):
        with lens.at_defocus(float(place)):
            assert torch.allclose(lens(x[i : i + 1]), y[i : i + 1], atol=1e-10)
    with noise_draw(lens, first=3):
        assert torch.allclose(lens(x[3:]), y[3:], atol=1e-10)


def test_the_two_sides_of_focus_differ_only_with_an_odd_or_asymmetric_pupil():
    x = images(1, 1, 16, 16)
    for waves, alike in ((None, True), (torch.tensor([0.2]), False)):
        lens = IncoherentImaging(
            **LENS, zernike_waves=waves, zernike_numbers=None if waves is None else [6], defocus_range_um=(-2, 2)
        ).double()
        with lens.at_defocus(2.0):
            front = lens(x)
        with lens.at_defocus(-2.0):
            back = lens(x)
        assert torch.allclose(front, back, atol=1e-6) == alike


def test_a_flat_pupil_gives_even_aberrations_no_gradient_and_a_random_start_or_defocus_does():
    """F2.6."""
    x = images(2, 1, 16, 16)
    probe = images(2, 1, 16, 16, seed=1) - 0.5

    def slopes(values, **focus):
        lens = IncoherentImaging(**LENS, zernike_waves=nn.Parameter(values), **focus).double()
        (lens(x) * probe).sum().backward()
        return lens.free_parameter("zernike_waves").grad.abs()

    even, odd = [0, 1, 2, 7], [3, 4]
    flat = slopes(torch.zeros(12))
    assert float(flat[even].max()) < 1e-6 and float(flat[odd].min()) > 1e-3
    assert float(slopes(start())[even].min()) > 1e-3
    assert float(slopes(torch.zeros(12), defocus_um=1.0)[even].min()) > 1e-3


def test_learning_finds_the_aberrations_of_an_unknown_lens():
    x = images(1, 1, 16, 16)
    truth = start(8, 0.06, seed=3)
    seen = IncoherentImaging(**LENS, zernike_waves=truth, defocus_um=1.0, border="circular").double()(x)
    lens = IncoherentImaging(
        **LENS, zernike_waves=nn.Parameter(torch.zeros(8)), defocus_um=1.0, border="circular"
    ).double()
    optimizer = torch.optim.LBFGS(lens.parameters(), max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = 1e3 * (lens(x) - seen).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.allclose(lens.zernike_waves.detach().float(), truth, atol=5e-3)


def test_a_cubic_phase_makes_contrast_insensitive_to_focus():
    """Dowski & Cathey 1995: the contrast at half the cutoff changes less over focus than that of the clear pupil."""
    place = (torch.arange(64) * 2 + 1) / 64 - 1
    cubic = 2 * (place[:, None] ** 3 + place**3)

    def change(**pupil):
        lens = IncoherentImaging(**LENS, **pupil, defocus_range_um=(-4, 4)).double()
        curve = modulation(lens.kernels(torch.tensor([0.0, 4.0], dtype=torch.float64))[:, 0])[1]
        size = curve.shape[-1]
        cut = curve[:, size // 2, size // 2 + size // 8 : size // 2 + size // 4]
        return float((cut[0] - cut[1]).abs().mean() / cut[0].mean())

    assert change(phase_map_waves=cubic) < 0.5 * change()


def test_a_learned_lens_that_outgrows_its_window_says_so_in_evaluation():
    lens = IncoherentImaging(**LENS, zernike_waves=nn.Parameter(start(3)))
    with torch.no_grad():
        lens.free_parameter("zernike_waves")[0] = 6.0
    lens(torch.rand(1, 1, 8, 8))
    with pytest.warns(UserWarning, match="Expected the point spread function to stay within"):
        lens.eval()(torch.rand(1, 1, 8, 8))


def test_autocast_changes_nothing():
    lens = IncoherentImaging(
        **LENS, zernike_waves=start(), phase_map_waves=torch.rand(5, 5), amplitude_map=torch.rand(5, 5)
    )
    x = torch.rand(2, 1, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = lens(x)
    assert torch.equal(y, lens(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numerical_aperture": 1.2}, "Expected numerical_aperture to be a number in"),
        ({"numerical_aperture": nn.Parameter(torch.tensor(0.5))}, "numerical_aperture is a setting"),
        ({"border": "mirror"}, "Expected border to be one of"),
        ({"oversample": 2}, "Expected oversample to be odd"),
        ({"pitch_um": 0.6, "oversample": 1}, "Expected oversample to be odd and at least 3"),
        ({"window_pixels": 33}, "Expected window_pixels to be odd and at least 128"),
        ({"window_pixels": 129, "defocus_um": 60.0}, "Expected window_pixels to hold the point spread"),
        ({"defocus_um": 900.0}, "Expected a point spread function of at most 2048 samples"),
        ({"zernike_waves": torch.zeros(2, 2)}, "Expected zernike_waves to be a tensor"),
        ({"zernike_waves": torch.zeros(2), "zernike_numbers": [4]}, "Expected 2 zernike_numbers"),
        ({"ring_radii": torch.tensor([0.5])}, "Expected ring_radii and ring_waves together"),
        ({"ring_radii": torch.tensor([0.5]), "ring_waves": torch.zeros(2)}, "Expected one of ring_waves"),
        ({"amplitude_map": torch.full((4, 4), 1.5)}, "Expected amplitude_map to lie in"),
        ({"outer_radius": torch.ones(2)}, "one number each"),
        ({"stated_um": [1.0]}, "Expected stated_um with a defocus_range_um"),
        ({"defocus_range_um": (1.0, -1.0)}, "Expected defocus_range_um to be"),
        ({"defocus_range_um": (-1.0, 1.0), "stated_um": [2.0]}, "Expected stated_um to hold positions"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        IncoherentImaging(**LENS | change)
