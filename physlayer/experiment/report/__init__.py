"""The report of a sweep: one HTML page with everything inside; :func:`section` adds a section of your own."""

from physlayer.experiment.report.blocks import (
    Block,
    Facts,
    Heading,
    Listing,
    Missing,
    Note,
    Paragraph,
    Picture,
    Table,
)
from physlayer.experiment.report.context import ReportContext
from physlayer.experiment.report.page import write_report
from physlayer.experiment.report.registry import section

__all__ = [
    "Block",
    "Facts",
    "Heading",
    "Listing",
    "Missing",
    "Note",
    "Paragraph",
    "Picture",
    "ReportContext",
    "Table",
    "section",
    "write_report",
]
