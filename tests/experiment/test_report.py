"""The figure and the report of a sweep, from records made without training."""

import re

import numpy as np
import pytest
import torch
from physlayer.tasks.base import get_task
from torch import nn

from physlayer import BitBudget, BitDepth
from physlayer.core.camera import export_camera
from physlayer.data.image_set import ImageSet, TaskData
from physlayer.experiment import Sweep, Variant
from physlayer.experiment import runner as engine
from physlayer.experiment.build import assemble, point_of
from physlayer.experiment.plot_curves import draw_figure, make_figure
from physlayer.experiment.plot_style import styles
from physlayer.experiment.report import Paragraph, Table, registry
from physlayer.experiment.report.comparisons import compared, control_notes, map_agreement
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.page import write_report
from physlayer.experiment.report.rebuild import rebuild_model
from physlayer.experiment.spec import retrained
from physlayer.experiment.summary import summary_rows
from physlayer.metrics.classification import classification_metrics
from physlayer.training.prediction import predict

SHAPE, VALUES, SEEDS, NAMES = (3, 16, 16), (1, 4), (0, 1), ("round", "lobed", "long", '<b>&"')


def channels(point):
    return [BitDepth(point.value, gain=nn.Parameter(torch.ones(3, 1, 1)), offset=nn.Parameter(torch.zeros(3, 1, 1)))]


def map_of_bits(point):
    demand = point.value + torch.rand(1, 16, 16, generator=point.generator)
    return [BitBudget(nn.Parameter(demand), mean_bits=point.value)]


def span(point, *, high):
    return [BitDepth(point.value, gain=(1 / point.quantile(high)).clamp(max=9))]


def invert(camera, generator):
    with torch.no_grad():
        camera[0].free_parameter("bits").neg_()
    return camera


SWEEP = Sweep(
    name="bits_test", parameter="bits", axis="bits per sample", minimum=1, maximum=8, default="1,4",
    variants=(
        Variant("fixed", "fixed", lambda point: [BitDepth(point.value)]),
        Variant("tuned", "tuned", span, candidates=lambda point: [{"high": 0.5}, {"high": 0.9}]),
        Variant("learned", "learned", channels, learned=True),
        Variant("bit_budget", "bits per pixel", map_of_bits, learned=True),
        Variant("bit_inverse", "inverted", map_of_bits, source="bit_budget", change=invert),
        Variant("none", "no layer", lambda point: [], swept=False),
    ),
    chosen=("fixed", "learned"),
)  # fmt: skip
VARIANTS = [*SWEEP.variants, retrained(SWEEP.variant("learned"))]


