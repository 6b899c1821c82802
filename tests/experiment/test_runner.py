"""Sweeps resume, repeat and refuse as promised."""

import csv
import importlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from physlayer.sweeps.bit_depth import SWEEP
from physlayer.tasks.base import Options, get_task

from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment import main, parse_values
from physlayer.experiment.arguments import chosen_variants, parse_seeds
from physlayer.experiment.axis import shown_value
from physlayer.experiment.preflight import require_judgement
from physlayer.experiment.records import read_record, read_records, read_test_set

SCRIPT = Path(__file__).resolve().parents[2] / "sweeps" / "bit_depth.py"
SMALL = [
    "--bits",
    "1,8",
    "--seeds",
    "2",
    "--fast",
    "--epochs",
    "1",
    "--variants",
    "fixed,learned",
    "--no-report",
]


def run(out, *more):
    return main(SWEEP, "manual", [*SMALL, "--out", str(out), *more])


def metrics_of(out):
    return {r.key: (r.metrics, r.predictions, r.history) for r in read_records(out)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted sweep, run one at a time."""
    out = tmp_path_factory.mktemp("finished")
    assert run(out, "--jobs", "1") == 0
    return out


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


def test_augmentation_can_be_left_out_and_is_then_another_run(tmp_path):
    for more in ([], ["--no-augment"]):
        small = ["--bits", "8", "--seeds", "1", "--fast", "--epochs", "1", "--variants", "none", "--no-report"]
        assert main(SWEEP, "manual", [*small, "--jobs", "1", "--out", str(tmp_path), *more]) == 0
    assert sorted(record.config.recipe["augment"] for record in read_records(tmp_path)) == [False, True]


def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert main(SWEEP, "manual", ["--fast", "--out", str(tmp_path / "taken")]) == 2
    assert (tmp_path / "taken").read_text() == "mine"
    assert "Expected --out" in capsys.readouterr().err


def test_summary_is_tidy_and_holds_every_run_and_every_point(finished):
    with open(finished / "summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "sweep",
        "task",
        "variant",
        "parameter",
        "value",
        "seed",
        "split",
        "metric",
        "score",
        "low",
        "high",
        "n_clusters",
    ]
    accuracy = [r for r in rows if r["metric"] == "accuracy" and r["split"] == "test"]
    assert {(r["variant"], r["value"], r["seed"]) for r in accuracy} == {
        (variant, value, seed)
        for variant, values in (("fixed", "18"), ("learned", "18"), ("none", [""]))
        for value in values
        for seed in ("0", "1", "all")
    }
    for row in (r for r in accuracy if r["seed"] == "all"):
        assert float(row["low"]) <= float(row["score"]) <= float(row["high"])
        assert int(row["n_clusters"]) > 5
        singles = [
            float(r["score"])
            for r in accuracy
            if r["seed"] != "all" and r["variant"] == row["variant"] and r["value"] == row["value"]
        ]
        assert float(row["score"]) == pytest.approx(sum(singles) / 2, abs=2e-6)


def test_record_says_what_made_it(finished):
    record = read_record(next((finished / "records").glob("learned_1_seed0*.json")))
    assert record.config.recipe["epochs"] == 1
    assert record.provenance.commit and record.provenance.seconds > 0
    assert record.history[0].epoch == 1 and 0 <= record.history[0].validation_hard <= 1
    assert record.camera.layers[0].quantities["gain"].learned
    assert set(record.audit.gradient) == {"0.gain", "0.offset"}


def test_second_run_computes_nothing_and_gives_the_same_summary(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in (finished / "records").glob("*.json")}
    summary = (finished / "summary.csv").read_bytes()
    assert run(finished, "--jobs", "1") == 0
    assert "0 runs computed, 10 were already done" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (finished / "records").glob("*.json")}
    assert summary == (finished / "summary.csv").read_bytes()


@pytest.mark.slow
def test_two_at_a_time_give_the_numbers_of_one_at_a_time(finished, tmp_path):
    assert run(tmp_path, "--jobs", "2") == 0
    assert metrics_of(tmp_path) == metrics_of(finished)
    assert (tmp_path / "summary.csv").read_bytes() == (finished / "summary.csv").read_bytes()


@pytest.mark.slow
def test_sweep_killed_at_three_random_moments_neither_loses_nor_repeats_a_run(finished, tmp_path):
    command = [sys.executable, str(SCRIPT), *SMALL, "--jobs", "2", "--out", str(tmp_path)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    moments, done = random.Random(), {}
    for least in (1, 3, 5):
        process = subprocess.Popen(command, start_new_session=True, **quiet)
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("records/*.json"))) < least and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert all(path.stat().st_mtime_ns == moment for path, moment in done.items())
        done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("records/*.json")}
    assert 5 <= len(done) < 10
    assert run(tmp_path, "--jobs", "1") == 0
    assert all(path.stat().st_mtime_ns == moment for path, moment in done.items())
    assert (tmp_path / "summary.csv").read_bytes() == (finished / "summary.csv").read_bytes()


@pytest.mark.slow
def test_interrupt_keeps_what_is_finished(tmp_path):
    many = ["--seeds", "200"]  # more than a slow test machine lets pass before the signal
    command = [sys.executable, str(SCRIPT), *SMALL, *many, "--jobs", "1", "--out", str(tmp_path)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("records/*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "finished runs are kept" in error and "Traceback" not in error
    assert (tmp_path / "summary.csv").exists()


def test_development_scores_held_out_training_sources_and_no_test_image(tmp_path, capsys):
    truth = get_task("blood_cells").load(Options(fast=True))
    small = ["--fast", "--bits", "8", "--seeds", "1", "--epochs", "1", "--variants", "fixed", "--no-report"]
    assert main(SWEEP, "manual", [*small, "--development", "--out", str(tmp_path)]) == 0
    assert "DEVELOPMENT" in capsys.readouterr().out
    scored = set(read_test_set(tmp_path).groups)
    assert scored < set(truth.pool.groups) and not scored & set(truth.test.groups)
    data = truth.development()
    for seed in (0, 1):
        assert not scored & set(data.split(seed)["train"].groups)
        assert not scored & set(data.split(seed)["validation"].groups)


def test_judging_other_settings_on_the_same_test_set_is_told(tmp_path, capsys):
    small = ["--fast", "--bits", "8", "--seeds", "1", "--variants", "fixed", "--no-report", "--out", str(tmp_path)]
    assert main(SWEEP, "manual", [*small, "--epochs", "1"]) == 0
    assert "judged with other settings" not in capsys.readouterr().out
    assert main(SWEEP, "manual", [*small, "--epochs", "2"]) == 0
    assert "judged with other settings (epochs 1)" in capsys.readouterr().out


def test_record_cut_in_half_is_told_and_computed_again(finished, tmp_path, capsys):
    import shutil

    shutil.copytree(finished, tmp_path / "copy")
    path = next((tmp_path / "copy" / "records").glob("fixed_1_seed0*.json"))
    whole = read_record(path)
    path.write_text(path.read_text()[: path.stat().st_size // 2])
    with pytest.warns(UserWarning, match=f"Expected {path.name} to hold a whole record"):
        assert read_record(path) is None
    assert run(tmp_path / "copy", "--jobs", "1") == 0
    captured = capsys.readouterr()
    assert "1 runs computed, 9 were already done" in captured.out
    assert "computed again" in captured.err
    assert read_record(path).metrics == whole.metrics


def test_frozen_arm_uses_the_camera_of_its_learned_run(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "copy")
    assert main(SWEEP, "manual", [*SMALL, "--retrain", "--jobs", "1", "--out", str(tmp_path / "copy")]) == 0
    folder = tmp_path / "copy" / "records"
    learned = read_record(next(folder.glob("learned_1_seed0*.json")))
    frozen = read_record(next(folder.glob("learned_retrained_1_seed0*.json")))
    ours, theirs = (r.camera.layers[0].quantities["gain"] for r in (frozen, learned))
    assert ours.value == theirs.value
    assert frozen.predictions != learned.predictions
    assert set(frozen.audit.gradient.values()) == {"frozen"}


def test_controls_bring_the_arm_whose_camera_they_take():
    names = [v.name for v in chosen_variants(SWEEP, "bit_shuffled", retrain=False)]
    assert set(names) == {"bit_shuffled", "bit_budget_smooth", "none"}


def test_default_arms_have_the_promised_names():
    assert SWEEP.chosen == ("fixed", "tuned", "learned", "per_pixel", "bit_budget")
    assert SWEEP.bound == "none"
