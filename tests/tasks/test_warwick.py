"""The Warwick gland folder, on a tiny copy of its layout, and on the real one where there is one."""

import numpy as np
import pytest
import torch
from PIL import Image

from physlayer.tasks.histology.warwick import load_folder

HEIGHT, WIDTH = 6, 9  # not square: a transposed image would show
NUMBERS = {"Train": ("01", "02", "10"), "Test": ("01", "02")}


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    made = {}
    for split, numbers in NUMBERS.items():
        for number in numbers:
            image = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            image[..., 2] = 0
            made[split, number] = image, generator.integers(0, 2, (HEIGHT, WIDTH), dtype=np.uint8)
    return made


@pytest.fixture
def folder(tmp_path, arrays):
    for (split, number), (image, mask) in arrays.items():
        save(tmp_path / split / f"image_{number}.png", image)
        save(tmp_path / split / f"label_{number}.png", 255 * mask)
    return tmp_path


def save(file, array):
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(file)


def test_images_have_two_stain_channels_and_masks_are_0_and_1(folder, arrays):
    train, test, encoding, notes = load_folder(folder)
    assert encoding == "linear" and "no light" in " ".join(notes)
    for found, split in ((train, "Train"), (test, "Test")):
        assert found.images.dtype == found.masks.dtype == torch.uint8
        assert len(found.images) == len(NUMBERS[split])
        for image, mask, group, number in zip(*found, NUMBERS[split], strict=True):
            expected, expected_mask = arrays[split, number]
            assert np.array_equal(image.permute(1, 2, 0), expected[..., :2])
            assert np.array_equal(mask, expected_mask)
            assert group == f"{split}-{number}"


def test_every_image_is_its_own_source(folder):
    train, test, *_ = load_folder(folder)
    groups = [*train.groups, *test.groups]
    assert len(set(groups)) == 5 and train.groups.dtype.kind == "U"


def test_images_that_use_blue_are_rgb(folder, arrays):
    for (split, number), (image, _) in arrays.items():
        save(folder / split / f"image_{number}.png", image + np.array([0, 0, 7], np.uint8))
    train, _, encoding, notes = load_folder(folder)
    assert train.images.shape == (3, 3, HEIGHT, WIDTH) and encoding == "srgb" and "sRGB" in notes[-1]


def test_two_stains_and_rgb_are_not_mixed(folder, arrays):
    save(folder / "Test" / "image_02.png", arrays["Test", "02"][0] + np.array([0, 0, 7], np.uint8))
    with pytest.raises(ValueError, match=r"Train/image_01.png with two stains and Test/image_02.png with RGB"):
        load_folder(folder)


def test_labels_may_be_saved_as_rgb_with_palette_or_as_bits(folder, arrays):
    before = load_folder(folder)[0].masks
    mask = Image.fromarray(255 * arrays["Train", "02"][1])
    for kind in ("RGB", "RGBA", "LA", "1", "P"):
        mask.convert(kind).save(folder / "Train" / "label_02.png")
        assert torch.equal(load_folder(folder)[0].masks, before)


def test_a_mask_of_another_size_is_refused(folder):
    save(folder / "Train" / "label_02.png", np.zeros((WIDTH, HEIGHT), np.uint8))
    with pytest.raises(ValueError, match=r"Train/label_02.png to have the 6×9 pixels .* got 9×6.*nearest"):
        load_folder(folder)


def test_images_of_different_sizes_are_refused(folder):
    for kind in ("image", "label"):
        array = np.zeros((8, 8, 3) if kind == "image" else (8, 8), np.uint8)
        save(folder / "Test" / f"{kind}_02.png", array)
    with pytest.raises(ValueError, match=r"8×8 in Test/image_02.png"):
        load_folder(folder)


def test_a_mask_with_other_values_is_refused(folder, arrays):
    save(folder / "Test" / "label_01.png", np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH))
    with pytest.raises(ValueError, match=r"Test/label_01.png .* got 1, 2, 3, 4, 5 and 48 others too.*label > 0"):
        load_folder(folder)
    save(folder / "Test" / "label_01.png", arrays["Test", "01"][0])
    with pytest.raises(ValueError, match="black and white"):
        load_folder(folder)


@pytest.mark.parametrize("kind", ["label", "image"])
def test_a_missing_partner_is_named(folder, kind):
    (folder / "Train" / f"{kind}_10.png").unlink()
    with pytest.raises(ValueError, match=rf"partner {kind}_10.png"):
        load_folder(folder)


@pytest.mark.parametrize("kind", ["label", "image"])
def test_an_unreadable_file_is_named(folder, kind):
    file = folder / "Train" / f"{kind}_02.png"
    for content in (file.read_bytes()[:-30], b"no image", b""):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"Train/{kind}_02.png to be a readable PNG"):
            load_folder(folder)


def test_a_grey_image_is_refused(folder):
    save(folder / "Train" / "image_01.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(ValueError, match=r"8 bits.*mode L"):
        load_folder(folder)


def test_an_empty_folder_and_missing_folders_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="which is missing"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="Train and Test are not there"):
        load_folder(tmp_path)
    (tmp_path / "Train").mkdir()
    (tmp_path / "Test").mkdir()
    with pytest.raises(ValueError, match=r"image_NN.png, but got none"):
        load_folder(tmp_path)


def test_a_test_image_that_is_also_in_train_is_reported(folder, arrays):
    assert "pixel by pixel" not in " ".join(load_folder(folder)[3])
    save(folder / "Test" / "image_02.png", arrays["Train", "10"][0])
    assert "1 test images are also in Train" in load_folder(folder)[3][-1]


@pytest.mark.realdata
def test_the_real_folder_has_85_and_60_images_half_of_them_gland(real):
    folder = real("warwick")
    train, test, encoding, notes = load_folder(folder)
    assert train.images.shape == (85, 2, 128, 128) and test.images.shape == (60, 2, 128, 128)
    assert encoding == "linear" and "50 % and 49 %" in notes[0] and "pixel by pixel" not in " ".join(notes)
    for part in (train, test):
        assert part.masks.unique().tolist() == [0, 1]
        assert min(mask.sum() for mask in part.masks) > 0
