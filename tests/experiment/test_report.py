"""The report of a sweep, from records made without training."""

import re
from dataclasses import replace

import pytest
import torch

from physlayer.experiment.record import LayerExport
from physlayer.experiment.report import Paragraph, Table, registry
from physlayer.experiment.report.comparisons import compared, control_notes, map_agreement
from physlayer.experiment.report.page import write_report
from physlayer.experiment.report.rebuild import rebuild_model
from physlayer.experiment.report.sections.learned import map_figure
from physlayer.training.prediction import predict

pytestmark = pytest.mark.usefixtures("one_thread")


def written(made, arms, records, out, settings):
    """What `write_report` says, and the page."""
    (name,) = write_report(made.sweep, arms, records, made.rows, made.test_set, out, settings)
    return name, (out / "report.html").read_text(encoding="utf-8")


def test_report_is_whole_and_self_contained(made, tiny_task):
    name, page = written(made, *made.arms("fixed", "learned", "bit_budget", "none"), made.out, tiny_task)
    assert name == "report.html"
    assert len(page) < 5e6
    titles = [entry.title for entry in registry.sections_for("classification")]
    assert re.findall("<h2>(.*)</h2>", page) == titles
    assert len(titles) == 15 and titles[3] == "Confusion matrices" and titles[-1] == "Provenance"
    assert not re.search(r"(src|href)=.(?!data:)", page) and "<script" not in page and "url(" not in page
    text = re.sub(r'src="data:[^"]*"', "", page)
    assert not re.search(r"\bnan\b|\binf\b|NaN|Infinity", text)
    assert 'class="missing"' not in text
    assert "<b>" not in text and "&lt;b&gt;&amp;" in text  # the name of a class
    assert "interval includes zero" in text and "3 seeds cannot reach p &lt; .05" in text
    assert "0.gain did not move" in text and str(made.out) not in text
    assert "correlation of 0.bits between seeds" in text


def test_report_says_what_is_missing_and_keeps_the_rest(made, tmp_path, lost_task):
    name, page = written(made, *made.arms("bit_budget", "none"), tmp_path, lost_task)
    lost = (
        "ROC curves, Calibration, Most confident mistakes, What the sensor sees, Saliency, What the network makes of it"
    )
    assert name == f"report.html (incomplete: {lost})"
    assert page.count("<h2>") == len(registry.sections_for("classification"))
    assert "got nothing" in page and "_seed0_" in page and ".pt: No such file" in page and str(tmp_path) not in page
    assert "correlation of 0.bits between seeds" in page  # learned maps are in the records


def test_a_section_of_ones_own_stands_in_its_place_and_fails_alone(made, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_SECTIONS", {})

    @registry.section("Behind", place=95)
    def behind_section(context):
        yield Paragraph("before the failure")
        yield Paragraph(context.a_name_that_is_not_there)

    @registry.section("Text", place=97)
    def text_section(context):
        yield "<p>HTML</p>"

    @registry.section("Runs of <this>", place=15, problems=("classification",))
    def runs_section(context):
        yield Table(["run"], [[record.key] for record in context.records])

    @registry.section("Numbers only", place=5, problems=("regression",))
    def numbers_section(context):
        yield Paragraph("never")

    name, page = written(made, made.variants, made.records, tmp_path, {})
    assert name == "report.html (incomplete: Behind, Text)"
    assert re.findall("<h2>(.*)</h2>", page) == ["Runs of &lt;this&gt;", "Behind", "Text"]
    assert page.count("<td>") == len(made.records) and "<p>before the failure</p>" in page
    assert "has no attribute &#39;a_name_that_is_not_there&#39;" in page
    assert "Expected Text to yield blocks such as Paragraph, but got &#39;&lt;p&gt;HTML" in page


def test_report_refuses_no_records(made, tmp_path):
    with pytest.raises(ValueError, match="Expected records to hold at least one run"):
        write_report(made.sweep, made.variants, [], [], made.test_set, tmp_path, {})


@pytest.mark.parametrize("name", ["tuned", "learned", "bit_inverse", "none", "learned_retrained"])
def test_rebuilt_model_gives_the_recorded_logits(made, tiny_task, name):
    (variant,), records = made.arms(name)
    model = rebuild_model(made.sweep, variant, records[-1], made.out, tiny_task)
    logits = torch.load(made.out / "logits" / f"{records[-1].key}.pt", weights_only=True)
    assert torch.equal(predict(model, made.data.test), logits)


def test_rebuild_refuses_other_data_and_other_arms(made, tiny_task):
    (fixed, learned), records = made.arms("fixed", "learned")
    with pytest.raises(ValueError, match="Expected record to be of learned of bits_test, but got fixed"):
        rebuild_model(made.sweep, learned, records[0], made.out, tiny_task)
    other = replace(records[0], provenance=replace(records[0].provenance, data="0" * 64))
    with pytest.raises(ValueError, match="Expected data to have the record's fingerprint 000"):
        rebuild_model(made.sweep, fixed, other, made.out, tiny_task)


def test_maps_that_only_began_alike_do_not_agree(made, tiny_task):
    seeds, _, change = map_agreement(made.context(), made.sweep.variant("bit_budget"), 4, "0.bits")
    assert seeds == "2" and change == "none: constant in a seed"  # nothing was trained


def test_without_the_data_maps_agree_but_nobody_knows_where_they_began(made, lost_task):
    assert map_agreement(made.context(), made.sweep.variant("bit_budget"), 4, "0.bits")[2] == "–"


def test_a_value_at_which_nothing_is_learned_has_no_row_of_maps(made):
    def without(record):
        return replace(record, camera=replace(record.camera, layers=(LayerExport("BitDepth", {}, {}, "0"),)))

    def rows(context):
        figure = map_figure(context, made.sweep.variant("bit_budget"), "0.bits", {})
        return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel().startswith("bits")]

    context = made.context()
    assert rows(context) == ["bits 1", "bits 4"]
    context.records = [without(record) if record.value == 4 else record for record in made.records]
    assert rows(context) == ["bits 1"]


def test_compared_pairs_learned_with_tuned_and_controls_with_their_source(made):
    pairs = {(d.variant, d.baseline) for d in compared(made.context())}
    assert pairs >= {
        ("tuned", "fixed"),
        ("learned", "tuned"),
        ("bit_budget", "tuned"),
        ("learned_retrained", "learned"),
    }
    assert ("bit_inverse", "bit_budget") in pairs and ("fixed", "tuned") not in pairs


def test_a_control_that_changes_nothing_is_reported(made):
    context = made.context()
    control = next(r for r in made.records if r.variant == "bit_inverse")
    source = next(r for r in made.records if r.key == control.config.source)
    unchanged = replace(control, camera=source.camera)
    assert control_notes(context, unchanged) == ["the control changes nothing: 0.bits as in bit_budget"]
    assert control_notes(context, source) == []
