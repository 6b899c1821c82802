"""PatchCamelyon's files and a folder with a table, both written by the test in miniature."""

import csv
import gzip

import numpy as np
import pytest
import torch
from PIL import Image

from physlayer.tasks.lymph_nodes.loaders import load_image_folder, load_patch_camelyon

HEIGHT, WIDTH = 5, 7  # not square: a transposed image would show
COUNTS = {"train": 9, "valid": 4, "test": 5}
PREFIX = "camelyonpatch_level_2_split_"


# PatchCamelyon


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {
        split: (generator.integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8), np.arange(count) % 2)
        for split, count in COUNTS.items()
    }


@pytest.fixture
def camelyon(tmp_path, arrays):
    for split, (images, labels) in arrays.items():
        write(tmp_path / f"{PREFIX}{split}_x.h5", x=images)
        write(tmp_path / f"{PREFIX}{split}_y.h5", y=labels.astype(np.uint8).reshape(-1, 1, 1, 1))
    return tmp_path


def write(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def write_table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_validation_split_may_be_missing(camelyon):
    for part in "xy":
        (camelyon / f"{PREFIX}valid_{part}.h5").unlink()
    assert list(load_patch_camelyon(camelyon)[0]) == ["train", "test"]


def test_patches_come_with_their_labels_and_split(camelyon, arrays):
    sets, notes = load_patch_camelyon(camelyon)
    assert list(sets) == ["train", "valid", "test"]
    for split, part in sets.items():
        images, labels = arrays[split]
        assert part.images.dtype == torch.uint8 and part.targets.dtype == torch.int64
        assert np.array_equal(part.images.permute(0, 2, 3, 1), images)
        assert np.array_equal(part.targets, labels)
        assert len(set(part.groups)) == len(images) and part.groups.dtype.kind == "U"
    assert "keep the official split" in notes[-1]


def test_a_limit_draws_patches_with_their_own_labels_and_slides(camelyon, arrays):
    for split, count in COUNTS.items():
        slides = [["tumor_patch", "wsi"], *([n % 2, f"slide_{n}"] for n in range(count))]
        write_table(camelyon / f"{PREFIX}{split}_meta.csv", slides)
    sets, notes = load_patch_camelyon(camelyon, limit=4, seed=3)
    images, labels = arrays["train"]
    assert len(sets["train"].targets) == 4 and not any("official" in note for note in notes)
    for image, target, group in zip(*sets["train"], strict=True):
        number = int(group.removeprefix("slide_"))
        assert np.array_equal(image.permute(1, 2, 0), images[number]) and target == labels[number]
    again, other = (load_patch_camelyon(camelyon, limit=4, seed=seed)[0]["train"] for seed in (3, 4))
    assert list(again.groups) == list(sets["train"].groups) != list(other.groups)


def test_rows_are_read_right_across_blocks(camelyon, arrays, monkeypatch):
    monkeypatch.setattr("physlayer.tasks.hdf5.BLOCK", 2)
    train = load_patch_camelyon(camelyon, limit=5)[0]["train"]
    numbers = [int(group.removeprefix("train-")) for group in train.groups]
    assert np.array_equal(train.images.permute(0, 2, 3, 1), arrays["train"][0][numbers])


def test_slides_of_another_number_of_patches_are_refused(camelyon):
    write_table(camelyon / f"{PREFIX}valid_meta.csv", [["wsi"], ["a"], ["b"]])
    with pytest.raises(ValueError, match="4 rows and a column wsi, but got 2 rows"):
        load_patch_camelyon(camelyon)


def test_files_that_are_missing_packed_or_damaged_are_named(camelyon, tmp_path):
    file = camelyon / f"{PREFIX}valid_y.h5"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"split_valid_y.h5 to be a whole HDF5 file"):
        load_patch_camelyon(camelyon)
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content))
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"unpack .*valid_y.h5.gz first"):
        load_patch_camelyon(camelyon)
    with pytest.raises(FileNotFoundError, match="which is missing"):
        load_patch_camelyon(tmp_path / "nowhere")


