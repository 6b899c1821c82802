"""A folder of one's own: each kind made with tiny files, what it is understood to ask, and what is refused."""

import re
import shlex
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics  # noqa: F401 - a second of loading that is no part of a sweep
import torch
from PIL import Image

from physlayer.color.srgb import srgb_to_linear
from physlayer.experiment import main
from physlayer.sweeps.bit_depth import SWEEP
from physlayer.tasks.base import Options, get_task
from physlayer.tasks.folder import reading
from physlayer.tasks.image_files import read_codes, read_header, read_mask

GUIDE = Path(__file__).parents[2] / "docs" / "your_own_data.md"
SIZE = 8


def noise(seed, shape=(SIZE, SIZE, 3), high=256):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)


def save(file, array, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file, **options)


def classes(folder, names=("apple", "pear"), count=6, suffix=".png", seed=0):
    for number, name in enumerate(names):
        for image in range(count):
            save(folder / name / f"{image // 2}_{image % 2}{suffix}", noise(seed + 1000 * number + image))
    return folder


def table(folder, text, count=8, name="labels.csv"):
    for image in range(count):
        save(folder / f"{image}.png", noise(image))
    (folder / name).write_text(text)
    return folder


def numbered(values, head="file,length"):
    return "\n".join([head, *(f"{place}.png,{value}" for place, value in enumerate(values))])


def masks(folder, count=6):
    for image in range(count):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[2:5, image % 4 : image % 4 + 3] = 255
        save(folder / "images" / f"{image}.png", noise(image))
        save(folder / "masks" / f"{image}.png", mask)
    return folder


def load(folder, **options):
    return get_task("folder").load(Options(data=str(folder), **options))


def told(data):
    return " ".join(data.notes)


def by_source(data):
    """Source of every image, by its pixels."""
    return {
        image.numpy().tobytes(): group
        for part in (data.pool, data.test)
        for image, group in zip(part.images, part.groups, strict=True)
    }


# --- what a folder asks ---


@pytest.mark.parametrize("kind", ["fruit", "shells", "leaves"])
def test_examples_of_the_guide_run_through_a_sweep(kind, tmp_path, monkeypatch, capsys):
    page = GUIDE.read_text(encoding="utf-8")
    page = page[page.index("## A folder of your own, without code") : page.index("## The blood cells")]
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.S):
        exec(compile(block, str(GUIDE), "exec"), names)
    (command,) = re.findall(rf"^    python sweeps/bit_depth.py (--bits.* --data {kind}.*)$", page, flags=re.M)
    small = shlex.split("--bits 2 --variants fixed --seeds 1 --jobs 1 --no-report --fast --out out")
    assert main(SWEEP, "manual", [*shlex.split(command), *small]) == 0
    seen = capsys.readouterr().out
    asked = {"fruit": "Kind: classes by folder", "shells": "regression of length_mm", "leaves": "Kind: masks"}
    assert asked[kind] in seen and ("NO SOURCES ARE KNOWN" in seen) == (kind == "leaves")
    assert Path("out/summary.csv").exists() and "test sources: the intervals are narrower" in seen


def test_folders_are_classes_and_codes_are_kept(tmp_path):
    classes(tmp_path)
    save(tmp_path / "pear" / "deep" / "last.bmp", noise(7))
    data = load(tmp_path)
    assert data.problem.kind == "classification" and data.problem.class_names == ("apple", "pear")
    assert data.pool.encoding == "srgb" and data.pool.images.dtype == torch.uint8
    assert "apple 6, pear 7" in told(data) and "NO SOURCES ARE KNOWN" in told(data)
    whole = by_source(data)
    assert len(whole) == 13 and whole[noise(1003).transpose(2, 0, 1).tobytes()] == "pear/1_1.png"
    assert whole[noise(7).transpose(2, 0, 1).tobytes()] == "pear/deep/last.bmp"
    for part in (data.pool, data.test):
        assert [name.split("/")[0] for name in part.groups] == [("apple", "pear")[k] for k in part.targets.tolist()]
    assert not set(data.pool.groups) & set(data.test.groups) and data.test.classes == (0, 1)


def test_same_folder_gives_the_same_split_and_another_label_another_fingerprint(tmp_path):
    one, two = load(classes(tmp_path / "a")), load(classes(tmp_path / "b"))
    assert one.fingerprint == two.fingerprint and one.test.groups.tolist() == two.test.groups.tolist()
    assert load(tmp_path / "a", groups=r"^(\d)_").fingerprint != one.fingerprint
    (tmp_path / "b" / "pear").rename(tmp_path / "b" / "quince")
    assert load(tmp_path / "b").fingerprint != one.fingerprint


