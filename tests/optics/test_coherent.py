"""Coherent imaging: the exact checks of the homework's microscope, and what interference does."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import CoherentImaging, GaussianNoise
from physlayer.optics.coherent import (
    aperture_cells,
    coherent_image,
    plane_wave,
    root_amplitude,
    round_aperture,
    thin_sample,
)
from physlayer.optics.pupil import point_spread

CONVENTIONS = ("waves", "radians")


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def learned(*shape, scale=0.0, seed=1):
    return nn.Parameter(scale * torch.rand(shape, generator=torch.Generator().manual_seed(seed)))


def smooth(size=64):
    """A blob well within the pupil's band."""
    place = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.exp(-(place[:, None] ** 2 + place**2) / (2 * (size / 10) ** 2))[None, None]


@pytest.mark.parametrize(("size", "radius", "cells"), [(64, 19, 1129), (28, 8, 197)])
def test_homework_aperture_holds_its_number_of_cells(size, radius, cells):
    aperture = round_aperture((size, size), radius)
    assert int(aperture.sum()) == cells
    assert (
        float(aperture[size // 2, size // 2 + radius]) == 1 and float(aperture[size // 2, size // 2 + radius + 1]) == 0
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_transparent_sample_is_invisible_without_an_aperture(convention):
    """I ≡ 1 for any sample, and no phase of the light has a gradient."""
    x = images(2, 1, 64, 64)
    full = CoherentImaging(64, convention=convention, illumination_waves=learned(64, 64)).double()
    y = full(x)
    assert torch.allclose(y, torch.ones_like(y), atol=1e-12)
    (y * images(2, 1, 64, 64, seed=3)).sum().backward()
    assert float(full.free_parameter("illumination_waves").grad.abs().max()) < 1e-10


def test_constant_phases_change_nothing():
    x, phases = images(1, 1, 64, 64), [learned(64, 64, scale=1.0, seed=k) for k in (1, 2)]
    shown = [
        CoherentImaging(19, illumination_waves=phases[0].detach() + a, aperture_waves=phases[1].detach() + b).double()(
            x
        )
        for a, b in ((0, 0), (0.37, 0), (0, 0.21))
    ]
    assert torch.allclose(shown[0], shown[1], atol=1e-5) and torch.allclose(shown[0], shown[2], atol=1e-5)
    periodic = CoherentImaging(
        19, illumination_waves=phases[0].detach() + 1, aperture_waves=phases[1].detach()
    ).double()
    assert torch.allclose(shown[0], periodic(x), atol=1e-5)


def test_convention_a_ramp_in_the_aperture_moves_the_image_against_it():
    x = images(1, 1, 64, 64)
    still = CoherentImaging(19).double()(x)
    ramp = (torch.arange(64, dtype=torch.float64) - 32) / 64
    right = CoherentImaging(19, aperture_waves=(3 * ramp).expand(64, 64).clone()).double()(x)
    down = CoherentImaging(19, aperture_waves=(5 * ramp)[:, None].expand(64, 64).clone()).double()(x)
    assert torch.allclose(right, still.roll(-3, 3), atol=1e-10)
    assert torch.allclose(down, still.roll(-5, 2), atol=1e-10)


def test_convention_tilted_light_moves_the_spectrum_along():
    size = (32, 48)
    o = thin_sample(images(*size))
    moved = torch.fft.fft2(o * plane_wave(size, torch.tensor([3.0, -4.0], dtype=torch.float64)))
    assert torch.allclose(moved, torch.fft.fft2(o).roll((3, -4), (0, 1)), atol=1e-9)


@pytest.mark.parametrize("direction", [0, 1])
def test_light_tilted_beyond_the_aperture_gives_a_dark_field(direction):
    """The mean falls to 0 for tilts beyond the radius and the sample's band; an edge still scatters into it."""
    means = []
    for cycles in (0, 10, 18, 25, 31):
        tilt = torch.zeros(2).index_fill(0, torch.tensor(direction), float(cycles))
        means.append(float(CoherentImaging(19, tilt_cycles=tilt).double()(0.2 * smooth()).mean()))
    assert means[0] == pytest.approx(1, abs=1e-6) and means[2] > 0.5
    assert means[3] < 1e-3 and means[4] < 1e-6
    ramp = (
        (31 * torch.arange(64) / 64).expand(64, 64)
        if direction
        else (31 * torch.arange(64) / 64)[:, None].expand(64, 64)
    )
    modulator = CoherentImaging(19, illumination_waves=ramp.clone()).double()(0.2 * smooth())
    assert float(modulator.mean()) == pytest.approx(means[4], abs=1e-6)
    clear = CoherentImaging(19, tilt_cycles=torch.tensor([31.0, 0.0])).double()(torch.zeros(1, 1, 64, 64).double())
    assert float(clear.max()) < 1e-20
    assert float(CoherentImaging(19, tilt_cycles=torch.tensor([25.0, 0.0])).double()(images(1, 1, 64, 64)).max()) > 0.01


def test_conventions_differ_by_two_pi():
    x = images(1, 1, 16, 16)
    assert torch.allclose(thin_sample(x), torch.exp(2j * math.pi * x), atol=1e-14)
    assert torch.allclose(thin_sample(x, convention="radians"), torch.exp(1j * x), atol=1e-14)
    assert torch.allclose(thin_sample(x, thickness_waves=20.0, convention="radians"), torch.exp(20j * x), atol=1e-13)
    waves = CoherentImaging(5, convention="waves", thickness_waves=1 / (2 * math.pi)).double()(x)
    assert torch.allclose(waves, CoherentImaging(5, convention="radians").double()(x), atol=1e-12)
    assert "convention='radians'" in repr(CoherentImaging(5, convention="radians"))


def test_homework_image_is_that_of_a_plain_loop():
    """NumPy, written from the homework's sheet."""
    x = images(1, 1, 64, 64)
    illumination, aperture = (learned(64, 64, scale=1.0, seed=k).detach().double() for k in (1, 2))
    rows, columns = np.mgrid[:64, :64] - 32
    pupil = (np.hypot(rows, columns) <= 19) * np.exp(2j * np.pi * aperture.numpy())
    field = np.exp(1j * x[0, 0].numpy()) * np.exp(2j * np.pi * illumination.numpy())
    spectrum = np.fft.fftshift(np.fft.fft2(field))
    expected = np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum * pupil))) ** 2
    layer = CoherentImaging(19, convention="radians", illumination_waves=illumination, aperture_waves=aperture)
    assert np.allclose(layer.double()(x)[0, 0].numpy(), expected, atol=1e-12)


