"""Loaders of real ultrasound: units, order, patients, and the errors that a user's own files need."""

import csv
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from physlayer.tasks.ultrasound import loaders
from physlayer.tasks.ultrasound.diameters import reduce_images
from physlayer.tasks.ultrasound.loaders import load_folder, load_hdf5, patient_of

NAMES = ("017_HC.png", "017_2HC.png", "020_HC.png")
LABELS = ((10.0, 6.0, 0.5), (11.0, 6.5, 0.5), (5.0, 3.0, 0.25))


def write(folder, names=NAMES, labels=LABELS, columns="file,horizontal_mm,vertical_mm,pixel_mm,more", images=NAMES):
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(exist_ok=True)
    for name in images:
        Image.fromarray(generator.integers(0, 256, (20, 30), dtype=np.uint8)).save(folder / "images" / name)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [[name, *label, "x"] for name, label in zip(names, labels, strict=True)]
        csv.writer(file).writerows([columns.split(","), *rows])
    return folder


def write_hdf5(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


# Folder


def test_folder_gives_millimetres_shares_and_patients(tmp_path):
    found = load_folder(write(tmp_path), size=(10, 15))
    assert found.images.shape == (3, 1, 10, 15) and found.images.dtype == found.targets.dtype == torch.float32
    assert found.targets.tolist() == [[10.0, 6.0], [11.0, 6.5], [5.0, 3.0]]
    assert found.groups.tolist() == ["017", "017", "020"] and found.groups.dtype.kind == "U"
    assert found.extent_mm.tolist() == [[15.0, 10.0], [15.0, 10.0], [7.5, 5.0]]  # 30 columns and 20 rows
    assert torch.allclose(found.fractions()[0], torch.tensor([10 / 15, 6 / 10]))
    assert torch.allclose(found.fractions() * found.extent_mm, found.targets)
    assert found.notes == ("3 images of 2 patients; count patients, not images.",)


def test_pixels_are_means_of_codes_over_full_scale(tmp_path):
    codes = np.asarray(Image.open(write(tmp_path) / "images" / NAMES[0])) / 255
    found = load_folder(tmp_path, size=(10, 15)).images[0, 0].numpy()
    assert np.allclose(found, codes.reshape(10, 2, 15, 2).mean((1, 3)), atol=1e-6)
    cut = load_folder(tmp_path, size=None, crop=0.2).images[0, 0].numpy()
    assert np.allclose(cut, codes[2:18, 3:27], atol=1e-7)


def test_crop_changes_the_extent_and_the_shares_but_no_millimetre(tmp_path):
    whole, cut = (load_folder(write(tmp_path), size=(8, 12), crop=crop) for crop in (0.0, 0.2))
    assert torch.equal(whole.targets, cut.targets)
    assert torch.allclose(cut.extent_mm, 0.8 * whole.extent_mm)
    assert torch.allclose(cut.fractions(), whole.fractions() / 0.8)
    tight = load_folder(tmp_path, size=(4, 6), crop=0.5)
    assert tight.notes[1] == "A diameter of 3 images is larger than what the crop of 50% leaves of them."


def test_areas_of_any_ratio_keep_the_mean_and_flat_images():
    images = torch.rand(2, 1, 17, 23, dtype=torch.float64)
    reduced, left = reduce_images(images, (5, 7), 0.0)
    assert left == (17, 23) and torch.allclose(reduced.mean((2, 3)), images.mean((2, 3)))
    assert torch.allclose(reduce_images(torch.ones(1, 1, 17, 23), (5, 7), 0.1)[0], torch.ones(1, 1, 5, 7))


def test_images_of_16_bits_and_of_colours_keep_their_light(tmp_path):
    write(tmp_path, names=NAMES[:2], labels=LABELS[:2], images=NAMES[:2])
    counts = np.random.default_rng(1).integers(0, 2**16, (20, 30), dtype=np.uint16)
    colours = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for name, codes in zip(NAMES[:2], (counts, colours), strict=True):
        Image.fromarray(codes).save(tmp_path / "images" / name)
    found = load_folder(tmp_path, size=None).images[:, 0]
    assert np.allclose(found[0], counts / 65535, atol=1e-6)
    grey = np.asarray(Image.fromarray(colours).convert("L")) / 255
    assert np.allclose(found[1], grey, atol=1.01 / 255)


def test_a_column_names_the_patients_where_files_do_not(tmp_path):
    eyes = ("left.png", "right.png", "other.png")
    labels = [(*label, patient) for label, patient in zip(LABELS, ("anna", "anna", "otto"), strict=True)]
    columns = "file,horizontal_mm,vertical_mm,pixel_mm,patient,more"
    told = load_folder(write(tmp_path, names=eyes, labels=labels, columns=columns, images=eyes), size=15)
    assert told.groups.tolist() == ["anna", "anna", "otto"] and "of 2 patients" in told.notes[0]
    unknown = load_folder(write(tmp_path, names=eyes, labels=LABELS, images=eyes), size=15)
    assert len(set(unknown.groups)) == 3 and "NO PATIENT IS KNOWN" in unknown.notes[0]
    labels[1] = (*LABELS[1], "")
    with pytest.raises(ValueError, match=r"name the patient of every image, but not right\.png"):
        load_folder(write(tmp_path, names=eyes, labels=labels, columns=columns, images=eyes))


def test_columns_alone_keep_pixels_square():
    assert reduce_images(torch.zeros(1, 1, 24, 32), 24, 0.0)[0].shape == (1, 1, 18, 24)
    assert reduce_images(torch.zeros(1, 1, 270, 400), 80, 0.0)[0].shape == (1, 1, 54, 80)


@pytest.mark.parametrize(
    ("name", "patient"),
    [("017_HC.png", "017"), ("017_2HC.png", "017"), ("126_3HC.png", "126"), ("left_HC.png", "left_HC")],
)
def test_pictures_of_one_patient_share_a_group(name, patient):
    assert patient_of(name) == patient


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": "file,horizontal_mm,vertical_mm,pixel,more"}, "to have the columns .* but got no pixel_mm"),
        ({"names": (), "labels": ()}, "Expected labels.csv to hold a line of names and rows below"),
        ({"images": NAMES[:2]}, "Expected an image for every label, but got none in images for 020_HC.png"),
        ({"images": (*NAMES, "021_HC.png")}, "Expected a label for every image, .* labels.csv for 021_HC.png"),
        ({"names": (NAMES[0], *NAMES[:2])}, "Expected one label per file, but got several for 017_HC.png"),
        ({"labels": (LABELS[0], ("nan", 5, 0.5), LABELS[2])}, "above 0, but got NaN, .* in 017_2HC.png"),
        ({"labels": (LABELS[0], (5, -5, 0.5), LABELS[2])}, "above 0, but got NaN, infinity, 0 or less in 017_2HC"),
        ({"labels": (LABELS[0], ("", 5, 0.5), LABELS[2])}, "horizontal_mm of 017_2HC.png to be a number, but got ''"),
        ({"labels": (LABELS[0], (5, "5,2", 0.5), LABELS[2])}, "vertical_mm of 017_2HC.png to be a number"),
        ({"labels": (LABELS[0], (50, 30, 0.5), LABELS[2])}, "15 × 10 mm, but got 50 × 30 mm in 017_2HC.png"),
    ],
)
def test_labels_that_do_not_match_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load_folder(write(tmp_path, **changes), size=(4, 4))