def test_official_split_is_kept_and_validation_images_join_the_pool(tmp_path):
    for number, part in enumerate(("train", "val", "TEST")):
        classes(tmp_path / part, count=4, seed=100 * number)
    data = load(tmp_path)
    assert "Test set: the official one, 8 images of 8 sources" in told(data)
    assert {group.split("/")[0] for group in data.test.groups} == {"TEST"} and len(data.pool) == 16
    assert data.problem.class_names == ("apple", "pear")


def test_images_folder_above_the_classes_is_seen_through(tmp_path):
    for number, part in enumerate(("TRAIN", "TEST")):
        classes(tmp_path / "images" / part, count=4, seed=100 * number)
    assert load(tmp_path).problem.class_names == ("apple", "pear")


def test_trains_may_be_a_class(tmp_path):
    assert load(classes(tmp_path, ("bus", "car", "train"))).problem.class_names == ("bus", "car", "train")


def test_sources_on_both_sides_of_an_official_split_are_told_and_left_out_when_asked(tmp_path):
    for number, part in enumerate(("train", "test")):
        classes(tmp_path / part, count=6, seed=100 * number)
    pattern = r"/([a-z]+/\d)_"
    for image in range(2):
        save(tmp_path / "test" / "apple" / f"9_{image}.png", noise(500 + image))
        save(tmp_path / "test" / "pear" / f"9_{image}.png", noise(600 + image))
    data = load(tmp_path, groups=pattern)
    assert len(data.test) == 16 and "6 sources have images in both training and test (12 test images, kept" in told(
        data
    )
    dropped = load(tmp_path, groups=pattern, drop_straddling=True)
    assert sorted(set(dropped.test.groups)) == ["apple/9", "pear/9"] and "12 test images, left out" in told(dropped)


@pytest.mark.parametrize("head", ["file,label", "image name,Class", "id,species"])
def test_words_of_a_table_are_classes(tmp_path, head):
    data = load(table(tmp_path, numbered(["oak", "elm"] * 4, head)))
    assert data.problem.class_names == ("elm", "oak") and "table labels.csv (classification)" in told(data)
    names = {group: data.problem.class_names[k] for group, k in zip(data.pool.groups, data.pool.targets, strict=True)}
    assert all(name == ("oak", "elm")[int(group[0]) % 2] for group, name in names.items())


def test_few_whole_numbers_named_label_are_classes_and_other_numbers_are_predicted(tmp_path):
    few = load(table(tmp_path / "few", numbered([10, 9] * 4, "file,label")))
    assert few.problem.class_names == ("9", "10") and "whole numbers of label are taken as classes" in told(few)
    for head, values in (("file,label", [0.5, 1.5] * 4), ("file,count", [1, 2] * 4)):
        data = load(table(tmp_path / head, numbered(values, head)))
        assert data.problem.kind == "regression" and data.problem.names == (head[5:],)
        truth = dict(zip(data.pool.groups.tolist(), data.pool.targets[:, 0].tolist(), strict=True))
        assert all(value == values[int(group[0])] for group, value in truth.items())


def test_columns_of_numbers_are_predicted_in_their_unit_and_others_told(tmp_path):
    rows = [f"{k};{k}.png;{k / 2};{9 - k};0.1;round {k}" for k in range(8)]
    data = load(table(tmp_path, "\n".join([";picture;width_mm;height [mm];pixel_mm;remark", *rows])))
    assert data.problem.names == ("width_mm", "height [mm]") and data.problem.unit == "mm"
    assert "not used: remark" in told(data) and "same for all images were not used: pixel_mm" in told(data)
    assert "named by picture" in told(data) and "width_mm 0 to 3.5; height [mm] 2 to 9" in told(data)


def test_numbers_in_two_units_are_refused_and_without_unit_told(tmp_path):
    rows = "\n".join(f"{k}.png,{k},{k * k}" for k in range(8))
    with pytest.raises(ValueError, match=r"one unit, but got width_mm, angle_deg, in deg, mm; .* keep the columns"):
        load(table(tmp_path / "a", "file,width_mm,angle_deg\n" + rows))
    assert "as if of one unit" in told(load(table(tmp_path / "b", "file,a,b\n" + rows)))


@pytest.mark.parametrize("values", [("1,25", "1,5", "2,0", "2,5"), ("1 mm", "1.5mm", "2 mm", "3 mm")])
def test_numbers_written_as_words_are_refused_and_not_taken_for_classes(tmp_path, values):
    rows = "\n".join(["file;length", *(f"{place}.png;{values[place % 4]}" for place in range(8))])
    with pytest.raises(ValueError, match=r"Expected column length of labels\.csv to hold numbers or words, but got '1"):
        load(table(tmp_path, rows))