def test_a_passive_aperture_never_adds_light():
    x = images(3, 2, 20, 23)
    layer = CoherentImaging(
        6, input="intensity", aperture_waves=learned(20, 23, scale=1.0), aperture_amplitude=learned(20, 23, scale=0.9)
    ).double()
    assert bool((layer(x).sum((2, 3)) <= x.sum((2, 3)) + 1e-9).all())
    phase_only = CoherentImaging(40, input="intensity", aperture_waves=learned(20, 23, scale=1.0)).double()
    assert torch.allclose(phase_only(x).sum((2, 3)), x.sum((2, 3)), atol=1e-9)


def test_absorbing_sample_follows_beer_and_lambert():
    x = images(1, 1, 12, 12)
    layer = CoherentImaging(12, absorption=1.7).double()
    assert torch.allclose(layer(x), torch.exp(-1.7 * x), atol=1e-12)


def test_open_aperture_shows_the_transmitted_light():
    x = images(2, 3, 9, 12)
    assert torch.allclose(CoherentImaging(20, input="intensity").double()(x), x, atol=1e-12)
    field = torch.complex(x, images(2, 3, 9, 12, seed=1))
    assert torch.allclose(CoherentImaging(20, input="field").double()(field), field.abs() ** 2, atol=1e-12)


