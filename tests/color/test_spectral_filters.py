"""Spectral filters and fluorophores: facts F4.1–F4.5."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from physlayer import SpectralFilters, cramer_rao_bound
from physlayer.color.spectra import (
    FLUOROPHORES,
    emission_spectra,
    gaussian_curve,
    rgb_camera_curves,
    trapezoid_weights,
    wavelength_axis,
)
from physlayer.color.spectral_filters import band_curves
from physlayer.color.unmixing import unmixing_matrix

AXIS = wavelength_axis().double()
THREE = emission_spectra([509.0, 529.0, 610.0], AXIS)  # green, yellow, red


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).double()


def three_bands(*cuts, photons=1000.0):
    filters = SpectralFilters(cuts_nm=torch.tensor(cuts).double(), emission=THREE, wavelengths_nm=AXIS)
    return photons * filters.mixing()


def spectrometer(photons=1000.0):
    return photons * (THREE * trapezoid_weights(AXIS)).T


def test_readings_are_integrals_over_the_spectrum_by_the_trapezoid_rule():
    curves, efficiency, scene = uniform(3, 71), uniform(71, seed=1), uniform(2, 71, 4, 5, seed=2)
    layer = SpectralFilters(
        transmission=curves, quantum_efficiency=efficiency, exposure=torch.tensor([1.0, 2.0, 0.5]), wavelengths_nm=AXIS
    ).double()
    integrand = curves.numpy()[None, :, :, None, None] * (efficiency.numpy()[:, None, None] * scene.numpy())[:, None]
    expected = np.trapezoid(integrand, AXIS.numpy(), axis=2) / 350 * np.array([1, 2, 0.5])[None, :, None, None]
    assert np.allclose(layer(scene).numpy(), expected, atol=1e-12)


def test_a_flat_spectrum_reads_the_row_sums_of_the_system():
    """F4.1."""
    layer = SpectralFilters(centre_nm=torch.tensor([450.0, 550.0]), width_nm=40.0)
    y = layer(torch.ones(1, 71, 1, 1)).flatten()
    assert torch.allclose(y, layer.system().sum(1))
    # a Gaussian of peak 1 has the area width × √(π / 4 ln 2)
    assert float(y[1]) == pytest.approx(40 * math.sqrt(math.pi / (4 * math.log(2))) / 350, rel=1e-4)


@pytest.mark.parametrize("form", ["partition", "cuts"])
def test_filters_that_share_the_light_sum_to_the_panchromatic_signal(form):
    """F4.1: to rounding."""
    given = {"partition": {"partition": nn.Parameter(3 * uniform(4, 71))}, "cuts": {"cuts_nm": 400 + 350 * uniform(3)}}
    scene, efficiency = uniform(2, 71, 4, 5, seed=2), uniform(71, seed=1)
    layer = SpectralFilters(**given[form], quantum_efficiency=efficiency, wavelengths_nm=AXIS).double()
    open_pixel = SpectralFilters(
        transmission=torch.ones(1, 71).double(), quantum_efficiency=efficiency, wavelengths_nm=AXIS
    ).double()
    assert torch.allclose(layer(scene).sum(1, keepdim=True), open_pixel(scene), atol=1e-12)


def test_metamers_read_alike():
    """F4.2: what lies in the null space of the system leaves no trace."""
    layer = SpectralFilters(transmission=rgb_camera_curves(AXIS), wavelengths_nm=AXIS).double()
    scene = 0.3 + 0.4 * uniform(1, 71, 1, 1)
    null = torch.linalg.svd(layer.system()).Vh[3:]
    other = scene + 0.5 * (null.T @ (null @ (uniform(71, seed=5) - 0.5))).view(1, 71, 1, 1)
    assert float((other - scene).abs().max()) > 0.1
    assert torch.allclose(layer(other), layer(scene), atol=1e-12)


def test_fewer_channels_than_fluorophores_cannot_be_unmixed_and_the_error_says_so():
    """F4.2."""
    mixing = three_bands(560.0)
    assert mixing.shape == (2, 3) and int(torch.linalg.matrix_rank(mixing)) == 2
    for function in (unmixing_matrix, lambda m: cramer_rao_bound(m, torch.ones(3).double())):
        with pytest.raises(ValueError, match="as many channels as fluorophores or more, but got 2 for 3"):
            function(mixing)
        with pytest.raises(ValueError, match="singular mixing matrix"):
            function(torch.ones(4, 3).double())
    with pytest.raises(ValueError, match="raise the abundance"):
        cramer_rao_bound(three_bands(517.0, 585.0), torch.zeros(3).double())


def test_abundances_come_back_from_the_readings_without_noise():
    layer = SpectralFilters(cuts_nm=torch.tensor([517.0, 585.0]), emission=THREE, wavelengths_nm=AXIS).double()
    abundance = uniform(2, 3, 4, 5)
    back = torch.einsum("fk,bkhw->bfhw", unmixing_matrix(layer.mixing()), layer(abundance))
    assert torch.allclose(back, abundance, atol=1e-12)


def test_a_scene_of_abundances_reads_as_the_spectrum_that_they_add_up_to():
    layer = SpectralFilters(cuts_nm=torch.tensor([517.0, 585.0]), emission=7 * THREE, wavelengths_nm=AXIS).double()
    abundance = 0.5 * uniform(2, 3, 4, 5)
    spectrum = 350 * torch.einsum("bfhw,fl->blhw", abundance, THREE)
    of_spectra = SpectralFilters(cuts_nm=torch.tensor([517.0, 585.0]), wavelengths_nm=AXIS).double()
    assert torch.allclose(layer(abundance), of_spectra(spectrum), atol=1e-12)
    # unit area: without filters an abundance of 1 reads 1
    open_pixel = SpectralFilters(transmission=torch.ones(1, 71).double(), emission=7 * THREE, wavelengths_nm=AXIS)
    assert torch.allclose(open_pixel.mixing(), torch.ones(1, 3).double())


def test_splitting_a_channel_never_raises_the_bound_and_merging_never_lowers_it():
    """F4.3: photon noise only."""
    abundance = torch.tensor([1.0, 0.7, 1.3]).double()
    for seed in range(20):
        mixing = 1000 * uniform(6, 3, seed=seed)
        share = uniform(3, seed=100 + seed)
        split = torch.cat([mixing[:-1], mixing[-1:] * share, mixing[-1:] * (1 - share)])
        merged = torch.cat([mixing[:-2], mixing[-2:].sum(0, keepdim=True)])
        bound = cramer_rao_bound(mixing, abundance)
        assert bool((cramer_rao_bound(split, abundance) <= bound * (1 + 1e-9)).all())
        assert bool((cramer_rao_bound(merged, abundance) >= bound * (1 - 1e-9)).all())


def test_with_read_noise_a_channel_more_can_hurt():
    """F4.3: 50 photons, 10 electrons rms in each of 71 channels or of 3."""
    abundance = torch.ones(3).double()
    many, few = spectrometer(50.0), three_bands(517.0, 585.0, photons=50.0)
    assert float(cramer_rao_bound(many, abundance).sum()) < float(cramer_rao_bound(few, abundance).sum())
    assert float(cramer_rao_bound(many, abundance, 10.0).sum()) > float(cramer_rao_bound(few, abundance, 10.0).sum())


def test_three_well_placed_bands_are_nearly_as_good_as_a_spectrometer_and_naive_ones_are_not():
    """F4.4: 1000 photons of each, peaks at 509, 529 and 610 nm; the golden values are of a spectrum of like shape."""
    abundance = torch.ones(3).double()
    full = cramer_rao_bound(spectrometer(), abundance).sqrt()
    placed = cramer_rao_bound(three_bands(517.0, 585.0), abundance).sqrt()
    naive = cramer_rao_bound(three_bands(540.0, 600.0), abundance).sqrt()
    assert full.tolist() == pytest.approx([0.055, 0.058, 0.033], rel=0.05)
    assert placed.tolist() == pytest.approx([0.062, 0.064, 0.034], rel=0.05)
    assert naive.tolist() == pytest.approx([0.088, 0.095, 0.036], rel=0.05)
    assert float((placed / full).max()) < 1.13
    assert float((naive / full).max()) > 1.5


def test_gradient_of_the_bound_moves_naive_cuts_to_the_best_ones():
    """F4.4: to within the step of the wavelengths of the best cuts of a search."""
    layer = SpectralFilters(
        cuts_nm=nn.Parameter(torch.tensor([540.0, 600.0])), emission=THREE.float(), wavelengths_nm=AXIS.float()
    )
    abundance, optimizer = torch.ones(3), torch.optim.Adam(layer.parameters(), lr=0.04)
    for _ in range(60):
        loss = cramer_rao_bound(1000 * layer.mixing(), abundance).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    grid = [(a, b) for a in range(505, 530, 4) for b in range(573, 606, 4)]
    best = min(
        grid, key=lambda cuts: float(cramer_rao_bound(three_bands(*map(float, cuts)), torch.ones(3).double()).sum())
    )
    assert layer.physical()["cuts_nm"].tolist() == pytest.approx(best, abs=5)
    assert best == pytest.approx((517, 585), abs=8)


def test_one_band_tells_two_equally_bright_fluorophores_apart_by_chance_only():
    """F4.5: the reading says the abundance, not the kind; two bands tell them apart."""
    emission = emission_spectra(["EGFP", "EYFP"], AXIS)
    kind = torch.arange(4000) % 2
    abundance = torch.exp(0.4 * torch.randn(4000, generator=torch.Generator().manual_seed(0))).double()
    scene = (torch.eye(2).double()[kind] * abundance[:, None]).view(-1, 2, 1, 1)
    one = SpectralFilters(transmission=torch.ones(1, 71).double(), emission=emission, wavelengths_nm=AXIS).double()
    y = one(scene).flatten()
    assert torch.allclose(y, abundance)
    best = max(float(((y > t) == kind).double().mean()) for t in torch.linspace(0.1, 4, 100))
    assert max(best, 1 - best) < 0.53
    two = SpectralFilters(cuts_nm=torch.tensor([517.0]), emission=emission, wavelengths_nm=AXIS).double()(scene)
    share = (two[:, 1] / two.sum(1)).flatten()
    assert float(((share > share.median()) == kind).double().mean()) == 1.0


def test_read_noise_adds_its_square_to_the_photons_of_a_channel():
    mixing, abundance = torch.diag(torch.tensor([100.0, 400.0])), torch.tensor([0.5, 2.0])
    expected = [(50 + 49) / 100**2, (800 + 49) / 400**2]
    assert cramer_rao_bound(mixing, abundance, 7.0).tolist() == pytest.approx(expected)


def test_the_bound_is_that_of_weighted_least_squares_on_simulated_photons():
    mixing, abundance = three_bands(517.0, 585.0), torch.tensor([1.0, 0.6, 1.4]).double()
    counts = torch.poisson((mixing @ abundance).expand(20_000, 3), generator=torch.Generator().manual_seed(0))
    spread = (counts @ unmixing_matrix(mixing).T).var(0)  # as many bands as fluorophores: the weights do not matter
    assert torch.allclose(spread, cramer_rao_bound(mixing, abundance), rtol=0.04)


def test_gradients_agree_with_finite_differences():
    abundance = torch.tensor([[1.0, 0.7, 1.3], [0.2, 1.0, 0.5]]).double()
    mixing = (100 * uniform(4, 3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: cramer_rao_bound(m, abundance, 2.0), mixing)
    cuts = torch.tensor([511.0, 588.0]).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: band_curves(AXIS, c), cuts)
    centre, width = torch.tensor([511.0]).double().requires_grad_(), torch.tensor([30.0]).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda c, w: gaussian_curve(AXIS, c, w), (centre, width))


def test_learned_filters_stay_physical_however_hard_they_are_pushed():
    forms = (
        {"centre_nm": nn.Parameter(torch.tensor([450.0, 600.0])), "width_nm": nn.Parameter(torch.tensor(30.0))},
        {"cuts_nm": nn.Parameter(torch.tensor([450.0, 600.0]))},
        {"transmission": nn.Parameter(torch.full((2, 71), 0.5))},
        {"partition": nn.Parameter(torch.zeros(2, 71))},
    )
    for given in forms:
        layer = SpectralFilters(**given)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1e4)
        signs = torch.tensor([1.0, -1.0, 1.0])[: layer.channels].view(-1, 1, 1)
        for _ in range(10):
            optimizer.zero_grad()
            (layer(torch.rand(1, 71, 2, 2)) * signs).sum().backward()
            optimizer.step()
        curves = layer.curves().detach()
        assert torch.isfinite(curves).all() and float(curves.min()) >= 0 and float(curves.max()) <= 1
        if layer.form in ("cuts", "partition"):
            assert torch.allclose(curves.sum(0), torch.ones(71))
        if "width_nm" in layer.quantities:
            assert float(layer.width_nm.detach().min()) >= 10


def test_exposures_one_after_the_other_share_one_exposure_time():
    together = SpectralFilters(centre_nm=torch.tensor([450.0, 550.0]), width_nm=40.0)
    apart = SpectralFilters(centre_nm=torch.tensor([450.0, 550.0]), width_nm=40.0, sequential=True)
    scene = torch.rand(1, 71, 2, 2)
    assert torch.allclose(2 * apart(scene), together(scene))
    uneven = SpectralFilters(
        centre_nm=torch.tensor([450.0, 550.0]), width_nm=40.0, sequential=True, exposure=torch.tensor([3.0, 1.0])
    )
    assert torch.allclose(uneven(scene), torch.tensor([0.75, 0.25]).view(2, 1, 1) * together(scene))


def test_emission_has_unit_area_and_peaks_where_the_table_says():
    fine = wavelength_axis(400, 800, 0.5).double()
    spectra = emission_spectra(list(FLUOROPHORES), fine)
    assert torch.allclose(spectra @ trapezoid_weights(fine), torch.ones(len(FLUOROPHORES)).double())
    for spectrum, (_, peak) in zip(spectra, FLUOROPHORES.values(), strict=True):
        assert abs(float(fine[spectrum.argmax()]) - peak) <= 2.5
    bare = emission_spectra([550.0], fine, shoulder=0.0)[0]
    above = fine[bare > bare.max() / 2]
    assert float(above[-1] - above[0]) == pytest.approx(38, abs=1)  # full width at half maximum


def test_camera_channels_end_at_the_infrared_cut():
    curves = rgb_camera_curves(AXIS)
    assert float(curves[:, AXIS > 682.5].abs().max()) == 0 and float(curves.max()) <= 1


def test_what_is_wrong_with_filters_is_said():
    with pytest.raises(ValueError, match="one form of filters"):
        SpectralFilters()
    with pytest.raises(ValueError, match="one form of filters"):
        SpectralFilters(centre_nm=torch.tensor([500.0]))
    with pytest.raises(ValueError, match="lie in"):
        SpectralFilters(centre_nm=torch.tensor([500.0]), width_nm=5.0)
    with pytest.raises(ValueError, match="lie in"):
        SpectralFilters(cuts_nm=torch.tensor([390.0]))
    with pytest.raises(ValueError, match="sum 1 at every wavelength"):
        SpectralFilters(partition=torch.ones(2, 71))
    with pytest.raises(ValueError, match="not a partition"):
        SpectralFilters(cuts_nm=torch.tensor([500.0]), sequential=True)
    with pytest.raises(ValueError, match=r"tensor \(K, 71\)"):
        SpectralFilters(transmission=torch.ones(2, 31))
    with pytest.raises(ValueError, match="rising"):
        SpectralFilters(cuts_nm=torch.tensor([500.0]), wavelengths_nm=torch.tensor([500.0, 400.0]))
    with pytest.raises(ValueError, match="one row per fluorophore"):
        SpectralFilters(cuts_nm=torch.tensor([500.0]), emission=torch.ones(3, 31))
    with pytest.raises(ValueError, match="one per channel"):
        SpectralFilters(cuts_nm=torch.tensor([500.0]), exposure=torch.ones(3))
    with pytest.raises(ValueError, match="among DAPI"):
        emission_spectra(["GFP"], AXIS)
    with pytest.raises(ValueError, match="71 channels"):
        SpectralFilters(cuts_nm=torch.tensor([500.0]))(torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match="emission_spectra"):
        SpectralFilters(cuts_nm=torch.tensor([500.0])).mixing()


def test_half_precision_around_the_layer_does_not_round_its_light():
    layer, x = SpectralFilters(cuts_nm=torch.tensor([500.0]), emission=THREE.float()).eval(), torch.rand(1, 3, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.float32 and torch.equal(y, layer(x))
