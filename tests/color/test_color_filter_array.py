"""Colour filter arrays: facts F9.1–F9.3, the patterns, what is learned, and what leaves the sensor."""

import pytest
import torch
from kornia.color import CFA, rgb_to_raw
from torch import nn
from torch.nn import functional as F

from physlayer import BitDepth, ColorFilterArray, Exposure, annealed_sharpness, export_camera, seed_noise
from physlayer.color.cfa_patterns import PATTERNS, filter_transmissions, pattern_from_code, pattern_rows, tile_from_rows
from physlayer.color.mosaicking import demosaick, pack_phases


def colours(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def logits(*shape, seed=0, scale=0.1):
    return nn.Parameter(scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def test_convention_rggb_has_red_at_the_upper_left_pixel_and_blue_at_its_diagonal():
    scene = torch.tensor([0.9, 0.6, 0.3]).view(1, 3, 1, 1).expand(1, 3, 4, 6)
    y = 3 * ColorFilterArray("bayer").eval()(scene)[0, 0]
    assert torch.allclose(y[:2, :2], torch.tensor([[0.9, 0.6], [0.6, 0.3]]))
    assert torch.equal(y[:2, :2].repeat(2, 3), y)


@pytest.mark.parametrize(("rows", "name"), [("RG/GB", "BG"), ("GR/BG", "GB"), ("BG/GR", "RG"), ("GB/RG", "GR")])
def test_bayer_mosaics_are_those_of_kornia_which_names_them_by_another_pixel(rows, name):
    x = colours(2, 3, 6, 8)
    assert torch.allclose(3 * ColorFilterArray(rows).eval()(x), rgb_to_raw(x, CFA[name]), atol=1e-6)


@pytest.mark.parametrize("rows", ["RG/GB", "GR/BG", "BG/GR", "GB/RG"])
@pytest.mark.parametrize("size", [(6, 8), (7, 9), (2, 3)])
def test_a_flat_colour_passes_bayer_and_demosaicking_unchanged(rows, size):
    """F9.1: grey and any colour, up to the border and on odd sides."""
    cfa = ColorFilterArray(rows, output="demosaicked").eval()
    for colour in ([0.5, 0.5, 0.5], [0.9, 0.2, 0.6]):
        flat = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, *size)
        assert torch.allclose(cfa(flat), flat, atol=1e-6)


def test_bayer_tile_is_a_quarter_red_half_green_a_quarter_blue():
    """F9.1."""
    shares = tile_from_rows(pattern_rows("bayer"), "RGB").mean((1, 2))
    assert shares.tolist() == [0.25, 0.5, 0.25]


def test_demosaicking_keeps_what_was_read_and_passes_a_ramp_within_the_image():
    x = colours(1, 3, 8, 10)
    y = demosaick(3 * ColorFilterArray("bayer").eval()(x))
    assert torch.allclose(y[:, 0, ::2, ::2], x[:, 0, ::2, ::2]) and torch.allclose(
        y[:, 2, 1::2, 1::2], x[:, 2, 1::2, 1::2]
    )
    assert torch.allclose(y[:, 1, ::2, 1::2], x[:, 1, ::2, 1::2])
    ramp = (torch.arange(8.0)[:, None] + 2 * torch.arange(10.0)).div(30).expand(1, 3, 8, 10)
    cfa = ColorFilterArray("bayer", output="demosaicked").eval()
    assert torch.allclose(cfa(ramp)[..., 2:-2, 2:-2], ramp[..., 2:-2, 2:-2], atol=1e-6)


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_mosaic_is_linear_and_one_filter_stands_at_each_place(name):
    """F9.2."""
    cfa = ColorFilterArray(name).eval()
    a, b = colours(2, 3, 9, 11), colours(2, 3, 9, 11, seed=1)
    assert torch.allclose(cfa(0.3 * a + 0.5 * b), 0.3 * cfa(a) + 0.5 * cfa(b), atol=1e-6)
    assert torch.equal(cfa.tile.sum(0), torch.ones(cfa.pitch))


@pytest.mark.parametrize("name", ["bayer", "x-trans"])
def test_a_mosaic_of_a_mosaic_is_itself(name):
    """F9.2: filters of one channel each."""
    cfa = ColorFilterArray(name).eval()
    y = 3 * cfa(colours(2, 3, 12, 12))
    assert torch.allclose(3 * cfa(y.expand(-1, 3, -1, -1)), y)


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_mosaic_is_that_of_a_loop_over_pixels(name):
    x = colours(1, 3, 9, 10).double()
    y, rows = ColorFilterArray(name).double().eval()(x), pattern_rows(name)
    for u in range(9):
        for v in range(10):
            letter = rows[u % len(rows)][v % len(rows[0])]
            expected = x[0, :, u, v].sum() if letter == "W" else x[0, "RGB".index(letter), u, v]
            assert float(y[0, 0, u, v]) == pytest.approx(float(expected) / 3)


def test_all_layouts_of_red_green_and_blue_read_a_grey_scene_alike():
    """F9.3: a monochrome scene, equal quantum efficiency; white reads three times as much."""
    grey = colours(2, 1, 12, 12).expand(-1, 3, -1, -1)
    bayer = ColorFilterArray("bayer").eval()(grey)
    assert torch.equal(bayer, ColorFilterArray("x-trans").eval()(grey))
    assert torch.equal(bayer, ColorFilterArray(tile_from_rows(("BR", "GG"))).eval()(grey))
    assert torch.allclose(ColorFilterArray("white").eval()(grey), 3 * bayer)


def test_light_stays_within_full_scale_and_its_share_is_that_of_the_pattern():
    light = torch.ones(1, 3, 24, 24)
    for name in PATTERNS:
        cfa = ColorFilterArray(name).eval()
        assert float(cfa(light).max()) <= 1 + 1e-6
        assert cfa.cost((3, 24, 24))["transmission"] == pytest.approx(float(cfa(light).mean()), abs=1e-6)
    assert ColorFilterArray("bayer").cost((3, 24, 24))["transmission"] == pytest.approx(1 / 3)
    assert ColorFilterArray("chakrabarti").cost((3, 24, 24))["transmission"] == pytest.approx((39 + 25 / 3) / 64)


def test_published_learned_pattern_has_39_white_9_green_8_red_8_blue():
    tile = tile_from_rows(PATTERNS["chakrabarti"], "RGBW")
    assert tile.shape == (4, 8, 8) and tile.sum((1, 2)).tolist() == [8, 9, 8, 39]
    assert PATTERNS["chakrabarti"][0] == "WGWWRWWW"  # reading order: 31330333


def test_x_trans_has_every_colour_in_every_row_and_column_and_20_green_of_36():
    rows = PATTERNS["x-trans"]
    for line in (*rows, *("".join(column) for column in zip(*rows, strict=True))):
        assert set(line) == set("RGB")
    assert [sum(row.count(c) for row in rows) for c in "RGB"] == [8, 20, 8]


def test_packed_phases_keep_every_reading_and_never_mix_filters():
    x = torch.tensor([0.9, 0.6, 0.3]).view(1, 3, 1, 1) * torch.ones(1, 1, 6, 4)
    packed = 3 * ColorFilterArray("RG/GB", output="packed").eval()(x)
    assert torch.allclose(packed[0].amax((1, 2)), torch.tensor([0.9, 0.6, 0.6, 0.3]))
    assert torch.allclose(packed[0].amin((1, 2)), torch.tensor([0.9, 0.6, 0.6, 0.3]))
    y = colours(2, 1, 6, 9)
    assert torch.equal(pack_phases(y[..., :6], (2, 2)), F.pixel_unshuffle(y[..., :6], 2))
    assert torch.equal(pack_phases(y, (2, 3)).flatten().sort().values, y.flatten().sort().values)
    with pytest.raises(ValueError, match=r"whole tiles of 2×2 pixels, but got 6×9; crop to x\[..., :6, :8\]"):
        pack_phases(y, (2, 2))


def test_noise_and_codes_come_between_the_mosaic_and_its_decoder():
    x = colours(2, 3, 8, 8)
    cfa = ColorFilterArray("bayer")
    camera = nn.Sequential(cfa, Exposure(3.0), BitDepth(4), cfa.decoder(output="packed")).eval()
    y = camera(x)
    assert y.shape == (2, 4, 4, 4) and torch.allclose(15 * y, (15 * y).round(), atol=1e-5)
    colour = nn.Sequential(cfa, cfa.decoder(output="demosaicked"))(x)
    assert torch.equal(colour, ColorFilterArray("bayer", output="demosaicked")(x))
    layers = export_camera(camera, (3, 8, 8))["layers"]
    assert [layer["layer"] for layer in layers] == [
        "ColorFilterArray",
        "Exposure",
        "BitDepth",
    ]  # the decoder is digital
    learned = ColorFilterArray(logits(4, 2, 2))
    assert len(list(nn.Sequential(learned, learned.decoder(output="packed")).parameters())) == 1


@pytest.mark.parametrize("relaxation", ["straight_through", "softmax"])
def test_evaluation_reads_one_filter_per_pixel_whatever_the_relaxation(relaxation):
    cfa = ColorFilterArray(logits(4, 3, 5), relaxation=relaxation)
    x = colours(2, 3, 9, 10)
    tile = cfa.physical()["tile"]
    assert torch.equal(cfa.hard(x), ColorFilterArray(tile).eval()(x))
    assert torch.equal(tile.argmax(0), cfa.tile_logits.argmax(0))
    soft = cfa.train()(x)
    assert torch.equal(soft, cfa.hard(x)) == (relaxation == "straight_through")


def test_what_a_filter_blocks_does_not_leak_in_evaluation_nor_in_straight_through_training():
    cfa = ColorFilterArray(logits(4, 2, 2))
    x = colours(1, 3, 4, 4).requires_grad_()
    for mode in (True, False):
        (grad,) = torch.autograd.grad(cfa.train(mode)(x).sum(), x)
        passed = torch.einsum("lpq,lc->cpq", cfa.physical()["tile"], cfa.transmission) / 3
        assert torch.equal(grad[0], passed.repeat(1, 2, 2))


def test_a_sharp_softmax_is_the_choice_and_its_gradient_is_the_published_one():
    """Chakrabarti 2016: dL/dw = α π (g − ⟨π, g⟩)."""
    cfa = ColorFilterArray(logits(4, 2, 2), relaxation="softmax").double().train()
    x = colours(3, 3, 4, 4).double()
    cfa.set_sharpness(5.0)
    weights = colours(3, 1, 4, 4, seed=2).double()
    (cfa(x) * weights).sum().backward()
    share = torch.softmax(5.0 * cfa.tile_logits.detach(), 0)
    light = torch.einsum("bchw,lc->blhw", x, cfa.transmission) / 3
    g = (light * weights).sum(0).reshape(4, 2, 2, 2, 2).sum((1, 3))
    expected = 5.0 * share * (g - (share * g).sum(0))
    assert torch.allclose(cfa.free_parameter("tile").grad, expected)
    cfa.set_sharpness(1e6)
    assert torch.allclose(cfa(x), cfa.hard(x), atol=1e-9)


def test_sharpness_follows_the_published_schedule_and_is_restored_with_the_state():
    assert annealed_sharpness(0, 10) == 1 and annealed_sharpness(10, 10) == 400
    cfa = ColorFilterArray(logits(4, 2, 2), relaxation="softmax")
    cfa.set_sharpness(annealed_sharpness(4, 8))
    other = ColorFilterArray(logits(4, 2, 2, seed=1), relaxation="softmax")
    other.load_state_dict(cfa.state_dict())
    assert float(other.sharpness) == pytest.approx(100.75)


@pytest.mark.parametrize("relaxation", ["straight_through", "softmax"])
def test_a_planted_pattern_is_found_again_from_its_mosaics(relaxation):
    planted = ColorFilterArray("GBW/RWG").eval()
    cfa = ColorFilterArray(logits(4, 2, 3, seed=3), relaxation=relaxation)
    assert cfa.layout() != ["GBW", "RWG"]
    optimizer = torch.optim.Adam(cfa.parameters(), lr=0.05)
    for step in range(150):
        cfa.set_sharpness(annealed_sharpness(step, 150, last=50.0))
        x = colours(4, 3, 12, 12, seed=step)
        loss = 100 * (cfa.train()(x) - planted(x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert cfa.layout() == ["GBW", "RWG"]


def test_gumbel_noise_shows_every_image_other_filters_in_training_only():
    cfa = ColorFilterArray(logits(4, 4, 4), gumbel=True).train()
    seed_noise(cfa, 0)
    x = colours(1, 3, 8, 8).expand(2, -1, -1, -1)
    y = cfa(x)
    assert not torch.equal(y[0], y[1])
    assert torch.equal(cfa.eval()(x)[0], cfa(x)[1])


def test_infrared_and_neutral_density_filters_are_rows_of_the_transmissions():
    passed = filter_transmissions("RGBWIN", "RGBI", neutral_density=0.1)
    cfa = ColorFilterArray("WI/NR", transmission=passed, filters="RGBWIN").eval()
    scene = torch.tensor([0.2, 0.4, 0.6, 0.8]).view(1, 4, 1, 1).expand(1, 4, 2, 2)
    assert torch.allclose(4 * cfa(scene)[0, 0], torch.tensor([[1.2, 0.8], [0.12, 0.2]]))


def test_what_is_wrong_with_a_tile_or_an_image_is_said():
    with pytest.raises(ValueError, match="one 1 at each place"):
        ColorFilterArray(torch.rand(4, 2, 2))
    with pytest.raises(ValueError, match="add to filters"):
        ColorFilterArray("RG/GX")
    with pytest.raises(ValueError, match="one of white, bayer"):
        ColorFilterArray("bayes")
    with pytest.raises(ValueError, match="given Bayer tile"):
        ColorFilterArray(logits(4, 2, 2), output="demosaicked")
    with pytest.raises(ValueError, match="given Bayer tile"):
        ColorFilterArray("x-trans", output="demosaicked")
    with pytest.raises(ValueError, match="3 channels"):
        ColorFilterArray("bayer")(torch.rand(1, 4, 8, 8))
    with pytest.raises(ValueError, match="whole tiles of 6×6"):
        ColorFilterArray("x-trans", output="packed")(torch.rand(1, 3, 13, 12))
    with pytest.raises(ValueError, match="as many letters"):
        ColorFilterArray("RG/GB", transmission=torch.eye(3))
    with pytest.raises(ValueError, match="digits below 4"):
        pattern_from_code("0124", 2)
    with pytest.raises(ValueError, match="behind output='mosaic'"):
        ColorFilterArray("bayer", output="packed").decoder(output="packed")


def test_half_precision_around_the_camera_does_not_round_its_light():
    x = colours(2, 3, 8, 8)
    for output in ("mosaic", "packed", "demosaicked"):
        cfa = ColorFilterArray("bayer", output=output).eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = cfa(x)
        assert y.dtype == torch.float32 and torch.equal(y, cfa(x))


def test_planes_hold_every_reading_once_and_tell_where_its_filter_is():
    x = torch.rand(2, 3, 11, 9, generator=torch.Generator().manual_seed(0))
    logits = nn.Parameter(0.1 * torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1)))
    array = ColorFilterArray(logits).train()
    planes = nn.Sequential(array, array.decoder(output="planes"))(x)
    assert planes.shape == (2, 4, 11, 9) and torch.equal(planes.sum(1, keepdim=True), array(x))
    assert bool(((planes != 0).sum(1) <= 1).all())
    planes.square().sum().backward()
    assert float(logits.grad.abs().min()) > 0
    assert ColorFilterArray("chakrabarti", output="planes")(x).shape == (2, 4, 11, 9)
    with pytest.raises(ValueError, match="Expected gumbel=False for planes"):
        ColorFilterArray("bayer", output="planes", gumbel=True)
