"""The Kaggle blood-cell folder, on a tiny copy of its layout, and on the real one where there is one."""

import csv
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from physlayer.data.splits import group_split
from physlayer.tasks.blood_cells import decoding, file_sources, make_groups_table
from physlayer.tasks.blood_cells.content_groups import group_by_content
from physlayer.tasks.blood_cells.kaggle import load_folder, straddling_groups

CLASSES = ("EOSINOPHIL", "MONOCYTE")


@pytest.fixture
def folder(tmp_path):
    """Two classes, three copies each of two sources in TRAIN and one in TEST, and ``groups.csv``."""
    generator = np.random.default_rng(0)
    rows = []
    for split, sources in (("TRAIN", 2), ("TEST", 1)):
        for number, name in enumerate(CLASSES):
            place = tmp_path / "set" / "images" / split / name
            place.mkdir(parents=True)
            for source in range(sources):
                colour = 60 + 100 * number + 30 * source + (15 if split == "TEST" else 0)
                for copy in range(3):
                    noise = generator.integers(-5, 6, (24, 32, 3))
                    file = place / f"_{source}_{copy}.jpeg"
                    Image.fromarray((colour + noise).astype(np.uint8)).save(file, quality=95)
                    rows.append((f"{split}/{name}/{file.name}", f"{split}_{name}_{source}"))
    write_table(tmp_path / "groups.csv", rows)
    return tmp_path / "set"


def write_table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "group"), *rows])


def load(folder, **changes):
    settings = dict(height=6, width=8, progress=False, groups=folder.parent / "groups.csv")
    return load_folder(folder, **settings | {"cache": folder.parent / "cache"} | changes)


def truncate(folder, name="TRAIN/MONOCYTE/_1_2.jpeg"):
    file = folder / "images" / name
    file.write_bytes(file.read_bytes()[:-200])


def test_loader_reads_classes_sources_and_both_splits(folder):
    pool, test, class_names, notes = load(folder)
    assert (len(pool), len(test), class_names) == (12, 6, CLASSES)
    assert pool.images.shape == (12, 3, 6, 8) and pool.images.dtype == torch.uint8 and pool.encoding == "srgb"
    for image_set, split in ((pool, "TRAIN"), (test, "TEST")):
        for group, target in zip(image_set.groups, image_set.targets, strict=True):
            assert group.startswith(f"{split}_{CLASSES[target]}")
    assert notes[0].startswith("12 training images come from 4 sources")
    assert notes[1].startswith("0 sources")


def test_larger_pixels_integrate_linear_light(folder):
    stripes = np.full((24, 32, 3), 64, np.uint8)
    stripes[:, ::2] = 192
    for file in (folder / "images" / "TEST" / "MONOCYTE").iterdir():
        Image.fromarray(stripes).save(file.with_suffix(".png"))
        file.unlink()
    _, test, _, _ = load(folder, groups="content")
    light = sum(((code / 255 + 0.055) / 1.055) ** 2.4 for code in (64, 192)) / 2
    code = round(255 * (1.055 * light ** (1 / 2.4) - 0.055))
    assert code == 146  # and not 128, the mean of the codes
    assert test.images[test.targets == 1].unique().tolist() == [code]


@pytest.mark.parametrize("below", ["images", "."])
def test_folder_above_or_at_images_is_found(folder, below):
    assert len(load(folder / below, groups=folder.parent / "groups.csv", cache=folder.parent / "c")[0]) == 12


def test_download_inside_dataset2_master_is_found(folder):
    (folder.parent / "kaggle").mkdir()
    folder.rename(folder.parent / "kaggle" / "dataset2-master")
    assert len(load(folder.parent / "kaggle", groups=folder.parent / "groups.csv")[0]) == 12


def test_unknown_files_are_refused_rather_than_split_at_random(folder):
    with pytest.raises(ValueError, match=r"18 of 18 files \(first: TRAIN/EOS.*columns file,group.*both sides"):
        load(folder, groups=None)