def test_unreadable_and_odd_images_are_named(tmp_path):
    file = write(tmp_path) / "images" / NAMES[1]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"Expected every image to be readable, but got 017_2HC\.png"):
        load_folder(tmp_path, size=(4, 4))
    file.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"readable, but got 017_2HC\.png: cannot identify"):
        load_folder(tmp_path, size=(4, 4))
    Image.fromarray(np.zeros((20, 31), np.uint8)).save(file)
    with pytest.raises(ValueError, match=r"20×30 pixels of 017_HC\.png, but got 20×31 in 017_2HC\.png"):
        load_folder(tmp_path, size=(4, 4))


def test_missing_folder_and_impossible_sizes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected .*nowhere to hold labels\.csv and images"):
        load_folder(tmp_path / "nowhere")
    write(tmp_path)
    with pytest.raises(ValueError, match=r"Expected size to be whole and at most 20×30, .* but got"):
        load_folder(tmp_path, size=(40, 30))
    with pytest.raises(ValueError, match=r"Expected crop to be a share in 0…0\.9, but got 1"):
        load_folder(tmp_path, crop=1)


# HDF5


def test_convention_hdf5_labels_are_vertical_first_in_centimetres(tmp_path):
    codes = np.random.default_rng(0).integers(0, 256, (3, 20, 40), dtype=np.uint8)
    meta = np.array([[2.0, 3.0], [2.1, 2.9], [2.2, 2.8]])
    found = load_hdf5(write_hdf5(tmp_path / "us.h5", images=codes, meta=meta), pixel_mm=1.5)
    assert torch.allclose(found.targets, torch.tensor([[30.0, 20.0], [29.0, 21.0], [28.0, 22.0]]))
    assert found.images.shape == (3, 1, 16, 32) and found.images.dtype == found.targets.dtype == torch.float32
    assert np.allclose(found.images[:, 0].numpy(), codes[:, 2:18, 4:36] / 255, atol=1e-6)
    assert torch.allclose(found.extent_mm, torch.tensor([[48.0, 24.0]]).expand(3, 2))
    assert found.groups.tolist() == ["image-00000", "image-00001", "image-00002"]
    assert "NO PATIENT IS KNOWN" in found.notes[0] and "20×40 to 16×32 pixels" in found.notes[1]


