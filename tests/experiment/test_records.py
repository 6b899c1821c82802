"""A record is read back whole or computed again, and says which of its words is wrong."""

import json
import math
import re
import subprocess
import sys
import warnings
from dataclasses import fields, replace
from pathlib import Path

import pytest

from physlayer.experiment.record import Epoch, Provenance, Record, as_json
from physlayer.experiment.records import parse_record, read_record, read_test_set, record_path, write_record
from physlayer.experiment.run import Run

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def stored():
    """JSON content of the record of a learned arm."""
    return json.loads((GOLDEN / "records.json").read_text(encoding="utf-8"))[4]


def changed(stored, place, value):
    """A copy of the content with another value at a place such as ``"config.seed"``; ``None`` leaves it out."""
    copy = json.loads(json.dumps(stored))
    *folders, name = place.split(".")
    inside = copy
    for folder in folders:
        inside = inside[int(folder) if folder.isdigit() else folder]
    if value is None:
        del inside[name]
    else:
        inside[name] = value
    return copy


def test_a_written_record_is_read_back_as_it_was(stored, tmp_path):
    record = parse_record(stored)
    write_record(tmp_path, record)
    assert read_record(record_path(tmp_path, record.key)) == record
    assert [path.name for path in (tmp_path / "records").iterdir()] == [f"{record.key}.json"]


def test_settings_and_values_are_attributes(stored):
    record = parse_record(stored)
    assert (record.config.variant, record.config.value, record.config.seed) == ("learned", 1, 0)
    assert record.point == record.config.point == ("learned", 1)
    assert record.camera.layers[0].quantities["gain"].bounds == (0.0, None)
    assert record.audit.moved["0.gain"].unit == "1" and record.scores is None


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("format", 2, "it is of format 2, and this version reads 1"),
        ("key", "learned_1_seed0_0000000000", "it holds the key learned_1_seed0_0000000000, and its settings have"),
        ("config.seed", 1, "and its settings have learned_1_seed1_"),
        ("config.recipe.lr", 0.5, "and its settings have"),
        ("config.source", "fixed_1_seed0_4370e33014", "and its settings have"),
        ("seed", 3, "its seed is 3, and 0 in config"),
        ("value", "1", r"Expected `int | float | null`, got `str` - at `$.value`"),
        ("predictions.test", ["a"], r"at `$.predictions[...][0]`"),
        ("camera.layers.0.quantities.gain.unit", 3, r"Expected `str`, got `int` - at `$.camera.layers[0].quantities"),
        ("camera.cost", None, r"missing required field `cost` - at `$.camera`"),
        ("history.0.loss", None, r"missing required field `loss` - at `$.history[0]`"),
        ("metrics.test", None, "it holds no metrics of the test set"),
        ("provenance", None, "missing required field `provenance`"),
    ],
)
def test_a_record_that_does_not_fit_is_told_with_the_reason_and_computed_again(stored, tmp_path, place, value, reason):
    path = record_path(tmp_path, stored["key"])
    path.parent.mkdir()
    path.write_text(json.dumps(changed(stored, place, value)))
    with pytest.warns(UserWarning, match=f"Expected {path.name} to hold a whole record, but got") as told:
        assert read_record(path) is None
    assert reason in str(told[0].message) and str(told[0].message).endswith("; it is computed again.")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "one"}'])
def test_a_file_that_holds_something_else_is_no_record(tmp_path, text):
    path = tmp_path / "fixed_1_seed0_4370e33014.json"
    path.write_bytes(text)
    with pytest.warns(UserWarning, match="Expected fixed_1_seed0_4370e33014.json to hold a whole record"):
        assert read_record(path) is None


def test_record_under_another_name_is_not_believed(stored, tmp_path):
    path = tmp_path / "learned_1_seed0_0000000000.json"
    path.write_text(json.dumps(stored))
    with pytest.warns(UserWarning, match=f"it holds the key {stored['key']}"):
        assert read_record(path) is None


def test_no_file_is_no_record_without_a_word(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_record(tmp_path / "a.json") is None


def test_a_number_that_is_not_finite_leaves_no_file(stored, tmp_path):
    record = parse_record(stored)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_record(tmp_path, replace(record, metrics={"test": {"accuracy": math.nan}}))
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.tmp"))


def test_a_test_set_without_groups_is_refused_by_name(tmp_path):
    stored = json.loads((GOLDEN / "test_set.json").read_text())
    assert read_test_set(GOLDEN).problem.baseline_name == "chance"
    for place, value, told in (("groups", None, "`groups`"), ("problem.unit", 3, "unit"), ("targets", 3, "targets")):
        (tmp_path / "test_set.json").write_text(json.dumps(changed(stored, place, value)))
        with pytest.raises(ValueError, match=rf"Expected .*test_set.json to describe a test set, but got .*{told}"):
            read_test_set(tmp_path)


def test_key_depends_on_every_setting_and_not_on_the_order_of_the_recipe(stored):
    run = parse_record(stored).config
    assert replace(run, recipe=dict(reversed(run.recipe.items()))).key == run.key
    other = [replace(run, **{name: "x"}) for name in ("task", "data", "network", "sweep", "parameter", "variant")]
    other += [replace(run, value=2), replace(run, value=1.5), replace(run, seed=1), replace(run, source="x")]
    other += [replace(run, recipe=run.recipe | {"lr": 0.5})]
    assert len({run.key, *(one.key for one in other)}) == 1 + len(other)


def test_a_run_is_written_with_the_names_that_its_key_is_made_of(stored):
    run = parse_record(stored).config
    assert as_json(run) == stored["config"] == run.as_dict()
    assert Run(**run.as_dict()) == run


def test_importing_physlayer_does_not_load_the_reader_of_records():
    code = "import sys, physlayer; sys.exit('msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_page_on_the_layout_lists_every_field_of_a_record():
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("## One run, one record") : page.index("## Tidy output")]
    first_column = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)`", first_column))
    assert named == {field.name for field in fields(Record)}
    assert all(f"`{name}`" in table for kind in (Run, Provenance, Epoch) for name in kind.__dataclass_fields__)
