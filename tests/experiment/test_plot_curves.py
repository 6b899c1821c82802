"""The figure of a sweep, from records made without training."""

from dataclasses import replace

import numpy as np
import pytest

from physlayer.experiment import Variant
from physlayer.experiment.plot_curves import draw_figure, make_figure
from physlayer.experiment.plot_style import styles


def figure_of(made, rows=None, variants=None):
    return make_figure(made.sweep, variants or made.variants, made.rows if rows is None else rows, made.test_set)


def score(made, name, value):
    rows = [r for r in made.rows if r.pooled and (r.split, r.metric) == ("test", "accuracy")]
    return next(r for r in rows if r.point == (name, value))


def test_figure_shows_the_rows(made):
    axes = figure_of(made).axes[0]
    swept = {v.label: v.name for v in made.variants if v.swept}
    bars = {bar.get_label(): bar for bar in axes.containers}
    assert set(bars) == set(swept)
    for label, name in swept.items():
        line, _, (segments,) = bars[label]
        expected = [score(made, name, value) for value in made.values]
        assert line.get_xdata().tolist() == list(made.values)
        assert line.get_ydata().tolist() == pytest.approx([r.score for r in expected])
        ends = np.array(segments.get_segments())[:, :, 1]
        assert ends.tolist() == [pytest.approx([r.low, r.high]) for r in expected]
    flat = {line.get_label(): line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1}
    assert flat["no layer"] == pytest.approx(score(made, "none", None).score)
    chance = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in chance] == [1 / 4]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "4"]
    assert axes.get_xlabel() == "bits per sample" and axes.get_ylim()[1] >= 1
    assert axes.get_title() == "Blood cells: 2 seeds, 16 test sources"


def test_an_arm_without_value_has_a_colour_of_its_own(made):
    other = Variant("other", "colour camera", list, swept=False)
    rows = [*made.rows, *(replace(r, variant="other", score=0.5) for r in made.rows if r.variant == "none")]
    axes = figure_of(made, rows, [*made.variants, other]).axes[0]
    colours = {line.get_label(): line.get_color() for line in axes.lines}
    assert colours["no layer"] != colours["colour camera"]


def test_figure_of_a_single_value_has_a_row_per_arm(made):
    only = made.values[0]
    figure = figure_of(made, [r for r in made.rows if r.value in (only, None)])
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [v.label for v in made.variants]
    for place, (variant, bar) in enumerate(zip(made.variants, axes.containers, strict=True)):
        expected = score(made, variant.name, only if variant.swept else None)
        line, _, (segments,) = bar
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (pytest.approx(expected.score), place)
        assert segments.get_segments()[0][:, 0].tolist() == pytest.approx([expected.low, expected.high])
    assert figure.get_suptitle() == f"Blood cells: bits {only}, 2 seeds, 16 test sources"


@pytest.mark.parametrize("n_values", [2, 1])
def test_figure_text_is_large_enough_for_a_column(made, n_values):
    from matplotlib.text import Text

    figure = figure_of(made, [r for r in made.rows if r.value in (*made.values[:n_values], None)])
    assert figure.get_figwidth() <= 3.5
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7


def test_figure_files_are_the_same_twice(made, tmp_path):
    contents = []
    for _ in range(2):
        written = draw_figure(made.sweep, made.variants, made.rows, made.test_set, tmp_path)
        assert written == ["figure.png", "figure.svg"]
        contents.append((tmp_path / "figure.svg").read_bytes())
    assert contents[0] == contents[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "figure.svg"]


def test_arms_can_be_told_apart_and_controls_belong_to_their_source(made):
    bit_budget = made.sweep.variant("bit_budget")
    shifted = Variant("moved", "moved", bit_budget.camera, learned=True, translate=True)
    looks = styles(made.sweep, [*made.variants, shifted])
    assert len({(s.colour, s.marker, s.line, s.hollow) for s in looks.values()}) == len(looks)
    assert looks["bit_inverse"].colour == looks["bit_budget"].colour == looks["moved"].colour
    assert looks["bit_inverse"].hollow and looks["learned_retrained"].hollow and not looks["learned"].hollow


def test_figure_refuses_rows_without_accuracy(made):
    with pytest.raises(ValueError, match="Expected rows to hold a test accuracy"):
        figure_of(made, [])
