"""What a command line asks for, and what is refused before the first run."""

import importlib

import numpy as np
import pytest
import torch

from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment import main, parse_values
from physlayer.experiment.arguments import chosen_variants, parse_seeds
from physlayer.experiment.axis import shown_value
from physlayer.experiment.preflight import require_judgement
from physlayer.sweeps.bit_depth import SWEEP


def test_values_are_ranges_lists_or_single_numbers():
    assert parse_values("1..8", "bits", 1, 16) == list(range(1, 9))
    assert parse_values("4,1,2", "bits", 1, 16) == [1, 2, 4]
    assert parse_values("8", "bits", 1, 16) == [8]
    assert parse_values("0.5,2", "factor", 0, 4, whole=False) == [0.5, 2.0]
    assert parse_seeds("3") == [0, 1, 2] and parse_seeds("5,4") == [4, 5]


def test_a_logarithmic_axis_is_filled_by_decades_and_a_fraction_by_halves():
    assert parse_values("10..10000", "photons", 1, 1e6, scale="log") == [10, 30, 100, 300, 1000, 3000, 10_000]
    assert parse_values("50..200", "photons", 1, 1e6, scale="log") == [50, 100, 200]
    assert parse_values("1/2..1/256", "keep", 0, 1, whole=False, scale="halves") == [2.0**-n for n in range(8, 0, -1)]
    assert parse_values("1/3,0.5", "keep", 0, 1, whole=False, scale="halves") == [1 / 3, 0.5]
    for text in ("1/256..1/2", "1/0", "2..x"):
        with pytest.raises(ValueError, match="Expected --keep"):
            parse_values(text, "keep", 0, 1, whole=False, scale="halves")
    assert shown_value(1 / 256, "halves") == "1/256" and shown_value(0.3, "halves") == "0.3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr-physics", "-1"], "Expected lr_physics to be"),
        (["--bits", "0..3"], "Expected --bits to lie in 1..16, but got 0"),
        (["--bits", "8..1"], "Expected --bits to be a rising range, but got 8..1; write 1..8"),
        (["--bits", "x"], "Expected --bits to look like 1..8, 1,2,4 or 8, but got 'x'"),
        (["--bits", "1..99"], "Expected --bits to lie in 1..16"),
        (["--bits", ""], "Expected --bits to look like"),
        (["--seeds", "0"], "Expected --seeds"),
        (["--seeds", "two"], "Expected --seeds"),
        (["--epochs", "0"], "Expected --epochs"),
        (["--jobs", "0"], "Expected --jobs"),
        (["--variants", "fixd"], "Expected variants to be among fixed,"),
        (["--task", "cats"], "Expected task to be one of"),
        (["--network", "huge"], "Expected network to be one of"),
        (["--device", "warp"], "Expected --device to be available"),
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--out", "/proc/nowhere"], "Expected --out to be a folder that can be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options_end_with_one_sentence_and_exit_code_two(arguments, message, tmp_path, capsys):
    base = ["--fast", "--bits", "1", "--out", str(tmp_path / "out")]
    assert main(SWEEP, "manual", base + arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert message in error


@pytest.mark.parametrize("short", ["--lr", "--bit", "--variant"])
def test_options_are_not_abbreviated(short, capsys):
    """--lr would be --lr-physics."""
    with pytest.raises(SystemExit) as stop:
        main(SWEEP, "manual", [short, "1"])
    assert stop.value.code == 2 and f"unrecognized arguments: {short}" in capsys.readouterr().err


def test_test_sets_that_allow_no_interval_are_refused_before_training():
    groups = np.array(["a", "a", "b", "c", "c", "c"])
    images = ImageSet(torch.rand(6, 1, 4, 4), torch.tensor([0, 1, 0, 1, 0, 1]), groups, "linear")
    pool, test = images.subset(torch.arange(3)), images.subset(torch.arange(3, 6))
    with pytest.raises(ValueError, match=r"at least 2 sources, but got 1 \(3 images\)"):
        require_judgement(TaskData("mine", ("p", "q"), pool, test, "", ()))
    one = ImageSet(images.images, torch.zeros(6, dtype=torch.int64), groups, "linear")
    with pytest.raises(ValueError, match=r"2 classes in the training set, but got p alone"):
        require_judgement(TaskData("mine", ("p", "q"), one, images, "", ()))
    require_judgement(TaskData("mine", ("p", "q"), images, images, "", ()))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resolution", ["--factors", "1,32"], "Expected --factors to be at most 28, the smaller side"),
        ("blur", ["--sigma", "1,1.1"], "Expected --sigma in quarters of a pixel, such as 0.75, but got 1.1"),
        ("color_filters", ["--task", "digits"], "Expected colour images, but got 1 channels"),
    ],
)
def test_a_camera_that_cannot_be_built_is_refused_before_the_first_run(name, arguments, message, tmp_path, capsys):
    sweep = importlib.import_module(f"physlayer.sweeps.{name}").SWEEP
    assert main(sweep, "manual", ["--task", "digits", "--fast", "--out", str(tmp_path), *arguments]) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1
    assert not list(tmp_path.rglob("*.json")) and "runs of" not in told.out


def test_a_sweep_of_its_own_scenes_refuses_other_tasks(tmp_path, capsys):
    from physlayer.sweeps import ultrasound_array

    assert main(ultrasound_array.SWEEP, "", ["--task", "digits", "--fast", "--out", str(tmp_path)]) == 2
    assert "Expected --task to be ultrasound_field, whose scenes" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert main(SWEEP, "manual", ["--fast", "--out", str(tmp_path / "taken")]) == 2
    assert (tmp_path / "taken").read_text() == "mine"
    assert "Expected --out" in capsys.readouterr().err


def test_controls_bring_the_arm_whose_camera_they_take():
    names = [v.name for v in chosen_variants(SWEEP, "bit_shuffled", retrain=False)]
    assert set(names) == {"bit_shuffled", "bit_budget_smooth", "none"}


def test_default_arms_have_the_promised_names():
    assert SWEEP.chosen == ("fixed", "tuned", "learned", "per_pixel", "bit_budget")
    assert SWEEP.bound == "none"
