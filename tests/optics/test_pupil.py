"""Pupil and point spread function against diffraction theory in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.special import j0, j1

from physlayer.optics.pupil import (
    OBJECTIVES,
    airy_radius_um,
    border_energy,
    cutoff_per_um,
    defocus_waves,
    depth_of_field_um,
    disc,
    modulation,
    point_spread,
    pupil_grid,
    sample_map,
)
from physlayer.optics.zernike import noll_indices, zernike, zernike_start

SIZE, RADIUS = 1024, 32  # samples of λ/(32 NA)
STEP = RADIUS / SIZE  # unit λ/NA


def grid(size=256, radius=48.0):
    x, y = pupil_grid(size, radius)
    return x, y, disc(torch.hypot(x, y), 1.0, 1 / radius)


@pytest.fixture(scope="module")
def airy():
    """Cut through the middle of the clear pupil's point spread function, finely sampled, and the whole of it."""
    _, _, clear = grid(SIZE, RADIUS)
    h = point_spread(clear, 0.0, clear)
    return h[SIZE // 2, SIZE // 2 :], h


def crossing(values, level):
    """First place where the values fall below a level, linearly interpolated, in samples."""
    i = int((values < level).nonzero()[0])
    return i - 1 + float((values[i - 1] - level) / (values[i - 1] - values[i]))


def test_first_dark_ring_is_at_1_22_wavelengths_times_the_f_number(airy):
    """F2.3: 1.2197 λN = 0.6098 λ/NA."""
    cut = airy[0]
    first = int((cut[1:-1] < cut[2:]).nonzero()[0]) + 1
    # a parabola through the lowest three samples
    a, b, c = (float(v) for v in cut[first - 1 : first + 2])
    place = (first + 0.5 * (a - c) / (a - 2 * b + c)) * STEP
    assert place == pytest.approx(1.2197 / 2, rel=0.01)
    assert airy_radius_um(0.65, 0.55) == pytest.approx(0.6098 * 0.55 / 0.65, rel=1e-4)


def test_full_width_at_half_maximum(airy):
    """F2.3: 0.5145 λ/NA."""
    assert 2 * crossing(airy[0], float(airy[0][0]) / 2) * STEP == pytest.approx(0.5145, rel=0.01)


def test_energy_in_the_central_disc(airy):
    """F2.3: 83.78 %."""
    place = (torch.arange(SIZE, dtype=torch.float64) - SIZE // 2) * STEP
    inside = torch.hypot(place[:, None], place[None]) <= 0.6098
    assert float(airy[1][inside].sum()) == pytest.approx(0.8378, abs=0.004)


def test_point_spread_is_that_of_bessel(airy):
    """(2 J1(v)/v)² with v = 2π r NA/λ."""
    v = 2 * math.pi * np.arange(1, 128) * STEP
    assert np.allclose((airy[0][1:128] / airy[0][0]).numpy(), (2 * j1(v) / v) ** 2, atol=2e-3)


def test_phase_keeps_all_light_and_an_annulus_loses_its_share():
    """F2.1: area ratio 0.7526 and peak ratio 0.566 on a grid; 3/4 and 9/16 in the limit."""
    x, y, clear = grid()
    h = point_spread(clear, 0.3 * zernike(7, x, y) + zernike(4, x, y), clear)
    assert float(h.sum()) == pytest.approx(1, abs=1e-12) and float(h.min()) >= 0
    annulus = clear - disc(torch.hypot(x, y), 0.5, 1 / 48)
    open_, ring = point_spread(clear, 0.0, clear), point_spread(annulus, 0.0, clear)
    area = float(annulus.sum() / clear.sum())
    assert area == pytest.approx(0.75, abs=4e-3)
    assert float(ring.sum()) == pytest.approx(area, abs=1e-12)
    assert float(ring.max() / open_.max()) == pytest.approx(area**2, abs=1e-9)


def test_convention_a_mask_is_measured_against_the_open_pupil_and_not_against_itself():
    _, _, clear = grid()
    assert float(point_spread(0.5 * clear, 0.0, clear).sum()) == pytest.approx(0.25, abs=1e-12)


def test_transfer_function_ends_at_twice_the_aperture_and_has_the_known_values():
    """F2.2: 0.6850, 0.3910, 0.1443 at a quarter, a half and three quarters of the cutoff."""
    x, y, clear = grid(512, 96.0)
    transfer, contrast = modulation(point_spread(clear, 0.0, clear))
    rho = torch.hypot(x, y) / 2
    assert float(transfer.abs()[rho > 1 + 1e-9].max()) < 1e-14
    cut = contrast[256, 256:]
    for place, expected in ((48, 0.6850), (96, 0.3910), (144, 0.1443)):
        assert float(cut[place]) == pytest.approx(expected, abs=2e-3)
    assert cutoff_per_um(0.65, 0.55) == pytest.approx(2.3636, abs=1e-3)


@pytest.mark.parametrize(("waves", "expected"), [(0.25, 0.8106), (0.5, 0.4053), (1.0, 0.0)])
def test_strehl_ratio_of_defocus_is_a_squared_sinc(waves, expected):
    """F2.4; a4 = W20 / (2 √3)."""
    x, y, clear = grid()
    flat = point_spread(clear, 0.0, clear)[128, 128]
    parabola = point_spread(clear, waves * (x**2 + y**2), clear)
    assert float(parabola[128, 128] / flat) == pytest.approx(expected, rel=0.01, abs=1e-3)
    polynomial = point_spread(clear, waves / (2 * math.sqrt(3)) * zernike(4, x, y), clear)
    assert torch.allclose(parabola, polynomial, atol=1e-14)


@pytest.mark.parametrize("waves", [0.4, 1.3])
def test_defocused_point_spread_is_the_integral_of_bessel_functions(waves):
    """|2 ∫ e^{2πi W ρ²} J0(vρ) ρ dρ|², by quadrature."""
    x, y, clear = grid(SIZE, RADIUS)
    h = point_spread(clear, waves * (x**2 + y**2), clear)
    cut = (h[512, 512:600] / point_spread(clear, 0.0, clear)[512, 512]).numpy()
    nodes, weights = np.polynomial.legendre.leggauss(200)
    rho, weights = (nodes + 1) / 2, weights / 2
    v = 2 * math.pi * np.arange(88)[:, None] * STEP
    exact = np.abs(2 * (weights * rho * np.exp(2j * math.pi * waves * rho**2) * j0(v * rho)).sum(1)) ** 2
    assert np.allclose(cut, exact, atol=4e-3)


def test_defocus_in_waves_is_that_of_the_quarter_wave_rule():
    """F2.4: W20 = NA² Δz/(2nλ)."""
    for preset in OBJECTIVES.values():
        depth = depth_of_field_um(preset["numerical_aperture"], 0.55, preset["refractive_index"])
        waves = defocus_waves(depth, preset["numerical_aperture"], 0.55, preset["refractive_index"])
        assert waves == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("name", "airy_um", "cutoff", "nyquist_um", "depth_um"),
    [
        ("100x oil", 0.268, 4.55, 0.110, 0.27),
        ("40x", 0.516, 2.36, 0.212, 0.65),
        ("20x", 0.671, 1.82, 0.275, 1.10),
        ("10x", 1.342, 0.91, 0.550, 4.40),
    ],
)
def test_objectives_resolve_what_their_markings_say(name, airy_um, cutoff, nyquist_um, depth_um):
    """Table of presets at 0.55 µm."""
    aperture, index = OBJECTIVES[name]["numerical_aperture"], OBJECTIVES[name]["refractive_index"]
    assert airy_radius_um(aperture, 0.55) == pytest.approx(airy_um, abs=6e-4)
    assert cutoff_per_um(aperture, 0.55) == pytest.approx(cutoff, abs=6e-3)
    assert 1 / (2 * cutoff_per_um(aperture, 0.55)) == pytest.approx(nyquist_um, abs=6e-4)
    assert depth_of_field_um(aperture, 0.55, index) == pytest.approx(depth_um, abs=6e-3)


def test_tilt_moves_the_point_spread_by_whole_samples_and_keeps_the_contrast():
    """F2.5."""
    x, y, clear = grid(128, 32.0)
    flat = point_spread(clear, 0.0, clear)
    cells = 32.0 / 128  # x in radii to cycles per sample
    for right, down in ((3, 0), (0, -5), (7, 2)):
        moved = point_spread(clear, cells * (right * x + down * y), clear)
        assert torch.allclose(moved, flat.roll((down, right), (0, 1)), atol=1e-14)
        assert torch.allclose(modulation(moved)[1], modulation(flat)[1], atol=1e-12)


def test_convention_positive_second_polynomial_moves_the_image_right_and_the_third_down():
    x, y, clear = grid(128, 32.0)
    for number, (down, right) in ((2, (0, 1)), (3, (1, 0))):
        h = point_spread(clear, 2 * zernike(number, x, y), clear)
        row, column = divmod(int(h.argmax()), 128)
        assert ((row > 64) - (row < 64), (column > 64) - (column < 64)) == (down, right)


def test_convention_middle_of_the_pupil_and_of_its_spread_is_index_n_over_2():
    for size in (64, 65):
        x, y = pupil_grid(size, 20)
        clear = disc(torch.hypot(x, y), 1.0, 1 / 20)
        assert float(x[size // 2, size // 2]) == 0
        assert int(point_spread(clear, 0.0, clear).argmax()) == size // 2 * (size + 1)


def test_gradient_of_even_aberrations_vanishes_at_the_flat_pupil_and_that_of_odd_ones_does_not():
    """F2.6: start at random."""
    x, y, clear = grid(64, 16.0)
    numbers = (4, 5, 6, 11, 7, 8)
    basis = torch.stack([zernike(j, x, y) for j in numbers])

    def slopes(at):
        def spread(a):
            return point_spread(clear, torch.einsum("j,jhw->hw", a, basis), clear)

        return torch.autograd.functional.jacobian(spread, at, strategy="forward-mode", vectorize=True).abs().sum((0, 1))

    flat = slopes(torch.zeros(6, dtype=torch.float64))
    assert float(flat[:4].max()) < 1e-12
    assert float(flat[4:].min()) > 1
    started = slopes(zernike_start(torch.Generator().manual_seed(0), 6).double())
    assert float(started.min()) > 0.1


def test_the_two_sides_of_focus_look_alike():
    """h of −W is h of W turned by 180°, for real symmetric pupils."""
    x, y, clear = grid(129, 32.0)
    phase = 0.4 * zernike(4, x, y) + 0.2 * zernike(8, x, y)
    front, back = point_spread(clear, phase, clear), point_spread(clear, -phase, clear)
    assert torch.allclose(back, front.flip(0, 1), atol=1e-15)


EXPLICIT = {
    1: lambda r, t: 1 + 0 * r,
    2: lambda r, t: 2 * r * np.cos(t),
    3: lambda r, t: 2 * r * np.sin(t),
    4: lambda r, t: math.sqrt(3) * (2 * r**2 - 1),
    5: lambda r, t: math.sqrt(6) * r**2 * np.sin(2 * t),
    6: lambda r, t: math.sqrt(6) * r**2 * np.cos(2 * t),
    7: lambda r, t: math.sqrt(8) * (3 * r**3 - 2 * r) * np.sin(t),
    8: lambda r, t: math.sqrt(8) * (3 * r**3 - 2 * r) * np.cos(t),
    9: lambda r, t: math.sqrt(8) * r**3 * np.sin(3 * t),
    10: lambda r, t: math.sqrt(8) * r**3 * np.cos(3 * t),
    11: lambda r, t: math.sqrt(5) * (6 * r**4 - 6 * r**2 + 1),
    12: lambda r, t: math.sqrt(10) * (4 * r**4 - 3 * r**2) * np.cos(2 * t),
    13: lambda r, t: math.sqrt(10) * (4 * r**4 - 3 * r**2) * np.sin(2 * t),
    14: lambda r, t: math.sqrt(10) * r**4 * np.cos(4 * t),
    15: lambda r, t: math.sqrt(10) * r**4 * np.sin(4 * t),
}


@pytest.mark.parametrize("number", EXPLICIT)
def test_polynomials_are_those_of_nolls_table(number):
    x, y = torch.rand(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.4 - 0.7
    expected = EXPLICIT[number](np.hypot(x.numpy(), y.numpy()), np.arctan2(y.numpy(), x.numpy()))
    assert np.allclose(zernike(number, x, y).numpy(), expected, atol=1e-12)


def test_polynomials_are_orthonormal_over_the_disc():
    """Exact: Gauss-Legendre in ρ², equal angles in θ."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    rho, theta = torch.tensor(np.sqrt((nodes + 1) / 2)), torch.arange(64, dtype=torch.float64) * math.pi / 32
    x, y = rho[:, None] * theta.cos(), rho[:, None] * theta.sin()
    basis = torch.stack([zernike(j, x, y) for j in range(1, 29)]).flatten(1)
    measure = (torch.tensor(weights) / 2)[:, None].expand(-1, 64).flatten() / 64
    assert torch.allclose((basis * measure) @ basis.T, torch.eye(28, dtype=torch.float64), atol=1e-12)


def test_polynomials_on_the_grid_have_unit_root_mean_square_within_a_percent():
    x, y, clear = grid(128, 32.0)
    for number in range(4, 16):
        values = zernike(number, x, y)[clear > 0]
        assert float(values.square().mean().sqrt()) == pytest.approx(1, abs=0.02)


def test_gradient_of_the_edge_is_the_line_integral():
    """Transmission r² has the derivative 2 r; one radius is off by the cells that its circle happens to meet."""
    x, y, clear = grid(128, 48.0)
    ratios = []
    for start in torch.linspace(0.3, 0.9, 13, dtype=torch.float64):
        radius = start.clone().requires_grad_()
        through = point_spread(disc(torch.hypot(x, y), radius, 1 / 48), 0.0, clear).sum()
        through.backward()
        assert float(through.detach()) == pytest.approx(float(start) ** 2, abs=0.01)
        ratios.append(float(radius.grad) / (2 * float(start)))
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
    assert np.ptp(ratios) < 0.3


def test_gradient_of_phase_and_amplitude_is_exact():
    x, y = pupil_grid(9, 3)
    clear = disc(torch.hypot(x, y), 1.0, 1 / 3)
    phase = torch.rand(9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    amplitude = (0.5 * clear).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, w: point_spread(a, w, clear), (amplitude, phase))


def test_maps_are_read_at_the_middle_of_their_cells():
    x, y = (c[None] for c in pupil_grid(64, 24))
    ramp = (torch.arange(16, dtype=torch.float64) * 2 + 1) / 16 - 1
    inside = torch.hypot(x, y)[0] < 0.9
    assert torch.allclose(sample_map(ramp.expand(16, 16), x, y)[0][inside], x[0][inside], atol=1e-12)
    assert torch.allclose(sample_map(ramp[:, None].expand(16, 16), x, y)[0][inside], y[0][inside], atol=1e-12)
    assert sample_map(torch.rand(3, 4, 4), x.float(), y.float()).shape == (3, 64, 64)


def test_border_energy_counts_the_outermost_samples():
    h = torch.zeros(5, 5)
    h[2, 2], h[0, 3] = 3.0, 1.0
    assert float(border_energy(h)) == pytest.approx(0.25)


@pytest.mark.parametrize("number", [0, -1, 2.5, True])
def test_numbers_that_noll_does_not_have_are_refused(number):
    with pytest.raises(ValueError, match="Expected a Noll number"):
        noll_indices(number)


@pytest.mark.parametrize("size", [96, 97])
def test_dark_cells_around_a_pupil_may_be_left_out(size):
    """Where the pupil lies on its grid is a phase of the field, which the intensity does not show."""
    x, y = pupil_grid(size, 20)
    clear, phase = disc(torch.hypot(x, y), 1.0, 1 / 20), 0.3 * zernike(7, x, y) + 0.5 * zernike(6, x, y)
    middle = slice(size // 2 - 20, size // 2 + 21)
    cut = point_spread(clear[middle, middle], phase[middle, middle], clear[middle, middle], size)
    assert torch.allclose(cut, point_spread(clear, phase, clear), atol=1e-15)
    with pytest.raises(ValueError, match=f"Expected size to be at least that of the pupil, {size}, but got 41"):
        point_spread(clear, phase, clear, 41)
