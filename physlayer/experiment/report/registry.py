"""Which sections a report has: each is one function, registered with its title, its problems and its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from physlayer.core.validation import one_of
from physlayer.experiment.report.blocks import Block
from physlayer.experiment.report.context import ReportContext

__all__ = ["KINDS", "Section", "SectionMaker", "section", "sections_for"]

KINDS = ("classification", "regression", "segmentation")
SectionMaker = Callable[[ReportContext], Iterable[Block]]


@dataclass(frozen=True)
class Section:
    """A registered section.

    Attributes:
        title: heading on the page. make: gives its blocks. problems: kinds of problem that have it.
        place: sections stand in the order of their places.
    """

    title: str
    make: SectionMaker
    problems: tuple[str, ...]
    place: float


_SECTIONS: dict[str, Section] = {}  # by title


def section(
    title: str, *, place: float, problems: str | tuple[str, ...] = KINDS
) -> Callable[[SectionMaker], SectionMaker]:
    """Register a function as a section of every report, also one of your own.

    The function gets a :class:`.ReportContext` and yields blocks: :class:`.Paragraph`, :class:`.Table`,
    :class:`.Picture` … It writes no HTML, whatever text it yields is escaped. If it raises, the page says so in its
    place, and the other sections are there.

    To have a section of your own in the reports of your sweep, register it in the script that calls
    ``physlayer.experiment.main``, before that call::

        from physlayer.experiment.report import Note, Table, section

        @section("Training time", place=95)  # between the scores and the training history
        def time_section(context):
            rows = [[record.key, f"{record.provenance.seconds:.0f}"] for record in context.records]
            yield Table(["run", "time / s"], rows)
            yield Note("Wall time of one thread.")

    Args:
        title: heading on the page. A title that is registered again replaces the earlier section, so that yours may
            stand for one of ours.
        place: sections stand in the order of their places. Ours are at 10 … 30 (scores), 40 … 70 (what only this
            problem has), 100 … 150 (training, camera and network), 160 and 170 (audit, provenance).
        problems: kind or kinds of problem that have the section: ``"classification"``, ``"regression"``,
            ``"segmentation"``; all by default.

    Raises:
        ValueError: if a kind is none of these.

    Example:
        >>> @section("Remark", place=5, problems=("regression",))
        ... def remark_section(context):
        ...     yield Paragraph(f"{len(context.records)} runs.")
        >>> sections_for("regression")[0].title
        'Remark'
        >>> _ = _SECTIONS.pop("Remark")  # in a doctest only
    """
    kinds = (problems,) if isinstance(problems, str) else tuple(problems)
    for kind in kinds:
        one_of("problems", kind, KINDS)

    def register(make: SectionMaker) -> SectionMaker:
        _SECTIONS[title] = Section(title, make, kinds, place)
        return make

    return register


def sections_for(kind: str) -> list[Section]:
    """Sections of a report on a kind of problem, in the order of their places."""
    return sorted((entry for entry in _SECTIONS.values() if kind in entry.problems), key=lambda entry: entry.place)
