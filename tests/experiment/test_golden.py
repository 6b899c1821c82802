"""What one small sweep wrote at version 1 of the record stays as it was, byte for byte, while the format stands.

The files came from ``python sweeps/bit_depth.py --bits 1,2 --seeds 2 --fast --variants fixed,learned --retrain``.
"""

import json
import tarfile
from pathlib import Path

import pytest

from physlayer.experiment.arguments import chosen_variants
from physlayer.experiment.record import as_json
from physlayer.experiment.records import parse_record, read_records, read_test_set, write_test_set
from physlayer.experiment.run import make_runs
from physlayer.experiment.summary import summary_rows, write_summary
from physlayer.sweeps.bit_depth import SWEEP

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def stored():
    return json.loads((GOLDEN / "records.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def records(stored):
    return [parse_record(content) for content in stored]


def test_a_run_has_the_key_that_its_settings_always_had(records):
    keys = ["fixed_1_seed0_4370e33014", "learned_2_seed1_9a1b70b778", "none_seed0_357c20e7e0"]
    runs = {record.key: record.config for record in records}
    assert [runs[key].key for key in keys] == keys
    assert all(run.key == key for key, run in runs.items())


def test_a_grid_makes_the_runs_that_it_always_made(records):
    shared = {name: getattr(records[0].config, name) for name in ("task", "data", "network", "recipe")}
    arms = chosen_variants(SWEEP, "fixed,learned", retrain=True)
    runs = make_runs(SWEEP, arms, [1, 2], [0, 1], shared)
    assert sorted(run.key for run in runs) == sorted(record.key for record in records)


def test_a_record_is_written_as_it_always_was(stored, records):
    assert [json.dumps(as_json(record)) for record in records] == [json.dumps(content) for content in stored]


def test_a_test_set_is_written_as_it_always_was(tmp_path):
    write_test_set(tmp_path, read_test_set(GOLDEN))
    found, golden = (json.loads((folder / "test_set.json").read_text()) for folder in (tmp_path, GOLDEN))
    assert json.dumps(found) == json.dumps(golden)


def test_summary_of_a_sweep_is_byte_identical(records, tmp_path):
    write_summary(tmp_path / "summary.csv", summary_rows(records, read_test_set(GOLDEN)))
    assert (tmp_path / "summary.csv").read_bytes() == (GOLDEN / "summary.csv").read_bytes()


def test_table_of_the_real_page_follows_from_the_records_that_are_committed(tmp_path):
    results = Path(__file__).parents[2] / "docs" / "results"
    with tarfile.open(results / "bit_depth_blood_cells.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    runs = tmp_path / "bit_depth_blood_cells"
    records = read_records(runs)
    assert len(records) == 108
    write_summary(tmp_path / "summary.csv", summary_rows(records, read_test_set(runs)))
    assert (tmp_path / "summary.csv").read_bytes() == (results / "bit_depth_blood_cells.csv").read_bytes()
