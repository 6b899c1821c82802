"""What the ultrasound phantom promises: diameters of the drawn eye, speckle, patients, the same everywhere."""

import hashlib
import math

import numpy as np
import pytest
import torch

from physlayer import Envelope, reading_shape
from physlayer.tasks.ultrasound.phantom import (
    REFERENCE,
    make_phantom,
    ocular_array,
    ocular_camera,
    render,
    scatter,
    tissue_gain,
)
from physlayer.tasks.ultrasound.phantom_eye import (
    FIELD_MM,
    FINE,
    Globe,
    Patient,
    draw_globe,
    draw_patient,
    echo_strength,
)

GOLDEN = "b6f2261a292a67586db164b9aeb0b52aa528b73577e45bbd0efcfef5e073168e"
PLAIN = Patient(24.2, 23.5, 1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(300, seed=0, size=32)


# Diameters


@pytest.mark.parametrize(("horizontal", "vertical"), [(22.0, 25.5), (24.2, 23.5), (26.0, 21.5)])
def test_walls_along_the_axis_are_as_far_apart_as_the_vertical_diameter(horizontal, vertical):
    """Peaks of the echo along the middle column, within a sample of the map."""
    globe = Globe((horizontal / 2, vertical / 2), (16.0, 3.5 + vertical / 2), 0.0, 5.0, None)
    strength = echo_strength(globe, PLAIN)
    column = strength[:, FINE // 2]
    bright = np.flatnonzero(column > 0.2 * column.max())
    place = (bright + 0.5) * FIELD_MM / FINE
    front, back = place[place < 8], place[place > 20]
    assert back.mean() - front.mean() == pytest.approx(vertical, abs=0.25)


@pytest.mark.parametrize(("horizontal", "vertical"), [(22.0, 25.5), (24.2, 23.5), (26.0, 21.5)])
def test_dark_globe_is_as_wide_as_the_horizontal_diameter(horizontal, vertical):
    """From fat to fat along the middle row it is the diameter and one thickness of the wall."""
    globe = Globe((horizontal / 2, vertical / 2), (16.0, 3.5 + vertical / 2), 0.0, 5.0, None)
    row = echo_strength(globe, PLAIN)[round(globe.centre[1] / FIELD_MM * FINE)]
    dark = np.flatnonzero(row < 0.3 * row[3])
    width = (dark[-1] - dark[0] + 1) * FIELD_MM / FINE
    assert width == pytest.approx(horizontal + 1.0, abs=0.3)


def test_targets_are_the_extents_of_the_tilted_ellipse_along_columns_and_rows():
    globe = Globe((13.0, 11.0), (16.0, 16.0), 0.4, 2.0, None)
    t = np.linspace(0, 2 * np.pi, 100_001)
    u, w = 13.0 * np.cos(t), 11.0 * np.sin(t)
    x, z = u * math.cos(0.4) - w * math.sin(0.4), u * math.sin(0.4) + w * math.cos(0.4)
    assert globe.diameters() == pytest.approx((np.ptp(x), np.ptp(z)), abs=1e-4)
    upright = Globe((11.0, 13.0), (16.0, 16.0), 0.4, 2.0, None)
    assert upright.diameters() == pytest.approx(globe.diameters()[::-1], abs=1e-4)  # rows for columns


def test_bumps_of_the_wall_are_part_of_the_diameters():
    """The darkness of the map, measured along its columns and rows, is as wide as the label says."""
    bumps = (0.1j, 0.4 + 0j, -0.1 + 0j)  # of 3, 4 and 5 waves
    globe = Globe((12.0, 11.5), (16.0, 15.5), 0.1, 5.0, None, bumps)
    smooth = Globe((12.0, 11.5), (16.0, 15.5), 0.1, 5.0)
    strength = echo_strength(globe, PLAIN)
    row = strength[:, [0, -1]].max(1)  # fat at the same depth
    dark = (strength < 0.3 * row[:, None])[24:100]
    columns = np.flatnonzero(dark.any(0))
    assert (columns[-1] - columns[0] + 1) * FIELD_MM / FINE == pytest.approx(globe.diameters()[0] + 1.0, abs=0.35)
    assert abs(globe.diameters()[0] - smooth.diameters()[0]) > 0.6


def test_vertical_diameter_is_seen_in_the_picture(phantom):
    """From the brightest echo of the cornea to that of the retina, near the axis, in B-mode images alone."""
    fine = make_phantom(24, seed=1, size=128)
    images = render(fine.scatterers)[:, 0].numpy()
    found = []
    for image, x in zip(images, fine.latents["centre_x_mm"], strict=True):
        middle = round(x / fine.pixel_mm)
        profile = image[:, middle - 8 : middle + 9].mean(1)
        front = profile[6:28].argmax() + 6
        back = profile[84:].argmax() + 84
        found.append((back - front) * fine.pixel_mm)
    error = np.array(found) - fine.targets[:, 1].numpy()
    assert np.abs(error).mean() < 0.6 and np.corrcoef(found, fine.targets[:, 1])[0, 1] > 0.8


def test_diameters_have_the_population_of_the_literature():
    """Axial length 23.5 ± 1 mm, transverse diameter 24.2 ± 0.9 mm; the mean predictor misses by 0.8 and 0.72 mm."""
    pairs = []
    for number in range(3000):
        generator = np.random.default_rng([5, number])
        patient = draw_patient(generator)
        pairs.append([draw_globe(generator, patient, left).diameters() for left in (False, True)])
    pairs = np.array(pairs)
    assert pairs.mean((0, 1)) == pytest.approx([24.2, 23.5], abs=0.06)
    assert pairs.std((0, 1)) == pytest.approx([0.9, 1.0], abs=0.04)
    assert np.abs(pairs - pairs.mean((0, 1))).mean((0, 1)) == pytest.approx([0.72, 0.80], abs=0.03)
    for side in range(2):
        assert np.corrcoef(pairs[:, 0, side], pairs[:, 1, side])[0, 1] > 0.9  # fellow eyes
    assert abs(np.corrcoef(pairs[:, 0, 0], pairs[:, 0, 1])[0, 1]) < 0.06


def test_eyes_lie_within_the_field(phantom):
    x, z = phantom.latents["centre_x_mm"], phantom.latents["centre_z_mm"]
    horizontal, vertical = phantom.targets.numpy().T
    assert (x - horizontal / 2 > 0.5).all() and (x + horizontal / 2 < FIELD_MM - 0.5).all()
    assert (z - vertical / 2 > 1.5).all() and (z + vertical / 2 < FIELD_MM - 0.5).all()


# Speckle


def test_speckle_of_a_homogeneous_block_is_fully_developed():
    """F2.9: envelope mean / std 1.913, log envelope 5.57 dB."""
    generator = np.random.default_rng(0)
    block = np.full((FINE, FINE), 1e-4)
    scatterers = torch.from_numpy(np.stack([scatter(generator, block, 64) for _ in range(40)]))
    before = torch.polar(scatterers[:, :1], 2 * math.pi * scatterers[:, 1:])
    assert float(before.abs().square().mean()) == pytest.approx(1e-4, rel=0.02)
    for field in (before, ocular_array(noise_rms=0.0).eval()(scatterers)):
        envelope = Envelope()(field)[..., 8:-8]
        # every depth by its own mean: beside the focus the echo is weaker
        envelope = (envelope / envelope.square().mean((0, 3), keepdim=True).sqrt()).flatten()
        assert float(envelope.mean() / envelope.std()) == pytest.approx(1.913, abs=0.03)
        assert float((20 * envelope.log10()).std()) == pytest.approx(5.57, abs=0.08)


def test_phase_of_the_scatterers_is_uniform_and_carries_no_size(phantom):
    phase = phantom.scatterers[:, 1].flatten()
    assert torch.histc(phase, 10, 0, 1).std() / torch.histc(phase, 10, 0, 1).mean() < 0.02
    assert float(phantom.scatterers.min()) >= 0 and float(phantom.scatterers.max()) <= 1
    assert int((phantom.scatterers[:, 0] >= 1).sum()) < 5  # full scale is cut, and hardly ever reached


def test_intensities_of_tissue_do_not_depend_on_the_size_of_a_pixel():
    fine, coarse = (make_phantom(8, seed=2, size=size) for size in (128, 32))
    strength = [float(p.scatterers[:, 0].square().mean()) for p in (fine, coarse)]
    assert strength[0] == pytest.approx(strength[1], rel=0.1)
    assert torch.equal(fine.targets, coarse.targets) and fine.pixel_mm * 4 == coarse.pixel_mm == 1.0


# The scanner


def test_pictures_are_on_the_scale_0_to_1_and_do_not_depend_on_the_batch(phantom):
    images = render(phantom.scatterers[:10])
    assert images.shape == (10, 1, 32, 32) and images.dtype == torch.float32
    assert float(images.min()) == 0 and 0.8 < float(images.max()) <= 1
    assert torch.allclose(images, render(phantom.scatterers[:10], batch=3), atol=1e-5)
    camera = ocular_camera(ocular_array(32)).train()
    render(phantom.scatterers[:2], camera)
    assert camera.training and reading_shape(camera, (2, 32, 32)) == (1, 32, 32)


def test_fewer_elements_make_a_wider_and_noisier_picture(phantom):
    """The side of the globe, resolved by 64 elements, is filled by 8; so is the vitreous, by noise."""
    scatterers = make_phantom(24, seed=3, size=64).scatterers
    contrast = []
    for keep in (64, 16, 8):
        chosen = torch.zeros(64).index_fill(0, torch.arange(32 - keep // 2, 32 + keep // 2), 1.0)
        image = render(scatterers, ocular_camera(ocular_array(logits=chosen, keep=keep)))[:, 0]
        contrast.append(float(image[:, 24:40, :3].mean() - image[:, 24:40, 28:36].mean()))
    assert contrast[0] > 1.2 * contrast[1] > 1.4 * contrast[2] > 0


@pytest.mark.parametrize("keep", [64, 16])
def test_display_shows_tissue_alike_at_every_depth(keep):
    """Time-gain compensation: what is as strong as the strongest wall is white in the mean, near and far."""
    generator = np.random.default_rng(1)
    block = np.full((FINE, FINE), REFERENCE**2)
    scatterers = torch.from_numpy(np.stack([scatter(generator, block, 64) for _ in range(20)]))
    chosen = torch.zeros(64).index_fill(0, torch.arange(32 - keep // 2, 32 + keep // 2), 1.0)
    array, _, display = ocular_camera(ocular_array(logits=chosen, keep=keep, noise_rms=0.0)).eval()
    middle = array(scatterers)[..., 12:-12] / display.reference[:, :1]
    level = 10 * middle.abs().square().mean((0, 1, 3)).log10()
    assert float(level.abs().max()) < 1.5 and float(level.mean()) == pytest.approx(0, abs=0.2)  # dB


def test_gain_of_the_display_follows_the_array_and_may_be_learned():
    camera = ocular_camera(ocular_array(weights=0.5))
    assert torch.allclose(tissue_gain(camera[0]), 0.25 * tissue_gain(ocular_array()))
    assert float(camera[2].reference[32].mean()) == pytest.approx(REFERENCE / 4, rel=0.02)  # at the focus
    logits = torch.nn.Parameter(torch.linspace(0, 1, 64))
    learned = ocular_camera(ocular_array(logits=logits, keep=20), reference=torch.nn.Parameter(torch.tensor(0.1)))
    assert learned[2].learned() == ("reference",) and learned[0].learned() == ("mask",)
    learned.train()(torch.rand(2, 2, 64, 64)).sum().backward()
    assert bool(learned[0].free_parameter("mask").grad.any())


# Reproducibility, patients


def test_eight_eyes_are_the_ones_that_were_published():
    phantom = make_phantom(8, seed=2024)
    # 64 levels: the last digit of a processor's square root moves no code, any change of the recipe moves many
    codes = np.rint(phantom.scatterers.numpy() * 63).astype(np.uint8)
    millimetres = np.rint(phantom.targets.numpy() * 100).astype(np.int32)
    assert hashlib.sha256(codes.tobytes() + millimetres.tobytes()).hexdigest() == GOLDEN


def test_fewer_eyes_are_a_prefix_of_more_and_two_seeds_share_nothing(phantom):
    few, other = make_phantom(5, seed=0, size=32), make_phantom(5, seed=1, size=32)
    assert torch.equal(few.scatterers, phantom.scatterers[:5]) and torch.equal(few.targets, phantom.targets[:5])
    assert few.groups.tolist() == phantom.groups[:5].tolist()
    assert all(np.array_equal(values, phantom.latents[name][:5]) for name, values in few.latents.items())
    assert not set(few.groups) & set(other.groups)
    assert not (few.targets[:, 0, None] == other.targets[:, 0]).any()


def test_both_eyes_of_a_patient_are_one_group_with_mirrored_nerves(phantom):
    assert phantom.groups.dtype.kind == "U" and phantom.groups[0] == phantom.groups[1] != phantom.groups[2]
    assert (np.unique(phantom.groups, return_counts=True)[1] == 2).all()
    assert (phantom.latents["nerve_mm"][::2] > 0).all() and (phantom.latents["nerve_mm"][1::2] < 0).all()
    for name in ("fat", "gain_db", "compensation_db_per_cm"):
        assert np.array_equal(phantom.latents[name][::2], phantom.latents[name][1::2])
    difference = (phantom.targets[::2] - phantom.targets[1::2]).abs()
    assert float(difference.mean()) < 0.35 and float(difference.max()) > 0.2


def test_brightness_and_place_do_not_tell_the_diameters(phantom):
    images = render(phantom.scatterers)
    features = [images.mean((1, 2, 3)).numpy(), phantom.latents["centre_x_mm"], phantom.latents["gain_db"]]
    for feature in features:
        for side in range(2):
            assert abs(np.corrcoef(feature, phantom.targets[:, side])[0, 1]) < 0.35


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 0}, "Expected images to be an integer of at least 1 and at most 1000000, but got 0."),
        ({"images": True}, "Expected images to be an integer"),
        ({"seed": -1}, "Expected seed to be an integer of at least 0, but got -1."),
        ({"size": 8}, "Expected size to be an integer of at least 16 and at most 128, but got 8."),
        ({"size": 48}, "Expected size to divide 128, but got 48."),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make_phantom(**({"images": 2, "seed": 0} | arguments))
