"""What a section of a report is made of: texts, tables and pictures, without any HTML; the templates render them."""

from __future__ import annotations

import base64
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, ClassVar

from physlayer.experiment.plot_style import image_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Block", "Facts", "Heading", "Listing", "Missing", "Note", "Paragraph", "Picture", "Table"]


class Block:
    """Part of a section; ``macro`` names what renders it in ``templates/blocks.html``. All text is escaped there."""

    macro: ClassVar[str]


@dataclass(frozen=True)
class Heading(Block):
    """A heading inside a section."""

    macro: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph(Block):
    """Text."""

    macro: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Note(Block):
    """Text that qualifies what stands beside it, smaller and paler."""

    macro: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Missing(Block):
    """What is not there, and why; marked, so that it is not overlooked."""

    macro: ClassVar[str] = "missing"
    text: str


@dataclass(frozen=True)
class Table(Block):
    """A table of texts.

    Args:
        head: names of the columns. rows: cells of each row, as many as there are columns.

    Raises:
        ValueError: if a row has more or fewer cells than the head.

    Example:
        >>> Table(["arm", "accuracy"], [["fixed", "0.81"], ["learned"]])
        Traceback (most recent call last):
        ...
        ValueError: Expected every row to have 2 cells, as the head has, but got ['learned'].
    """

    macro: ClassVar[str] = "table"
    head: list[str]
    rows: list[list[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"Expected every row to have {len(self.head)} cells, as the head has, but got {row}.")


@dataclass(frozen=True)
class Facts(Block):
    """A table of two columns without a head: what is said, and what it is; long texts are wrapped."""

    macro: ClassVar[str] = "facts"
    entries: dict[str, str]


@dataclass(frozen=True)
class Listing(Block):
    """Text in a fixed pitch, folded away behind its title."""

    macro: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass
class Picture(Block):
    """A figure inside the page, drawn when the block is made, so that a figure that fails takes only its section along.

    Args:
        figure: a matplotlib figure. caption: text below it. kind: ``"png"`` or ``"svg"``.
        dpi: resolution of a PNG, dots per inch.

    Attributes:
        source: the file as a ``data:`` address.
    """

    macro: ClassVar[str] = "picture"
    figure: InitVar[Figure]
    caption: str
    kind: str = "png"
    dpi: InitVar[int] = 120
    source: str = field(init=False, repr=False)

    def __post_init__(self, figure: Figure, dpi: int) -> None:
        media = "svg+xml" if self.kind == "svg" else self.kind
        data = base64.b64encode(image_bytes(figure, self.kind, dpi=dpi)).decode()
        self.source = f"data:image/{media};base64,{data}"