def test_words_with_digits_are_classes(tmp_path):
    rows = "\n".join(["file,grade", *(f"{place}.png,{('IIa', 'T1', '2nd grade')[place % 3]}" for place in range(12))])
    assert load(table(tmp_path, rows, 12)).problem.class_names == ("2nd grade", "IIa", "T1")


def test_files_of_a_table_are_found_by_path_name_or_stem(tmp_path):
    for patient in "ab":
        for image in range(4):
            save(tmp_path / patient / f"{image}.png", noise(10 * ord(patient) + image))
    rows = [f"{patient}/{image}.png,{image}" for patient in "ab" for image in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["where,size", *rows]))
    assert load(tmp_path).problem.names == ("size",)  # paths: the folders are no classes
    (tmp_path / "t.csv").write_text("\n".join(["where,size", *(f"fruit/{row}" for row in rows)]))
    assert load(tmp_path).problem.names == ("size",)
    (tmp_path / "t.csv").write_text("\n".join(["where,size", *rows[:7], "c/3.png,3"]))
    with pytest.raises(
        ValueError, match=r"image for every row of t.csv, but got none, .* for 1 of 8 \(where: c/3.png\)"
    ):
        load(tmp_path)
    stems = load(table(tmp_path / "stems", "\n".join(["id,size", *(f"{k},{k / 2}" for k in range(8))])))
    assert stems.problem.names == ("size",) and len(stems.pool) + len(stems.test) == 8


def test_split_column_of_a_table_is_an_official_split(tmp_path):
    rows = [f"{k}.png,{k},{('train', 'Val', 'test')[k % 3]}" for k in range(9)]
    data = load(table(tmp_path, "\n".join(["file,size,split", *rows]), 9))
    assert data.test.groups.tolist() == ["2.png", "5.png", "8.png"] and data.problem.names == ("size",)
    (tmp_path / "labels.csv").write_text("\n".join(["file,size,split", *rows]).replace("Val", "later"))
    with pytest.raises(ValueError, match=r"split of labels.csv to say train, val or test, but got later"):
        load(tmp_path)


@pytest.mark.parametrize("layout", ["folders", "labels", "pairs", "beside", "split"])
def test_masks_are_found_beside_their_images(tmp_path, layout):
    masks(tmp_path)
    for image in range(6):
        mask = tmp_path / "masks" / f"{image}.png"
        if layout == "pairs":
            mask.rename(tmp_path / "images" / f"{image}_mask.png")
        if layout == "beside":
            (tmp_path / "images" / f"{image}.png").rename(tmp_path / f"{image}.png")
        if layout == "split":
            for part in ("images", "masks"):
                to = tmp_path / ("train" if image < 4 else "test") / part / f"{image}.png"
                to.parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / part / f"{image}.png").rename(to)
    if layout == "labels":
        (tmp_path / "masks").rename(tmp_path / "labels")
    data = load(tmp_path)
    assert data.problem.kind == "segmentation" and len(data.pool) + len(data.test) == 6
    assert ("official" in told(data)) == (layout == "split")
    for part in (data.pool, data.test):
        for group, mask in zip(part.groups, part.targets, strict=True):
            left = int(Path(group).stem) % 4
            wanted = torch.zeros(SIZE, SIZE, dtype=torch.uint8)
            wanted[2:5, left : left + 3] = 1
            assert torch.equal(mask, wanted)


# --- sources ---


def sources(data):
    return sorted(set(data.pool.groups) | set(data.test.groups))


def test_pattern_with_a_slash_sees_the_path_and_without_one_the_name(tmp_path):
    classes(tmp_path)
    assert sources(load(tmp_path, groups=r"^(\d+)_")) == ["0", "1", "2"]
    path = load(tmp_path, groups=r"^(.+/\d+)_")
    assert sources(path) == [f"{name}/{k}" for name in ("apple", "pear") for k in range(3)]
    assert not set(path.pool.groups) & set(path.test.groups) and "by the pattern" in told(path)
    assert "NO SOURCES" not in told(path)


@pytest.mark.parametrize("inside", [True, False])
def test_csv_file_names_the_sources(tmp_path, inside):
    classes(tmp_path / "data")
    rows = [f"{name}/{k // 2}_{k % 2}.png,{name[0]}{k // 2}" for name in ("apple", "pear") for k in range(6)]
    file = tmp_path / ("data" if inside else ".") / "sources.csv"
    file.write_text("\n".join(["file,group", *rows]))
    data = load(tmp_path / "data", groups="sources.csv" if inside else str(file))
    assert sources(data) == ["a0", "a1", "a2", "p0", "p1", "p2"] and "column group of sources.csv" in told(data)
    if inside:  # a table that says nothing but sources is found by itself
        assert sources(load(tmp_path / "data")) == sources(data)


