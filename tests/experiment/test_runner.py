"""Sweeps resume, repeat and refuse as promised."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from physlayer.experiment import main
from physlayer.experiment.records import read_record, read_records, read_test_set
from physlayer.sweeps.bit_depth import SWEEP
from physlayer.tasks.base import Options, get_task

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


def test_augmentation_can_be_left_out_and_is_then_another_run(tmp_path):
    for more in ([], ["--no-augment"]):
        small = ["--bits", "8", "--seeds", "1", "--fast", "--epochs", "1", "--variants", "none", "--no-report"]
        assert main(SWEEP, "manual", [*small, "--jobs", "1", "--out", str(tmp_path), *more]) == 0
    assert sorted(record.config.recipe["augment"] for record in read_records(tmp_path)) == [False, True]


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