def tiny_data() -> TaskData:
    generator = torch.Generator().manual_seed(0)
    sets = []
    for part in ("pool", "test"):
        images = torch.rand(32, *SHAPE, generator=generator)
        groups = np.array([f"{part}{i // 2}" for i in range(32)])
        sets.append(ImageSet(images, torch.arange(32) // 2 % 4, groups, "linear"))
    return TaskData("blood_cells", NAMES, *sets, "f" * 64, ("Random pixels.",))


def make_record(out, variant, value, seed, data):
    """A record as the engine writes it, of an untrained network, with its files."""
    recipe = {"epochs": 2, "linear": True}
    config = {"task": "blood_cells", "data": data.fingerprint, "network": "small", "recipe": recipe}
    config |= {"sweep": SWEEP.name, "parameter": "bits", "variant": variant.name, "value": value, "seed": seed}
    key = f"{variant.name}_{value}_seed{seed}"
    if variant.source:
        config["source"] = f"{variant.source}_{value}_seed{seed}"
    point = point_of(config, data)
    search = [{"candidate": {"high": 0.5}, "validation": 0.3}, {"candidate": {"high": 0.9}, "validation": 0.4}]
    search = search if variant.candidates else []
    torch.manual_seed(seed)
    layers = variant.camera(point, **(search[1]["candidate"] if search else {}))
    if variant.change:
        layers = variant.change(layers, point.generator)
    model = assemble(get_task("blood_cells"), config, layers, data).eval()
    logits = predict(model, data.test)
    engine.save_models(out, key, model, logits)
    probabilities = torch.softmax(logits.double(), 1).numpy()
    metrics = classification_metrics(data.test.targets.numpy(), probabilities, class_names=NAMES)
    history = [
        {"epoch": e, "loss": 1 / e, "validation_hard": 0.3, "validation_loss": 1.2 / e, "gap": 0.0} for e in (1, 2)
    ]
    return {
        "format": 1, "key": key, "sweep": SWEEP.name, "task": "blood_cells", "variant": variant.name,
        "parameter": "bits", "value": value, "seed": seed, "config": config,
        "provenance": {"commit": "abc", "versions": {"torch": "2"}, "date": "2026-01-02", "data": data.fingerprint,
                       "seconds": 1.0, "device": "cpu"},
        "history": history, "best_epoch": 2, "search": search, "metrics": {"validation": metrics, "test": metrics},
        "predictions": {"test": logits.argmax(1).tolist()}, "camera": export_camera(model, SHAPE, full=True),
        "audit": {"gradient": {}, "moved": {"0.gain": {"moved": False}} if variant.name == "learned" else {}},
        "notes": [],
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other: seconds for tiny images."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder, records, rows and test set of all arms."""
    out, data = tmp_path_factory.mktemp("sweep"), tiny_data()
    points = [(v, x, s) for v in VARIANTS for x in (VALUES if v.swept else [None]) for s in SEEDS]
    records = [make_record(out, *point, data) for point in points]
    test_set = {"class_names": list(NAMES), "targets": data.test.targets.tolist(),
                "groups": data.test.groups.tolist(), "notes": list(data.notes)}  # fmt: skip
    return out, records, summary_rows(records, test_set), test_set


@pytest.fixture
def tiny_task(monkeypatch):
    data = tiny_data()
    monkeypatch.setattr(engine, "task_data", lambda task, options: data)
    return {"options": None, "device": "cpu"}


def no_data(task, options):
    raise ValueError("Expected --data to be a folder, but got nothing.")


def score(rows, name, value):
    wanted = {"variant": name, "value": value, "seed": "all", "split": "test", "metric": "accuracy"}
    return next(r for r in rows if all(r[k] == v for k, v in wanted.items()))


def test_figure_shows_the_rows(made):
    _, _, rows, test_set = made
    axes = make_figure(SWEEP, VARIANTS, rows, test_set).axes[0]
    swept = {v.label: v.name for v in VARIANTS if v.swept}
    bars = {bar.get_label(): bar for bar in axes.containers}
    assert set(bars) == set(swept)
    for label, name in swept.items():
        line, _, (segments,) = bars[label]
        expected = [score(rows, name, value) for value in VALUES]
        assert line.get_xdata().tolist() == list(VALUES)
        assert line.get_ydata().tolist() == pytest.approx([r["score"] for r in expected])
        ends = np.array(segments.get_segments())[:, :, 1]
        assert ends.tolist() == [pytest.approx([r["low"], r["high"]]) for r in expected]
    flat = {line.get_label(): line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1}
    assert flat["no layer"] == pytest.approx(score(rows, "none", "")["score"])
    chance = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in chance] == [1 / 4]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "4"]
    assert axes.get_xlabel() == "bits per sample" and axes.get_ylim()[1] >= 1
    assert axes.get_title() == "blood_cells: 2 seeds, 16 test sources"


def test_an_arm_without_value_has_a_colour_of_its_own(made):
    _, _, rows, test_set = made
    other = Variant("other", "colour camera", channels, swept=False)
    rows = [*rows, *(r | {"variant": "other", "score": 0.5} for r in rows if r["variant"] == "none")]
    axes = make_figure(SWEEP, [*VARIANTS, other], rows, test_set).axes[0]
    colours = {line.get_label(): line.get_color() for line in axes.lines}
    assert colours["no layer"] != colours["colour camera"]


def test_figure_of_a_single_value_has_a_row_per_arm(made):
    _, _, rows, test_set = made
    rows = [r for r in rows if r["value"] in (VALUES[0], "")]
    figure = make_figure(SWEEP, VARIANTS, rows, test_set)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [v.label for v in VARIANTS]
    for place, (variant, bar) in enumerate(zip(VARIANTS, axes.containers, strict=True)):
        expected = score(rows, variant.name, VALUES[0] if variant.swept else "")
        line, _, (segments,) = bar
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (pytest.approx(expected["score"]), place)
        assert segments.get_segments()[0][:, 0].tolist() == pytest.approx([expected["low"], expected["high"]])
    assert figure.get_suptitle() == f"blood_cells: bits {VALUES[0]}, 2 seeds, 16 test sources"


@pytest.mark.parametrize("values", [VALUES, VALUES[:1]])
def test_figure_text_is_large_enough_for_a_column(made, values):
    from matplotlib.text import Text

    _, _, rows, test_set = made
    figure = make_figure(SWEEP, VARIANTS, [r for r in rows if r["value"] in (*values, "")], test_set)
    assert figure.get_figwidth() <= 3.5
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7


def test_figure_files_are_the_same_twice(made, tmp_path):
    _, _, rows, test_set = made
    contents = []
    for _ in range(2):
        assert draw_figure(SWEEP, VARIANTS, rows, test_set, tmp_path) == ["figure.png", "figure.svg"]
        contents.append((tmp_path / "figure.svg").read_bytes())
    assert contents[0] == contents[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "figure.svg"]


def test_arms_can_be_told_apart_and_controls_belong_to_their_source():
    shifted = Variant("moved", "moved", map_of_bits, learned=True, translate=True)
    looks = styles(SWEEP, [*VARIANTS, shifted])
    assert len({(s.colour, s.marker, s.line, s.hollow) for s in looks.values()}) == len(looks)
    assert looks["bit_inverse"].colour == looks["bit_budget"].colour == looks["moved"].colour
    assert looks["bit_inverse"].hollow and looks["learned_retrained"].hollow and not looks["learned"].hollow


def test_figure_refuses_rows_without_accuracy(made):
    with pytest.raises(ValueError, match="Expected rows to hold a test accuracy"):
        make_figure(SWEEP, VARIANTS, [], made[3])


def test_report_is_whole_and_self_contained(made, tiny_task):
    out, records, rows, test_set = made
    arms = [v for v in VARIANTS if v.name in ("fixed", "learned", "bit_budget", "none")]
    records = [r for r in records if r["variant"] in {v.name for v in arms}]
    assert write_report(SWEEP, arms, records, rows, test_set, out, tiny_task) == ["report.html"]
    page = (out / "report.html").read_text(encoding="utf-8")
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
    assert "0.gain did not move" in text and str(out) not in text and "correlation of 0.bits between seeds" in text


def test_report_says_what_is_missing_and_keeps_the_rest(made, tmp_path, monkeypatch):
    _, records, rows, test_set = made
    monkeypatch.setattr(engine, "task_data", no_data)
    arms = [SWEEP.variant("bit_budget"), SWEEP.variant("none")]
    records = [r for r in records if r["variant"] in {v.name for v in arms}]
    (name,) = write_report(SWEEP, arms, records, rows, test_set, tmp_path, {"options": None})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    lost = (
        "ROC curves, Calibration, Most confident mistakes, What the sensor sees, Saliency, What the network makes of it"
    )
    assert name == f"report.html (incomplete: {lost})"
    assert page.count("<h2>") == len(registry.sections_for("classification"))
    assert "got nothing" in page and "_seed0.pt: No such file" in page and str(tmp_path) not in page
    assert "correlation of 0.bits between seeds" in page  # learned maps are in the records


def test_a_section_of_ones_own_stands_in_its_place_and_fails_alone(made, tmp_path, monkeypatch):
    _, records, rows, test_set = made
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
        yield Table(["run"], [[record["key"]] for record in context.records])

    @registry.section("Numbers only", place=5, problems=("regression",))
    def numbers_section(context):
        yield Paragraph("never")

    (name,) = write_report(SWEEP, VARIANTS, records, rows, test_set, tmp_path, {})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert name == "report.html (incomplete: Behind, Text)"
    assert re.findall("<h2>(.*)</h2>", page) == ["Runs of &lt;this&gt;", "Behind", "Text"]
    assert page.count("<td>") == len(records) and "<p>before the failure</p>" in page
    assert "has no attribute &#39;a_name_that_is_not_there&#39;" in page
    assert "Expected Text to yield blocks such as Paragraph, but got &#39;&lt;p&gt;HTML" in page


def test_report_refuses_no_records(made, tmp_path):
    with pytest.raises(ValueError, match="Expected records to hold at least one run"):
        write_report(SWEEP, VARIANTS, [], [], made[3], tmp_path, {})


@pytest.mark.parametrize("name", ["tuned", "learned", "bit_inverse", "none", "learned_retrained"])
def test_rebuilt_model_gives_the_recorded_logits(made, tiny_task, name):
    out, records, _, _ = made
    variant = next(v for v in VARIANTS if v.name == name)
    record = [r for r in records if r["variant"] == name][-1]
    model = rebuild_model(SWEEP, variant, record, out, tiny_task)
    logits = torch.load(out / "logits" / f"{record['key']}.pt", weights_only=True)
    assert torch.equal(predict(model, tiny_data().test), logits)


def test_rebuild_refuses_other_data_and_other_arms(made, tiny_task):
    out, records, _, _ = made
    fixed, learned = SWEEP.variant("fixed"), SWEEP.variant("learned")
    with pytest.raises(ValueError, match="Expected record to be of learned of bits_test, but got fixed"):
        rebuild_model(SWEEP, learned, records[0], out, tiny_task)
    other = records[0] | {"provenance": records[0]["provenance"] | {"data": "0" * 64}}
    with pytest.raises(ValueError, match="Expected data to have the record's fingerprint 000"):
        rebuild_model(SWEEP, fixed, other, out, tiny_task)


def test_maps_that_only_began_alike_do_not_agree(made, tiny_task, monkeypatch):
    out, records, rows, test_set = made
    context = ReportContext(SWEEP, VARIANTS, records, rows, test_set, out, tiny_task)
    seeds, _, change = map_agreement(context, SWEEP.variant("bit_budget"), 4, "0.bits")
    assert seeds == "2" and change == "none: constant in a seed"  # nothing was trained
    monkeypatch.setattr(engine, "task_data", no_data)
    nowhere = ReportContext(SWEEP, VARIANTS, records, rows, test_set, out, tiny_task)
    assert map_agreement(nowhere, SWEEP.variant("bit_budget"), 4, "0.bits")[2] == "–"


def test_compared_pairs_learned_with_tuned_and_controls_with_their_source(made):
    out, records, rows, test_set = made
    pairs = {
        (d["variant"], d["baseline"])
        for d in compared(ReportContext(SWEEP, VARIANTS, records, rows, test_set, out, {}))
    }
    assert pairs >= {
        ("tuned", "fixed"),
        ("learned", "tuned"),
        ("bit_budget", "tuned"),
        ("learned_retrained", "learned"),
    }
    assert ("bit_inverse", "bit_budget") in pairs and ("fixed", "tuned") not in pairs


def test_a_control_that_changes_nothing_is_reported(made):
    out, records, rows, test_set = made
    context = ReportContext(SWEEP, VARIANTS, records, rows, test_set, out, {})
    control = next(r for r in records if r["variant"] == "bit_inverse")
    source = next(r for r in records if r["key"] == control["config"]["source"])
    unchanged = control | {"camera": source["camera"]}
    assert control_notes(context, unchanged) == ["the control changes nothing: 0.bits as in bit_budget"]
    assert control_notes(context, source) == []