def test_groups_of_an_hdf5_file_are_the_patients(tmp_path):
    images, meta = np.random.rand(3, 20, 20), np.array([[2.0, 3.0], [2.1, 2.9], [2.2, 2.8]])
    found = load_hdf5(write_hdf5(tmp_path / "us.h5", images=images, meta=meta, groups=np.array([b"a", b"a", b"b"])))
    assert found.groups.tolist() == ["a", "a", "b"] and "2 patients" in found.notes[0]
    with pytest.raises(ValueError, match="patients of 3 images, but got 2 names"):
        load_hdf5(write_hdf5(tmp_path / "us.h5", images=images, meta=meta, groups=np.array([1, 2])))


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.array([0, 51, 255], np.uint8), [0, 0.2, 1]),
        (np.array([0, 1000, 65535], np.uint16), [0, 1000 / 65535, 1]),
        (np.array([0, 0.25, 0.5]), [0, 0.25, 0.5]),
        (np.array([0.0, 51.0, 204.0]), [0, 0.2, 0.8]),
        (np.array([-2.0, 0.0, 2.0]), [0, 0.5, 1]),
        (np.array([0, 500, 1000]), [0, 0.5, 1]),
        (np.array([300.0, 300.0, 300.0]), [0, 0, 0]),
    ],
)
def test_values_are_scaled_by_one_rule_for_the_file(images, expected):
    assert loaders._scaled(images.reshape(3, 1, 1))[0].flatten().tolist() == pytest.approx(expected)


def test_channels_are_kept_and_without_a_pixel_there_are_no_shares(tmp_path):
    path = write_hdf5(tmp_path / "us.h5", images=np.random.rand(2, 3, 20, 20), meta=np.full((2, 2), 2.4))
    found = load_hdf5(path, size=(8, 8))
    assert found.images.shape == (2, 3, 8, 8) and found.extent_mm is None
    with pytest.raises(ValueError, match="Expected the size of a pixel to be known, but got none; load with pixel_mm"):
        found.fractions()


GOOD = {"images": np.zeros((2, 10, 10)), "meta": np.full((2, 2), 2.4)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GOOD["images"], "meta": GOOD["meta"]}, "to hold an array images, but got meta, pictures"),
        ({"images": GOOD["images"]}, "to hold an array meta, but got images"),
        (GOOD | {"meta": np.full((3, 2), 2.4)}, r"Expected /meta to be \(2, 2\), vertical .* but got float64 \(3, 2\)"),
        (GOOD | {"meta": np.full(2, 2.4)}, r"but got float64 \(2,\)"),
        (GOOD | {"meta": np.array([[2.4, 2.4], [np.nan, 2.4]])}, "but got NaN, .* in row 1 of /meta"),
        (GOOD | {"meta": np.full((2, 2), 24.0)}, "Expected /meta to be in cm, but got 24, which looks like mm"),
        (GOOD | {"images": np.zeros((2, 10))}, r"Expected /images to be numbers .* but got float64 \(2, 10\)"),
        (GOOD | {"images": np.zeros((2, 10, 10, 3))}, "looks like"),
        (GOOD | {"images": np.full((2, 10, 10), np.nan)}, "Expected /images to be finite"),
    ],
)
def test_hdf5_that_is_not_such_a_file_is_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        load_hdf5(write_hdf5(tmp_path / "us.h5", **arrays))


def test_missing_and_damaged_hdf5_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected an HDF5 file .*us\.h5, but got none"):
        load_hdf5(tmp_path / "us.h5")
    pytest.importorskip("h5py")
    (tmp_path / "us.h5").write_bytes(b"no file of that kind")
    with pytest.raises(ValueError, match=r"Expected us\.h5 to be a whole HDF5 file, but got"):
        load_hdf5(tmp_path / "us.h5")


def test_hdf5_whose_damage_shows_when_it_is_read_is_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = write_hdf5(tmp_path / "us.h5", meta=GOOD["meta"])
    pictures = np.random.default_rng(0).integers(0, 255, GOOD["images"].shape, dtype=np.uint8)
    with h5py.File(path, "a") as file:
        file.create_dataset("images", data=pictures, chunks=True, fletcher32=True)
    held = path.read_bytes()
    place = held.index(pictures.tobytes()[:64])
    path.write_bytes(held[:place] + bytes([held[place] ^ 1]) + held[place + 1 :])
    with pytest.raises(ValueError, match=r"Expected us\.h5 to be a whole HDF5 file, but got"):
        load_hdf5(path)


def test_without_h5py_the_error_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "us.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"Expected h5py to be installed, .* pip install h5py"):
        load_hdf5(tmp_path / "us.h5")


@pytest.mark.realdata
def test_fetal_heads_have_their_published_counts(real):
    root = real("fetal_head")
    found = load_folder(root)
    assert found.images.shape == (800, 1, 54, 80) and len(set(found.groups)) == 666
    assert float(found.images.min()) >= 0 and 0.9 < float(found.images.max()) <= 1
    fractions = found.fractions()
    assert float(fractions.min()) > 0 and float(fractions.max()) < 1
    assert found.targets.mean(0).tolist() == pytest.approx([60.990, 49.618], abs=1e-2)
    assert found.groups.tolist().count("063") == 2  # 063_2HC and 063_3HC