def test_known_name_with_another_size_is_unknown(folder, monkeypatch):
    table = folder.parent / "groups.csv.gz"
    rows = folder.parent / "rows.csv"
    names = sorted(file for file in (folder / "images").rglob("*.jpeg"))
    parts = [file.relative_to(folder / "images").parts for file in names]
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "class", "file", "original", "group"))
        writer.writerows((*part, "o", f"{part[0]}{part[1]}{part[2][1]}") for part in parts)
    assert make_groups_table.make_table(rows, folder / "images", table) == 18
    first = table.read_bytes()
    make_groups_table.make_table(rows, folder / "images", table)
    assert table.read_bytes() == first
    monkeypatch.setattr(file_sources, "SHIPPED_TABLE", table)
    assert len(set(load(folder, groups=None)[0].groups)) == 4
    with names[0].open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ValueError, match="got 1 of 18 files"):
        load(folder, groups=None)


def test_table_without_one_file_is_refused(folder):
    table = folder.parent / "groups.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    with pytest.raises(ValueError, match=r"1 of 18 files \(first: TEST/MONOCYTE/_0_2.jpeg\).*groups.csv"):
        load(folder)


def test_bare_name_of_several_files_is_no_source(folder):
    rows = [(f"_{source}_{copy}.jpeg", f"s{source}") for source in range(2) for copy in range(3)]
    write_table(folder.parent / "names.csv", rows)
    with pytest.raises(ValueError, match="18 of 18"):
        load(folder, groups=folder.parent / "names.csv")


def test_table_that_contradicts_itself_is_refused(folder):
    write_table(folder.parent / "bad.csv", [("a.jpeg", "one"), ("a.jpeg", "two")])
    with pytest.raises(ValueError, match=r"one group for a\.jpeg"):
        load(folder, groups=folder.parent / "bad.csv")
    (folder.parent / "bad.csv").write_text("name,source\n")
    with pytest.raises(ValueError, match="columns file,group"):
        load(folder, groups=folder.parent / "bad.csv")
    with pytest.raises(FileNotFoundError, match="a missing file"):
        load(folder, groups=folder.parent / "none.csv")


def test_guess_by_colour_is_asked_for_and_noted(folder):
    pool, _, _, notes = load(folder, groups="content")
    table = load(folder)[0]
    assert len(set(zip(pool.groups, table.groups, strict=True))) == len(set(pool.groups)) == 4
    assert any("guessed by colour" in note for note in notes)


def test_flipped_and_rotated_copies_have_the_same_colours():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(30, 256, (5, 3, 20, 20), dtype=torch.uint8, generator=generator)
    images = images // torch.tensor([1, 2, 3, 4, 5]).view(5, 1, 1, 1).to(torch.uint8) + 30
    groups = group_by_content(torch.cat([images, images.flip(2), images.mT]))
    assert len(set(groups)) == 5
    assert (groups[:5] == groups[5:10]).all() and (groups[:5] == groups[10:]).all()


def test_source_on_both_sides_of_the_border_is_told_and_can_be_dropped(folder):
    table = folder.parent / "groups.csv"
    table.write_text(table.read_text().replace("_0_0.jpeg,TEST_MONOCYTE_0", "_0_0.jpeg,TRAIN_MONOCYTE_0"))
    pool, test, _, notes = load(folder)
    assert straddling_groups(pool, test) == ("TRAIN_MONOCYTE_0",) and len(test) == 6
    assert notes[1] == "1 sources have images in both TRAIN and TEST (1 TEST images, kept)."
    pool, test, _, notes = load(folder, drop_straddling=True)
    assert straddling_groups(pool, test) == () and len(test) == 5 and len(pool) == 12
    assert "1 TEST images, left out" in notes[1]
    table.write_text(table.read_text().replace("TEST_MONOCYTE_0", "TRAIN_MONOCYTE_0"))
    with pytest.raises(ValueError, match="a class with none"):
        load(folder, drop_straddling=True)


def test_truncated_file_is_named(folder):
    truncate(folder)
    with pytest.raises(ValueError, match=r"readable, but got TRAIN/MONOCYTE/_1_2.jpeg: .*(?i:truncated)"):
        load(folder)


def test_truncated_file_is_left_out_only_when_asked(folder):
    whole_pool, whole_test, _, _ = load(folder)
    truncate(folder, "TRAIN/EOSINOPHIL/_0_0.jpeg")
    for _ in range(2):  # the second load warns too: nothing was cached
        with pytest.warns(UserWarning, match=r"_0_0\.jpeg is unreadable"):
            pool, test, _, notes = load(folder, skip_unreadable=True)
    assert "1 unreadable files were left out: TRAIN/EOSINOPHIL/_0_0.jpeg." in notes
    for part, whole in ((pool, whole_pool.subset(torch.arange(1, 12))), (test, whole_test)):
        assert torch.equal(part.images, whole.images) and torch.equal(part.targets, whole.targets)
        assert part.groups.tolist() == whole.groups.tolist()


