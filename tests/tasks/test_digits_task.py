"""The digit task: IDX files written by the test, the embedded set, and MNIST itself where there is one."""

import gzip

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from physlayer.experiment import main
from physlayer.sweeps.sensor_placement import SWEEP
from physlayer.tasks.base import Options, get_task
from physlayer.tasks.digits import embedded_digits
from physlayer.tasks.digits.idx import load_folder, read_idx
from physlayer.tasks.networks import NETWORKS

HEIGHT, WIDTH = 9, 7  # not square: a transposed image would show
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(values):
    """Magic number, sizes as big-endian 32-bit numbers, bytes along the rows: as the format is defined."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    train, test = (np.arange(10).repeat(n) for n in (4, 3))
    return [
        part
        for labels in (train, test)
        for part in (generator.integers(0, 256, (len(labels), HEIGHT, WIDTH), dtype=np.uint8), labels)
    ]


def write(folder, arrays, spelled=lambda name: f"{name}.gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in zip(NAMES, arrays, strict=True):
        file = folder / spelled(name)
        content = idx_bytes(values)
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return folder


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_files_are_found_however_they_are_spelled(tmp_path, arrays, end, mark, below):
    write(tmp_path / below, arrays, lambda name: name.replace("-idx", f"{mark}idx") + end)
    for got, expected in zip(load_folder(tmp_path), arrays, strict=True):
        assert np.array_equal(got, expected)


def test_a_folder_in_the_place_of_a_file_is_passed_by(tmp_path, arrays):
    """As one archive unpacks: the dotted name is the file, the dashed name a folder."""
    for name in NAMES:
        (tmp_path / name).mkdir()
    write(tmp_path, arrays, lambda name: name.replace("-idx", ".idx"))
    assert np.array_equal(load_folder(tmp_path)[0], arrays[0])


def test_task_keeps_the_official_split_the_orientation_and_linear_codes(tmp_path, arrays):
    data = get_task("digits").load(Options(data=str(write(tmp_path, arrays))))
    assert data.pool.encoding == "linear" and data.pool.images.dtype == torch.uint8
    assert np.array_equal(data.pool.images[:, 0].numpy(), arrays[0])
    assert np.array_equal(data.test.images[:, 0].numpy(), arrays[2])
    assert data.test.targets.tolist() == arrays[3].tolist()
    assert torch.equal(data.test.batch(torch.tensor([2])), torch.from_numpy(arrays[2][2:3, None] / 255).float())
    assert len(set(data.pool.groups) | set(data.test.groups)) == 70
    assert any("every image counts as a source" in note for note in data.notes)
    other = arrays[2].copy()
    other[0, 0, 0] ^= 1
    changed = get_task("digits").load(Options(data=str(write(tmp_path, [*arrays[:2], other, arrays[3]]))))
    assert changed.fingerprint != data.fingerprint


def cut(content, by):
    return content[:-by]


@pytest.mark.parametrize(
    ("number", "broken", "message"),
    [
        (0, lambda c: cut(c, 5), "train-images-idx3-ubyte to hold the 40 × 9 × 7 bytes .* but got 2515"),
        (0, lambda c: c + b"\0", "but got 2521"),
        (0, lambda c: c[:7], "train-images-idx3-ubyte to have a header of 16 bytes, but got 7"),
        (0, lambda c: b"", "to start with 2051, the magic number of images, but got 0"),
        (0, lambda c: cut(gzip.compress(c), 30), "train-images-idx3-ubyte to be a whole gzip file"),
        (1, lambda c: gzip.compress(c)[:-4] + b"\0\0\0\1", "train-labels-idx1-ubyte to be a whole gzip file"),
        (3, lambda c: b"\0\0\x08\x03" + c[4:], "t10k-labels-idx1-ubyte to start with 2049, .* of labels, but got 2051"),
        (2, lambda c: b"\0\0\x0d\x03" + c[4:], "to start with 2051, the magic number of images, but got 3331"),
        (1, lambda c: idx_bytes(np.arange(39) % 10), "as many images as labels, .* 40 images of 9×7 and 39 labels"),
        (3, lambda c: idx_bytes(np.arange(30) % 11), "t10k labels to be digits 0…9, but got 10"),
        (2, lambda c: idx_bytes(np.zeros((30, 9, 8))), "t10k images to have train's size 9×7, but got 9×8"),
    ],
    ids=[
        "truncated", "too_long", "no_header", "empty", "truncated_gzip", "damaged_gzip", "images_for_labels",
        "floating_point", "one_label_missing", "letter", "other_size",
    ],
)  # fmt: skip
def test_broken_files_are_named_with_what_is_wrong(tmp_path, arrays, number, broken, message):
    file = write(tmp_path, arrays, str) / NAMES[number]
    file.write_bytes(broken(file.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_is_named(tmp_path, arrays, name):
    (write(tmp_path, arrays) / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=f"to hold {name}.gz .* but it is missing"):
        load_folder(tmp_path)


def test_sets_without_images_are_refused(tmp_path, arrays):
    write(tmp_path, [np.zeros((0, 9, 7)), np.zeros(0), *arrays[2:]])
    with pytest.raises(ValueError, match="0 images of 9×7 and 0 labels"):
        load_folder(tmp_path)


def test_labels_are_not_read_as_images(tmp_path):
    (tmp_path / "file").write_bytes(idx_bytes(np.arange(5)))
    with pytest.raises(ValueError, match=r"to start with 2051, .* but got 2049"):
        read_idx(tmp_path / "file", 3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--groups", "content"], "Expected no --groups for digits"),
        (["--width", "32"], "Expected --width of digits to be 28 or 64 pixels, but got 32"),
    ],
)
def test_what_the_task_cannot_do_ends_with_one_sentence(tmp_path, capsys, more, message):
    command = ["--task", "digits", "--fast", "--keep", "1/4", "--out", str(tmp_path), *more]
    assert main(SWEEP, "manual", command) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error and message in error


def test_folder_of_idx_files_trains_through_the_command_line(tmp_path, arrays):
    folder = write(tmp_path / "data", arrays)
    command = ["--task", "digits", "--data", str(folder), "--keep", "1/4", "--variants", "fixed", "--seeds", "1"]
    assert main(SWEEP, "manual", [*command, "--epochs", "1", "--jobs", "1", "--no-report", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "summary.csv").exists()


def test_embedded_set_is_whole_and_split_once_for_all():
    task = get_task("digits")
    data, again = task.load(Options()), task.load(Options(fast=True))
    assert data.fingerprint == again.fingerprint and data.problem.class_names == tuple("0123456789")
    assert (len(data.pool), len(data.test)) == (1198, 599) and data.pool.images.shape[1:] == (1, 28, 28)
    assert not set(data.pool.groups) & set(data.test.groups)
    assert data.test.targets.bincount().min() >= 58
    assert "writers are not told" in " ".join(data.notes)


def test_upsampled_digits_hold_the_light_of_the_originals_upright():
    from sklearn.datasets import load_digits

    images, targets = embedded_digits(28)
    original = torch.from_numpy(load_digits().images)[:, None] / 16
    assert targets.tolist() == load_digits().target.tolist()
    back = F.interpolate(images.double() / 255, size=(8, 8), mode="area")
    assert abs(float(back.mean() - original.mean())) < 0.02  # bicubic overshoot is cut at black and white
    assert float((back - original).abs().mean()) < 0.08
    assert float((back.flip(3) - original).abs().mean()) > 0.15
    assert images.max() == 255 and images.min() == 0


def test_augmentation_changes_brightness_alone():
    task, targets = get_task("digits"), torch.zeros(8).long()
    images = 0.1 + 0.7 * torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    one, two = (task.augment(images, targets, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(
        one, task.augment(images, targets, torch.Generator().manual_seed(4))[0]
    )
    lamp = (one / images).flatten(1)
    assert torch.allclose(lamp, lamp[:, :1].expand_as(lamp), atol=1e-5)
    assert lamp.min() >= 0.9 and lamp.max() <= 1.1 and lamp[:, 0].unique().numel() == 8


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_ten_logits(name):
    network = get_task("digits").network(name, (1, 28, 28), 10)
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_perceptron_knows_where_a_lone_pixel_lies_and_a_network_of_channel_means_does_not():
    task, places = get_task("digits"), torch.zeros(2, 1, 32, 32)
    places[0, 0, 12, 12] = places[1, 0, 12, 20] = 1.0  # a whole number of strides apart
    logits = {name: task.network(name, (1, 32, 32), 10).eval()(places) for name in ("mlp", "small")}
    assert not torch.allclose(*logits["mlp"], atol=1e-4)
    assert torch.allclose(*logits["small"], atol=1e-5)


@pytest.mark.realdata
def test_official_mnist_has_its_published_counts(real):
    root = real("mnist")
    found = get_task("digits").load(Options(data=str(root)))
    assert (len(found.pool), len(found.test)) == (60_000, 10_000)
    assert found.pool.images.shape[1:] == found.test.images.shape[1:] == (1, 28, 28)
    assert found.pool.targets.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert found.test.targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.pool.targets[:5].tolist() == [5, 0, 4, 1, 9] and found.test.targets[:4].tolist() == [7, 2, 1, 0]
    assert int(found.pool.images.float().mean(0)[0, :2].max()) == 0  # the border is dark


def test_digits_at_64_pixels_are_twice_as_large_in_a_black_border():
    """Means over 2×2 pixels keep the ink; what is not digit is black."""
    small, large = (get_task("digits").load(Options(width=width)).test.images for width in (28, 64))
    assert large.shape == (len(small), 1, 64, 64)
    inside = large[..., 4:-4, 4:-4].float()
    assert float(large.float().sum() - inside.sum()) == 0
    assert float(inside.mean()) == pytest.approx(float(small.float().mean()), rel=5e-3)
    assert float((F.avg_pool2d(inside, 2) - small.float()).abs().mean()) < 6