def test_column_of_the_table_names_the_sources_by_itself_or_when_asked(tmp_path):
    rows = [f"{k}.png,{k / 2},p{k // 2},{k // 3}" for k in range(9)]
    table(tmp_path, "\n".join(["file,size,patient,nest", *rows]), 9)
    assert sources(load(tmp_path)) == ["p0", "p1", "p2", "p3", "p4"] and load(tmp_path).problem.names == (
        "size",
        "nest",
    )
    asked = load(tmp_path, groups="nest")
    assert sources(asked) == ["0", "1", "2"] and asked.problem.names == ("size",)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ("content", ValueError, "neither a file nor a column, and has 0 pairs of parentheses"),
        (r"^(\d)_(\d)", ValueError, "has 2 pairs of parentheses"),
        (r"^(\d", ValueError, "which is no pattern: missing"),
        ("missing.csv", FileNotFoundError, "missing.csv, a missing file"),
        (r"^(1)_", ValueError, r"a source in every name, but got none in 8 of 12 \(0_0.png, 0_1.png, 2_0.png, …\)"),
        ("part.csv", ValueError, r"a row of part.csv for every image, but got none for 11 of 12 \(column file: "),
        ("empty.csv", ValueError, "group of empty.csv for every image, but got an empty cell for apple/0_0.png"),
        ("other.csv", ValueError, "columns file,group, but none of file,colour names their sources"),
        ("stranger.csv", ValueError, "columns file,group, but none of file,group names the images"),
        ("x" * 300, ValueError, "neither a file nor a column"),
    ],
)
def test_groups_that_do_not_name_every_source_are_refused(tmp_path, groups, error, message):
    classes(tmp_path / "data")
    names = [f"{name}/{k // 2}_{k % 2}.png" for name in ("apple", "pear") for k in range(6)]
    if groups.endswith(".csv") and groups != "missing.csv":
        content = {
            "part": ["file,group", f"{names[0]},a"],
            "empty": ["file,group", *(f"{name}," for name in names)],
            "other": ["file,colour", *(f"{name},red" for name in names)],
            "stranger": ["file,group", "x.png,a"],
        }[groups[:-4]]
        (tmp_path / groups).write_text("\n".join(content))
        groups = str(tmp_path / groups)
    with pytest.raises(error, match=message):
        load(tmp_path / "data", groups=groups)


def test_copies_are_one_source_and_told(tmp_path):
    classes(tmp_path)
    save(tmp_path / "apple" / "again.bmp", noise(0))
    save(tmp_path / "pear" / "wrong.png", noise(1))
    data = load(tmp_path)
    assert "2 images are copies of another, pixel by pixel" in told(data)
    assert "1 equal images are of different classes" in told(data)
    assert len(sources(data)) == 12 and len(data.pool) + len(data.test) == 14
    known = load(tmp_path, groups=r"(.+)\.")
    assert "2 images are equal, pixel by pixel, to one of another source" in told(known)


# --- files ---


def test_grey_and_rgb_files_of_equal_channels_mean_the_same_light(tmp_path):
    grey = noise(0, (SIZE, SIZE))
    kinds = {"L": grey, "RGB": np.stack([grey] * 3, 2)}
    light = {}
    for kind, codes in kinds.items():
        for name in ("a", "b"):
            for image in range(3):
                save(tmp_path / kind / name / f"{image}.png", codes ^ (image + (name == "b") * 8))
        data = load(tmp_path / kind)
        light[kind] = data.pool.batch(torch.arange(len(data.pool)))
        assert light[kind].shape[1] == len(kind) and data.pool.encoding == "srgb"
    assert torch.equal(light["L"].expand(-1, 3, -1, -1), light["RGB"])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_codes_of_every_mode_are_read_as_they_were_saved(tmp_path, mode):
    grey = mode in ("1", "L", "LA")
    codes = noise(3, (5, 7)) if grey else noise(3, (5, 7, 3), 2) * 200  # at most 8 colours: a palette keeps them
    codes = (codes > 99) * np.uint8(255) if mode == "1" else codes
    file = tmp_path / "x.png"
    picture = Image.fromarray(codes)
    (picture.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else picture.convert(mode)).save(file)
    with Image.open(file) as saved:
        assert saved.mode == mode
    found = read_codes(tmp_path, "x.png")
    assert np.array_equal(found, codes[..., None] if grey else codes) and found.dtype == np.uint8
    assert read_header(tmp_path, "x.png") == (5, 7, 1 if grey else 3, 8)


