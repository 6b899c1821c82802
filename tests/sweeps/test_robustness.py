"""The robustness sweep: every network is trained once and judged at every level, through the runner of all sweeps."""

import csv
import json

import pytest
import torch
from torch import nn

from physlayer.experiment.run import make_runs
from physlayer.experiment.summary import COLUMNS
from physlayer.sweeps import robustness as script

SMALL = ["--fast", "--seeds", "1", "--epochs", "1", "--jobs", "1", "--noise", "gaussian", "--levels", "0.1"]
SHARED = {"task": "digits", "data": "ab", "network": "small", "recipe": {"linear": True}}


def records_of(out):
    found = [json.loads(path.read_text()) for path in (out / "records").glob("*.json")]
    return {(record["variant"], record["value"]): record for record in found}


def grid(sweep, tested, seeds=(0,)):
    return make_runs(sweep, sweep.variants, sweep.values(tested), seeds, SHARED)


@pytest.mark.parametrize("noise", script.KINDS)
def test_clean_is_where_a_kind_does_nothing_and_worse_levels_do_more(noise):
    sweep, kind = script.make_sweep(noise), script.KINDS[noise]
    scene = 0.4 + 0.1 * torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    spread = nn.Upsample(size=(8, 8))
    values = sorted(sweep.values(sweep.default), reverse=noise == "photon")
    errors = [float((spread(kind.layer(value).eval()(scene)) - scene).abs().mean()) for value in values]
    assert values[0] == kind.clean and len(values) == 4
    assert errors == sorted(errors)
    assert errors[0] < (1e-3 if noise == "photon" else 1e-7) < errors[1]  # a million photons are a noise of 0.1 %


def test_every_network_is_trained_once_and_its_other_levels_wait_for_it():
    sweep = script.make_sweep("gaussian", "0.1,0.3")
    runs = grid(sweep, "0,0.1,0.3", seeds=(0, 1))
    trained = [run for run in runs if run.source is None]
    assert {run.point for run in trained} == {("none", None), ("trained_0.1", 0.1), ("trained_0.3", 0.3)}
    assert len(trained) == 3 * 2 and len(runs) == 2 * (1 + 3 * 3)
    seeds = {run.key: run.seed for run in trained}
    points = {run.key: run.point for run in trained}
    for run in runs[len(trained) :]:  # all that wait stand behind those they wait for
        arm = "none" if run.variant == "trained_clean" else run.variant
        assert points[run.source][0] == arm and seeds[run.source] == run.seed


def test_keys_differ_by_the_level_of_training_and_of_test():
    keys = [run.key for run in grid(script.make_sweep("gaussian", "0.1,0.3"), "0,0.1,0.3")]
    assert len(set(keys)) == len(keys)
    other = [run.key for run in grid(script.make_sweep("speckle", "0.1,0.3"), "0,0.1,0.3")]
    assert not set(keys) & set(other)


def test_a_network_is_trained_at_its_own_level_even_if_it_is_not_tested_there():
    runs = grid(script.make_sweep("gaussian", "0.1"), "0,0.3")
    assert ("trained_0.1", 0.1) in {run.point for run in runs if run.source is None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--noise", "speckle", "--levels", "0.5,2"], "Expected --levels to lie in 0..1, but got 2"),
        (["--levels", "0"], "Expected --levels to hold a level beside clean (0), but got 0"),
        (["--tested", "0,2"], "Expected --tested to lie in 0..1, but got 2"),
        (["--variants", "trained_7"], "Expected variants to be among none, trained_clean, trained_0.03"),
    ],
)
def test_a_wrong_option_is_answered_in_one_sentence(arguments, message, capsys):
    assert script.main(arguments) == 2
    assert f"error: {message}" in capsys.readouterr().err


