"""The report of a sweep: one HTML file with everything inside, sections that fail alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import torch

import physlayer.experiment.report.sections  # noqa: F401  registers ours
from physlayer.core.files import atomic_write
from physlayer.experiment.record import Record, TestSet
from physlayer.experiment.report.blocks import Block, Missing
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.formats import reason
from physlayer.experiment.report.registry import Section, sections_for
from physlayer.experiment.spec import Sweep, Variant
from physlayer.experiment.summary import SummaryRow

__all__ = ["MadeSection", "make_section", "render", "write_report"]


@dataclass(frozen=True)
class MadeSection:
    """A section as it goes to the page: its title, the blocks that it gave, and whether it gave all."""

    title: str
    blocks: list[Block]
    whole: bool


def write_report(
    sweep: Sweep, variants: Sequence[Variant], records: Sequence[Record], rows: Sequence[SummaryRow],
    test_set: TestSet, out: Path, settings: dict[str, Any],
) -> list[str]:  # fmt: skip
    """Write ``report.html`` to ``out``; returns its name, with the sections that could not be made.

    A section of your own is registered by :func:`.section`.

    Args:
        sweep, variants: what was run. records, rows: its records and their summary rows.
        test_set: problem, targets and groups of the test images.
        out: output folder, with ``models/`` and ``logits/``. settings: as the engine has them.

    Raises:
        ValueError: if there are no records.
    """
    if not records:
        raise ValueError("Expected records to hold at least one run, but got none.")
    context = ReportContext(sweep, variants, records, rows, test_set, out, settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # single images are no work for two, and a busy machine makes the second one wait
    try:
        made = [make_section(entry, context) for entry in sections_for(context.problem.kind)]
    finally:
        torch.set_num_threads(threads)
    page = render(f"{sweep.name}: {records[0].task}", " ".join(test_set.notes), made)
    atomic_write(out / "report.html", page)
    failed = [entry.title for entry in made if not entry.whole]
    return ["report.html" + (f" (incomplete: {', '.join(failed)})" if failed else "")]


def make_section(entry: Section, context: ReportContext) -> MadeSection:
    """The blocks of a section; if it fails those before, and why the others are missing."""
    blocks: list[Block] = []
    try:
        for block in entry.make(context):
            if not isinstance(block, Block):
                raise TypeError(f"Expected {entry.title} to yield blocks such as Paragraph, but got {block!r}.")
            blocks.append(block)
    except Exception as error:  # whatever a section meets, the others must not be lost with it
        return MadeSection(entry.title, [*blocks, Missing(f"This part is missing: {reason(error)}")], False)
    return MadeSection(entry.title, blocks, True)


def render(heading: str, notes: str, sections: list[MadeSection]) -> str:
    """The page, all text in it escaped.

    Example:
        >>> from physlayer.experiment.report.blocks import Paragraph
        >>> page = render("bit_depth: folder", "", [MadeSection("Scores of <b>", [Paragraph("a & b")], True)])
        >>> print(page[page.index("<h2>"):].splitlines()[:2])
        ['<h2>Scores of &lt;b&gt;</h2>', '<p>a &amp; b</p>']
    """
    return templates().get_template("report.html").render(heading=heading, notes=notes, sections=sections)


@functools.cache
def templates() -> jinja2.Environment:
    """The templates of the page, which escape whatever they are given."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("physlayer.experiment.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