def png_16_bit_rgb(file):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes(6 * 8) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("LA", "x.png to be opaque, but got transparent pixels"),
        ("RGBA", "x.png to be opaque"),
        ("P", "x.png to be opaque"),
        ("CMYK", "but got mode CMYK; save it as one"),
        ("F", "but got mode F"),
        ("RGB16", "colours of 16 bits, which would be cut to 8"),
        ("pages", "x.tif to hold one image, but got 2 pages"),
        ("I", "counts of 0 to 65535, but got 0 to 70000; scale them"),
    ],
)
def test_files_whose_light_is_not_known_are_refused(tmp_path, kind, message):
    classes(tmp_path)
    picture, file = Image.fromarray(noise(0)), tmp_path / "pear" / "x.png"
    if kind in ("LA", "RGBA"):
        picture = picture.convert(kind)
        picture.putalpha(Image.fromarray(np.full((SIZE, SIZE), 254, np.uint8)))
        picture.save(file)
    elif kind == "P":
        picture.convert("P").save(file, transparency=int(np.asarray(picture.convert("P"))[0, 0]))
    elif kind == "RGB16":
        png_16_bit_rgb(file)
    elif kind == "pages":
        picture.save(tmp_path / "pear" / "x.tif", save_all=True, append_images=[picture])
    elif kind == "I":
        counts = np.zeros((SIZE, SIZE), np.int32)
        counts[0, 0] = 70000
        for other in tmp_path.rglob("*.png"):
            save(other, np.random.default_rng(0).integers(0, 999, (SIZE, SIZE)).astype(np.uint16))
        Image.fromarray(counts).save(file.with_suffix(".tif"))
    else:
        picture.convert("L" if kind == "F" else "RGB").convert(kind).save(file.with_suffix(".tif"))
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_counts_of_16_bits_are_linear_light(tmp_path):
    for name in ("a", "b"):
        for image in range(4):
            counts = (
                np.random.default_rng(image + 10 * (name == "b")).integers(0, 65536, (SIZE, SIZE)).astype(np.uint16)
            )
            save(tmp_path / name / f"{image}.png", counts)
    data = load(tmp_path)
    assert data.pool.encoding == "linear" and data.pool.images.dtype == torch.float32
    wanted = np.random.default_rng(0).integers(0, 65536, (SIZE, SIZE)) / 65535
    whole = {
        group: image for part in (data.pool, data.test) for group, image in zip(part.groups, part.images, strict=True)
    }
    assert np.allclose(whole["a/0.png"][0].numpy(), wanted, atol=1e-7) and "full scale 65535" in told(data)
    for file in tmp_path.rglob("*.png"):
        save(file, np.asarray(Image.open(file)) // 16)  # a converter of 12 bits
    assert "brightest has 0.062" in told(load(tmp_path)) and "fewer bits" in told(load(tmp_path))
    save(tmp_path / "a" / "eight.png", noise(0))
    with pytest.raises(ValueError, match=r"all of 8 bits or all of 16, but got a/eight.png with 8 and"):
        load(tmp_path)


def test_grey_images_among_rgb_ones_get_three_equal_channels(tmp_path):
    classes(tmp_path)
    save(tmp_path / "pear" / "grey.png", noise(5, (SIZE, SIZE)))
    data = load(tmp_path)
    grey = np.stack([noise(5, (SIZE, SIZE))] * 3)
    assert by_source(data)[grey.tobytes()] == "pear/grey.png" and "1 grey images among RGB ones" in told(data)


def test_a_camera_on_its_side_gives_an_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90° clockwise to be seen
    save(tmp_path / "x.png", noise(0, (4, 9, 3)), exif=exif)
    assert read_header(tmp_path, "x.png")[:2] == (9, 4)
    assert np.array_equal(read_codes(tmp_path, "x.png"), np.rot90(noise(0, (4, 9, 3)), -1))


def test_images_of_many_sizes_need_a_width_and_keep_their_light(tmp_path):
    """The mean of linear light over the field is the same before and after; coding to 8 bits costs half a code."""
    shapes = [(18, 24), (27, 36), (36, 48), (20, 20)]
    for name in ("a", "b"):
        for number, shape in enumerate(shapes):
            save(tmp_path / name / f"{number}.png", noise(number + 10 * (name == "b"), (*shape, 3)))
    with pytest.raises(ValueError, match=r"one size, but got 4 sizes, .* use --width"):
        load(tmp_path)
    data = load(tmp_path, width=16)
    assert data.pool.images.shape[1:] == (3, 12, 16) and "2 of another aspect ratio were stretched" in told(data)
    for part in (data.pool, data.test):
        for image, group in zip(part.batch(torch.arange(len(part))), part.groups, strict=True):
            codes = noise(int(Path(group).stem) + 10 * (group[0] == "b"), (*shapes[int(Path(group).stem)], 3))
            light = srgb_to_linear(torch.from_numpy(codes / 255)).mean((0, 1))
            assert torch.allclose(image.mean((1, 2)).double(), light, atol=2e-3)
    with pytest.raises(ValueError, match=r"--width to be at most 20, as wide as a/3.png, but got 24"):
        load(tmp_path, width=24)
    with pytest.raises(ValueError, match=r"--width to be 8 pixels or more, but got 4"):
        load(tmp_path, width=4)


def test_averaged_pixels_are_exact_means_also_where_they_do_not_divide():
    light = torch.rand(2, 5, 7, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    fine = light.repeat_interleave(3, 1).repeat_interleave(4, 2)  # 15×28 divides into 3×4
    wanted = fine.reshape(2, 3, 5, 4, 7).mean((2, 4))
    assert torch.allclose(reading.resized_light(light, (3, 4)), wanted, atol=1e-6)


def test_mask_of_a_larger_pixel_is_object_where_half_of_its_area_is(tmp_path):
    for image in range(6):
        mask = np.zeros((16, 16), np.uint8)
        mask[:, :image] = 1  # the pixel of columns 2k and 2k + 1 is half object where image is odd
        save(tmp_path / "images" / f"{image}.png", noise(image, (16, 16, 3)))
        save(tmp_path / "masks" / f"{image}.png", mask)
    data = load(tmp_path, width=8)
    for part in (data.pool, data.test):
        for group, mask in zip(part.groups, part.targets, strict=True):
            assert mask.sum(1).tolist() == [(int(Path(group).stem) + 1) // 2] * 8


@pytest.mark.parametrize("values", ["01", "0255", "bits", "rgb", "palette", "numbered palette"])
def test_masks_of_all_spellings_are_the_same(tmp_path, values):
    mask = noise(1, (5, 6), 2)
    picture = {
        "01": lambda: Image.fromarray(mask),
        "0255": lambda: Image.fromarray(255 * mask),
        "bits": lambda: Image.fromarray(mask.astype(bool)),
        "rgb": lambda: Image.fromarray(255 * np.stack([mask] * 3, 2)),
        "palette": lambda: Image.fromarray(1 - mask),  # index 0 is white
        "numbered palette": lambda: Image.fromarray(mask),
    }[values]()
    if "palette" in values:
        picture = picture.convert("P")
        picture.putpalette([255, 255, 255, 0, 0, 0] if values == "palette" else [0, 0, 0, 128, 0, 0])
    picture.save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path, "m.png"), mask)


def test_unreadable_files_are_named_or_left_out_when_asked(tmp_path):
    classes(tmp_path)
    whole = (tmp_path / "apple" / "0_0.png").read_bytes()
    (tmp_path / "apple" / "cut.png").write_bytes(whole[:-60])  # its header is whole
    (tmp_path / "pear" / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"readable, but got 1 that is not \(pear/text.png: .* --skip-unreadable"):
        load(tmp_path)
    (tmp_path / "pear" / "text.png").unlink()
    with pytest.raises(ValueError, match=r"readable, but got 1 that is not \(apple/cut.png: "):
        load(tmp_path)
    (tmp_path / "pear" / "text.png").write_text("no image")
    with pytest.warns(UserWarning, match="2 unreadable files were left out"):
        data = load(tmp_path, skip_unreadable=True)
    assert len(data.pool) + len(data.test) == 12 and "2 unreadable files were left out (apple/cut.png" in told(data)


def test_a_link_to_nowhere_is_an_unreadable_file(tmp_path):
    for name in ("apple", "pear"):
        for number in range(4):
            save(tmp_path / name / f"{number}.png", noise(number))
    (tmp_path / "pear" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match=r"readable, but got 1 that is not \(pear/gone.png"):
        load(tmp_path)
    with pytest.warns(UserWarning, match="1 unreadable files were left out"):
        assert len(load(tmp_path, skip_unreadable=True).pool) > 0


def test_an_unreadable_mask_is_left_out_with_its_image(tmp_path):
    masks(tmp_path)
    (tmp_path / "masks" / "3.png").write_text("no mask")
    with pytest.warns(UserWarning, match="masks/3.png"):
        data = load(tmp_path, skip_unreadable=True)
    assert len(data.pool) + len(data.test) == 5 and "images/3.png" not in sources(data)


def test_large_folders_are_decoded_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(reading, "CACHED_BYTES", 0)
    one = load(masks(tmp_path / "data"))
    monkeypatch.setattr(reading, "read_codes", None)
    assert load(tmp_path / "data").fingerprint == one.fingerprint
    save(tmp_path / "data" / "images" / "0.png", noise(77))
    with pytest.raises(TypeError):  # a changed file is decoded again
        load(tmp_path / "data")


# --- what is refused ---


def spoil(folder, name):
    """A folder with one thing wrong, and what is said of it."""
    if name == "missing":
        return folder / "nowhere", "--data to be a folder of images, but got .*nowhere, which is none"
    folder.mkdir()
    if name == "empty":
        return folder, "to hold images .* but got none; give the folder above"
    if name == "other files":
        (folder / "a.heic").write_text("")
        return folder, "but got none among 1 .heic; .* save other formats as PNG"
    if name == "images alone":
        save(folder / "a.png", noise(0))
        return folder, "say what is asked of its 1 images, but got images alone; make one of these: DIR/apple/1.png"
    if name == "unlabelled split":
        for part in ("train", "test"):
            save(folder / part / "a.png", noise(0))
        return folder, "say what is asked of its 2 images, but got images alone"
    if name == "one class":
        return classes(folder, ("apple",)), "at least 2 classes, a folder for each, but got only apple; make one of"
    if name == "folder above":
        classes(folder / "fruit")
        return folder, "at least 2 classes, .* but got only fruit; give the folder .*fruit"
    if name == "loose":
        save(classes(folder) / "x.png", noise(0))
        return folder, r"lie in the folder of its class, but got 1 beside them \(x.png\)"
    if name == "test without classes":
        classes(folder / "train")
        save(folder / "test" / "x.png", noise(0))
        return folder, r"all classes to lie in train and test, but got 1 images beside them \(test/x.png\)"
    if name == "class without test":
        classes(folder / "train")
        classes(folder / "test", ("apple",), seed=50)
        return folder, "class pear to have at least 1 source in the test set .* but got 0"
    if name == "few sources":
        return classes(folder, count=2), "class apple to have at least 3 sources .*, but got 2 .2 images."
    if name == "few masks":
        return masks(folder, 2), "the images to have at least 3 sources .* but got 2"
    if name == "one label":
        return table(folder, numbered(["oak"] * 8, "file,label")), "at least 2 classes, but got oak for all images"
    if name == "constant number":
        return table(folder, numbered([3] * 8)), "differ from image to image, but got length 3 for all"
    if name == "row without image":
        return table(folder, numbered(range(9))), r"image for every row .* for 1 of 9 \(file: 8.png\)"
    if name == "image without row":
        return table(folder, numbered(range(7))), r"row of labels.csv for every image, .* 1 of 8 \(column file: 7.png\)"
    if name == "two rows":
        return table(folder, numbered(range(8)) + "\n3.png,5"), "one row of labels.csv per image, but got two for 3.png"
    if name == "no file column":
        return table(
            folder, "a,b\n1x,2.5\n3x,4.5"
        ), "a column that names the images, such as 0.png, but none of a,b does"
    if name in ("NaN", "", "inf", "3,5", "unknown"):
        text = "\n".join(["file;length", *(f"{k}.png;{name if k == 5 else k}" for k in range(8))])
        return table(folder, text), rf"finite number in column length .* 1 of 8 without, first '{name}' for 5.png"
    if name == "no word":
        return table(
            folder, numbered(["a", "b"] * 3 + ["", "b"], "file,label")
        ), "label of labels.csv .* cell for 6.png"
    if name == "two words":
        return table(folder, numbered(["a,b"] * 8, "file,x,y")), "but got the words x, y; name the one .* label"
    if name == "ragged":
        return table(folder, numbered(range(8)) + ",1"), "line 9 of labels.csv to have the 2 cells .* but got 3"
    if name == "same column":
        return table(folder, numbered(range(8), "file,file")), "name every column once, but got 'file' twice"
    if name == "header alone":
        return table(folder, "file,label"), "a line of names and rows below, but got 1 lines"
    if name == "other bytes":
        table(folder, "")
        (folder / "labels.csv").write_bytes("file,größe\n0.png,1".encode("latin-1"))
        return folder, "labels.csv to be UTF-8 text"
    if name == "open quote":
        return table(
            folder, numbered(range(8)) + '\n9.png,"' + "x" * 200_000
        ), "labels.csv to be a table of cells, but got"
    if name == "two tables":
        (table(folder, numbered(range(8))) / "more.csv").write_text(numbered(range(8)))
        return folder, "one table of answers, but got labels.csv and more.csv"
    if name == "folders and table":
        names = [f"{c}{k}.png" for c in "ab" for k in range(4)]
        for number, each in enumerate(names):
            save(folder / each[0] / each, noise(number))
        (folder / "t.csv").write_text("\n".join(["file,age", *(f"{each},{k}" for k, each in enumerate(names))]))
        return folder, r"one question, but got folders \(a, b\) that may be classes, and age in t.csv"
    masks(folder)
    if name == "masks and table":
        (folder / "t.csv").write_text(numbered(range(6)))
        return folder, "one question, but got masks, and length in t.csv"
    if name == "no mask":
        (folder / "masks" / "4.png").unlink()
        return folder, r"a mask for every image, but got none for 1 of 6 \(images/4.png\)"
    if name == "no image":
        (folder / "images" / "4.png").unlink()
        return folder, r"an image for every mask, but got none for 1 of 6 \(masks/4.png\)"
    if name == "two images":
        save(folder / "images" / "4.bmp", noise(4))
        return folder, "one image of a name, but got images/4.bmp and images/4.png"
    if name == "beside masks":
        save(folder / "x.png", noise(4))
        return folder, r"lie in images or masks, but got 1 beside them \(x.png\)"
    if name == "mask of another size":
        save(folder / "masks" / "4.png", np.zeros((SIZE, SIZE + 1), np.uint8))
        return folder, "masks/4.png to have the 8×8 pixels .* of images/4.png, but got 9×8"
    if name == "numbered mask":
        save(folder / "masks" / "4.png", noise(0, (SIZE, SIZE), 3))
        return folder, "masks/4.png to hold 0 and 1, or 0 and 255, but got 0, 1, 2; masks that number"
    if name == "coloured mask":
        save(folder / "masks" / "4.png", noise(0))
        return folder, "masks/4.png to be black and white, but got colours"
    for image in range(6):
        save(folder / "masks" / f"{image}.png", np.zeros((SIZE, SIZE), np.uint8))
    return folder, "object and background, but got background in all pixels of all 6"


SPOILED = (
    "missing", "empty", "other files", "images alone", "unlabelled split", "one class", "folder above", "loose",
    "test without classes", "class without test", "few sources", "few masks", "one label", "constant number",
    "row without image", "image without row", "two rows", "no file column", "NaN", "", "inf", "3,5", "unknown",
    "no word", "two words", "ragged", "same column", "header alone", "other bytes", "open quote", "two tables",
    "folders and table",
    "masks and table", "no mask", "no image", "two images", "beside masks", "mask of another size", "numbered mask",
    "coloured mask", "empty masks",
)  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_what_cannot_be_learned_from_is_refused_in_one_sentence(tmp_path, name):
    folder, message = spoil(tmp_path / "data", name)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as refused:
        load(folder)
    text = str(refused.value)
    assert text.startswith("Expected ") and "but got" in text.replace("but none", "but got") and "\n" not in text


def test_folder_must_be_given(tmp_path, capsys):
    for ask in (get_task("folder").load, get_task("folder").default_network):
        with pytest.raises(ValueError, match=r"Expected --data DIR for the task folder, .* but got none"):
            ask(Options())
    assert main(SWEEP, "manual", ["--task", "folder", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: Expected --data DIR")


# --- the task ---


def test_networks_fit_the_kinds(tmp_path):
    task = get_task("folder")
    made = {"small": classes(tmp_path / "a"), "shared": table(tmp_path / "b", numbered(range(8)))}
    made["unet"] = masks(tmp_path / "c")
    for name, folder in made.items():
        assert task.default_network(Options(data=str(folder))) == name
        data = load(folder)
        shape, outputs = tuple(data.pool.images.shape[1:]), data.problem.outputs
        given = task.network(name, shape, outputs).eval()(torch.rand(2, *shape))
        assert data.problem.loss(given, data.pool.targets[:2]).isfinite()
    with pytest.raises(ValueError, match="Expected network to be one of small"):
        task.network("huge", (1, 8, 8), 2)


def test_augmentation_mirrors_left_to_right_with_masks_and_never_the_images_of_numbers():
    augment = get_task("folder").augment
    images = 0.2 + 0.5 * torch.rand(32, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    masks = (images[:, 0] > 0.45).to(torch.uint8)

    def lamp_removed(changed):
        return changed / changed.mean((1, 2, 3), keepdim=True) * images.mean((1, 2, 3), keepdim=True)

    changed, moved = augment(images, masks, torch.Generator().manual_seed(1))
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(lamp_removed(changed), images, strict=True)]
    assert 8 < sum(mirrored) < 24
    for flag, new, old, mask, before in zip(mirrored, lamp_removed(changed), images, moved, masks, strict=True):
        assert torch.equal(mask, before.flip(1) if flag else before)
        assert flag or torch.allclose(new, old, atol=1e-5)
    numbers = torch.rand(32, 1)
    changed, same = augment(images, numbers, torch.Generator().manual_seed(1))  # brightness may be what tells them
    assert torch.equal(changed, images) and torch.equal(same, numbers)
