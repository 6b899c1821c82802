"""The blood-cell task through the command line: every broken folder gets one sentence and exit code 2."""

import numpy as np
import pytest
import torch
from PIL import Image

from physlayer.experiment import main
from physlayer.sweeps.bit_depth import SWEEP
from physlayer.tasks.base import Options, get_task

CLASSES = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")


def make_folder(folder, *, sources=3, classes=CLASSES):
    generator = np.random.default_rng(0)
    rows = ["file,group"]
    for split in ("TRAIN", "TEST"):
        for name in classes:
            (folder / "images" / split / name).mkdir(parents=True)
            for k in range(2 * sources):
                pixels = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
                file = f"{split}/{name}/{k}.jpeg"
                Image.fromarray(pixels).resize((64, 48)).save(folder / "images" / file)
                rows.append(f"{file},{split}{name}{k // 2}")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sweep(folder, out, *more):
    base = [
        "--bits",
        "1",
        "--seeds",
        "1",
        "--fast",
        "--epochs",
        "1",
        "--variants",
        "fixed",
        "--jobs",
        "1",
        "--no-report",
    ]
    return main(SWEEP, "manual", [*base, "--data", str(folder), "--out", str(out), *more])


def error_of(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_folder_in_kaggles_layout_trains_with_a_table_of_sources(tmp_path):
    folder = make_folder(tmp_path / "cells")
    assert sweep(folder, tmp_path / "out", "--groups", str(folder / "groups.csv")) == 0
    assert (tmp_path / "out" / "summary.csv").exists()


def test_folder_of_unknown_files_is_not_split_at_random(tmp_path, capsys):
    assert sweep(make_folder(tmp_path / "cells"), tmp_path / "out") == 2
    message = error_of(capsys)
    assert "--groups" in message or "groups" in message
    assert "copies" in message


def test_folder_without_images_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert sweep(tmp_path / "empty", tmp_path / "out") == 2
    assert "Expected" in error_of(capsys)


def test_missing_class_is_named(tmp_path, capsys):
    folder = make_folder(tmp_path / "cells")
    for file in (folder / "images" / "TEST" / "MONOCYTE").iterdir():
        file.unlink()
    assert sweep(folder, tmp_path / "out", "--groups", str(folder / "groups.csv")) == 2
    assert "MONOCYTE" in error_of(capsys)


def test_truncated_image_is_named_and_skipped_only_when_asked(tmp_path, capsys):
    folder = make_folder(tmp_path / "cells")
    broken = folder / "images" / "TRAIN" / "NEUTROPHIL" / "0.jpeg"
    broken.write_bytes(broken.read_bytes()[:300])
    groups = ("--groups", str(folder / "groups.csv"))
    assert sweep(folder, tmp_path / "out", *groups) == 2
    assert "TRAIN/NEUTROPHIL/0.jpeg" in error_of(capsys)
    assert sweep(folder, tmp_path / "out", *groups, "--skip-unreadable") == 0


def test_phantom_is_the_same_whenever_it_is_loaded(tmp_path):
    task = get_task("blood_cells")
    first, again = (task.load(Options(fast=True)) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert not set(first.pool.groups) & set(first.test.groups)
    assert first.problem.class_names == CLASSES


def test_cache_of_the_phantom_that_was_cut_short_is_rendered_again(tmp_path):
    task = get_task("blood_cells")
    whole = task.load(Options(fast=True))
    for file in (tmp_path / "cache" / "physlayer").glob("blood_phantom_*.npz"):
        file.write_bytes(file.read_bytes()[:1000])
    assert task.load(Options(fast=True)).fingerprint == whole.fingerprint


def test_augmentation_is_seeded_and_stays_in_range():
    task, images = get_task("blood_cells"), torch.rand(8, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(8).long()
    one, two = (task.augment(images, targets, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(
        one, task.augment(images, targets, torch.Generator().manual_seed(4))[0]
    )
    assert one.min() >= 0 and one.max() <= 1 and one.shape == images.shape


def test_width_is_that_of_the_images_and_shares_slides_with_the_default(tmp_path):
    folder = make_folder(tmp_path / "cells")
    task = get_task("blood_cells")
    small, whole = task.load(Options(fast=True, width=16)), task.load(Options(fast=True))
    assert small.pool.images.shape[2:] == (16, 16) and small.fingerprint != whole.fingerprint
    assert torch.equal(small.test.targets, whole.test.targets)
    real = task.load(Options(data=str(folder), groups=str(folder / "groups.csv"), width=40))
    assert real.pool.images.shape[1:] == (3, 30, 40)


@pytest.mark.parametrize("width", [0, 20, 256])
def test_width_that_the_task_does_not_have_ends_with_one_sentence(tmp_path, capsys, width):
    assert main(SWEEP, "manual", ["--fast", "--width", str(width), "--out", str(tmp_path)]) == 2
    assert "Expected --width of the phantom to be 16, 32, 64 or 128 pixels" in error_of(capsys)
    folder = make_folder(tmp_path / "cells")
    assert sweep(folder, tmp_path, "--width", str(width if width < 16 else 321)) == 2
    assert "Expected --width to be 16 to 320 pixels" in error_of(capsys)


@pytest.mark.parametrize("name", ["course", "small", "large"])
def test_networks_give_four_logits_for_any_size(name):
    network = get_task("blood_cells").network(name, (3, 60, 80), 4)
    assert network(torch.rand(2, 3, 60, 80)).shape == (2, 4)
    assert network(torch.rand(2, 3, 37, 31)).shape == (2, 4)