def test_help_shows_the_options_of_the_sweep_and_those_of_all_sweeps(capsys):
    with pytest.raises(SystemExit) as told:
        script.main(["--noise", "photon", "--help"])
    shown = capsys.readouterr().out
    assert told.value.code == 0 and "sweeps/robustness.py" not in shown  # but how it was started
    for option in ("--noise", "--levels", "--tested", "--groups", "--encoding", "--development", "--skip-unreadable"):
        assert option in shown


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("robustness")
    assert script.main([*SMALL, "--no-report", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_a_network_behind_the_camera_it_was_trained_with_scores_as_when_it_was_trained(finished):
    records = records_of(finished)
    bound, clean = records["none", None], records["trained_clean", 0]  # noise of 0 is no noise
    assert clean["metrics"]["validation"] == bound["metrics"]["validation"]
    assert clean["scores"]["test"] == [
        float(p == t) for p, t in zip(bound["predictions"]["test"], targets_of(finished), strict=True)
    ]
    handed_on = records["trained_0.1", 0]
    assert handed_on["scores"]["test"] != records["trained_0.1", 0.1]["scores"]["test"]
    assert handed_on["history"] == [] and records["trained_0.1", 0.1]["history"]


def targets_of(out):
    return json.loads((out / "test_set.json").read_text())["targets"]


@pytest.mark.slow
def test_the_weights_that_are_handed_on_are_those_that_were_trained_and_only_the_noise_is_another(finished):
    stored = {path.name.rsplit("_seed", 1)[0]: path for path in (finished / "models").glob("*.pt")}
    own, off = (torch.load(stored[name], weights_only=True) for name in ("trained_0.1_0.1", "trained_0.1_0"))
    tensors = [name for name, value in own.items() if isinstance(value, torch.Tensor)]
    assert own.keys() == off.keys() and len(tensors) > 10
    assert [name for name in tensors if not torch.equal(own[name], off[name])] == ["0.noise_rms"]


@pytest.mark.slow
def test_the_summary_is_that_of_every_sweep_and_a_rerun_computes_nothing(finished, capsys):
    summary = (finished / "summary.csv").read_bytes()
    assert script.main([*SMALL, "--no-report", "--out", str(finished)]) == 0
    assert "0 runs computed, 5 were already done" in capsys.readouterr().out
    assert (finished / "summary.csv").read_bytes() == summary
    with open(finished / "summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert {(row["variant"], row["parameter"], row["value"]) for row in rows} == {
        ("none", "tested", ""),
        *((arm, "tested", value) for arm in ("trained_clean", "trained_0.1") for value in ("0", "0.1")),
    }


@pytest.mark.slow
def test_groups_and_development_reach_the_sweep(tmp_path, finished):
    command = [*SMALL, "--no-report", "--development", "--encoding", "srgb", "--groups", "content"]
    assert script.main([*command, "--out", str(tmp_path)]) == 0
    here, there = (json.loads((out / "test_set.json").read_text()) for out in (tmp_path, finished))
    assert here["fingerprint"] != there["fingerprint"] and here["groups"] != there["groups"]
    assert not set(here["groups"]) & set(there["groups"])  # no test image is looked at
    assert all(record["config"]["recipe"]["linear"] is False for record in records_of(tmp_path).values())


@pytest.mark.slow
def test_a_model_that_is_gone_is_trained_again_for_those_that_wait_for_it(finished, capsys):
    records = records_of(finished)
    trained, handed_on = records["trained_0.1", 0.1], records["trained_0.1", 0]
    (finished / "models" / f"{trained['key']}.pt").unlink()
    (finished / "records" / f"{handed_on['key']}.json").unlink()
    assert script.main([*SMALL, "--no-report", "--out", str(finished)]) == 0
    assert "2 runs computed" in capsys.readouterr().out
    again = records_of(finished)["trained_0.1", 0]
    assert again["scores"] == handed_on["scores"]


@pytest.mark.slow
def test_the_report_and_the_matrix_are_written(tmp_path, capsys):
    command = [*SMALL[:-4], "--noise", "pixel_size", "--levels", "2", "--out", str(tmp_path)]
    assert script.main(command) == 0
    assert "incomplete" not in capsys.readouterr().out
    for name in ("summary.csv", "figure.png", "figure.svg", "matrix.png", "report.html"):
        assert (tmp_path / name).stat().st_size > 1000