def test_a_point_shows_the_point_spread_function_turned_around():
    """H(f) = P(−f) (Goodman): the pupil of incoherent imaging is the same, turned by 180°."""
    size, phase = 33, images(33, 33)
    point = torch.zeros(1, 1, size, size, dtype=torch.complex128)
    point[0, 0, size // 2, size // 2] = 1
    aperture = round_aperture((size, size), 9).double()
    seen = coherent_image(point, torch.polar(aperture, 2 * math.pi * phase))[0, 0]
    spread = point_spread(aperture, phase, aperture).flip(0, 1)
    assert torch.allclose(seen / seen.sum(), spread, atol=1e-14)


def test_quarter_wave_in_the_middle_makes_a_weak_phase_visible():
    """Zernike's phase contrast: 1 ± 2 φ, where the plain image shows φ² only."""
    phase = 0.02 * (smooth() - smooth().mean())
    dot = torch.zeros(64, 64)
    dot[32, 32] = 0.25
    seen = CoherentImaging(30, aperture_waves=dot).double()(phase) - 1
    assert torch.allclose(seen, 2 * (2 * math.pi * phase), atol=0.04)
    assert float((CoherentImaging(30).double()(phase) - 1).abs().max()) < 1e-2 < float(seen.abs().max())


def test_cutoff_is_that_of_the_aperture():
    """A coherent image of a grating ends at NA/λ, half of the incoherent cutoff."""
    assert aperture_cells(0.25, 0.5, 0.25, 64) == 8
    place = torch.arange(64, dtype=torch.float64) / 64
    for cycles, visible in ((8, True), (9, False)):
        amplitude = 1 + 0.1 * torch.cos(2 * math.pi * cycles * place).expand(1, 1, 64, 64) + 0j
        assert (float(CoherentImaging(8, input="field").double()(amplitude).std()) > 1e-3) == visible


def test_images_that_are_not_square_see_the_same_frequencies_both_ways():
    x = images(1, 1, 24, 48)
    turned = CoherentImaging(12).double()(x)
    assert torch.allclose(CoherentImaging(6).double()(x.mT).mT, turned, atol=1e-12)


def test_gradient_of_all_that_is_learned_is_exact():
    x = images(1, 1, 6, 5).requires_grad_()
    given = [images(6, 5, seed=k).requires_grad_() for k in (1, 2, 3)]
    tilt = torch.tensor([0.7, -1.2], dtype=torch.float64, requires_grad=True)

    def seen(x, illumination, waves, amplitude, tilt):
        lit = thin_sample(x) * torch.exp(2j * math.pi * illumination) * plane_wave((6, 5), tilt)
        return coherent_image(lit, amplitude * round_aperture((6, 5), 2) * torch.exp(2j * math.pi * waves))

    assert torch.autograd.gradcheck(seen, (x, *given, tilt))


def test_slope_of_the_amplitude_stays_finite_at_black():
    x = torch.tensor([0.0, 1e-8, 0.01, 0.25, 1.0], dtype=torch.float64, requires_grad=True)
    y = root_amplitude(x)
    y.sum().backward()
    assert torch.equal(y.detach(), x.detach().sqrt())
    assert torch.allclose(x.grad, torch.tensor([50.0, 50.0, 5.0, 1.0, 0.5]).double())


@pytest.mark.parametrize("arm", ["both", "aperture", "illumination"])
def test_learned_phases_raise_the_contrast_of_a_nearly_blank_image(arm):
    """The homework's microscope at 1 rad; contrast is what a network behind 0.2 of noise can use."""
    x = (smooth() > 0.5).to(torch.float32)
    phases = {}
    if arm in ("both", "illumination"):
        phases["illumination_waves"] = learned(64, 64)
    if arm in ("both", "aperture"):
        phases["aperture_waves"] = learned(64, 64)
    layer = CoherentImaging(19, convention="radians", **phases)
    before = float(layer(x).std().detach())
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        (-layer(x).std()).backward()
        optimizer.step()
    assert float(layer(x).std().detach()) > 3 * before
    camera = nn.Sequential(layer, GaussianNoise(0.2)).eval()
    assert camera(x).shape == (1, 1, 64, 64)


def test_light_gathered_in_one_place_saturates_and_can_be_spread_again():
    """All frequencies in phase: a matched filter."""
    rough = learned(64, 64, scale=1.0).detach()
    spectrum = torch.fft.fftshift(torch.fft.fft2(torch.exp(2j * math.pi * rough)))
    filter_ = nn.Parameter(-torch.angle(spectrum) / (2 * math.pi))
    layer = CoherentImaging(64, illumination_waves=rough, aperture_waves=filter_)
    y = layer(torch.zeros(1, 1, 64, 64))
    assert float(y.detach().max()) == 16
    y.sum().backward()
    assert bool(layer.free_parameter("aperture_waves").grad.any())
    GaussianNoise(0.2)(y.detach())


def test_autocast_changes_nothing():
    layer, x = CoherentImaging(6, aperture_waves=learned(16, 16, scale=1.0)), torch.rand(1, 1, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert torch.equal(y, layer(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CoherentImaging(6)(torch.zeros(1, 1, 8, 8) + 0j), "Expected x to be real intensities"),
        (lambda: CoherentImaging(6, input="field")(torch.zeros(1, 1, 8, 8)), "Expected x to be a complex field"),
        (lambda: CoherentImaging(6, input="intensity")(torch.full((1, 1, 8, 8), -0.1)), "light is not negative"),
        (lambda: CoherentImaging(6, input="object"), "Expected input to be one of"),
        (lambda: CoherentImaging(6, convention="2pi"), "Expected convention to be"),
        (lambda: CoherentImaging(nn.Parameter(torch.tensor(6.0))), "radius_cells is a setting"),
        (lambda: CoherentImaging(6, tilt_cycles=torch.zeros(3)), "Expected tilt_cycles to be"),
        (
            lambda: CoherentImaging(6, aperture_amplitude=torch.full((8, 8), 1.2)),
            "Expected aperture_amplitude to lie in",
        ),
        (
            lambda: CoherentImaging(6, aperture_waves=torch.zeros(4, 4))(torch.zeros(1, 1, 8, 8)),
            "Expected aperture_waves",
        ),
    ],
)
def test_nonsense_is_refused_with_a_sentence(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