def test_arrays_of_another_name_shape_or_kind_are_refused(camelyon, arrays):
    images, labels = arrays["test"]
    file, labels_file = (camelyon / f"{PREFIX}test_{part}.h5" for part in "xy")
    write(file, images=images)
    with pytest.raises(ValueError, match="to hold an array x, but got images"):
        load_patch_camelyon(camelyon)
    for wrong in (images / 255, images[..., 0]):
        write(file, x=wrong)
        with pytest.raises(ValueError, match=r"uint8 \(N, H, W, 3\)"):
            load_patch_camelyon(camelyon)
    write(file, x=images)
    write(labels_file, y=labels[:-1])
    with pytest.raises(ValueError, match="a label for each of 5 patches"):
        load_patch_camelyon(camelyon)
    write(labels_file, y=labels + 1)
    with pytest.raises(ValueError, match="0 or 1, but got 2"):
        load_patch_camelyon(camelyon)


def test_without_h5py_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install h5py"):
        load_patch_camelyon(tmp_path)


# A folder with a table


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(1)
    (tmp_path / "train").mkdir()
    for number in range(4):
        image = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "train" / f"p{number}.tif")
    # the table has an order of its own
    write_table(tmp_path / "train_labels.csv", [["id", "label"], ["p2", 1], ["p0", 0], ["p3", 1], ["p1", 0]])
    return tmp_path


def test_images_get_the_labels_of_their_names(folder):
    patches, notes = load_image_folder(folder)
    assert patches.targets.tolist() == [1, 0, 1, 0] and list(patches.groups) == ["p2", "p0", "p3", "p1"]
    for image, group in zip(patches.images, patches.groups, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(Image.open(folder / "train" / f"{group}.tif")))
    assert "both sides" in notes[-1]


def test_ids_may_have_endings_and_rows_may_name_slides(folder):
    rows = [["id", "label", "slide"], ["p0.tif", 0, "a"], ["p1.tif", 1, "a"], ["p2.tif", 1, "b"]]
    write_table(folder / "mine.csv", rows)
    patches, notes = load_image_folder(folder, table=folder / "mine.csv")
    assert list(patches.groups) == ["a", "a", "b"] and patches.targets.tolist() == [0, 1, 1]
    assert "column slide: 2" in notes[-1]
    assert len(load_image_folder(folder, table=folder / "mine.csv", limit=2)[0].targets) == 2


def test_tables_that_are_wrong_are_refused(folder):
    table = folder / "train_labels.csv"
    for rows, message in (
        ([["name", "label"], ["p0", 0]], "columns id,label, but got name,label"),
        ([["id", "label"], ["p0", 2]], "0 or 1, but got 2"),
        ([["id", "label"], ["p0", ""]], "0 or 1"),
        ([["id", "label"], ["p0", 0], ["p0", 0]], "p0 twice"),
        ([["id", "label"]], "a line of names and rows below"),
        ([["id", "label"], ["p0", 0], ["p9", 0]], r"none for 1 of 2 \(first: p9\)"),
        ([["id", "label", "wsi"], ["p0", 0, ""]], "name its wsi"),
    ):
        write_table(table, rows)
        with pytest.raises(ValueError, match=message):
            load_image_folder(folder)
    table.unlink()
    with pytest.raises(FileNotFoundError, match="id,label"):
        load_image_folder(folder)


def test_an_image_that_is_unreadable_or_of_another_size_is_named(folder):
    file = folder / "train" / "p3.tif"
    Image.new("RGB", (HEIGHT, WIDTH)).save(file)
    with pytest.raises(ValueError, match=r"pixels of p2.tif, but got 7×5 in p3.tif"):
        load_image_folder(folder)
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint16)).save(file)
    with pytest.raises(ValueError, match=r"p3.tif to have 8 bits per channel, but got 16"):
        load_image_folder(folder)
    file.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"Expected every file to be a readable image, but got p3.tif"):
        load_image_folder(folder)


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(folder, limit):
    with pytest.raises(ValueError, match="limit to be 1 or more"):
        load_image_folder(folder, limit=limit)
