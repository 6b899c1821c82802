"""The blocks of a report, and which sections stand in it."""

from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

from physlayer.experiment.report import Facts, Heading, Listing, Missing, Note, Paragraph, Picture, Table, registry
from physlayer.experiment.report.page import MadeSection, render

HOSTILE = """</p></td></pre><b>&"'<script>alert(1)</script>"""
BLOCKS = (
    Heading(HOSTILE), Paragraph(HOSTILE), Note(HOSTILE), Missing(HOSTILE), Table([HOSTILE], [[HOSTILE]]),
    Facts({HOSTILE: HOSTILE}), Listing(HOSTILE, HOSTILE), Picture(Figure(figsize=(1, 1)), HOSTILE),
)  # fmt: skip


class Read(HTMLParser):
    """Tags and texts of a page, attributes included."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.texts += [value for _, value in attributes]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def no_sections(monkeypatch):
    monkeypatch.setattr(registry, "_SECTIONS", {})


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.macro)
def test_text_comes_out_as_text_whatever_is_in_it(block):
    plain = Read(render("", "", [MadeSection("", [], True)]))
    read = Read(render(HOSTILE, HOSTILE, [MadeSection(HOSTILE, [block], True)]))
    assert not {"b", "script"} & set(read.tags) and set(plain.tags) <= set(read.tags)
    # title, heading, notes and the section's title, and then those of the block
    assert read.texts.count(HOSTILE) == 4 + (2 if block.macro in ("table", "facts", "listing", "picture") else 1)


def test_every_block_ends_what_it_begins():
    page = render("a", "b", [MadeSection("c", list(BLOCKS), True)])
    for tag in ("p", "table", "tr", "th", "td", "h3", "details", "pre", "figure", "div"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>") > 0


def test_a_table_refuses_a_row_that_does_not_fit_its_head():
    with pytest.raises(ValueError, match="Expected every row to have 1 cells, as the head has, but got"):
        Table(["arm"], [["fixed", "0.8"]])


def test_sections_stand_in_the_order_of_their_places_where_their_problem_is(no_sections):
    for title, place, problems in (("c", 30, registry.KINDS), ("a", 10.5, ("regression",)), ("b", 20, "regression")):
        registry.section(title, place=place, problems=problems)(lambda context: [])
    assert [entry.title for entry in registry.sections_for("regression")] == ["a", "b", "c"]
    assert [entry.title for entry in registry.sections_for("segmentation")] == ["c"]


def test_a_title_registered_again_replaces_the_section(no_sections):
    registry.section("Scores", place=10)(lambda context: ["first"])
    registry.section("Scores", place=10)(lambda context: ["second"])
    (only,) = registry.sections_for("regression")
    assert only.make(None) == ["second"]


def test_a_section_of_an_unknown_problem_is_refused(no_sections):
    with pytest.raises(ValueError, match="Expected problems to be one of classification, regression, segmentation"):
        registry.section("Scores", place=10, problems=("classes",))