def test_text_called_jpeg_is_named(folder):
    (folder / "images/TEST/MONOCYTE/_0_0.jpeg").write_text("not found")
    with pytest.raises(ValueError, match=r"TEST/MONOCYTE/_0_0\.jpeg: cannot identify"):
        load(folder)


def test_class_without_images_in_one_split_is_told(folder):
    for file in (folder / "images/TEST/MONOCYTE").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"class MONOCYTE to have images in .*, but got none in TEST"):
        load(folder)
    (folder / "images/TEST/MONOCYTE").rmdir()
    with pytest.raises(ValueError, match="none in TEST"):
        load(folder)


def test_empty_and_missing_folders_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="which is missing"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="images/TRAIN and images/TEST"):
        load_folder(tmp_path)
    for split in ("TRAIN", "TEST"):
        (tmp_path / split / "MONOCYTE").mkdir(parents=True)
    with pytest.raises(ValueError, match="Expected images in"):
        load_folder(tmp_path)


def test_hidden_files_are_ignored(folder):
    (folder / "images/TRAIN/MONOCYTE/._0_0.jpeg").write_bytes(b"\0")
    (folder / "images/TRAIN/.DS_Store").write_bytes(b"\0")
    assert len(load(folder)[0]) == 12


def test_second_load_decodes_nothing(folder, monkeypatch):
    first = load(folder)[0]
    monkeypatch.setattr(decoding, "_decode", None)
    assert torch.equal(load(folder)[0].images, first.images)


def test_other_size_or_changed_file_is_decoded_again(folder):
    before = load(folder)[0].images
    assert load(folder, height=3, width=4)[0].images.shape[2:] == (3, 4)
    Image.new("RGB", (32, 24), "red").save(folder / "images/TRAIN/EOSINOPHIL/_0_0.jpeg")
    after = load(folder)[0].images
    assert (before != after).flatten(1).any(1).tolist() == [True] + [False] * 11


@pytest.mark.parametrize("damage", [lambda data: data[:-50], lambda data: b"", "flip"])
def test_corrupt_cache_is_told_and_made_again(folder, damage):
    first = load(folder)[0]
    (cache,) = (folder.parent / "cache").iterdir()
    data = bytearray(cache.read_bytes())
    data[len(data) // 2] ^= 255
    cache.write_bytes(bytes(data) if damage == "flip" else damage(cache.read_bytes()))
    with pytest.warns(UserWarning, match="is corrupt"):
        assert torch.equal(load(folder)[0].images, first.images)
    assert torch.equal(load(folder)[0].images, first.images)
    assert len(list((folder.parent / "cache").iterdir())) == 1


def test_cache_that_cannot_be_written_only_warns(folder):
    (folder.parent / "cache").write_text("a file, not a folder")
    with pytest.warns(UserWarning, match="was not written"):
        assert len(load(folder)[0]) == 12


def test_number_of_threads_changes_no_pixel(folder):
    one, three = (load(folder, jobs=jobs, cache=folder.parent / str(jobs))[0] for jobs in (1, 3))
    assert torch.equal(one.images, three.images)


@pytest.mark.realdata
def test_official_download_has_the_audited_counts(tmp_path, real):
    root = real("blood_cells")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool, test, class_names, notes = load_folder(root, cache=tmp_path, progress=False)
    assert (len(pool), len(test)) == (9957, 2487)
    assert pool.targets.bincount().tolist() == [2497, 2483, 2478, 2499]
    assert (len(set(pool.groups)), len(set(test.groups))) == (256, 67)
    assert straddling_groups(pool, test) == ("BloodImage_00257", "BloodImage_00277", "BloodImage_00409")
    assert class_names == ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
    assert "74 TEST images, kept" in notes[1]
    for seed in range(6):
        sides = group_split(pool.targets, pool.group_codes, 0.2, seed)
        assert not set.intersection(*(set(pool.groups[side.numpy()]) for side in sides))
        assert all(set(pool.targets[side].tolist()) == {0, 1, 2, 3} for side in sides)
